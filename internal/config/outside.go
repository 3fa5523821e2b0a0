package config

import (
	"fmt"
	"net/mail"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// The kinds of targets of notifications.
const (
	KindSlack   = "slack"
	KindTeams   = "teams"
	KindMail    = "mail"
	KindWebhook = "webhook"
)

// What a target is told of.
const (
	OnFailure = "failure"
	OnGap     = "gap"
	OnStale   = "stale"
	OnDrift   = "drift"
)

// AllFindings is the name of the limit on all findings of a comparison.
const AllFindings = "findings"

const defaultStaleAfter = 36 * time.Hour

// Notify is somebody who is told of troubles.
type Notify struct {
	// Name matches ^[a-z][a-z0-9_]{0,31}$ and is unique: what the target was told
	// is remembered by it.
	Name string `yaml:"name"`
	// Kind is one of slack, teams, mail and webhook.
	Kind string `yaml:"kind"`
	// URL of the webhook, or smtps://user:password@host. It is empty when the file
	// was loaded without secrets.
	URL Secret `yaml:"url"`
	// Authorization is the header of that name, for kind webhook.
	Authorization Secret `yaml:"authorization"`
	// From and To are addresses, for kind mail.
	From string   `yaml:"from"`
	To   []string `yaml:"to"`
	// CAFile holds certificates (PEM) to trust beside the system's.
	CAFile string `yaml:"ca_file"`
	// On are the kinds of troubles it is told of; all if the file names none.
	On []string `yaml:"on"`
	// Sources it is told of; nil for all.
	Sources []string `yaml:"sources"`
	// StaleAfter is how long a source may go unread, and something landed wait for a
	// sink beyond the sink's pace.
	StaleAfter time.Duration `yaml:"stale_after"`
	// DriftAbove are the most findings of a comparison that are no trouble, by
	// severity, type or [AllFindings].
	DriftAbove map[string]int `yaml:"drift_above"`
}

// Heartbeat is a watcher that is pinged as runs begin and end.
type Heartbeat struct {
	// URL is pinged when a run has ended well. It is empty when the file was loaded
	// without secrets.
	URL Secret `yaml:"url"`
	// Start pings URL/start when a run begins, Fail URL/fail when it fails.
	Start bool `yaml:"start"`
	Fail  bool `yaml:"fail"`
}

// Troubles are what a target can be told of.
func Troubles() []string { return []string{OnFailure, OnGap, OnStale, OnDrift} }

// DriftLimits are the names there may be a limit on: severities, types, and all.
func DriftLimits() []string {
	return []string{
		"high", "medium", "low",
		"missing_left", "missing_right", "attribute", "status", "groups", "mfa", "duplicate", "link_conflict", "candidate",
		AllFindings,
	}
}

// heartbeat takes a reference alone, or a mapping with it.
func (d *decoder) heartbeat(at **Heartbeat) func(value) {
	return func(v value) {
		to := &Heartbeat{Start: true, Fail: true}
		*at = to
		if _, ok := d.resolve(v).(ast.MapNode); !ok {
			d.secret(&to.URL)(v)
			d.checkHook(v.path, to.URL, "https", "http")
			return
		}
		d.mapping(v, table{"url": d.secret(&to.URL), "start": d.flag(&to.Start), "fail": d.flag(&to.Fail)})
		if !d.has(v.path + ".url") {
			d.fail(v.path+".url", `is missing; write "${env:NAME}", of what holds the URL to ping`)
		}
		d.checkHook(v.path+".url", to.URL, "https", "http")
	}
}

func (d *decoder) notify(to *Notify, v value) {
	d.mapping(v, table{
		"name":          d.text(&to.Name),
		"kind":          d.kind(&to.Kind, KindSlack, KindTeams, KindMail, KindWebhook),
		"url":           d.secret(&to.URL),
		"authorization": d.secret(&to.Authorization),
		"from":          d.text(&to.From),
		"to":            d.texts(&to.To),
		"ca_file":       d.path(&to.CAFile),
		"on":            d.choices(&to.On, Troubles()),
		"sources":       d.texts(&to.Sources),
		"stale_after":   d.span(&to.StaleAfter),
		"drift_above":   d.driftAbove(&to.DriftAbove),
	})
	d.name(v.path+".name", to.Name)
	if len(to.On) == 0 {
		to.On = Troubles()
	}
	if to.StaleAfter == 0 {
		to.StaleAfter = defaultStaleAfter
	}
	if to.DriftAbove == nil {
		to.DriftAbove = map[string]int{"high": 0}
	}
}

func (d *decoder) driftAbove(to *map[string]int) func(value) {
	return func(v value) {
		*to = map[string]int{}
		d.each(v, func(name string, at place, member value) {
			d.places[member.path] = at
			if !slices.Contains(DriftLimits(), name) {
				d.unknownKey(member.path, name, DriftLimits())
				return
			}
			var most int
			d.integer(&most)(member)
			if most < 0 {
				d.fail(member.path, "must be 0 or more")
			}
			(*to)[name] = most
		})
	}
}

// checkNotify checks who is told of what.
func (d *decoder) checkNotify(c *Config) {
	names := map[string]bool{}
	for i, n := range c.Notify {
		path := fmt.Sprintf("notify[%d]", i)
		d.checkNamed(path, n.Name, names)
		if n.Kind == "" {
			d.fail(path+".kind", "is missing; known: slack, teams, mail, webhook")
		}
		if !d.has(path + ".url") {
			d.fail(path+".url", `is missing; write "${env:NAME}", of what holds the URL`)
		}
		d.checkTarget(path, n)
		d.checkCAFile(path, n.CAFile)
		for j, name := range n.Sources {
			if _, ok := c.Source(name); !ok {
				d.fail(fmt.Sprintf("%s.sources[%d]", path, j), "there is no source %q; %s", clip(name), suggest(name, sourceNames(c)))
			}
		}
		d.checkOn(path, n, c)
	}
}

// checkOn tells of settings of what the target is not told of.
func (d *decoder) checkOn(path string, n Notify, c *Config) {
	for _, of := range []struct{ key, on string }{{"stale_after", OnStale}, {"drift_above", OnDrift}} {
		if d.has(path+"."+of.key) && !slices.Contains(n.On, of.on) {
			d.fail(path+"."+of.key, "is for %s, which is not in on; add it, or leave this out", of.on)
		}
	}
	if d.has(path+".on") && slices.Contains(n.On, OnDrift) && len(c.Reconcile) == 0 {
		d.fail(path+".on", "names drift, and nothing is compared; add a reconcile list, or leave drift out")
	}
}

// checkTarget checks what is particular to a kind.
func (d *decoder) checkTarget(path string, n Notify) {
	if n.Kind == KindMail {
		d.checkHook(path+".url", n.URL, "smtps", "smtp")
		d.checkAddresses(path, n)
	} else {
		d.checkHook(path+".url", n.URL, "https", "http")
		for _, key := range []string{"from", "to"} {
			if d.has(path + "." + key) {
				d.fail(path+"."+key, "is for mail; leave it out")
			}
		}
	}
	if n.Kind != KindWebhook && d.has(path+".authorization") {
		d.fail(path+".authorization", "is for webhooks; leave it out")
	}
}

func (d *decoder) checkAddresses(path string, n Notify) {
	if _, err := mail.ParseAddress(n.From); err != nil {
		d.fail(path+".from", "%q is no mail address; write idtrail@example.com", clip(n.From))
	}
	if len(n.To) == 0 {
		d.fail(path+".to", "is missing; write a list of mail addresses")
	}
	for i, to := range n.To {
		if _, err := mail.ParseAddress(to); err != nil {
			d.fail(fmt.Sprintf("%s.to[%d]", path, i), "%q is no mail address; write someone@example.com", clip(to))
		}
	}
}

// checkHook checks the form of a URL that is a secret: nothing of it is shown.
// Without TLS it may go no further than this machine, or, by SMTP, has to be
// encrypted once connected.
func (d *decoder) checkHook(path string, secret Secret, tls, plain string) {
	if secret.Empty() {
		return
	}
	u, err := url.Parse(secret.Reveal())
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "" || u.Scheme != tls && u.Scheme != plain:
		d.fail(path, "names no URL of the form %s://host/…; what it names is to be the whole URL", tls)
	case u.Scheme == "http" && !loopback(u.Host):
		d.fail(path, "names a URL of plain http, and it is not on this machine; use https")
	case u.User != nil && strings.HasPrefix(tls, "http"):
		d.fail(path, "names a URL with a user or a password in it; leave them out")
	case u.Fragment != "":
		d.fail(path, "names a URL with a fragment (#); leave it out, or write %%23")
	}
}

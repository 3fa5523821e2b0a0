package config

import (
	"fmt"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Bounds of what is sent to a receiver.
const (
	minTimeout, maxTimeout = time.Second, 10 * time.Minute
	maxAckWait             = 15 * time.Minute
	// Splunk takes a body of 838,860,800 bytes at the most:
	// https://docs.splunk.com/Documentation/Splunk/latest/Admin/Limitsconf
	minRequest, maxRequest = 64_000, 838_860_800
	// A key that is shorter can be tried out.
	minRedactKey = 16

	// Datadog places no log at its time that is older:
	// https://docs.datadoghq.com/logs/log_configuration/processors/
	datadogWindow = 18 * time.Hour
)

var (
	headerForm = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
	indexForm  = regexp.MustCompile(`^[a-z0-9_][a-z0-9_-]{0,79}$`)
	tagForm    = regexp.MustCompile(`^[a-z][a-z0-9_./-]{0,99}$`)
)

func (d *decoder) checkStream(c *Config, at string, s Sink) {
	switch {
	case s.Datadog != nil:
		d.checkDatadog(at, s.Datadog)
	case s.SplunkHEC != nil:
		d.checkSplunkHEC(at, s.SplunkHEC)
	case s.OTLP != nil:
		d.checkOTLP(at, s.OTLP)
	}
	if t := s.Stream.Timeout; t < minTimeout || t > maxTimeout {
		d.fail(at+".timeout", "must be 1s to 10m; a short one makes duplicates")
	}
	d.checkFilter(c, at+".filter", s.Stream.Filter)
	for i, r := range s.Stream.Redact {
		d.checkRedact(fmt.Sprintf("%s.redact[%d]", at, i), r)
	}
}

func (d *decoder) checkDatadog(at string, o *Datadog) {
	d.checkSite(at, o)
	d.checkCredential(at+".api_key", o.APIKey, "${env:DD_API_KEY}")
	if o.Service == "" {
		d.fail(at+".service", "is empty; leave it out for %s", defaultService)
	}
	d.checkCAFile(at, o.CAFile)
	for key, text := range o.Tags {
		if !isTag(key, text) {
			d.fail(at+".tags."+key, "is no tag Datadog takes; keys are a-z, 0-9, _ . / and -, beginning with a letter, "+
				"values have neither comma nor space, and both no more than 199 characters")
		}
	}
}

func (d *decoder) checkSite(at string, o *Datadog) {
	switch site, receiver := d.has(at+".site"), d.has(at+".url"); {
	case !site && !receiver:
		d.fail(at+".site", "is missing; name yours: %s", strings.Join(DatadogSites(), ", "))
	case site && receiver:
		d.fail(at+".url", "stands beside site; keep one of the two")
	case receiver:
		d.checkReceiver(at+".url", o.URL, "https://http-intake.logs.datadoghq.eu")
	case !slices.Contains(DatadogSites(), o.Site):
		d.fail(at+".site", "%q is no site of Datadog; %s; any other address is a url", clip(o.Site), suggest(o.Site, DatadogSites()))
	}
}

func isTag(key, text string) bool {
	return tagForm.MatchString(key) && text != "" && len(key)+len(text) <= 199 && !strings.ContainsAny(text, ", \t\r\n")
}

func (d *decoder) checkSplunkHEC(at string, o *SplunkHEC) {
	d.checkReceiver(at+".url", o.URL, "https://splunk.example.com:8088")
	d.checkCredential(at+".token", o.Token, "${env:SPLUNK_TOKEN}")
	if o.Index != "" && !indexForm.MatchString(o.Index) {
		d.fail(at+".index", "%q is no index; use a-z, 0-9, _ and -, at most 80", clip(o.Index))
	}
	switch {
	case !o.Ack && d.has(at+".ack_wait"):
		d.fail(at+".ack_wait", "goes with ack: on; leave it out")
	case o.AckWait > maxAckWait:
		d.fail(at+".ack_wait", "must be at most 15m; the next run asks again for what is left")
	}
	if o.MaxRequest < minRequest || o.MaxRequest > maxRequest {
		d.fail(at+".max_request", "must be 64KB to 800MiB; Splunk Cloud wants no more than 1MB")
	}
	d.checkCAFile(at, o.CAFile)
}

// reserved are headers the sink writes itself.
var reserved = []string{"content-type", "content-encoding", "content-length", "transfer-encoding", "host", "connection"}

func (d *decoder) checkOTLP(at string, o *OTLP) {
	d.checkReceiver(at+".url", o.URL, "https://collector.example.com:4318")
	seen := map[string]bool{}
	for name, text := range o.Headers {
		lower, key := strings.ToLower(name), at+".headers."+name
		switch {
		case !headerForm.MatchString(name):
			d.fail(key, "%q is no name of a header", clip(name))
		case slices.Contains(reserved, lower):
			d.fail(key, "is written by the sink itself; leave it out")
		case seen[lower]:
			d.fail(key, "stands there twice; names of headers are the same in capitals")
		}
		seen[lower] = true
		d.checkHeaderValue(key, text)
	}
	d.checkCAFile(at, o.CAFile)
}

func (d *decoder) checkCAFile(at, path string) {
	if isS3(path) {
		d.fail(at+".ca_file", "must be a file")
	}
}

// checkCredential wants one there. It is empty, too, where secrets were not
// asked for.
func (d *decoder) checkCredential(at string, s Secret, like string) {
	if !d.has(at) {
		d.fail(at, "is missing; write %q", like)
	}
	d.checkHeaderValue(at, s)
}

// checkHeaderValue refuses what cannot be sent, without showing it.
func (d *decoder) checkHeaderValue(at string, s Secret) {
	text := s.Reveal()
	if strings.TrimSpace(text) != text || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
		d.fail(at, "has a line break, a blank at an end or another sign that no header can have; look at what its reference names")
	}
}

// checkReceiver checks the URL of a receiver. Secrets and personal data are sent
// there: plain http goes no further than this machine. What is wrong is not
// quoted where a password may stand in it.
func (d *decoder) checkReceiver(at, text, like string) {
	u, err := url.Parse(text)
	switch {
	case text == "":
		d.fail(at, "is missing; it looks like %s", like)
	case err != nil:
		d.fail(at, "is no URL; it looks like %s", like)
	case u.User != nil:
		d.fail(at, "has a user or password in it; a secret goes into a key of its own, by reference")
	case strings.ContainsAny(text, "?#"):
		d.fail(at, "has a query or fragment; it looks like %s", like)
	case !isWeb(u):
		d.fail(at, "is no https URL; it looks like %s", like)
	case u.Scheme == "http" && !loopback(u.Host):
		d.fail(at, "plain http would send secrets and personal data in the clear, and %s is not this machine; use https", clip(u.Host))
	}
}

func isWeb(u *url.URL) bool {
	return (u.Scheme == "https" || u.Scheme == "http") && u.Hostname() != "" && isHost(u.Host)
}

func (d *decoder) checkFilter(c *Config, at string, f StreamFilter) {
	for i, name := range f.Source {
		key := fmt.Sprintf("%s.source[%d]", at, i)
		switch s, ok := c.Source(name); {
		case !ok:
			d.fail(key, "there is no source %q; %s", clip(name), suggest(name, sourceNames(c)))
		case s.Users():
			d.fail(key, "%s gives users, and this sink gets events only; leave it out", name)
		}
	}
	for _, list := range []struct {
		key  string
		none bool
	}{{"class", len(f.Class) == 0}, {"source", len(f.Source) == 0}} {
		if list.none && d.has(at+"."+list.key) {
			d.fail(at+"."+list.key, "is an empty list, and lets nothing through; leave it out for all")
		}
	}
}

func (d *decoder) checkRedact(at string, r Redact) {
	if len(r.Fields) == 0 {
		d.fail(at+".fields", "is missing; name what the sink is not to see")
	}
	key := d.has(at + ".key")
	switch {
	case r.With == "":
		d.fail(at+".with", "is missing; known: %s, %s, %s", RedactDrop, RedactMask, RedactPseudonym)
	case r.With == RedactPseudonym && !key:
		d.fail(at+".key", `is missing; pseudonyms are made with a key: "${env:NAME}"`)
	case r.With != RedactPseudonym && key:
		d.fail(at+".key", "is for with: pseudonym only; leave it out")
	case key && !r.Key.Empty() && len(r.Key.Reveal()) < minRedactKey:
		d.fail(at+".key", "is shorter than %d characters; make one with: openssl rand -hex 32", minRedactKey)
	}
}

// checkStreams looks at the sinks together.
func (d *decoder) checkStreams(c *Config) {
	if len(c.Sinks) > 0 && !slices.ContainsFunc(c.Sinks, func(s Sink) bool { return s.Stream == nil }) {
		d.warn("sinks", "none of them keeps a lake: find, Athena and the users have no tables, and only raw holds the events; add {name: lake, kind: parquet}")
	}
	for i, s := range c.Sinks {
		at := fmt.Sprintf("sinks[%d]", i)
		d.checkSameReceiver(c.Sinks[:i], at, s)
		if s.Datadog != nil {
			d.checkWindow(c, at, s)
		}
	}
}

// checkSameReceiver warns of two sinks that send one receiver the same events.
func (d *decoder) checkSameReceiver(before []Sink, at string, s Sink) {
	for _, other := range before {
		if s.Stream != nil && s.Kind == other.Kind && s.receiver() != "" && s.receiver() == other.receiver() &&
			reflect.DeepEqual(s.Stream.Filter, other.Stream.Filter) {
			d.warn(at, "%s sends the same events to the same place; keep one of them, or give them other filters", other.Name)
			return
		}
	}
}

// checkWindow warns where events are sent too late for Datadog as a rule.
func (d *decoder) checkWindow(c *Config, at string, s Sink) {
	became := map[string]string{
		TooOldRestamp: "are shown at the time they were sent at", TooOldSkip: "are not sent",
	}[s.Datadog.TooOld]
	if s.Stream.Every >= datadogWindow {
		d.warn(at+".every", "Datadog takes no event older than 18h at its time: most %s; deliver more often", became)
		return
	}
	for _, src := range c.Sources {
		if src.Users() || len(s.Stream.Filter.Source) > 0 && !slices.Contains(s.Stream.Filter.Source, src.Name) {
			continue
		}
		if name := onlyDaily(c.Jobs, src.Name); name != "" {
			d.warn(at, "job %s reads %s once a day or less, and Datadog takes no event older than 18h at its time: some %s; run it more often",
				name, src.Name, became)
			return
		}
	}
}

// onlyDaily names a job that reads the source once a day or less, if no other
// reads it more often, or at a time nobody knows.
func onlyDaily(jobs []Job, source string) string {
	name := ""
	for _, j := range jobs {
		switch {
		case !slices.Contains(j.Sources, source):
		case !daily(j.Schedule):
			return ""
		default:
			name = j.Name
		}
	}
	return name
}

// daily says whether a schedule comes once in a day, or less.
func daily(schedule string) bool {
	if every, ok := strings.CutPrefix(schedule, "@every "); ok {
		span, err := ParseSpan(every)
		return err == nil && span >= datadogWindow
	}
	if strings.HasPrefix(schedule, "@") {
		return schedule != "@hourly"
	}
	fields := strings.Fields(schedule)
	if len(fields) > 0 && strings.Contains(fields[0], "TZ=") {
		fields = fields[1:]
	}
	return len(fields) == 5 && !strings.ContainsAny(fields[0]+fields[1], "*/,-")
}

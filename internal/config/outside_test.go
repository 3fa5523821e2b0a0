package config_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/idtrail/idtrail/internal/config"
)

const outside = `
heartbeat: "${env:HOOK}"
notify:
  - {name: ops, kind: slack, url: "${env:HOOK}"}
  - name: mail
    kind: mail
    url: "${env:SMTP}"
    from: Idtrail <idtrail@example.com>
    to: [a@example.com]
    on: [stale]
    sources: [acme]
    stale_after: 2h
reconcile: [{left: left, right: right}]
jobs:
  a: {sources: [acme, left, right], heartbeat: {url: "${env:HOOK}", start: false}}
`

func outsideEnv() map[string]string {
	return map[string]string{
		"SECRET": hidden, "HOOK": "https://hooks.example/" + hidden, "LOCAL": "http://127.0.0.1:1/" + hidden,
		"SMTP": "smtp://user:" + hidden + "@smtp.example", "PLAIN": "http://hooks.example/" + hidden, "BARE": hidden,
		"USER": "https://user:" + hidden + "@hooks.example/", "FRAGMENT": "https://hooks.example/#" + hidden,
	}
}

func TestOutside(t *testing.T) {
	c, err := config.Parse([]byte(base+outside), "t.yaml", options(outsideEnv()))
	if err != nil {
		t.Fatal(err)
	}
	if h := c.Heartbeat; h == nil || !h.Start || !h.Fail || h.URL.Reveal() != "https://hooks.example/"+hidden {
		t.Errorf("heartbeat: got %+v", h)
	}
	if h := c.Jobs[0].Heartbeat; h == nil || h.Start || !h.Fail || h.URL.Empty() {
		t.Errorf("heartbeat of the job: got %+v", h)
	}
	ops, mail := c.Notify[0], c.Notify[1]
	if !slices.Equal(ops.On, config.Troubles()) || ops.StaleAfter != 36*time.Hour || !cmp.Equal(ops.DriftAbove, map[string]int{"high": 0}) {
		t.Errorf("defaults: got %+v", ops)
	}
	if !slices.Equal(mail.On, []string{"stale"}) || mail.StaleAfter != 2*time.Hour || !slices.Equal(mail.Sources, []string{"acme"}) {
		t.Errorf("mail: got %+v", mail)
	}
	// Those who only read need none of the secrets.
	o := options(nil)
	o.SkipSecrets = true
	c, err = config.Parse([]byte(base+outside), "t.yaml", o)
	if err != nil || !c.Heartbeat.URL.Empty() || !c.Notify[1].URL.Empty() {
		t.Errorf("without secrets: got %v", err)
	}
}

func TestOutsideProblems(t *testing.T) {
	target := func(keys string) string { return "notify: [{name: x, " + keys + "}]" }
	const slack = `kind: slack, url: "${env:HOOK}"`
	for _, tt := range []struct{ name, add, want string }{
		{"a literal URL", `heartbeat: https://hc.example/` + hidden, "heartbeat: is a secret and must not stand in the file"},
		{"a mapping without a URL", "heartbeat: {start: false}", `heartbeat.url: is missing; write "${env:NAME}"`},
		{"no URL at all", `heartbeat: "${env:BARE}"`, "heartbeat: names no URL of the form https://host/"},
		{"in the clear", `heartbeat: "${env:PLAIN}"`, "names a URL of plain http, and it is not on this machine; use https"},
		{"with a user", `heartbeat: {url: "${env:USER}"}`, "heartbeat.url: names a URL with a user or a password in it"},
		{"with a fragment", `heartbeat: "${env:FRAGMENT}"`, "names a URL with a fragment (#)"},
		{"for mail", target(`kind: mail, url: "${env:HOOK}", from: a@b.example, to: [c@d.example]`), "notify[0].url: names no URL of the form smtps://host/"},
		{"mail for slack", target(`kind: slack, url: "${env:SMTP}"`), "notify[0].url: names no URL of the form https://host/"},
		{"without a kind", target(`url: "${env:HOOK}"`), "notify[0].kind: is missing; known: slack, teams, mail, webhook"},
		{"an unknown kind", target(`kind: slak, url: "${env:HOOK}"`), `notify[0].kind: kind "slak" is unknown; did you mean slack?`},
		{"without a URL", target("kind: teams"), "notify[0].url: is missing"},
		{"without a name", `notify: [{kind: slack, url: "${env:HOOK}"}]`, "notify[0].name: is missing"},
		{"twice", `notify: [{name: x, ` + slack + `}, {name: x, ` + slack + `}]`, `notify[1].name: there is another "x" before it`},
		{"a bad name", `notify: [{name: X, ` + slack + `}]`, "notify[0].name"},
		{"an unknown trouble", target(slack + ", on: [fail]"), `notify[0].on[0]: "fail" is unknown`},
		{"a source that is not", target(slack + ", sources: [acmee]"), `notify[0].sources[0]: there is no source "acmee"; did you mean acme?`},
		{"addresses of no mail", target(slack + ", to: [a@b.example]"), "notify[0].to: is for mail; leave it out"},
		{"no sender", target(`kind: mail, url: "${env:SMTP}", to: [a@b.example]`), `notify[0].from: "" is no mail address`},
		{"nobody", target(`kind: mail, url: "${env:SMTP}", from: a@b.example`), "notify[0].to: is missing"},
		{"a line break", target(`kind: mail, url: "${env:SMTP}", from: a@b.example, to: ["a@b.example\nBcc: c@d.example"]`), "notify[0].to[0]: "},
		{"a header of no webhook", target(slack + `, authorization: "${env:SECRET}"`), "notify[0].authorization: is for webhooks"},
		{"an unused age", target(slack + ", on: [gap], stale_after: 1h"), "notify[0].stale_after: is for stale, which is not in on"},
		{"an unused limit", target(slack + ", on: [gap], drift_above: {high: 1}"), "notify[0].drift_above: is for drift, which is not in on"},
		{"drift of nothing", target(slack + ", on: [drift]"), "notify[0].on: names drift, and nothing is compared"},
		{"an unknown limit", target(slack + ", drift_above: {hihg: 1}"), `notify[0].drift_above.hihg: unknown key "hihg"; did you mean high?`},
		{"a limit below nothing", target(slack + ", drift_above: {high: -1}"), "notify[0].drift_above.high: must be 0 or more"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := config.Parse([]byte(base+tt.add+"\n"), "t.yaml", options(outsideEnv()))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want: %s", err, tt.want)
			}
			if strings.Contains(err.Error(), hidden) {
				t.Errorf("the secret shows: %v", err)
			}
		})
	}
	// Without TLS to this machine alone.
	if _, err := config.Parse([]byte(base+"heartbeat: \"${env:LOCAL}\"\n"), "t.yaml", options(outsideEnv())); err != nil {
		t.Error(err)
	}
}

package config_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/idtrail/idtrail/internal/config"
)

// Good sinks; tests change one text of them.
const (
	datadog = `{name: dd, kind: datadog, site: datadoghq.eu, api_key: "${env:SECRET}"}`
	splunk  = `{name: hec, kind: splunk_hec, url: "https://hec.example:8088", token: "${env:SECRET}"}`
	otlp    = `{name: col, kind: otlp, url: "https://otel.example:4318"}`
)

// streaming is base with a lake and these sinks.
func streaming(sinks ...string) string {
	return base + "sinks:\n  - {name: lake, kind: parquet}\n  - " + strings.Join(sinks, "\n  - ") + "\n"
}

// sameSecret compares what secrets reveal.
var sameSecret = cmp.Comparer(func(a, b config.Secret) bool { return a.Reveal() == b.Reveal() })

func TestStreamDefaults(t *testing.T) {
	c := mustParse(t, streaming(datadog, splunk, otlp))
	stream := &config.Stream{Start: config.Start{Since: config.Since{Span: 18 * time.Hour}}, Timeout: time.Minute}
	secret := config.NewSecret(hidden)
	want := []config.Sink{
		{Name: "lake", Kind: "parquet", Every: time.Hour, MaxBytes: 256 << 20},
		{Name: "dd", Kind: "datadog", Stream: stream, Datadog: &config.Datadog{
			Site: "datadoghq.eu", APIKey: secret, Service: "idtrail", TooOld: "restamp", Health: true,
		}},
		{Name: "hec", Kind: "splunk_hec", Stream: stream, SplunkHEC: &config.SplunkHEC{
			URL: "https://hec.example:8088", Token: secret, AckWait: 30 * time.Second, MaxRequest: 1_000_000,
		}},
		{Name: "col", Kind: "otlp", Stream: stream, OTLP: &config.OTLP{URL: "https://otel.example:4318"}},
	}
	if diff := cmp.Diff(want, c.Sinks, sameSecret); diff != "" {
		t.Errorf("sinks (-want +got):\n%s", diff)
	}
	if len(c.Warnings) > 0 {
		t.Errorf("got warnings %v, want none", c.Warnings)
	}
	if shown := fmt.Sprintf("%+v %#v", c.Sinks, *c.Sinks[1].Datadog); strings.Contains(shown, hidden) {
		t.Error("a secret shows")
	}
}

func TestStreamKeys(t *testing.T) {
	c := mustParse(t, streaming(`name: dd
    kind: datadog
    url: http://127.0.0.1:9/x
    api_key: "${env:SECRET}"
    service: iam
    tags: {env: prod, team: id}
    too_old: skip
    health: false
    ca_file: ca.pem
    start: now
    every: 5m
    timeout: 10s
    filter: {class: [authentication, user_access], min_severity: medium, source: [acme], self: true}
    redact:
      - {fields: [raw_data], with: drop}
      - {fields: [user.email_addr], with: pseudonym, key: "${env:SECRET}"}`,
		`{name: hec, kind: splunk_hec, url: "https://hec.example", token: "${env:SECRET}", index: audit, host: h, ack: on, ack_wait: 2m, max_request: 2MB, ca_file: ca.pem}`,
		`{name: col, kind: otlp, url: "http://localhost:4318", headers: {Authorization: "${env:SECRET}"}, ca_file: ca.pem}`))
	secret := config.NewSecret(hidden)
	want := config.Sink{
		Name: "dd", Kind: "datadog",
		Datadog: &config.Datadog{
			URL: "http://127.0.0.1:9/x", APIKey: secret, Service: "iam", Tags: map[string]string{"env": "prod", "team": "id"}, TooOld: "skip",
			CAFile: "/etc/idtrail/ca.pem",
		},
		Stream: &config.Stream{
			Start: config.Start{Now: true}, Every: 5 * time.Minute, Timeout: 10 * time.Second,
			Filter: config.StreamFilter{Class: []string{"authentication", "user_access"}, MinSeverity: "medium", Source: []string{"acme"}, Self: true},
			Redact: []config.Redact{
				{Fields: []string{"raw_data"}, With: "drop"}, {Fields: []string{"user.email_addr"}, With: "pseudonym", Key: secret},
			},
		},
	}
	if diff := cmp.Diff(want, c.Sinks[1], sameSecret); diff != "" {
		t.Errorf("datadog (-want +got):\n%s", diff)
	}
	hec := &config.SplunkHEC{
		URL: "https://hec.example", Token: secret, Index: "audit", Host: "h", Ack: true, AckWait: 2 * time.Minute,
		MaxRequest: 2_000_000, CAFile: "/etc/idtrail/ca.pem",
	}
	if diff := cmp.Diff(hec, c.Sinks[2].SplunkHEC, sameSecret); diff != "" {
		t.Errorf("splunk_hec (-want +got):\n%s", diff)
	}
	col := &config.OTLP{URL: "http://localhost:4318", Headers: map[string]config.Secret{"Authorization": secret}, CAFile: "/etc/idtrail/ca.pem"}
	if diff := cmp.Diff(col, c.Sinks[3].OTLP, sameSecret); diff != "" {
		t.Errorf("otlp (-want +got):\n%s", diff)
	}
}

func TestStart(t *testing.T) {
	at := time.Date(2026, 1, 31, 9, 0, 0, 0, time.UTC)
	for text, want := range map[string]config.Start{
		"start": {Beginning: true}, "now": {Now: true}, "0s": {Now: true},
		"7d": {Since: config.Since{Span: 7 * 24 * time.Hour}}, `"2026-01-31T09:00:00Z"`: {Since: config.Since{Time: at}},
	} {
		c := mustParse(t, streaming(strings.Replace(otlp, "}", ", start: "+text+"}", 1)))
		if got := c.Sinks[1].Stream.Start; got != want {
			t.Errorf("start: %s: got %+v, want %+v", text, got, want)
		}
	}
}

// TestStreamProblems changes one text of a good sink and wants the message.
func TestStreamProblems(t *testing.T) {
	dd := func(more string) [2]string {
		return [2]string{datadog, strings.TrimSuffix(datadog, "}") + ", " + more + "}"}
	}
	hec := func(more string) [2]string {
		return [2]string{splunk, strings.TrimSuffix(splunk, "}") + ", " + more + "}"}
	}
	col := func(more string) [2]string { return [2]string{otlp, strings.TrimSuffix(otlp, "}") + ", " + more + "}"} }
	change := func(sink, old, to string) [2]string { return [2]string{sink, strings.Replace(sink, old, to, 1)} }
	for _, tt := range []struct {
		name string
		sink [2]string
		want string
	}{
		{"unknown kind", change(splunk, "splunk_hec", "splunk"), `12:23: sinks[1].kind: kind "splunk" is unknown; known: datadog, json, otlp, parquet, splunk_hec`},
		{"misspelt kind", change(splunk, "splunk_hec", "splunk_hce"), `did you mean splunk_hec?`},
		{"unknown key", change(splunk, "token", "tokn"), `sinks[1].tokn: unknown key "tokn"; did you mean token?`},
		{"another kind's key", dd("token: x"), "sinks[1].token: is for sinks of kind splunk_hec, and this is datadog; leave it out"},
		{"the lake's key", col("max_bytes: 1MiB"), "sinks[1].max_bytes: is for sinks of kind parquet, json, and this is otlp"},
		{"a stream's key", [2]string{otlp, "{name: j, kind: json, start: now}"}, "sinks[1].start: is for sinks of kind datadog, splunk_hec, otlp, and this is json"},

		{"literal key", change(datadog, `"${env:SECRET}"`, hidden), "sinks[1].api_key: is a secret and must not stand in the file"},
		{"literal token", change(splunk, `"${env:SECRET}"`, hidden), "sinks[1].token: is a secret and must not stand in the file"},
		{"literal header", col("headers: {Authorization: " + hidden + "}"), "sinks[1].headers.Authorization: is a secret and must not stand in the file"},
		{"header with more", col(`headers: {Authorization: "Bearer ${env:SECRET}"}`), "sinks[1].headers.Authorization: is a secret and must not stand in the file"},
		{"literal redaction key", col("redact: [{fields: [a], with: pseudonym, key: " + hidden + "}]"), "sinks[1].redact[0].key: is a secret and must not stand in the file"},
		{"key missing", change(datadog, `, api_key: "${env:SECRET}"`, ""), `sinks[1].api_key: is missing; write "${env:DD_API_KEY}"`},
		{"token missing", change(splunk, `, token: "${env:SECRET}"`, ""), `sinks[1].token: is missing; write "${env:SPLUNK_TOKEN}"`},
		{"key of two lines", change(datadog, "SECRET", "LINES"), "sinks[1].api_key: has a line break"},
		{"token with a blank", change(splunk, "SECRET", "BLANK"), "sinks[1].token: has a line break, a blank at an end"},
		{"header of two lines", col(`headers: {X-Key: "${env:LINES}"}`), "sinks[1].headers.X-Key: has a line break"},

		{"site missing", change(datadog, "site: datadoghq.eu, ", ""), "12:5: sinks[1].site: is missing; name yours: datadoghq.com, us3"},
		{"site unknown", change(datadog, "datadoghq.eu", "datadog.eu"), `"datadog.eu" is no site of Datadog; did you mean datadoghq.eu?; any other address is a url`},
		{"site of another", change(datadog, "datadoghq.eu", "evil.example"), `"evil.example" is no site of Datadog; known: ap1.datadoghq.com`},
		{"site and url", dd("url: https://x.example"), "sinks[1].url: stands beside site"},
		{"service empty", dd(`service: ""`), "service: is empty"},
		{"tag", dd("tags: {env: 'a,b'}"), "tags.env: is no tag Datadog takes"},
		{"tag's key", dd("tags: {Env: a}"), "tags.Env: is no tag Datadog takes"},
		{"too_old", dd("too_old: drop"), `too_old: "drop" is unknown; known: restamp, skip`},
		{"health", dd("health: maybe"), "health: must be true or false, but is text"},

		{"url missing", change(splunk, `url: "https://hec.example:8088", `, ""), "12:5: sinks[1].url: is missing; it looks like https://splunk.example.com:8088"},
		{"plain http", change(splunk, "https", "http"), "url: plain http would send secrets and personal data in the clear, and hec.example:8088 is not this machine; use https"},
		{"like loopback", change(otlp, "https://otel.example", "http://127.0.0.1.evil.example"), "is not this machine; use https"},
		{"user in the url", change(splunk, "https://", "https://me:"+hidden+"@"), "url: has a user or password in it; a secret goes into a key of its own"},
		{"query", change(splunk, "8088", "8088/?token="+hidden), "url: has a query or fragment"},
		{"empty query", change(splunk, "8088", "8088?"), "url: has a query or fragment"},
		{"fragment", change(otlp, "4318", "4318/#"), "url: has a query or fragment"},
		{"other scheme", change(otlp, "https", "grpc"), "url: is no https URL; it looks like https://collector.example.com:4318"},
		{"no scheme", change(otlp, "https://", ""), "url: is no"},
		{"no host", change(otlp, "https://otel.example:4318", "https://"), "url: is no https URL"},
		{"no url at all", change(otlp, "https://otel.example:4318", "https://%zz:"+hidden), "url: is no URL"},
		{"datadog by http", [2]string{datadog, `{name: d, kind: datadog, url: "http://dd.example", api_key: "${env:SECRET}"}`}, "and dd.example is not this machine"},

		{"index", hec("index: Main Index"), `index: "Main Index" is no index`},
		{"ack", hec("ack: auto"), `ack: "auto" is unknown; known: off, on`},
		{"wait without ack", hec("ack_wait: 10s"), "ack_wait: goes with ack: on"},
		{"long wait", hec("ack: on, ack_wait: 1h"), "ack_wait: must be at most 15m"},
		{"small request", hec("max_request: 1KB"), "max_request: must be 64KB to 800MiB"},
		{"ca in s3", hec("ca_file: s3://bucket/ca.pem"), "ca_file: must be a file"},
		{"header's name", col(`headers: {"a b": "${env:SECRET}"}`), `"a b" is no name of a header`},
		{"own header", col(`headers: {content-type: "${env:SECRET}"}`), "headers.content-type: is written by the sink itself"},
		{"header twice", col(`headers: {X-A: "${env:SECRET}", x-a: "${env:SECRET}"}`), "stands there twice"},

		{"start", col("start: yesterday"), `start: "yesterday" is no place to start; write start, now, a span back like 18h`},
		{"start as a number", col("start: 5"), "start: must be start, now, a span (18h) or a time, but is a number"},
		{"every", col("every: 5"), "every: must be a span of time with its unit"},
		{"timeout", col("timeout: 1ms"), "timeout: must be 1s to 10m"},
		{"class", col("filter: {class: [authentification]}"), `filter.class[0]: "authentification" is unknown; did you mean authentication?`},
		{"severity", col("filter: {min_severity: hig}"), `filter.min_severity: "hig" is unknown; did you mean high?`},
		{"no class", col("filter: {class: []}"), "filter.class: is an empty list, and lets nothing through"},
		{"source", col("filter: {source: [acne]}"), `filter.source[0]: there is no source "acne"; did you mean acme?`},
		{"source of users", col("filter: {source: [left]}"), "filter.source[0]: left gives users, and this sink gets events only"},
		{"filter's key", col("filter: {classes: [authentication]}"), `unknown key "classes"; did you mean class?`},
		{"no fields", col("redact: [{with: drop}]"), "redact[0].fields: is missing"},
		{"no with", col("redact: [{fields: [a]}]"), "redact[0].with: is missing; known: drop, mask, pseudonym"},
		{"with", col("redact: [{fields: [a], with: encrypt}]"), `redact[0].with: "encrypt" is unknown; known: drop, mask, pseudonym`},
		{"no key", col("redact: [{fields: [a], with: pseudonym}]"), "redact[0].key: is missing; pseudonyms are made with a key"},
		{"short key", col(`redact: [{fields: [a], with: pseudonym, key: "${env:SHORT}"}]`), "redact[0].key: is shorter than 16 characters; make one with: openssl rand -hex 32"},
		{"key of a mask", col(`redact: [{fields: [a], with: mask, key: "${env:SECRET}"}]`), "redact[0].key: is for with: pseudonym only"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.sink[0] == tt.sink[1] {
				t.Fatal("the test changes nothing")
			}
			env := map[string]string{"SECRET": hidden, "LINES": hidden + "\nx", "BLANK": hidden + " ", "SHORT": "short"}
			_, err := config.Parse([]byte(streaming(tt.sink[1])), "t.yaml", options(env))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got:\n%v\nwant:\n%s", err, tt.want)
			}
			if strings.Contains(err.Error(), hidden) {
				t.Errorf("the secret shows: %v", err)
			}
			var all *config.Error
			if !errors.As(err, &all) || len(all.Problems) > 2 {
				t.Errorf("got %v, want one problem, at most two", err)
			}
		})
	}
}

func TestStreamAllowed(t *testing.T) {
	for name, sink := range map[string]string{
		"every key a number of bytes": strings.TrimSuffix(splunk, "}") + ", max_request: 2000000}",
		"ack as a truth":              strings.TrimSuffix(splunk, "}") + ", ack: true}",
		"http on loopback":            `{name: c, kind: otlp, url: "http://[::1]:4318"}`,
		"a path":                      `{name: c, kind: otlp, url: "https://otel.example/in/otlp/"}`,
		"two of a kind":               splunk + "\n  - " + strings.NewReplacer("name: hec", "name: hec2", "hec.example", "hec2.example").Replace(splunk),
	} {
		t.Run(name, func(t *testing.T) {
			if c := mustParse(t, streaming(sink)); len(c.Warnings) > 0 {
				t.Errorf("got warnings %v, want none", c.Warnings)
			}
		})
	}
	for _, site := range config.DatadogSites() {
		mustParse(t, streaming(strings.Replace(datadog, "datadoghq.eu", site, 1)))
	}
}

// TestStreamSkipsSecrets: who only looks needs none of them, and is told no less
// of the rest.
func TestStreamSkipsSecrets(t *testing.T) {
	o := options(nil)
	o.SkipSecrets = true
	sink := strings.TrimSuffix(otlp, "}") + `, headers: {A: "${env:NONE}"}, redact: [{fields: [a], with: pseudonym, key: "${env:NONE}"}]}`
	c, err := config.Parse([]byte(streaming(datadog, splunk, sink)), "t.yaml", o)
	if err != nil {
		t.Fatal(err)
	}
	if h, ok := c.Sinks[3].OTLP.Headers["A"]; !ok || !h.Empty() || !c.Sinks[1].Datadog.APIKey.Empty() {
		t.Error("a secret was read, or the name of a header is lost")
	}
}

func TestStreamWarnings(t *testing.T) {
	skip := strings.TrimSuffix(datadog, "}") + ", too_old: skip}"
	for _, tt := range []struct{ name, text, want string }{
		{"no lake", base + "sinks:\n  - " + otlp + "\n", "10 sinks: none of them keeps a lake: find, Athena and the users have no tables"},
		{"same place", streaming(splunk, strings.Replace(splunk, "name: hec", "name: hec2", 1)), "13 sinks[2]: hec sends the same events to the same place"},
		{"rare delivery", streaming(strings.TrimSuffix(datadog, "}") + ", every: 1d}"), "12 sinks[1].every: Datadog takes no event older than 18h at its time: most are shown at the time they were sent at"},
		{"rare job", streaming(skip) + "jobs: {a: {sources: [acme, left, right], schedule: '30 3 * * *'}}\n", "12 sinks[1]: job a reads acme once a day or less, and Datadog takes no event older than 18h at its time: some are not sent"},
		{"rare by span", streaming(skip) + "jobs: {a: {sources: [acme, left, right], schedule: '@every 1d'}}\n", "12 sinks[1]: job a reads acme once a day or less"},
		{"in a zone", streaming(skip) + "jobs: {a: {sources: [acme, left, right], schedule: 'TZ=UTC 0 3 * * 1'}}\n", "12 sinks[1]: job a reads acme once a day or less"},
		{"often", streaming(skip) + "jobs: {a: {sources: [acme, left, right], schedule: '*/5 * * * *'}}\n", ""},
		{"another job is often", streaming(skip) + "jobs: {a: {sources: [acme, left, right], schedule: '@daily'}, b: {sources: [acme], schedule: '@hourly'}}\n", ""},
		{"nobody knows when", streaming(skip) + "jobs: {a: {sources: [acme, left, right]}}\n", ""},
		{"users are rare", streaming(skip) + "jobs: {a: {sources: [left, right], schedule: '@daily'}, b: {sources: [acme], schedule: '0 */6 * * *'}}\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			for _, w := range mustParse(t, tt.text).Warnings {
				got += fmt.Sprintf("%d %s\n", w.Line, w)
			}
			if !strings.HasPrefix(got, tt.want) || (got == "") != (tt.want == "") {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

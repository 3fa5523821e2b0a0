package integration_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/idtrail/idtrail/integration/harness"
	"github.com/idtrail/idtrail/internal/fake"
)

// desk is a company whose events go to a SIEM, and to the lake beside it: what
// the lake has is what the SIEM has to have.
type desk struct {
	*site
	env []string
	// trail: there is one besides the logs.
	trail bool
}

// deskOptions say how many records there are, and from how many days.
type deskOptions struct{ logs, trail, days int }

func newDesk(t *testing.T, o deskOptions) *desk {
	t.Helper()
	end := time.Now().UTC().Add(-2 * time.Minute).Truncate(time.Second)
	d := &desk{site: &site{dir: t.TempDir()}, trail: o.trail > 0}
	d.tenant = fake.NewTenant(fake.TenantOptions{Seed: 5, Users: 120, Logs: o.logs, Trail: max(o.trail, 1), Days: max(o.days, 1), End: end})
	d.secrets = append(d.tenant.Secrets(), apiKey, harness.HECToken)
	lines, odd := logLines(d.tenant.Logs())
	d.write(t, "in/logs/1.ndjson.gz", append(lines, odd...))
	if d.trail {
		if _, err := d.tenant.WriteTrail(d.path("in/trail")); err != nil {
			t.Fatal(err)
		}
	}
	d.env = []string{"HEC_TOKEN=" + harness.HECToken, "DD_API_KEY=" + apiKey}
	return d
}

// apiKey has the form of Datadog's.
const apiKey = "0123456789abcdef0123456789abcdef"

// addLogs adds a file of n other logs.
func (d *desk) addLogs(t *testing.T, n int) {
	t.Helper()
	more := fake.NewTenant(fake.TenantOptions{Seed: 6, Users: 120, Logs: n, Days: 1, End: d.tenant.End().Add(-time.Minute)})
	lines, odd := logLines(more.Logs())
	d.write(t, "in/logs/2.ndjson.gz", append(lines, odd...))
	d.secrets = append(d.secrets, more.Secrets()...)
}

// config writes a config with these sinks, and the lake as JSON.
func (d *desk) config(t *testing.T, sinks ...string) string {
	t.Helper()
	text := `
state: ./state
lake: ./lake
raw: ./raw
sources:
  - {name: logs, kind: archive, format: auth0_logs, path: ./in/logs}
  - {name: trail, kind: archive, format: cloudtrail, path: ./in/trail}
sinks:
  - {name: json, kind: json, every: 1ms}
`
	if !d.trail {
		text = strings.Replace(text, "  - {name: trail, kind: archive, format: cloudtrail, path: ./in/trail}\n", "", 1)
	}
	for _, sink := range sinks {
		text += "  - " + sink + "\n"
	}
	d.writeFile(t, "idtrail.yaml", []byte(text))
	return d.path("idtrail.yaml")
}

// The sinks of the tests get all there is, idtrail's own traces too.
const everything = "start: start, filter: {self: true}"

func hecSink(url, more string) string {
	return fmt.Sprintf(`{name: hec, kind: splunk_hec, url: %q, token: "${env:HEC_TOKEN}", %s%s}`, url, everything, more)
}

func datadogSink(url, more string) string {
	return fmt.Sprintf(`{name: dd, kind: datadog, url: %q, api_key: "${env:DD_API_KEY}", %s%s}`, url, everything, more)
}

func otlpSink(url, more string) string {
	return fmt.Sprintf(`{name: otlp, kind: otlp, url: %q, %s%s}`, url, everything, more)
}

// sentReport is what run --json says of a sink that streams.
type sentReport struct {
	Sent struct {
		Accepted     int64 `json:"accepted"`
		Acknowledged int64 `json:"acknowledged"`
		Resent       int64 `json:"resent"`
		TooOld       int64 `json:"too_old"`
		Skipped      int64 `json:"skipped"`
		Slimmed      int64 `json:"slimmed"`
		Rejected     int64 `json:"rejected"`
		Filtered     int64 `json:"filtered"`
	} `json:"sent"`
	Pending struct {
		Records int64 `json:"records"`
	} `json:"pending"`
}

// sent is the sum over all sources of what the report says of a sink, and the
// errors of it.
func (r report) sent(name string) (sum sentReport, errs []string) {
	for _, s := range r.Sources {
		for _, k := range s.Sinks {
			if k.Sink != name {
				continue
			}
			sum.Sent.Accepted += k.Sent.Accepted
			sum.Sent.Acknowledged += k.Sent.Acknowledged
			sum.Sent.Resent += k.Sent.Resent
			sum.Sent.TooOld += k.Sent.TooOld
			sum.Sent.Skipped += k.Sent.Skipped
			sum.Sent.Slimmed += k.Sent.Slimmed
			sum.Sent.Rejected += k.Sent.Rejected
			sum.Sent.Filtered += k.Sent.Filtered
			sum.Pending.Records += k.Pending.Records
			if k.Error != "" {
				errs = append(errs, k.Error)
			}
		}
	}
	return sum, errs
}

// siemEvent is an event as a receiver has it, or as the lake has it.
type siemEvent struct {
	id   string
	time time.Time
	// ocsf is the event itself, numbers as float64.
	ocsf map[string]any
}

// own says whether idtrail tells of itself in it: the lake lacks such.
func (e siemEvent) own() bool { return product(e.ocsf) == "idtrail" }

func product(ocsf map[string]any) string {
	return text(dig(ocsf, "metadata", "product", "name"))
}

// dig returns what stands at a path of keys, nil if nothing does.
func dig(v any, path ...string) any {
	for _, key := range path {
		m, _ := v.(map[string]any)
		v = m[key]
	}
	return v
}

// landed is what the lake has, by the id that its events have to have
// everywhere.
func (d *desk) landed(t *testing.T) map[string]siemEvent {
	t.Helper()
	all := map[string]siemEvent{}
	for name := range files(t, d.path("lake")) {
		if !strings.HasPrefix(name, "events_json/") {
			continue
		}
		for line := range bytes.Lines(unpack(t, d.path("lake/"+name))) {
			var ocsf map[string]any
			if err := json.Unmarshal(line, &ocsf); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			ms, _ := ocsf["time"].(float64)
			e := siemEvent{id: eventID(ocsf), time: time.UnixMilli(int64(ms)).UTC(), ocsf: ocsf}
			if _, twice := all[e.id]; twice {
				t.Fatalf("two events have the id %s", e.id)
			}
			all[e.id] = e
		}
	}
	return all
}

// eventID is the id as docs/DELIVERY.md has it.
func eventID(ocsf map[string]any) string {
	key := []string{product(ocsf), text(dig(ocsf, "metadata", "tenant_uid")), text(dig(ocsf, "metadata", "uid"))}
	for i, k := range key {
		if k == "<nil>" {
			key[i] = ""
		}
	}
	sum := sha256.Sum256([]byte(strings.Join(key, "\x00")))
	return hex.EncodeToString(sum[:16])
}

// floats turns every number into a float64, as receivers hold them in different
// ways.
func floats(v any) any {
	switch v := v.(type) {
	case int64:
		return float64(v)
	case []any:
		for i := range v {
			v[i] = floats(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = floats(v[k])
		}
	}
	return v
}

func asObject(v any) map[string]any {
	m, _ := floats(v).(map[string]any)
	return m
}

// hecEvents are those in a collector's receiver for Splunk.
func hecEvents(t *testing.T, c *harness.Collector, receiver string) []siemEvent {
	t.Helper()
	var all []siemEvent
	for _, l := range c.Logs(t, receiver) {
		body := asObject(l.Body)
		e := siemEvent{id: text(body["event_id"]), time: l.Time, ocsf: asObject(body["ocsf"])}
		if l.Attributes["event_id"] != e.id {
			t.Errorf("event %s is indexed as %v", e.id, l.Attributes["event_id"])
		}
		all = append(all, e)
	}
	return all
}

// otlpEvents are those in a collector's receiver for OTLP.
func otlpEvents(t *testing.T, c *harness.Collector) []siemEvent {
	t.Helper()
	var all []siemEvent
	for _, l := range c.Logs(t, harness.OTLP) {
		all = append(all, siemEvent{id: text(l.Attributes["log.record.uid"]), time: l.Time, ocsf: asObject(l.Body)})
	}
	return all
}

// datadogEvents are those of the requests that came to Datadog's intake and were
// taken. The time of one that was restamped is the true one.
func datadogEvents(t *testing.T, calls []harness.Call) []siemEvent {
	t.Helper()
	var all []siemEvent
	for _, call := range calls {
		if call.Received != 202 {
			continue
		}
		var logs []struct {
			Timestamp int64
			EventTime string `json:"event_time"`
			EventID   string `json:"event_id"`
			OCSF      map[string]any
		}
		if err := json.Unmarshal(call.Body, &logs); err != nil {
			t.Fatalf("call %d: %v", call.N, err)
		}
		for _, l := range logs {
			e := siemEvent{id: l.EventID, time: time.UnixMilli(l.Timestamp).UTC(), ocsf: l.OCSF}
			if l.EventTime != "" {
				var err error
				if e.time, err = time.Parse(time.RFC3339Nano, l.EventTime); err != nil {
					t.Fatal(err)
				}
			}
			all = append(all, e)
		}
	}
	return all
}

// wantEvents wants a receiver to have every landed event at its time, unchanged,
// and returns how many it has more than once, idtrail's own too: none differs
// from its first.
func wantEvents(t *testing.T, got []siemEvent, landed map[string]siemEvent) (repeated int) {
	t.Helper()
	seen := map[string]siemEvent{}
	for _, e := range got {
		if first, twice := seen[e.id]; twice {
			repeated++
			if !e.time.Equal(first.time) || !reflect.DeepEqual(e.ocsf, first.ocsf) {
				t.Errorf("event %s differs from its first", e.id)
			}
			continue
		}
		seen[e.id] = e
		if e.own() {
			if want := eventID(e.ocsf); e.id != want {
				t.Errorf("own event %s should have the id %s", e.id, want)
			}
			continue
		}
		want, known := landed[e.id]
		switch {
		case !known:
			t.Errorf("event %s was never landed", e.id)
		case !e.time.Equal(want.time):
			t.Errorf("event %s is at %s, want %s", e.id, e.time, want.time)
		default:
			wantSame(t, e.id, e.ocsf, want.ocsf)
		}
	}
	missing := 0
	for id := range landed {
		if _, has := seen[id]; !has {
			missing++
		}
	}
	if missing > 0 || len(landed) < 100 {
		t.Errorf("%d of %d landed events are missing", missing, len(landed))
	}
	return repeated
}

// wantSame wants the same members.
func wantSame(t *testing.T, id string, got, want map[string]any) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if !reflect.DeepEqual(got[name], want[name]) {
			t.Errorf("event %s: %s is %v, want %v", id, name, got[name], want[name])
		}
	}
	for name := range got {
		if _, known := want[name]; !known {
			t.Errorf("event %s has %s, which the lake lacks", id, name)
		}
	}
}

// wantOwn wants these kinds of own events among what a receiver has.
func wantOwn(t *testing.T, got []siemEvent, kinds ...string) {
	t.Helper()
	has := map[string]int{}
	for _, e := range got {
		if e.own() {
			has[text(e.ocsf["activity_name"])]++
		}
	}
	for _, kind := range kinds {
		if has[kind] == 0 {
			t.Errorf("no event %q, only %v", kind, has)
		}
	}
}

// landedOnly is how many of a receiver's events come from a source.
func landedOnly(got []siemEvent) (n int64) {
	for _, e := range got {
		if !e.own() {
			n++
		}
	}
	return n
}

// wantNoSecrets wants no secret in what a run said.
func (d *desk) wantNoSecrets(t *testing.T, out harness.Run) {
	t.Helper()
	for _, secret := range d.secrets {
		if strings.Contains(out.Stdout, secret) || strings.Contains(out.Stderr, secret) {
			t.Errorf("a secret (%s…) is told:\n%s\n%s", secret[:4], out.Stdout, out.Stderr)
		}
	}
}

// TestSIEM delivers to every receiver in one run: each has every landed event,
// once, at its time, as the lake has it.
func TestSIEM(t *testing.T) {
	t.Parallel()
	d := newDesk(t, deskOptions{logs: 900, trail: 300})
	c := harness.StartCollector(t)
	prism := harness.StartPrism(t)
	config := d.config(t, hecSink(c.URL(harness.HEC), ""), otlpSink(c.URL(harness.OTLP), ""), datadogSink(prism.URL, ""))
	first, out := d.run(t, d.env, config, 0, "--log-level", "debug")
	d.wantNoSecrets(t, out)
	again, _ := d.run(t, d.env, config, 0)
	c.Stop(t)
	landed := d.landed(t)
	logs := prism.Calls("/api/v2/logs")
	for name, got := range map[string][]siemEvent{
		"hec": hecEvents(t, c, harness.HEC), "otlp": otlpEvents(t, c), "dd": datadogEvents(t, logs),
	} {
		t.Run(name, func(t *testing.T) {
			if repeated := wantEvents(t, got, landed); repeated != 0 {
				t.Errorf("%d events are there twice", repeated)
			}
			wantOwn(t, got, "run")
			r, errs := first.sent(name)
			r2, errs2 := again.sent(name)
			if len(errs)+len(errs2) > 0 {
				t.Fatalf("errors: %v %v", errs, errs2)
			}
			own := int64(len(got)) - landedOnly(got)
			if sum := r.Sent.Accepted + r2.Sent.Accepted; sum != int64(len(landed)) && sum != int64(len(landed))+own {
				t.Errorf("accepted %d of %d landed events and %d own", sum, len(landed), own)
			}
			if r.Sent.Resent+r.Sent.Rejected+r.Sent.Filtered+r.Sent.Skipped+r.Sent.Slimmed != 0 || r.Pending.Records != 0 {
				t.Errorf("first run: %+v", r)
			}
		})
	}
	for _, call := range prism.Calls("") {
		if call.Received/100 != 2 {
			t.Errorf("%s answered %d: %s\n%.300s", call.Path, call.Received, call.Answer, call.Body)
		}
	}
}

package otlp_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/idtrail/idtrail/internal/fake"
	"github.com/idtrail/idtrail/load/loadtest"
	"github.com/idtrail/idtrail/load/otlp"
	"github.com/idtrail/idtrail/load/stream"
	"github.com/idtrail/idtrail/schema"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// sent is when the events of these tests are sent.
var sent = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// secret is what no error may ever show.
const secret = "s3cr3t-never-shown"

// post sends events in one request to a receiver that takes them, and returns
// what it holds.
func post(t *testing.T, events ...schema.Event) []fake.OTLPRecord {
	t.Helper()
	server := fake.NewOTLP(fake.OTLPOptions{})
	p := protocol(t, server)
	var body []byte
	for i := range events {
		var err error
		if body, _, err = p.Append(body, &events[i], sent); err != nil {
			t.Fatalf("append: %v", err)
		}
	}
	if a := p.Send(t.Context(), stream.Request{Body: body, Entries: len(events)}); a.Outcome != stream.Accepted || a.Err != nil {
		t.Fatalf("send: outcome %v, error %v", a.Outcome, a.Err)
	}
	return server.Records()
}

func protocol(t *testing.T, server *fake.OTLP) stream.Protocol {
	t.Helper()
	p, err := otlp.NewProtocol(otlp.Options{
		Name: "col", URL: "https://otel.example:4318", Headers: map[string]string{"Authorization": "Bearer " + secret},
		Transport: fake.Transport(server), Now: func() time.Time { return sent },
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// mapped are the events of the golden files of package transform.
func mapped(t *testing.T, pattern string) []schema.Event {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "transform", "testdata", filepath.FromSlash(pattern)+".out.json"))
	if err != nil {
		t.Fatal(err)
	}
	var events []schema.Event
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var golden struct{ Events []schema.Event }
		if err := json.Unmarshal(text, &golden); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		events = append(events, golden.Events...)
	}
	if len(events) == 0 {
		t.Fatalf("no events in %s", pattern)
	}
	return events
}

// TestBodyIsTheEvent holds the encoding by hand against the event's JSON: of all
// kinds of events there are, of one in which every field is set, and of one in
// which none is.
func TestBodyIsTheEvent(t *testing.T) {
	events := mapped(t, "*/*")
	var whole schema.Event
	loadtest.Fill(&whole, 1)
	events = append(events, whole, schema.Event{})
	records := post(t, events...)
	if len(records) != len(events) {
		t.Fatalf("got %d records of %d events", len(records), len(events))
	}
	for i, e := range events {
		if diff := cmp.Diff(decodedJSON(t, e), asJSON(t, records[i].Body)); diff != "" {
			t.Errorf("event %s (-its JSON +body):\n%s", e.Metadata.UID, diff)
		}
		if records[i].Attributes["log.record.uid"] != schema.EventID(&e) {
			t.Errorf("event %s: log.record.uid %v", e.Metadata.UID, records[i].Attributes["log.record.uid"])
		}
	}
}

// decodedJSON is v as its JSON says, numbers as they are written.
func decodedJSON(t *testing.T, v any) any {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var decoded any
	if err := d.Decode(&decoded); err != nil {
		t.Fatal(err)
	}
	return decoded
}

func asJSON(t *testing.T, v any) any {
	t.Helper()
	return decodedJSON(t, v)
}

// TestGolden shows the record of one event of each class.
func TestGolden(t *testing.T) {
	base := schema.Event{
		Time: sent.UnixMilli(), TimeDT: sent, ClassUID: schema.ClassBase, ClassName: "Base Event",
		CategoryName: "Uncategorized", ActivityID: schema.ActivityOther, ActivityName: "gap", TypeUID: 99,
		TypeName: "Base Event: Other", SeverityID: 4, Severity: "High", Message: "Records were lost.",
		Metadata: schema.Metadata{Version: schema.OCSFVersion, UID: "gap-1", LogName: "idtrail", Product: schema.Product{Name: "idtrail", VendorName: "idtrail"}},
		Unmapped: map[string]string{"reason": "retention", "from": "2026-11-18T00:00:00Z"},
	}
	for name, event := range map[string]schema.Event{
		"authentication":    mapped(t, "auth0_log/breached_password")[0],
		"account_change":    mapped(t, "auth0_log/sapi_block_user")[0],
		"user_access":       mapped(t, "auth0_log/sapi_role_users_fan_out")[0],
		"group_management":  mapped(t, "cloudtrail/add_user_to_group")[0],
		"entity_management": mapped(t, "cloudtrail/pool_mfa_off")[0],
		"api_activity":      mapped(t, "auth0_log/fapi")[0],
		"base_event":        base,
	} {
		t.Run(name, func(t *testing.T) {
			got, err := json.MarshalIndent(post(t, event)[0], "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", name+".json")
			if *update {
				if err := os.WriteFile(file, append(got, '\n'), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)+"\n"); diff != "" {
				t.Errorf("record (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTimes(t *testing.T) {
	for name, test := range map[string]struct {
		millis int64
		want   uint64
	}{
		"a time":                 {sent.UnixMilli(), uint64(sent.UnixNano())},
		"of the year 1601":       {-11644473600000, 0},
		"unknown":                {0, 0},
		"beyond what OTLP holds": {253402300799999, 0},
	} {
		rec := post(t, schema.Event{Time: test.millis})[0]
		if rec.Time != test.want || rec.Observed != uint64(sent.UnixNano()) {
			t.Errorf("%s: got time %d, observed %d, want %d and %d", name, rec.Time, rec.Observed, test.want, sent.UnixNano())
		}
		if got := rec.Body.(map[string]any)["time"]; got != test.millis {
			t.Errorf("%s: the body's time is %v, want %d", name, got, test.millis)
		}
	}
}

// TestInvalidText: Go's protobuf refuses a whole message for one such byte.
func TestInvalidText(t *testing.T) {
	rec := post(t, schema.Event{
		Message: "a\xffb", Severity: "\xc3", Metadata: schema.Metadata{UID: "\xed\xa0\x80", Labels: []string{"\xfe"}},
		User: &schema.UserObject{UID: "u\x80"}, Unmapped: map[string]string{"k\xff": "v\xff"},
	})[0]
	body := rec.Body.(map[string]any)
	want := map[string]any{"k\uFFFD_0": "v\uFFFD"}
	if diff := cmp.Diff(want, body["unmapped"]); diff != "" || body["message"] != "a\uFFFDb" || rec.Attributes["user.id"] != "u\uFFFD" {
		t.Errorf("got %v", rec)
	}
}

// TestKeysThatBecomeOne: two keys that differ in bytes that are no text.
func TestKeysThatBecomeOne(t *testing.T) {
	rec := post(t, schema.Event{Unmapped: map[string]string{"k\xff": "1", "k\xfe": "2", "a": "3"}})[0]
	if got := rec.Body.(map[string]any)["unmapped"].(map[string]any); len(got) != 3 || got["a"] != "3" {
		t.Errorf("got %v", got)
	}
}

func TestSlimmed(t *testing.T) {
	small, large := loadtest.Event(1, sent), loadtest.Event(2, sent)
	large.RawData = strings.Repeat("x", 1_000_000)
	huge := large
	huge.RawData, huge.Message = "", large.RawData // nothing to leave out
	p := protocol(t, fake.NewOTLP(fake.OTLPOptions{}))
	for name, test := range map[string]struct {
		event schema.Event
		want  stream.Mark
	}{
		"small": {small, stream.Mark{}}, "large": {large, stream.Mark{Slimmed: true}}, "huge": {huge, stream.Mark{}},
	} {
		_, mark, err := p.Append(nil, &test.event, sent)
		if mark != test.want || err != nil {
			t.Errorf("%s: got mark %+v, error %v, want %+v", name, mark, err, test.want)
		}
		rec := post(t, test.event)[0]
		_, whole := rec.Body.(map[string]any)["raw_data"]
		if slimmed := rec.Attributes["ocsf.slimmed"] == true; slimmed != test.want.Slimmed || whole != (name == "small") {
			t.Errorf("%s: slimmed %v, raw record %v", name, slimmed, whole)
		}
		if name == "large" && len(test.event.RawData) != 1_000_000 {
			t.Error("the event itself was changed")
		}
	}
}

// TestSameBytes: an event sent again is the same but for when it was observed.
func TestSameBytes(t *testing.T) {
	p := protocol(t, fake.NewOTLP(fake.OTLPOptions{}))
	for _, e := range mapped(t, "*/*") {
		first, _, _ := p.Append(nil, &e, sent)
		again, _, _ := p.Append([]byte("before"), &e, sent)
		if !bytes.Equal(append([]byte("before"), first...), again) {
			t.Fatalf("event %s is encoded in two ways", e.Metadata.UID)
		}
	}
}

func TestWhoActed(t *testing.T) {
	user := func(id string) *schema.UserObject { return &schema.UserObject{UID: id} }
	for name, test := range map[string]struct {
		event schema.Event
		want  any
	}{
		"a sign-in":              {schema.Event{ClassUID: schema.ClassAuthentication, User: user("u"), Actor: &schema.Actor{User: user("a")}}, "u"},
		"a change by an admin":   {schema.Event{ClassUID: schema.ClassAccountChange, User: user("u"), Actor: &schema.Actor{User: user("a")}}, "a"},
		"a change by oneself":    {schema.Event{ClassUID: schema.ClassAccountChange, User: user("u"), Actor: &schema.Actor{}}, "u"},
		"a sign-in of an actor":  {schema.Event{ClassUID: schema.ClassAuthentication, Actor: &schema.Actor{User: user("a")}}, "a"},
		"nobody that is known":   {schema.Event{ClassUID: schema.ClassAPIActivity}, nil},
		"the actor's session, …": {schema.Event{Actor: &schema.Actor{Session: &schema.Session{UID: "s"}, User: user("a")}}, "a"},
	} {
		if got := post(t, test.event)[0].Attributes["user.id"]; got != test.want {
			t.Errorf("%s: got user.id %v, want %v", name, got, test.want)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	p, err := otlp.NewProtocol(otlp.Options{URL: "https://otel.example"})
	if err != nil {
		b.Fatal(err)
	}
	e := loadtest.Event(1, sent)
	body, _, _ := p.Append(nil, &e, sent)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		body, _, _ = p.Append(body[:0], &e, sent)
	}
}

package schema_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/idtrail/idtrail/load/loadtest"
	"github.com/idtrail/idtrail/schema"
)

// An event in which every field is set tells of a field that is forgotten.
func TestAppendJSONIsWhole(t *testing.T) {
	var full schema.Event
	loadtest.Fill(&full, 1)
	odd := schema.Event{
		TimeDT: time.Date(2026, 1, 2, 3, 4, 5, 6_000_000, time.UTC), Message: "a\x00\x1f\"\\\n\r\t\u2028é\xff\xc3(",
		Metadata: schema.Metadata{Product: schema.Product{Feature: &schema.Feature{}}},
		API:      &schema.API{}, Actor: &schema.Actor{User: &schema.UserObject{}}, Unmapped: map[string]string{"": "<&>"},
		Count: new(int32(0)), IsMFA: new(false), Privileges: []string{""}, Resources: []schema.ResourceDetails{{}},
		SrcEndpoint: &schema.NetworkEndpoint{Location: &schema.Location{Lat: new(38.0), Long: new(-0.5)}},
		RawData:     `{"a":"b"}`,
	}
	for name, e := range map[string]*schema.Event{"full": &full, "zero": {}, "odd": &odd} {
		wantAsJSON(t, name, e)
	}
}

func TestAppendJSONOfGoldenEvents(t *testing.T) {
	files, err := filepath.Glob("../transform/testdata/*/*.out.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden events: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var golden struct{ Events []*schema.Event }
		if err := json.Unmarshal(data, &golden); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, e := range golden.Events {
			wantAsJSON(t, file, e)
		}
	}
}

// wantAsJSON compares with encoding/json, which sorts members that shadow
// others, the two of a location, differently: such bytes are compared as values.
func wantAsJSON(t *testing.T, name string, e *schema.Event) {
	t.Helper()
	var want bytes.Buffer
	enc := json.NewEncoder(&want)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		t.Fatal(err)
	}
	got := e.AppendJSON([]byte("before"))
	got, ok := bytes.CutPrefix(got, []byte("before"))
	if !ok {
		t.Errorf("%s: what was there before is lost", name)
	}
	if diff := cmp.Diff(value(t, want.Bytes()), value(t, got)); diff != "" {
		t.Errorf("%s: (-encoding/json +AppendJSON)\n%s", name, diff)
	}
	if again := e.AppendJSON(nil); !bytes.Equal(again, got) {
		t.Errorf("%s: other bytes the second time", name)
	}
}

// Each text stands at every place within the words it is looked at by.
func TestAppendJSONText(t *testing.T) {
	texts := []string{"", "plain text of more than a word or two", "äöü € 日本語 😀 é"}
	for c := range 256 {
		texts = append(texts, string([]byte{byte(c)}), string(rune(c)), string([]byte{'"', byte(c), '\\', byte(c), 0xE2, 0x82}))
	}
	for _, text := range texts {
		for before := range 18 {
			s := strings.Repeat("-", before) + text + strings.Repeat("~", before%9)
			var want string
			if err := json.Unmarshal(schema.AppendJSONText(nil, s), &want); err != nil {
				t.Fatalf("%q: %v", s, err)
			}
			if valid := string([]rune(s)); want != valid {
				t.Errorf("%q reads %q", s, want)
			}
			// Without room, and with what lies behind it in use.
			room := append(make([]byte, 0, 200), "before"...)
			if got := schema.AppendJSONText(room, s); string(got) != "before"+string(schema.AppendJSONText(nil, s)) {
				t.Errorf("%q is %q behind other text", s, got)
			}
		}
	}
}

func value(t *testing.T, text []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

func BenchmarkAppendJSON(b *testing.B) {
	e := loadtest.Event(1, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	var room []byte
	b.ReportAllocs()
	for b.Loop() {
		room = e.AppendJSON(room[:0])
	}
	b.SetBytes(int64(len(room)))
}

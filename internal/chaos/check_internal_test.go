package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/idtrail/idtrail/internal/segment"
	"github.com/idtrail/idtrail/schema"
)

// A check that finds nothing has to be one that could.

// writeChain writes segments of these records, as the program does.
func writeChain(t *testing.T, dir string, segments ...[]string) {
	t.Helper()
	prev := ""
	for i, lines := range segments {
		var b segment.Builder
		for _, line := range lines {
			b.Add(schema.KindAuth0Log, []byte(line), time.Time{})
		}
		file, hash, err := b.Encode(&segment.Header{Source: "acme", Seq: int64(i), Prev: prev})
		if err != nil {
			t.Fatal(err)
		}
		prev = hash
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(segment.Key("acme", int64(i)))), file, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReadChain(t *testing.T) {
	one, two := []string{`{"log_id":"1"}`}, []string{`{"log_id":"2"}`, `{"log_id":"3"}`}
	for _, tt := range []struct {
		name  string
		spoil func(t *testing.T, dir string)
		want  string
	}{
		{"whole", func(*testing.T, string) {}, ""},
		{"a segment gone", func(t *testing.T, dir string) { t.Helper(); remove(t, dir, "000000000001.ndjson.zst") }, "chain is broken"},
		{"another's segment", func(t *testing.T, dir string) {
			t.Helper()
			other := t.TempDir()
			writeChain(t, other, nil, two, one)
			swap(t, dir, other, "000000000002.ndjson.zst")
		}, "chain is broken"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			writeChain(t, dir, nil, one, two)
			tt.spoil(t, dir)
			c, err := readChain(dir)
			if got := message(err); !strings.Contains(got, tt.want) || (got == "") != (tt.want == "") {
				t.Fatalf("got %q, want %q", got, tt.want)
			}
			if err == nil && (len(c.records) != 3 || c.segments != 3) {
				t.Errorf("%d records in %d segments, want 3 in 3", len(c.records), c.segments)
			}
		})
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func remove(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

func swap(t *testing.T, dir, other, name string) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(other, name))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name), content, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestCheckRecords(t *testing.T) {
	given := map[string]string{"1": `{"log_id": "1"}`, "2": `{"log_id":"2"}`}
	for _, tt := range []struct {
		name   string
		landed []string
		want   string
	}{
		{"all once", []string{`{"log_id":"1"}`, `{"log_id":"2"}`}, ""},
		{"one lost", []string{`{"log_id":"1"}`}, "lost in raw"},
		{"one twice", []string{`{"log_id":"1"}`, `{"log_id":"2"}`, `{"log_id":"2"}`}, "doubled in raw"},
		{"one altered", []string{`{"log_id":"1"}`, `{"log_id":"2","a":1}`}, "altered in raw"},
		{"one made up", []string{`{"log_id":"1"}`, `{"log_id":"2"}`, `{"log_id":"3"}`}, "made up in raw"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := &world{truth: newTruth()}
			for id, line := range given {
				w.truth.record("acme", id, []byte(line))
			}
			c := &chain{}
			for _, line := range tt.landed {
				c.records = append(c.records, landed{line: []byte(line)})
			}
			var wrong wrongs
			w.checkRecords("acme", c, &wrong)
			wantOnly(t, &wrong, tt.want)
		})
	}
}

func wantOnly(t *testing.T, wrong *wrongs, want string) {
	t.Helper()
	if want == "" && len(wrong.n) != 0 || want != "" && (len(wrong.n) != 1 || wrong.n[want] != 1) {
		t.Errorf("got %v, want %q once", wrong.n, want)
	}
}

func TestCheckSnapshots(t *testing.T) {
	begin := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name   string
		landed []string
		want   string
	}{
		{"all once", []string{"a", "b"}, ""},
		{"the youngest not yet", []string{"a"}, ""},
		{"one lost", []string{"b"}, "lost in raw"},
		{"one twice", []string{"a", "a"}, "doubled in raw"},
		{"one made up", []string{"a", "c"}, "made up in raw"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := &world{truth: newTruth()}
			w.truth.user("acme_users", "a", begin.Add(-time.Hour))
			w.truth.user("acme_users", "b", begin)
			c := &chain{complete: map[string][2]time.Time{"s": {begin, begin}}}
			for _, id := range tt.landed {
				c.records = append(c.records, landed{line: []byte(`{"user":{"user_id":"` + id + `"}}`), snapshot: "s"})
			}
			var wrong wrongs
			w.checkSnapshots("acme_users", c, &wrong)
			wantOnly(t, &wrong, tt.want)
		})
	}
}

func TestCompare(t *testing.T) {
	for _, tt := range []struct {
		name string
		got  map[string]int
		want string
	}{
		{"the same", map[string]int{"a": 1, "b": 2}, ""},
		{"one row less", map[string]int{"a": 1, "b": 1}, "lost in lake"},
		{"one row more", map[string]int{"a": 2, "b": 2}, "doubled in lake"},
		{"one nobody asked for", map[string]int{"a": 1, "b": 2, "c": 1}, "made up in lake"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var wrong wrongs
			compare("events", tt.got, map[string]int{"a": 1, "b": 2}, &wrong)
			wantOnly(t, &wrong, tt.want)
		})
	}
}

func TestHeldIn(t *testing.T) {
	report, err := json.Marshal(map[string]any{"sources": []any{
		map[string]any{"source": "a"}, map[string]any{"source": "b", "held": true}, map[string]any{"source": "c", "held": true},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if got := heldIn(report); got != "b, c" {
		t.Errorf("held: %q, want b and c", got)
	}
	if got := heldIn(bytes.TrimPrefix(report, []byte("{"))); got != "" {
		t.Errorf("of no report: %q", got)
	}
}

func TestMayRepeat(t *testing.T) {
	s := &sent{largest: 10, answers: 2, kills: 3, forgotten: 5}
	if got := s.mayRepeat(4); got != 2*10+3*4*10+5 {
		t.Errorf("%d may be there twice", got)
	}
}

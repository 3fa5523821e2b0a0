package extracttest

import (
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/schema"
)

func checkPages(t *testing.T, h Harness, whole reading) {
	seen := map[string]bool{}
	done := map[string]bool{}
	for i, p := range whole.pages {
		if p.Next == "" {
			t.Errorf("page %d: Next is empty: that is the start", i)
		}
		if p.Filtered < 0 {
			t.Errorf("page %d: Filtered is %d", i, p.Filtered)
		}
		for _, rec := range p.Records {
			checkRecord(t, rec)
		}
		for _, in := range p.Done {
			checkInput(t, done, in)
		}
	}
	for _, id := range whole.ids() {
		if seen[id] && !h.Repeats {
			t.Errorf("id %s comes twice", id)
		}
		seen[id] = true
	}
	checkWanted(t, h, whole)
}

func checkRecord(t *testing.T, rec schema.Raw) {
	t.Helper()
	switch {
	case rec.Kind == "":
		t.Errorf("record %.80q has no kind", rec.Bytes)
	case rec.Fault != "":
		if rec.ID != "" {
			t.Errorf("faulty record %.80q has the id %s", rec.Bytes, rec.ID)
		}
	case !json.Valid(rec.Bytes):
		t.Errorf("record %.80q is no JSON value and has no fault", rec.Bytes)
	case rec.ID != rec.Kind.ID(rec.Bytes):
		t.Errorf("record %.80q: got id %q, want %q", rec.Bytes, rec.ID, rec.Kind.ID(rec.Bytes))
	case !rec.Time.Equal(rec.Kind.Time(rec.Bytes)):
		t.Errorf("record %.80q: got time %v, want %v", rec.Bytes, rec.Time, rec.Kind.Time(rec.Bytes))
	}
}

func checkInput(t *testing.T, done map[string]bool, in extract.Input) {
	t.Helper()
	if in.Key == "" || done[in.Key] {
		t.Errorf("input %q is done twice, or has no key", in.Key)
	}
	done[in.Key] = true
	if b, err := hex.DecodeString(in.SHA256); err != nil || len(b) != 32 {
		t.Errorf("input %q: SHA256 is %q", in.Key, in.SHA256)
	}
	if in.Records < 0 || in.Size < 0 {
		t.Errorf("input %q: %d records, size %d", in.Key, in.Records, in.Size)
	}
}

func checkWanted(t *testing.T, h Harness, whole reading) {
	if h.Want == nil {
		return
	}
	var got []string
	for _, p := range whole.pages {
		for _, rec := range p.Records {
			got = append(got, rec.ID)
		}
	}
	want := slices.Sorted(slices.Values(h.Want))
	slices.Sort(got)
	if h.Repeats {
		got, want = slices.Compact(got), slices.Compact(want)
	}
	sameList(t, "ids of the whole", got, want)
}

// checkSnapshots holds every page to its snapshot: one beginning, one run of
// pages, complete on the last of them and only there.
func checkSnapshots(t *testing.T, whole reading) {
	var open *schema.Snapshot
	over := map[string]bool{}
	for i, p := range whole.pages {
		s := p.Snapshot
		if (s == nil) != (whole.pages[0].Snapshot == nil) {
			t.Fatalf("page %d: some pages have a snapshot and some have none", i)
		}
		if s == nil {
			continue
		}
		checkSnapshot(t, s)
		if open != nil && open.ID != s.ID {
			over[open.ID] = true
		}
		if over[s.ID] {
			t.Errorf("page %d: snapshot %s goes on behind its end", i, s.ID)
		}
		if open != nil && open.ID == s.ID && !open.Begin.Equal(s.Begin) {
			t.Errorf("page %d: snapshot %s began %v, now %v", i, s.ID, open.Begin, s.Begin)
		}
		over[s.ID] = over[s.ID] || s.Complete
		open = s
	}
	if open != nil && !open.Complete && !faulty(whole) {
		t.Errorf("the reading ended without an error, but its snapshot %s is not complete", open.ID)
	}
}

func checkSnapshot(t *testing.T, s *schema.Snapshot) {
	t.Helper()
	begin := s.Begin.UTC().Format("20060102T150405Z")
	if s.ID != begin && !strings.HasPrefix(s.ID, begin+"-") {
		t.Errorf("snapshot %q does not bear its beginning %s", s.ID, begin)
	}
	if s.Complete && (s.End.Before(s.Begin) || len(s.Counts) == 0) {
		t.Errorf("complete snapshot %s: end %v, counts %v", s.ID, s.End, s.Counts)
	}
	if !s.Complete && !s.End.IsZero() {
		t.Errorf("snapshot %s has the end %v, but is not complete", s.ID, s.End)
	}
}

// sameSnapshots compares how the snapshots of a resumed reading ended.
func sameSnapshots(t *testing.T, page int, got, want reading) {
	t.Helper()
	g, w := last(got), last(want)
	if g == nil || w == nil {
		return
	}
	if g.ID != w.ID || !g.Begin.Equal(w.Begin) || g.Complete != w.Complete {
		t.Errorf("resume behind page %d: snapshot ends as %+v, want %+v", page, g, w)
	}
	for name, n := range w.Counts {
		if g.Counts[name] != n {
			t.Errorf("resume behind page %d: snapshot counts %d %s, want %d", page, g.Counts[name], name, n)
		}
	}
}

func last(r reading) *schema.Snapshot {
	if len(r.pages) == 0 {
		return nil
	}
	return r.pages[len(r.pages)-1].Snapshot
}

func faulty(r reading) bool {
	for _, p := range r.pages {
		for _, in := range p.Done {
			if in.Fault != "" {
				return true
			}
		}
	}
	return false
}

func set(ids []string) map[string]bool {
	m := make(map[string]bool, len(ids))
	for _, id := range ids {
		m[id] = true
	}
	return m
}

func contains(t *testing.T, what string, all, part map[string]bool) {
	t.Helper()
	for id := range part {
		if !all[id] {
			t.Errorf("%s lacks %s", what, id)
			return
		}
	}
}

func sameList(t *testing.T, what string, got, want []string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Errorf("%s: %d elements, want %d; they differ at %d: got %s, want %s",
				what, len(got), len(want), i, at(got, i), at(want, i))
			return
		}
	}
}

func at(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return "nothing"
}

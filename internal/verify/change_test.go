package verify_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/internal/proof"
	"github.com/idtrail/idtrail/internal/verify"
)

// change makes a change of the healthy site's source acme, in the way its name
// says.
func change(t *testing.T, s *site, kind string) error {
	t.Helper()
	src := (&feed{name: "acme"}).source()
	var err error
	switch kind {
	case proof.Prune:
		s.now = s.now.Add(40 * 24 * time.Hour)
		old := s.now.Add(-40*24*time.Hour - 90*time.Minute)
		_, err = s.pipeline().Prune(t.Context(), src, pipeline.PruneOptions{RawBefore: old, LakeBefore: begin.AddDate(0, 0, 1), Reason: "kept for a day"})
	case proof.Erase:
		_, err = s.pipeline().Erase(t.Context(), src, pipeline.EraseOptions{Names: []string{"auth0|7"}, Key: []byte("0123456789abcdef0123456789abcdef"), Reason: "asked for"})
	}
	return err
}

// What was changed on purpose is explained by its signed record, before a
// checkpoint names it and after; without that record it is as wrong as any
// other alteration.
func TestChangesAreExplained(t *testing.T) {
	for _, kind := range []string{proof.Prune, proof.Erase} {
		t.Run(kind, func(t *testing.T) {
			s := fill(t)
			if err := change(t, s, kind); err != nil {
				t.Fatal(err)
			}
			o := s.options(t)
			o.Deep = true
			r := wantHealthy(t, o)
			i := slices.IndexFunc(r.Sources[0].Changes, func(c verify.ChangeSummary) bool { return c.Kind == kind && c.Signed })
			if i < 0 || kind == proof.Erase && r.Sources[0].Erased == 0 || kind == proof.Prune && r.Sources[0].Segments > 11 {
				t.Errorf("%+v", r.Sources[0])
			}
			acme := &feed{name: "acme"}
			for i := range 22 {
				acme.pages = append(acme.pages, logPage(i*20, 20))
			}
			if err := s.run(t.Context(), acme); err != nil {
				t.Fatal(err)
			}
			wantHealthy(t, o)

			var notes []string
			for _, key := range keys(t, s.lake, proof.Prefix("acme")) {
				if strings.Contains(key, "/"+kind) {
					notes = append(notes, key)
				}
			}
			forged := s.copied(t)
			for _, key := range notes {
				put(t, forged.lake, key, []byte(textOf(t, s, key)+"\n"))
			}
			remove(t, forged.lake, keys(t, forged.lake, proof.Prefix("acme"))[4]) // the checkpoint that names them
			of := forged.options(t)
			got := judge(t, of).Findings
			if !slices.ContainsFunc(got, func(f verify.Finding) bool { return f.Class == verify.Unsigned && f.Object == notes[0] }) {
				t.Errorf("a record that is not signed: %+v", got)
			}
			if !slices.ContainsFunc(got, func(f verify.Finding) bool { return strings.HasPrefix(f.Object, "acme/") }) {
				t.Errorf("what it tells of is believed: %+v", got)
			}
		})
	}
}

// A change that dies at any step leaves nothing that looks wrong.
func TestChangesCutOff(t *testing.T) {
	base := fill(t)
	for _, kind := range []string{proof.Prune, proof.Erase} {
		every := int64(5)
		if testing.Short() {
			every = 37
		}
		for at := int64(1); ; at += every {
			s := clone(t, base)
			m := mortal{steps: newCounter(), until: at}
			raw, lakeStore := s.raw, s.lake
			s.raw, s.lake = m.store(raw), m.store(lakeStore)
			err := change(t, s, kind)
			s.raw, s.lake = raw, lakeStore
			o := s.options(t)
			o.Deep = true
			wantHealthy(t, o)
			if t.Failed() {
				t.Fatalf("%s dead at step %d: %v", kind, at, err)
			}
			if err == nil {
				break
			}
			if !errors.Is(err, errDead) {
				t.Fatal(err)
			}
		}
	}
}

package verify_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/blob/blobtest"
	"github.com/idtrail/idtrail/internal/proof"
	"github.com/idtrail/idtrail/internal/segment"
	"github.com/idtrail/idtrail/internal/verify"
	"github.com/idtrail/idtrail/load/lake"
	"github.com/idtrail/idtrail/schema"
)

var errDead = errors.New("the process is dead")

// mortal is a store that does nothing more once a number of steps were taken: a
// step is each call before it is made, and after.
type mortal struct {
	steps *atomic.Int64
	until int64
}

func newCounter() *atomic.Int64 { return new(atomic.Int64) }

func (m mortal) step(string, string) error {
	if n := m.steps.Add(1); m.until > 0 && n >= m.until {
		return errDead
	}
	return nil
}

func (m mortal) store(s blob.Store) blob.Store {
	return &blobtest.Faulty{Store: s, Before: m.step, After: m.step}
}

// At no moment of a run is anything wrong: whatever step it dies at, what is
// there is healthy, with what is pending; and so it is after the next run.
func TestHealthyAtEveryStep(t *testing.T) {
	first := &feed{name: "acme"}
	for i := range 4 {
		first.pages = append(first.pages, logPage(i*20, 20))
	}
	first.pages[1].Gaps = []schema.Gap{{From: begin, To: begin.Add(time.Hour), Reason: "gone"}}
	grown := &feed{name: "acme", pages: append(first.pages[:4:4], logPage(80, 20), logPage(100, 20))}
	run := func(s *site, f *feed, until int64) int64 {
		m := mortal{steps: newCounter(), until: until}
		raw, lakeStore := s.raw, s.lake
		s.raw, s.lake = m.store(raw), m.store(lakeStore)
		err := s.run(t.Context(), f)
		s.raw, s.lake = raw, lakeStore
		if err != nil && until == 0 {
			t.Fatal(err)
		}
		return m.steps.Load()
	}
	base := newSite(t, blobtest.NewMemory(), blobtest.NewMemory())
	run(base, first, 0)
	steps := run(clone(t, base), grown, 0)
	every := int64(1)
	if testing.Short() {
		every = 7
	}
	t.Logf("a run has %d steps", steps)
	for at := int64(1); at <= steps; at += every {
		s := clone(t, base)
		run(s, grown, at)
		r := wantHealthy(t, s.options(t))
		if at%3 == 0 {
			if err := os.RemoveAll(s.dir); err != nil {
				t.Fatal(err)
			}
		}
		run(s, grown, 0)
		o := s.options(t)
		o.Deep = true
		after := wantHealthy(t, o)
		if t.Failed() {
			t.Fatalf("dead at step %d: %+v", at, r.Sources)
		}
		if a := after.Sources[0]; a.Records != 120 || a.Sinks[0].Pending != 0 || a.Proven != a.Segments {
			t.Fatalf("after death at step %d: %+v", at, a)
		}
	}
}

// clone copies a site with its state.
func clone(t *testing.T, s *site) *site {
	t.Helper()
	c := s.copied(t)
	c.dir = t.TempDir()
	if err := os.CopyFS(c.dir, os.DirFS(s.dir)); err != nil {
		t.Fatal(err)
	}
	return c
}

// A run that goes on beside a verification makes nothing look wrong.
func TestVerifyBesideARun(t *testing.T) {
	s := fill(t)
	acme := &feed{name: "acme"}
	for i := range 22 {
		acme.pages = append(acme.pages, logPage(i*20, 20))
	}
	o := s.options(t)
	once := true
	o.Lake = &blobtest.Faulty{Store: s.lake, Before: func(op, key string) error {
		// All is listed, and the objects are about to be.
		if op == blobtest.OpList && strings.HasPrefix(key, "events/") && once {
			once = false
			return s.run(t.Context(), acme)
		}
		return nil
	}}
	o.Sources = []string{"acme"}
	if r := wantHealthy(t, o); once || r.Sources[0].Records != 440 {
		t.Errorf("%d records, want those of the run beside it, too", r.Sources[0].Records)
	}
}

// What cannot be read is no verdict.
func TestUnreadable(t *testing.T) {
	broken := errors.New("input/output error")
	s := fill(t)
	for name, key := range map[string]string{"segment": seg(3), "note": proof.Key("acme", 2), "flush record": lake.RecordKey("lake", "acme", 0), "object": keys(t, s.lake, "events/")[0]} {
		fail := func(op, k string) error {
			if op == blobtest.OpGet && k == key {
				return broken
			}
			return nil
		}
		o := s.options(t)
		o.Raw, o.Lake = &blobtest.Faulty{Store: s.raw, Before: fail}, &blobtest.Faulty{Store: s.lake, Before: fail}
		r, err := verify.Run(t.Context(), o)
		if !errors.Is(err, verify.ErrIncomplete) || !errors.Is(err, broken) || !strings.Contains(err.Error(), key) || !r.Incomplete {
			t.Errorf("%s: got %v, incomplete %v", name, err, r.Incomplete)
		}
		if name == "object" && len(r.Findings) > 0 {
			t.Errorf("%s: findings %+v", name, r.Findings)
		}
	}
	o := s.options(t)
	o.Raw = &blobtest.Faulty{Store: s.raw, Before: func(op, _ string) error {
		if op == blobtest.OpList {
			return broken
		}
		return nil
	}}
	if _, err := verify.Run(t.Context(), o); !errors.Is(err, broken) {
		t.Errorf("raw that cannot be listed: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := verify.Run(ctx, s.options(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// A lake from before there was a key is proven by the first checkpoint that is
// signed; one that nobody ever signed is healthy where nobody asks for it.
func TestKeysThatCameLater(t *testing.T) {
	s := newSite(t, blobtest.NewMemory(), blobtest.NewMemory())
	signer := s.signer
	acme := &feed{name: "acme"}
	for i := range 3 {
		acme.pages = append(acme.pages, logPage(i*20, 20))
		s.signer = proof.Signer{}
		if i == 2 {
			o := s.options(t)
			wantFindings(t, judge(t, o).Findings, one(verify.Unsigned, proof.Key("acme", 2), "nor does any"))
			o.HaveKeys = false
			if r := wantHealthy(t, o); r.Sources[0].Unsigned != 2 || r.Keyed {
				t.Errorf("without keys: %+v", r.Sources[0])
			}
			s.signer = signer
		}
		if err := s.run(t.Context(), acme); err != nil {
			t.Fatal(err)
		}
	}
	if r := wantHealthy(t, s.options(t)); r.Sources[0].Unsigned != 2 || r.Sources[0].Signed != 1 || r.Sources[0].Proven != r.Sources[0].Segments {
		t.Errorf("with a key from the third on: %+v", r.Sources[0])
	}
	key := proof.Key("acme", 1)
	text := strings.Replace(string(get(t, s.lake, key)), "totals 20", "totals 21", 1)
	put(t, s.lake, key, []byte(text))
	wantFindings(t, judge(t, s.options(t)).Findings, one(verify.Altered, key, "checkpoint 2 names"))
}

// Segments that no checkpoint lists are proven by themselves and by each other.
func TestWithoutCheckpoints(t *testing.T) {
	healthy := fill(t)
	remove(t, healthy.lake, keys(t, healthy.lake, "manifests/")...)
	wantHealthy(t, healthy.options(t))
	for name, c := range map[string]struct {
		do   func(s *site)
		want want
	}{
		"body":    {func(s *site) { b := get(t, s.raw, seg(3)); put(t, s.raw, seg(3), flip(b, len(b)-20)) }, want{verify.Altered, seg(3), ""}},
		"missing": {func(s *site) { remove(t, s.raw, seg(3)) }, want{verify.Missing, seg(3), "segment 4 is"}},
		"forged":  {func(s *site) { put(t, s.raw, seg(3), forge(t, s, 3, nil)) }, want{verify.Altered, seg(4), "does not name segment 3"}},
		"last":    {func(s *site) { all := keys(t, s.raw, "acme/"); remove(t, s.raw, all[len(all)-1]) }, want{verify.Truncated, seg(int64(len(keys(t, healthy.raw, "acme/")) - 1)), "a flush record"}},
		"flush":   {func(s *site) { remove(t, s.lake, keys(t, s.lake, "flushes/lake/acme/")[3]) }, want{verify.Missing, keys(t, healthy.lake, "flushes/lake/acme/")[3], "objects of this flush"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := healthy.copied(t)
			c.do(s)
			got := judge(t, s.options(t)).Findings
			if name == "flush" { // of two sinks that name objects by ranges, nobody knows whose they are
				got = got[:min(1, len(got))]
			}
			wantFindings(t, got, []want{c.want})
		})
	}
}

// Records landed twice are found by a deep verification, however many there are.
func TestDoubledRecords(t *testing.T) {
	for _, limit := range []int{1 << 20, 7} {
		s := fill(t)
		all := keys(t, s.raw, "acme/")
		last, err := segment.Read(t.Context(), s.raw, "acme", int64(len(all)-1))
		if err != nil {
			t.Fatal(err)
		}
		h := last.Header
		h.Seq, h.Prev, h.Snapshot = h.Seq+1, last.SHA256, nil
		var b segment.Builder
		again, err := segment.Read(t.Context(), s.raw, "acme", 2)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for rec := range again.Records() {
			b.Add(rec.Kind, rec.Line, rec.Kind.Time(rec.Line))
			n++
		}
		file, _, err := b.Encode(&h)
		if err != nil {
			t.Fatal(err)
		}
		put(t, s.raw, seg(h.Seq), file)
		o := s.options(t)
		wantHealthy(t, o)
		o.Deep, o.IDsInMemory = true, limit
		wantFindings(t, judge(t, o).Findings, one(verify.Doubled, seg(h.Seq), fmt.Sprintf("record 0 was landed before, as record 0 of segment 2, and %d more", n-1)))
	}
}

func TestAnchors(t *testing.T) {
	hash := strings.Repeat("ab", 32)
	list, err := verify.ReadAnchors(strings.NewReader("# heads\n\nacme 12 " + hash + "\n acme checkpoint 3 " + strings.ToUpper(hash) + "\n"))
	heads := []verify.Anchor{{Source: "acme", Seq: 12, SHA256: hash}, {Source: "acme", Seq: 3, Checkpoint: true, SHA256: hash}}
	if err != nil || len(list) != 2 || list[0] != heads[0] || list[1] != heads[1] {
		t.Errorf("got %+v, %v", list, err)
	}
	for _, bad := range []string{"", "acme 12", "acme x " + hash, "acme -1 " + hash, "acme 12 " + hash[1:], "acme 12 " + hash + " more", "acme note 3 " + hash} {
		if a, err := verify.ParseAnchor(bad); err == nil {
			t.Errorf("%q was read as %+v", bad, a)
		}
	}
	s := fill(t)
	o := s.options(t)
	o.Anchors = []verify.Anchor{{Source: "acme", Seq: 3, SHA256: hash}, {Source: "acme", Seq: 2, Checkpoint: true, SHA256: hash}, {Source: "gone", Seq: 5, SHA256: hash}}
	wantFindings(t, judge(t, o).Findings, []want{
		{verify.Altered, seg(3), "the anchor names"},
		{verify.Altered, proof.Key("acme", 2), "the anchor names"},
		{verify.Truncated, segment.Key("gone", 0), "there is no segment at all"},
	})
}

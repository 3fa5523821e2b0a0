package pipeline_test

import (
	"bytes"
	"database/sql"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/internal/segment"
)

// holds says in which objects of a store a text stands, segments unpacked.
func (d *dying) rawHolds(text string) (found bool) {
	d.t.Helper()
	for seq, err := range segment.List(d.t.Context(), d.rawUnder, "acme", 0) {
		if err != nil {
			d.t.Fatal(err)
		}
		seg, err := segment.Read(d.t.Context(), d.rawUnder, "acme", seq)
		if err != nil {
			d.t.Fatal(err)
		}
		for rec := range seg.Records() {
			found = found || strings.Contains(string(rec.Line), text)
		}
	}
	return found
}

func (d *dying) lakeHolds(id string) (n int) {
	for _, e := range d.events("lake") {
		if e.Actor != nil && e.Actor.User != nil && e.Actor.User.UID == id || e.User != nil && e.User.UID == id {
			n++
		}
	}
	return n
}

func keysOf(t *testing.T, s blob.Store, prefix string) (keys []string) {
	t.Helper()
	for info, err := range s.List(t.Context(), prefix, "") {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, info.Key)
	}
	return keys
}

var seven = pipeline.EraseOptions{Names: []string{"auth0|7", "u7@example.com"}, Key: []byte("a key"), Reason: "asked for"}

func TestErase(t *testing.T) {
	d, src, m, got := replayed(t)
	m.mended = false
	m.odd = "never"
	if _, err := d.pipeline().Replay(t.Context(), src, pipeline.ReplayOptions{}); err != nil {
		t.Fatal(err)
	}
	if !d.rawHolds(`"auth0|7"`) || d.lakeHolds("auth0|7") == 0 {
		t.Fatal("the person is not there")
	}
	dry := seven
	dry.DryRun = true
	if rep, err := d.pipeline().Erase(t.Context(), src, dry); err != nil || rep.Records != oddOnes || !d.rawHolds(`"auth0|7"`) {
		t.Fatalf("dry: %+v, %v", rep, err)
	}
	rep, err := d.pipeline().Erase(t.Context(), src, seven)
	if err != nil || rep.Records != oddOnes || rep.Flushes != 4 || len(rep.Notes) != 1 {
		t.Fatalf("got %+v, %v", rep, err)
	}
	d.wantErased(src, got)
	if again, err := d.pipeline().Erase(t.Context(), src, seven); err != nil || again.Records != 0 || len(again.Notes) != 0 {
		t.Errorf("a second erasure: %+v, %v", again, err)
	}
}

func (d *dying) wantErased(src pipeline.Source, got *receiver) {
	d.t.Helper()
	d.live(0)
	before := len(got.got)
	d.mustRunSource(src)
	if len(got.got) != before {
		d.t.Errorf("the receiver was given %d more", len(got.got)-before)
	}
	if d.rawHolds("auth0|7\"") || d.rawHolds("u7@example.com") || d.lakeHolds("auth0|7") != 0 {
		d.t.Error("the person is still there")
	}
	if n := len(d.events("lake")); n != 240-oddOnes {
		d.t.Errorf("the lake has %d events, want %d", n, 240-oddOnes)
	}
	if left := keysOf(d.t, d.lakeUnder, "staged/"); len(left) > 0 {
		d.t.Errorf("left aside: %v", left)
	}
	for _, key := range keysOf(d.t, d.lakeUnder, "manifests/") {
		body, _, err := d.lakeUnder.Get(d.t.Context(), key)
		if err != nil {
			d.t.Fatal(err)
		}
		if text, _ := io.ReadAll(body); bytes.Contains(text, []byte("auth0|7")) || bytes.Contains(text, []byte("auth0%7C7")) {
			d.t.Errorf("%s names the person", key)
		}
	}
	s, err := d.pipeline().Status(d.t.Context(), []pipeline.Source{src})
	if err != nil {
		d.t.Fatal(err)
	}
	for _, k := range s[0].Sinks[:2] {
		if k.Tally.Records != 240-oddOnes || k.Tally.Events != 240-oddOnes || k.Tally.FannedOut != 0 {
			d.t.Errorf("sink %s counts %+v", k.Sink, k.Tally)
		}
	}
	d.wantWhole()
}

// Killed anywhere, an erasure that was written down is finished by the next run,
// which does not know whom it was for, also where the state is lost; one that
// was not leaves all as it was.
func TestEraseKilled(t *testing.T) {
	for _, lose := range []bool{false, true} {
		steps, every := int64(2), int64(7)
		if testing.Short() {
			every = 41
		}
		for at := int64(1); at <= steps; at += every {
			d, src, _, got := replayed(t)
			d.live(0)
			if _, err := d.pipeline().Replay(t.Context(), src, pipeline.ReplayOptions{}); err != nil {
				t.Fatal(err)
			}
			d.live(0)
			if at == 1 {
				if _, err := d.pipeline().Erase(t.Context(), src, seven); err != nil {
					t.Fatal(err)
				}
				steps = d.n.Load()
				continue
			}
			d.live(at)
			_, _ = d.pipeline().Erase(t.Context(), src, seven)
			d.live(0)
			if lose {
				if err := os.RemoveAll(d.dir); err != nil {
					t.Fatal(err)
				}
			}
			noted := false
			for _, key := range keysOf(t, d.lakeUnder, "manifests/acme/erase-") {
				noted = noted || key != ""
			}
			d.mustRunSource(src)
			if !noted {
				if _, err := d.pipeline().Erase(t.Context(), src, seven); err != nil {
					t.Fatal(err)
				}
			}
			d.wantErased(src, got)
			if t.Failed() {
				t.Fatalf("killed at step %d of %d, state lost: %v, noted: %v", at, steps, lose, noted)
			}
		}
	}
}

func TestErasedRecordsAreNotLandedAgain(t *testing.T) {
	d, src, _, _ := replayed(t)
	if _, err := d.pipeline().Erase(t.Context(), src, seven); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(d.dir); err != nil {
		t.Fatal(err)
	}
	back := d.source(&script{name: "acme", pages: logPages(8, 30), back: 8})
	if rep := d.mustRunSource(back); rep.Landed != 0 || rep.Repeated != 240 {
		t.Errorf("landed %d, repeated %d, want all 240 to be known", rep.Landed, rep.Repeated)
	}
}

func TestEraseRefusesShortNames(t *testing.T) {
	d, src, _, _ := replayed(t)
	_, err := d.pipeline().Erase(t.Context(), src, pipeline.EraseOptions{Names: []string{"7"}, Key: []byte("k")})
	wantError(t, err, nil, "fewer")
	if rep, err := d.pipeline().Erase(t.Context(), src, pipeline.EraseOptions{Names: []string{"auth0|"}, Key: []byte("k"), DryRun: true}); err != nil || rep.Records != 0 {
		t.Errorf("a part of an id: %+v, %v", rep, err)
	}
}

func TestPrune(t *testing.T) {
	for i := range 4 {
		lose, copied := i%2 > 0, i/2 > 0
		d, src, m, got := replayed(t)
		if copied {
			d.forgetHashes(`seq < (SELECT max(seq) FROM segment)`)
		}
		m.odd = "never"
		d.clock.skip(60 * 24 * time.Hour)
		segments := len(keysOf(t, d.rawUnder, "acme/"))
		o := pipeline.PruneOptions{RawBefore: d.clock.Now().Add(-31 * 24 * time.Hour), LakeBefore: day0.AddDate(0, 0, 1), Reason: "older than 31 days"}
		dry := o
		dry.DryRun = true
		rep, err := d.pipeline().Prune(t.Context(), src, dry)
		if err != nil || rep.Segments != int64(segments-2) || len(keysOf(t, d.rawUnder, "acme/")) != segments {
			t.Fatalf("dry: %+v, %v; %d segments", rep, err, segments)
		}
		rep, err = d.pipeline().Prune(t.Context(), src, o)
		if err != nil || rep.Segments != int64(segments-2) || rep.Objects == 0 || len(rep.Notes) != 3 {
			t.Fatalf("got %+v, %v", rep, err)
		}
		// Segment 0, the newest, and the one that carries the cursor on.
		if left := keysOf(t, d.rawUnder, "acme/"); len(left) > 3 {
			t.Errorf("left in raw: %v", left)
		}
		for _, e := range d.events("lake") {
			if e.TimeDT.Before(day0.Truncate(24*time.Hour).AddDate(0, 0, 1)) {
				t.Fatal("an old event is left in the lake")
			}
		}
		if lose {
			if err := os.RemoveAll(d.dir); err != nil {
				t.Fatal(err)
			}
		}
		before := len(got.got)
		src.Open = d.source(&script{name: "acme", pages: logPages(9, 30)}).Open
		if rep := d.mustRunSource(src); rep.Landed != 30 {
			t.Errorf("state lost %v: landed %d, want the 30 that are new", lose, rep.Landed)
		}
		if n := len(got.got) - before; n < 30 {
			t.Errorf("the receiver got %d, want the 30", n)
		}
		d.wantWhole()
	}
}

// forgetHashes makes the state as one that was made from a copy, in which those
// of old segments do not stand.
func (r *rig) forgetHashes(where string) {
	r.t.Helper()
	db, err := sql.Open("sqlite3", filepath.Join(r.dir, "acme.db"))
	if err != nil {
		r.t.Fatal(err)
	}
	_, err = db.ExecContext(r.t.Context(), `UPDATE segment SET sha256 = '', file_sha256 = '' WHERE `+where)
	if err := errors.Join(err, db.Close()); err != nil {
		r.t.Fatal(err)
	}
}

// What is gone already is not listed as pruned: nobody knows what it was.
func TestPruneOfWhatIsGone(t *testing.T) {
	d, src, _, _ := replayed(t)
	d.forgetHashes(`seq < (SELECT max(seq) FROM segment)`)
	d.clock.skip(60 * 24 * time.Hour)
	keys := keysOf(t, d.rawUnder, "acme/")
	if err := d.rawUnder.Delete(t.Context(), keys[2]); err != nil {
		t.Fatal(err)
	}
	rep, err := d.pipeline().Prune(t.Context(), src, pipeline.PruneOptions{RawBefore: d.clock.Now().Add(-31 * 24 * time.Hour)})
	if err != nil || rep.Segments != int64(len(keys)-3) {
		t.Errorf("got %+v, %v; want all pruned but segment 0, the newest, and the one that is gone", rep, err)
	}
}

func TestPruneKeepsWhatASinkLacks(t *testing.T) {
	d, src, _, _ := replayed(t)
	d.clock.skip(60 * 24 * time.Hour)
	d.sinks = append(d.sinks, (&receiver{name: "new"}).sink())
	segments := len(keysOf(t, d.rawUnder, "acme/"))
	rep, err := d.pipeline().Prune(t.Context(), src, pipeline.PruneOptions{RawBefore: d.clock.Now().Add(-31 * 24 * time.Hour)})
	if err != nil || rep.Segments != 0 || !strings.Contains(rep.Kept, "new") || len(keysOf(t, d.rawUnder, "acme/")) != segments {
		t.Errorf("got %+v, %v; want nothing pruned for the new sink", rep, err)
	}
	_, err = d.pipeline().Prune(t.Context(), src, pipeline.PruneOptions{RawBefore: d.clock.Now()})
	wantError(t, err, nil, "30 days")
}

// Killed anywhere, the chain is accepted by the next run, and the next pruning
// ends it.
func TestPruneKilled(t *testing.T) {
	for _, lose := range []bool{false, true} {
		steps, every := int64(2), int64(4)
		if testing.Short() {
			every = 29
		}
		for at := int64(1); at <= steps; at += every {
			d, src, m, _ := replayed(t)
			m.odd = "never"
			d.clock.skip(60 * 24 * time.Hour)
			o := pipeline.PruneOptions{RawBefore: d.clock.Now().Add(-31 * 24 * time.Hour), LakeBefore: day0.AddDate(0, 0, 1)}
			d.live(0)
			if at == 1 {
				if _, err := d.pipeline().Prune(t.Context(), src, o); err != nil {
					t.Fatal(err)
				}
				steps = d.n.Load()
				continue
			}
			d.live(at)
			_, _ = d.pipeline().Prune(t.Context(), src, o)
			d.live(0)
			if lose {
				if err := os.RemoveAll(d.dir); err != nil {
					t.Fatal(err)
				}
			}
			if rep := d.mustRunSource(src); rep.Landed != 0 {
				t.Errorf("landed %d again", rep.Landed)
			}
			if _, err := d.pipeline().Prune(t.Context(), src, o); err != nil {
				t.Errorf("the next pruning: %v", err)
			}
			if left := keysOf(t, d.rawUnder, "acme/"); len(left) > 4 {
				t.Errorf("left in raw: %v", left)
			}
			d.wantWhole()
			if t.Failed() {
				t.Fatalf("killed at step %d of %d, state lost: %v", at, steps, lose)
			}
		}
	}
}

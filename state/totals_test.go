package state_test

import (
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/state"
)

// Totals are those of the segments, whatever came in which order, and also where
// an older program indexed the first of them.
func TestTotalsAreThoseOfAllSegments(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	silent := landed(1)
	silent.Records, silent.Bytes = 3, 30 // whose records state no times
	past := landed(4, "e")
	past.Stream, past.First, past.Last, past.LandedAt = "past", t0.Add(-time.Hour), t0.Add(-time.Minute), t0
	commit(t, d, landed(0), silent, landed(2, "a", "b"), landed(3, "c"), past, landed(5))
	want := state.Totals{
		Segments: 6, Records: 7, Bytes: 430, First: t0.Add(-time.Hour), Last: t0.Add(3 * time.Hour), Landed: t0.Add(5 * time.Hour),
	}
	wantTotals(t, d, want)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	toFormatThree(t, dir)
	d = open(t, dir)
	wantTotals(t, d, want)
	commit(t, d, landed(6, "d"))
	want.Segments, want.Records, want.Bytes = 7, 8, 530
	want.Last, want.Landed = t0.Add(6*time.Hour), t0.Add(6*time.Hour)
	wantTotals(t, d, want)
}

func wantTotals(t *testing.T, d *state.DB, want state.Totals) {
	t.Helper()
	if got, err := d.Totals(t.Context()); err != nil || got != want {
		t.Errorf("totals %+v, %v\nwant %+v", got, err, want)
	}
	streams, err := d.Streams(t.Context())
	main := want.Last
	if err != nil || len(streams) != 2 || !streams["main"].Equal(main) || !streams["past"].Equal(t0.Add(-time.Minute)) {
		t.Errorf("streams %v, %v", streams, err)
	}
}

// toFormatThree makes the state file one that knows no totals.
func toFormatThree(t *testing.T, dir string) {
	t.Helper()
	db, err := sql.Open("sqlite3", filepath.Join(dir, "acme.db"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.ExecContext(t.Context(), `DROP TABLE total; DROP INDEX snapshot_last; PRAGMA user_version = 3`)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

// Notices that every sink was given are forgotten but for the newest; one that a
// sink was not given yet is not.
func TestNoticesThatWereToldAreForgotten(t *testing.T) {
	d := open(t, t.TempDir())
	ctx := t.Context()
	told := func(upto int64, sinks ...string) {
		t.Helper()
		for _, sink := range sinks {
			if err := d.Move(ctx, state.Delivery{Sink: sink + state.NoticeSuffix, Upto: schema.Position{Record: upto}, At: t0}); err != nil {
				t.Fatal(err)
			}
		}
	}
	n := 0
	add := func(more int) {
		t.Helper()
		for range more {
			n++
			if _, err := d.AddNotices(ctx, schema.Event{Time: t0.UnixMilli(), Metadata: schema.Metadata{UID: fmt.Sprint("n", n)}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	kept := func(want int64) {
		t.Helper()
		if p, err := d.PendingNotices(ctx, 0); err != nil || p.Kept != want || p.Next != int64(n)+1 {
			t.Errorf("after %d: kept %d of them, next %d, %v; want %d", n, p.Kept, p.Next, err, want)
		}
	}
	add(700)
	kept(700) // there is no sink yet
	told(701, "a")
	told(650, "b")
	add(1)
	kept(500)
	told(702, "a")
	add(600)
	kept(1301 - 649) // b is to be given the 650th
	if p, err := d.PendingNotices(ctx, 650); err != nil || p.Lost != 0 || p.Kept != 652 {
		t.Errorf("pending of b: %+v, %v", p, err)
	}
	told(1302, "a", "b")
	add(1)
	kept(500)
}

package state_test

import (
	"database/sql"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/state"
)

func TestTheLastCheckpointIsRemembered(t *testing.T) {
	d := open(t, t.TempDir())
	if c, ok, err := d.Checkpoint(t.Context()); ok || err != nil {
		t.Errorf("before the first: %+v %v", c, err)
	}
	for _, want := range []state.Checkpoint{
		{Number: 1, SHA256: "a", Head: 4},
		{Number: 2, SHA256: "b", Head: 9, Flushed: map[string]int64{"lake": 8, "json": 3}},
	} {
		if err := d.SetCheckpoint(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		if got, ok, err := d.Checkpoint(t.Context()); !ok || err != nil || !cmp.Equal(got, want) {
			t.Errorf("got %+v %v %v, want %+v", got, ok, err, want)
		}
	}
}

func TestSegmentsAndGapsForACheckpoint(t *testing.T) {
	d := open(t, t.TempDir())
	gap := schema.Gap{Stream: "main", From: t0, To: t0.Add(time.Hour), Reason: "lost", DeclaredAt: t0}
	two := landed(2, "b")
	two.File, two.Gaps = "file2", []schema.Gap{gap, gap}
	commit(t, d, landed(0), landed(1, "a"), two)
	if err := d.SetFile(t.Context(), 1, "file1"); err != nil {
		t.Fatal(err)
	}
	got, err := d.Segments(t.Context(), 1, 9)
	want := []state.SegmentRow{
		{Seq: 1, Stream: "main", SHA256: "hash1", File: "file1", Records: 1, Bytes: 100},
		{Seq: 2, Stream: "main", SHA256: "hash2", File: "file2", Records: 1, Bytes: 100, Gaps: 2},
	}
	if err != nil || !cmp.Equal(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
	gaps, err := d.GapsFrom(t.Context(), 2, 9)
	if err != nil || len(gaps) != 2 || gaps[1].N != 1 || gaps[1].Segment != 2 || gaps[1].Reason != "lost" || gaps[1].Source != "acme" {
		t.Errorf("gaps %+v, %v", gaps, err)
	}
	if gaps, err := d.GapsFrom(t.Context(), 3, 9); err != nil || len(gaps) != 0 {
		t.Errorf("gaps from 3: %+v, %v", gaps, err)
	}
}

func TestRecordsToBeGivenAgain(t *testing.T) {
	d := open(t, t.TempDir())
	at := func(segment, record int64) schema.Position { return schema.Position{Segment: segment, Record: record} }
	for range 2 { // the second adds nothing
		if err := d.AddAgain(t.Context(), at(1, 5), at(2, 0), at(1, 5)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := d.Again(t.Context(), 1, 9)
	if want := []state.Again{{ID: 1, At: at(1, 5)}, {ID: 2, At: at(2, 0)}}; err != nil || !cmp.Equal(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if err := d.ForgetAgain(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	if next, err := d.NextAgain(t.Context()); err != nil || next != 3 {
		t.Errorf("next %d, %v; ids are used once", next, err)
	}
	if got, err := d.Again(t.Context(), 1, 9); err != nil || len(got) != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestAFlushIsOpenUntilThePositionHasPassed(t *testing.T) {
	d := open(t, t.TempDir())
	if err := d.BeginFlush(t.Context(), state.OpenFlush{Sink: "lake", From: 2, To: 5}); err != nil {
		t.Fatal(err)
	}
	testFlushes(t, d, 4, 1)
	testFlushes(t, d, 5, 0)
}

func testFlushes(t *testing.T, d *state.DB, upto int64, want int) {
	t.Helper()
	if err := d.Move(t.Context(), state.Delivery{Sink: "lake", Upto: schema.Position{Segment: upto}, At: t0}); err != nil {
		t.Fatal(err)
	}
	if s, err := d.Summary(t.Context()); err != nil || len(s.Flushes) != want {
		t.Errorf("at %d: %+v, %v; want %d", upto, s.Flushes, err, want)
	}
}

// A file that an older program made knows no hashes of files.
func TestSegmentsOfAnOlderFile(t *testing.T) {
	dir := t.TempDir()
	formatOne(t, dir)
	db, err := sql.Open("sqlite3", filepath.Join(dir, "acme.db"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.ExecContext(t.Context(), `
		INSERT INTO segment (seq, stream, sha256, records, bytes, landed_ms, gaps) VALUES (7, 'main', 'h', 1, 2, 3, 0);
		INSERT INTO stream VALUES ('main', 'c7')`)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	d := open(t, dir)
	if rows, err := d.Segments(t.Context(), 0, 9); err != nil || len(rows) != 1 || rows[0].File != "" {
		t.Errorf("got %+v, %v", rows, err)
	}
	commit(t, d, landed(8))
	if cursor, _, err := d.Cursor(t.Context(), "main"); err != nil || cursor != "cursor8" {
		t.Errorf("cursor %q, %v", cursor, err)
	}
}

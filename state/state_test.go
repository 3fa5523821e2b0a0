package state_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/state"
)

var t0 = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func open(t *testing.T, dir string) *state.DB {
	t.Helper()
	d, err := state.Local(dir).Open(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func landed(seq int64, ids ...string) state.Landed {
	l := state.Landed{
		Seq: seq, SHA256: fmt.Sprint("hash", seq), Stream: "main", Cursor: fmt.Sprint("cursor", seq),
		Records: int64(len(ids)), Bytes: int64(len(ids)) * 100, LandedAt: t0.Add(time.Duration(seq) * time.Hour),
	}
	for _, id := range ids {
		l.Seen = append(l.Seen, state.Seen{ID: state.NewSeenID("", id), Event: l.LandedAt})
		l.First, l.Last = l.LandedAt, l.LandedAt
	}
	return l
}

func commit(t *testing.T, d *state.DB, ls ...state.Landed) {
	t.Helper()
	for _, l := range ls {
		if err := d.Commit(t.Context(), l); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCommitIsWholeOrNothing(t *testing.T) {
	d := open(t, t.TempDir())
	commit(t, d, landed(0), landed(1, "a", "b"))
	bad := landed(1, "c") // the number is taken
	bad.Cursor = "too far"
	if err := d.Commit(t.Context(), bad); err == nil || !strings.Contains(err.Error(), "segment 1 of acme") {
		t.Fatalf("got %v, want an error that names the segment", err)
	}
	cursor, ok, err := d.Cursor(t.Context(), "main")
	if err != nil || !ok || cursor != "cursor1" {
		t.Errorf("cursor %q %v %v, want cursor1", cursor, ok, err)
	}
	if known := mustKnow(t, d, "a", "b", "c"); len(known) != 2 || known[state.NewSeenID("", "c")] {
		t.Errorf("known: %v, want a and b", known)
	}
	seq, hash, ok, err := d.Head(t.Context())
	if seq != 1 || hash != "hash1" || !ok || err != nil {
		t.Errorf("head %d %q %v %v", seq, hash, ok, err)
	}
}

func mustKnow(t *testing.T, d *state.DB, ids ...string) map[state.SeenID]bool {
	t.Helper()
	var keys []state.SeenID
	for _, id := range ids {
		keys = append(keys, state.NewSeenID("", id))
	}
	known, err := d.Known(t.Context(), keys)
	if err != nil {
		t.Fatal(err)
	}
	return known
}

func TestKnownTakesManyIDs(t *testing.T) {
	d := open(t, t.TempDir())
	var ids []string
	for i := range 1203 {
		ids = append(ids, fmt.Sprint(i))
	}
	commit(t, d, landed(0, ids[:1000]...))
	if got := len(mustKnow(t, d, ids...)); got != 1000 {
		t.Errorf("%d known, want 1000", got)
	}
	if got := len(mustKnow(t, d)); got != 0 {
		t.Errorf("%d known of none", got)
	}
}

func TestIDsAreKeptAsLongAsSomeoneMayReadBack(t *testing.T) {
	d := open(t, t.TempDir())
	late := landed(2, "late") // landed long ago, but happened lately
	late.LandedAt, late.Seen[0].Event = t0, t0.Add(49*time.Hour)
	commit(t, d, landed(1, "old"), late, landed(50, "new"))
	if err := d.ForgetSeen(t.Context(), 2*time.Hour); err != nil {
		t.Fatal(err)
	}
	known := mustKnow(t, d, "old", "late", "new")
	if known[state.NewSeenID("", "old")] || !known[state.NewSeenID("", "late")] || !known[state.NewSeenID("", "new")] {
		t.Errorf("known: %v, want late and new only", known)
	}
}

func TestACompleteSnapshotForgetsItsIDs(t *testing.T) {
	d := open(t, t.TempDir())
	part := landed(1, "u1")
	part.Snapshot = &schema.Snapshot{ID: "s", Begin: t0}
	last := landed(2, "u2")
	last.Snapshot = &schema.Snapshot{ID: "s", Begin: t0, End: t0, Complete: true, Counts: map[string]int64{"users": 2}}
	commit(t, d, part)
	if len(mustKnow(t, d, "u1")) != 1 {
		t.Error("ids of a snapshot under way are not known")
	}
	commit(t, d, last)
	if got := mustKnow(t, d, "u1", "u2"); len(got) != 0 {
		t.Errorf("known after the end: %v", got)
	}
	snaps, err := d.Snapshots(t.Context(), true, 5)
	if err != nil || len(snaps) != 1 || snaps[0].FirstSeq != 1 || snaps[0].LastSeq != 2 || snaps[0].Counts["users"] != 2 {
		t.Errorf("snapshots: %+v, %v", snaps, err)
	}
}

func TestInputsAreReplacedByTheirKey(t *testing.T) {
	d := open(t, t.TempDir())
	one := landed(0)
	one.Inputs = []schema.Input{{Key: "f", SHA256: "1", Size: 1, Version: "a", Fault: "cut off"}}
	two := landed(1)
	two.Inputs = []schema.Input{{Key: "f", SHA256: "2", Size: 2, Version: "b", Records: 9}}
	commit(t, d, one)
	if faults, err := d.Faults(t.Context(), 5); err != nil || len(faults) != 1 || faults[0].Fault != "cut off" {
		t.Errorf("faults %+v, %v", faults, err)
	}
	commit(t, d, two)
	in, ok, err := d.Finished(t.Context(), "f")
	if err != nil || !ok || in != two.Inputs[0] {
		t.Errorf("got %+v %v %v, want %+v", in, ok, err, two.Inputs[0])
	}
	if _, ok, err := d.Finished(t.Context(), "other"); ok || err != nil {
		t.Errorf("an input never read: %v %v", ok, err)
	}
}

func TestPositionsAndWhatIsPending(t *testing.T) {
	d := open(t, t.TempDir())
	gap := landed(3)
	gap.Gaps = []schema.Gap{{Stream: "main", From: t0, To: t0.Add(time.Hour), Reason: "lost", DeclaredAt: t0}}
	commit(t, d, landed(0), landed(1, "a", "b", "c"), landed(2, "d"), gap)
	move := func(at schema.Position, tally state.Tally) {
		t.Helper()
		if err := d.Move(t.Context(), state.Delivery{Sink: "lake", Upto: at, At: t0, Tally: tally, Rejected: []schema.Reject{{Segment: at.Segment, Record: at.Record, Reason: "odd"}}}); err != nil {
			t.Fatal(err)
		}
	}
	want := func(records, segments, gaps int64) {
		t.Helper()
		pos, err := d.Position(t.Context(), "lake")
		if err != nil {
			t.Fatal(err)
		}
		p, err := d.Pending(t.Context(), pos.Next)
		if err != nil || p.Records != records || p.Segments != segments || p.Gaps != gaps {
			t.Errorf("at %v: %+v, %v; want %d records, %d segments, %d gaps", pos.Next, p, err, records, segments, gaps)
		}
	}
	want(4, 3, 1)
	move(schema.Position{Segment: 1, Record: 2}, state.Tally{Records: 2, Events: 3, FannedOut: 1})
	want(2, 3, 1)
	move(schema.Position{Segment: 4}, state.Tally{Records: 2, Rejected: 1, Events: 1})
	want(0, 0, 0)
	pos, err := d.Position(t.Context(), "lake")
	if err != nil || pos.Tally != (state.Tally{Records: 4, Rejected: 1, Events: 4, FannedOut: 1}) || pos.Tally.Mapped() != 3 {
		t.Errorf("tally %+v, %v", pos.Tally, err)
	}
	rejects, err := d.Rejects(t.Context(), 10)
	if err != nil || len(rejects) != 2 || rejects[0].Segment != 4 {
		t.Errorf("rejects %+v, %v; want the newest first", rejects, err)
	}
}

func TestRangesAreBoundedByBytes(t *testing.T) {
	d := open(t, t.TempDir())
	commit(t, d, landed(0), landed(1, "a"), landed(2, "b", "c"), landed(3, "d"))
	for _, tt := range []struct{ from, bytes, want int64 }{
		{0, 1 << 20, 4}, {0, 100, 2}, {0, 300, 3}, {2, 100, 3}, {2, 0, 3}, {4, 100, 4},
	} {
		if end, err := d.EndWithin(t.Context(), tt.from, tt.bytes); err != nil || end != tt.want {
			t.Errorf("from %d within %d bytes: %d, %v; want %d", tt.from, tt.bytes, end, err, tt.want)
		}
	}
	if n, err := d.Records(t.Context(), 1, 3); n != 3 || err != nil {
		t.Errorf("records of 1 to 2: %d, %v; want 3", n, err)
	}
}

func TestRunsAreRemembered(t *testing.T) {
	d := open(t, t.TempDir())
	first := state.Run{Started: t0, Ended: t0.Add(time.Minute), Read: 9, Landed: 7, Repeated: 1, Filtered: 1, Drained: true}
	failed := state.Run{Started: t0.Add(time.Hour), Ended: t0.Add(time.Hour), Error: "down"}
	for _, r := range []state.Run{first, failed} {
		if err := d.AddRun(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	runs, err := d.Runs(t.Context(), 10)
	if err != nil || len(runs) != 2 || runs[0] != failed || runs[1] != first {
		t.Errorf("got %+v, %v", runs, err)
	}
	if at, err := d.LastDrain(t.Context()); err != nil || !at.Equal(first.Ended) {
		t.Errorf("last drain %v, %v; want %v", at, err, first.Ended)
	}
}

func TestOnlyOneHolds(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	if _, err := state.Local(dir).Open(t.Context(), "acme"); !errors.Is(err, state.ErrHeld) {
		t.Errorf("a second holder got %v, want ErrHeld", err)
	}
	r, err := state.Local(dir).OpenReader(t.Context(), "acme")
	if err != nil {
		t.Fatalf("a reader beside the holder: %v", err)
	}
	commit(t, d, landed(0))
	if _, _, ok, err := r.Head(t.Context()); !ok || err != nil {
		t.Errorf("the reader does not see what was committed: %v %v", ok, err)
	}
	if err := errors.Join(r.Close(), d.Close()); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
}

func TestUnusableStateFiles(t *testing.T) {
	tests := map[string]struct {
		harm func(t *testing.T, path string)
		is   error
		says string
	}{
		"newer": {func(t *testing.T, path string) {
			t.Helper()
			db, err := sql.Open("sqlite3", path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := db.ExecContext(t.Context(), fmt.Sprintf("PRAGMA user_version = %d", state.Format+1)); err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		}, state.ErrNewer, "reads up to"},
		"torn": {func(t *testing.T, path string) {
			t.Helper()
			if err := os.WriteFile(path, []byte(strings.Repeat("torn", 5000)), 0o600); err != nil {
				t.Fatal(err)
			}
		}, nil, "move"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := open(t, dir).Close(); err != nil {
				t.Fatal(err)
			}
			tt.harm(t, filepath.Join(dir, "acme.db"))
			for what, open := range map[string]func(context.Context, string) (*state.DB, error){"Open": state.Local(dir).Open, "OpenReader": state.Local(dir).OpenReader} {
				_, err := open(t.Context(), "acme")
				if err == nil || tt.is != nil && !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("%s: got %v, want one that says %q", what, err, tt.says)
				}
			}
		})
	}
	if _, err := state.Local(t.TempDir()).OpenReader(t.Context(), "acme"); !errors.Is(err, state.ErrNone) {
		t.Errorf("no state: got %v, want ErrNone", err)
	}
}

func TestPathsWithOddNames(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a b?c#d%20é")
	d := open(t, dir)
	commit(t, d, landed(0))
	if _, err := os.Stat(filepath.Join(dir, "acme.db")); err != nil {
		t.Error(err)
	}
}

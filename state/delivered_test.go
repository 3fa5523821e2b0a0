package state_test

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/state"
)

// formatOne makes a state file as the first version of this program did.
func formatOne(t *testing.T, dir string) {
	t.Helper()
	script, err := os.ReadFile("migrations/0001_init.sql")
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite3", filepath.Join(dir, "acme.db"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.ExecContext(t.Context(), string(script)+`;
		INSERT INTO position VALUES ('lake', 7, 3, 1000, 90, 2, 89, 0, 0, 1);
		INSERT INTO reject VALUES (5, 1, 'id', 'auth0_log', 'odd');
		PRAGMA user_version = 1`)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestAnOlderFileIsMigrated(t *testing.T) {
	for name, open := range map[string]func(t *testing.T, dir string) *state.DB{
		"by a run": open,
		"by a reader": func(t *testing.T, dir string) *state.DB {
			t.Helper()
			d, err := state.Local(dir).OpenReader(t.Context(), "acme")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = d.Close() })
			return d
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			formatOne(t, dir)
			d := open(t, dir)
			pos, known, err := d.Find(t.Context(), "lake")
			want := state.Position{
				Next: schema.Position{Segment: 7, Record: 3}, Delivered: time.UnixMilli(1000).UTC(),
				Tally: state.Tally{Records: 90, Rejected: 2, Events: 89, FannedOut: 1},
			}
			if err != nil || !known || pos != want {
				t.Errorf("got %+v %v %v, want %+v", pos, known, err, want)
			}
			if rejects, err := d.Rejects(t.Context(), 5); err != nil || len(rejects) != 1 || rejects[0].Reason != "odd" {
				t.Errorf("rejects %+v, %v", rejects, err)
			}
			if err := d.Move(t.Context(), state.Delivery{Sink: "lake", Upto: schema.Position{Segment: 8}, At: t0, Note: "n"}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAHeldOlderFileIsNotTouchedByAReader(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	db, err := sql.Open("sqlite3", filepath.Join(dir, "acme.db"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.ExecContext(t.Context(), "PRAGMA user_version = 1")
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := state.Local(dir).OpenReader(t.Context(), "acme"); !errors.Is(err, state.ErrHeld) {
		t.Errorf("got %v, want ErrHeld", err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestWhatASinkHasUnderWay(t *testing.T) {
	d := open(t, t.TempDir())
	begun := schema.Position{Segment: 3, Record: 9}
	for _, at := range []schema.Position{begun, {}} { // the second changes nothing
		if err := d.Begin(t.Context(), "siem", at); err != nil {
			t.Fatal(err)
		}
	}
	want := state.Position{Next: begun}
	check := func() {
		t.Helper()
		pos, known, err := d.Find(t.Context(), "siem")
		if err != nil || !known || pos != want {
			t.Errorf("got %+v %v %v\nwant %+v", pos, known, err, want)
		}
	}
	check()
	move := func(v state.Delivery) {
		t.Helper()
		v.Sink = "siem"
		if err := d.Move(t.Context(), v); err != nil {
			t.Fatal(err)
		}
	}
	move(state.Delivery{Upto: begun, At: t0, Sent: state.Sent{Accepted: 5, Slimmed: 1}, Note: "asked", Waiting: true})
	want.Sent, want.Note, want.Waiting, want.LastSent = state.Sent{Accepted: 5, Slimmed: 1}, "asked", true, t0
	check()
	next := schema.Position{Segment: 4}
	move(state.Delivery{
		Upto: next, At: t0.Add(time.Minute), Sent: state.Sent{Acknowledged: 5, Filtered: 2, Rejected: 1}, Lost: 4,
		Tally:    state.Tally{Records: 7, Rejected: 1, Events: 7, FannedOut: 1},
		Rejected: []schema.Reject{{Segment: 3, Record: 10, Reason: "unmappable"}},
		Refused:  []schema.Reject{{Segment: 3, Record: 10, Reason: "refused"}},
	})
	want.Next, want.Delivered, want.Note, want.Waiting, want.Lost = next, t0.Add(time.Minute), "", false, 4
	want.Sent = state.Sent{Accepted: 5, Slimmed: 1, Acknowledged: 5, Filtered: 2, Rejected: 1}
	want.Tally = state.Tally{Records: 7, Rejected: 1, Events: 7, FannedOut: 1}
	check()
	rejects, err := d.Rejects(t.Context(), 9)
	if err != nil || len(rejects) != 1 || rejects[0].Reason != "unmappable" {
		t.Errorf("rejects %+v, %v", rejects, err)
	}
	refused, err := d.Refused(t.Context(), 9)
	if err != nil || len(refused) != 1 || refused[0].Reason != "refused" || refused[0].Sink != "siem" {
		t.Errorf("refused %+v, %v", refused, err)
	}
}

func TestHowADeliveryEnded(t *testing.T) {
	d := open(t, t.TempDir())
	steps := []struct {
		o    state.Outcome
		want state.Position
	}{
		{state.Outcome{At: t0, Error: "down"}, state.Position{LastError: "down", LastErrorAt: t0}},
		{state.Outcome{At: t0, CaughtUp: t0}, state.Position{CaughtUp: t0}},
		{state.Outcome{At: t0.Add(time.Hour)}, state.Position{CaughtUp: t0}}, // it left something
	}
	for i, s := range steps {
		s.o.Sink = "siem"
		if err := d.Conclude(t.Context(), s.o); err != nil {
			t.Fatal(err)
		}
		if pos, err := d.Position(t.Context(), "siem"); err != nil || pos != s.want {
			t.Errorf("step %d: got %+v, %v; want %+v", i, pos, err, s.want)
		}
	}
}

func TestSegmentsThatMayGiveEvents(t *testing.T) {
	d := open(t, t.TempDir())
	users := landed(2, "u")
	users.Snapshot = &schema.Snapshot{ID: "s", Begin: t0}
	lost := landed(4)
	lost.Gaps = []schema.Gap{{Stream: "main", From: t0, To: t0, Reason: "lost", DeclaredAt: t0}}
	timeless := landed(5, "c")
	timeless.First, timeless.Last = time.Time{}, time.Time{}
	commit(t, d, landed(0), landed(1, "a"), users, landed(3, "b"), lost, timeless)
	tests := []struct {
		from  int64
		since time.Time
		want  int64
		ok    bool
	}{
		{0, time.Time{}, 1, true},
		{2, time.Time{}, 3, true},
		{4, time.Time{}, 4, true},
		{6, time.Time{}, 0, false},
		{0, t0.Add(time.Hour), 1, true},
		{0, t0.Add(time.Hour + time.Millisecond), 3, true},
		{0, t0.Add(3*time.Hour + time.Millisecond), 4, true},
		{0, t0.Add(5 * time.Hour), 5, true},
		{0, t0.Add(6 * time.Hour), 0, false},
	}
	for _, tt := range tests {
		next := d.NextOfEvents
		got, ok, err := next(t.Context(), tt.from)
		if !tt.since.IsZero() {
			got, ok, err = d.NextSince(t.Context(), tt.from, tt.since)
		}
		if got != tt.want || ok != tt.ok || err != nil {
			t.Errorf("from %d since %v: got %d %v %v, want %d %v", tt.from, tt.since, got, ok, err, tt.want, tt.ok)
		}
	}
	p, err := d.PendingEvents(t.Context(), schema.Position{Segment: 2})
	if err != nil || p.Records != 2 || p.Segments != 3 || p.Gaps != 1 || !p.Oldest.Equal(t0.Add(3*time.Hour)) {
		t.Errorf("pending %+v, %v; want 2 records and a gap in 3 segments", p, err)
	}
}

func told(n int) schema.Event {
	at := t0.Add(time.Duration(n) * time.Second)
	return schema.Event{Time: at.UnixMilli(), TimeDT: at, Message: fmt.Sprint(n), Metadata: schema.Metadata{UID: fmt.Sprint("uid", n)}}
}

func TestNoticesAreNumberedWithoutHoles(t *testing.T) {
	d := open(t, t.TempDir())
	for i, events := range [][]schema.Event{{told(1), told(2)}, {told(2), told(1), told(3)}, {}} {
		first, err := d.AddNotices(t.Context(), events...)
		if want := []int64{1, 3, 4}[i]; err != nil || first != want {
			t.Errorf("first %d, %v; want %d", first, err, want)
		}
	}
	notices, err := d.Notices(t.Context(), 2, 10)
	if err != nil || len(notices) != 2 || notices[0].ID != 2 || notices[1].ID != 3 || notices[1].Event.Message != "3" {
		t.Errorf("got %+v, %v; want 2 and 3", notices, err)
	}
	p, err := d.PendingNotices(t.Context(), 2)
	if err != nil || p != (state.PendingNotices{Next: 4, Kept: 2, Oldest: t0.Add(2 * time.Second)}) {
		t.Errorf("pending %+v, %v", p, err)
	}
}

// What was forgotten before a sink was given it is counted.
func TestOldNoticesAreForgottenAndCounted(t *testing.T) {
	d := open(t, t.TempDir())
	events := make([]schema.Event, 10_005)
	for i := range events {
		events[i] = told(i)
	}
	if _, err := d.AddNotices(t.Context(), events...); err != nil {
		t.Fatal(err)
	}
	p, err := d.PendingNotices(t.Context(), 3)
	if err != nil || p.Kept != 10_000 || p.Lost != 3 || p.Next != 10_006 {
		t.Errorf("got %+v, %v; want 10000 kept, 3 to 5 lost", p, err)
	}
	if p, err := d.PendingNotices(t.Context(), 10_006); err != nil || p.Kept != 0 || p.Lost != 0 {
		t.Errorf("behind the last: %+v, %v", p, err)
	}
}

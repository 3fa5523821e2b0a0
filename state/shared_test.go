package state_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/blob/blobtest"
	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/state"
)

// host is a machine that shares states. Its clock is wrong by skew, and its
// network is cut by cut.
type host struct {
	state.Opener
	name string
	dir  string
	net  *blobtest.Faulty
	down atomic.Bool
}

func newHost(t *testing.T, store blob.Store, name string, skew time.Duration) *host {
	t.Helper()
	h := &host{name: name, dir: t.TempDir(), net: &blobtest.Faulty{Store: store}}
	h.net.Before = func(string, string) error {
		if h.down.Load() {
			return errCut
		}
		return nil
	}
	h.Opener = state.Shared(state.SharedOptions{
		Store: h.net, Dir: h.dir, Owner: state.Owner{Host: name, PID: 7},
		Now: func() time.Time { return time.Now().Add(skew) },
	})
	return h
}

func (h *host) cut(cut bool) { h.down.Store(cut) }

var errCut = errors.New("cable cut")

func (h *host) open(t *testing.T) *state.DB {
	t.Helper()
	d, err := h.Open(t.Context(), "acme")
	if err != nil {
		t.Fatalf("host %s: %v", h.name, err)
	}
	return d
}

func closeState(t *testing.T, d *state.DB) {
	t.Helper()
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

func move(t *testing.T, d *state.DB, segment int64) {
	t.Helper()
	err := d.Move(t.Context(), state.Delivery{Sink: "siem", Upto: schema.Position{Segment: segment}, At: t0, Note: "asked"})
	if err != nil {
		t.Fatal(err)
	}
}

func positionOf(t *testing.T, d *state.DB) int64 {
	t.Helper()
	p, err := d.Position(t.Context(), "siem")
	if err != nil {
		t.Fatal(err)
	}
	return p.Next.Segment
}

// published is what the store holds of the state.
func published(t *testing.T, o state.Opener) state.Shown {
	t.Helper()
	s, err := o.Show(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// bubble runs a test with a clock of its own, which the store goes by too.
func bubble(t *testing.T, test func(t *testing.T, store *blobtest.Memory)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, blobtest.NewMemoryAt(time.Now)) })
}

func TestOneOfSixteenHolds(t *testing.T) {
	store := blobtest.NewMemory()
	const hosts, rounds = 16, 6
	var holders, wins atomic.Int64
	var wg sync.WaitGroup
	for i := range hosts {
		h := newHost(t, store, fmt.Sprint("host", i), 0)
		wg.Go(func() {
			for range rounds {
				d, err := h.Open(t.Context(), "acme")
				if errors.Is(err, state.ErrHeld) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				if n := holders.Add(1); n != 1 {
					t.Errorf("%d hold the source", n)
				}
				wins.Add(1)
				if err := d.Fence(); err != nil {
					t.Error(err)
				}
				holders.Add(-1)
				if err := d.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	s := published(t, newHost(t, store, "last", 0))
	if wins.Load() == 0 || s.Holding.Generation != wins.Load() {
		t.Errorf("%d held it, %d generations", wins.Load(), s.Holding.Generation)
	}
}

// TestOneOfSixteenAtOnce: all find the lease free at the same moment.
func TestOneOfSixteenAtOnce(t *testing.T) {
	for name, prepare := range map[string]func(*testing.T, blob.Store){
		"none there": func(*testing.T, blob.Store) {},
		"let go of": func(t *testing.T, store blob.Store) {
			t.Helper()
			closeState(t, newHost(t, store, "before", 0).open(t))
		},
	} {
		t.Run(name, func(t *testing.T) {
			store := blobtest.NewMemory()
			prepare(t, store)
			const hosts = 16
			var read, wg sync.WaitGroup
			read.Add(hosts)
			won := make([]*state.DB, hosts)
			for i := range hosts {
				h := newHost(t, store, fmt.Sprint("host", i), 0)
				var once sync.Once
				h.net.After = func(op, _ string) error { // before any writes, all have read
					if op == blobtest.OpGet {
						once.Do(func() { read.Done(); read.Wait() })
					}
					return nil
				}
				h.net.Before = func(op, _ string) error { // a Get that finds nothing has no After
					if name == "none there" && op == blobtest.OpPutNew {
						once.Do(func() { read.Done(); read.Wait() })
					}
					return nil
				}
				wg.Go(func() {
					d, err := h.Open(t.Context(), "acme")
					if err != nil && !errors.Is(err, state.ErrHeld) {
						t.Error(err)
					}
					won[i] = d
				})
			}
			wg.Wait()
			won = slices.DeleteFunc(won, func(d *state.DB) bool { return d == nil })
			for _, d := range won {
				closeState(t, d)
			}
			if len(won) != 1 {
				t.Errorf("%d hold the source", len(won))
			}
		})
	}
}

func TestATakeoverWaitsAMinuteOfTheStore(t *testing.T) {
	for _, skew := range []time.Duration{0, 5 * time.Hour, -5 * time.Hour} {
		t.Run(skew.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T, store *blobtest.Memory) {
				a, b := newHost(t, store, "one", -skew), newHost(t, store, "two", skew)
				d := a.open(t)
				commit(t, d, landed(0))
				move(t, d, 1)
				time.Sleep(3 * time.Minute) // it is renewed
				if _, err := b.Open(t.Context(), "acme"); !errors.Is(err, state.ErrHeld) || !strings.Contains(err.Error(), "on one") {
					t.Fatalf("got %v, want ErrHeld by one", err)
				}
				a.cut(true)
				renewed := published(t, b).Holding.Renewed
				ctx, cancel := d.Context(t.Context())
				defer cancel()
				time.Sleep(time.Until(renewed.Add(60 * time.Second)))
				if _, err := b.Open(t.Context(), "acme"); !errors.Is(err, state.ErrHeld) {
					t.Fatalf("after a minute: got %v, want ErrHeld", err)
				}
				if err := d.Fence(); !errors.Is(err, state.ErrLost) || !errors.Is(context.Cause(ctx), state.ErrLost) {
					t.Errorf("the holder may still write: %v, %v", err, context.Cause(ctx))
				}
				time.Sleep(time.Second)
				d2 := b.open(t)
				if got := positionOf(t, d2); got != 1 {
					t.Errorf("position %d, want 1", got)
				}
				// The first comes back, and changes nothing.
				a.cut(false)
				move(t, d, 9)
				before := store.Objects()
				if err := d.Close(); !errors.Is(err, state.ErrLost) || !strings.Contains(err.Error(), "on two") {
					t.Errorf("got %v, want ErrLost to two", err)
				}
				if !equalObjects(before, store.Objects()) {
					t.Error("what lost its lease changed the store")
				}
				if err := d2.Fence(); err != nil {
					t.Error(err)
				}
				closeState(t, d2)
				if s := published(t, b); s.Holding.Generation != 2 || !s.Holding.Released || s.Positions[0].Next.Segment != 1 {
					t.Errorf("got %+v", s)
				}
			})
		})
	}
}

func equalObjects(a, b map[string][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for key, content := range a {
		if !bytes.Equal(content, b[key]) {
			return false
		}
	}
	return true
}

// TestTheFenceGoesByBothClocks: a wall clock that is set, and a machine that
// sleeps, do not make a lease longer.
func TestTheFenceGoesByBothClocks(t *testing.T) {
	tests := map[string]struct {
		wall, mono time.Duration
		lost       bool
	}{
		"in time":                     {39 * time.Second, 39 * time.Second, false},
		"neither":                     {41 * time.Second, 41 * time.Second, true},
		"asleep":                      {41 * time.Second, time.Second, true},
		"set back":                    {-3 * time.Hour, 41 * time.Second, true},
		"set back, and still in time": {-3 * time.Hour, 39 * time.Second, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, blobtest.NewMemory(), "one", 0)
			var passed atomic.Bool
			state.SetClock(h.Opener,
				func() time.Time {
					if passed.Load() {
						return t0.Add(tt.wall)
					}
					return t0
				},
				func() time.Duration {
					if passed.Load() {
						return tt.mono
					}
					return 0
				})
			d := h.open(t)
			if err := d.Fence(); err != nil {
				t.Error(err)
			}
			passed.Store(true)
			if err := d.Fence(); errors.Is(err, state.ErrLost) != tt.lost || (err == nil) == tt.lost {
				t.Errorf("got %v, want lost: %v", err, tt.lost)
			}
			// Nobody took it: what was done is published all the same.
			if err := d.Close(); errors.Is(err, state.ErrLost) != tt.lost || !published(t, h).Holding.Released {
				t.Errorf("got %v, %+v", err, published(t, h).Holding)
			}
		})
	}
}

func TestWhatMovedIsPublishedWithinFiveSeconds(t *testing.T) {
	bubble(t, func(t *testing.T, store *blobtest.Memory) {
		h := newHost(t, store, "one", 0)
		d := h.open(t)
		for n := range int64(4) {
			commit(t, d, landed(n))
			move(t, d, n+1)
			time.Sleep(5 * time.Second)
			s := published(t, h)
			want := fmt.Sprint("cursor", n)
			if s.Cursors["main"] != want || s.Positions[0].Next.Segment != n+1 || s.Positions[0].Note != "asked" || s.Head.Segment != n {
				t.Errorf("after 5 s: %+v, want segment %d", s.Summary, n)
			}
		}
		writes := published(t, h).Holding.Renewed
		time.Sleep(10 * time.Minute)
		if now := published(t, h).Holding.Renewed; now.Sub(writes) < 9*time.Minute+40*time.Second {
			t.Errorf("not renewed since %v", now)
		}
		closeState(t, d)
	})
}

// TestLostRequestsAndAnswers: whichever is lost, of whichever write, the holder
// finds out what holds, and nothing is written twice or lost.
func TestLostRequestsAndAnswers(t *testing.T) {
	for _, lost := range []string{"request", "answer"} {
		for _, op := range []string{blobtest.OpPutNew, blobtest.OpPutMatch, blobtest.OpGet} {
			for n := int64(1); n <= 8; n++ {
				t.Run(fmt.Sprint(lost, " of ", op, " ", n), func(t *testing.T) {
					bubble(t, func(t *testing.T, store *blobtest.Memory) { testLoss(t, store, lost, op, n) })
				})
			}
		}
	}
}

func testLoss(t *testing.T, store *blobtest.Memory, lost, op string, n int64) {
	t.Helper()
	h := newHost(t, store, "one", 0)
	var calls atomic.Int64
	fail := func(o, _ string) error {
		if o == op && calls.Add(1) == n {
			return errCut
		}
		return nil
	}
	if lost == "request" {
		h.net.Before = fail
	} else {
		h.net.After = fail
	}
	d, err := h.Open(t.Context(), "acme")
	if err != nil {
		// The first read or write of all: the next run does it, once the lease that
		// may have been taken is over.
		time.Sleep(61 * time.Second)
		d = h.open(t)
	}
	for n := range int64(3) {
		commit(t, d, landed(n))
		move(t, d, n+1)
		time.Sleep(20 * time.Second)
		if err := d.Fence(); err != nil {
			t.Fatal(err)
		}
	}
	closeState(t, d)
	s := published(t, newHost(t, store, "two", 0))
	if !s.Holding.Released || s.Positions[0].Next.Segment != 3 || s.Cursors["main"] != "cursor2" {
		t.Errorf("got %+v", s)
	}
	d = newHost(t, store, "two", 0).open(t)
	if got := positionOf(t, d); got != 3 {
		t.Errorf("position %d, want 3", got)
	}
	closeState(t, d)
}

// TestAHolderMayBeKilledAnywhere: after its n-th call it does nothing more. Then
// another machine takes over, and so does the same, with its disk.
func TestAHolderMayBeKilledAnywhere(t *testing.T) {
	for _, sameDisk := range []bool{false, true} {
		for n := int64(1); ; n++ {
			reached := false
			t.Run(fmt.Sprint("same disk ", sameDisk, " call ", n), func(t *testing.T) {
				bubble(t, func(t *testing.T, store *blobtest.Memory) { reached = testKill(t, store, n, sameDisk) })
			})
			if !reached {
				break
			}
		}
	}
}

func testKill(t *testing.T, store *blobtest.Memory, n int64, sameDisk bool) (reached bool) {
	t.Helper()
	first := newHost(t, store, "zero", 0) // some copies are there already
	for i := range int64(2) {
		d := first.open(t)
		commit(t, d, landed(i))
		move(t, d, i+1)
		closeState(t, d)
	}
	a := newHost(t, store, "one", 0)
	var calls atomic.Int64
	dead := func(string, string) error {
		if calls.Load() >= n {
			return errCut
		}
		return nil
	}
	a.net.Before = dead
	a.net.After = func(op, key string) error { calls.Add(1); return dead(op, key) }
	told := int64(2) // a position that was published before
	if d, err := a.Open(t.Context(), "acme"); err == nil {
		for i := int64(2); i < 4; i++ {
			commit(t, d, landed(i))
			move(t, d, i+1)
			time.Sleep(6 * time.Second)
			if calls.Load() < n {
				told = i + 1
			}
		}
		if d.Close() == nil {
			told = 4
		}
	}
	reached = calls.Load() >= n
	time.Sleep(61 * time.Second)
	b := newHost(t, store, "two", 0)
	if sameDisk {
		b.Opener = state.Shared(state.SharedOptions{Store: b.net, Dir: a.dir, Owner: state.Owner{Host: "one", PID: 8}, Now: time.Now})
		b.dir = a.dir
	}
	d := b.open(t)
	if got := positionOf(t, d); got < told || got > 4 {
		t.Errorf("position %d, want %d or more", got, told)
	}
	seq, _, _, err := d.Head(t.Context())
	if err != nil || seq < 1 || seq > 3 {
		t.Errorf("head %d, %v", seq, err)
	}
	expected, _, ok, err := d.Published(t.Context())
	if err != nil || seq < told-1 && (!ok || expected < told-1) {
		t.Errorf("the state knows up to %d and expects %d %v, %v; %d were published", seq, expected, ok, err, told)
	}
	move(t, d, 5)
	closeState(t, d)
	wantTidy(t, b.dir)
	if copies := copiesIn(store); len(copies) > 3 {
		t.Errorf("copies %q, want two, and one that nobody got to know", copies)
	}
	return reached
}

func copiesIn(store *blobtest.Memory) []string {
	var names []string
	for key := range store.Objects() {
		if strings.HasPrefix(key, "acme/") {
			names = append(names, key)
		}
	}
	slices.Sort(names)
	return names
}

// wantTidy checks that a folder holds what belongs there, and that nobody else
// may read it.
func wantTidy(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains([]string{"acme.db", "acme.db-wal", "acme.db-shm", "acme.lock"}, e.Name()) {
			t.Errorf("%s is left", e.Name())
		}
		if fi, err := e.Info(); err != nil || fi.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v, want mode 0600", e.Name(), fi.Mode(), err)
		}
	}
}

// fill gives a state something of everything.
func fill(t *testing.T, d *state.DB) {
	t.Helper()
	ctx := t.Context()
	commit(t, d, landed(0), landed(1, "a", "b"), landed(2, "c"))
	move(t, d, 2)
	_, err := d.AddNotices(ctx, told(1), told(2))
	err = errors.Join(err,
		d.AddAgain(ctx, schema.Position{Segment: 1, Record: 1}, schema.Position{Segment: 2}),
		d.SetCheckpoint(ctx, state.Checkpoint{Number: 3, SHA256: "abc", Head: 2, Flushed: map[string]int64{"lake": 2}}),
		d.BeginFlush(ctx, state.OpenFlush{Sink: "lake", From: 1, To: 3}),
		d.SetMemo(ctx, "stuck", "there"),
		d.AddRun(ctx, state.Run{Started: t0, Ended: t0, Drained: true}),
		d.Conclude(ctx, state.Outcome{Sink: "siem", At: t0, Error: "down"}))
	if err != nil {
		t.Fatal(err)
	}
}

func summary(t *testing.T, d *state.DB) string {
	t.Helper()
	s, err := d.Summary(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestMachinesTakeTurns(t *testing.T) {
	bubble(t, func(t *testing.T, store *blobtest.Memory) {
		hosts := []*host{newHost(t, store, "one", time.Hour), newHost(t, store, "two", -time.Hour)}
		d := hosts[0].open(t)
		fill(t, d)
		want := summary(t, d)
		closeState(t, d)
		for turn := range int64(6) {
			h := hosts[(turn+1)%2]
			d := h.open(t)
			if got := summary(t, d); got != want {
				t.Fatalf("turn %d:\n got %s\nwant %s", turn, got, want)
			}
			if len(mustKnow(t, d, "a", "b", "c")) != 3 {
				t.Error("ids are not known")
			}
			if notices, err := d.Notices(t.Context(), 1, 9); err != nil || len(notices) != 2 {
				t.Errorf("notices %v, %v", notices, err)
			}
			commit(t, d, landed(3+turn, fmt.Sprint("turn", turn)))
			move(t, d, 3+turn)
			want = summary(t, d)
			closeState(t, d)
			wantTidy(t, h.dir)
		}
		if copies := copiesIn(store); len(copies) != 2 {
			t.Errorf("copies %q, want two", copies)
		}
	})
}

// TestWhatTheCopyLacks: a machine dies with its disk, 20 minutes after it began.
// What was published after the newest copy is laid over the copy.
func TestWhatTheCopyLacks(t *testing.T) {
	older := func(t *testing.T, store *blobtest.Memory) { t.Helper() }
	damage := func(key func([]string) []string, how func([]byte) []byte) func(*testing.T, *blobtest.Memory) {
		return func(t *testing.T, store *blobtest.Memory) {
			t.Helper()
			for _, name := range key(copiesIn(store)) {
				content := how(store.Objects()[name])
				if err := store.Delete(t.Context(), name); err != nil {
					t.Fatal(err)
				}
				if content == nil {
					continue
				}
				if _, err := store.PutNew(t.Context(), name, bytes.NewReader(content)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	all := func(names []string) []string { return names }
	newest := func(names []string) []string { return names[len(names)-1:] }
	flip := func(b []byte) []byte { b[len(b)/2] ^= 1; return b }
	none := func([]byte) []byte { return nil }
	tests := map[string]struct {
		harm func(*testing.T, *blobtest.Memory)
		head int64 // -1: nothing is indexed
	}{
		"older copy":     {older, 4},
		"newest missing": {damage(newest, none), 3},
		"newest flipped": {damage(newest, flip), 3},
		"newest cut":     {damage(newest, func(b []byte) []byte { return b[:len(b)/2] }), 3},
		"newest empty":   {damage(newest, func([]byte) []byte { return []byte{} }), 3},
		"newest longer":  {damage(newest, func(b []byte) []byte { return append(b, b...) }), 3},
		"all missing":    {damage(all, none), -1},
		"all flipped":    {damage(all, flip), -1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, store *blobtest.Memory) {
				a, b := newHost(t, store, "one", 0), newHost(t, store, "two", 0)
				d := a.open(t)
				fill(t, d)
				commit(t, d, landed(3))
				closeState(t, d)
				d = a.open(t)
				commit(t, d, landed(4))
				time.Sleep(16 * time.Minute) // a copy is made
				commit(t, d, landed(5), landed(6))
				move(t, d, 6)
				if err := d.SetCursor(t.Context(), "main", "further"); err != nil {
					t.Fatal(err)
				}
				if _, err := d.AddNotices(t.Context(), told(3)); err != nil {
					t.Fatal(err)
				}
				time.Sleep(5 * time.Second)
				want := summary(t, d)
				a.cut(true)
				_ = d.Close() // it dies
				tt.harm(t, store)
				time.Sleep(61 * time.Second)

				r, err := b.OpenReader(t.Context(), "acme")
				if err != nil {
					t.Fatal(err)
				}
				if got := summary(t, r); got != want {
					t.Errorf("reader:\n got %s\nwant %s", got, want)
				}
				closeState(t, r)
				d = b.open(t)
				if got := summary(t, d); got != want {
					t.Errorf("holder:\n got %s\nwant %s", got, want)
				}
				seq, _, ok, err := d.Head(t.Context())
				if !ok {
					seq = -1
				}
				if err != nil || seq != tt.head {
					t.Errorf("head %d, %v; want %d", seq, err, tt.head)
				}
				if at, err := d.LastDrain(t.Context()); err != nil || !at.Equal(t0) {
					t.Errorf("last drain %v, %v", at, err)
				}
				// What raw has beyond it is indexed again, and moves nothing back.
				for n := seq + 1; n <= 6; n++ {
					commit(t, d, landed(n))
				}
				if got := summary(t, d); got != want {
					t.Errorf("after indexing:\n got %s\nwant %s", got, want)
				}
				commit(t, d, landed(7))
				if cursor, _, err := d.Cursor(t.Context(), "main"); err != nil || cursor != "cursor7" {
					t.Errorf("cursor %q, %v; a new segment moves it", cursor, err)
				}
				if first, err := d.AddNotices(t.Context(), told(4)); err != nil || first != 4 {
					t.Errorf("next notice %d, %v; want 4: ids are used once", first, err)
				}
				closeState(t, d)
				wantTidy(t, b.dir)
			})
		})
	}
}

func TestTheLocalFileIsUsedOnlyIfItKnowsAll(t *testing.T) {
	tests := map[string]struct {
		// harm is done to the file of host one, after it died without a copy of
		// its last run.
		harm func(t *testing.T, a, b *host, old string)
		used bool
	}{
		"as it was": {func(*testing.T, *host, *host, string) {}, true},
		"rolled back": {func(t *testing.T, a, _ *host, old string) {
			t.Helper()
			for _, suffix := range []string{"-wal", "-shm"} {
				_ = os.Remove(filepath.Join(a.dir, "acme.db"+suffix))
			}
			content, err := os.ReadFile(old)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(a.dir, "acme.db"), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}, false},
		"torn": {func(t *testing.T, a, _ *host, _ string) {
			t.Helper()
			if err := os.WriteFile(filepath.Join(a.dir, "acme.db"), []byte(strings.Repeat("torn", 5000)), 0o600); err != nil {
				t.Fatal(err)
			}
		}, false},
		"another published since": {func(t *testing.T, _, b *host, _ string) {
			t.Helper()
			d := b.open(t)
			move(t, d, 7)
			closeState(t, d)
		}, false},
		"rolled back within its hold": {func(t *testing.T, a, _ *host, old string) {
			t.Helper()
			restoreFile(t, a.dir, old+".mid")
		}, false},
		"with a journal of before": {func(t *testing.T, a, b *host, old string) {
			t.Helper()
			d := b.open(t)
			move(t, d, 7)
			closeState(t, d)
			content, err := os.ReadFile(old + ".mid-wal")
			if err := errors.Join(err, os.Remove(filepath.Join(a.dir, "acme.db")), os.WriteFile(filepath.Join(a.dir, "acme.db-wal"), content, 0o600)); err != nil {
				t.Fatal(err)
			}
		}, false},
		"of a store that was emptied": {func(t *testing.T, _, b *host, _ string) {
			t.Helper()
			for info, err := range b.net.List(t.Context(), "", "") {
				if err := errors.Join(err, b.net.Delete(t.Context(), info.Key)); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 {
				closeState(t, b.open(t))
			}
		}, false},
		"of another state": {func(t *testing.T, _, b *host, _ string) {
			t.Helper()
			if err := b.Rebuild(t.Context(), "acme"); err != nil {
				t.Fatal(err)
			}
		}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, store *blobtest.Memory) {
				a, b := newHost(t, store, "one", 0), newHost(t, store, "two", 0)
				d := a.open(t)
				commit(t, d, landed(0, "a"))
				closeState(t, d)
				old := filepath.Join(t.TempDir(), "old")
				content, err := os.ReadFile(filepath.Join(a.dir, "acme.db"))
				if err := errors.Join(err, os.WriteFile(old, content, 0o600)); err != nil {
					t.Fatal(err)
				}
				d = a.open(t)
				commit(t, d, landed(1, "b"))
				time.Sleep(5 * time.Second)
				saveFile(t, a.dir, old+".mid")
				move(t, d, 1)
				time.Sleep(5 * time.Second)
				commit(t, d, landed(2, "c"))
				a.cut(true)
				_ = d.Close()
				a.cut(false)
				time.Sleep(61 * time.Second)
				tt.harm(t, a, b, old)
				d = a.open(t)
				if got := len(mustKnow(t, d, "c")) == 1; got != tt.used {
					t.Errorf("the local file was used: %v, want %v", got, tt.used)
				}
				if got, want := summary(t, d), publishedText(t, a); !tt.used && got != want {
					t.Errorf("it knows\n%s, published was\n%s", got, want)
				}
				closeState(t, d)
				wantTidy(t, a.dir)
			})
		})
	}
}

func saveFile(t *testing.T, dir, to string) {
	t.Helper()
	for _, suffix := range []string{"", "-wal"} {
		content, err := os.ReadFile(filepath.Join(dir, "acme.db"+suffix))
		if err := errors.Join(err, os.WriteFile(to+suffix, content, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
}

func restoreFile(t *testing.T, dir, from string) {
	t.Helper()
	_ = os.Remove(filepath.Join(dir, "acme.db-shm"))
	for _, suffix := range []string{"", "-wal"} {
		content, err := os.ReadFile(from + suffix)
		if err := errors.Join(err, os.WriteFile(filepath.Join(dir, "acme.db"+suffix), content, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
}

func publishedText(t *testing.T, o state.Opener) string {
	t.Helper()
	text, err := json.Marshal(published(t, o).Summary)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestWhatWasPublishedNeverGoesBack: the answer to a publication is lost, and so
// is what would have told; the renewals that follow stand on it.
func TestWhatWasPublishedNeverGoesBack(t *testing.T) {
	bubble(t, func(t *testing.T, store *blobtest.Memory) {
		h := newHost(t, store, "one", 0)
		var lose atomic.Int64 // calls that are to be lost
		var newest atomic.Int64
		h.net.Before = func(op, _ string) error {
			if op == blobtest.OpGet && lose.Load() > 0 {
				lose.Add(-1)
				return errCut
			}
			return nil
		}
		h.net.After = func(op, _ string) error {
			if op != blobtest.OpPutMatch {
				return nil
			}
			var o struct{ State state.Summary }
			if err := json.Unmarshal(store.Objects()["acme.json"], &o); err != nil {
				t.Error(err)
			}
			if len(o.State.Positions) > 0 {
				if at := o.State.Positions[0].Next.Segment; at < newest.Swap(at) {
					t.Errorf("published position went back to %d", at)
				}
			}
			if lose.Load() > 0 {
				return errCut
			}
			return nil
		}
		d := h.open(t)
		for n := range int64(20) {
			move(t, d, n+1)
			time.Sleep(time.Duration(n) * 500 * time.Millisecond)
			lose.Store(1)
			time.Sleep(11 * time.Second)
			lose.Store(0)
		}
		closeState(t, d)
		if newest.Load() != 20 {
			t.Errorf("published up to %d, want 20", newest.Load())
		}
	})
}

func TestAReaderBesideTheHolder(t *testing.T) {
	bubble(t, func(t *testing.T, store *blobtest.Memory) {
		a, b := newHost(t, store, "one", 0), newHost(t, store, "two", 0)
		if _, err := b.OpenReader(t.Context(), "acme"); !errors.Is(err, state.ErrNone) {
			t.Errorf("got %v, want ErrNone", err)
		}
		if _, err := b.Show(t.Context(), "acme"); !errors.Is(err, state.ErrNone) {
			t.Errorf("got %v, want ErrNone", err)
		}
		d := a.open(t)
		fill(t, d)
		time.Sleep(5 * time.Second)
		for _, h := range []*host{a, b} {
			r, err := h.OpenReader(t.Context(), "acme")
			if err != nil {
				t.Fatal(err)
			}
			if got, want := summary(t, r), summary(t, d); got != want {
				t.Errorf("host %s:\n got %s\nwant %s", h.name, got, want)
			}
			closeState(t, r)
		}
		wantTidy(t, b.dir)
		closeState(t, d)
	})
}

// TestARunThatIsToldToStopPublishes: its context has ended, and so has all that
// it would wait for.
func TestARunThatIsToldToStopPublishes(t *testing.T) {
	bubble(t, func(t *testing.T, store *blobtest.Memory) {
		h := newHost(t, store, "one", 0)
		ctx, stop := context.WithCancel(t.Context())
		d, err := h.Open(ctx, "acme")
		if err != nil {
			t.Fatal(err)
		}
		fill(t, d)
		stop()
		closeState(t, d)
		_ = d.Close() // once more publishes nothing
		s := published(t, h)
		if !s.Holding.Released || s.Head == nil || s.Head.Segment != 2 || len(copiesIn(store)) != 1 {
			t.Errorf("got %+v, copies %q", s, copiesIn(store))
		}
	})
}

// TestAStoreThatHangsHoldsUpNoStop: under 20 s.
func TestAStoreThatHangsHoldsUpNoStop(t *testing.T) {
	bubble(t, func(t *testing.T, store *blobtest.Memory) {
		hang := &hanging{Store: store}
		o := state.Shared(state.SharedOptions{Store: hang, Dir: t.TempDir(), Owner: state.Owner{Host: "one"}, Now: time.Now})
		ctx, stop := context.WithCancel(t.Context())
		d, err := o.Open(ctx, "acme")
		if err != nil {
			t.Fatal(err)
		}
		fill(t, d)
		hang.on.Store(true)
		began := time.Now()
		stop()
		if err := d.Close(); err == nil {
			t.Error("nothing was published, and nothing said")
		}
		if took := time.Since(began); took > 18*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// hanging is a store that does not answer.
type hanging struct {
	blob.Store
	on atomic.Bool
}

func (s *hanging) PutNew(ctx context.Context, key string, body blob.Body) (blob.Info, error) {
	if s.on.Load() {
		<-ctx.Done()
		return blob.Info{}, ctx.Err()
	}
	return s.Store.PutNew(ctx, key, body)
}

func (s *hanging) PutMatch(ctx context.Context, key, etag string, body blob.Body) (blob.Info, error) {
	if s.on.Load() {
		<-ctx.Done()
		return blob.Info{}, ctx.Err()
	}
	return s.Store.PutMatch(ctx, key, etag, body)
}

// TestAFileThatFails: what was published last stands, and the source is free.
func TestAFileThatFails(t *testing.T) {
	bubble(t, func(t *testing.T, store *blobtest.Memory) {
		h := newHost(t, store, "one", 0)
		d := h.open(t)
		fill(t, d)
		time.Sleep(5 * time.Second)
		want := published(t, h).Summary
		state.Break(t, d)
		began := time.Now()
		if err := d.Close(); err == nil {
			t.Error("a file that cannot be read was closed without a word")
		}
		s := published(t, h)
		if !s.Holding.Released || !cmp.Equal(s.Summary, want) || time.Since(began) > time.Second {
			t.Errorf("got %+v after %v\nwant %+v", s, time.Since(began), want)
		}
		closeState(t, newHost(t, store, "two", 0).open(t))
	})
}

// TestACutThatEnds: shorter than the lease it does no harm.
func TestACutThatEnds(t *testing.T) {
	bubble(t, func(t *testing.T, store *blobtest.Memory) {
		h := newHost(t, store, "one", 0)
		d := h.open(t)
		for range 3 {
			h.cut(true)
			time.Sleep(24 * time.Second)
			h.cut(false)
			time.Sleep(30 * time.Second)
			if err := d.Fence(); err != nil {
				t.Fatal(err)
			}
		}
		closeState(t, d)
	})
}

func TestObjectsThatCannotBeUsed(t *testing.T) {
	tests := map[string]struct {
		content string
		is      error
		says    string
	}{
		"newer":    {`{"format": 99, "source": "acme", "released": true}`, state.ErrNewer, "reads up to 1"},
		"cut":      {`{"format": 1, "sou`, nil, "state rebuild"},
		"empty":    {``, nil, "state rebuild"},
		"anothers": {`{"format": 1, "source": "other", "released": true}`, nil, "state rebuild"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, store *blobtest.Memory) {
				h := newHost(t, store, "one", 0)
				if _, err := store.PutNew(t.Context(), "acme.json", strings.NewReader(tt.content)); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Hour)
				_, err := h.Open(t.Context(), "acme")
				_, readErr := h.OpenReader(t.Context(), "acme")
				for what, err := range map[string]error{"Open": err, "OpenReader": readErr} {
					if err == nil || tt.is != nil && !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.says) {
						t.Errorf("%s: got %v, want one that says %q", what, err, tt.says)
					}
				}
				if got := string(store.Objects()["acme.json"]); got != tt.content {
					t.Errorf("it was changed to %s", got)
				}
				err = h.Rebuild(t.Context(), "acme")
				if tt.is != nil {
					if !errors.Is(err, tt.is) {
						t.Errorf("rebuild: got %v, want %v", err, tt.is)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				closeState(t, h.open(t))
			})
		})
	}
}

func TestARebuiltStateKnowsNothing(t *testing.T) {
	for name, opener := range map[string]func(*testing.T) state.Opener{
		"local":  func(t *testing.T) state.Opener { t.Helper(); return state.Local(t.TempDir()) },
		"shared": func(t *testing.T) state.Opener { t.Helper(); return newHost(t, blobtest.NewMemory(), "one", 0) },
	} {
		t.Run(name, func(t *testing.T) {
			o := opener(t)
			open := func() *state.DB {
				d, err := o.Open(t.Context(), "acme")
				if err != nil {
					t.Fatal(err)
				}
				return d
			}
			d := open()
			fill(t, d)
			before, err := d.StateID(t.Context())
			if err != nil || before == "" {
				t.Errorf("id %q, %v", before, err)
			}
			if err := o.Rebuild(t.Context(), "acme"); !errors.Is(err, state.ErrHeld) {
				t.Errorf("rebuild of what is held: got %v, want ErrHeld", err)
			}
			closeState(t, d)
			s, err := o.Show(t.Context(), "acme")
			if err != nil || s.StateID != before || s.Head.Segment != 2 || s.Checkpoint.Number != 3 || s.Cursors["main"] != "cursor2" {
				t.Errorf("show: %+v, %v", s, err)
			}
			if err := o.Rebuild(t.Context(), "acme"); err != nil {
				t.Fatal(err)
			}
			d = open()
			after, err := d.StateID(t.Context())
			if err != nil || after == before || after == "" {
				t.Errorf("id %q, %v; it was %q", after, err, before)
			}
			if _, _, ok, err := d.Head(t.Context()); ok || err != nil {
				t.Errorf("it has a head, %v", err)
			}
			if _, known, err := d.Find(t.Context(), "siem"); known || err != nil {
				t.Errorf("it knows a sink, %v", err)
			}
			closeState(t, d)
		})
	}
}

// TestALocalStateIsNotDropped: somebody points a shared state at its folder.
func TestALocalStateIsNotDropped(t *testing.T) {
	h := newHost(t, blobtest.NewMemory(), "one", 0)
	d, err := state.Local(h.dir).Open(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	fill(t, d)
	closeState(t, d)
	for range 2 {
		if _, err := h.Open(t.Context(), "acme"); err == nil || !strings.Contains(err.Error(), "not shared") {
			t.Errorf("got %v", err)
		}
	}
	if s, err := state.Local(h.dir).Show(t.Context(), "acme"); err != nil || s.Head == nil || s.Head.Segment != 2 {
		t.Errorf("it was changed: %+v, %v", s, err)
	}
}

func TestAStoreWithoutAClock(t *testing.T) {
	store := blobtest.NewMemoryAt(func() time.Time { return time.Time{} })
	a, b := newHost(t, store, "one", 0), newHost(t, store, "two", 0)
	d := a.open(t)
	if _, err := b.Open(t.Context(), "acme"); err == nil || !strings.Contains(err.Error(), "what time it is") {
		t.Errorf("got %v", err)
	}
	closeState(t, d)
	closeState(t, b.open(t)) // what was let go of needs no clock
}

func TestTheNameOfAFolderStays(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "s")
	var names []string
	for range 3 {
		name, err := state.Local(dir).Name()
		if err != nil || !strings.HasPrefix(name, "local:") {
			t.Fatalf("%q, %v", name, err)
		}
		names = append(names, name)
	}
	if other, err := state.Local(t.TempDir()).Name(); err != nil || names[0] != names[2] || names[0] == other {
		t.Errorf("names %q, another folder's %q, %v", names, other, err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%v %v, want one file", entries, err)
	}
}

// The lease is renewed while a copy is fetched that takes long, beside the
// opening that goes by what the lease knows.
func TestALeaseIsRenewedWhileACopyIsFetched(t *testing.T) {
	bubble(t, func(t *testing.T, store *blobtest.Memory) {
		first := newHost(t, store, "first", 0)
		d := first.open(t)
		commit(t, d, landed(0), landed(1, "a"))
		closeState(t, d)
		second := newHost(t, store, "second", 0)
		second.net.Before = func(op, key string) error {
			if op == blobtest.OpGet && strings.HasSuffix(key, ".db.zst") {
				time.Sleep(50 * time.Second)
			}
			return nil
		}
		begun := time.Now()
		d = second.open(t)
		if took := time.Since(begun); took < 50*time.Second {
			t.Fatalf("no copy was fetched: it took %s", took)
		}
		if err := d.Fence(); err != nil {
			t.Error(err)
		}
		if known := mustKnow(t, d, "a"); len(known) != 1 {
			t.Errorf("known: %v", known)
		}
		closeState(t, d)
	})
}

// A copy leaves out the hashes of old segments, which are most of its size; the
// file that it is made of keeps them.
func TestACopyLeavesOutOldHashes(t *testing.T) {
	bubble(t, func(t *testing.T, store *blobtest.Memory) {
		first := newHost(t, store, "first", 0)
		d := first.open(t)
		var old, kept []string
		for _, seq := range slices.Concat(seqs(450, 500), seqs(500, 550), []int64{1500, 1501}) {
			l := landed(seq, fmt.Sprint("a", seq))
			l.SHA256 = fmt.Sprintf("%064d", seq)
			l.File = l.SHA256
			commit(t, d, l)
			kept = append(kept, fmt.Sprint(seq))
			if seq < 500 {
				old = append(old, l.SHA256)
			}
		}
		if err := d.SetCheckpoint(t.Context(), state.Checkpoint{Number: 3, SHA256: "c", Head: 1500}); err != nil {
			t.Fatal(err)
		}
		want, err := d.Totals(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		closeState(t, d)
		file := string(unpacked(t, store, copiesIn(store)[0]))
		if slices.ContainsFunc(old, func(hash string) bool { return strings.Contains(file, hash) }) {
			t.Error("the copy still holds the bytes of hashes that were left out")
		}
		second := newHost(t, store, "second", 0)
		for _, h := range []*host{first, second} {
			known := kept
			if h == second {
				known = kept[len(old):]
			}
			d := h.open(t)
			if got := hashesKnown(t, d); !slices.Equal(got, known) {
				t.Errorf("on %s the hashes of %s are known, want %s", h.name, got, known)
			}
			if got, err := d.Totals(t.Context()); err != nil || got != want {
				t.Errorf("on %s: %+v, %v, want %+v", h.name, got, err, want)
			}
			if seq, hash, ok, err := d.Head(t.Context()); seq != 1501 || hash != fmt.Sprintf("%064d", 1501) || !ok || err != nil {
				t.Errorf("on %s: head %d %q %v %v", h.name, seq, hash, ok, err)
			}
			closeState(t, d)
		}
	})
}

func unpacked(t *testing.T, store *blobtest.Memory, key string) []byte {
	t.Helper()
	dec, err := zstd.NewReader(bytes.NewReader(store.Objects()[key]))
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	file, err := io.ReadAll(dec)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// hashesKnown are the segments both of whose hashes are known.
func hashesKnown(t *testing.T, d *state.DB) (known []string) {
	t.Helper()
	rows, err := d.Segments(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		switch {
		case row.SHA256 != "" && row.File != "":
			known = append(known, fmt.Sprint(row.Seq))
		case row.SHA256 != "" || row.File != "":
			t.Errorf("segment %d has one of two hashes: %+v", row.Seq, row)
		}
	}
	return known
}

func seqs(from, to int64) (list []int64) {
	for seq := from; seq < to; seq++ {
		list = append(list, seq)
	}
	return list
}

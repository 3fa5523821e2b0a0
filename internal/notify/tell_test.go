package notify_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/blob/blobtest"
	"github.com/idtrail/idtrail/internal/notify"
)

// house is a state with people to tell of it.
type house struct {
	t       *testing.T
	store   blob.Store
	spare   blob.Store
	ops     *chat
	now     time.Time
	targets []notify.Target
	// more is told to every target beside what a run sees.
	more notify.Sight
}

func newHouse(t *testing.T) *house {
	t.Helper()
	ops := &chat{}
	return &house{t: t, store: blobtest.NewMemory(), ops: ops, now: noon, targets: []notify.Target{{Name: "ops", Sender: ops}}}
}

// run tells what a run of source acme has seen: the troubles given, and nothing
// else wrong.
func (h *house) run(troubles ...notify.Trouble) error {
	h.now = h.now.Add(5 * time.Minute)
	s := h.more
	s.Kinds = []notify.Kind{notify.Failure, notify.Gap, notify.Stale, notify.Drift}
	s.Known = append([]string{"source/acme", "source/users", "sink/acme/dd", "pair/a/b/high"}, s.Known...)
	s.Looked = nil
	s.Look(notify.Failure, "source/acme")
	s.Look(notify.Failure, "sink/acme/dd")
	s.Look(notify.Stale, "source/acme")
	s.Look(notify.Drift, "pair/a/b/high")
	s.Troubles = troubles
	return notify.Tell(h.t.Context(), notify.Options{
		Targets: h.targets, Store: h.store, Spare: h.spare, Sources: []string{"acme"}, From: "lake", Now: func() time.Time { return h.now },
		See: func(string, map[string]time.Time) notify.Sight { return s },
	})
}

// wants runs, and wants that to be said.
func (h *house) wants(want string, troubles ...notify.Trouble) {
	h.t.Helper()
	if err := h.run(troubles...); err != nil {
		h.t.Errorf("tell: %v", err)
	}
	if got := h.ops.said(); got != want {
		h.t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

var (
	down   = notify.Trouble{Kind: notify.Failure, Of: "source/acme", Text: "source acme failed", Do: "look"}
	denied = notify.Trouble{Kind: notify.Failure, Of: "source/acme", Mark: "denied", Text: "source acme failed", Do: "look"}
	sink   = notify.Trouble{Kind: notify.Failure, Of: "sink/acme/dd", Text: "sink dd failed"}
)

func drift(n int64) notify.Trouble {
	return notify.Trouble{Kind: notify.Drift, Of: "pair/a/b/high", Size: n, Text: fmt.Sprintf("%d findings", n)}
}

// TestOnce: a trouble is told when it begins, changes and ends, and not between.
func TestOnce(t *testing.T) {
	h := newHouse(t)
	h.wants("")
	h.wants("failure source/acme new\n--", down)
	h.wants("", down)
	h.wants("failure sink/acme/dd new\n--", down, sink)
	h.wants("failure source/acme changed\n--", denied, sink)
	h.wants("", denied, sink)
	h.wants("failure sink/acme/dd over\n--", denied)
	h.wants("failure source/acme over\n--")
	h.wants("")
	h.wants("failure source/acme new\n--", down)
}

func TestDriftIsToldAgainWhenDoubled(t *testing.T) {
	h := newHouse(t)
	h.wants("drift pair/a/b/high new\n--", drift(10))
	h.wants("", drift(20))
	h.wants("", drift(5))
	h.wants("drift pair/a/b/high changed\n--", drift(21))
	h.wants("", drift(42))
	h.wants("drift pair/a/b/high over\n--")
}

// TestNotLooked: what a run did not look at is neither over nor new.
func TestNotLooked(t *testing.T) {
	h := newHouse(t)
	other := notify.Trouble{Kind: notify.Failure, Of: "source/users", Text: "source users failed"}
	h.wants("failure source/users new\n--", other)
	h.wants("") // users were not looked at
	h.wants("", other)
}

// TestGaps: each is told once, those of a run that did not live to tell too, and
// none of before.
func TestGaps(t *testing.T) {
	h := newHouse(t)
	gaps := func(total, of int64) {
		h.more.Gaps = map[string]notify.Gaps{"acme": {Total: total, New: of, Text: "records were lost"}}
	}
	gaps(3, 0)
	h.wants("")
	gaps(3, 0)
	h.wants("")
	gaps(5, 1) // the other one is of a run that was killed
	h.wants("gap source/acme new\n--")
	h.wants("")
	first := newHouse(t)
	first.more.Gaps = map[string]notify.Gaps{"acme": {Total: 4, New: 1, Text: "records were lost"}}
	first.wants("gap source/acme new\n--")
	first.wants("")
}

// TestUnsent: what could not be sent is told by the next run, to that target
// alone; and what is over by then is not told at all.
func TestUnsent(t *testing.T) {
	h := newHouse(t)
	other := &chat{err: errors.New("the receiver answered 500")}
	h.targets = append(h.targets, notify.Target{Name: "other", Sender: other})
	err := h.run(down, sink)
	if err == nil || err.Error() != "tell other: the receiver answered 500" {
		t.Errorf("got %v", err)
	}
	if got := h.ops.said(); !strings.Contains(got, "source/acme new") {
		t.Errorf("ops: got %s", got)
	}
	other.err = nil
	h.wants("failure source/acme over\n--", sink)
	if got := other.said(); got != "failure sink/acme/dd new\n--" {
		t.Errorf("other: got %s", got)
	}
}

// TestKilled: a run that is killed after it has sent and before it has remembered
// tells again, and one that is killed earlier has told nothing.
func TestKilled(t *testing.T) {
	h := newHouse(t)
	whole := h.store
	h.store = &blobtest.Faulty{Store: whole, Before: func(op, _ string) error {
		if op == blobtest.OpPutNew || op == blobtest.OpPutMatch {
			return errors.New("killed")
		}
		return nil
	}}
	if err := h.run(down); err == nil {
		t.Error("got no error of a store that fails")
	}
	if got := h.ops.said(); got != "failure source/acme new\n--" {
		t.Errorf("got %s", got)
	}
	h.store = whole
	h.wants("failure source/acme new\n--", down)
	h.wants("", down)
}

// TestSpare: while the state cannot be reached, what was told is remembered on
// this machine, and goes back with the first run that reaches it.
func TestSpare(t *testing.T) {
	h := newHouse(t)
	whole := h.store
	h.spare = blobtest.NewMemory()
	h.wants("")
	h.store = &blobtest.Faulty{Store: whole, Before: func(string, string) error { return errors.New("no route to host") }}
	for i, want := range []string{"failure source/acme new\n--", "", ""} {
		if err := h.run(down); err == nil || !strings.Contains(err.Error(), "no route to host") {
			t.Errorf("run %d: got %v", i, err)
		}
		if got := h.ops.said(); got != want {
			t.Errorf("run %d: got %q, want %q", i, got, want)
		}
	}
	h.store = whole
	h.wants("", down)
	if _, err := h.spare.Head(t.Context(), notify.MemoryKey); !errors.Is(err, blob.ErrNotExist) {
		t.Errorf("the spare memory: got %v, want it gone", err)
	}
	h.wants("failure source/acme over\n--")
}

// TestNoMemory: where nothing can be remembered, everything is told every time.
func TestNoMemory(t *testing.T) {
	h := newHouse(t)
	h.store = nil
	for range 2 {
		if err := h.run(down); !errors.Is(err, notify.ErrNoStore) {
			t.Errorf("got %v", err)
		}
		if got := h.ops.said(); got != "failure source/acme new\n--" {
			t.Errorf("got %s", got)
		}
	}
}

// TestDamagedMemory: it is begun anew; one of a newer version is left alone.
func TestDamagedMemory(t *testing.T) {
	for _, text := range []string{"", "{", "[]", `{"version":1,"targets":{"ops":null}}`, `{"version":1,"targets":{"ops":{"told":{"failure/source/acme":null}}}}`} {
		h := newHouse(t)
		if _, err := h.store.PutNew(t.Context(), notify.MemoryKey, strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
		h.wants("failure source/acme new\n--", down)
		h.wants("", down)
	}
	h := newHouse(t)
	if _, err := h.store.PutNew(t.Context(), notify.MemoryKey, strings.NewReader(`{"version":2}`)); err != nil {
		t.Fatal(err)
	}
	if err := h.run(down); !errors.Is(err, notify.ErrNewer) || h.ops.said() != "" {
		t.Errorf("got %v, want it refused", err)
	}
}

// TestForgotten: what there is no more is forgotten, and nobody told.
func TestForgotten(t *testing.T) {
	h := newHouse(t)
	gone := notify.Trouble{Kind: notify.Failure, Of: "source/gone", Text: "source gone failed"}
	h.more.Known = []string{"source/gone"}
	h.wants("failure source/gone new\n--", gone)
	h.more.Known = nil
	h.wants("")
	body, _, err := h.store.Get(t.Context(), notify.MemoryKey)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(body)
	if err != nil || strings.Contains(string(text), "gone") {
		t.Errorf("got %s, %v", text, err)
	}
}

// TestTogether: processes that tell at once lose nothing of what the others
// remember.
func TestTogether(t *testing.T) {
	store := blobtest.NewMemory()
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			of := fmt.Sprintf("source/s%d", i)
			s := notify.Sight{
				Kinds: []notify.Kind{notify.Failure}, Known: []string{"source/s0", "source/s1", "source/s2", "source/s3", "source/s4", "source/s5", "source/s6", "source/s7"},
				Troubles: []notify.Trouble{{Kind: notify.Failure, Of: of, Text: "failed"}},
			}
			see := func(string, map[string]time.Time) notify.Sight { return s }
			o := notify.Options{Targets: []notify.Target{{Name: "ops", Sender: &chat{}}}, Store: store, See: see, Now: func() time.Time { return noon }}
			for notify.Tell(t.Context(), o) != nil { // it was overtaken too often; the next run
			}
		})
	}
	all.Wait()
	body, _, err := store.Get(t.Context(), notify.MemoryKey)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(body)
	if n := strings.Count(string(text), `"failure/source/s`); err != nil || n != 8 {
		t.Errorf("got %d remembered, %v, want 8", n, err)
	}
}

// TestCap: one message a run, with ten of the news for people and all for programs.
func TestCap(t *testing.T) {
	h := newHouse(t)
	var many []notify.Trouble
	for i := range 50 {
		of := fmt.Sprintf("source/s%02d", i)
		h.more.Known = append(h.more.Known, of)
		many = append(many, notify.Trouble{Kind: notify.Failure, Of: of, Text: strings.Repeat("x", 1000)})
	}
	if err := h.run(many...); err != nil {
		t.Fatal(err)
	}
	if len(h.ops.messages) != 1 || len(h.ops.messages[0].News) != 50 {
		t.Fatalf("got %d messages", len(h.ops.messages))
	}
	m := h.ops.messages[0]
	if len(m.Lines) != 11 || m.Lines[10] != "And 40 more: idtrail status shows them." || m.Title != "idtrail: troubles: 50 new" {
		t.Errorf("got %d lines, %q, %q", len(m.Lines), m.Lines[len(m.Lines)-1], m.Title)
	}
	if n := len(m.Lines[0]); n > 400 {
		t.Errorf("a line has %d bytes", n)
	}
}

func TestTry(t *testing.T) {
	c := &chat{}
	if err := notify.Try(t.Context(), c, "lake", noon); err != nil || len(c.messages) != 1 || !c.messages[0].Test {
		t.Errorf("got %v, %v", c.messages, err)
	}
}

package extracttest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/idtrail/idtrail/extract"
)

// patience is how long a source may take to notice that it was stopped.
const patience = 5 * time.Second

// Harness tells the kit how to make the source under test. Only New is needed.
//
// Every source that New returns must see the same data, and at least two pages
// of it, or little is tested: make the fixture's pages small. The kit runs its
// checks one after the other and makes a few sources for every page.
type Harness struct {
	// New makes a fresh source, as a new process would. done is what earlier
	// readings finished; a source without inputs ignores it.
	New func(t *testing.T, done extract.Ledger) extract.Source
	// From is where a reading begins; "" if not set.
	From extract.Cursor
	// Repeats allows ids to come more than once in a reading and after a
	// resume: for a source that overlaps on purpose, or a fixture with copies.
	Repeats bool
	// Want, if set, is every id of a reading in any order, "" for a record that
	// has none. With Repeats, each is named once.
	Want []string
	// Open, if set, counts what is open at the moment: files, response bodies,
	// objects. It is 0 after every reading. HTTP/1 bodies that are left open by
	// net/http's client are found without it.
	Open func() int
	// Failing, if set, makes a source that fails with an error that is ErrWant
	// (any error if that is nil), at best behind a good page.
	Failing func(t *testing.T, done extract.Ledger) extract.Source
	ErrWant error
	// Stalled, if set, makes a source whose vendor stops answering: stuck is
	// closed when a call hangs. Only the end of the context frees it.
	Stalled func(t *testing.T) (src extract.Source, stuck <-chan struct{})
}

// Run holds the source to its contract.
func Run(t *testing.T, h Harness) {
	t.Helper()
	whole := h.read(t, h.New(t, &Ledger{}), h.From)
	if whole.err != nil {
		t.Fatalf("reading from %q: %v", h.From, whole.err)
	}
	if t.Failed() {
		t.FailNow() // every other reading would say the same
	}
	t.Run("pages", func(t *testing.T) { checkPages(t, h, whole) })
	t.Run("snapshots", func(t *testing.T) { checkSnapshots(t, whole) })
	t.Run("replay", func(t *testing.T) { checkReplay(t, h, whole) })
	t.Run("resume", func(t *testing.T) { checkResume(t, h, whole) })
	t.Run("stop early", func(t *testing.T) { checkBreak(t, h, whole) })
	t.Run("cancel", func(t *testing.T) { checkCancel(t, h, whole) })
	t.Run("failure", func(t *testing.T) { checkFailure(t, h) })
}

func checkReplay(t *testing.T, h Harness, whole reading) {
	again := h.read(t, h.New(t, &Ledger{}), h.From)
	if again.err != nil {
		t.Fatalf("second reading from %q: %v", h.From, again.err)
	}
	sameList(t, "second reading", again.ids(), whole.ids())
	sameList(t, "inputs of the second reading", again.inputs(), whole.inputs())
}

// checkResume goes on behind every page with a source that knows only what is
// durable by then: the page's cursor, and the inputs finished up to it.
func checkResume(t *testing.T, h Harness, whole reading) {
	before := set(whole.ids())
	for i := range whole.pages {
		next := whole.pages[i].Next
		rest := h.read(t, h.New(t, whole.ledger(i+1)), next)
		if rest.err != nil {
			t.Fatalf("resume behind page %d, from %q: %v", i, next, rest.err)
		}
		want := reading{pages: whole.pages[i+1:]}
		if h.Repeats {
			contains(t, "resume behind a page", set(rest.ids()), set(want.ids()))
			contains(t, "the cursor went back: the earlier rest", before, set(rest.ids()))
			before = set(rest.ids())
		} else {
			sameList(t, "resume behind a page", rest.ids(), want.ids())
			sameList(t, "inputs of a resume", rest.inputs(), want.inputs())
		}
		sameSnapshots(t, i, rest, want)
		if t.Failed() {
			t.Fatalf("resumed behind page %d of %d, from %q", i, len(whole.pages), next)
		}
	}
}

// checkBreak leaves the loop at every page; [Harness.read] then looks for what
// was left behind.
func checkBreak(t *testing.T, h Harness, whole reading) {
	for i := range whole.pages {
		part := h.readWith(t, reader{src: h.New(t, &Ledger{}), from: h.From, stopAt: i + 1})
		if part.err != nil {
			t.Fatalf("reading %d pages: %v", i+1, part.err)
		}
		sameList(t, "pages before a break", part.ids(), reading{pages: whole.pages[:i+1]}.ids())
	}
}

func checkCancel(t *testing.T, h Harness, whole reading) {
	for i := range len(whole.pages) + 1 {
		ctx, cancel := context.WithCancel(t.Context())
		got := h.readWith(t, reader{ctx: ctx, src: h.New(t, &Ledger{}), from: h.From, at: i, do: cancel})
		cancel()
		// Cancelled on its last page, a source may as well end as it would have.
		if got.err == nil && i == len(whole.pages) && len(got.pages) == i {
			continue
		}
		if !errors.Is(got.err, context.Canceled) {
			t.Errorf("cancelled behind %d pages of %d: got error %v, want context.Canceled", i, len(whole.pages), got.err)
		}
		if len(got.pages) != i {
			t.Errorf("cancelled behind %d pages: %d pages came", i, len(got.pages))
		}
	}
	checkLeft(t, h, whole)
	if h.Stalled != nil {
		t.Run("stalled", func(t *testing.T) { checkStalled(t, h) })
	}
}

// checkLeft leaves the loop because its context has ended, as a run does that is
// told to stop: a source that yields once more, if only to tell so, panics.
func checkLeft(t *testing.T, h Harness, whole reading) {
	for i := range whole.pages {
		ctx, cancel := context.WithCancel(t.Context())
		n := 0
		for _, err := range h.New(t, &Ledger{}).Pages(ctx, h.From) {
			if err != nil {
				t.Errorf("left behind %d pages: got error %v before", i+1, err)
				break
			}
			if n++; n > i {
				cancel()
				break
			}
		}
		cancel()
	}
}

func checkStalled(t *testing.T, h Harness) {
	src, stuck := h.Stalled(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	over := make(chan struct{})
	defer close(over)
	go func() {
		select {
		case <-stuck:
			cancel()
		case <-over:
		}
	}()
	got := h.readWith(t, reader{ctx: ctx, src: src, from: h.From})
	if !errors.Is(got.err, context.Canceled) {
		t.Errorf("cancelled in a call: got error %v, want context.Canceled", got.err)
	}
}

func checkFailure(t *testing.T, h Harness) {
	if h.Failing == nil {
		t.Skip("the harness has no failing source")
	}
	got := h.read(t, h.Failing(t, &Ledger{}), h.From)
	if got.err == nil {
		t.Fatalf("a failing source: got %d pages and no error", len(got.pages))
	}
	if h.ErrWant != nil && !errors.Is(got.err, h.ErrWant) {
		t.Errorf("a failing source: got error %v, want %v", got.err, h.ErrWant)
	}
}

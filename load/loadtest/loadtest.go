// Package loadtest is the kit every sink passes: [Run] checks what the contract
// in package load asks of it, and [Batch], [Event] and [Fill] make rows to
// deliver. It knows no vendor and no wire format; what those demand, a sink's
// own tests check.
//
// A sink that is no [load.Planner] is handed what the pipeline would hand it:
// the rows that Takes wants (events, for one that streams), marks in place of
// the others, a Keep, and the Note it left. After each Keep, all before its Upto
// must have been yielded and be kept. Such a sink is tested with a fake of its
// receiver:
//
//	loadtest.Run(t, loadtest.Harness{
//		Takes: func(r load.Row) bool { return r.Event != nil },
//		Open: func(t *testing.T) loadtest.Destination {
//			hec := fake.NewHEC(…)
//			s, err := splunk.New(splunk.Options{URL: hec.URL, …})
//			…
//			return loadtest.Destination{
//				Sink:  s,
//				Kept:  func(*testing.T) []string { … "event " + the uid of each event it stored … },
//				Break: func(broken bool) { hec.Fail(broken) },
//			}
//		},
//	})
//
// What arrives does not hold a whole event, so Kept names it as [EventKey] does,
// by metadata.uid. Let the sink wait and try again for milliseconds only, or
// Break takes as long as it would in earnest, and send a few events a request,
// so that there are several. Acknowledgements should come by the second question
// at the latest.
package loadtest

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/idtrail/idtrail/load"
)

// Harness says how to test a sink.
type Harness struct {
	// Open returns a sink on an empty destination of its own.
	Open func(t *testing.T) Destination
	// Once says that delivering a batch again adds nothing. A sink without it
	// may keep rows again, of the same key, and nothing else.
	Once bool
	// Takes says which rows the sink keeps; nil if all. Sinks that are no
	// planners are given no others.
	Takes func(load.Row) bool
}

// Destination is a sink and a look at what it keeps.
type Destination struct {
	Sink load.Sink
	// Kept returns the [Key] of every row the destination holds, in the order
	// it was given them.
	Kept func(t *testing.T) []string
	// Break makes every call to the destination fail, or work again. Without
	// it, what needs it is not tested.
	Break func(broken bool)

	h     Harness
	notes map[string]string // the sink's note of each source
}

func (h Harness) open(t *testing.T) Destination {
	t.Helper()
	d := h.Open(t)
	d.h, d.notes = h, map[string]string{}
	return d
}

// Run checks a sink against the contract.
func Run(t *testing.T, h Harness) {
	for name, test := range map[string]func(*testing.T, Harness){
		"delivers":               testDelivers,
		"again":                  testAgain,
		"empty batch":            testEmpty,
		"cancelled before":       testCancelledBefore,
		"cancelled amid":         testCancelledAmid,
		"error in rows":          testRowsFail,
		"destination fails":      testDestinationFails,
		"rows are ranged once":   testRangedOnce,
		"batches one by one":     testSuccessive,
		"sources are kept apart": testSources,
		"nothing can be kept":    testKeepFails,
		"killed":                 testKilled,
	} {
		t.Run(name, func(t *testing.T) { test(t, h) })
	}
}

const source = "acme"

func testDelivers(t *testing.T, h Harness) {
	d := h.open(t)
	if d.Sink.Name() == "" {
		t.Error("the sink has no name")
	}
	rows := Rows(source, 1, 3)
	res := mustDeliver(t, d, batch(1, 4, rows))
	wantCounts(t, h, res.Counts, rows)
	wantKept(t, h, d, rows)
}

func testAgain(t *testing.T, h Harness) {
	d := h.open(t)
	rows := Rows(source, 1, 3)
	first := mustDeliver(t, d, batch(1, 4, rows))
	second := mustDeliver(t, d, batch(1, 4, rows))
	if first.Upto != second.Upto {
		t.Errorf("upto %v, then %v", first.Upto, second.Upto)
	}
	wantCounts(t, h, second.Counts, rows)
	wantKept(t, h, d, rows)
}

func testEmpty(t *testing.T, h Harness) {
	d := h.open(t)
	res := mustDeliver(t, d, batch(1, 3, nil))
	wantCounts(t, h, res.Counts, nil)
	wantKept(t, h, d, nil)
	if res = mustDeliver(t, d, batch(3, 3, nil)); res.Counts != (load.Counts{}) {
		t.Errorf("a batch of no segments counts %+v", res.Counts)
	}
}

func testCancelledBefore(t *testing.T, h Harness) {
	d := h.open(t)
	rows := Rows(source, 1, 3)
	b := batch(1, 4, rows)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	res, err := deliver(ctx, t, d, b)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want %v", err, context.Canceled)
	}
	finish(t, h, d, res, rows)
}

func testCancelledAmid(t *testing.T, h Harness) {
	d := h.open(t)
	rows := Rows(source, 1, 3)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b := batch(1, 4, nil)
	b.Rows = func(yield func(load.Row, error) bool) {
		for i, r := range rows {
			if i == len(rows)/2 {
				cancel()
			}
			if !yield(r, nil) {
				return
			}
		}
	}
	res, err := deliver(ctx, t, d, b)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want %v", err, context.Canceled)
	}
	finish(t, h, d, res, rows)
}

func testRowsFail(t *testing.T, h Harness) {
	errRows := errors.New("the segment cannot be read")
	rows := Rows(source, 1, 3)
	for _, at := range []int{0, 1, len(rows) / 2, len(rows)} {
		d := h.open(t)
		b := batch(1, 4, nil)
		b.Rows = func(yield func(load.Row, error) bool) {
			for _, r := range rows[:at] {
				if !yield(r, nil) {
					return
				}
			}
			yield(load.Row{}, errRows)
		}
		res, err := deliver(t.Context(), t, d, b)
		if !errors.Is(err, errRows) {
			t.Errorf("row %d: got error %v, want %v", at, err, errRows)
		}
		finish(t, h, d, res, rows)
	}
}

func testDestinationFails(t *testing.T, h Harness) {
	d := h.open(t)
	if d.Break == nil {
		t.Skip("the destination cannot be broken")
	}
	rows := Rows(source, 1, 3)
	d.Break(true)
	res, err := deliver(t.Context(), t, d, batch(1, 4, rows))
	if err == nil {
		t.Error("no error from a destination that fails every call")
	}
	if res.Upto != (load.Position{Segment: 1}) {
		t.Errorf("upto %v, want 1:0: nothing can be kept", res.Upto)
	}
	d.Break(false)
	finish(t, h, d, res, rows)
}

func testRangedOnce(t *testing.T, h Harness) {
	d := h.open(t)
	rows := Rows(source, 1, 3)
	b := batch(1, 4, rows)
	ranged, inner := 0, b.Rows
	b.Rows = func(yield func(load.Row, error) bool) {
		ranged++
		inner(yield)
	}
	if _, err := deliver(t.Context(), t, d, b); err != nil {
		t.Fatal(err)
	}
	if ranged != 1 {
		t.Errorf("rows were ranged over %d times, want 1", ranged)
	}
}

func testSuccessive(t *testing.T, h Harness) {
	d := h.open(t)
	first, second := Rows(source, 1, 2), Rows(source, 3, 2)
	mustDeliver(t, d, batch(1, 3, first))
	mustDeliver(t, d, batch(3, 5, second))
	kept := set(d.Kept(t))
	for _, r := range append(first, second...) {
		if h.takes(r) && !kept[Key(r)] {
			t.Errorf("%s is not kept", Key(r))
		}
	}
}

func testSources(t *testing.T, h Harness) {
	d := h.open(t)
	rows, others := Rows(source, 1, 2), Rows("other", 1, 2)
	mustDeliver(t, d, batch(1, 3, rows))
	b := batch(1, 3, others)
	b.Source = "other"
	mustDeliver(t, d, b)
	kept := set(d.Kept(t))
	for _, r := range append(rows, others...) {
		if h.takes(r) && !kept[Key(r)] {
			t.Errorf("%s is not kept", Key(r))
		}
	}
}

// finish checks that what a failed delivery says it kept is kept, delivers the
// rest, and checks that everything is there then.
func finish(t *testing.T, h Harness, d Destination, res load.Result, rows []load.Row) {
	t.Helper()
	kept := set(d.Kept(t))
	var rest []load.Row
	for _, r := range rows {
		if !r.At.Before(res.Upto) {
			rest = append(rest, r)
		} else if h.takes(r) && !kept[Key(r)] {
			t.Errorf("upto %v, but %s at %v is not kept", res.Upto, Key(r), r.At)
		}
	}
	b := batch(1, 4, rest)
	if res.Upto != (load.Position{}) {
		b.From = res.Upto
	}
	mustDeliver(t, d, b)
	wantKept(t, h, d, rows)
}

func batch(from, to int64, rows []load.Row) load.Batch {
	return Batch(source, from, to, rows)
}

// deliver does what the pipeline does: plan first, where the sink plans, or keep
// what the sink says it kept.
func deliver(ctx context.Context, t *testing.T, d Destination, b load.Batch) (load.Result, error) {
	t.Helper()
	p, ok := d.Sink.(load.Planner)
	if !ok {
		return newKeeper(t, d, b).deliver(ctx)
	}
	plan, err := p.Plan(ctx, b.Source, b.From.Segment, b.To.Segment)
	if err != nil {
		return load.Result{Upto: b.From}, err
	}
	if plan.From != b.From.Segment || plan.To != b.To.Segment {
		return load.Result{Upto: b.From}, errors.New("the plan is for other segments than asked for")
	}
	if plan.Done {
		return load.Result{Upto: b.To, Counts: plan.Counts}, nil
	}
	return d.Sink.Deliver(ctx, b)
}

// mustDeliver delivers all of it, as often as it takes while acknowledgements
// are missing.
func mustDeliver(t *testing.T, d Destination, b load.Batch) load.Result {
	t.Helper()
	var rows []load.Row
	for r, err := range b.Rows {
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, r)
	}
	var whole load.Result
	for range 5 {
		from := b.From
		b.Rows = Batch(b.Source, 0, 0, slices.DeleteFunc(slices.Clone(rows), func(r load.Row) bool { return r.At.Before(from) })).Rows
		res, err := deliver(t.Context(), t, d, b)
		if err != nil {
			t.Fatalf("deliver %v to %v: %v", b.From, b.To, err)
		}
		whole.Counts.Add(res.Counts)
		whole.Rejected = append(whole.Rejected, res.Rejected...)
		whole.Upto = res.Upto
		if !res.Waiting {
			break
		}
		b.From = res.Upto
	}
	if whole.Upto != b.To {
		t.Errorf("upto %v, want %v: without an error all is kept", whole.Upto, b.To)
	}
	if len(whole.Rejected) > 0 {
		t.Errorf("rejected %+v", whole.Rejected)
	}
	return whole
}

func wantCounts(t *testing.T, h Harness, got load.Counts, rows []load.Row) {
	t.Helper()
	got.Objects, got.Bytes = 0, 0
	if sent := got.Sent; sent != (load.Sent{}) && sent.Accepted != got.Events {
		t.Errorf("%d events, but %d accepted", got.Events, sent.Accepted)
	}
	got.Sent = load.Sent{}
	var want load.Counts
	for _, r := range rows {
		if h.takes(r) {
			want.Add(countOf(r))
		}
	}
	if got != want {
		t.Errorf("counts %+v, want %+v", got, want)
	}
}

// wantKept checks that the rows are kept in their order: each once, or, where
// the sink may repeat, counting first appearances only.
func wantKept(t *testing.T, h Harness, d Destination, rows []load.Row) {
	t.Helper()
	var want []string
	for _, r := range rows {
		if h.takes(r) {
			want = append(want, Key(r))
		}
	}
	got := d.Kept(t)
	if !h.Once {
		got = firsts(got)
	}
	if diff := cmp.Diff(want, slices.Clip(got)); diff != "" && len(want)+len(got) > 0 {
		t.Errorf("kept (-want +got)\n%s", diff)
	}
}

func (h Harness) takes(r load.Row) bool { return h.Takes == nil || h.Takes(r) }

func set(keys []string) map[string]bool {
	s := map[string]bool{}
	for _, k := range keys {
		s[k] = true
	}
	return s
}

func firsts(keys []string) []string {
	seen := map[string]bool{}
	var first []string
	for _, k := range keys {
		if !seen[k] {
			seen[k] = true
			first = append(first, k)
		}
	}
	return first
}

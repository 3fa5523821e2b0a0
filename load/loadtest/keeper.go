package loadtest

import (
	"context"
	"errors"
	"testing"

	"github.com/idtrail/idtrail/load"
)

// keeper is a pipeline to a sink that is no planner.
type keeper struct {
	t *testing.T
	d Destination
	b load.Batch

	yielded []load.Row
	total   load.Result
	keeps   int
	fail    error // of Keep
}

func newKeeper(t *testing.T, d Destination, b load.Batch) *keeper {
	t.Helper()
	k := &keeper{t: t, d: d, b: b}
	k.total = load.Result{Upto: b.From, Note: d.notes[b.Source]}
	rows := b.Rows
	k.b.Note, k.b.Keep = k.total.Note, k.keep
	k.b.Rows = func(yield func(load.Row, error) bool) {
		for r, err := range rows {
			if err == nil {
				r = k.next(r)
			}
			if !yield(r, err) {
				return
			}
		}
	}
	return k
}

// next notes a row that is about to be yielded; one the sink does not take
// becomes a mark.
func (k *keeper) next(r load.Row) load.Row {
	if !k.d.h.takes(r) {
		return load.Row{At: r.At}
	}
	// It may be so if it was sent by a delivery before.
	if r.At.Before(k.total.Upto) && !set(k.d.Kept(k.t))[Key(r)] {
		k.t.Errorf("upto is %v, but %s at %v is yielded only now", k.total.Upto, Key(r), r.At)
	}
	k.yielded = append(k.yielded, r)
	return r
}

// deliver returns what was kept in all.
func (k *keeper) deliver(ctx context.Context) (load.Result, error) {
	res, err := k.d.Sink.Deliver(ctx, k.b)
	k.add(res)
	return k.total, err
}

func (k *keeper) keep(res load.Result) error {
	k.keeps++
	if k.fail != nil {
		return k.fail
	}
	k.add(res)
	kept := set(k.d.Kept(k.t))
	for _, r := range k.yielded {
		if r.At.Before(res.Upto) && !kept[Key(r)] {
			k.t.Errorf("upto %v, but %s at %v is not kept", res.Upto, Key(r), r.At)
		}
	}
	return nil
}

func (k *keeper) add(res load.Result) {
	if res.Upto.Before(k.total.Upto) || k.b.To.Before(res.Upto) {
		k.t.Errorf("upto went from %v to %v, in a batch to %v", k.total.Upto, res.Upto, k.b.To)
	}
	if len(res.Note) > 1<<20 {
		k.t.Errorf("a note of %d bytes", len(res.Note))
	}
	k.total.Upto, k.total.Note, k.total.Waiting = res.Upto, res.Note, res.Waiting
	k.total.Counts.Add(res.Counts)
	k.total.Rejected = append(k.total.Rejected, res.Rejected...)
	k.d.notes[k.b.Source] = res.Note
}

// testKeepFails: what cannot be kept ends the delivery, and is delivered again.
func testKeepFails(t *testing.T, h Harness) {
	d := h.open(t)
	if _, ok := d.Sink.(load.Planner); ok {
		t.Skip("a planner is not asked to keep")
	}
	rows := Rows(source, 1, 3)
	k := newKeeper(t, d, batch(1, 4, rows))
	k.fail = errors.New("the disk is full")
	res, err := k.deliver(t.Context())
	if k.keeps == 0 {
		t.Skip("the sink keeps all at its end")
	}
	if !errors.Is(err, k.fail) {
		t.Errorf("got error %v, want %v", err, k.fail)
	}
	if k.keeps > 1 {
		t.Errorf("went on after Keep had failed: it was called %d times", k.keeps)
	}
	finish(t, h, d, res, rows)
}

// testKilled: what was told to Keep is enough to go on from there.
func testKilled(t *testing.T, h Harness) {
	rows := Rows(source, 1, 3)
	for n := 1; ; n++ {
		d := h.open(t)
		if _, ok := d.Sink.(load.Planner); ok {
			t.Skip("a planner is not asked to keep")
		}
		k := newKeeper(t, d, batch(1, 4, rows))
		var known load.Result
		var note string
		keep := k.b.Keep
		k.b.Keep = func(res load.Result) error {
			if k.keeps >= n {
				return errors.New("killed")
			}
			defer func() { known, note = k.total, d.notes[source] }()
			return keep(res)
		}
		known = k.total
		_, err := k.deliver(t.Context())
		if err == nil {
			return // all of it was delivered before the n-th Keep
		}
		d.notes[source] = note
		finish(t, h, d, known, rows)
	}
}

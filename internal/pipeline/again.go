package pipeline

import (
	"context"
	"errors"
	"iter"
	"slices"

	"github.com/idtrail/idtrail/internal/segment"
	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/state"
)

// againPage are read from the state at once.
const againPage = 500

func (d *deliverer) againRow() string { return d.sink.Name() + state.AgainSuffix }

// giveAgain has the sinks of events be given records once more that could not be
// mapped when they came to them.
func (d *deliverer) giveAgain(ctx context.Context, records []schema.Position) error {
	if len(records) == 0 || !d.p.streams(d.source.Name) {
		return nil
	}
	return d.st.AddAgain(ctx, records...)
}

// beginAgain places the sink among the records to be given again: one that is
// new to the source is given none of those that are older than it.
func (d *deliverer) beginAgain(ctx context.Context, isNew bool) error {
	first := int64(1)
	if isNew {
		next, err := d.st.NextAgain(ctx)
		if err != nil {
			return err
		}
		first = next
	}
	return d.st.Begin(ctx, d.againRow(), schema.Position{Record: first})
}

// again gives the sink the records that are to be given once more, as one batch
// whose positions are {0, id}.
func (d *deliverer) again(ctx context.Context, records state.Position) error {
	pos, err := d.st.Position(ctx, d.againRow())
	if err != nil {
		return err
	}
	next, err := d.st.NextAgain(ctx)
	if err != nil {
		return err
	}
	b := &batch{d: d, row: d.againRow(), pos: pos, to: schema.Position{Record: next}, waiting: &d.report.Waiting}
	b.kept = func(t state.Tally, s load.Sent) { d.report.Add(t); d.report.Sent.Add(s) }
	// It was given all but those that were rejected when it came to them: of a
	// sink without rejects, as after its state was lost, there is nothing to mend.
	missing := records.Tally.Rejected + pos.Tally.Rejected
	return b.deliver(ctx, d.againRows(ctx, b, records.Next, missing))
}

func (d *deliverer) againRows(ctx context.Context, b *batch, upto schema.Position, missing int64) iter.Seq2[load.Row, error] {
	from := b.pos.Next.Record
	return func(yield func(load.Row, error) bool) {
		w := &walk{d: d, b: b, yield: yield, m: mapping{source: d.source.Name, mapper: d.source.Mapper, undated: true}}
		if err := w.again(ctx, from, upto, missing); err != nil && !errors.Is(err, errStopped) {
			yield(load.Row{}, err)
		}
	}
}

// again walks over the records to be given once more, but for those from upto
// on: the sink comes to them anyway.
func (w *walk) again(ctx context.Context, from int64, upto schema.Position, missing int64) error {
	for from < w.b.to.Record {
		page, err := w.d.st.Again(ctx, from, againPage)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		for _, a := range page {
			if err := w.stop(ctx, w.d.until); err != nil {
				return err
			}
			give := missing > 0 && a.At.Before(upto)
			if err := w.againOne(ctx, a, give); err != nil {
				return err
			}
			if give {
				missing--
			}
			from = a.ID + 1
		}
	}
	return w.mark(w.b.to)
}

func (w *walk) againOne(ctx context.Context, a state.Again, give bool) error {
	at, next := schema.Position{Record: a.ID}, schema.Position{Record: a.ID + 1}
	if !give {
		return w.hand(nil, next)
	}
	rec, h, release, err := w.find(ctx, a.At)
	if err != nil {
		return err
	}
	defer release()
	if isQuiet(h) || rec.Kind.InSnapshot() || rec.Kind == schema.KindErased {
		return w.hand(nil, next)
	}
	w.m.tally, w.m.rejected = state.Tally{}, nil
	rows := w.label(w.m.rows(rec, originOf(h)))
	// It was counted as a record that was rejected.
	what := outcome{rejected: -1 + int32(w.m.tally.Rejected), events: int32(w.m.tally.Events)} //nolint:gosec // of one record
	rows, what.filtered = w.d.shape(rows)
	for i := range rows {
		rows[i].At = at
	}
	w.b.ledger.add(at, what, nil)
	return w.hand(rows, next)
}

// find reads one record.
func (w *walk) find(ctx context.Context, at schema.Position) (segment.Record, *segment.Header, func(), error) {
	seg, release, err := w.d.segments.get(ctx, at.Segment)
	if err != nil {
		return segment.Record{}, nil, release, err
	}
	for rec := range seg.Records() {
		if rec.At == at {
			return rec, &seg.Header, release, nil
		}
	}
	release()
	return segment.Record{}, nil, func() {}, errors.New("a record to be given again is not there: " + at.String())
}

// keptAgain are remembered though every sink was given them: a replay that was
// cut off, and is done once more, does not give them a second time.
const keptAgain = 100_000

// forgetAgain forgets old records that every sink of events was given again.
func (v *delivery) forgetAgain(ctx context.Context) error {
	var at []int64
	for _, sink := range v.sinks() {
		if _, plans := sink.planner(); plans {
			continue
		}
		pos, known, err := v.st.Find(ctx, sink.Name()+state.AgainSuffix)
		if err != nil || !known {
			return err
		}
		at = append(at, pos.Next.Record)
	}
	next, err := v.st.NextAgain(ctx)
	if err != nil || len(at) == 0 || next <= keptAgain {
		return err
	}
	return v.st.ForgetAgain(ctx, min(slices.Min(at), next-keptAgain))
}

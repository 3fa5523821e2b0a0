package pipeline

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/notice"
	"github.com/idtrail/idtrail/internal/segment"
	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/state"
	"github.com/idtrail/idtrail/transform"
)

const (
	// deliverGrace is how long a sink may take to end once its budget is used
	// up: what was sent is waited for. noticeGrace of it is for notices, so that
	// a sink that catches up for days is told of them all the same.
	deliverGrace = 3 * time.Minute
	noticeGrace  = time.Minute
	// keepTimeout is for writing down what a receiver accepted.
	keepTimeout = 10 * time.Second
	// quietRecords give nothing before a mark says so.
	quietRecords = 1000
)

// stream gives a sink of events the records that are pending, then the notices.
func (d *deliverer) stream(ctx context.Context) error {
	d.report.Notices = &NoticeReport{}
	pos, placed, err := d.place(ctx)
	if err != nil {
		return err
	}
	if !d.due(pos) {
		d.report.NotDue = true
		return nil
	}
	within, cancel := context.WithTimeout(ctx, d.limits.Deliver+deliverGrace)
	defer cancel()
	if placed && !d.noticesOnly {
		began := d.p.now()
		err := d.again(within, pos)
		if err == nil {
			err = d.records(within, pos)
		}
		if err := d.conclude(ctx, d.sink.Name(), began, err); err != nil {
			return err // a receiver that is down is not tried twice in a run
		}
	}
	began := d.p.now()
	return d.conclude(ctx, d.noticeRow(), began, d.notices(within))
}

func (d *deliverer) noticeRow() string { return d.sink.Name() + state.NoticeSuffix }

// due says whether the sink's pace lets it be delivered to now. What it waits
// for is asked for in each run, and what fits in no budget goes on in the next.
func (d *deliverer) due(pos state.Position) bool {
	since := d.p.now().Sub(pos.CaughtUp) // negative where the clock was set back
	return d.noticesOnly || pos.Note != "" || pos.CaughtUp.IsZero() || since < 0 || since >= d.sink.Every
}

// records gives the sink one batch of all that is pending.
func (d *deliverer) records(ctx context.Context, pos state.Position) error {
	head, _, ok, err := d.st.Head(ctx)
	if err != nil || !ok {
		return err
	}
	b := &batch{d: d, row: d.sink.Name(), pos: pos, to: schema.Position{Segment: head + 1}, waiting: &d.report.Waiting}
	b.kept = func(t state.Tally, s load.Sent) { d.report.Add(t); d.report.Sent.Add(s) }
	from := pos.Next
	return b.deliver(ctx, func(yield func(load.Row, error) bool) {
		w := &walk{d: d, b: b, yield: yield, m: mapping{source: d.source.Name, mapper: d.source.Mapper, undated: true}}
		if err := w.all(ctx, from); err != nil && !errors.Is(err, errStopped) {
			yield(load.Row{}, err)
		}
	})
}

// batch is a delivery of events to a sink under way: its position moves with
// what the sink keeps.
type batch struct {
	d       *deliverer
	row     string // of the position
	pos     state.Position
	to      schema.Position
	ledger  ledger
	kept    func(state.Tally, load.Sent)
	waiting *bool
}

// deliver calls the sink, if there is anything to give it or to ask it.
func (b *batch) deliver(ctx context.Context, rows iter.Seq2[load.Row, error]) error {
	from := b.pos.Next
	if !from.Before(b.to) && b.pos.Note == "" {
		return nil
	}
	b.ledger.frontier, b.ledger.kept = from, from
	res, err := b.d.sink.Deliver(ctx, load.Batch{
		Source: b.d.source.Name, From: from, To: b.to, Mapping: transform.Version, Rows: b.d.watch(ctx, rows),
		Note: b.pos.Note, Keep: func(res load.Result) error { return b.keep(ctx, res) },
	})
	if err == nil || says(res) {
		err = errors.Join(err, b.keep(ctx, res))
	}
	if err == nil && !res.Waiting && b.pos.Next != b.to {
		err = fmt.Errorf("ended at %s without an error", b.pos.Next)
	}
	if isOnly(err, errCut) {
		b.d.cut = true
		return nil
	}
	return err
}

// errCut ends the rows of a batch when the budget of time is used up. It has to
// be an error: a sink that sees its rows end without one may take all up to the
// batch's end for sent.
var errCut = errors.New("the time for this delivery is used up")

// isOnly says whether err wraps target and nothing beside it.
func isOnly(err, target error) bool {
	switch e := err.(type) { //nolint:errorlint // each step of the wrapping is looked at
	case nil:
		return false
	case interface{ Unwrap() error }:
		return isOnly(e.Unwrap(), target)
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			if !isOnly(one, target) {
				return false
			}
		}
		return true
	default:
		return err == target //nolint:errorlint // as above
	}
}

// keep writes down what the sink kept. A receiver has it, whatever becomes of
// the run: so being told to stop does not keep it from being written.
func (b *batch) keep(ctx context.Context, res load.Result) error {
	if err := blob.CheckFence(ctx); err != nil {
		return err // whoever holds the source now sends it again
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTimeout)
	defer cancel()
	t := b.ledger.take(res.Upto)
	sent := res.Counts.Sent
	sent.Filtered += t.filtered
	*b.waiting = res.Waiting
	if t.upto == b.pos.Next && res.Note == b.pos.Note && res.Waiting == b.pos.Waiting && sent == (load.Sent{}) && len(res.Rejected) == 0 {
		return nil
	}
	err := b.d.st.Move(ctx, state.Delivery{
		Sink: b.row, Upto: t.upto, At: b.d.p.now(), Tally: t.tally, Sent: state.Sent(sent),
		Note: res.Note, Waiting: res.Waiting, Rejected: t.rejected, Refused: res.Rejected,
	})
	if err != nil {
		return err
	}
	b.pos.Next, b.pos.Note, b.pos.Waiting = t.upto, res.Note, res.Waiting
	b.kept(t.tally, sent)
	b.d.p.trace("position.moved")
	return nil
}

// walk hands a batch's records to a sink, segment by segment.
type walk struct {
	d     *deliverer
	b     *batch
	m     mapping
	yield func(load.Row, error) bool
	quiet int // records since the last row or mark
}

func (w *walk) all(ctx context.Context, at schema.Position) error {
	for {
		seq, ok, err := w.d.st.NextOfEvents(ctx, at.Segment)
		if err != nil {
			return err
		}
		if !ok || seq >= w.b.to.Segment {
			return w.mark(w.b.to)
		}
		if seq > at.Segment {
			at = schema.Position{Segment: seq}
		}
		if err := w.segment(ctx, at); err != nil {
			return err
		}
		at = schema.Position{Segment: seq + 1}
	}
}

// segment hands out a segment from a record on.
func (w *walk) segment(ctx context.Context, from schema.Position) error {
	seg, release, err := w.d.segments.get(ctx, from.Segment)
	if err != nil {
		return err
	}
	defer release()
	if isQuiet(&seg.Header) {
		return w.mark(schema.Position{Segment: from.Segment + 1})
	}
	o := originOf(&seg.Header)
	for rec := range seg.Records() {
		if rec.At.Record < from.Record {
			continue
		}
		if err := w.stop(ctx, w.d.until); err != nil {
			return err
		}
		if err := w.record(rec, o); err != nil {
			return err
		}
	}
	if from.Record <= seg.Header.Count {
		if err := w.gaps(&seg.Header); err != nil {
			return err
		}
	}
	return w.mark(schema.Position{Segment: from.Segment + 1})
}

// stop ends the rows when the run is told to stop, or the budget is used up. The
// mark before errCut lets the sink send what it was handed until then.
func (w *walk) stop(ctx context.Context, until time.Time) error {
	if err := ctx.Err(); err != nil || w.d.p.now().Before(until) {
		return err
	}
	if err := w.mark(w.b.ledger.handed()); err != nil {
		return err
	}
	return errCut
}

// record hands out the events of a record. Users and settings go to no sink of
// events.
func (w *walk) record(rec segment.Record, o origin) error {
	next := schema.Position{Segment: rec.At.Segment, Record: rec.At.Record + 1}
	if rec.Kind.InSnapshot() || rec.Kind == schema.KindErased {
		return w.hand(nil, next)
	}
	w.m.tally, w.m.rejected = state.Tally{}, nil
	rows := w.label(w.m.rows(rec, o))
	what := outcome{records: 1, rejected: int32(w.m.tally.Rejected), events: int32(w.m.tally.Events)} //nolint:gosec // of one record
	rows, what.filtered = w.d.shape(rows)
	w.b.ledger.add(rec.At, what, w.m.rejected)
	return w.hand(rows, next)
}

// label keeps the events of a record's rows, and marks them.
func (w *walk) label(rows []load.Row) []load.Row {
	events := rows[:0]
	for _, row := range rows {
		if row.Event == nil {
			continue
		}
		if w.d.p.Label != nil {
			w.d.p.Label(row.Event)
		}
		events = append(events, row)
	}
	return events
}

// gaps hands out the gaps a header declares, as events: they count as fanned
// out, of no record.
func (w *walk) gaps(h *segment.Header) error {
	if len(h.Gaps) == 0 {
		return nil
	}
	at := schema.Position{Segment: h.Seq, Record: h.Count}
	rows := make([]load.Row, len(h.Gaps))
	for i, g := range h.Gaps {
		g.Source = w.d.source.Name
		e := notice.Gap(g)
		rows[i] = load.Row{At: at, Day: h.LandedAt.UTC().Format(time.DateOnly), Event: &e}
	}
	what := outcome{events: int32(len(rows))} //nolint:gosec // of one header
	rows, what.filtered = w.d.shape(rows)
	w.b.ledger.add(at, what, nil)
	return w.hand(rows, schema.Position{Segment: h.Seq + 1})
}

// shape filters and redacts rows of events, for this sink.
func (d *deliverer) shape(rows []load.Row) (kept []load.Row, filtered int32) {
	if d.sink.Shape == nil {
		return rows, 0
	}
	kept = rows[:0]
	for _, row := range rows {
		e, keep := d.sink.Shape.Apply(row.Event)
		if !keep {
			filtered++
			continue
		}
		row.Event = e
		kept = append(kept, row)
	}
	return kept, filtered
}

// hand hands out rows, behind which everything before next was handed out.
func (w *walk) hand(rows []load.Row, next schema.Position) error {
	for i, row := range rows {
		if i == len(rows)-1 { // a sink may keep a row while it is handed it
			w.b.ledger.advance(next)
		}
		if !w.yield(row, nil) {
			return errStopped
		}
	}
	if len(rows) > 0 {
		w.quiet = 0
		return nil
	}
	if w.quiet++; w.quiet >= quietRecords {
		return w.mark(next)
	}
	w.b.ledger.advance(next)
	return nil
}

// mark tells the sink that everything before a place was handed out.
func (w *walk) mark(at schema.Position) error {
	w.quiet = 0
	w.b.ledger.advance(at)
	if !w.yield(load.Row{At: at}, nil) {
		return errStopped
	}
	return nil
}

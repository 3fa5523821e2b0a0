package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/idtrail/idtrail/internal/segment"
	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/state"
	"github.com/idtrail/idtrail/transform"
)

// deliverer gives one sink what was landed of one source.
type deliverer struct {
	p      *Pipeline
	st     *state.DB
	source Source
	sink   Sink
	limits Limits
	report SinkReport
}

// deliver gives the sink what is pending, within the run's budget of time; what
// fails is in the report, and is tried again by the next run.
func (d *deliverer) deliver(ctx context.Context) SinkReport {
	d.report.Sink = d.sink.Name()
	began := d.p.now()
	err := d.all(ctx, d.p.now().Add(d.limits.Deliver))
	if err != nil {
		err = fmt.Errorf("deliver %s to sink %s: %w", d.source.Name, d.sink.Name(), err)
		d.report.Err, d.report.Error = err, err.Error()
	}
	d.report.Seconds = d.p.now().Sub(began).Seconds()
	if pos, err := d.st.Position(ctx, d.sink.Name()); err == nil {
		d.report.Pending, _ = d.st.Pending(ctx, pos.Next) // a count for people; the state's failures show elsewhere
	}
	return d.report
}

func (d *deliverer) all(ctx context.Context, until time.Time) error {
	step := d.nextSegment
	if planner, ok := d.sink.planner(); ok {
		step = func(ctx context.Context, pos state.Position) (bool, error) { return d.nextFlush(ctx, planner, pos) }
	}
	for d.p.now().Before(until) {
		pos, err := d.st.Position(ctx, d.sink.Name())
		if err != nil {
			return err
		}
		more, err := step(ctx, pos)
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// nextFlush makes one flush, if one is due.
func (d *deliverer) nextFlush(ctx context.Context, sink load.Planner, pos state.Position) (more bool, err error) {
	pending, err := d.st.Pending(ctx, pos.Next)
	if err != nil || pending.Segments == 0 {
		return false, err
	}
	due := sink.Due(load.Pending{
		Source: d.source.Name, Records: pending.Records, Bytes: pending.Bytes, Since: pos.Delivered, Snapshot: pending.Snapshot,
	}, d.p.now())
	// What was begun within this run is not left behind for the next.
	if !due && d.report.Objects == 0 {
		return false, nil
	}
	// One flush at a time: each may take memory and disk up to the limits.
	d.p.flushing.Lock()
	defer d.p.flushing.Unlock()
	return true, d.flush(ctx, sink, pos.Next.Segment)
}

func (d *deliverer) flush(ctx context.Context, sink load.Planner, from int64) error {
	end, err := d.st.EndWithin(ctx, from, d.limits.FlushBytes)
	if err != nil {
		return err
	}
	plan, err := sink.Plan(ctx, d.source.Name, from, end)
	if err != nil {
		return err
	}
	d.p.trace("flush.planned")
	if plan.Done {
		return d.adoptFlush(ctx, plan)
	}
	m := &mapping{source: d.source.Name, mapper: d.source.Mapper}
	batch := load.Batch{
		Source: d.source.Name, From: schema.Position{Segment: plan.From}, To: schema.Position{Segment: plan.To},
		Mapping: transform.Version, Rows: d.watch(d.sortedRows(ctx, m, plan.From, plan.To)),
	}
	res, err := sink.Deliver(ctx, batch)
	if err != nil {
		return err
	}
	if res.Upto != batch.To {
		return fmt.Errorf("flush of segments %d to %d ended at %s", plan.From, plan.To-1, res.Upto)
	}
	d.p.trace("flush.written")
	return d.move(ctx, res, m)
}

// adoptFlush moves the position over a flush that was finished before, which
// the state did not live to know.
func (d *deliverer) adoptFlush(ctx context.Context, plan load.Plan) error {
	records, err := d.st.Records(ctx, plan.From, plan.To)
	if err != nil {
		return err
	}
	t := state.Tally{Records: records, Rejected: plan.Counts.Rejects, Events: plan.Counts.Events, Users: plan.Counts.Users, Settings: plan.Counts.Settings}
	t.FannedOut = t.Events + t.Users + t.Settings - t.Mapped()
	res := load.Result{Upto: schema.Position{Segment: plan.To}, Counts: plan.Counts}
	return d.move(ctx, res, &mapping{tally: t})
}

// nextSegment gives a sink that takes small batches the rest of one segment.
func (d *deliverer) nextSegment(ctx context.Context, pos state.Position) (more bool, err error) {
	head, _, ok, err := d.st.Head(ctx)
	if err != nil || !ok || pos.Next.Segment > head {
		return false, err
	}
	seg, err := segment.Read(ctx, d.p.Raw, d.source.Name, pos.Next.Segment)
	if err != nil {
		return false, err
	}
	m := &mapping{source: d.source.Name, mapper: d.source.Mapper}
	batch := load.Batch{
		Source: d.source.Name, From: pos.Next, To: schema.Position{Segment: pos.Next.Segment + 1},
		Mapping: transform.Version, Rows: d.watch(segmentRows(seg, m, pos.Next.Record)),
	}
	res, err := d.sink.Deliver(ctx, batch)
	if err == nil && res.Upto != batch.To {
		err = fmt.Errorf("ended at %s without an error", res.Upto)
	}
	if pos.Next.Before(res.Upto) {
		if res.Upto.Segment == pos.Next.Segment { // the rows behind it were made and not kept
			m = &mapping{source: d.source.Name, mapper: d.source.Mapper}
			for range rowsBetween(seg, m, pos.Next.Record, res.Upto.Record) {
				continue
			}
		}
		err = errors.Join(err, d.move(ctx, res, m))
	}
	return true, err
}

// segmentRows yields the rows of a segment from a record on, in landed order,
// and what its header says at the end.
func segmentRows(seg *segment.Segment, m *mapping, from int64) iter.Seq2[load.Row, error] {
	return func(yield func(load.Row, error) bool) {
		for row := range rowsBetween(seg, m, from, seg.Header.Count) {
			if !yield(row, nil) {
				return
			}
		}
		for _, row := range m.tail(&seg.Header) {
			if !yield(row, nil) {
				return
			}
		}
	}
}

func rowsBetween(seg *segment.Segment, m *mapping, from, to int64) iter.Seq[load.Row] {
	return func(yield func(load.Row) bool) {
		for rec := range seg.Records() {
			if rec.At.Record < from || rec.At.Record >= to {
				continue
			}
			for _, row := range m.rows(rec, originOf(&seg.Header)) {
				if !yield(row) {
					return
				}
			}
		}
	}
}

// move moves the position over what the sink kept.
func (d *deliverer) move(ctx context.Context, res load.Result, m *mapping) error {
	rejected := m.rejected
	m.tally.Rejected += int64(len(res.Rejected))
	rejected = append(rejected, res.Rejected...)
	err := d.st.Move(ctx, state.Delivery{Sink: d.sink.Name(), Upto: res.Upto, At: d.p.now(), Tally: m.tally, Rejected: rejected})
	if err != nil {
		return err
	}
	d.p.trace("position.moved")
	d.report.Records += m.tally.Records
	d.report.Rejected += m.tally.Rejected
	d.report.Events += m.tally.Events
	d.report.Users += m.tally.Users
	d.report.Settings += m.tally.Settings
	d.report.FannedOut += m.tally.FannedOut
	d.report.Objects += res.Counts.Objects
	d.report.Bytes += res.Counts.Bytes
	return nil
}

// watch reports progress every so many rows.
func (d *deliverer) watch(rows iter.Seq2[load.Row, error]) iter.Seq2[load.Row, error] {
	const every = 2000
	return func(yield func(load.Row, error) bool) {
		var n int64
		for row, err := range rows {
			if n++; n%every == 0 {
				d.p.progress(Progress{Source: d.source.Name, Stage: d.sink.Name(), Records: d.report.Records + n})
			}
			if !yield(row, err) {
				return
			}
		}
	}
}

func sortByDay(rows []load.Row) {
	slices.SortStableFunc(rows, func(a, b load.Row) int { return cmp.Compare(a.Day, b.Day) })
}

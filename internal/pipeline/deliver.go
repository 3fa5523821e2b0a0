package pipeline

import (
	"context"
	"fmt"
	"iter"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/segment"
	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/load/lake"
	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/state"
	"github.com/idtrail/idtrail/transform"
)

// delivery gives the sinks what was landed of one source, and what is to be
// told beside it.
type delivery struct {
	p      *Pipeline
	st     *state.DB
	source Source
	limits Limits
	// identity of the source, for its checkpoints.
	identity string
	// firstNotice is where a new sink begins among the notices.
	firstNotice int64
	// noticesOnly: records are not delivered.
	noticesOnly bool
	// until is when the budget of time is used up.
	until    time.Time
	segments *segments
}

// all delivers to every sink that takes the source. They run side by side, so
// that one that is slow or dead delays no other.
func (v *delivery) all(ctx context.Context) []SinkReport {
	v.until = v.p.now().Add(v.limits.Deliver)
	v.segments = newSegments(v.p.Raw, v.source.Name)
	sinks := v.sinks()
	reports := make([]SinkReport, len(sinks))
	var group errgroup.Group
	for i, sink := range sinks {
		group.Go(func() error {
			d := &deliverer{delivery: v, sink: sink}
			if err := v.p.guard(v.source.Name, sink.Name(), func() { reports[i] = d.deliver(ctx) }); err != nil {
				reports[i] = SinkReport{Sink: sink.Name(), Error: err.Error(), Err: err}
			}
			return nil
		})
	}
	_ = group.Wait() // the functions return no error: it is in the reports
	if err := v.forgetAgain(ctx); err != nil {
		v.p.log().Warn("records that were given again are not forgotten yet", "source", v.source.Name, "error", err)
	}
	return reports
}

// identify finds out which identity the source's chain belongs to, where the
// source itself is not opened.
func (v *delivery) identify(ctx context.Context) error {
	head, _, ok, err := v.st.Head(ctx)
	if err != nil || !ok {
		return err
	}
	seg, err := segment.ReadHeader(ctx, v.p.Raw, v.source.Name, head)
	if err != nil {
		return err
	}
	v.identity, v.source.Kind = seg.Header.Identity, seg.Header.Kind
	return nil
}

// checkpoint writes down what is new in raw and lake.
func (v *delivery) checkpoint(ctx context.Context) error {
	if ctx.Err() != nil {
		return nil //nolint:nilerr // the next run writes it
	}
	err := v.p.checkpoint(ctx, v.st, v.source, v.identity)
	v.p.trace("checkpoint.written")
	return err
}

func (v *delivery) sinks() []Sink {
	var sinks []Sink
	for _, sink := range v.p.Sinks {
		if _, plans := sink.planner(); sink.takes(v.source.Name) && (!plans || !v.noticesOnly) {
			sinks = append(sinks, sink)
		}
	}
	return sinks
}

// deliverer gives one sink what is pending of one source.
type deliverer struct {
	*delivery
	sink   Sink
	report SinkReport
	// cut says that the budget ended a delivery before all was delivered.
	cut bool
}

// deliver gives the sink what is pending, within the run's budget of time; what
// fails is in the report, and is tried again by the next run.
func (d *deliverer) deliver(ctx context.Context) SinkReport {
	d.report.Sink = d.sink.Name()
	began := d.p.now()
	ctx, end := d.p.begin(ctx, Step{Name: StepDeliver, Source: d.source.Name, Sink: d.sink.Name()})
	var err error
	if planner, ok := d.sink.planner(); ok {
		err = d.conclude(ctx, d.sink.Name(), began, d.flushes(ctx, planner))
		d.report.Pending = d.pendingFlush(ctx)
	} else {
		err = d.stream(ctx)
		d.reportPending(ctx)
	}
	if err != nil {
		err = fmt.Errorf("deliver %s to sink %s: %w", d.source.Name, d.sink.Name(), err)
		d.report.Err, d.report.Error = err, err.Error()
	}
	d.report.Seconds = d.p.now().Sub(began).Seconds()
	end(err, d.report.counts()...)
	return d.report
}

// conclude remembers how a delivery ended that began then, and returns err. One
// that was told to stop did not fail.
func (d *deliverer) conclude(ctx context.Context, row string, began time.Time, err error) error {
	if ctx.Err() != nil {
		return err
	}
	o := state.Outcome{Sink: row, At: d.p.now()}
	switch {
	case err != nil:
		o.Error = err.Error()
	case !d.cut:
		o.CaughtUp = began
	}
	if failure := d.st.Conclude(ctx, o); err == nil {
		return failure
	}
	return err
}

// pendingFlush counts for people; the state's failures show elsewhere.
func (d *deliverer) pendingFlush(ctx context.Context) state.Pending {
	pos, err := d.st.Position(ctx, d.sink.Name())
	if err != nil {
		return state.Pending{}
	}
	pending, _ := d.st.Pending(ctx, pos.Next)
	return pending
}

func (d *deliverer) flushes(ctx context.Context, sink load.Planner) error {
	for d.p.now().Before(d.until) {
		pos, err := d.st.Position(ctx, d.sink.Name())
		if err != nil {
			return err
		}
		more, err := d.nextFlush(ctx, sink, pos)
		if err != nil || !more {
			return err
		}
	}
	d.cut = true
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
	before := d.report
	ctx, end := d.p.begin(ctx, Step{Name: StepFlush, Source: d.source.Name, Sink: d.sink.Name()})
	err = d.flush(ctx, sink, pos.Next.Segment)
	end(err, Count{"records", d.report.Records - before.Records}, Count{"objects", d.report.Objects - before.Objects}, Count{"bytes", d.report.Bytes - before.Bytes})
	return true, err
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
	if plan.Reopened {
		if err := d.finishReopened(ctx, plan); err != nil {
			return err
		}
		if plan, err = sink.Plan(ctx, d.source.Name, from, end); err != nil {
			return err
		}
	}
	if plan.Done {
		return d.adoptFlush(ctx, plan)
	}
	if err := d.st.BeginFlush(ctx, state.OpenFlush{Sink: d.sink.Name(), From: plan.From, To: plan.To}); err != nil {
		return err
	}
	m := &mapping{source: d.source.Name, mapper: d.source.Mapper}
	batch := load.Batch{
		Source: d.source.Name, From: schema.Position{Segment: plan.From}, To: schema.Position{Segment: plan.To},
		Mapping: transform.Version, Rows: d.watch(ctx, d.sortedRows(ctx, m, plan.From, plan.To)),
	}
	res, err := sink.Deliver(ctx, batch)
	if err != nil {
		return err
	}
	if res.Upto != batch.To {
		return fmt.Errorf("flush of segments %d to %d ended at %s", plan.From, plan.To-1, res.Upto)
	}
	d.p.trace("flush.written")
	return d.flushed(ctx, res, m)
}

// finishReopened finishes a rewriting that the state did not live to know.
func (d *deliverer) finishReopened(ctx context.Context, plan load.Plan) error {
	for r, err := range lake.Open(d.p.Lake).Flushes(ctx, d.sink.Name(), d.source.Name) {
		if err != nil {
			return err
		}
		if r.From == plan.From {
			return d.finishOne(ctx, r)
		}
	}
	return nil
}

// adoptFlush moves the position over a flush that was finished before, which
// the state did not live to know.
func (d *deliverer) adoptFlush(ctx context.Context, plan load.Plan) error {
	records, err := d.recordsOf(ctx, plan.From, plan.To)
	if err != nil {
		return err
	}
	t := state.Tally{Records: records, Rejected: plan.Counts.Rejects, Events: plan.Counts.Events, Users: plan.Counts.Users, Settings: plan.Counts.Settings}
	t.FannedOut = t.Events + t.Users + t.Settings - t.Mapped()
	res := load.Result{Upto: schema.Position{Segment: plan.To}, Counts: plan.Counts}
	return d.flushed(ctx, res, &mapping{tally: t})
}

// flushed moves the position over a flush.
func (d *deliverer) flushed(ctx context.Context, res load.Result, m *mapping) error {
	err := d.st.Move(ctx, state.Delivery{
		Sink: d.sink.Name(), Upto: res.Upto, At: d.p.now(), Tally: m.tally, Rejected: m.rejected, Refused: res.Rejected,
	})
	if err != nil {
		return err
	}
	d.p.trace("position.moved")
	d.report.Add(m.tally)
	d.report.Objects += res.Counts.Objects
	d.report.Bytes += res.Counts.Bytes
	return nil
}

// watch reports progress every so many rows, and ends them where the source is
// held no longer.
func (d *deliverer) watch(ctx context.Context, rows iter.Seq2[load.Row, error]) iter.Seq2[load.Row, error] {
	const every = 2000
	return func(yield func(load.Row, error) bool) {
		before := d.report.Records // read once: a sink may keep while it is given rows
		var n int64
		for row, err := range rows {
			if n++; n%every == 0 {
				d.p.progress(Progress{Source: d.source.Name, Stage: d.sink.Name(), Records: before + n})
			}
			if err == nil {
				err = blob.CheckFence(ctx)
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
}

package pipeline

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/idtrail/idtrail/internal/notice"
	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/reconcile"
	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/state"
)

// noticesPage are read from the state at once.
const noticesPage = 500

// noteRun remembers what a run has to tell of its source: how it went, and how
// far the chain reaches if it grew. It returns where new sinks begin. Without a
// sink of events there is nobody to tell.
func noteRun(ctx context.Context, l *lander, r *SourceReport) (first int64, err error) {
	s := l.source
	if !l.p.streams(s.Name) {
		return 0, nil
	}
	rejected, err := l.st.RejectedSince(ctx)
	if err != nil {
		return 0, err
	}
	events := []schema.Event{notice.Run(notice.RunFacts{
		Source: s.Name, Kind: s.Kind, Identity: l.identity, Started: r.Started, Ended: r.Ended,
		Read: r.Read, Landed: r.Landed, Repeated: r.Repeated, Filtered: r.Filtered, Gaps: r.Gaps, Rejected: rejected, Error: r.Error,
	})}
	if r.Segments+r.Adopted > 0 && !errors.Is(r.Err, errChain) {
		totals, err := l.st.Totals(ctx)
		if err != nil {
			return 0, err
		}
		events = append(events, notice.Head(notice.HeadFacts{
			Source: s.Name, Kind: s.Kind, Identity: l.identity,
			Seq: l.head.Seq, Header: l.head.SHA256, Records: totals.Records, At: totals.Landed,
		}))
	}
	return l.st.AddNotices(ctx, events...)
}

// notices gives the sink those that are pending, as one batch: their positions
// are {0, id}.
func (d *deliverer) notices(ctx context.Context) error {
	pos, err := d.st.Position(ctx, d.noticeRow())
	if err != nil {
		return err
	}
	pending, err := d.st.PendingNotices(ctx, pos.Next.Record)
	if err != nil {
		return err
	}
	if pos.Next.Record += pending.Lost; pending.Lost > 0 {
		if err := d.passLost(ctx, pos, pending.Lost); err != nil {
			return err
		}
	}
	r := d.report.Notices
	b := &batch{d: d, row: d.noticeRow(), pos: pos, to: schema.Position{Record: pending.Next}, waiting: &r.Waiting}
	b.kept = func(t state.Tally, s load.Sent) { r.Given += t.Events; r.Sent.Add(s) }
	return b.deliver(ctx, d.noticeRows(ctx, b))
}

// passLost moves over notices that were forgotten before the sink took them.
func (d *deliverer) passLost(ctx context.Context, to state.Position, lost int64) error {
	d.report.Notices.Lost = lost
	d.p.log().Warn("notices were forgotten before the sink took them", "source", d.source.Name, "sink", d.sink.Name(), "notices", lost)
	return d.st.Move(ctx, state.Delivery{Sink: d.noticeRow(), Upto: to.Next, At: d.p.now(), Note: to.Note, Waiting: to.Waiting, Lost: lost})
}

func (d *deliverer) noticeRows(ctx context.Context, b *batch) iter.Seq2[load.Row, error] {
	from := b.pos.Next.Record
	return func(yield func(load.Row, error) bool) {
		w := &walk{d: d, b: b, yield: yield}
		if err := w.notices(ctx, from); err != nil && !errors.Is(err, errStopped) {
			yield(load.Row{}, err)
		}
	}
}

func (w *walk) notices(ctx context.Context, from int64) error {
	for from < w.b.to.Record {
		page, err := w.d.st.Notices(ctx, from, noticesPage)
		if err != nil {
			return err
		}
		for _, n := range page {
			if err := w.stop(ctx, w.d.until.Add(noticeGrace)); err != nil {
				return err
			}
			if err := w.notice(n); err != nil {
				return err
			}
		}
		from += noticesPage // ids have no holes
	}
	return w.mark(w.b.to)
}

func (w *walk) notice(n state.Notice) error {
	at := schema.Position{Record: n.ID}
	what := outcome{records: 1, events: 1}
	var rows []load.Row
	rows, what.filtered = w.d.shape([]load.Row{{At: at, Day: n.At.Format(time.DateOnly), Event: &n.Event}})
	w.b.ledger.add(at, what, nil)
	return w.hand(rows, schema.Position{Record: n.ID + 1})
}

// tellDrift has what a comparison found told at once, as a notice of its left
// source: the next run of that source may be a day away. What fails of it does
// not undo the comparison; the next run tells it.
func (p *Pipeline) tellDrift(ctx context.Context, pair Reconcile, r ReconcileReport) {
	if r.Waiting != "" || ctx.Err() != nil || !p.streams(pair.Left.Name) {
		return
	}
	err := p.noteDrift(ctx, pair.Left, p.driftOf(r))
	switch {
	case errors.Is(err, state.ErrHeld):
		p.log().Warn("what a comparison found is not told: its left source is held by another run", "left", r.Left, "right", r.Right)
	case err != nil:
		p.log().Warn("what a comparison found is not told yet", "left", r.Left, "right", r.Right, "error", err)
	}
}

func (p *Pipeline) driftOf(r ReconcileReport) schema.Event {
	f := notice.DriftFacts{Left: r.Left, Right: r.Right, ComparedAt: p.now(), Error: r.Error}
	if s := r.Summary; s != nil {
		f.LeftSnapshot, f.RightSnapshot = s.Left.Snapshot.ID, s.Right.Snapshot.ID
		f.ComparedAt, f.Linked, f.Findings = s.ComparedAt, s.Linked, s.Findings
		f.ByType, f.BySeverity = named(s.ByType), named(s.BySeverity)
	}
	return notice.Drift(f)
}

func named[K reconcile.Type | reconcile.Severity](counts map[K]int64) map[string]int64 {
	out := make(map[string]int64, len(counts))
	for k, n := range counts {
		out[string(k)] = n
	}
	return out
}

func (p *Pipeline) noteDrift(ctx context.Context, left Source, e schema.Event) error {
	return p.hold(ctx, left.Name, func(ctx context.Context, st *state.DB) error {
		first, err := st.AddNotices(ctx, e)
		if err != nil {
			return err
		}
		p.trace("drift.noted")
		v := &delivery{p: p, st: st, source: left, limits: p.Limits.withDefaults(), firstNotice: first, noticesOnly: true}
		for _, r := range v.all(ctx) {
			err = errors.Join(err, r.Err)
		}
		return err
	})
}

package pipeline

import (
	"context"
	"fmt"
	"time"

	"github.com/idtrail/idtrail/internal/proof"
	"github.com/idtrail/idtrail/load/lake"
	"github.com/idtrail/idtrail/state"
	"github.com/idtrail/idtrail/transform"
)

// ReplayOptions say what is mapped again; the zero value is all that an older
// mapping made, or rejected.
type ReplayOptions struct {
	// From and To bound the times of the events, To exclusive; zero is open. A
	// flush is made again whole, where any of it may be within.
	From, To time.Time
	// RejectedOnly leaves alone what holds no rejects.
	RejectedOnly bool
	// DryRun only counts what would be looked at.
	DryRun bool
}

// ReplayReport is what a replay did with one source.
type ReplayReport struct {
	Source string        `json:"source"`
	Sinks  []ReplayCount `json:"sinks"`
	// Given are records that were rejected, and now are given to sinks of
	// events.
	Given     int64        `json:"given"`
	Delivered []SinkReport `json:"delivered,omitempty"`
}

// ReplayCount is what a replay did with one sink of the lake.
type ReplayCount struct {
	Sink string `json:"sink"`
	// Flushes were looked at; Changed gave other rows than before. Gone could
	// not be mapped again: their segments were pruned.
	Flushes int64 `json:"flushes"`
	Changed int64 `json:"changed"`
	Gone    int64 `json:"gone,omitempty"`
	// Fits were rejected and no longer are; Rejected are those that are, of what
	// was looked at.
	Fits     int64 `json:"fits"`
	Rejected int64 `json:"rejected"`
	Objects  int64 `json:"objects"`
}

// Replay maps again, by the mapping at hand, what was flushed by an older one or
// could not be mapped. The lake's objects are replaced one by one; what is no
// longer rejected is given to the sinks of events, once. Cut off anywhere, it is
// finished by the next run, or by another replay. state.ErrHeld.
func (p *Pipeline) Replay(ctx context.Context, source Source, o ReplayOptions) (r ReplayReport, err error) {
	r.Source = source.Name
	err = p.checkOwner(ctx, []Source{source})
	if err == nil {
		err = p.hold(ctx, source.Name, func(ctx context.Context, st *state.DB) error { return p.replay(ctx, st, source, o, &r) })
	}
	if err != nil {
		return r, fmt.Errorf("replay %s: %w", source.Name, err)
	}
	return r, nil
}

func (p *Pipeline) replay(ctx context.Context, st *state.DB, source Source, o ReplayOptions, r *ReplayReport) error {
	v := &delivery{p: p, st: st, source: source, limits: p.Limits.withDefaults()}
	if err := v.identify(ctx); err != nil {
		return err
	}
	if !o.DryRun {
		if err := v.finishRewritings(ctx, false); err != nil {
			return err
		}
	}
	within, err := v.within(ctx, o)
	if err != nil {
		return err
	}
	before, err := st.NextAgain(ctx)
	if err != nil {
		return err
	}
	for _, d := range v.rewriters() {
		n := ReplayCount{Sink: d.sink.Name()}
		err := d.replay(ctx, o, within, &n)
		r.Sinks = append(r.Sinks, n)
		if err != nil {
			return err
		}
	}
	if o.DryRun {
		return nil
	}
	if err := st.SetMemo(ctx, memoRewriting, ""); err != nil {
		return err
	}
	p.trace("rewrite.ended")
	after, err := st.NextAgain(ctx)
	if err != nil {
		return err
	}
	r.Given = after - before
	r.Delivered = v.all(ctx)
	return v.checkpoint(ctx)
}

// within says whether a range of segments may hold events of the times asked
// for.
func (v *delivery) within(ctx context.Context, o ReplayOptions) (func(from, to int64) bool, error) {
	if o.From.IsZero() && o.To.IsZero() {
		return func(int64, int64) bool { return true }, nil
	}
	to := o.To.Add(-time.Millisecond)
	if o.To.IsZero() {
		to = farFuture
	}
	seqs, err := v.st.Overlapping(ctx, "", o.From, to)
	if err != nil {
		return nil, err
	}
	return func(from, to int64) bool {
		for _, seq := range seqs {
			if seq >= from && seq < to {
				return true
			}
		}
		return false
	}, nil
}

func (d *deliverer) replay(ctx context.Context, o ReplayOptions, within func(from, to int64) bool, n *ReplayCount) error {
	pos, err := d.st.Position(ctx, d.sink.Name())
	if err != nil {
		return err
	}
	pruned, err := prunedBefore(ctx, d.st)
	if err != nil {
		return err
	}
	for r, err := range lake.Open(d.p.Lake).Flushes(ctx, d.sink.Name(), d.source.Name) {
		switch {
		case err != nil:
			return err
		case r.To > pos.Next.Segment || !wanted(r, o) || !within(r.From, r.To):
			continue
		}
		n.Flushes++
		if r.From < pruned {
			n.Gone++
			continue
		}
		if o.DryRun {
			n.Rejected += r.Counts.Rejects
			continue
		}
		w := &rewrite{d: d, flush: r, kind: proof.Replay, reason: fmt.Sprintf("mapped again by mapping %d", transform.Version)}
		done, err := w.make(ctx)
		if err != nil {
			return err
		}
		n.add(done)
	}
	return nil
}

// wanted says whether mapping a flush again may change anything.
func wanted(r lake.Record, o ReplayOptions) bool {
	return r.State == lake.StateCompleted && (r.Counts.Rejects > 0 || r.Mapping < transform.Version && !o.RejectedOnly)
}

func (n *ReplayCount) add(r rewritten) {
	n.Rejected += r.rejected
	if !r.changed {
		return
	}
	n.Changed++
	n.Fits += int64(len(r.fits))
	n.Objects += r.objects
}

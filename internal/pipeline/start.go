package pipeline

import (
	"context"
	"time"

	"github.com/idtrail/idtrail/internal/segment"
	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/state"
	"github.com/idtrail/idtrail/transform"
)

// place returns where the sink stands, and gives one that is new to the source
// its start. placed is false where that cannot be said yet.
func (d *deliverer) place(ctx context.Context) (pos state.Position, placed bool, err error) {
	if err := d.st.Begin(ctx, d.noticeRow(), schema.Position{Record: max(d.firstNotice, 1)}); err != nil {
		return pos, false, err
	}
	pos, placed, err = d.st.Find(ctx, d.sink.Name())
	if err != nil || d.noticesOnly {
		return pos, placed, err
	}
	if err := d.beginAgain(ctx, !placed); err != nil || placed {
		return pos, placed, err
	}
	at, ok, err := d.start(ctx)
	if err != nil || !ok {
		return pos, false, err
	}
	if err := d.st.Begin(ctx, d.sink.Name(), at); err != nil {
		return pos, false, err
	}
	d.p.trace("position.begun")
	return d.st.Find(ctx, d.sink.Name())
}

// start is where a new sink begins. Where no landed record is new enough, it is
// behind them all; but before the source was once read to its end, those that
// are new enough may still come behind ones that are not, so that it waits.
func (d *deliverer) start(ctx context.Context) (at schema.Position, ok bool, err error) {
	s := d.sink.Start
	if !s.Now && s.At.IsZero() {
		return at, true, nil
	}
	if !s.Now {
		if at, ok, err = d.firstSince(ctx, s.At); ok || err != nil {
			return at, ok, err
		}
	}
	drained, err := d.st.LastDrain(ctx)
	if err != nil || drained.IsZero() {
		return at, false, err
	}
	head, _, ok, err := d.st.Head(ctx)
	return schema.Position{Segment: head + 1}, ok, err
}

// firstSince finds the first landed record of an event at t or later, or the
// first gap declared behind it.
func (d *deliverer) firstSince(ctx context.Context, t time.Time) (at schema.Position, ok bool, err error) {
	for seq := int64(0); ; seq++ {
		seq, ok, err = d.st.NextSince(ctx, seq, t)
		if err != nil || !ok {
			return at, false, err
		}
		if at, ok, err = d.firstIn(ctx, seq, t); ok || err != nil {
			return at, ok, err
		}
	}
}

func (d *deliverer) firstIn(ctx context.Context, seq int64, t time.Time) (at schema.Position, ok bool, err error) {
	seg, release, err := d.segments.get(ctx, seq)
	if err != nil {
		return at, false, err
	}
	defer release()
	if isQuiet(&seg.Header) {
		return at, false, nil
	}
	for rec := range seg.Records() {
		if since(rec, seg.Header.LandedAt, t) {
			return rec.At, true, nil
		}
	}
	return schema.Position{Segment: seq, Record: seg.Header.Count}, len(seg.Header.Gaps) > 0, nil
}

func since(rec segment.Record, landedAt, t time.Time) bool {
	if rec.Kind.InSnapshot() || rec.Kind == schema.KindErased {
		return false
	}
	at, _ := transform.When(rec.Kind, rec.Line, landedAt)
	return !at.Before(t)
}

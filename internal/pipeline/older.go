package pipeline

import (
	"context"
	"maps"
	"time"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/internal/segment"
	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/state"
)

// older judges records whose ids may be forgotten: it reads the ids back from
// the landed segments of the records' times. They lie in the state's temporary
// table, so that memory does not grow with the span.
type older struct {
	l *lander
	// stream is the only one whose segments count; "" for all.
	stream string
	read   map[int64]bool
	// from and to are the times whose segments are all read.
	from, to time.Time
}

// newOlder reads back the segments of a span.
func newOlder(ctx context.Context, l *lander, stream string, from, to time.Time) (*older, error) {
	o := &older{l: l, stream: stream, read: map[int64]bool{}, from: from, to: to}
	if err := l.st.Recall(ctx); err != nil {
		return nil, err
	}
	return o, o.recall(ctx, from, to)
}

// known returns which of a page's records were landed. Times beyond the span are
// rare, and cost reading the segments of those times.
func (o *older) known(ctx context.Context, raws []schema.Raw, keys []state.SeenID) (map[state.SeenID]bool, error) {
	for _, raw := range raws {
		at := raw.Time
		if at.IsZero() || !at.Before(o.from) && !at.After(o.to) {
			continue
		}
		if err := o.recall(ctx, at, at); err != nil {
			return nil, err
		}
	}
	return o.l.st.KnownOlder(ctx, keys)
}

func (o *older) recall(ctx context.Context, from, to time.Time) error {
	seqs, err := o.l.st.Overlapping(ctx, o.stream, from, to)
	if err != nil {
		return err
	}
	pruned, err := prunedBefore(ctx, o.l.st)
	if err != nil {
		return err
	}
	for _, seq := range seqs {
		if o.read[seq] || seq < pruned {
			continue
		}
		seg, err := segment.Read(ctx, o.l.p.Raw, o.l.source.Name, seq)
		if err != nil {
			return err
		}
		if err := o.l.st.AddRecalled(ctx, idsOf(seg)); err != nil {
			return err
		}
		o.read[seq] = true
	}
	return nil
}

// olderOfBackfills is set where a back-fill has landed records that the ordinary
// reading may still come to: it was told to read beyond where that stands, or
// the ordinary reading was held up until the back-fill's ids were forgotten.
func (l *lander) olderOfBackfills(ctx context.Context) (*older, error) {
	newest, err := l.st.Streams(ctx)
	if err != nil || len(newest) == 0 || len(newest) == 1 && !newest[segment.MainStream].IsZero() {
		return nil, err
	}
	from := newest[segment.MainStream]
	if !from.IsZero() {
		from = from.Add(-l.margin())
	}
	streams := maps.Clone(newest)
	delete(streams, segment.MainStream)
	for name, to := range streams {
		if !to.IsZero() && to.Before(from) {
			delete(streams, name)
		}
	}
	if len(streams) == 0 {
		return nil, nil
	}
	return newOlder(ctx, l, "", from, farFuture)
}

// farFuture is later than any event.
var farFuture = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)

// margin is how far a record's time may lie from where it is read: twice what a
// source reads again on purpose.
func (l *lander) margin() time.Duration {
	if o, ok := l.src.(extract.Overlapper); ok {
		return 2 * o.Overlap()
	}
	return 24 * time.Hour
}

package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/internal/segment"
	"github.com/idtrail/idtrail/state"
)

// DefaultSlice is how much of a span a back-fill reads at once.
const DefaultSlice = 24 * time.Hour

// quietSuffix ends the name of a stream that sinks of events are not given: what
// a segment is for stands in the evidence, and outlives every state.
const quietSuffix = "-quiet"

// ErrNoBackfill says that a source cannot read a span of its past.
var ErrNoBackfill = errors.New("cannot be back-filled")

// BackfillOptions say what is read.
type BackfillOptions struct {
	// From and To bound the span; To is not part of it, and not in the future.
	From, To time.Time
	// Slice is how much is read at once, the oldest first; DefaultSlice if 0.
	Slice time.Duration
	// Quiet keeps what it lands from sinks of events: it goes to the lake only.
	Quiet bool
}

// BackfillReport is what a back-fill did. Its counts are those of this call; one
// that was cut off goes on where it was.
type BackfillReport struct {
	SourceReport
	Stream string    `json:"stream"`
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	// Slices were read to their end by this call; Reached is until when all of
	// the span was read, Done that it is all.
	Slices  int       `json:"slices"`
	Reached time.Time `json:"reached,omitzero"`
	Done    bool      `json:"done"`
}

// Backfill reads a span of a source's past beside its ordinary reading, whose
// cursor stays where it is. What was landed before is not landed again, by
// whatever reading, and however long ago. Cut off anywhere, it goes on with the
// same span in the next call. ErrNoBackfill, state.ErrHeld.
func (p *Pipeline) Backfill(ctx context.Context, source Source, o BackfillOptions) (BackfillReport, error) {
	o.From, o.To = o.From.UTC().Truncate(time.Second), o.To.UTC().Truncate(time.Second)
	if o.Slice <= 0 {
		o.Slice = DefaultSlice
	}
	r := BackfillReport{Stream: o.stream(), From: o.From, To: o.To}
	r.Source, r.Kind, r.Started = source.Name, source.Kind, p.now()
	err := p.checkSpan(o)
	if err == nil {
		err = p.checkOwner(ctx, []Source{source})
	}
	if err == nil {
		err = p.hold(ctx, source.Name, func(ctx context.Context, st *state.DB) error { return p.backfill(ctx, st, source, o, &r) })
	}
	r.Ended = p.now()
	if r.Err = err; err != nil {
		r.Error = err.Error()
		err = fmt.Errorf("back-fill %s: %w", source.Name, err)
	}
	return r, err
}

func (o BackfillOptions) stream() string {
	name := "backfill-" + stamp(o.From) + "-" + stamp(o.To)
	if o.Quiet {
		name += quietSuffix
	}
	return name
}

func stamp(t time.Time) string {
	if t.Equal(t.Truncate(24 * time.Hour)) {
		return t.Format("20060102")
	}
	return t.Format("20060102T150405Z")
}

func (p *Pipeline) checkSpan(o BackfillOptions) error {
	switch {
	case !o.From.Before(o.To):
		return fmt.Errorf("the span from %s to %s is empty", o.From.Format(time.RFC3339), o.To.Format(time.RFC3339))
	case o.To.After(p.now()):
		return fmt.Errorf("the span ends in the future, %s: the ordinary runs read on", o.To.Format(time.RFC3339))
	default:
		return nil
	}
}

func (p *Pipeline) backfill(ctx context.Context, st *state.DB, source Source, o BackfillOptions, r *BackfillReport) error {
	limits := p.Limits.withDefaults()
	l := &lander{p: p, st: st, source: source, limits: limits, run: &r.Run, stream: r.Stream, span: &span{options: o}}
	failure := l.backfill(ctx, r)
	r.Adopted = l.adopted
	if ctx.Err() != nil {
		return errors.Join(failure, ctx.Err())
	}
	if errors.Is(failure, errChain) || errors.Is(failure, ErrNoBackfill) {
		return failure
	}
	// What was landed before a failure is delivered all the same.
	v := &delivery{p: p, st: st, source: source, limits: limits, identity: l.identity}
	r.Sinks = v.all(ctx)
	return errors.Join(failure, v.checkpoint(ctx))
}

func (l *lander) backfill(ctx context.Context, r *BackfillReport) error {
	if err := l.openSource(); err != nil {
		return err
	}
	ranger, ok := l.src.(extract.Ranger)
	if !ok {
		return fmt.Errorf("%w: a %s is read whole each time, or holds its past in files that are read anyway", ErrNoBackfill, l.source.Kind)
	}
	l.span.ranger = ranger
	if err := l.adopt(ctx); err != nil {
		return err
	}
	for {
		cursor, _, err := l.st.Cursor(ctx, l.stream)
		if err == nil {
			_, err = l.span.resume(cursor)
		}
		if err != nil {
			return err
		}
		if r.Reached, r.Done = l.span.at.From, l.span.over(); r.Done {
			return nil
		}
		if err := l.slice(ctx); err != nil {
			return err
		}
		r.Slices++
	}
}

// slice reads one slice to its end, and lands that it did.
func (l *lander) slice(ctx context.Context) error {
	at := l.span.at
	known, err := newOlder(ctx, l, "", at.From.Add(-l.margin()), at.To.Add(l.margin()))
	if err != nil {
		return err
	}
	l.older = known
	if err := l.drain(ctx); err != nil {
		return err
	}
	l.span.next()
	l.cursor = ""
	if err := l.seal(ctx); err != nil && !errors.Is(err, errOvertaken) {
		return err
	}
	l.p.trace("slice.landed")
	l.p.log().Info("slice back-filled", "source", l.source.Name, "stream", l.stream, "from", at.From, "to", at.To)
	return nil
}

// span is where a back-fill stands: its stream's cursor is the slice at hand,
// with the source's own cursor in it.
type span struct {
	options BackfillOptions
	ranger  extract.Ranger
	at      sliceAt
}

// sliceAt is a back-fill's cursor.
type sliceAt struct {
	// From and To bound the slice at hand. Cursor is the source's within it; ""
	// before it is begun.
	From   time.Time       `json:"from"`
	To     time.Time       `json:"to"`
	Cursor json.RawMessage `json:"cursor,omitempty"`
}

// resume reads the stream's cursor, and returns the source's.
func (s *span) resume(text string) (extract.Cursor, error) {
	s.at = sliceAt{From: s.options.From, To: s.end(s.options.From)}
	if text != "" {
		s.at = sliceAt{}
		if err := json.Unmarshal([]byte(text), &s.at); err != nil {
			return "", fmt.Errorf("read cursor of back-fill: %w", err)
		}
	}
	if len(s.at.Cursor) > 0 {
		return extract.Cursor(s.at.Cursor), nil
	}
	return s.ranger.Range(s.at.From, s.at.To), nil
}

// encode is the stream's cursor, with the source's in it.
func (s *span) encode(c extract.Cursor) string {
	at := s.at
	if at.Cursor = nil; c != "" {
		at.Cursor = json.RawMessage(c)
	}
	text, err := json.Marshal(at)
	if err != nil {
		panic(fmt.Sprintf("encode cursor of back-fill: %v", err)) // cursors are JSON
	}
	return string(text)
}

func (s *span) over() bool { return !s.at.From.Before(s.options.To) }

// next turns to the slice behind the one at hand.
func (s *span) next() { s.at = sliceAt{From: s.at.To, To: s.end(s.at.To)} }

func (s *span) end(from time.Time) time.Time {
	if to := from.Add(s.options.Slice); to.Before(s.options.To) {
		return to
	}
	return s.options.To
}

// isQuiet says whether sinks of events are not given what a segment holds.
func isQuiet(h *segment.Header) bool { return strings.HasSuffix(h.Stream, quietSuffix) }

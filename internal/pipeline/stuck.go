package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/internal/segment"
	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/state"
)

// stuckAfter is how many runs have to fail in a row at one cursor until a source
// is called stuck.
const stuckAfter = 3

const memoStuck = "stuck"

// Stuck says that a source fails at one place, run after run.
type Stuck struct {
	Since time.Time `json:"since"`
	// Runs that failed there, one after the other.
	Runs   int    `json:"runs"`
	Cursor string `json:"cursor"`
	Error  string `json:"error"`
	// Skip is the cursor that passes over what cannot be read, and Loses what is
	// lost by it; where nothing can be skipped, Advice says what to do instead.
	Skip   string       `json:"skip,omitempty"`
	Loses  []schema.Gap `json:"loses,omitempty"`
	Advice string       `json:"advice,omitempty"`
}

// noteStuck counts the runs that failed where the one before failed. A run that
// was refused before it read anything says nothing.
func (l *lander) noteStuck(ctx context.Context, failure error) error {
	switch {
	case failure == nil:
		return l.st.SetMemo(ctx, memoStuck, "")
	case l.src == nil || errors.Is(failure, errChain):
		return nil
	}
	cursor, _, err := l.st.Cursor(ctx, segment.MainStream)
	if err != nil {
		return err
	}
	s, err := readStuck(ctx, l.st)
	if err != nil {
		return err
	}
	if s.Cursor != cursor || s.Runs == 0 {
		s = Stuck{Cursor: cursor, Since: l.run.Started}
	}
	s.Runs, s.Error = s.Runs+1, failure.Error()
	l.advise(&s)
	text, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("note where %s is stuck: %w", l.source.Name, err)
	}
	return l.st.SetMemo(ctx, memoStuck, string(text))
}

// advise says how to go on.
func (l *lander) advise(s *Stuck) {
	s.Skip, s.Loses = "", nil
	skipper, ok := l.src.(extract.Skipper)
	if !ok {
		s.Advice = "this source cannot be told to skip anything: what it fails to read has to be repaired, or moved out of its way"
		return
	}
	skipped, err := skipper.Skip(extract.Cursor(s.Cursor))
	if err != nil {
		s.Advice = err.Error()
		return
	}
	s.Advice, s.Skip, s.Loses = "", string(skipped.Next), skipped.Gaps
}

func readStuck(ctx context.Context, st *state.DB) (Stuck, error) {
	var s Stuck
	text, err := st.Memo(ctx, memoStuck)
	if err != nil || text == "" {
		return s, err
	}
	return s, json.Unmarshal([]byte(text), &s)
}

// stuckOf is nil for a source that is not stuck.
func stuckOf(ctx context.Context, st *state.DB) (*Stuck, error) {
	s, err := readStuck(ctx, st)
	if err != nil || s.Runs < stuckAfter {
		return nil, err
	}
	return &s, nil
}

// CursorMove says where a source is to go on, and why.
type CursorMove struct {
	Cursor extract.Cursor
	Reason string
	// NoGap: what is passed over is not lost, or is declared elsewhere.
	NoGap bool
}

// CursorReport is what moving a cursor did.
type CursorReport struct {
	Before string `json:"before"`
	After  string `json:"after"`
	// Gaps were declared for what is passed over.
	Gaps []schema.Gap `json:"gaps,omitempty"`
	// Segment it stands in; 0 where the cursor was there already.
	Segment int64 `json:"segment,omitempty"`
}

// SetCursor has a source go on somewhere else. That it does, and what is lost by
// it, is landed like anything else. state.ErrHeld.
func (p *Pipeline) SetCursor(ctx context.Context, source Source, m CursorMove) (r CursorReport, err error) {
	err = p.checkOwner(ctx, []Source{source})
	if err == nil {
		err = p.hold(ctx, source.Name, func(ctx context.Context, st *state.DB) error {
			l := &lander{p: p, st: st, source: source, limits: p.Limits.withDefaults(), run: &state.Run{}, stream: segment.MainStream}
			r, err = l.setCursor(ctx, m)
			return err
		})
	}
	if err != nil {
		return r, fmt.Errorf("set cursor of %s: %w", source.Name, err)
	}
	return r, nil
}

func (l *lander) setCursor(ctx context.Context, m CursorMove) (r CursorReport, err error) {
	if !json.Valid([]byte(m.Cursor)) {
		return r, errors.New("the cursor is no JSON: take the one that status prints")
	}
	if err := l.openSource(); err != nil {
		return r, err
	}
	if err := l.adopt(ctx); err != nil {
		return r, err
	}
	if err := l.begin(ctx); err != nil {
		return r, err
	}
	r.Before, r.After = string(l.cursor), string(m.Cursor)
	if l.cursor == m.Cursor {
		return r, nil // by an earlier call
	}
	if !m.NoGap {
		if l.gaps, err = l.passedOver(m); err != nil {
			return r, err
		}
	}
	l.cursor = m.Cursor
	if err := l.seal(ctx); err != nil {
		return r, err
	}
	l.p.trace("cursor.moved")
	r.Segment = l.head.Seq
	if r.Gaps, _, err = l.st.Gaps(ctx, statusGaps); err != nil {
		return r, err
	}
	for i := range r.Gaps {
		if r.Gaps[i].Segment != r.Segment {
			r.Gaps = r.Gaps[:i]
			break
		}
	}
	return r, l.st.SetMemo(ctx, memoStuck, "")
}

// passedOver are the gaps that a move makes.
func (l *lander) passedOver(m CursorMove) ([]schema.Gap, error) {
	skipper, ok := l.src.(extract.Skipper)
	if !ok {
		return nil, nil
	}
	before, err := skipper.Reached(l.cursor)
	if err != nil {
		return nil, err
	}
	after, err := skipper.Reached(m.Cursor)
	if err != nil {
		return nil, err // a cursor the source cannot read
	}
	var gaps []schema.Gap
	if skipped, err := skipper.Skip(l.cursor); err == nil && skipped.Next == m.Cursor {
		gaps = skipped.Gaps
	} else if !before.IsZero() && before.Before(after) {
		gaps = []schema.Gap{{From: before, To: after, Reason: "the cursor was moved by hand"}}
	}
	for i := range gaps {
		gaps[i].Source, gaps[i].Stream, gaps[i].DeclaredAt = l.source.Name, l.stream, l.p.now().Truncate(time.Millisecond)
		if m.Reason != "" {
			gaps[i].Reason += ": " + m.Reason
		}
	}
	return gaps, nil
}

package pipeline

import (
	"context"
	"errors"
	"time"

	"github.com/idtrail/idtrail/internal/segment"
	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/state"
)

// How much of each list a status shows.
const (
	statusRuns    = 5
	statusGaps    = 20
	statusRejects = 20
	statusFaults  = 20
)

// Status of one source, as its state knows it.
type Status struct {
	Source string `json:"source"`
	Kind   string `json:"kind"`
	// Known is false before the first run.
	Known     bool                   `json:"known"`
	Cursor    string                 `json:"cursor,omitempty"`
	LastDrain time.Time              `json:"last_drain,omitzero"`
	Totals    state.Totals           `json:"totals"`
	Runs      []state.Run            `json:"runs,omitempty"`
	Sinks     []SinkStatus           `json:"sinks,omitempty"`
	Snapshots []state.LandedSnapshot `json:"snapshots,omitempty"`
	Gaps      []schema.Gap           `json:"gaps,omitempty"`
	GapsTotal int64                  `json:"gaps_total"`
	Rejects   []schema.Reject        `json:"rejects,omitempty"`
	// Refused are events that the receiver of a sink refused for good.
	Refused []state.Reject `json:"refused,omitempty"`
	Faults  []schema.Input `json:"faults,omitempty"`
	// Stuck is set where the source fails at one place, run after run.
	Stuck *Stuck `json:"stuck,omitempty"`
}

// SinkStatus is where a sink stands with a source.
type SinkStatus struct {
	Sink string `json:"sink"`
	state.Position
	// Pending, for a sink of events, counts no users, and nothing before it has
	// a place in the source.
	Pending state.Pending `json:"pending"`
	// Notices is nil for a planner, which is given none.
	Notices *NoticeStatus `json:"notices,omitempty"`
}

// NoticeStatus is where a sink stands with what it is told beside records.
type NoticeStatus struct {
	state.Position
	Pending state.PendingNotices `json:"pending"`
}

// Status reads the state of each source, beside a run that may be going on.
func (p *Pipeline) Status(ctx context.Context, sources []Source) ([]Status, error) {
	var all []Status
	for _, source := range sources {
		s, err := p.status(ctx, source)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

func (p *Pipeline) status(ctx context.Context, source Source) (s Status, err error) {
	s = Status{Source: source.Name, Kind: source.Kind}
	st, err := p.states().OpenReader(ctx, source.Name)
	if errors.Is(err, state.ErrNone) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	s.Known = true
	return s, p.fill(ctx, st, &s)
}

func (p *Pipeline) fill(ctx context.Context, st *state.DB, s *Status) error {
	var errs [10]error
	s.Cursor, _, errs[0] = st.Cursor(ctx, segment.MainStream)
	s.LastDrain, errs[1] = st.LastDrain(ctx)
	s.Totals, errs[2] = st.Totals(ctx)
	s.Runs, errs[3] = st.Runs(ctx, statusRuns)
	s.Snapshots, errs[4] = st.Snapshots(ctx, false, statusRuns)
	s.Gaps, s.GapsTotal, errs[5] = st.Gaps(ctx, statusGaps)
	s.Rejects, errs[6] = st.Rejects(ctx, statusRejects)
	s.Faults, errs[7] = st.Faults(ctx, statusFaults)
	s.Refused, errs[8] = st.Refused(ctx, statusRejects)
	s.Stuck, errs[9] = stuckOf(ctx, st)
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	for _, sink := range p.Sinks {
		if !sink.takes(s.Source) {
			continue
		}
		one, err := sinkStatus(ctx, st, sink)
		if err != nil {
			return err
		}
		s.Sinks = append(s.Sinks, one)
	}
	return nil
}

func sinkStatus(ctx context.Context, st *state.DB, sink Sink) (s SinkStatus, err error) {
	s.Sink = sink.Name()
	placed := false
	if s.Position, placed, err = st.Find(ctx, s.Sink); err != nil {
		return s, err
	}
	if _, plans := sink.planner(); plans {
		s.Pending, err = st.Pending(ctx, s.Next)
		return s, err
	}
	if placed {
		if s.Pending, err = st.PendingEvents(ctx, s.Next); err != nil {
			return s, err
		}
	}
	again, _, err := st.Find(ctx, s.Sink+state.AgainSuffix)
	if err != nil {
		return s, err
	}
	s.Tally.Add(again.Tally)
	s.Notices = &NoticeStatus{}
	known := false
	if s.Notices.Position, known, err = st.Find(ctx, s.Sink+state.NoticeSuffix); err != nil || !known {
		return s, err
	}
	s.Notices.Pending, err = st.PendingNotices(ctx, s.Notices.Next.Record)
	return s, err
}

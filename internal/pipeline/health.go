package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/state"
)

// ReportHealth tells every sink that shows it how a run went. An error of it is
// no failure of the run.
func (p *Pipeline) ReportHealth(ctx context.Context, r Report, reconciled []ReconcileReport) error {
	var errs []error
	var health *load.Health
	for _, sink := range p.Sinks {
		reporter, ok := sink.Sink.(load.Reporter)
		if !ok {
			continue
		}
		if health == nil {
			h := healthOf(r, reconciled)
			health = &h
		}
		if err := reporter.Report(ctx, *health); err != nil {
			errs = append(errs, fmt.Errorf("report health to sink %s: %w", sink.Name(), err))
		}
	}
	return errors.Join(errs...)
}

func healthOf(r Report, reconciled []ReconcileReport) load.Health {
	h := load.Health{At: r.Ended, Took: r.Ended.Sub(r.Started)}
	failed, ran := 0, 0
	for _, s := range r.Sources {
		if s.Held { // another run does it, and reports
			continue
		}
		ran++
		if s.Err != nil {
			failed++
		}
		h.Sources = append(h.Sources, s.health(r.Ended))
		h.Problems = append(h.Problems, s.problems()...)
		for _, k := range s.Sinks {
			h.Sinks = append(h.Sinks, k.health(s.Source, r.Ended))
		}
	}
	for _, c := range reconciled {
		if c.Err != nil {
			h.Problems = append(h.Problems, fmt.Sprintf("Comparing %s with %s failed.", c.Left, c.Right))
		}
	}
	h.Failed = ran > 0 && failed == ran
	return h
}

func (r SourceReport) health(now time.Time) load.SourceHealth {
	s := load.SourceHealth{Source: r.Source, Kind: r.Kind, Read: r.Read, Landed: r.Landed, Gaps: r.Gaps, Lag: -1, Failed: r.Err != nil}
	if !r.LastDrain.IsZero() {
		s.Lag = max(now.Sub(r.LastDrain), 0)
	}
	for _, k := range r.Sinks {
		s.Rejected = max(s.Rejected, k.Rejected)
	}
	return s
}

// problems are told without the errors' texts, which the log has.
func (r SourceReport) problems() []string {
	var out []string
	if r.Err != nil {
		out = append(out, fmt.Sprintf("Source %s failed.", r.Source))
	}
	if r.Gaps > 0 {
		out = append(out, fmt.Sprintf("Source %s: gaps declared: %d.", r.Source, r.Gaps))
	}
	for _, k := range r.Sinks {
		if k.Err != nil {
			out = append(out, fmt.Sprintf("Sink %s failed for source %s.", k.Sink, r.Source))
		}
	}
	return out
}

func (k SinkReport) health(source string, now time.Time) load.SinkHealth {
	h := load.SinkHealth{
		Source: source, Sink: k.Sink, Sent: k.Sent, Pending: k.Pending.Records,
		Oldest: age(k.Pending.Oldest, now), Failed: k.Err != nil,
	}
	if n := k.Notices; n != nil {
		h.Sent.Add(n.Sent)
		h.Pending += n.Pending.Kept
		h.Oldest = max(h.Oldest, age(n.Pending.Oldest, now))
	}
	return h
}

func age(t, now time.Time) time.Duration {
	if t.IsZero() {
		return 0
	}
	return max(now.Sub(t), 0)
}

// NoticeReport is what a run told one sink of one source beside records: given =
// accepted + skipped + rejected + filtered.
type NoticeReport struct {
	Given int64     `json:"given"`
	Sent  load.Sent `json:"sent,omitzero"`
	// Waiting is as of [SinkReport].
	Waiting bool `json:"waiting,omitempty"`
	// Lost were forgotten before the sink took them.
	Lost    int64                `json:"lost,omitempty"`
	Pending state.PendingNotices `json:"pending"`
}

// reportPending counts for people; the state's failures show elsewhere.
func (d *deliverer) reportPending(ctx context.Context) {
	if pos, placed, err := d.st.Find(ctx, d.sink.Name()); err == nil && placed {
		d.report.Pending, _ = d.st.PendingEvents(ctx, pos.Next)
	}
	if pos, err := d.st.Position(ctx, d.noticeRow()); err == nil {
		d.report.Notices.Pending, _ = d.st.PendingNotices(ctx, pos.Next.Record)
	}
}

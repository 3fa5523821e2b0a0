package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/idtrail/idtrail/internal/config"
	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/state"
)

// sentTally is what one sink was sent of one source, events of records and of
// our own together, as a row of a table shows it.
type sentTally struct {
	sink string
	// first is what stands before the counts: events given, or when it was sent.
	first   string
	sent    load.Sent
	pending int64
	oldest  time.Time
	// unknown says that a run was stopped before it could count what is pending.
	unknown bool
	// notes say what the columns do not.
	notes []string
}

// runTally is what a run sent.
func runTally(k pipeline.SinkReport) sentTally {
	t := sentTally{
		sink: k.Sink, first: count(k.Events + k.Notices.Given), sent: k.Sent,
		pending: k.Pending.Records + k.Notices.Pending.Kept,
		oldest:  earlier(k.Pending.Oldest, k.Notices.Pending.Oldest),
	}
	t.sent.Add(k.Notices.Sent)
	switch {
	case errors.Is(k.Err, context.Canceled):
		t.notes, t.unknown = append(t.notes, "stopped"), true
	case k.Err != nil:
		t.notes = append(t.notes, "failed")
	case k.NotDue:
		t.notes = append(t.notes, "not due")
	case k.Waiting || k.Notices.Waiting:
		t.notes = append(t.notes, "not all acknowledged yet")
	}
	if k.Notices.Lost > 0 {
		t.notes = append(t.notes, many(k.Notices.Lost, "notice")+" forgotten")
	}
	return t
}

// statusTally is what was sent since the beginning.
func statusTally(k pipeline.SinkStatus, now time.Time) sentTally {
	t := sentTally{
		sink: k.Sink, first: ago(later(k.LastSent, k.Notices.LastSent), now), sent: load.Sent(k.Sent),
		pending: k.Pending.Records + k.Notices.Pending.Kept, oldest: oldestOf(k),
	}
	t.sent.Add(load.Sent(k.Notices.Sent))
	switch {
	case k.LastError+k.Notices.LastError != "":
		t.notes = append(t.notes, "failed")
	case k.Waiting || k.Notices.Waiting:
		t.notes = append(t.notes, "not all acknowledged yet")
	}
	return t
}

// sentRow is a row: the counts every sink has in columns, the others in words
// where there are any.
func sentRow(source string, t sentTally, now time.Time) []string {
	if t.pending > 0 && !t.oldest.IsZero() {
		t.notes = append(t.notes, "oldest landed "+ago(t.oldest, now))
	}
	for _, c := range []struct {
		n    int64
		what string
	}{
		{t.sent.Acknowledged, "acknowledged"},
		{t.sent.Resent, "resent"},
		{t.sent.TooOld, "too old"},
		{t.sent.Skipped, "skipped"},
		{t.sent.Slimmed, "slimmed"},
	} {
		if c.n > 0 {
			t.notes = append(t.notes, count(c.n)+" "+c.what)
		}
	}
	pending := count(t.pending)
	if t.unknown {
		pending = ""
	}
	return []string{
		source, t.sink, t.first, count(t.sent.Accepted), count(t.sent.Filtered), count(t.sent.Rejected), pending,
		strings.Join(t.notes, ", "),
	}
}

// oldestOf is when the oldest of what a sink lacks was landed; zero if it lacks
// nothing.
func oldestOf(k pipeline.SinkStatus) time.Time {
	var oldest time.Time
	if k.Pending.Records+k.Pending.Gaps > 0 {
		oldest = k.Pending.Oldest
	}
	if k.Notices != nil && k.Notices.Pending.Kept > 0 {
		oldest = earlier(oldest, k.Notices.Pending.Oldest)
	}
	return oldest
}

// earlier of two times, of which the zero one counts for none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// paces are the times that may pass between two deliveries of each sink.
func paces(c *config.Config) map[string]time.Duration {
	all := make(map[string]time.Duration, len(c.Sinks))
	for _, s := range c.Sinks {
		all[s.Name] = s.Every
		if s.Stream != nil {
			all[s.Name] = s.Stream.Every
		}
	}
	return all
}

// sinkDetails are what of a sink wants a look.
func sinkDetails(k pipeline.SinkStatus, now time.Time) []string {
	var lines []string
	failed := func(p state.Position) {
		if p.LastError != "" {
			lines = append(lines, fmt.Sprintf("sink %s failed %s: %s", k.Sink, ago(p.LastErrorAt, now), p.LastError))
		}
	}
	failed(k.Position)
	if k.Notices == nil {
		return lines
	}
	if k.Notices.LastError != k.LastError {
		failed(k.Notices.Position)
	}
	if k.Notices.Lost > 0 {
		lines = append(lines, fmt.Sprintf("sink %s: %s forgotten before it took them", k.Sink, many(k.Notices.Lost, "notice")))
	}
	return lines
}

// refusedLine tells of an event that a receiver refused.
func refusedLine(r state.Reject) string {
	if sink, ok := strings.CutSuffix(r.Sink, state.NoticeSuffix); ok {
		return fmt.Sprintf("refused by %s: notice %d: %s", sink, r.Record, r.Reason)
	}
	return fmt.Sprintf("refused by %s: record %d of segment %d: %s", r.Sink, r.Record, r.Segment, r.Reason)
}

// refusedIn counts the events that a sink's receiver refused in a run.
func refusedIn(k pipeline.SinkReport) int64 {
	n := k.Sent.Rejected
	if k.Notices != nil {
		n += k.Notices.Sent.Rejected
	}
	return n
}

// refusedBy counts those of all sinks.
func refusedBy(res runResult) int64 {
	var n int64
	for _, s := range res.Sources {
		for _, k := range s.Sinks {
			n += refusedIn(k)
		}
	}
	return n
}

package datadog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/load/stream"
)

// CheckName is the service check of a run: 0 all was done, 1 not all, 2 nothing.
const CheckName = "idtrail.run"

// Datadog's numbers for the states of a check and the types of a metric.
const (
	checkOK, checkWarning, checkCritical = 0, 1, 2
	metricCount, metricGauge             = 1, 3
)

// maxSeries bounds a body of metrics: far below the 512,000 bytes, compressed,
// and 5,242,880 that are taken.
const maxSeries = 400_000

// maxProblems bounds a check's message, in bytes.
const maxProblems = 500

// Report sends how a run went: the service check [CheckName] and metrics named
// idtrail.*. It tries once: the next run reports again, and a monitor on the
// check's absence allows for one that is missing.
func (s *Sink) Report(ctx context.Context, h load.Health) error {
	if !s.health {
		return nil
	}
	return errors.Join(s.reportCheck(ctx, h), s.reportMetrics(ctx, h))
}

type serviceCheck struct {
	Check string `json:"check"`
	// Host is none of a machine: where runs happen changes from one to the next,
	// and a monitor groups by it.
	Host      string   `json:"host_name"`
	Status    int      `json:"status"`
	Timestamp int64    `json:"timestamp"`
	Message   string   `json:"message,omitempty"`
	Tags      []string `json:"tags"`
}

func (s *Sink) reportCheck(ctx context.Context, h load.Health) error {
	c := serviceCheck{
		Check: CheckName, Host: "idtrail", Status: checkOK, Timestamp: s.now().Unix(),
		Message: clip(strings.Join(h.Problems, " "), maxProblems), Tags: s.tags,
	}
	switch {
	case h.Failed:
		c.Status = checkCritical
	case len(h.Problems) > 0:
		c.Status = checkWarning
	}
	return s.send(ctx, checkPath, []serviceCheck{c})
}

type metric struct {
	Metric string   `json:"metric"`
	Type   int      `json:"type"`
	Points []point  `json:"points"`
	Unit   string   `json:"unit,omitempty"`
	Tags   []string `json:"tags"`
}

type point struct {
	Timestamp int64   `json:"timestamp"`
	Value     float64 `json:"value"`
}

func (s *Sink) reportMetrics(ctx context.Context, h load.Health) error {
	m := metrics{at: s.now().Unix(), tags: s.tags}
	m.run(h)
	for _, source := range h.Sources {
		m.source(source)
	}
	for _, sink := range h.Sinks {
		m.sink(sink)
	}
	// A metric is at most some 2 KB with its tags; most have 300 bytes.
	for some := range slices.Chunk(m.list, maxSeries/2000) {
		if err := s.send(ctx, seriesPath, map[string][]metric{"series": some}); err != nil {
			return err
		}
	}
	return nil
}

func (s *Sink) send(ctx context.Context, path string, content any) error {
	body, err := json.Marshal(content)
	if err != nil {
		return fmt.Errorf("encode for %s: %w", path, err)
	}
	if a := s.client.post(ctx, s.client.base+path, body); a.Outcome != stream.Accepted {
		return fmt.Errorf("post to %s: %w", path, a.Err)
	}
	return nil
}

// metrics gathers what a run is measured by.
type metrics struct {
	at   int64
	tags []string
	list []metric
}

func (m *metrics) run(h load.Health) {
	m.gauge("idtrail.run.duration", h.Took.Seconds(), "second", m.tags)
	m.gauge("idtrail.run.problems", float64(len(h.Problems)), "", m.tags)
}

func (m *metrics) source(h load.SourceHealth) {
	tags := m.with("idtrail_source:"+h.Source, "kind:"+h.Kind)
	m.count("idtrail.source.read", h.Read, tags)
	m.count("idtrail.source.landed", h.Landed, tags)
	m.count("idtrail.source.rejected", h.Rejected, tags)
	m.count("idtrail.source.gaps", h.Gaps, tags)
	m.gauge("idtrail.source.failed", flag(h.Failed), "", tags)
	if h.Lag >= 0 {
		m.gauge("idtrail.source.lag", h.Lag.Seconds(), "second", tags)
	}
}

func (m *metrics) sink(h load.SinkHealth) {
	tags := m.with("idtrail_source:"+h.Source, "sink:"+h.Sink)
	m.count("idtrail.sink.accepted", h.Sent.Accepted, tags)
	m.count("idtrail.sink.acknowledged", h.Sent.Acknowledged, tags)
	m.count("idtrail.sink.resent", h.Sent.Resent, tags)
	m.count("idtrail.sink.too_old", h.Sent.TooOld, tags)
	m.count("idtrail.sink.skipped", h.Sent.Skipped, tags)
	m.count("idtrail.sink.slimmed", h.Sent.Slimmed, tags)
	m.count("idtrail.sink.rejected", h.Sent.Rejected, tags)
	m.count("idtrail.sink.filtered", h.Sent.Filtered, tags)
	m.gauge("idtrail.sink.pending", float64(h.Pending), "", tags)
	m.gauge("idtrail.sink.oldest_pending", max(h.Oldest, 0).Seconds(), "second", tags)
	m.gauge("idtrail.sink.failed", flag(h.Failed), "", tags)
}

func (m *metrics) count(name string, n int64, tags []string) {
	m.add(metric{Metric: name, Type: metricCount, Tags: tags}, float64(n))
}

func (m *metrics) gauge(name string, v float64, unit string, tags []string) {
	m.add(metric{Metric: name, Type: metricGauge, Unit: unit, Tags: tags}, v)
}

func (m *metrics) add(one metric, v float64) {
	one.Points = []point{{Timestamp: m.at, Value: v}}
	m.list = append(m.list, one)
}

func (m *metrics) with(tags ...string) []string {
	for i, t := range tags {
		tags[i] = cleanTag(t)
	}
	return append(slices.Clip(m.tags), tags...)
}

func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

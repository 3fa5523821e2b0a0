package telemetry

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/reconcile"
)

// Ended is how a run went.
type Ended struct {
	// Result is done, partly, failed, held or interrupted.
	Result     string
	Took       time.Duration
	Report     pipeline.Report
	Reconciled []pipeline.ReconcileReport
	// Err is why nothing was run, if that is so.
	Err error
}

func (e Ended) failed() bool { return e.Result == "failed" || e.Result == "partly" }

// meters are the numbers of runs, the same that a service shows to Prometheus.
type meters struct {
	now func() time.Time

	duration                         metric.Float64Histogram
	records, gaps, rejects, failures metric.Int64Counter
	given, events, sinkFailures      metric.Int64Counter
	pending, findings                metric.Int64Gauge
	sourceLag, sinkLag               metric.Float64ObservableGauge

	mu sync.Mutex
	// drained and oldest are what lags are counted from, by their attributes.
	drained, oldest map[attribute.Distinct]since
}

// since is a point in time that somebody's lag counts from; none if it is zero.
type since struct {
	of attribute.Set
	at time.Time
}

// maker makes instruments and collects what is wrong with them.
type maker struct {
	metric.Meter
	errs []error
}

func (m *maker) counter(name, unit, what string) metric.Int64Counter {
	c, err := m.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(what))
	m.errs = append(m.errs, err)
	return c
}

func (m *maker) gauge(name, unit, what string) metric.Int64Gauge {
	g, err := m.Int64Gauge(name, metric.WithUnit(unit), metric.WithDescription(what))
	m.errs = append(m.errs, err)
	return g
}

func (m *maker) lag(name, what string) metric.Float64ObservableGauge {
	g, err := m.Float64ObservableGauge(name, metric.WithUnit("s"), metric.WithDescription(what))
	m.errs = append(m.errs, err)
	return g
}

func newMeters(meter metric.Meter, now func() time.Time) (*meters, error) {
	m := &maker{Meter: meter}
	all := &meters{
		now: now, drained: map[attribute.Distinct]since{}, oldest: map[attribute.Distinct]since{},

		records:  m.counter("idtrail.source.records", "{record}", "Records read of the source, by what became of them: landed, repeated, filtered."),
		gaps:     m.counter("idtrail.source.gaps", "{gap}", "Spans of the source declared lost before they could be read."),
		rejects:  m.counter("idtrail.source.rejects", "{record}", "Records of the source that could not be mapped."),
		failures: m.counter("idtrail.source.failures", "{run}", "Runs in which reading the source failed."),

		given:        m.counter("idtrail.sink.records", "{record}", "Records of the source given to the sink."),
		events:       m.counter("idtrail.sink.events", "{event}", "Events of a sink that sends them, by what became of them: accepted, refused, filtered, skipped."),
		sinkFailures: m.counter("idtrail.sink.failures", "{run}", "Runs in which delivering to the sink failed."),
		pending:      m.gauge("idtrail.sink.pending", "{record}", "Records landed that the sink was not given yet."),
		findings:     m.gauge("idtrail.drift.findings", "{finding}", "Findings of the last comparison of two sources, by severity."),

		sourceLag: m.lag("idtrail.source.lag", "How long ago the source was last read to its end."),
		sinkLag:   m.lag("idtrail.sink.lag", "How long ago the oldest of the pending records was landed; 0 if nothing is pending."),
	}
	var err error
	all.duration, err = meter.Float64Histogram("idtrail.run.duration", metric.WithUnit("s"), metric.WithDescription("How long runs took, by how they ended."),
		metric.WithExplicitBucketBoundaries(1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 3*3600, 6*3600))
	_, failure := meter.RegisterCallback(all.lags, all.sourceLag, all.sinkLag)
	return all, errors.Join(append(m.errs, err, failure)...)
}

// lags are counted when they are asked for: in a service they grow between runs.
func (m *meters) lags(_ context.Context, o metric.Observer) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	for _, s := range m.drained {
		o.ObserveFloat64(m.sourceLag, now.Sub(s.at).Seconds(), metric.WithAttributeSet(s.of))
	}
	for _, s := range m.oldest {
		lag := 0.0
		if !s.at.IsZero() {
			lag = max(now.Sub(s.at).Seconds(), 0)
		}
		o.ObserveFloat64(m.sinkLag, lag, metric.WithAttributeSet(s.of))
	}
	return nil
}

// observe counts what a run did.
func (m *meters) observe(job string, e Ended) {
	if m == nil {
		return
	}
	// What the run was told to do may have ended; counting it has not.
	ctx := context.Background()
	m.duration.Record(ctx, e.Took.Seconds(), metric.WithAttributes(keyJob.String(job), keyResult.String(e.Result)))
	for i := range e.Report.Sources {
		if s := &e.Report.Sources[i]; !s.Held {
			m.source(ctx, s)
		}
	}
	for _, r := range e.Reconciled {
		if r.Summary == nil {
			continue
		}
		// What is not found any more is 0, and not what it last was.
		for _, severity := range []reconcile.Severity{reconcile.SeverityHigh, reconcile.SeverityMedium, reconcile.SeverityLow} {
			m.findings.Record(ctx, r.Summary.BySeverity[severity], metric.WithAttributes(keyLeft.String(r.Left), keyRight.String(r.Right), keyLevel.String(string(severity))))
		}
	}
}

func (m *meters) source(ctx context.Context, s *pipeline.SourceReport) {
	of := attribute.NewSet(keySource.String(s.Source))
	m.outcomes(ctx, m.records, of, outcome{"landed", s.Landed}, outcome{"repeated", s.Repeated}, outcome{"filtered", s.Filtered})
	m.gaps.Add(ctx, s.Gaps, metric.WithAttributeSet(of))
	m.failures.Add(ctx, one(s.Err), metric.WithAttributeSet(of))
	var rejects int64
	for i := range s.Sinks {
		rejects = max(rejects, s.Sinks[i].Rejected) // the same records in every sink
		m.sink(ctx, s.Source, &s.Sinks[i])
	}
	m.rejects.Add(ctx, rejects, metric.WithAttributeSet(of))
	if !s.LastDrain.IsZero() {
		m.remember(m.drained, of, s.LastDrain)
	}
}

func (m *meters) sink(ctx context.Context, source string, k *pipeline.SinkReport) {
	of := attribute.NewSet(keySource.String(source), keySink.String(k.Sink))
	m.given.Add(ctx, k.Records, metric.WithAttributeSet(of))
	m.sinkFailures.Add(ctx, one(k.Err), metric.WithAttributeSet(of))
	if k.Notices != nil {
		m.outcomes(ctx, m.events, of, outcome{"accepted", k.Sent.Accepted}, outcome{"refused", k.Sent.Rejected},
			outcome{"filtered", k.Sent.Filtered}, outcome{"skipped", k.Sent.Skipped})
	}
	m.pending.Record(ctx, k.Pending.Records, metric.WithAttributeSet(of))
	m.remember(m.oldest, of, k.Pending.Oldest)
}

func (m *meters) remember(in map[attribute.Distinct]since, of attribute.Set, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	in[of.Equivalent()] = since{of, at}
}

// outcome is what became of so many.
type outcome struct {
	name string
	n    int64
}

func (*meters) outcomes(ctx context.Context, c metric.Int64Counter, of attribute.Set, all ...outcome) {
	for _, o := range all {
		attrs := append(of.ToSlice(), keyOutcome.String(o.name))
		c.Add(ctx, max(o.n, 0), metric.WithAttributes(attrs...))
	}
}

func one(err error) int64 {
	if err == nil || errors.Is(err, context.Canceled) {
		return 0
	}
	return 1
}

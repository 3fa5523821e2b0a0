package serve

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/state"
)

// Metrics are the numbers of a service, in the form of Prometheus. Their labels
// are names of the config and nothing else.
type Metrics struct {
	registry *prometheus.Registry

	runs, skipped, panics, failures *prometheus.CounterVec
	running, lastEnd, lastSuccess   *prometheus.GaugeVec
	duration                        *prometheus.HistogramVec

	read, landed, gaps, rejects              *prometheus.CounterVec
	drained                                  *prometheus.GaugeVec
	delivered, accepted, refused, sinkFailed *prometheus.CounterVec
	pending, oldest                          *prometheus.GaugeVec
	findings, compared                       *prometheus.GaugeVec
}

// NewMetrics makes the metrics of a version of the program.
func NewMetrics(version string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	m.gauge("build_info", "1, with the version of idtrail.", "version").WithLabelValues(version).Set(1)
	m.jobMetrics()
	m.sourceMetrics()
	return m
}

func (m *Metrics) jobMetrics() {
	m.runs = m.counter("job_runs_total", "Runs of a job that ended, by how: done, partly, failed, held (by another process), interrupted.", "job", "result")
	m.skipped = m.counter("job_skipped_total", "Times a job was due while it still ran.", "job")
	m.panics = m.counter("job_panics_total", "Runs of a job that failed by a fault in the program.", "job")
	m.running = m.gauge("job_running", "1 while the job runs.", "job")
	m.lastEnd = m.gauge("job_last_end_timestamp_seconds", "When a run of the job last ended, by how.", "job", "result")
	m.lastSuccess = m.gauge("job_last_success_timestamp_seconds", "When a run of the job last ended done, or partly done.", "job")
	m.duration = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: "idtrail", Name: "job_duration_seconds", Help: "How long runs of a job took.",
		Buckets: []float64{1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 3 * 3600, 6 * 3600},
	}, []string{"job"})
	m.registry.MustRegister(m.duration)
}

func (m *Metrics) sourceMetrics() {
	m.failures = m.counter("source_failures_total", "Runs in which reading the source failed.", "source")
	m.read = m.counter("source_records_read_total", "Records read of the source, repeated ones too.", "source")
	m.landed = m.counter("source_records_landed_total", "Records of the source made durable.", "source")
	m.gaps = m.counter("source_gaps_total", "Spans of the source declared lost before they could be read.", "source")
	m.rejects = m.counter("source_rejects_total", "Records of the source that could not be mapped.", "source")
	m.drained = m.gauge("source_last_drain_timestamp_seconds", "When the source was last read to its end.", "source")
	m.sinkFailed = m.counter("sink_failures_total", "Runs in which delivering to the sink failed.", "source", "sink")
	m.delivered = m.counter("sink_records_total", "Records of the source given to the sink.", "source", "sink")
	m.accepted = m.counter("sink_accepted_total", "Events that the sink's receiver accepted.", "source", "sink")
	m.refused = m.counter("sink_refused_total", "Events that the sink's receiver refused for good.", "source", "sink")
	m.pending = m.gauge("sink_pending_records", "Records landed that the sink was not given yet.", "source", "sink")
	m.oldest = m.gauge("sink_oldest_pending_timestamp_seconds", "When the oldest of the pending records was landed; 0 if nothing is pending.", "source", "sink")
	m.findings = m.gauge("drift_findings", "Findings of the last comparison of two sources, by severity.", "left", "right", "severity")
	m.compared = m.gauge("drift_compared_timestamp_seconds", "When the two sources were last compared.", "left", "right")
}

func (m *Metrics) counter(name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "idtrail", Name: name, Help: help}, labels)
	m.registry.MustRegister(v)
	return v
}

func (m *Metrics) gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "idtrail", Name: name, Help: help}, labels)
	m.registry.MustRegister(v)
	return v
}

// Registry is where others may add what they count, to be shown beside it.
func (m *Metrics) Registry() *prometheus.Registry { return m.registry }

// Handler shows the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second})
}

// know begins the counts of a job at 0, so that their first increase shows.
func (m *Metrics) know(job string) {
	for _, r := range Results() {
		m.runs.WithLabelValues(job, string(r))
	}
	m.skipped.WithLabelValues(job)
	m.panics.WithLabelValues(job)
	m.running.WithLabelValues(job)
	m.duration.WithLabelValues(job)
}

func (m *Metrics) ended(job string, result Result, at time.Time, took time.Duration) {
	m.running.WithLabelValues(job).Set(0)
	m.runs.WithLabelValues(job, string(result)).Inc()
	m.duration.WithLabelValues(job).Observe(took.Seconds())
	m.lastEnd.WithLabelValues(job, string(result)).Set(seconds(at))
	if result == Done || result == Partly {
		m.lastSuccess.WithLabelValues(job).Set(seconds(at))
	}
}

// Observe counts what a run did.
func (m *Metrics) Observe(r pipeline.Report, reconciled []pipeline.ReconcileReport) {
	for _, s := range r.Sources {
		if !s.Held {
			m.observeSource(s)
		}
	}
	for _, c := range reconciled {
		if c.Summary == nil {
			continue
		}
		for severity, n := range c.Summary.BySeverity {
			m.findings.WithLabelValues(c.Left, c.Right, string(severity)).Set(float64(n))
		}
		m.compared.WithLabelValues(c.Left, c.Right).Set(seconds(c.Summary.ComparedAt))
	}
}

func (m *Metrics) observeSource(s pipeline.SourceReport) {
	add(m.read, s.Read, s.Source)
	add(m.landed, s.Landed, s.Source)
	add(m.gaps, s.Gaps, s.Source)
	if s.LastDrain.IsZero() {
		m.drained.WithLabelValues(s.Source)
	} else {
		m.drained.WithLabelValues(s.Source).Set(seconds(s.LastDrain))
	}
	var failed, rejects int64
	if s.Err != nil {
		failed = 1
	}
	for _, k := range s.Sinks {
		rejects = max(rejects, k.Rejected) // the same records in every sink
		m.observeSink(s.Source, k)
	}
	add(m.failures, failed, s.Source)
	add(m.rejects, rejects, s.Source)
}

func (m *Metrics) observeSink(source string, k pipeline.SinkReport) {
	var failed int64
	if k.Err != nil {
		failed = 1
	}
	add(m.sinkFailed, failed, source, k.Sink)
	add(m.delivered, k.Records, source, k.Sink)
	if k.Notices != nil {
		add(m.accepted, k.Sent.Accepted, source, k.Sink)
		add(m.refused, k.Sent.Rejected, source, k.Sink)
	}
	m.pending.WithLabelValues(source, k.Sink).Set(float64(k.Pending.Records))
	m.oldest.WithLabelValues(source, k.Sink).Set(oldestOf(k.Pending))
}

func oldestOf(p state.Pending) float64 {
	if p.Oldest.IsZero() {
		return 0
	}
	return seconds(p.Oldest)
}

func add(to *prometheus.CounterVec, n int64, labels ...string) {
	to.WithLabelValues(labels...).Add(float64(max(n, 0)))
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

package telemetry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/internal/telemetry"
	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/load/stream"
	"github.com/idtrail/idtrail/reconcile"
	"github.com/idtrail/idtrail/state"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func start(t *testing.T, log *logged, env func(string) (string, bool)) *telemetry.Telemetry {
	t.Helper()
	return telemetry.Start(t.Context(), telemetry.Options{
		Env: env, Version: "v1", Console: log, Log: log.logger(), Now: func() time.Time { return noon },
	})
}

// run is a run with something of everything.
func run(tel *telemetry.Telemetry) {
	ctx, end := tel.Run(context.Background(), "audit")
	for _, s := range []struct {
		step   pipeline.Step
		err    error
		counts []pipeline.Count
	}{
		{pipeline.Step{Name: pipeline.StepLand, Source: "acme"}, nil, []pipeline.Count{{Name: "landed", N: 7}, {Name: "segments", N: 2}}},
		{pipeline.Step{Name: pipeline.StepDeliver, Source: "acme", Sink: "dd"}, fmt.Errorf("deliver for olga@example.com: %w", stream.ErrDenied), nil},
		{pipeline.Step{Name: pipeline.StepReconcile, Left: "users", Right: "pool"}, context.Canceled, nil},
	} {
		within, done := tel.Begin(ctx, s.step)
		if within == nil {
			panic("a step has no context")
		}
		done(s.err, s.counts...)
	}
	end(telemetry.Ended{Result: "partly", Took: 90 * time.Second, Report: report(), Reconciled: []pipeline.ReconcileReport{
		{Left: "users", Right: "pool", Summary: &reconcile.Summary{BySeverity: map[reconcile.Severity]int64{"high": 3}}},
		{Left: "a", Right: "b", Waiting: "nothing yet"},
	}})
}

func report() pipeline.Report {
	return pipeline.Report{Sources: []pipeline.SourceReport{
		{
			Source: "acme", Run: state.Run{Read: 10, Landed: 7, Repeated: 2, Filtered: 1, Gaps: 1}, LastDrain: noon.Add(-time.Minute),
			Sinks: []pipeline.SinkReport{
				{Sink: "lake", Tally: state.Tally{Records: 7, Rejected: 1}},
				{
					Sink: "dd", Tally: state.Tally{Records: 5, Rejected: 1}, Notices: &pipeline.NoticeReport{}, Err: errors.New("for olga@example.com"),
					Sent:    load.Sent{Accepted: 4, Rejected: 1, Filtered: 2, Skipped: 3},
					Pending: state.Pending{Records: 2, Oldest: noon.Add(-time.Hour)},
				},
			},
		},
		{Source: "held", Held: true},
	}}
}

// TestSent: the traces and metrics of a run, as a collector gets them.
func TestSent(t *testing.T) {
	c := newCollector(t, http.StatusOK)
	var log logged
	tel := start(t, &log, environment(t,
		"OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL, "OTEL_EXPORTER_OTLP_HEADERS=api-key="+key, "OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=test"))
	run(tel)
	tel.Close(t.Context())
	if c.headers.Get("Api-Key") != key {
		t.Error("the headers were not sent")
	}
	wantResource := map[string]string{"service.name": "idtrail", "service.version": "v1", "deployment.environment.name": "test"}
	for name, want := range wantResource {
		if c.resource[name] != want {
			t.Errorf("resource: got %s=%q, want %q", name, c.resource[name], want)
		}
	}
	if diff := cmp.Diff([]string{
		"land [] idtrail.source=acme idtrail.count.landed=7 idtrail.count.segments=2",
		"deliver [error] idtrail.source=acme idtrail.sink=dd error.type=denied",
		"reconcile [] idtrail.left=users idtrail.right=pool error.type=stopped",
		"run [error] idtrail.job=audit idtrail.run.result=partly idtrail.count.sources=2",
	}, spans(t, c.spans)); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(wantPoints(), points(c.metrics)); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
	if log.text() != "" {
		t.Errorf("logged: %s", log.text())
	}
}

// spans are those of one trace, with the run above all others.
func spans(t *testing.T, all []*traces.Span) []string {
	t.Helper()
	if len(all) == 0 {
		t.Fatal("got no spans")
	}
	root := all[len(all)-1]
	var lines []string
	for _, s := range all {
		if s != root && !bytes.Equal(s.GetParentSpanId(), root.GetSpanId()) || !bytes.Equal(s.GetTraceId(), root.GetTraceId()) {
			t.Errorf("span %s is not below the run", s.GetName())
		}
		status := ""
		if s.GetStatus().GetCode() == traces.Status_STATUS_CODE_ERROR {
			status = "error"
		}
		if text := s.GetStatus().GetMessage() + fmt.Sprint(s.GetEvents()); strings.Contains(text, "olga") {
			t.Errorf("span %s holds an error's text: %s", s.GetName(), text)
		}
		lines = append(lines, s.GetName()+" ["+status+"] "+attributes(s.GetAttributes()))
	}
	return lines
}

func wantPoints() []string {
	return []string{
		"idtrail.drift.findings {finding} 0 idtrail.left=users idtrail.right=pool idtrail.severity=low",
		"idtrail.drift.findings {finding} 0 idtrail.left=users idtrail.right=pool idtrail.severity=medium",
		"idtrail.drift.findings {finding} 3 idtrail.left=users idtrail.right=pool idtrail.severity=high",
		"idtrail.run.duration s 90 idtrail.job=audit idtrail.run.result=partly",
		"idtrail.sink.events {event} 1 idtrail.outcome=refused idtrail.sink=dd idtrail.source=acme",
		"idtrail.sink.events {event} 2 idtrail.outcome=filtered idtrail.sink=dd idtrail.source=acme",
		"idtrail.sink.events {event} 3 idtrail.outcome=skipped idtrail.sink=dd idtrail.source=acme",
		"idtrail.sink.events {event} 4 idtrail.outcome=accepted idtrail.sink=dd idtrail.source=acme",
		"idtrail.sink.failures {run} 0 idtrail.sink=lake idtrail.source=acme",
		"idtrail.sink.failures {run} 1 idtrail.sink=dd idtrail.source=acme",
		"idtrail.sink.lag s 0 idtrail.sink=lake idtrail.source=acme",
		"idtrail.sink.lag s 3600 idtrail.sink=dd idtrail.source=acme",
		"idtrail.sink.pending {record} 0 idtrail.sink=lake idtrail.source=acme",
		"idtrail.sink.pending {record} 2 idtrail.sink=dd idtrail.source=acme",
		"idtrail.sink.records {record} 5 idtrail.sink=dd idtrail.source=acme",
		"idtrail.sink.records {record} 7 idtrail.sink=lake idtrail.source=acme",
		"idtrail.source.failures {run} 0 idtrail.source=acme",
		"idtrail.source.gaps {gap} 1 idtrail.source=acme",
		"idtrail.source.lag s 60 idtrail.source=acme",
		"idtrail.source.records {record} 1 idtrail.outcome=filtered idtrail.source=acme",
		"idtrail.source.records {record} 2 idtrail.outcome=repeated idtrail.source=acme",
		"idtrail.source.records {record} 7 idtrail.outcome=landed idtrail.source=acme",
		"idtrail.source.rejects {record} 1 idtrail.source=acme",
	}
}

func points(all map[string]*metrics.Metric) []string {
	var lines []string
	for name, m := range all {
		numbers := slices.Concat(m.GetSum().GetDataPoints(), m.GetGauge().GetDataPoints())
		for _, p := range numbers {
			value := itoa(p.GetAsInt())
			if f, ok := p.GetValue().(*metrics.NumberDataPoint_AsDouble); ok {
				value = fmt.Sprint(f.AsDouble)
			}
			lines = append(lines, name+" "+m.GetUnit()+" "+value+" "+attributes(p.GetAttributes()))
		}
		for _, p := range m.GetHistogram().GetDataPoints() {
			lines = append(lines, name+" "+m.GetUnit()+" "+fmt.Sprint(p.GetSum())+" "+attributes(p.GetAttributes()))
		}
	}
	slices.Sort(lines)
	return lines
}

// TestDescribed: docs/MONITORING.md names the metrics and spans there are, and no
// others.
func TestDescribed(t *testing.T) {
	text, err := os.ReadFile("../../docs/MONITORING.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "## Telemetry")
	section, _, _ = strings.Cut(section, "## The summary")
	first := func(form string) []string {
		var names []string
		for _, m := range regexp.MustCompile(form).FindAllStringSubmatch(section, -1) {
			names = append(names, m[1])
		}
		slices.Sort(names)
		return names
	}
	var want []string
	for _, point := range wantPoints() {
		name, _, _ := strings.Cut(point, " ")
		want = append(want, name)
	}
	if diff := cmp.Diff(slices.Compact(want), first("(?m)^\\| `(idtrail\\.[a-z.]+)` \\|")); diff != "" {
		t.Errorf("metrics (-there are +described):\n%s", diff)
	}
	_, section, _ = strings.Cut(section, "| span |")
	section, _, _ = strings.Cut(section, "| metric |")
	steps := []string{
		"run", pipeline.StepSource, pipeline.StepLand, pipeline.StepDeliver, pipeline.StepFlush, pipeline.StepCheckpoint, pipeline.StepReconcile,
	}
	slices.Sort(steps)
	if diff := cmp.Diff(steps, first("(?m)^\\| `([a-z]+)` \\|")); diff != "" {
		t.Errorf("spans (-there are +described):\n%s", diff)
	}
}

// TestOff: nothing but a place to send to, or an exporter, turns it on.
func TestOff(t *testing.T) {
	for _, env := range [][]string{
		{},
		{"OTEL_SERVICE_NAME=x", "OTEL_RESOURCE_ATTRIBUTES=a=b", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_EXPORTER_OTLP_HEADERS=api-key=" + key},
		{"OTEL_SDK_DISABLED=true", "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1"},
		{"OTEL_TRACES_EXPORTER=none", "OTEL_METRICS_EXPORTER=none", "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT= "},
		{"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=http://127.0.0.1:1"},
	} {
		var log logged
		tel := start(t, &log, environment(t, env...))
		if tel != nil || log.text() != "" {
			t.Errorf("%v: got %v, logged %q", env, tel, log.text())
		}
		run(tel) // a nil one takes everything
		tel.Close(t.Context())
	}
}

// TestInTheClear: keys go nowhere without TLS but to this machine.
func TestInTheClear(t *testing.T) {
	for _, tt := range []struct {
		env  []string
		want bool
	}{
		{[]string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://collector.example:4318", "OTEL_EXPORTER_OTLP_HEADERS=api-key=" + key}, false},
		{[]string{"OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_EXPORTER_OTLP_ENDPOINT=collector.example:4317", "OTEL_EXPORTER_OTLP_INSECURE=true", "OTEL_EXPORTER_OTLP_HEADERS=api-key=" + key}, false},
		{[]string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://collector.example:4318"}, true},
		{[]string{"OTEL_EXPORTER_OTLP_ENDPOINT=https://collector.example:4318", "OTEL_EXPORTER_OTLP_HEADERS=api-key=" + key}, true},
		{[]string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:1", "OTEL_EXPORTER_OTLP_HEADERS=api-key=" + key}, true},
	} {
		var log logged
		env := append(tt.env, "OTEL_METRICS_EXPORTER=none")
		tel := start(t, &log, environment(t, env...))
		if (tel != nil) != tt.want || strings.Contains(log.text(), key) || !tt.want && !strings.Contains(log.text(), "in the clear") {
			t.Errorf("%v: got %v, logged %s", tt.env, tel, log.text())
		}
		tel.Close(t.Context())
	}
}

// TestNotSent: a collector that is away, refuses or hangs is told of once, in few
// words, and waited for no longer than it is given.
func TestNotSent(t *testing.T) {
	closed := newCollector(t, http.StatusOK)
	closed.Close()
	for _, tt := range []struct {
		name, url, want string
		wait            time.Duration
	}{
		{"away", closed.URL, "connection refused", time.Second},
		{"refuses", newCollector(t, http.StatusUnauthorized).URL, "the collector answered 401", 20 * time.Second},
		{"fails", newCollector(t, http.StatusInternalServerError).URL, "the collector answered 500", 20 * time.Second},
		{"hangs", newCollector(t, 0).URL, "the collector did not answer in time", 100 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log logged
			tel := start(t, &log, environment(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+tt.url, "OTEL_EXPORTER_OTLP_HEADERS=api-key="+key))
			run(tel)
			ctx, cancel := context.WithTimeout(t.Context(), tt.wait)
			defer cancel()
			began := time.Now()
			tel.Close(ctx)
			if took := time.Since(began); took > tt.wait+10*time.Second {
				t.Errorf("took %v", took)
			}
			got := log.text()
			if strings.Count(got, "level=WARN") != 1 || !strings.Contains(got, tt.want) {
				t.Errorf("logged %s, want once: %s", got, tt.want)
			}
			if strings.Contains(got, key) {
				t.Errorf("the key shows: %s", got)
			}
		})
	}
}

// TestWrong: variables that fit nothing leave it off, and are not quoted.
func TestWrong(t *testing.T) {
	for _, env := range [][]string{
		{"OTEL_TRACES_EXPORTER=" + key},
		{"OTEL_METRICS_EXPORTER=" + key},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL=" + key},
	} {
		var log logged
		tel := start(t, &log, environment(t, env...))
		run(tel)
		tel.Close(t.Context())
		if !strings.Contains(log.text(), "do not fit together") || strings.Contains(log.text(), key) {
			t.Errorf("%v: logged %s", env, log.text())
		}
	}
}

// TestConsole: it is not stdout, where results go.
func TestConsole(t *testing.T) {
	var log logged
	tel := start(t, &log, environment(t, "OTEL_TRACES_EXPORTER=console", "OTEL_METRICS_EXPORTER=console"))
	run(tel)
	tel.Close(t.Context())
	for _, want := range []string{`"Name":"deliver"`, `"Name":"idtrail.source.records"`} {
		if !strings.Contains(log.text(), want) {
			t.Errorf("got %s, want %s", log.text(), want)
		}
	}
}

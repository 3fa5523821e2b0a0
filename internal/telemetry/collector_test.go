package telemetry_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	collectmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	collecttraces "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// key is what a collector may want; it shows nowhere.
const key = "c0llector-key-31"

// collector is a receiver of OTLP over HTTP.
type collector struct {
	*httptest.Server
	// status is what it answers; 0 never answers.
	status int
	left   chan struct{}

	mu       sync.Mutex
	spans    []*traces.Span
	metrics  map[string]*metrics.Metric
	resource map[string]string
	headers  http.Header
}

func newCollector(t *testing.T, status int) *collector {
	t.Helper()
	c := &collector{status: status, metrics: map[string]*metrics.Metric{}, resource: map[string]string{}, left: make(chan struct{})}
	c.Server = httptest.NewServer(c)
	t.Cleanup(func() { close(c.left); c.Close() })
	return c
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := readBody(r)
	switch {
	case c.status == 0:
		<-c.left
		return
	case err != nil:
		w.WriteHeader(http.StatusBadRequest)
		return
	case c.status != http.StatusOK:
		w.WriteHeader(c.status)
		_, _ = io.WriteString(w, "no "+r.Header.Get("Api-Key"))
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.headers = r.Header
	switch r.URL.Path {
	case "/v1/traces":
		err = c.takeTraces(body)
	case "/v1/metrics":
		err = c.takeMetrics(body)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
	}
}

func readBody(r *http.Request) ([]byte, error) {
	if r.Header.Get("Content-Encoding") != "gzip" {
		return io.ReadAll(r.Body)
	}
	z, err := gzip.NewReader(r.Body)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

func (c *collector) takeTraces(body []byte) error {
	var q collecttraces.ExportTraceServiceRequest
	if err := proto.Unmarshal(body, &q); err != nil {
		return err
	}
	for _, r := range q.GetResourceSpans() {
		for _, s := range r.GetScopeSpans() {
			c.spans = append(c.spans, s.GetSpans()...)
		}
		for _, a := range r.GetResource().GetAttributes() {
			c.resource[a.GetKey()] = a.GetValue().GetStringValue()
		}
	}
	return nil
}

func (c *collector) takeMetrics(body []byte) error {
	var q collectmetrics.ExportMetricsServiceRequest
	if err := proto.Unmarshal(body, &q); err != nil {
		return err
	}
	for _, r := range q.GetResourceMetrics() {
		for _, s := range r.GetScopeMetrics() {
			for _, m := range s.GetMetrics() {
				c.metrics[m.GetName()] = m
			}
		}
	}
	return nil
}

// attributes of a span or a data point, as text.
func attributes(all []*common.KeyValue) string {
	var parts []string
	for _, a := range all {
		value := a.GetValue().GetStringValue()
		if n, ok := a.GetValue().GetValue().(*common.AnyValue_IntValue); ok {
			value = itoa(n.IntValue)
		}
		parts = append(parts, a.GetKey()+"="+value)
	}
	return strings.Join(parts, " ")
}

// environment sets variables, of the process too: the exporters read those. All
// others of OpenTelemetry are gone.
func environment(t *testing.T, pairs ...string) func(string) (string, bool) {
	t.Helper()
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "OTEL_") {
			t.Setenv(name, "")
		}
	}
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		t.Setenv(name, value)
	}
	return os.LookupEnv
}

// logged is a log to look into.
type logged struct {
	mu sync.Mutex
	bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(p)
}

func (l *logged) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.String()
}

func (l *logged) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

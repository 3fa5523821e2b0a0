package harness

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

//go:embed otelcol/config.yaml
var collectorConfig []byte

// What a collector's receivers are called, in [Collector.Logs] and the like.
const (
	HEC     = "hec"
	HECAck  = "hec_ack"
	Datadog = "datadog"
	OTLP    = "otlp"
	// OTLPGRPC is the same receiver as OTLP, by gRPC.
	OTLPGRPC = "otlp_grpc"

	ready = "ready"
)

// HECToken is what the receiver [HECAck] wants; the others take any.
const HECToken = "11111111-2222-3333-4444-555555555555"

// Collector is a running OpenTelemetry Collector, which keeps what its receivers
// are sent.
//
// It differs from Splunk here: a body beyond the limit is answered with 400, not
// 413; a wrong token with a plain 401 that holds the token; what is asked for is
// acknowledged at once; and nobody is told that a channel is missing. It
// differs from Datadog here: it knows no keys, no limit of entries, and keeps no
// attribute but those it knows.
type Collector struct {
	dir       string
	addresses map[string]string
	process   *process
}

// StartCollector starts a collector that stops when the test ends.
func StartCollector(t testing.TB) *Collector {
	t.Helper()
	tool(t, "IDTRAIL_OTELCOL")
	// Another process may take a port before the collector does.
	var err error
	for range 3 {
		c := &Collector{dir: t.TempDir(), addresses: map[string]string{}}
		for _, name := range []string{HEC, HECAck, Datadog, OTLP, OTLPGRPC, ready} {
			c.addresses[name] = freePort(t)
		}
		if err = c.start(t); err == nil {
			return c
		}
	}
	t.Fatal(err)
	return nil
}

func (c *Collector) start(t testing.TB) error {
	t.Helper()
	config := filepath.Join(c.dir, "config.yaml")
	if err := os.WriteFile(config, collectorConfig, 0o600); err != nil {
		return err
	}
	cmd := exec.Command(tool(t, "IDTRAIL_OTELCOL"), "--config", config)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "OUT=" + c.dir, "HEC_TOKEN=" + HECToken,
		"HEC=" + c.addresses[HEC], "HEC_ACK=" + c.addresses[HECAck],
		"DATADOG=" + c.addresses[Datadog], "OTLP=" + c.addresses[OTLP], "OTLP_GRPC=" + c.addresses[OTLPGRPC], "READY=" + c.addresses[ready],
	}
	var err error
	c.process, err = startProcess(t, cmd, slices.Collect(maps.Values(c.addresses))...)
	if err != nil {
		return err
	}
	return c.awaitReady()
}

// awaitReady waits until a log has come through. A collector takes requests
// before it listens to signals: one told to stop between the two loses what it
// holds. A log is written a tenth of a second after, at the earliest.
func (c *Collector) awaitReady() error {
	const log = `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"ready"}}]}]}]}`
	resp, err := http.Post(c.URL(ready)+"/v1/logs", "application/json", strings.NewReader(log))
	if err != nil {
		return fmt.Errorf("ask the collector: %w", err)
	}
	if err := resp.Body.Close(); err != nil {
		return fmt.Errorf("ask the collector: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the collector answers with %s", resp.Status)
	}
	return c.process.await("write what it is sent", func() bool {
		text, err := os.ReadFile(filepath.Join(c.dir, ready+".jsonl"))
		return err == nil && bytes.HasSuffix(text, []byte("\n"))
	})
}

// URL of a receiver, without a path.
func (c *Collector) URL(receiver string) string { return "http://" + c.addresses[receiver] }

// Stop ends the collector; what it was sent is then in its files.
func (c *Collector) Stop(t testing.TB) {
	t.Helper()
	if err := c.process.end(); err != nil {
		t.Fatal(err)
	}
	if state := c.process.cmd.ProcessState; !state.Exited() {
		t.Fatalf("the collector did not end by itself, and may have lost what it held: %s", state)
	}
}

// Restart starts a collector that was stopped, where it was.
func (c *Collector) Restart(t testing.TB) {
	t.Helper()
	if err := c.start(t); err != nil {
		t.Fatal(err)
	}
}

// Log is what a receiver made of one event.
type Log struct {
	// Time to the millisecond: some receivers hold it in a float64.
	Time       time.Time
	Severity   string
	Body       any
	Attributes map[string]any
	Resource   map[string]any
}

// Logs are what the receiver was sent. It is all of it once the collector was
// stopped; before, the last tenth of a second may lack.
func (c *Collector) Logs(t testing.TB, receiver string) []Log {
	t.Helper()
	logs, err := readLogs(filepath.Join(c.dir, receiver+".jsonl"))
	if err != nil {
		t.Fatalf("read what %s received: %v", receiver, err)
	}
	return logs
}

// Metrics are the names of the metrics that the receiver was sent.
func (c *Collector) Metrics(t testing.TB, receiver string) map[string]int {
	t.Helper()
	names := map[string]int{}
	err := readLines(filepath.Join(c.dir, receiver+"_metrics.jsonl"), func(b *otlpBatch) error {
		for _, r := range b.ResourceMetrics {
			for _, s := range r.ScopeMetrics {
				for _, m := range s.Metrics {
					names[m.Name]++
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("read what %s received: %v", receiver, err)
	}
	return names
}

// Span is what the collector made of a span.
type Span struct {
	Name, Trace, ID, Parent string
	Failed                  bool
	Attributes              map[string]any
	Resource                map[string]any
}

// Spans are those that the receiver [OTLP] was sent, by either way.
func (c *Collector) Spans(t testing.TB) []Span {
	t.Helper()
	var spans []Span
	err := readLines(filepath.Join(c.dir, OTLP+"_traces.jsonl"), func(b *otlpBatch) error {
		for _, r := range b.ResourceSpans {
			resource, err := attributes(r.Resource.Attributes)
			if err != nil {
				return err
			}
			for _, scope := range r.ScopeSpans {
				for _, s := range scope.Spans {
					span := Span{Name: s.Name, Trace: s.TraceID, ID: s.SpanID, Parent: s.ParentSpanID, Failed: s.Status.Code == spanFailed, Resource: resource}
					if span.Attributes, err = attributes(s.Attributes); err != nil {
						return err
					}
					spans = append(spans, span)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("read what %s received: %v", OTLP, err)
	}
	return spans
}

// spanFailed is STATUS_CODE_ERROR.
const spanFailed = 2

// otlpBatch is a line of a collector's file, as far as the tests look at it.
type otlpBatch struct {
	ResourceLogs []struct {
		Resource  struct{ Attributes []otlpAttribute }
		ScopeLogs []struct{ LogRecords []otlpLog }
	}
	ResourceMetrics []struct {
		ScopeMetrics []struct {
			Metrics []struct{ Name string }
		}
	}
	ResourceSpans []struct {
		Resource   struct{ Attributes []otlpAttribute }
		ScopeSpans []struct{ Spans []otlpSpan }
	}
}

type otlpSpan struct {
	Name, TraceID, SpanID, ParentSpanID string
	Attributes                          []otlpAttribute
	Status                              struct{ Code int }
}

type otlpLog struct {
	TimeUnixNano   string
	SeverityText   string
	Body           otlpValue
	Attributes     []otlpAttribute
	SeverityNumber int
}

type otlpAttribute struct {
	Key   string
	Value otlpValue
}

// otlpValue is a value in OTLP's JSON: exactly one of these.
type otlpValue struct {
	StringValue *string
	BoolValue   *bool
	IntValue    *string
	DoubleValue *float64
	ArrayValue  *struct{ Values []otlpValue }
	KvlistValue *struct{ Values []otlpAttribute }
}

// value is what the value stands for: nil, or as encoding/json decodes it, with
// int64 for integers.
func (v otlpValue) value() (any, error) {
	switch {
	case v.StringValue != nil:
		return *v.StringValue, nil
	case v.BoolValue != nil:
		return *v.BoolValue, nil
	case v.IntValue != nil:
		return strconv.ParseInt(*v.IntValue, 10, 64)
	case v.DoubleValue != nil:
		return *v.DoubleValue, nil
	case v.ArrayValue != nil:
		list := make([]any, len(v.ArrayValue.Values))
		for i, item := range v.ArrayValue.Values {
			var err error
			if list[i], err = item.value(); err != nil {
				return nil, err
			}
		}
		return list, nil
	case v.KvlistValue != nil:
		return attributes(v.KvlistValue.Values)
	default:
		return nil, nil
	}
}

func attributes(list []otlpAttribute) (map[string]any, error) {
	all := make(map[string]any, len(list))
	for _, a := range list {
		v, err := a.Value.value()
		if err != nil {
			return nil, fmt.Errorf("attribute %s: %w", a.Key, err)
		}
		all[a.Key] = v
	}
	return all, nil
}

func readLogs(path string) ([]Log, error) {
	var logs []Log
	err := readLines(path, func(b *otlpBatch) error {
		for _, r := range b.ResourceLogs {
			resource, err := attributes(r.Resource.Attributes)
			if err != nil {
				return err
			}
			for _, s := range r.ScopeLogs {
				for _, l := range s.LogRecords {
					log, err := l.log(resource)
					if err != nil {
						return err
					}
					logs = append(logs, log)
				}
			}
		}
		return nil
	})
	return logs, err
}

func (l otlpLog) log(resource map[string]any) (Log, error) {
	log := Log{Severity: l.SeverityText, Resource: resource}
	nanos, err := strconv.ParseInt(l.TimeUnixNano, 10, 64)
	if err != nil && l.TimeUnixNano != "" {
		return log, err
	}
	if log.Body, err = l.Body.value(); err != nil {
		return log, err
	}
	if log.Attributes, err = attributes(l.Attributes); err != nil {
		return log, err
	}
	// The receiver for Datadog keeps the time here, in milliseconds.
	if ms, ok := log.Attributes["timestamp"].(int64); ok && nanos == 0 {
		nanos = time.UnixMilli(ms).UnixNano()
	}
	log.Time = time.Unix(0, nanos).UTC().Round(time.Millisecond)
	return log, nil
}

// readLines decodes each line of the file. One that is still being written is
// left out.
func readLines(path string, each func(*otlpBatch) error) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for {
		line, rest, whole := bytes.Cut(text, []byte("\n"))
		if !whole {
			return nil
		}
		text = rest
		var b otlpBatch
		if err := json.Unmarshal(line, &b); err != nil {
			return err
		}
		if err := each(&b); err != nil {
			return err
		}
	}
}

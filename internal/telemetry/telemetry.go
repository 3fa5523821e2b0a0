package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/stdout/stdoutmetric"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// scope names what made the spans and metrics.
const scope = "github.com/idtrail/idtrail"

// Options of [Start].
type Options struct {
	// Env looks up an environment variable; the exporters of OpenTelemetry read
	// the same ones of the process.
	Env func(string) (string, bool)
	// Version of the program.
	Version string
	// Console is where the exporter of that name writes.
	Console io.Writer
	Log     *slog.Logger
	Now     func() time.Time
}

// Telemetry sends what it is told of. A nil one is off: its methods do nothing.
type Telemetry struct {
	tracer   trace.Tracer
	meters   *meters
	shutdown []func(context.Context) error
	failures *failures
	// given ends when what is on its way is given up.
	given  context.Context
	giveUp context.CancelFunc
}

// Start sets up what the environment asks for; nil if that is nothing. What is
// wrong with it is logged, and leaves that signal off. It sets OpenTelemetry's
// handler of errors and its logger, which are the process's: it is called once.
func Start(ctx context.Context, o Options) *Telemetry {
	traces, metrics := o.wanted(tracesSignal), o.wanted(metricsSignal)
	if !traces && !metrics {
		return nil
	}
	// Its own messages quote the values of variables, which hold keys.
	otel.SetLogger(logr.Discard())
	t := &Telemetry{tracer: noop.NewTracerProvider().Tracer(scope), failures: &failures{log: o.Log, now: o.Now}}
	t.given, t.giveUp = context.WithCancel(context.WithoutCancel(ctx))
	otel.SetErrorHandler(t.failures)
	res, err := o.resource(ctx)
	if err != nil {
		o.Log.Warn("telemetry: OTEL_RESOURCE_ATTRIBUTES is not of the form key=value,key=value")
	}
	if traces {
		t.startTraces(ctx, o, res)
	}
	if metrics {
		t.startMetrics(ctx, o, res)
	}
	return t
}

// resource says who sends: the environment has the last word.
func (o Options) resource(ctx context.Context) (*resource.Resource, error) {
	return resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithAttributes(attribute.String("service.name", "idtrail"), attribute.String("service.version", o.Version)),
		resource.WithFromEnv(),
	)
}

func (t *Telemetry) startTraces(ctx context.Context, o Options, res *resource.Resource) {
	exporter, err := o.spanExporter(ctx)
	if err != nil {
		o.off(tracesSignal, err)
		return
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithResource(res), sdktrace.WithBatcher(bounded{exporter, t}))
	t.tracer = provider.Tracer(scope, trace.WithInstrumentationVersion(o.Version))
	t.shutdown = append(t.shutdown, provider.Shutdown)
}

func (t *Telemetry) startMetrics(ctx context.Context, o Options, res *resource.Resource) {
	reader, err := o.metricReader(ctx)
	if err != nil {
		o.off(metricsSignal, err)
		return
	}
	provider := metric.NewMeterProvider(metric.WithResource(res), metric.WithReader(reader))
	t.shutdown = append(t.shutdown, provider.Shutdown)
	if t.meters, err = newMeters(provider.Meter(scope), o.Now); err != nil {
		t.meters = nil
		o.off(metricsSignal, err)
	}
}

// spanExporter is autoexport's, but that console is not stdout: results go there.
func (o Options) spanExporter(ctx context.Context) (sdktrace.SpanExporter, error) {
	if o.env("OTEL_TRACES_EXPORTER") == "console" {
		return stdouttrace.New(stdouttrace.WithWriter(o.Console))
	}
	return autoexport.NewSpanExporter(ctx)
}

func (o Options) metricReader(ctx context.Context) (metric.Reader, error) {
	if o.env("OTEL_METRICS_EXPORTER") != "console" {
		return autoexport.NewMetricReader(ctx)
	}
	exporter, err := stdoutmetric.New(stdoutmetric.WithWriter(o.Console))
	if err != nil {
		return nil, err
	}
	return metric.NewPeriodicReader(exporter), nil
}

// off says why a signal is not sent, in no words but ours: those of the SDK may
// quote the environment.
func (o Options) off(s signal, err error) {
	o.Log.Warn("telemetry is off: the OTEL_ variables do not fit together", "signal", s.name, "kind", fmt.Sprintf("%T", errors.Unwrap(err)))
}

// bounded is an exporter that gives up when the program ends: the SDK's own bound
// is half a minute. It tells of its failures itself.
type bounded struct {
	sdktrace.SpanExporter
	t *Telemetry
}

// ExportSpans is the SDK's.
func (b bounded) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(b.t.given, cancel)() //nolint:contextcheck // it ends with the program, and not with the caller's
	err := b.SpanExporter.ExportSpans(ctx, spans)
	if b.t.given.Err() != nil {
		return nil // whoever gave up has told it
	}
	b.t.failures.Handle(err)
	return nil
}

// Close sends what is left, and gives up when the context ends. What was not
// sent is told.
func (t *Telemetry) Close(ctx context.Context) {
	if t == nil {
		return
	}
	defer t.giveUp()
	done := make(chan struct{})
	go func() {
		defer close(done)
		t.flush(ctx)
	}()
	select {
	case <-done:
	case <-ctx.Done(): // an exporter that does not look at it is left behind
		t.failures.Handle(ctx.Err())
	}
}

func (t *Telemetry) flush(ctx context.Context) {
	var all sync.WaitGroup
	for _, shutdown := range t.shutdown {
		all.Go(func() {
			if err := shutdown(ctx); err != nil {
				t.failures.Handle(err)
			}
		})
	}
	all.Wait()
}

// failures tells of what could not be sent: once, and in a service again after an
// hour.
type failures struct {
	log *slog.Logger
	now func() time.Time

	mu   sync.Mutex
	last time.Time
}

const tellAgain = time.Hour

var _ otel.ErrorHandler = (*failures)(nil)

// Handle is OpenTelemetry's.
func (f *failures) Handle(err error) {
	if err == nil || f.told() {
		return
	}
	f.log.Warn("telemetry was not sent; the run is none the worse for it", "reason", reason(err))
}

func (f *failures) told() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	if !f.last.IsZero() && now.Sub(f.last) < tellAgain {
		return true
	}
	f.last = now
	return false
}

// signal is what one of the exporters sends.
type signal struct{ name, infix string }

var (
	tracesSignal  = signal{"traces", "TRACES"}
	metricsSignal = signal{"metrics", "METRICS"}
)

func (o Options) env(name string) string {
	value, _ := o.Env(name)
	return strings.TrimSpace(value)
}

// wanted says whether the environment asks for a signal: by naming its exporter,
// or where OTLP goes. What only says who or how turns nothing on, since it is
// often set for a whole machine.
func (o Options) wanted(s signal) bool {
	if strings.EqualFold(o.env("OTEL_SDK_DISABLED"), "true") {
		return false
	}
	switch exporter := o.env("OTEL_" + s.infix + "_EXPORTER"); exporter {
	case "none":
		return false
	case "", "otlp":
		if exporter == "" && o.endpoint(s) == "" {
			return false
		}
		return o.mayCarry(s)
	default:
		return true
	}
}

func (o Options) endpoint(s signal) string { return o.otlp(s, "ENDPOINT") }

// otlp is a variable of OTLP: that of the signal, else that of all signals.
func (o Options) otlp(s signal, name string) string {
	if own := o.env("OTEL_EXPORTER_OTLP_" + s.infix + "_" + name); own != "" {
		return own
	}
	return o.env("OTEL_EXPORTER_OTLP_" + name)
}

// mayCarry refuses to send headers in the clear, which hold keys. Nothing else
// that is sent is secret.
func (o Options) mayCarry(s signal) bool {
	if o.otlp(s, "HEADERS") == "" || !plain(o.endpoint(s), o.otlp(s, "INSECURE")) {
		return true
	}
	o.Log.Warn("telemetry is off: OTEL_EXPORTER_OTLP_HEADERS would be sent in the clear; use https, or leave them out", "signal", s.name)
	return false
}

package telemetry

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/idtrail/idtrail/internal/pipeline"
)

// The attributes of spans and metrics.
const (
	keyJob     = attribute.Key("idtrail.job")
	keyResult  = attribute.Key("idtrail.run.result")
	keySource  = attribute.Key("idtrail.source")
	keySink    = attribute.Key("idtrail.sink")
	keyLeft    = attribute.Key("idtrail.left")
	keyRight   = attribute.Key("idtrail.right")
	keyOutcome = attribute.Key("idtrail.outcome")
	keyLevel   = attribute.Key("idtrail.severity")
	keyError   = attribute.Key("error.type")
)

var _ pipeline.Observer = (*Telemetry)(nil)

// Begin makes a span of a step.
func (t *Telemetry) Begin(ctx context.Context, s pipeline.Step) (context.Context, func(error, ...pipeline.Count)) {
	if t == nil {
		return ctx, func(error, ...pipeline.Count) {}
	}
	ctx, span := t.tracer.Start(ctx, s.Name, trace.WithAttributes(stepAttributes(s)...))
	return ctx, func(err error, counts ...pipeline.Count) {
		for _, c := range counts {
			span.SetAttributes(attribute.Int64("idtrail.count."+c.Name, c.N))
		}
		mark(span, err)
		span.End()
	}
}

func stepAttributes(s pipeline.Step) []attribute.KeyValue {
	var attrs []attribute.KeyValue
	for _, a := range []attribute.KeyValue{
		keySource.String(s.Source), keySink.String(s.Sink), keyLeft.String(s.Left), keyRight.String(s.Right),
	} {
		if a.Value.AsString() != "" {
			attrs = append(attrs, a)
		}
	}
	return attrs
}

// mark says of a span that it failed, and in which way. Being told to stop is no
// failure.
func mark(span trace.Span, err error) {
	class := pipeline.ErrorClass(err)
	if class == "" {
		return
	}
	span.SetAttributes(keyError.String(class))
	if class != pipeline.ClassStopped {
		span.SetStatus(codes.Error, "")
	}
}

// Run makes the span that a whole run is, of the jobs named. End is told how it
// went.
func (t *Telemetry) Run(ctx context.Context, job string) (within context.Context, end func(Ended)) {
	if t == nil {
		return ctx, func(Ended) {}
	}
	ctx, span := t.tracer.Start(ctx, "run", trace.WithNewRoot(), trace.WithAttributes(keyJob.String(job)))
	return ctx, func(e Ended) {
		span.SetAttributes(keyResult.String(e.Result), attribute.Int("idtrail.count.sources", len(e.Report.Sources)))
		mark(span, e.Err)
		if e.failed() {
			span.SetStatus(codes.Error, "")
		}
		span.End()
		t.meters.observe(job, e)
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/config"
	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/load/datadog"
	"github.com/idtrail/idtrail/load/otlp"
	"github.com/idtrail/idtrail/load/shape"
	"github.com/idtrail/idtrail/load/splunk"
)

func newDatadog(b *builder, s config.Sink, _ blob.Store) (load.Sink, error) {
	o := s.Datadog
	ca, err := certificates(o.CAFile)
	if err != nil {
		return nil, err
	}
	return datadog.New(datadog.Options{
		Name:    s.Name,
		Site:    o.Site,
		URL:     o.URL,
		APIKey:  o.APIKey.Reveal(),
		Service: o.Service,
		Tags:    o.Tags,
		TooOld:  datadog.TooOld(o.TooOld),
		Health:  o.Health,
		Timeout: s.Stream.Timeout,
		CAPEM:   ca,
		Now:     b.now,
	})
}

func newSplunkHEC(b *builder, s config.Sink, _ blob.Store) (load.Sink, error) {
	o := s.SplunkHEC
	ca, err := certificates(o.CAFile)
	if err != nil {
		return nil, err
	}
	return splunk.New(splunk.Options{
		Name:       s.Name,
		URL:        o.URL,
		Token:      o.Token.Reveal(),
		Index:      o.Index,
		Host:       o.Host,
		Ack:        o.Ack,
		AckWait:    o.AckWait,
		MaxRequest: int(o.MaxRequest),
		Timeout:    s.Stream.Timeout,
		CAPEM:      ca,
		Now:        b.now,
	})
}

func newOTLP(b *builder, s config.Sink, _ blob.Store) (load.Sink, error) {
	ca, err := certificates(s.OTLP.CAFile)
	if err != nil {
		return nil, err
	}
	headers := make(map[string]string, len(s.OTLP.Headers))
	for name, text := range s.OTLP.Headers {
		headers[name] = text.Reveal()
	}
	return otlp.New(otlp.Options{
		Name:    s.Name,
		URL:     s.OTLP.URL,
		Headers: headers,
		Timeout: s.Stream.Timeout,
		CAPEM:   ca,
		Now:     b.now,
	})
}

// shapeOf is what a sink is given of the events.
func shapeOf(o *config.Stream) (*shape.Shape, error) {
	so := shape.Options{Classes: o.Filter.Class, MinSeverity: o.Filter.MinSeverity, Self: o.Filter.Self}
	for _, r := range o.Redact {
		so.Redact = append(so.Redact, shape.Rule{Fields: r.Fields, With: r.With, Key: []byte(r.Key.Reveal())})
	}
	return shape.New(so)
}

// streaming is a sink that sends events, with when, where from and in which form
// it gets them.
func (b *builder) streaming(sink load.Sink, o *config.Stream) (pipeline.Sink, error) {
	form, err := shapeOf(o)
	if err != nil {
		return pipeline.Sink{}, err
	}
	return pipeline.Sink{
		Sink:    sink,
		Start:   startOf(o.Start, b.now()),
		Every:   o.Every,
		Sources: o.Filter.Source,
		Shape:   form,
	}, nil
}

// startOf turns a span back into a point in time.
func startOf(s config.Start, now time.Time) pipeline.Start {
	switch {
	case s.Beginning:
		return pipeline.Start{}
	case s.Now:
		return pipeline.Start{Now: true}
	default:
		return pipeline.Start{At: s.Since.At(now)}
	}
}

// datadogWindow is how old an event may be that Datadog shows at its time.
const datadogWindow = 18 * time.Hour

// startWords says where a sink begins.
func startWords(s config.Start, now time.Time) string {
	switch {
	case s.Beginning:
		return "every event landed"
	case s.Now:
		return "what is landed after its first run"
	case !s.Since.Time.IsZero():
		return "events since " + s.Since.Time.UTC().Format(time.RFC3339)
	default:
		return "events of the last " + config.FormatSpan(s.Since.Span) + ", since " + s.Since.At(now).UTC().Format("2006-01-02 15:04")
	}
}

// certificates reads a file of them; "" has none.
func certificates(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read ca_file: %w", err)
	}
	return text, nil
}

// shownSinks are the sinks for those who only look at where they stand: nothing
// is opened, and no secret needed.
func (b *builder) shownSinks() ([]pipeline.Sink, error) {
	sinks := make([]pipeline.Sink, len(b.config.Sinks))
	for i, s := range b.config.Sinks {
		if s.Stream != nil {
			sinks[i] = pipeline.Sink{Sink: shownSink(s.Name), Every: s.Stream.Every, Sources: s.Stream.Filter.Source}
			continue
		}
		sink, err := b.sink(s, blob.Store(nil))
		if err != nil {
			return nil, err
		}
		sinks[i] = sink
	}
	return sinks, nil
}

// shownSink is the name of a sink that streams.
type shownSink string

var _ load.Sink = shownSink("")

// Name is the sink's name in the config.
func (s shownSink) Name() string { return string(s) }

// Deliver is never called: nothing is delivered by those who only look.
func (s shownSink) Deliver(context.Context, load.Batch) (load.Result, error) {
	return load.Result{}, errors.New("sink is only looked at")
}

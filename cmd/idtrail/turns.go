package main

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/internal/config"
	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/state"
)

// turns lets one of a service's jobs at a time have a source: the others wait
// for it, and meanwhile do what else they have to. Without it they would find
// the source held, and leave it out.
type turns struct {
	names map[string]chan struct{}
	// limit is how many sources of one job run side by side.
	limit int
	now   func() time.Time
}

// reconciling is the turn of what is done after the sources: no source has such a
// name.
const reconciling = ""

func newTurns(c *config.Config, now func() time.Time) *turns {
	t := &turns{names: map[string]chan struct{}{reconciling: make(chan struct{}, 1)}, limit: c.Limits.Sources, now: now}
	for _, s := range c.Sources {
		t.names[s.Name] = make(chan struct{}, 1)
	}
	return t
}

// during does something in its turn, or, when the context ends before, returns
// why it did not.
func (t *turns) during(ctx context.Context, name string, do func()) error {
	if t == nil {
		do()
		return nil
	}
	turn := t.names[name]
	select {
	case turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-turn }()
	if ctx.Err() == nil { // both may have been ready
		do()
	}
	return ctx.Err()
}

// run runs sources as the pipeline does, each in its turn.
func (t *turns) run(ctx context.Context, p *pipeline.Pipeline, sources []pipeline.Source) pipeline.Report {
	if t == nil {
		return p.Run(ctx, sources)
	}
	all := pipeline.Report{Started: t.now(), Sources: make([]pipeline.SourceReport, len(sources))}
	running := make(chan struct{}, t.limit)
	var group errgroup.Group
	for i, source := range sources {
		group.Go(func() error {
			// A source that waits for its turn takes no other's place.
			err := t.during(ctx, source.Name, func() {
				running <- struct{}{}
				defer func() { <-running }()
				all.Sources[i] = p.Run(ctx, []pipeline.Source{source}).Sources[0]
			})
			if err != nil && all.Sources[i].Source == "" {
				all.Sources[i] = pipeline.SourceReport{Source: source.Name, Kind: source.Kind, Run: state.Run{Error: err.Error()}, Err: err}
			}
			return nil
		})
	}
	_ = group.Wait() // the functions return no error: it is in the reports
	all.Ended = t.now()
	return all
}

// keptSources are those of Auth0, which are the same from run to run and hold a
// token: a tenant's plan counts how many it gives out in a month, and each shows
// in its log.
type keptSources struct {
	mu      sync.Mutex
	sources map[string]extract.Source
}

func newKeptSources() *keptSources { return &keptSources{sources: map[string]extract.Source{}} }

// source returns the source kept, or opens it.
func (k *keptSources) source(s config.Source, open func() (extract.Source, error)) (extract.Source, error) {
	if k == nil || s.Auth0Logs == nil && s.Auth0Users == nil {
		return open()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if source, ok := k.sources[s.Name]; ok {
		return source, nil
	}
	source, err := open()
	if err == nil {
		k.sources[s.Name] = source
	}
	return source, err
}

// drop forgets the source of a run that failed: its token may be why.
func (k *keptSources) drop(r pipeline.Report) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range r.Sources {
		if s.Err != nil {
			delete(k.sources, s.Source)
		}
	}
}

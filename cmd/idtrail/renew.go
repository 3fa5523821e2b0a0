package main

import (
	"context"
	"slices"
	"sync"

	"github.com/idtrail/idtrail/internal/config"
	"github.com/idtrail/idtrail/internal/pipeline"
)

// renewal hands out the builder of a service, whose secrets may be replaced while
// it is there. What a run failed for may be one that was: so the next run reads
// all of them anew. As long as nothing fails, no vault is asked.
type renewal struct {
	fetch func() map[string]config.Fetch

	mu  sync.Mutex
	b   *builder
	due bool
}

// builder is what the next run is built by.
func (r *renewal) builder(ctx context.Context) *builder {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.due {
		return r.b
	}
	c, err := r.b.config.Again(ctx, r.fetch())
	if err != nil {
		r.b.log.Warn("secrets could not be read anew, those of before are used", failureOf(err)...)
		return r.b
	}
	r.b.log.Info("secrets are read anew: something failed, and they may have been replaced")
	b := *r.b
	b.config = c
	r.b, r.due = &b, false
	return r.b
}

// saw looks at how a run went.
func (r *renewal) saw(report pipeline.Report, err error) {
	if err == nil && !slices.ContainsFunc(report.Sources, pipeline.SourceReport.Failed) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.due = true
}

package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/idtrail/idtrail/internal/config"
	"github.com/idtrail/idtrail/internal/notify"
	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/internal/telemetry"
	"github.com/idtrail/idtrail/load/stream"
)

// How long the end of the program waits until telemetry is sent: within what a
// run that is told to stop may take.
const (
	telemetryTimeout        = 5 * time.Second
	telemetryTimeoutStopped = time.Second
)

// startTelemetry starts what the environment asks for, and returns what ends it.
func (a *app) startTelemetry(ctx context.Context) (end func()) {
	a.tel = telemetry.Start(ctx, telemetry.Options{
		Env: a.Env, Version: readVersions().Version, Console: a.term, Log: a.log, Now: a.Now,
	})
	return func() {
		timeout := telemetryTimeout
		if ctx.Err() != nil {
			timeout = telemetryTimeoutStopped
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
		defer cancel()
		a.tel.Close(ctx)
	}
}

// outside is who is told of one run while it goes on and when it ends. Nothing
// of it makes a run fail.
type outside struct {
	a   *app
	b   *builder
	job task
	// pipeline is that of the run; nil where none could be made.
	pipeline *pipeline.Pipeline
	beats    []*beat
	pings    sync.WaitGroup
}

// beat is a watcher of the jobs whose sources it has.
type beat struct {
	notify.Heartbeat
	of    config.Job
	begun sync.Once
}

func (a *app) outside(b *builder, job task) *outside {
	o := &outside{a: a, b: b, job: job}
	o.watch(b.config.Heartbeat, job.Job)
	for _, part := range job.parts {
		o.watch(part.Heartbeat, part)
	}
	return o
}

func (o *outside) watch(h *config.Heartbeat, of config.Job) {
	if h == nil {
		return
	}
	client, err := stream.NewClient(stream.ClientOptions{Timeout: hookTimeout})
	if err != nil {
		o.a.log.Warn("heartbeat is not pinged", failureOf(err)...)
		return
	}
	o.beats = append(o.beats, &beat{of: of, Heartbeat: notify.Heartbeat{URL: h.URL.Reveal(), Start: h.Start, Fail: h.Fail, Client: client}})
}

var _ pipeline.Observer = (*outside)(nil)

// Begin is told of a step. With the first one of a job its run has begun: one
// whose sources others hold never begins, and its watcher is told nothing.
func (o *outside) Begin(ctx context.Context, s pipeline.Step) (context.Context, func(error, ...pipeline.Count)) {
	for _, beat := range o.beats {
		if slices.Contains(beat.of.Sources, s.Source) || s.Name == pipeline.StepReconcile && beat.of.Reconcile {
			beat.begun.Do(func() { o.begun(ctx, beat) })
		}
	}
	return o.a.tel.Begin(ctx, s)
}

// begun pings while the run goes on: a watcher that is slow delays nothing.
func (o *outside) begun(ctx context.Context, b *beat) {
	ctx = context.WithoutCancel(ctx) // of the source; a ping has a time of its own
	o.pings.Go(func() {
		if err := b.Begun(ctx); err != nil {
			o.a.log.Warn("the start of the run was not told", o.of(b, err)...)
		}
	})
}

// of are the attributes of a failure to ping.
func (o *outside) of(b *beat, err error) []any { return failureOf(err, "job", b.of.Name) }

// ended tells how the run went. One that was told to stop tells nothing: the next
// one goes on where it was.
func (o *outside) ended(ctx context.Context, res runResult, err error) {
	if ctx.Err() != nil {
		return
	}
	var all sync.WaitGroup
	all.Go(func() { o.tell(ctx, res, err) })
	o.pings.Wait() // a start must not come behind its end
	for _, b := range o.beats {
		all.Go(func() { o.beatEnded(ctx, b, res, err) })
	}
	all.Wait()
}

func (o *outside) beatEnded(ctx context.Context, b *beat, res runResult, err error) {
	note := "not begun"
	if err == nil {
		err = verdict(partOf(res, b.of), b.of.Strict)
		note = string(resultOf(err))
		if err != nil {
			note += ": " + err.Error()
		}
	}
	code := exitCode(err)
	if code == exitHeld {
		return
	}
	if err := b.Ended(ctx, code != exitDone, note); err != nil {
		o.a.log.Warn("the end of the run was not told", o.of(b, err)...)
	}
}

// partOf is what of a result is one job's.
func partOf(res runResult, job config.Job) runResult {
	var part runResult
	for _, s := range res.Sources {
		if slices.Contains(job.Sources, s.Source) {
			part.Sources = append(part.Sources, s)
		}
	}
	if job.Reconcile {
		part.Reconciled = res.Reconciled
	}
	return part
}

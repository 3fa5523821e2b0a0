package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/idtrail/idtrail/internal/config"
	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/state"
)

// backfillFlags are how backfill was called.
type backfillFlags struct {
	from, to, slice string
	quiet           bool
}

func (a *app) backfillCommand() *cobra.Command {
	var f backfillFlags
	cmd := &cobra.Command{
		Use:   "backfill source",
		Short: "Read a span of a source's past, beside its ordinary reading",
		Long: `Backfill reads older records of a source, in slices, the oldest first, and
lands and delivers them like any others. The source's own cursor stays where it
is, and what was landed before is not landed again, whatever reading it came
from.

It may be killed at any time: called again with the same --from and --to, it
goes on where it was. It holds the source meanwhile; runs pass it over until
then.

Sources that read a log can: auth0_logs, as far back as the tenant keeps its
log; cloudtrail_lookup, 90 days; cloudtrail_trail, as far as there are files.
Snapshots and archives are read whole each time, and cannot.

` + exitHelp,
		Example: `  idtrail backfill trail --from 2026-01-01 --to 2026-02-01
  idtrail backfill acme --from 2026-03-01 --to 2026-03-02T12:00:00Z --slice 6h
  idtrail backfill trail --from 2025-01-01 --to 2026-01-01 --lake-only`,
		Args: oneSource,
		RunE: func(cmd *cobra.Command, args []string) error { return a.backfill(cmd.Context(), args[0], f) },
	}
	cmd.Flags().StringVar(&f.from, "from", "", "where it begins: a `time`, as in 2026-01-31 or 2026-01-31T09:00:00Z (required)")
	cmd.Flags().StringVar(&f.to, "to", "", "where it ends, itself not part of it: a `time`, not in the future (required)")
	cmd.Flags().StringVar(&f.slice, "slice", "1d", "how `long` a part is read at once: 6h, 1d, 7d")
	cmd.Flags().BoolVar(&f.quiet, "lake-only", false, "send nothing of it to sinks of events: it goes to the lake only")
	return cmd
}

// oneSource wants the name of a source, and nothing else.
func oneSource(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usage("try: "+cmd.CommandPath()+" --help", "%s takes the name of one source, and got %d", cmd.CommandPath(), len(args))
	}
	return nil
}

func (a *app) backfill(ctx context.Context, name string, f backfillFlags) error {
	o, err := f.options()
	if err != nil {
		return err
	}
	c, err := a.config(ctx, withSecrets)
	if err != nil {
		return err
	}
	s, err := sourceOf(c, name)
	if err != nil {
		return err
	}
	b := a.builder(c)
	p, err := b.pipeline(ctx)
	if err != nil {
		return err
	}
	source := b.pipelineSource(ctx, s)
	show := newRunProgress([]pipeline.Source{source}, a.Now)
	p.Progress = show.update
	a.log.Info("back-fill begins", "source", name, "from", o.From, "to", o.To)
	var r pipeline.BackfillReport
	a.term.during(show.line, func() { r, err = p.Backfill(ctx, source, o) })
	if errors.Is(err, pipeline.ErrNoBackfill) || errors.Is(err, state.ErrHeld) {
		return err
	}
	return a.backfilled(ctx, r, err)
}

func (f backfillFlags) options() (o pipeline.BackfillOptions, err error) {
	if o.From, err = instant("--from", f.from); err != nil {
		return o, err
	}
	if o.To, err = instant("--to", f.to); err != nil {
		return o, err
	}
	if !o.From.Before(o.To) {
		return o, usage("swap them", "--from %s is not before --to %s", f.from, f.to)
	}
	if o.Slice, err = config.ParseSpan(f.slice); err != nil || o.Slice < time.Minute {
		return o, usage("write 6h, 1d or 7d; at least 1m", "--slice %q is no span of time to read at once", f.slice)
	}
	o.Quiet = f.quiet
	return o, nil
}

// instant reads a point in time. A span back would be another one in each call,
// and what was begun could not be gone on with.
func instant(flag, text string) (time.Time, error) {
	since, err := config.ParseSince(text)
	if err != nil || since.Time.IsZero() {
		return time.Time{}, usage("write a time like 2026-01-31 or 2026-01-31T09:00:00Z", "%s %q is no time", flag, text)
	}
	return since.Time, nil
}

// backfilled prints what a back-fill did, and says how it ended.
func (a *app) backfilled(ctx context.Context, r pipeline.BackfillReport, failure error) error {
	if failure != nil && ctx.Err() == nil {
		a.log.Error("back-fill failed", failureOf(failure, "source", r.Source)...)
	}
	res := runResult{Report: pipeline.Report{Started: r.Started, Ended: r.Ended, Sources: []pipeline.SourceReport{r.SourceReport}}}
	for _, k := range r.Sinks {
		if k.Err != nil && !errors.Is(k.Err, context.Canceled) {
			a.log.Error("sink failed", failureOf(k.Err, "source", r.Source, "sink", k.Sink)...)
		}
	}
	var err error
	if a.json {
		err = a.printJSON(r)
	} else {
		err = errors.Join(a.printRun(res), a.printf("\n%s\n", reachedLine(r)))
	}
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return errInterrupted
	case failure != nil:
		return exitQuietly(exitFailed, failure.Error())
	}
	if wrong := partly(res, 0, false); len(wrong) > 0 {
		return exitQuietly(exitPartly, strings.Join(wrong, "; "))
	}
	return nil
}

// reachedLine says how much of the span is done.
func reachedLine(r pipeline.BackfillReport) string {
	from, to := r.From.Format(time.RFC3339), r.To.Format(time.RFC3339)
	if r.Done {
		return fmt.Sprintf("All of %s from %s to %s is landed.", r.Source, from, to)
	}
	reached := r.Reached
	if reached.IsZero() {
		reached = r.From
	}
	return fmt.Sprintf("%s is landed from %s to %s; the same call goes on to %s.", r.Source, from, reached.Format(time.RFC3339), to)
}

package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/state"
	"github.com/idtrail/idtrail/transform"
)

// replayFlags are how replay was called.
type replayFlags struct {
	sources  []string
	from, to string
	rejected bool
	dryRun   bool
}

func (a *app) replayCommand() *cobra.Command {
	var f replayFlags
	cmd := &cobra.Command{
		Use:   "replay",
		Short: "Map again what an older mapping made, or could not map",
		Long: `Replay maps the raw records again, by the mapping of this version, where what
the lake holds of them was made by an older one or where some were rejected.
Objects whose rows come out the same are left as they are; the others are
replaced one by one, and a signed note says which. What was rejected and no
longer is goes to Datadog, Splunk and OTLP too, once; what they were sent
before is not sent again.

It may be killed at any time: the next run, or replay, finishes it. Objects are
replaced whole, so queries see old or new rows of an object, never both.

` + exitHelp,
		Example: `  idtrail replay --dry-run
  idtrail replay --rejected
  idtrail replay --source acme --from 2026-01-01 --to 2026-02-01`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.replay(cmd.Context(), f) },
	}
	cmd.Flags().StringSliceVar(&f.sources, "source", nil, "only these sources")
	cmd.Flags().StringVar(&f.from, "from", "", "only what may hold events from this `time` on: a span back, or a time")
	cmd.Flags().StringVar(&f.to, "to", "", "only what may hold events before this `time`")
	cmd.Flags().BoolVar(&f.rejected, "rejected", false, "only what holds rejected records")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "only count what would be mapped again")
	return cmd
}

// replayResult is what replay --json prints.
type replayResult struct {
	// Mapping is the version that maps now.
	Mapping string     `json:"mapping"`
	DryRun  bool       `json:"dry_run"`
	Sources []replayed `json:"sources"`
}

// replayed is what a replay did with one source, or why it could not.
type replayed struct {
	pipeline.ReplayReport
	Error string `json:"error,omitempty"`
	err   error
}

func (a *app) replay(ctx context.Context, f replayFlags) error {
	o, err := a.replayOptions(f)
	if err != nil {
		return err
	}
	c, err := a.config(ctx, withSecrets)
	if err != nil {
		return err
	}
	sources, err := sourcesOf(c, f.sources)
	if err != nil {
		return err
	}
	b := a.builder(c)
	p, err := b.pipeline(ctx)
	if err != nil {
		return err
	}
	res := replayResult{Mapping: fmt.Sprint(transform.Version), DryRun: f.dryRun}
	for _, s := range sources {
		var one replayed
		a.term.during(func() string { return "mapping " + s.Name + " again" }, func() {
			one.ReplayReport, one.err = p.Replay(ctx, b.pipelineSource(ctx, s), o)
		})
		one.Source = s.Name
		if one.err != nil {
			one.Error = one.err.Error()
		}
		if ctx.Err() != nil {
			return errInterrupted
		}
		a.logReplayed(s.Name, one.ReplayReport, one.err)
		res.Sources = append(res.Sources, one)
	}
	if a.json {
		err = a.printJSON(res)
	} else {
		err = a.printReplayed(res)
	}
	return errors.Join(err, res.verdict())
}

func (a *app) replayOptions(f replayFlags) (o pipeline.ReplayOptions, err error) {
	o.RejectedOnly, o.DryRun = f.rejected, f.dryRun
	if f.from != "" {
		if o.From, err = a.timeFlag("--from", f.from); err != nil {
			return o, err
		}
	}
	if f.to != "" {
		if o.To, err = a.timeFlag("--to", f.to); err != nil {
			return o, err
		}
	}
	if f.from != "" && f.to != "" && !o.From.Before(o.To) {
		return o, usage("swap them", "--from %s is not before --to %s", f.from, f.to)
	}
	return o, nil
}

func (a *app) logReplayed(source string, r pipeline.ReplayReport, err error) {
	switch {
	case errors.Is(err, state.ErrHeld):
		a.log.Warn("source is held by another run", "source", source, "error", err.Error())
	case err != nil:
		a.log.Error("replay failed", failureOf(err, "source", source)...)
	}
	for _, k := range r.Delivered {
		if k.Err != nil && !errors.Is(k.Err, context.Canceled) {
			a.log.Error("sink failed", failureOf(k.Err, "source", source, "sink", k.Sink)...)
		}
	}
}

func (a *app) printReplayed(res replayResult) error {
	rows := [][]string{{"SOURCE", "SINK", "FLUSHES", "CHANGED", "OBJECTS", "NO LONGER REJECTED", "STILL REJECTED", "PRUNED", ""}}
	var given int64
	for _, s := range res.Sources {
		note := ""
		switch {
		case errors.Is(s.err, state.ErrHeld):
			note = "held by another run"
		case s.err != nil:
			note = "failed"
		}
		if len(s.Sinks) == 0 {
			rows = append(rows, []string{s.Source, "", "", "", "", "", "", "", note})
		}
		for _, k := range s.Sinks {
			rows = append(rows, []string{s.Source, k.Sink, count(k.Flushes), count(k.Changed), count(k.Objects), count(k.Fits), count(k.Rejected), count(k.Gone), note})
		}
		given += s.Given
	}
	if err := a.printTable(rows); err != nil {
		return err
	}
	switch {
	case res.DryRun:
		return a.printf("\nNothing was changed: this is what mapping %s would look at.\n", res.Mapping)
	case given > 0:
		return a.printf("\n%s, rejected before, were given to the sinks of events.\n", many(given, "record"))
	default:
		return nil
	}
}

// verdict is the exit code of a replay; what failed was logged.
func (r replayResult) verdict() error {
	failed, held, sinks := 0, 0, 0
	for _, s := range r.Sources {
		switch {
		case errors.Is(s.err, state.ErrHeld):
			held++
		case s.err != nil:
			failed++
		}
		for _, k := range s.Delivered {
			if k.Err != nil {
				sinks++
			}
		}
	}
	switch n := len(r.Sources); {
	case held == n && n > 0:
		return exitQuietly(exitHeld, "every source is held by another run")
	case failed+held == n && n > 0:
		return exitQuietly(exitFailed, "every source failed")
	case failed+held+sinks > 0:
		return exitQuietly(exitPartly, "a source or sink failed")
	default:
		return nil
	}
}

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/idtrail/idtrail/internal/pipeline"
)

func (a *app) statusCommand() *cobra.Command {
	var maxAge time.Duration
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show where every source and sink stands",
		Long: `Status shows, out of the state on this machine, what was landed of each source,
where its cursor is, what each sink has and lacks, and the gaps, rejects and
faults that want a look. It asks no vendor, needs no secret, and may be called
while a run goes on.

With --max-age it exits with 3 if a source was not read to its end within that
time: for monitoring.`,
		Example: `  idtrail status
  idtrail status --max-age 30m
  idtrail status --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.status(cmd.Context(), maxAge) },
	}
	cmd.Flags().DurationVar(&maxAge, "max-age", 0, "exit with 3 if a source was not drained for that `long`")
	return cmd
}

func (a *app) status(ctx context.Context, maxAge time.Duration) error {
	c, err := a.config(ctx, noSecrets)
	if err != nil {
		return err
	}
	b := a.builder(c)
	p, err := b.pipeline(ctx)
	if err != nil {
		return err
	}
	all, err := p.Status(ctx, b.pipelineSources(ctx))
	if err != nil {
		return err
	}
	if a.json {
		err = a.printJSON(map[string]any{"config": c.File, "sources": all})
	} else {
		err = a.printStatus(all)
	}
	if err != nil {
		return err
	}
	return stale(all, maxAge, a.Now())
}

func stale(all []pipeline.Status, maxAge time.Duration, now time.Time) error {
	if maxAge == 0 {
		return nil
	}
	for _, s := range all {
		if !s.Known || now.Sub(s.LastDrain) > maxAge {
			return exitQuietly(exitPartly, fmt.Sprintf("source %s was last read to its end %s", s.Source, ago(s.LastDrain, now)))
		}
	}
	return nil
}

func (a *app) printStatus(all []pipeline.Status) error {
	now := a.Now()
	rows := [][]string{{"SOURCE", "KIND", "LANDED", "SEGMENTS", "NEWEST EVENT", "DRAINED", "SINK", "DELIVERED", "PENDING", "REJECTED", "GAPS"}}
	for _, s := range all {
		rows = append(rows, statusRows(s, now)...)
	}
	if err := a.printTable(rows); err != nil {
		return err
	}
	for _, s := range all {
		if err := a.printDetails(s, now); err != nil {
			return err
		}
	}
	return nil
}

func statusRows(s pipeline.Status, now time.Time) [][]string {
	if !s.Known {
		return [][]string{{s.Source, s.Kind, "never run"}}
	}
	head := []string{s.Source, s.Kind, count(s.Totals.Records), count(s.Totals.Segments), ago(s.Totals.Last, now), ago(s.LastDrain, now)}
	var rows [][]string
	for _, k := range s.Sinks {
		gaps := count(s.GapsTotal)
		if len(rows) > 0 {
			gaps = ""
		}
		rows = append(rows, append(head, k.Sink, ago(k.Delivered, now), count(k.Pending.Records), count(k.Tally.Rejected), gaps))
		head = make([]string, len(head))
	}
	return rows
}

// printDetails lists what wants a look.
func (a *app) printDetails(s pipeline.Status, now time.Time) error {
	var lines []string
	if len(s.Runs) > 0 && s.Runs[0].Error != "" {
		lines = append(lines, fmt.Sprintf("last run, %s, failed: %s", ago(s.Runs[0].Ended, now), s.Runs[0].Error))
	}
	for _, snap := range s.Snapshots {
		lines = append(lines, fmt.Sprintf("snapshot %s: %s", snap.ID, snapshotState(snap.Complete, snap.Counts)))
	}
	for _, g := range s.Gaps {
		lines = append(lines, fmt.Sprintf("gap from %s to %s: %s", g.From.Format(time.RFC3339), g.To.Format(time.RFC3339), g.Reason))
	}
	for _, in := range s.Faults {
		lines = append(lines, fmt.Sprintf("input %s: %s", in.Key, in.Fault))
	}
	for _, r := range s.Rejects {
		lines = append(lines, fmt.Sprintf("rejected %d:%d: %s", r.Segment, r.Record, r.Reason))
	}
	for i, line := range lines {
		if i == 0 {
			line = fmt.Sprintf("\n%s\n  %s", s.Source, printable(line))
		} else {
			line = "  " + printable(line)
		}
		if err := a.printf("%s\n", line); err != nil {
			return err
		}
	}
	return nil
}

func snapshotState(complete bool, counts map[string]int64) string {
	if !complete {
		return "not complete"
	}
	return fmt.Sprintf("complete, %s users", count(counts["users"]))
}

// ago says how long ago something was, in the largest units.
func ago(t, now time.Time) string {
	d := now.Sub(t)
	switch {
	case t.IsZero():
		return "never"
	case d < 0:
		return "in " + (-d).Round(time.Second).String()
	case d < time.Minute:
		return fmt.Sprintf("%ds ago", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%dm ago", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%dd ago", int(d.Hours()/24))
	}
}

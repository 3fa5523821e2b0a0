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

func (a *app) statusCommand() *cobra.Command {
	var maxAge string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show where every source and sink stands",
		Long: `Status shows, out of the state on this machine, what was landed of each source,
where its cursor is, what each sink has and lacks, and the gaps, rejects and
faults that want a look. It asks no vendor, needs no secret, and may be called
while a run goes on.

With --max-age it exits with 3 if a source was not read to its end within that
time, or if something landed waits for a sink for longer: for monitoring.`,
		Example: `  idtrail status
  idtrail status --max-age 30m
  idtrail status --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.status(cmd.Context(), maxAge) },
	}
	cmd.Flags().StringVar(&maxAge, "max-age", "", "exit with 3 if a source was not drained, or a sink lags, for that `long`: 30m, 36h, 2d")
	return cmd
}

func (a *app) status(ctx context.Context, within string) error {
	var maxAge time.Duration
	if within != "" {
		var err error
		if maxAge, err = config.ParseSpan(within); err != nil || maxAge == 0 {
			return usage("write a span like 30m, 36h or 2d", "--max-age %q is no span of time", within)
		}
	}
	c, err := a.config(ctx, noSecrets)
	if err != nil {
		return err
	}
	b := a.builder(c)
	// Nothing is opened but the state, and nothing made: whoever looks may have
	// no right to more.
	sinks, err := b.shownSinks()
	if err != nil {
		return err
	}
	states, err := b.states(ctx)
	if err != nil {
		return err
	}
	p := &pipeline.Pipeline{State: states, StateDir: c.StateDir(), Sinks: sinks, Log: a.log, Now: a.Now}
	all, failures := a.statuses(ctx, p, b.pipelineSources(ctx))
	if ctx.Err() != nil {
		return errInterrupted
	}
	if a.json {
		err = a.printJSON(map[string]any{"config": c.File, "sources": all})
	} else {
		err = a.printStatus(all)
	}
	if err = errors.Join(err, failures); err != nil {
		return err
	}
	if maxAge > 0 {
		return stale(all, maxAge, a.Now(), paces(c))
	}
	return nil
}

// sourceStatus is a source's status, or why there is none.
type sourceStatus struct {
	pipeline.Status
	// Checkpoint is the last that was written of the source.
	Checkpoint *state.Checkpoint `json:"checkpoint,omitempty"`
	// Holding says who holds the source, or held it last; nil for a state of this
	// machine.
	Holding *state.Holding `json:"holding,omitempty"`
	Error   string         `json:"error,omitempty"`
}

// statuses asks for each source by itself: one whose state is damaged hides no
// other.
func (a *app) statuses(ctx context.Context, p *pipeline.Pipeline, sources []pipeline.Source) ([]sourceStatus, error) {
	all := make([]sourceStatus, len(sources))
	var failures error
	for i, source := range sources {
		all[i].Status = pipeline.Status{Source: source.Name, Kind: source.Kind}
		one, err := p.Status(ctx, []pipeline.Source{source})
		if err != nil {
			all[i].Error = err.Error()
			failures = errors.Join(failures, err)
			continue
		}
		all[i].Status = one[0]
		if !all[i].Known {
			continue
		}
		shown, err := p.State.Show(ctx, source.Name)
		if err != nil {
			all[i].Error = err.Error()
			failures = errors.Join(failures, err)
			continue
		}
		all[i].Checkpoint, all[i].Holding = shown.Checkpoint, shown.Holding
	}
	return all, failures
}

// stale names the sources that were not read to their end for too long, and the
// sinks for which something has waited for longer than that beyond their pace.
func stale(all []sourceStatus, maxAge time.Duration, now time.Time, pace map[string]time.Duration) error {
	var old, waiting []string
	for _, s := range all {
		if !s.Known || now.Sub(s.LastDrain) > maxAge {
			old = append(old, fmt.Sprintf("%s (%s)", s.Source, ago(s.LastDrain, now)))
		}
		for _, k := range s.Sinks {
			if oldest := oldestOf(k); !oldest.IsZero() && now.Sub(oldest) > maxAge+pace[k.Sink] {
				waiting = append(waiting, fmt.Sprintf("%s for %s (%s)", s.Source, k.Sink, ago(oldest, now)))
			}
		}
	}
	var wrong []string
	if len(old) > 0 {
		wrong = append(wrong, fmt.Sprintf("not read to the end within %s: %s", span(maxAge), strings.Join(old, ", ")))
	}
	if len(waiting) > 0 {
		wrong = append(wrong, fmt.Sprintf("landed and not delivered within %s: %s", span(maxAge), strings.Join(waiting, ", ")))
	}
	if len(wrong) == 0 {
		return nil
	}
	return &exitError{
		code: exitPartly, hint: "is idtrail run due and working? its log, and idtrail status, say what failed",
		err: errors.New(strings.Join(wrong, "; ")),
	}
}

func (a *app) printStatus(all []sourceStatus) error {
	now := a.Now()
	landed := [][]string{{"SOURCE", "KIND", "LANDED", "SEGMENTS", "NEWEST EVENT", "DRAINED", "CHECKPOINT", "GAPS", ""}}
	delivered := [][]string{{"SOURCE", "SINK", "DELIVERED", "RECORDS", "REJECTED", "PENDING"}}
	sent := [][]string{{"SOURCE", "SINK", "SENT", "ACCEPTED", "FILTERED", "REFUSED", "PENDING", ""}}
	for _, s := range all {
		landed = append(landed, landedRow(s, now))
		for _, k := range s.Sinks {
			if k.Notices != nil {
				sent = append(sent, sentRow(s.Source, statusTally(k, now), now))
				continue
			}
			delivered = append(delivered, []string{s.Source, k.Sink, ago(k.Delivered, now), count(k.Tally.Records), count(k.Tally.Rejected), count(k.Pending.Records)})
		}
	}
	if err := a.printTables(landed, delivered, sent); err != nil {
		return err
	}
	for _, s := range all {
		if err := a.printDetails(s, now); err != nil {
			return err
		}
	}
	return nil
}

func landedRow(s sourceStatus, now time.Time) []string {
	if !s.Known {
		note := "never run"
		if s.Error != "" {
			note = "unreadable"
		}
		return []string{s.Source, s.Kind, "", "", "", "", "", "", note}
	}
	newest, note := "none", ""
	if !s.Totals.Last.IsZero() {
		newest = ago(s.Totals.Last, now)
	}
	if failed(s.Runs) {
		note = "failed"
	}
	return []string{
		s.Source, s.Kind, count(s.Totals.Records), count(s.Totals.Segments), newest, ago(s.LastDrain, now), checkpointCell(s), count(s.GapsTotal), note,
	}
}

// checkpointCell is the last checkpoint, and how much was landed since.
func checkpointCell(s sourceStatus) string {
	if s.Checkpoint == nil {
		return "none"
	}
	cell := count(s.Checkpoint.Number)
	// Segments are numbered from 0.
	if behind := s.Totals.Segments - 1 - s.Checkpoint.Head; behind > 0 {
		cell += " (" + many(behind, "segment") + " since)"
	}
	return cell
}

func failed(runs []state.Run) bool { return len(runs) > 0 && runs[0].Error != "" }

// printDetails lists what wants a look.
func (a *app) printDetails(s sourceStatus, now time.Time) error {
	lines := append(holdingDetails(s.Holding), details(s.Status, now)...)
	if len(lines) == 0 {
		return nil
	}
	for i, line := range lines {
		lines[i] = "  " + printable(line)
	}
	return a.printf("\n%s\n%s\n", s.Source, strings.Join(lines, "\n"))
}

func details(s pipeline.Status, now time.Time) []string {
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	if failed(s.Runs) {
		add("last run, %s, failed: %s", ago(s.Runs[0].Ended, now), s.Runs[0].Error)
	}
	lines = append(lines, stuckDetails(s)...)
	for _, k := range s.Sinks {
		lines = append(lines, sinkDetails(k, now)...)
	}
	for _, snap := range s.Snapshots {
		add("snapshot %s: %s", snap.ID, snapshotState(snap.Complete, snap.Counts))
	}
	for _, g := range s.Gaps {
		input := ""
		if g.Input != "" {
			input = ", " + g.Input
		}
		add("gap from %s to %s%s: %s", g.From.UTC().Format(time.RFC3339), g.To.UTC().Format(time.RFC3339), input, g.Reason)
	}
	if more := s.GapsTotal - int64(len(s.Gaps)); more > 0 {
		add("and %s before", many(more, "gap"))
	}
	for _, in := range s.Faults {
		add("input %s: %s", in.Key, in.Fault)
	}
	for _, r := range s.Rejects {
		add("rejected: record %d of segment %d: %s", r.Record, r.Segment, r.Reason)
	}
	for _, r := range s.Refused {
		add("%s", refusedLine(r))
	}
	if more := rejectedOf(s) - int64(len(s.Rejects)); more > 0 {
		add("%s more rejected: see rejected/source=%s in the lake", many(more, "record"), s.Source)
	}
	return lines
}

// leaseEnds is when a lease that was not renewed may be taken over.
const leaseEnds = time.Minute

// holdingDetails say who holds the source now, or never let go of it.
func holdingDetails(h *state.Holding) []string {
	switch {
	case h == nil || h.Released:
		return nil
	case h.Age > leaseEnds:
		return []string{fmt.Sprintf("%s ended %s ago without letting go of it; the next run takes over", h.Owner, span(h.Age.Round(time.Second)))}
	default:
		return []string{"held by " + holderLine(*h)}
	}
}

// stuckDetails say what always fails, and how to get past it.
func stuckDetails(s pipeline.Status) []string {
	k := s.Stuck
	if k == nil {
		return nil
	}
	at := "its beginning"
	if k.Cursor != "" {
		at = "cursor " + k.Cursor
	}
	lines := []string{fmt.Sprintf("%s failed at the same place since %s, at %s", many(int64(k.Runs), "run"), k.Since.UTC().Format(time.RFC3339), at)}
	if k.Skip == "" {
		return append(lines, k.Advice)
	}
	lines = append(lines, fmt.Sprintf("to skip it, if it is what is there that cannot be read: idtrail state set %s --cursor %s --reason 'WHY'", s.Source, shellQuote(k.Skip)))
	for _, g := range k.Loses {
		lines = append(lines, "which declares a gap "+gapLine(g))
	}
	return lines
}

// shellQuote quotes a text for a shell.
func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// rejectedOf is how many records of a source some sink could not be given.
func rejectedOf(s pipeline.Status) int64 {
	var n int64
	for _, k := range s.Sinks {
		n = max(n, k.Tally.Rejected)
	}
	return n
}

func snapshotState(complete bool, counts map[string]int64) string {
	if !complete {
		return "not complete"
	}
	return "complete, " + many(counts["users"], "user")
}

// span writes a span of time without the units that are zero.
func span(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

const century = 100 * 365 * 24 * time.Hour

// ago says how long ago something was, in the largest units; what is further off
// than a duration may be long comes of a clock that was off.
func ago(t, now time.Time) string {
	d := now.Sub(t)
	switch {
	case t.IsZero():
		return "never"
	case d.Abs() > century:
		return t.UTC().Format(time.DateOnly)
	case d < 0:
		return "in " + (-d).Round(time.Second).String()
	case d < time.Minute:
		return fmt.Sprintf("%ds ago", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm ago", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%dd ago", int(d.Hours()/24))
	}
}

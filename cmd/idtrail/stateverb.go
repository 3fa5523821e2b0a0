package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/internal/config"
	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/state"
)

func (a *app) stateCommand() *cobra.Command {
	return group("state", "Look at what idtrail remembers, mend it, or have it made anew", `The state is an index of raw and of the flush records: cursors, positions, ids.
Nothing is lost with it, since raw and lake are what it is made from. The verbs
below show it, move a cursor past what always fails, or have it made anew.`,
		a.stateShowCommand(), a.stateSetCommand(), a.stateRebuildCommand())
}

func (a *app) stateShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show [source]...",
		Short: "Show cursors, positions and who holds a source",
		Long: `Show prints what the state of each source, or of those named, knows: the newest
segment, the cursor of each stream, where every sink goes on, open flushes, the
last checkpoint; and of a state in S3, who holds it. It needs no secret, and may
be called while a run goes on.`,
		Example: `  idtrail state show
  idtrail state show acme --json`,
		RunE: func(cmd *cobra.Command, names []string) error { return a.stateShow(cmd.Context(), names) },
	}
}

// shownState is what state show --json shows of a source.
type shownState struct {
	state.Shown
	Known bool `json:"known"`
}

func (a *app) stateShow(ctx context.Context, names []string) error {
	c, err := a.config(ctx, noSecrets)
	if err != nil {
		return err
	}
	sources, err := sourcesOf(c, names)
	if err != nil {
		return err
	}
	states, err := a.builder(c).states(ctx)
	if err != nil {
		return err
	}
	all := make([]shownState, len(sources))
	for i, s := range sources {
		all[i].Source = s.Name
		shown, err := states.Show(ctx, s.Name)
		if errors.Is(err, state.ErrNone) {
			continue
		}
		if err != nil {
			return err
		}
		all[i] = shownState{Shown: shown, Known: true}
	}
	if a.json {
		return a.printJSON(map[string]any{"sources": all})
	}
	for i, s := range all {
		if err := a.printState(s, i > 0); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) printState(s shownState, gap bool) error {
	before := ""
	if gap {
		before = "\n"
	}
	if !s.Known {
		return a.printf("%s%s\n  nothing yet: it was never run, or its state was lost\n", before, s.Source)
	}
	rows := [][]string{{"  state", s.State}}
	if s.Holding != nil {
		rows = append(rows, []string{"  holder", holderLine(*s.Holding)})
	}
	if s.Head != nil {
		rows = append(rows, []string{"  head", fmt.Sprintf("segment %d, header %s", s.Head.Segment, s.Head.SHA256)})
	}
	for _, stream := range sortedKeys(s.Cursors) {
		rows = append(rows, []string{"  cursor " + stream, s.Cursors[stream]})
	}
	for _, p := range s.Positions {
		rows = append(rows, []string{"  sink " + p.Sink, fmt.Sprintf("goes on at record %d of segment %d", p.Next.Record, p.Next.Segment)})
	}
	for _, f := range s.Flushes {
		rows = append(rows, []string{"  open flush", fmt.Sprintf("%s, segments %d to %d", f.Sink, f.From, f.To-1)})
	}
	if c := s.Checkpoint; c != nil {
		rows = append(rows, []string{"  checkpoint", fmt.Sprintf("%d, up to segment %d, text %s", c.Number, c.Head, c.SHA256)})
	}
	if !s.LastDrain.IsZero() {
		rows = append(rows, []string{"  drained", s.LastDrain.UTC().Format(time.RFC3339)})
	}
	return errors.Join(a.printf("%s%s\n", before, s.Source), a.printTable(rows))
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// holderLine says who holds a shared state, or held it last.
func holderLine(h state.Holding) string {
	if h.Released {
		return fmt.Sprintf("nobody; the last was %s, hold %d", h.Owner, h.Generation)
	}
	return fmt.Sprintf("%s, hold %d, renewed %s ago", h.Owner, h.Generation, max(h.Age, 0).Round(time.Second))
}

// setFlags are how state set was called.
type setFlags struct {
	cursor, reason string
	noGap, yes     bool
}

func (a *app) stateSetCommand() *cobra.Command {
	var f setFlags
	cmd := &cobra.Command{
		Use:   "set source",
		Short: "Have a source go on somewhere else, and say why",
		Long: `Set moves a source's cursor: past a page that always fails (status prints the
call), or back to have something read again, which lands nothing twice. The move
and its reason are landed as evidence; what it passes over is declared as a gap.
It shows what it is about to do, and asks; off a terminal it wants --yes.`,
		Example: `  idtrail state set acme --cursor '{"from":"9…"}' --reason 'always fails'
  idtrail state set acme --cursor '…' --reason 'imported by hand' --no-gap --yes`,
		Args: oneSource,
		RunE: func(cmd *cobra.Command, args []string) error { return a.stateSet(cmd.Context(), args[0], f) },
	}
	cmd.Flags().StringVar(&f.cursor, "cursor", "", "where it goes on: `JSON` as status and state show print it (required)")
	cmd.Flags().StringVar(&f.reason, "reason", "", "why, in a `sentence`: it is kept as evidence (required)")
	cmd.Flags().BoolVar(&f.noGap, "no-gap", false, "declare no gap: what is passed over is not lost, or declared elsewhere")
	cmd.Flags().BoolVar(&f.yes, "yes", false, "do not ask")
	return cmd
}

func (a *app) stateSet(ctx context.Context, name string, f setFlags) error {
	if strings.TrimSpace(f.cursor) == "" || strings.TrimSpace(f.reason) == "" {
		return usage("see: idtrail state set --help", "state set wants a --cursor and a --reason")
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
	p, err := b.reader(ctx)
	if err != nil {
		return err
	}
	before := "nowhere: it was never run"
	if shown, err := p.State.Show(ctx, name); err == nil {
		before = shown.Cursors[mainStream]
	} else if !errors.Is(err, state.ErrNone) {
		return err
	}
	plan := [][]string{{"source", name}, {"cursor now", before}, {"cursor then", f.cursor}, {"reason", f.reason}}
	if err := a.plan(plan); err != nil {
		return err
	}
	if err := a.consent(ctx, f.yes); err != nil {
		return err
	}
	r, err := p.SetCursor(ctx, b.pipelineSource(ctx, s), pipeline.CursorMove{
		Cursor: extract.Cursor(strings.TrimSpace(f.cursor)), Reason: f.reason, NoGap: f.noGap,
	})
	if err != nil {
		return err
	}
	return a.printMoved(name, r)
}

// mainStream is the stream of a source's ordinary reading.
const mainStream = "main"

// plan shows what is about to be done, where it is no result: on stderr.
func (a *app) plan(rows [][]string) error {
	out := a.Out
	defer func() { a.Out = out }()
	a.Out = a.term
	return a.printTable(rows)
}

func (a *app) printMoved(name string, r pipeline.CursorReport) error {
	if a.json {
		return a.printJSON(r)
	}
	if r.Segment == 0 {
		return a.printf("%s stands there already; nothing was changed\n", name)
	}
	if err := a.printf("%s goes on there; segment %d says so\n", name, r.Segment); err != nil {
		return err
	}
	for _, g := range r.Gaps {
		if err := a.printf("gap declared: %s\n", gapLine(g)); err != nil {
			return err
		}
	}
	return nil
}

func gapLine(g schema.Gap) string {
	return fmt.Sprintf("from %s to %s: %s", g.From.UTC().Format(time.RFC3339), g.To.UTC().Format(time.RFC3339), printable(g.Reason))
}

func (a *app) stateRebuildCommand() *cobra.Command {
	var takeOver, yes bool
	cmd := &cobra.Command{
		Use:   "rebuild [source]...",
		Short: "Have a damaged, lost or foreign state made anew from raw and lake",
		Long: `Rebuild drops the state of each source, or of those named. The next run makes
it anew from what raw and lake hold, so nothing is landed or flushed twice.
Sinks of events alone begin at their start again, and may be sent twice what
they have, with the same event_id.

A lake belongs to one state. With --take-over it becomes this one's, and the
other is refused from then on: only for when the other is gone for good.

A source that is held is left alone. Off a terminal it wants --yes.`,
		Example: `  idtrail state rebuild acme
  idtrail state rebuild --take-over --yes`,
		RunE: func(cmd *cobra.Command, names []string) error {
			return a.stateRebuild(cmd.Context(), names, takeOver, yes)
		},
	}
	cmd.Flags().BoolVar(&takeOver, "take-over", false, "make the lake this state's, whoever's it was")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

func (a *app) stateRebuild(ctx context.Context, names []string, takeOver, yes bool) error {
	c, err := a.config(ctx, noSecrets)
	if err != nil {
		return err
	}
	sources, err := sourcesOf(c, names)
	if err != nil {
		return err
	}
	p, err := a.builder(c).reader(ctx)
	if err != nil {
		return err
	}
	if err := a.plan(rebuildPlan(c, sources, takeOver)); err != nil {
		return err
	}
	if err := a.consent(ctx, yes); err != nil {
		return err
	}
	if takeOver {
		if err := p.TakeOver(ctx); err != nil {
			return fmt.Errorf("take the lake over: %w", err)
		}
	}
	rebuilt := []string{}
	var failures error
	for _, s := range sources {
		if err := p.State.Rebuild(ctx, s.Name); err != nil {
			failures = errors.Join(failures, fmt.Errorf("rebuild state of %s: %w", s.Name, err))
			continue
		}
		rebuilt = append(rebuilt, s.Name)
	}
	if a.json {
		return errors.Join(a.printJSON(map[string]any{"rebuilt": rebuilt, "took_over": takeOver}), failures)
	}
	if len(rebuilt) > 0 {
		err = a.printf("dropped the state of %s; the next run makes it anew: idtrail run\n", strings.Join(rebuilt, ", "))
	}
	return errors.Join(err, failures)
}

func rebuildPlan(c *config.Config, sources []config.Source, takeOver bool) [][]string {
	names := make([]string, len(sources))
	for i, s := range sources {
		names[i] = s.Name
	}
	rows := [][]string{{"state", c.State.URL}, {"drops", strings.Join(names, ", ")}}
	var sinks []string
	for _, k := range c.Sinks {
		if k.Stream != nil {
			sinks = append(sinks, k.Name)
		}
	}
	if len(sinks) > 0 {
		rows = append(rows, []string{"send again", strings.Join(sinks, ", ") + ", from their start on"})
	}
	if takeOver {
		rows = append(rows, []string{"takes over", c.Lake.URL})
	}
	return rows
}

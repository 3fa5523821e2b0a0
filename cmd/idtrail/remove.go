package main

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/idtrail/idtrail/internal/config"
	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/state"
)

// removeFlags are how prune and erase were called.
type removeFlags struct {
	sources     []string
	users       []string
	reason      string
	dryRun, yes bool
}

func (f *removeFlags) flags(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&f.sources, "source", nil, "only these sources")
	cmd.Flags().StringVar(&f.reason, "reason", "", "why, in a `sentence` that names nobody: it is signed and kept")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "only show what would be removed")
	cmd.Flags().BoolVar(&f.yes, "yes", false, "do not ask")
}

func (a *app) pruneCommand() *cobra.Command {
	var f removeFlags
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Remove what is older than its retention, and sign that it was",
		Long: `Prune removes raw segments and objects of the lake that are older than retention
in the config says. Nothing is pruned unless it is called, and nothing where the
config names no retention. Kept are: segments that a sink was not given yet or
that a lost state could not be made anew without, what is under an Object Lock,
and the first segment of each chain.

It looks first and shows what would go; off a terminal it wants --yes to go on.
A signed note says what was removed before it is, so verify calls it pruned,
not missing. It may be killed at any time: the next call finishes it.

` + exitHelp,
		Example: `  idtrail prune --dry-run
  idtrail prune --source trail
  idtrail prune --yes`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.prune(cmd.Context(), f) },
	}
	f.flags(cmd)
	return cmd
}

func (a *app) eraseCommand() *cobra.Command {
	var f removeFlags
	cmd := &cobra.Command{
		Use:   "erase",
		Short: "Cut one person's records out of raw and lake, and sign it",
		Long: `Erase serves a person's request to be forgotten: it cuts every record in which
one of the names given stands, whole, out of raw and lake, and leaves a mark in
its place, so that the chain holds and the counts add up. Unless --source says
which, it takes the person out of persons and drift too, and removes the
reports made of that drift. Name the person by every id, user name and e-mail
address you know; idtrail find shows what there is.

It looks first and shows how much would go; off a terminal it wants --yes to go
on. A signed note says which objects change before they do; it holds no name,
but a keyed hash. It may be killed at any time: the next run finishes it.

What Datadog, Splunk and OTLP were sent is theirs, and what the vendor says of
the person later is landed again: erase there first. In a bucket with versions
or an Object Lock the old versions stay until they expire.

` + exitHelp,
		Example: `  idtrail erase --user 'auth0|5f7c8ec7' --user jane@example.com --dry-run
  idtrail erase --user jane@example.com --reason 'request 4711' --yes`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.erase(cmd.Context(), f) },
	}
	cmd.Flags().StringArrayVar(&f.users, "user", nil, "an `id`, user name or e-mail address of the person; may be repeated (required)")
	f.flags(cmd)
	return cmd
}

// removal is what prune and erase have in common: they look, ask and do.
type removal[R any] struct {
	verb string
	// do removes from one source, or only looks.
	do func(ctx context.Context, s pipeline.Source, dryRun bool) (R, error)
	// last removes what belongs to no source, once all of them are done; nil if
	// there is no such thing.
	last func(ctx context.Context, dryRun bool) (R, error)
	// print shows reports; empty says that there is nothing to remove.
	print func(all []R) error
	empty func(all []R) bool
}

// remove runs a removal over sources.
func remove[R any](ctx context.Context, a *app, f removeFlags, sources []pipeline.Source, r removal[R]) error {
	planned, _, err := r.all(ctx, a, sources, true)
	if err != nil {
		return err
	}
	if f.dryRun || r.empty(planned) {
		return a.removed(func() error { return r.print(planned) }, planned, "Nothing was changed.")
	}
	out := a.Out
	a.Out = a.term // the plan is no result
	err = r.print(planned)
	a.Out = out
	if err == nil {
		err = a.consent(ctx, f.yes)
	}
	if err != nil {
		return err
	}
	done, held, err := r.all(ctx, a, sources, false)
	if len(done) > 0 {
		err = errors.Join(a.removed(func() error { return r.print(done) }, done, ""), err)
	}
	if err == nil && held > 0 {
		err = exitQuietly(exitPartly, many(int64(held), "source")+" held by another run")
	}
	return err
}

// removed prints what a removal did; a program gets the reports as they are.
func (a *app) removed(show func() error, all any, note string) error {
	if a.json {
		return a.printJSON(map[string]any{"dry_run": note != "", "sources": all})
	}
	if err := show(); err != nil || note == "" {
		return err
	}
	return a.printf("\n%s\n", note)
}

// all removes from every source, or only looks. One that is held is passed over;
// where all are, that is the error.
func (r removal[R]) all(ctx context.Context, a *app, sources []pipeline.Source, dryRun bool) (done []R, held int, err error) {
	for _, s := range sources {
		var one R
		a.term.during(func() string { return r.verb + " " + s.Name }, func() { one, err = r.do(ctx, s, dryRun) })
		switch {
		case errors.Is(err, state.ErrHeld) && len(sources) > 1:
			a.log.Warn("source is held by another run", "source", s.Name, "error", err.Error())
			held++
		case err != nil:
			return done, held, err
		default:
			done = append(done, one)
		}
	}
	if held == len(sources) {
		return nil, held, &exitError{code: exitHeld, err: errors.New("every source is held by another run"), hint: "nothing was changed; wait until it is done, and call again"}
	}
	if r.last != nil && held == 0 {
		one, err := r.last(ctx, dryRun)
		if err != nil {
			return done, held, err
		}
		done = append(done, one)
	}
	return done, held, nil
}

// remover makes what prune and erase work with.
func (a *app) remover(ctx context.Context, f removeFlags) (*config.Config, *pipeline.Pipeline, []pipeline.Source, error) {
	c, err := a.config(ctx, withSecrets)
	if err != nil {
		return nil, nil, nil, err
	}
	named, err := sourcesOf(c, f.sources)
	if err != nil {
		return nil, nil, nil, err
	}
	b := a.builder(c)
	p, err := b.pipeline(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	sources := make([]pipeline.Source, len(named))
	for i, s := range named {
		sources[i] = b.pipelineSource(ctx, s)
	}
	return c, p, sources, nil
}

func (a *app) prune(ctx context.Context, f removeFlags) error {
	c, p, sources, err := a.remover(ctx, f)
	if err != nil {
		return err
	}
	o, err := a.pruneOptions(c, f)
	if err != nil {
		return err
	}
	return remove(ctx, a, f, sources, removal[pipeline.PruneReport]{
		verb: "pruning",
		do: func(ctx context.Context, s pipeline.Source, dryRun bool) (pipeline.PruneReport, error) {
			o := o
			o.DryRun = dryRun
			return p.Prune(ctx, s, o)
		},
		print: a.printPruned,
		empty: func(all []pipeline.PruneReport) bool {
			var n int64
			for _, r := range all {
				n += r.Segments + r.Objects
			}
			return n == 0
		},
	})
}

func (a *app) pruneOptions(c *config.Config, f removeFlags) (pipeline.PruneOptions, error) {
	var o pipeline.PruneOptions
	var why []string
	if span := c.Retention.Raw; span > 0 {
		o.RawBefore = a.Now().Add(-span).UTC()
		why = append(why, "raw "+config.FormatSpan(span))
	}
	if span := c.Retention.Lake; span > 0 {
		// Whole days: those of the lake's folders.
		o.LakeBefore = a.Now().Add(-span).UTC().Truncate(24 * time.Hour)
		why = append(why, "lake "+config.FormatSpan(span))
	}
	if len(why) == 0 {
		return o, usage("write retention: {raw: 400d, lake: 730d} with spans of your own", "%s names no retention, so nothing is ever too old", c.File)
	}
	o.Reason = cmp.Or(f.reason, "retention: "+strings.Join(why, ", "))
	return o, nil
}

func (a *app) printPruned(all []pipeline.PruneReport) error {
	rows := [][]string{{"SOURCE", "SEGMENTS", "RECORDS", "OBJECTS", "ROWS", ""}}
	for _, r := range all {
		rows = append(rows, []string{r.Source, count(r.Segments), count(r.Records), count(r.Objects), count(r.Rows), r.Kept})
	}
	return a.printTable(rows)
}

func (a *app) erase(ctx context.Context, f removeFlags) error {
	if len(f.users) == 0 {
		return usage("add --user with an id, a user name or an e-mail address", "erase needs to know whom")
	}
	c, p, sources, err := a.remover(ctx, f)
	if err != nil {
		return err
	}
	o := pipeline.EraseOptions{Names: f.users, Key: subjectKey(c), Reason: cmp.Or(f.reason, "erasure request")}
	return remove(ctx, a, f, sources, removal[pipeline.EraseReport]{
		verb: "erasing from",
		last: derivedEraser(p, o, f),
		do: func(ctx context.Context, s pipeline.Source, dryRun bool) (pipeline.EraseReport, error) {
			o := o
			o.DryRun = dryRun
			return p.Erase(ctx, s, o)
		},
		print: a.printErased,
		empty: func(all []pipeline.EraseReport) bool {
			var n int64
			for _, r := range all {
				n += r.Records + r.Flushes
			}
			return n == 0
		},
	})
}

// derivedTables stand, in a report of what was erased, beside the sources.
const derivedTables = "persons, drift"

// derivedEraser takes a person out of the tables that comparisons wrote. Where
// only some sources are named, the person stays known by the others.
func derivedEraser(p *pipeline.Pipeline, o pipeline.EraseOptions, f removeFlags) func(context.Context, bool) (pipeline.EraseReport, error) {
	if len(f.sources) > 0 {
		return nil
	}
	return func(ctx context.Context, dryRun bool) (pipeline.EraseReport, error) {
		o.DryRun = dryRun
		rows, _, err := p.EraseTables(ctx, o)
		return pipeline.EraseReport{Source: derivedTables, Records: rows}, err
	}
}

// subjectKey makes the marks of persons that notes bear. With a signing key, a
// person has the same mark each time; without one, a mark leads nowhere at all.
func subjectKey(c *config.Config) []byte {
	if c.SigningKey.Empty() {
		return []byte(rand.Text())
	}
	mac := hmac.New(sha256.New, []byte(c.SigningKey.Reveal()))
	_, _ = mac.Write([]byte("idtrail: whom an erasure was for")) // never fails
	return mac.Sum(nil)
}

func (a *app) printErased(all []pipeline.EraseReport) error {
	rows := [][]string{{"SOURCE", "SEGMENTS", "RECORDS"}}
	// What of the lake is made again is known when it was.
	again := slices.ContainsFunc(all, func(r pipeline.EraseReport) bool { return r.Flushes+r.Gone > 0 })
	if again {
		rows[0] = append(rows[0], "FLUSHES", "")
	}
	subject := ""
	for _, r := range all {
		row := []string{r.Source, count(r.Segments), count(r.Records)}
		if again {
			row = append(row, count(r.Flushes), goneNote(r.Gone))
		}
		rows = append(rows, row)
		subject = cmp.Or(r.Subject, subject)
	}
	if err := a.printTable(rows); err != nil {
		return err
	}
	return a.printf("\nIn notes the person is %s\n", subject)
}

// goneNote says what could not be made again.
func goneNote(flushes int64) string {
	if flushes == 0 {
		return ""
	}
	return count(flushes) + " flushes of pruned segments may still hold rows: see idtrail find"
}

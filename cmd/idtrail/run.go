package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/idtrail/idtrail/internal/config"
	"github.com/idtrail/idtrail/internal/people"
	"github.com/idtrail/idtrail/internal/pipeline"
)

// runResult is what run --json prints.
type runResult struct {
	pipeline.Report
	Reconciled []pipeline.ReconcileReport `json:"reconciled,omitempty"`
	// Holders are who holds the sources that this run could not have, as far as
	// the state says.
	Holders map[string]string `json:"holders,omitempty"`
}

func (a *app) runCommand() *cobra.Command {
	var strict bool
	cmd := &cobra.Command{
		Use:   "run [job]...",
		Short: "Extract, land, deliver and reconcile, once",
		Long: `Run reads every source of the jobs named, or of all jobs, from where the last
run stopped; lands what it reads; gives every sink what is due; and reconciles
users where a job says so. What fails of one source or sink stops no other.

It may be killed at any time: the next run goes on where it was.

` + exitHelp,
		Example: `  idtrail run
  idtrail run nightly --strict
  idtrail run --json -c s3://acme-config/idtrail.yaml`,
		RunE: func(cmd *cobra.Command, jobs []string) error { return a.run(cmd.Context(), jobs, strict) },
	}
	cmd.Flags().BoolVar(&strict, "strict", false, "exit with 3 if a record could not be mapped, or a receiver refused an event")
	return cmd
}

func (a *app) run(ctx context.Context, names []string, strict bool) error {
	c, err := a.config(ctx, withSecrets)
	if err != nil {
		return err
	}
	job, err := jobOf(c, names)
	if err != nil {
		return err
	}
	job.Strict = job.Strict || strict
	res, err := a.runJob(ctx, a.builder(c), job)
	if err != nil {
		return err
	}
	return a.conclude(ctx, res, job.Strict)
}

// jobOf joins the jobs named, or all of them, to one.
func jobOf(c *config.Config, names []string) (config.Job, error) {
	all := config.Job{}
	if len(names) == 0 {
		names = jobNames(c)
	}
	for _, name := range names {
		j, ok := c.Job(name)
		if !ok {
			return all, usage("jobs of "+c.File+": "+strings.Join(jobNames(c), ", "), "there is no job %s", printable(name))
		}
		for _, s := range j.Sources {
			if !slices.Contains(all.Sources, s) {
				all.Sources = append(all.Sources, s)
			}
		}
		all.Reconcile = all.Reconcile || j.Reconcile
		all.Strict = all.Strict || j.Strict
	}
	return all, nil
}

func jobNames(c *config.Config) []string {
	names := make([]string, len(c.Jobs))
	for i, j := range c.Jobs {
		names[i] = j.Name
	}
	return names
}

// runJob runs a job through, and shows how it gets on.
func (a *app) runJob(ctx context.Context, b *builder, job config.Job) (runResult, error) {
	p, err := b.pipeline(ctx)
	if err != nil {
		return runResult{}, err
	}
	var sources []pipeline.Source
	for _, s := range b.config.Sources {
		if slices.Contains(job.Sources, s.Name) {
			sources = append(sources, b.pipelineSource(ctx, s))
		}
	}
	persons := a.labelPersons(ctx, b, p)
	a.log.Info("run begins", "sources", len(sources), "config", b.config.File)
	show := newRunProgress(sources, a.Now)
	p.Progress = show.update
	var res runResult
	a.term.during(show.line, func() {
		res.Report = b.turns.run(ctx, p, sources)
		if job.Reconcile && ctx.Err() == nil {
			show.do("reconciling")
			// Without a turn the run was told to stop, and says so.
			_ = b.turns.during(ctx, reconciling, func() { res.Reconciled = p.Reconcile(ctx, b.pairs(ctx)) })
		}
	})
	res.Ended = a.Now().UTC()
	if err := persons.Close(); err != nil {
		a.log.Warn("not all events were labelled with their persons", failureOf(err)...)
	}
	res.Holders = holders(ctx, p, res)
	a.logFailures(res)
	a.reportHealth(ctx, p, res)
	a.log.Info("run ends", "sources", len(sources), "took", res.Ended.Sub(res.Started).Round(time.Millisecond).String())
	return res, nil
}

// holders asks the state who holds what this run could not have.
func holders(ctx context.Context, p *pipeline.Pipeline, res runResult) map[string]string {
	by := map[string]string{}
	for _, s := range res.Sources {
		if !s.Held {
			continue
		}
		if shown, err := p.State.Show(ctx, s.Source); err == nil && shown.Holding != nil && !shown.Holding.Released {
			by[s.Source] = shown.Holding.String()
		}
	}
	return by
}

// labelPersons has events that are sent labelled with whom they are about, as
// far as the lake knows. It is to be closed after the run; nil where there is
// nobody to tell, or nothing known.
func (a *app) labelPersons(ctx context.Context, b *builder, p *pipeline.Pipeline) *people.Index {
	if !slices.ContainsFunc(b.config.Sinks, func(s config.Sink) bool { return s.Stream != nil }) {
		return nil
	}
	persons, err := people.Open(ctx, p.Lake, b.config.Limits.TempDir)
	if err != nil {
		a.log.Warn("events are not labelled with their persons", failureOf(err)...)
		return nil
	}
	p.Label = persons.Label
	return persons
}

// pairs are the comparisons of the config.
func (b *builder) pairs(ctx context.Context) []pipeline.Reconcile {
	pairs := make([]pipeline.Reconcile, len(b.config.Reconcile))
	for i, r := range b.config.Reconcile {
		left, _ := b.config.Source(r.Left) // both are there: the config was checked
		right, _ := b.config.Source(r.Right)
		pairs[i] = pipeline.Reconcile{
			Left: b.pipelineSource(ctx, left), Right: b.pipelineSource(ctx, right), Options: b.reconcileOptions(r),
		}
	}
	return pairs
}

// logFailures logs each failure, once.
func (a *app) logFailures(res runResult) {
	for _, s := range res.Sources {
		a.logSource(s, res.Holders[s.Source])
	}
	for _, r := range res.Reconciled {
		if r.Err != nil {
			a.log.Error("reconcile failed", failureOf(r.Err, "left", r.Left, "right", r.Right)...)
		}
		if r.Waiting != "" {
			a.log.Warn("nothing to reconcile yet", "left", r.Left, "right", r.Right, "reason", r.Waiting)
		}
	}
}

func (a *app) logSource(s pipeline.SourceReport, holder string) {
	switch {
	case errors.Is(s.Err, context.Canceled):
		a.log.Info("source stopped", "source", s.Source)
	case s.Err != nil:
		a.log.Error("source failed", failureOf(s.Err, "source", s.Source)...)
	}
	if s.Held { // as it should be where a run takes longer than it is due again
		a.log.Info("source is held by another run", "source", s.Source, "holder", cmp.Or(holder, "a process of this machine"))
	}
	if s.Gaps > 0 {
		a.log.Warn("records were lost before they could be read; see idtrail status", "source", s.Source, "gaps", s.Gaps)
	}
	if n := rejectedIn(s); n > 0 {
		a.log.Warn("records could not be mapped; see idtrail status", "source", s.Source, "records", n)
	}
	for _, k := range s.Sinks {
		if k.Err != nil && !errors.Is(k.Err, context.Canceled) {
			a.log.Error("sink failed", failureOf(k.Err, "source", s.Source, "sink", k.Sink)...)
		}
		if n := refusedIn(k); n > 0 {
			a.log.Warn("events were refused by the receiver; see idtrail status", "source", s.Source, "sink", k.Sink, "events", n)
		}
	}
}

// healthTimeout bounds how long a run's end waits for receivers of its health.
const healthTimeout = 30 * time.Second

// reportHealth tells the sinks that show it how the run went. That it could not
// be told is no failure of the run.
func (a *app) reportHealth(ctx context.Context, p *pipeline.Pipeline, res runResult) {
	if ctx.Err() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	if err := p.ReportHealth(ctx, res.Report, res.Reconciled); err != nil {
		a.log.Warn("the run's health was not reported", failureOf(err)...)
	}
}

// failureOf are the attributes of a failure: whose, what, and what to do.
func failureOf(err error, whose ...any) []any {
	whose = append(whose, "error", err.Error())
	if hint := hintOf(err); hint != "" {
		whose = append(whose, "hint", hint)
	}
	return whose
}

// conclude prints what was done and says how it ended.
func (a *app) conclude(ctx context.Context, res runResult, strict bool) error {
	var err error
	if a.json {
		err = a.printJSON(res)
	} else {
		err = a.printRun(res)
	}
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return errInterrupted
	default:
		return verdict(res, strict)
	}
}

// verdict turns a run's reports into the exit code. What failed was logged.
func verdict(res runResult, strict bool) error {
	n := len(res.Sources)
	failed := countSources(res, func(s pipeline.SourceReport) bool { return s.Err != nil })
	held := countSources(res, func(s pipeline.SourceReport) bool { return s.Held })
	switch {
	case held == n && n > 0:
		return exitQuietly(exitHeld, "every source is held by another run")
	case failed == n && n > 0:
		return exitQuietly(exitFailed, "every source failed")
	}
	if wrong := partly(res, failed, strict); len(wrong) > 0 {
		return exitQuietly(exitPartly, strings.Join(wrong, "; "))
	}
	return nil
}

// partly says in which ways a run that did something is not whole.
func partly(res runResult, failed int, strict bool) []string {
	var wrong []string
	if failed > 0 {
		wrong = append(wrong, fmt.Sprintf("%d of %d sources failed", failed, len(res.Sources)))
	}
	sinks := countSources(res, func(s pipeline.SourceReport) bool { return s.Err == nil && s.Failed() })
	if sinks > 0 {
		wrong = append(wrong, "a sink failed of "+many(int64(sinks), "source"))
	}
	var gaps int64
	for _, s := range res.Sources {
		gaps += s.Gaps
	}
	if gaps > 0 {
		wrong = append(wrong, many(gaps, "gap")+" declared")
	}
	if slices.ContainsFunc(res.Reconciled, func(r pipeline.ReconcileReport) bool { return r.Err != nil }) {
		wrong = append(wrong, "reconcile failed")
	}
	if !strict {
		return wrong
	}
	if n := rejectedBy(res); n > 0 {
		wrong = append(wrong, many(n, "record")+" could not be mapped")
	}
	if n := refusedBy(res); n > 0 {
		wrong = append(wrong, many(n, "event")+" refused by a receiver")
	}
	return wrong
}

func countSources(res runResult, is func(pipeline.SourceReport) bool) int {
	n := 0
	for _, s := range res.Sources {
		if is(s) {
			n++
		}
	}
	return n
}

// rejectedBy counts the records that this run could not map.
func rejectedBy(res runResult) int64 {
	var n int64
	for _, s := range res.Sources {
		n += rejectedIn(s)
	}
	return n
}

// rejectedIn counts those of one source, once, however many sinks it has.
func rejectedIn(s pipeline.SourceReport) int64 {
	var n int64
	for _, k := range s.Sinks {
		n = max(n, k.Rejected)
	}
	return n
}

func (a *app) printRun(res runResult) error {
	landed := [][]string{{"SOURCE", "READ", "LANDED", "REPEATED", "FILTERED", "GAPS", ""}}
	delivered := [][]string{{"SOURCE", "SINK", "RECORDS", "REJECTED", "EVENTS", "USERS", "SETTINGS", "PENDING", ""}}
	sent := [][]string{{"SOURCE", "SINK", "EVENTS", "ACCEPTED", "FILTERED", "REFUSED", "PENDING", ""}}
	for _, s := range res.Sources {
		landed = append(landed, []string{s.Source, count(s.Read), count(s.Landed), count(s.Repeated), count(s.Filtered), count(s.Gaps), sourceNote(s)})
		for _, k := range s.Sinks {
			if k.Notices != nil {
				sent = append(sent, sentRow(s.Source, runTally(k), a.Now()))
				continue
			}
			note := ""
			if k.Err != nil {
				note = "failed"
			}
			delivered = append(delivered, []string{s.Source, k.Sink, count(k.Records), count(k.Rejected), count(k.Events), count(k.Users), count(k.Settings), count(k.Pending.Records), note})
		}
	}
	if err := a.printTables(landed, delivered, sent); err != nil {
		return err
	}
	for _, r := range res.Reconciled {
		if err := a.printf("\n%s\n", reconciledLine(r)); err != nil {
			return err
		}
	}
	return nil
}

// sourceNote says what a run's counts of a source do not.
func sourceNote(s pipeline.SourceReport) string {
	switch {
	case s.Held:
		return "held by another run"
	case errors.Is(s.Err, context.Canceled):
		return "stopped"
	case s.Err != nil:
		return "failed"
	default:
		return ""
	}
}

func reconciledLine(r pipeline.ReconcileReport) string {
	pair := r.Left + " and " + r.Right + ": "
	switch {
	case r.Err != nil:
		return pair + "not reconciled, failed"
	case r.Summary == nil:
		return pair + "nothing to reconcile yet"
	default:
		return pair + many(r.Summary.Linked, "pair") + " linked, " + many(r.Summary.Findings, "finding") + "; see them with: idtrail reconcile report"
	}
}

// many writes a number of things; the plural is the regular one.
func many(n int64, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return count(n) + " " + thing
}

// count writes a number with a comma every three digits.
func count(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// runProgress is the stage each source is in, as one line.
type runProgress struct {
	begun time.Time
	now   func() time.Time

	mu     sync.Mutex
	order  []string
	stages map[string]pipeline.Progress
	// doing stands in place of the stages where it is set.
	doing string
}

func newRunProgress(sources []pipeline.Source, now func() time.Time) *runProgress {
	r := &runProgress{begun: now(), now: now, stages: map[string]pipeline.Progress{}}
	for _, s := range sources {
		r.order = append(r.order, s.Name)
	}
	return r
}

func (r *runProgress) update(p pipeline.Progress) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stages[p.Source] = p
}

func (r *runProgress) do(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.doing = what
}

func (r *runProgress) line() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	parts := []string{r.now().Sub(r.begun).Round(time.Second).String()}
	if r.doing != "" {
		return parts[0] + " · " + r.doing
	}
	for _, name := range r.order {
		s, begun := r.stages[name]
		switch {
		case !begun:
			parts = append(parts, name+": nothing yet")
		case s.Stage == pipeline.StageLand:
			parts = append(parts, fmt.Sprintf("%s: %s landed", name, count(s.Records)))
		default:
			parts = append(parts, fmt.Sprintf("%s: %s to %s", name, count(s.Records), s.Stage))
		}
	}
	return strings.Join(parts, " · ")
}

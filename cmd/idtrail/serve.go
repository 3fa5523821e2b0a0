package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // schedules have zones, and a small container has no zone data

	"github.com/spf13/cobra"

	"github.com/idtrail/idtrail/internal/config"
	"github.com/idtrail/idtrail/internal/serve"
)

func (a *app) serveCommand() *cobra.Command {
	var printOnly bool
	var listen string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the jobs on their schedules, as a service",
		Long: `Serve does what run does, for each job of the config when its schedule says so.
A job without a schedule is never run. One that still runs when it is due again
is not run twice: that time is skipped, logged and counted. Jobs that share a
source read it one after the other.

Schedules are cron's five fields, in the time zone of the config (timezone) or
their own. Where clocks change, a job of every hour goes by the time that
passes; one of certain hours runs once for each time on the clock: at the jump
if its time is left out, and the first time only if it comes twice.

It answers at the address of the config (serve.listen):
  /livez    200 as long as it is there: for a restart
  /healthz  200 if each job ended done, partly done, or held by another process,
            before it was due twice more and 5 minutes over; else 503, and which
            is late, as JSON: for an alarm
  /metrics  counts for Prometheus
There is nothing secret and nobody's data in it, and no password before it.

The config is read once: restart to change it. Secrets are read anew when a
source or sink has failed, since they may have been replaced.

On SIGTERM nothing new starts, and what runs ends in good order within 20 s;
then the exit code is 0, and 130 if something had to be left where it was,
which the next start takes up.

` + exitHelp,
		Example: `  idtrail serve
  idtrail serve --listen :9090
  idtrail serve --print-schedules      the same for EventBridge Scheduler`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if printOnly {
				return a.printSchedules(cmd.Context())
			}
			return a.serve(cmd.Context(), listen)
		},
	}
	cmd.Flags().BoolVar(&printOnly, "print-schedules", false, "print each job's schedule as expressions for Amazon EventBridge Scheduler, and end")
	cmd.Flags().StringVar(&listen, "listen", "", "answer at this `address` in place of the config's: host:port, or off")
	return cmd
}

func (a *app) serve(ctx context.Context, listen string) error {
	c, err := a.config(ctx, withSecrets)
	if err != nil {
		return err
	}
	schedules, err := schedulesOf(c)
	if err != nil {
		return err
	}
	defer a.startTelemetry(ctx)()
	b := a.builder(c)
	b.turns, b.kept = newTurns(c, a.Now), newKeptSources()
	renewed := &renewal{fetch: vaults, b: b}
	metrics := serve.NewMetrics(readVersions().Version)
	o := serve.Options{Metrics: metrics, Log: a.log, Now: a.Now}
	for _, j := range c.Jobs {
		schedule, ok := schedules[j.Name]
		if !ok {
			a.log.Warn("job has no schedule and is never run", "job", j.Name)
			continue
		}
		o.Jobs = append(o.Jobs, serve.Job{Name: j.Name, Schedule: schedule, Run: func(ctx context.Context) serve.Result {
			return a.serveJob(ctx, renewed, j, metrics)
		}})
	}
	if listen == "" {
		listen = c.Serve.Listen
	}
	listener, err := a.listen(ctx, listen)
	if err != nil {
		return err
	}
	a.term.silence() // the jobs would write over each other's lines
	a.log.Info("service begins; the config is read once, restart to change it", "config", c.File, "jobs", len(o.Jobs))
	err = serve.New(o).Run(ctx, listener)
	a.log.Info("service ends")
	if errors.Is(err, serve.ErrAbandoned) {
		return &exitError{code: exitInterrupted, err: err, hint: errInterrupted.hint}
	}
	return err
}

// schedulesOf reads the schedules of all jobs that have one; there is to be one.
func schedulesOf(c *config.Config) (map[string]serve.Schedule, error) {
	zone, err := time.LoadLocation(c.Timezone)
	if err != nil {
		return nil, fmt.Errorf("read timezone: %w", err)
	}
	schedules := map[string]serve.Schedule{}
	for _, j := range c.Jobs {
		if j.Schedule == "" {
			continue
		}
		if schedules[j.Name], err = serve.ParseSchedule(j.Schedule, zone); err != nil {
			return nil, fmt.Errorf("job %s: %w", j.Name, err)
		}
	}
	if len(schedules) == 0 {
		return nil, usage(`give one: jobs: {audit: {sources: […], schedule: "*/5 * * * *"}}; or call idtrail run from cron`,
			"no job of %s has a schedule", c.File)
	}
	return schedules, nil
}

// listen opens the address of the service; nil for off.
func (a *app) listen(ctx context.Context, address string) (net.Listener, error) {
	if address == config.ListenOff {
		return nil, nil
	}
	var l net.ListenConfig
	listener, err := l.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, withHint(fmt.Errorf("listen at %s: %w", address, err),
			"is it taken by another program? set another with serve.listen or --listen, or off")
	}
	a.log.Info("listening", "address", listener.Addr().String())
	return listener, nil
}

// serveJob runs a job once, and logs what failed.
func (a *app) serveJob(ctx context.Context, r *renewal, job config.Job, m *serve.Metrics) serve.Result {
	b := r.builder(ctx)
	res, err := a.runJob(ctx, b, task{Job: job, parts: []config.Job{job}})
	r.saw(res.Report, err)
	if err != nil {
		a.log.Error("job failed", failureOf(err, "job", job.Name)...)
		return serve.Failed
	}
	b.kept.drop(res.Report)
	m.Observe(res.Report, res.Reconciled)
	if ctx.Err() != nil {
		return serve.Interrupted
	}
	return a.judge(job, res)
}

// judge says how a run ended, and warns of one that was not done whole. One that
// another process does is no fault, and comes up at every turn.
func (a *app) judge(job config.Job, res runResult) serve.Result {
	err := verdict(res, job.Strict)
	result := resultOf(err)
	if err != nil && result != serve.Held {
		a.log.Warn("job is not done whole", "job", job.Name, "reason", err.Error())
	}
	return result
}

// resultOf is how a run ended whose verdict this is.
func resultOf(verdict error) serve.Result {
	switch exitCode(verdict) {
	case exitDone:
		return serve.Done
	case exitPartly:
		return serve.Partly
	case exitHeld:
		return serve.Held
	case exitInterrupted:
		return serve.Interrupted
	default:
		return serve.Failed
	}
}

// printedSchedule is a job's schedule for another scheduler.
type printedSchedule struct {
	Job      string   `json:"job"`
	Schedule string   `json:"schedule,omitempty"`
	Timezone string   `json:"timezone,omitempty"`
	Next     string   `json:"next,omitempty"`
	Exprs    []string `json:"eventbridge,omitempty"`
	Args     []string `json:"args,omitempty"` // what the other scheduler calls idtrail with
	Note     string   `json:"note,omitempty"`
}

func (a *app) printSchedules(ctx context.Context) error {
	c, err := a.config(ctx, noSecrets)
	if err != nil {
		return err
	}
	schedules, err := schedulesOf(c)
	if err != nil {
		return err
	}
	var all []printedSchedule
	rows := [][]string{{"JOB", "SCHEDULE", "TIMEZONE", "NEXT", "EVENTBRIDGE", ""}}
	for _, j := range c.Jobs {
		p := printedSchedule{Job: j.Name, Note: "no schedule: never run"}
		if s, ok := schedules[j.Name]; ok {
			p = a.printedOf(j, s)
		}
		all = append(all, p)
		rows = append(rows, []string{p.Job, p.Schedule, p.Timezone, p.Next, strings.Join(p.Exprs, " and "), p.Note})
	}
	if a.json {
		return a.printJSON(all)
	}
	return a.printTable(rows)
}

func (a *app) printedOf(j config.Job, s serve.Schedule) printedSchedule {
	p := printedSchedule{
		Job: j.Name, Args: []string{"run", j.Name}, Schedule: j.Schedule, Timezone: s.Zone().String(), Next: s.Next(a.Now()).In(s.Zone()).Format(time.RFC3339),
	}
	var err error
	switch p.Exprs, err = s.EventBridge(); {
	case err != nil:
		p.Note = err.Error()
	case len(p.Exprs) > 1:
		p.Note = "takes two schedules: EventBridge knows either days of the month or of the week"
	}
	if at := s.LeftOut(a.Now()); err == nil && !at.IsZero() {
		note := "left out when clocks are put forward, on " + at.In(s.Zone()).Format(time.DateOnly) + ": choose another hour"
		p.Note = strings.Join(slices.DeleteFunc([]string{p.Note, note}, func(n string) bool { return n == "" }), "; ")
	}
	return p
}

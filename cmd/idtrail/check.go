package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/config"
	"github.com/idtrail/idtrail/internal/notify"
	"github.com/idtrail/idtrail/internal/policy"
	"github.com/idtrail/idtrail/load"
)

// checkTimeout bounds the check of one part.
const checkTimeout = 2 * time.Minute

// How a check ended.
const (
	checkOK      = "ok"
	checkWarning = "warning" // runs, but look at it
	checkFailed  = "failed"
)

// checked is one line of a check.
type checked struct {
	// Part is config, state, state_cache, temp, raw, lake, manifests, tables, keys,
	// source, sink, notify or forecast; Name which one.
	Part  string `json:"part"`
	Name  string `json:"name,omitempty"`
	State string `json:"state"`
	What  string `json:"what"`
	Hint  string `json:"hint,omitempty"`
	// Missing are the rights for want of which it is not ok.
	Missing []missing `json:"missing,omitempty"`
	// Forecast is what a first run takes.
	Forecast *forecast `json:"forecast,omitempty"`
}

// checkResult is what check --json prints.
type checkResult struct {
	OK     bool      `json:"ok"`
	Config string    `json:"config"`
	Checks []checked `json:"checks"`
	// Missing is all that is missing, put together: what to add to the policy of
	// each role, and the scopes of each tenant.
	Missing missingRights `json:"missing"`
}

// checker collects the lines of one check.
type checker struct {
	a     *app
	b     *builder
	write bool
	// tell says that a test message is sent to everybody who is told of troubles.
	tell  bool
	lines []checked
	doing atomic.Value // what is checked now, a string
	// plan is what the config needs, and role and tenant are what is checked now goes
	// by, to name what is missing.
	plan         *policy.Plan
	role, tenant string
	forecasts    []forecast
}

// line is the line of progress.
func (k *checker) line() string {
	doing, _ := k.doing.Load().(string)
	return "checking " + doing
}

func (a *app) checkCommand() *cobra.Command {
	var f checkFlags
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Try everything the config names",
		Long: `Check reads the config and tries what it names: the places to write to, and the
credentials, rights and reach of every source and sink, with a few cheap calls.
It looks for what lies in the lake and in no table's partitions. It writes
nothing, and tells nobody, unless told to.

What is missing is named: the action and resource in IAM with the statement to
add, the scope in Auth0. Nothing that fails keeps it from checking the rest. At
the end it says what the first run takes: calls, time, bytes, and what AWS and
receivers charge for.

It exits with 1 if something cannot work, and with 2 if the config is wrong or a
secret of it cannot be read.`,
		Example: `  idtrail check
  idtrail check --write            also write a small object in each place
  idtrail check --athena idtrail   are the tables of this database up to date?
  idtrail check --notify           also send a test message to all in notify
  idtrail check --json | jq .missing
  idtrail check --json -c /etc/idtrail/idtrail.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.check(cmd.Context(), f) },
	}
	cmd.Flags().BoolVar(&f.write, "write", false, "also write, read and remove a small object of our own in each place")
	cmd.Flags().BoolVar(&f.tell, "notify", false, "also send a test message to everybody who is told of troubles")
	cmd.Flags().StringVar(&f.database, "athena", "", "also hold config and lake against the tables of this `database` of Glue")
	return cmd
}

type checkFlags struct {
	write    bool
	tell     bool
	database string
}

func (a *app) check(ctx context.Context, f checkFlags) error {
	if f.database != "" && !databaseName.MatchString(f.database) {
		return usage("write lower-case letters, digits and _", "--athena %q is no name for a database", f.database)
	}
	c, err := a.configForCheck(ctx)
	if err != nil {
		return err
	}
	plan, err := policy.New(c, policy.Options{ConfigURL: c.File})
	if err != nil {
		return err
	}
	k := &checker{a: a, b: a.builder(c), write: f.write, tell: f.tell, plan: plan}
	a.term.during(k.line, func() { k.all(ctx, c, f.database) })
	if ctx.Err() != nil {
		return errInterrupted
	}
	return k.finish(c)
}

// finish shows what was found, and says how the check ends.
func (k *checker) finish(c *config.Config) (err error) {
	failed := 0
	for _, line := range k.lines {
		if line.State == checkFailed {
			failed++
		}
	}
	if k.a.json {
		err = k.a.printJSON(checkResult{OK: failed == 0, Config: c.File, Checks: k.lines, Missing: k.missing()})
	} else {
		err = errors.Join(k.print(), k.printMissing())
	}
	switch {
	case err != nil:
		return err
	case c.Unread != nil:
		return unreadError(c.Unread)
	case failed > 0:
		return exitQuietly(exitFailed, many(int64(failed), "check")+" failed")
	default:
		return nil
	}
}

func (k *checker) print() error {
	rows := make([][]string, len(k.lines))
	for i, l := range k.lines {
		what := l.What
		if l.Hint != "" {
			what += ": " + l.Hint
		}
		rows[i] = []string{l.State, strings.TrimSpace(l.Part + " " + l.Name), what}
	}
	return k.a.printTable(rows)
}

func (k *checker) all(ctx context.Context, c *config.Config, database string) {
	k.add(checked{Part: "config", State: checkOK, What: c.File})
	for _, w := range c.Warnings {
		k.add(checked{Part: "config", State: checkWarning, What: fmt.Sprintf("line %d: %s: %s", w.Line, w.Key, w.Message), Hint: w.Hint})
	}
	k.unread(c)
	k.state(ctx, c)
	k.directory("temp", c.Limits.TempDir)
	k.store(ctx, "raw", c.Raw)
	lake := k.store(ctx, "lake", c.Lake)
	if c.Manifests.URL != c.Lake.URL || c.Manifests.Lock != (config.Lock{}) {
		k.store(ctx, "manifests", c.Manifests)
	}
	k.tables(ctx, c, lake, database)
	if k.readable("keys", "", "signing_key") {
		k.keys(c)
	}
	k.outwards(ctx, c, lake)
	k.total(c)
}

// outwards checks what is asked, sent to and told.
func (k *checker) outwards(ctx context.Context, c *config.Config, lake blob.Store) {
	for i, s := range c.Sinks {
		if (s.Stream != nil || lake != nil) && k.readable("sink", s.Name, fmt.Sprintf("sinks[%d]", i)) {
			k.sink(ctx, s, lake)
		}
	}
	for _, s := range c.Sources {
		if k.readable("source", s.Name, "connections."+connectionOf(s)) {
			k.source(ctx, s)
		}
	}
	for i, n := range c.Notify {
		if k.readable("notify", n.Name, fmt.Sprintf("notify[%d]", i)) {
			k.target(ctx, n)
		}
	}
}

func (k *checker) add(line checked) {
	k.lines = append(k.lines, line)
}

// failed adds a line for an error; its words say what to do.
func (k *checker) failed(part, name string, err error) {
	k.add(checked{Part: part, Name: name, State: checkFailed, What: err.Error(), Hint: hintOf(err), Missing: k.missingOf(err)})
}

// warned adds a line for what is not as it should be, and does no harm.
func (k *checker) warned(part, name string, err error, hint string) {
	k.add(checked{Part: part, Name: name, State: checkWarning, What: err.Error(), Hint: hint, Missing: k.missingOf(err)})
}

// keys checks what notes are signed with, and that somebody can tell.
func (k *checker) keys(c *config.Config) {
	if c.SigningKey.Empty() {
		if len(c.VerifyKeys) > 0 {
			k.add(checked{Part: "keys", State: checkWarning, What: "there are verify_keys and no signing_key: the notes of a run are not signed", Hint: "make a key with idtrail keygen"})
		}
		return
	}
	if _, _, err := signingKeys(c); err != nil {
		k.failed("keys", "", err)
		return
	}
	public, err := publicHalf(c.SigningKey.Reveal())
	if err != nil {
		k.failed("keys", "", err)
		return
	}
	if len(c.VerifyKeys) > 0 && !slices.Contains(c.VerifyKeys, public) {
		k.add(checked{Part: "keys", State: checkFailed, What: "what signing_key signs is not in verify_keys: verify would call it signed with a wrong key", Hint: "add " + public})
		return
	}
	k.add(checked{Part: "keys", State: checkOK, What: "notes are signed; they are verified with " + public})
}

func (k *checker) sink(ctx context.Context, s config.Sink, lake blob.Store) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	k.doing.Store("sink " + s.Name)
	k.role, k.tenant = k.b.config.Lake.RoleARN, ""
	sink, err := k.b.sink(s, lake)
	if err != nil {
		k.failed("sink", s.Name, err)
		return
	}
	if c, ok := sink.Sink.(load.Checker); ok {
		switch err := c.Check(ctx, k.write); {
		case errors.Is(err, load.ErrUnproven):
			k.warned("sink", s.Name, err, k.unprovenHint())
		case err != nil:
			k.failed("sink", s.Name, err)
			return
		default:
			k.add(checked{Part: "sink", Name: s.Name, State: checkOK, What: k.tried(s)})
		}
	}
	if s.Stream != nil {
		k.start(s)
	}
}

// unprovenHint is what to do where a sink's check could not prove all.
func (k *checker) unprovenHint() string {
	if k.write {
		return unremovableHint
	}
	return "with --write, check sends something"
}

// tried says what a sink's check has shown.
func (k *checker) tried(s config.Sink) string {
	switch {
	case s.OTLP != nil:
		return "answers"
	case s.Stream != nil:
		return "answers, and takes our key"
	case k.write:
		return "can be written"
	default:
		return "can be read"
	}
}

// start says what a sink that streams gets of a source it is new to.
func (k *checker) start(s config.Sink) {
	what := startWords(s.Stream.Start, k.a.Now())
	k.add(checked{Part: "sink", Name: s.Name, State: checkOK, What: "of a source it is new to it gets " + what})
	if s.Datadog == nil || s.Stream.Start.Now {
		return
	}
	if at := s.Stream.Start.Since.At(k.a.Now()); !s.Stream.Start.Beginning && k.a.Now().Sub(at) <= datadogWindow {
		return
	}
	became := "shown at the time they are sent at, their own in event_time (too_old: restamp)"
	if s.Datadog.TooOld == config.TooOldSkip {
		became = "not sent (too_old: skip)"
	}
	k.add(checked{
		Part: "sink", Name: s.Name, State: checkWarning,
		What: "Datadog takes no event older than 18h at its time: older ones are " + became,
	})
}

func (k *checker) source(ctx context.Context, s config.Source) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	k.doing.Store("source " + s.Name)
	connection := k.b.config.Connections[connectionOf(s)]
	k.role, k.tenant = k.b.awsOptions(connection.Name).RoleARN, ""
	if connection.Auth0 != nil {
		k.role, k.tenant = "", connection.Auth0.Domain
	}
	source, err := k.b.source(ctx, s, nil)
	if err != nil {
		k.failed("source", s.Name, err)
		return
	}
	var findings []extract.Finding
	if c, ok := source.(extract.Checker); ok {
		if findings, err = c.Check(ctx); !k.findings(s.Name, findings, err) {
			return
		}
	}
	k.forecast(s, findings)
}

// findings adds what a source found, and says whether it can run.
func (k *checker) findings(name string, findings []extract.Finding, err error) bool {
	told := false
	for i, f := range findings {
		line := checked{Part: "source", Name: name, State: checkOK, What: f.What, Hint: f.Hint, Missing: k.missingOf(f.Err)}
		if !f.OK {
			line.State = checkWarning
		}
		if !f.OK && err != nil && (i == len(findings)-1 || f.Err != nil && errors.Is(err, f.Err)) {
			// The finding a check stops at is what its error tells of, and so are those
			// with a cause that is part of it.
			line.State, told = checkFailed, true
			if more := hintOf(err); more != "" {
				line.Hint += ": " + more
			}
		}
		k.add(line)
	}
	if err != nil && !told {
		k.failed("source", name, err)
	}
	return err == nil
}

// target sends a test message, if that is asked for.
func (k *checker) target(ctx context.Context, n config.Notify) {
	k.doing.Store("notify " + n.Name)
	sender, err := newSender(n)
	if err == nil && k.tell {
		err = notify.Try(ctx, sender, k.b.config.Lake.URL, k.a.Now())
	}
	switch {
	case err != nil:
		k.failed("notify", n.Name, err)
	case k.tell:
		k.add(checked{Part: "notify", Name: n.Name, State: checkOK, What: "was sent a test message"})
	default:
		k.add(checked{Part: "notify", Name: n.Name, State: checkOK, What: "not tried; check --notify sends it a test message"})
	}
}

// minutes writes seconds as minutes, and from two hours on as hours.
func minutes(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	if d < 2*time.Hour {
		return many(int64(math.Ceil(d.Minutes())), "minute")
	}
	return many(int64(math.Round(d.Hours())), "hour")
}

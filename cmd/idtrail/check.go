package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/config"
	"github.com/idtrail/idtrail/internal/notify"
	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/state"
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
	// source, sink or notify; Name which one.
	Part  string `json:"part"`
	Name  string `json:"name,omitempty"`
	State string `json:"state"`
	What  string `json:"what"`
	Hint  string `json:"hint,omitempty"`
}

// checkResult is what check --json prints.
type checkResult struct {
	OK     bool      `json:"ok"`
	Config string    `json:"config"`
	Checks []checked `json:"checks"`
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

It exits with 1 if something cannot work, and with 2 if the config is wrong.`,
		Example: `  idtrail check
  idtrail check --write            also write a small object in each place
  idtrail check --athena idtrail   are the tables of this database up to date?
  idtrail check --notify           also send a test message to everybody in notify
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
	c, err := a.config(ctx, withSecrets)
	if err != nil {
		return err
	}
	k := &checker{a: a, b: a.builder(c), write: f.write, tell: f.tell}
	a.term.during(k.line, func() { k.all(ctx, c, f.database) })
	if ctx.Err() != nil {
		return errInterrupted
	}
	failed := 0
	for _, line := range k.lines {
		if line.State == checkFailed {
			failed++
		}
	}
	if a.json {
		err = a.printJSON(checkResult{OK: failed == 0, Config: c.File, Checks: k.lines})
	} else {
		err = k.print()
	}
	if err == nil && failed > 0 {
		err = exitQuietly(exitFailed, many(int64(failed), "check")+" failed")
	}
	return err
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
	k.state(ctx, c)
	k.directory("temp", c.Limits.TempDir)
	k.store(ctx, "raw", c.Raw)
	lake := k.store(ctx, "lake", c.Lake)
	if c.Manifests.URL != c.Lake.URL || c.Manifests.Lock != (config.Lock{}) {
		k.store(ctx, "manifests", c.Manifests)
	}
	k.tables(ctx, c, lake, database)
	k.keys(c)
	for _, s := range c.Sinks {
		if s.Stream != nil || lake != nil {
			k.sink(ctx, s, lake)
		}
	}
	for _, s := range c.Sources {
		k.source(ctx, s)
	}
	for _, n := range c.Notify {
		k.target(ctx, n)
	}
}

func (k *checker) add(line checked) {
	k.lines = append(k.lines, line)
}

// failed adds a line for an error; its words say what to do.
func (k *checker) failed(part, name string, err error) {
	k.add(checked{Part: part, Name: name, State: checkFailed, What: err.Error(), Hint: hintOf(err)})
}

// directory checks one that the first run makes, if need be.
func (k *checker) directory(part, dir string) {
	what, err := tryDirectory(dir, k.write)
	if err != nil {
		k.failed(part, "", err)
		return
	}
	k.add(checked{Part: part, State: checkOK, What: dir + " " + what})
}

func tryDirectory(dir string, write bool) (string, error) {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, os.ErrNotExist) && !write:
		return "does not exist yet; the first run makes it", parentExists(dir)
	case errors.Is(err, syscall.ENOTDIR):
		return "", parentExists(dir)
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return "", fmt.Errorf("look at directory: %w", err)
	case err == nil && !info.IsDir():
		return "", fmt.Errorf("%s is a file; name a directory", dir)
	case !write:
		return "exists", nil
	}
	return "can be written", tryWrite(dir)
}

// parentExists looks for a directory that the missing ones can be made in.
func parentExists(dir string) error {
	for parent := filepath.Dir(dir); ; parent = filepath.Dir(parent) {
		info, err := os.Stat(parent)
		switch {
		case err == nil && info.IsDir():
			return nil
		case err == nil:
			return fmt.Errorf("%s cannot be made: %s is a file", dir, parent)
		case !errors.Is(err, os.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) || parent == filepath.Dir(parent):
			return fmt.Errorf("%s cannot be made: %w", dir, err)
		}
	}
}

func tryWrite(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	f, err := os.CreateTemp(dir, ".check-")
	if err != nil {
		return fmt.Errorf("write into directory: %w", err)
	}
	_, err = f.WriteString("idtrail check\n")
	if err := errors.Join(err, f.Sync(), f.Close(), os.Remove(f.Name())); err != nil {
		return fmt.Errorf("write into directory: %w", err)
	}
	return nil
}

// store checks raw or the lake. It returns nil if there is nothing yet to look
// into, or nothing that works.
func (k *checker) store(ctx context.Context, part string, s config.Store) blob.Store {
	if !s.S3() {
		k.directory(part, s.URL)
		if _, err := os.Stat(s.URL); err != nil {
			return nil
		}
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	k.doing.Store(part)
	store, err := k.b.store(ctx, s)
	if err == nil {
		err = k.tryStore(ctx, store, s)
	}
	if err != nil {
		k.failed(part, "", err)
		return nil
	}
	if s.S3() {
		k.add(checked{Part: part, State: checkOK, What: s.URL + " " + k.reached(s)})
	}
	return store
}

func (k *checker) reached(s config.Store) string {
	switch {
	case !k.write:
		return "can be listed"
	case s.Lock.Mode != "":
		return "can be listed, and takes locks; not tried to write, what is locked stays"
	default:
		return "can be listed and written"
	}
}

func (k *checker) tryStore(ctx context.Context, store blob.Store, s config.Store) error {
	for _, err := range store.List(ctx, "", "") {
		if err != nil {
			return err
		}
		break
	}
	if l, ok := store.(interface{ CheckLock(context.Context) error }); ok {
		if err := l.CheckLock(ctx); err != nil {
			return err
		}
	}
	if !k.write || s.Lock.Mode != "" {
		return nil
	}
	// No source's name begins with an underscore: nothing takes it for a segment.
	key := "_check/" + rand.Text()
	if _, err := store.PutNew(ctx, key, strings.NewReader("idtrail check\n")); err != nil {
		return err
	}
	return store.Delete(ctx, key)
}

// state checks where the state is: a directory, or a place in S3 and the
// directory of the copies.
func (k *checker) state(ctx context.Context, c *config.Config) {
	if !c.State.S3() {
		k.directory("state", c.StateDir())
		return
	}
	k.directory("state_cache", c.StateDir())
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	k.doing.Store("state")
	store, err := k.b.store(ctx, c.State)
	if err == nil {
		err = k.tryStore(ctx, store, c.State)
	}
	if err == nil && k.write {
		err = tryLease(ctx, store)
	}
	if err != nil {
		k.failed("state", "", err)
		return
	}
	what := "can be listed"
	if k.write {
		what = "can be listed and written, and replaced only where it is unchanged"
	}
	k.add(checked{Part: "state", State: checkOK, What: c.State.URL + " " + what})
	k.holders(ctx, c)
}

// tryLease proves what a lease stands on: that an object is replaced only where
// it is unchanged, and that the store says what time it is.
func tryLease(ctx context.Context, store blob.Store) (err error) {
	key := "_check/" + rand.Text()
	first, err := store.PutNew(ctx, key, strings.NewReader("idtrail check\n"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Delete(ctx, key)) }()
	if _, err := store.PutMatch(ctx, key, first.ETag, strings.NewReader("idtrail check again\n")); err != nil {
		return err
	}
	if _, err := store.PutMatch(ctx, key, first.ETag, strings.NewReader("too late\n")); !errors.Is(err, blob.ErrChanged) {
		return fmt.Errorf("%s replaces an object that has changed (%w): two runs could hold one source; use a store with conditional writes", store.URL(), errors.Join(errUnconditional, err))
	}
	info, err := store.Head(ctx, key)
	if err == nil && (info.Now.IsZero() || info.Modified.IsZero()) {
		err = fmt.Errorf("%s does not say what time it is, so nobody can tell how old a lease is", store.URL())
	}
	return err
}

var errUnconditional = errors.New("If-Match is not honoured")

// holders says who holds a source now.
func (k *checker) holders(ctx context.Context, c *config.Config) {
	states, err := k.b.states(ctx)
	if err != nil {
		k.failed("state", "", err)
		return
	}
	for _, s := range c.Sources {
		shown, err := states.Show(ctx, s.Name)
		switch {
		case errors.Is(err, state.ErrNone):
		case err != nil:
			k.failed("state", s.Name, err)
		default:
			for _, line := range holdingDetails(shown.Holding) {
				k.add(checked{Part: "state", Name: s.Name, State: checkOK, What: line})
			}
		}
	}
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
	sink, err := k.b.sink(s, lake)
	if err != nil {
		k.failed("sink", s.Name, err)
		return
	}
	if c, ok := sink.Sink.(load.Checker); ok {
		switch err := c.Check(ctx, k.write); {
		case errors.Is(err, load.ErrUnproven):
			k.add(checked{Part: "sink", Name: s.Name, State: checkWarning, What: err.Error(), Hint: "with --write, check sends something"})
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
	source, err := k.b.source(ctx, s, nil)
	if err != nil {
		k.failed("source", s.Name, err)
		return
	}
	if c, ok := source.(extract.Checker); ok {
		if findings, err := c.Check(ctx); !k.findings(s.Name, findings, err) {
			return
		}
	}
	k.forecast(s)
}

// findings adds what a source found, and says whether it can run.
func (k *checker) findings(name string, findings []extract.Finding, err error) bool {
	told := false
	for i, f := range findings {
		line := checked{Part: "source", Name: name, State: checkOK, What: f.What, Hint: f.Hint}
		if !f.OK {
			line.State = checkWarning
		}
		if !f.OK && err != nil && i == len(findings)-1 {
			// The finding a check stops at is what its error tells of.
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

// forecast says what a first run, or a snapshot, would take.
func (k *checker) forecast(s config.Source) {
	if what := forecastOf(s, k.a.Now()); what != "" {
		k.add(checked{Part: "source", Name: s.Name, State: checkOK, What: what})
	}
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

// Package crashtest kills runs of the whole line at every step and checks that
// the runs after them leave raw and lake with every record exactly once, and a
// sink of events with every one at least once, in order: only what was in flight
// may be there twice.
//
// The killed run is a real process, on real SQLite and a real store: the test
// binary starts itself again, and the child sends itself SIGKILL when it comes
// to the step it was told. A step is each call to a store or to the sink of
// events, before and after it, and each step the pipeline traces. It is for
// tests only.
package crashtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/blob/blobtest"
	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/load/lake"
	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/transform"
)

// What the parent tells the child, in its environment.
const (
	envStep   = "IDTRAIL_CRASH_STEP"   // the step to die at; 0: none
	envDir    = "IDTRAIL_CRASH_DIR"    // a folder for state and, by default, stores
	envGrown  = "IDTRAIL_CRASH_GROWN"  // "1" once the sources have grown
	envStores = "IDTRAIL_CRASH_STORES" // what OpenStores is given
	envVerb   = "IDTRAIL_CRASH_VERB"   // what is killed, if not a run
)

// OpenStores opens the raw store and the lake; spec is what Test was given.
type OpenStores func(ctx context.Context, dir, spec string) (raw, lake blob.Store, err error)

// Dirs opens both in dir.
func Dirs(_ context.Context, dir, _ string) (raw, lake blob.Store, err error) {
	raw, err = blob.OpenDir(filepath.Join(dir, "raw"))
	if err != nil {
		return nil, nil, err
	}
	lake, err = blob.OpenDir(filepath.Join(dir, "lake"))
	return raw, lake, err
}

// Main is to be called by TestMain, before anything else: in a child it runs
// the line and ends the process.
func Main(open OpenStores) {
	step, ok := os.LookupEnv(envStep)
	if !ok {
		return
	}
	at, err := strconv.ParseInt(step, 10, 64)
	if err == nil {
		err = child(context.Background(), open, at)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func child(ctx context.Context, open OpenStores, dieAt int64) error {
	dir := os.Getenv(envDir)
	raw, lakeStore, err := open(ctx, dir, os.Getenv(envStores))
	if err != nil {
		return err
	}
	if name, ok := os.LookupEnv(envVerb); ok {
		return childOfVerb(ctx, newLine(dir, raw, lakeStore, nil), name, killer(dieAt))
	}
	line := newLine(dir, raw, lakeStore, killer(dieAt))
	return line.run(ctx, os.Getenv(envGrown) == "1")
}

// killer counts steps and ends the process, as a power cut does, at the one
// given.
func killer(dieAt int64) func() {
	var n atomic.Int64
	return func() {
		if n.Add(1) == dieAt {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // the signal is on its way
		}
	}
}

// line is the whole line over three sources, two lakes and a sink of events.
type line struct {
	dir       string
	raw, lake blob.Store
	step      func()
	// forks is read-locked while a run of this process holds a source.
	forks *sync.RWMutex
}

func newLine(dir string, raw, lakeStore blob.Store, step func()) *line {
	l := &line{dir: dir, step: step, forks: &sync.RWMutex{}}
	hook := func(string, string) error { l.step(); return nil }
	l.raw = &blobtest.Faulty{Store: raw, Before: hook, After: hook}
	l.lake = &blobtest.Faulty{Store: lakeStore, Before: hook, After: hook}
	return l
}

func (l *line) run(ctx context.Context, grown bool) error {
	now := start.Add(time.Hour)
	if grown {
		now = now.Add(2 * time.Hour)
	}
	p, err := l.pipeline(now)
	if err != nil {
		return err
	}
	var sources []pipeline.Source
	for _, s := range scripts(grown) {
		sources = append(sources, pipeline.Source{
			Name: s.name, Kind: "script", Mapper: &transform.Mapper{},
			Open: func(extract.Ledger) (extract.Source, error) { return s, nil },
		})
	}
	return failures(p.Run(ctx, sources).Sources)
}

// pipeline is the line at a time.
func (l *line) pipeline(now time.Time) (*pipeline.Pipeline, error) {
	temp := filepath.Join(l.dir, "temp")
	if err := os.MkdirAll(temp, 0o700); err != nil {
		return nil, err
	}
	siem := &siem{path: siemFile(l.dir), step: l.step}
	options := lake.Options{Every: time.Hour, Store: l.lake, TempDir: temp, Writer: "test", Mapping: transform.Version, Now: func() time.Time { return now }, Logger: slog.New(slog.DiscardHandler)}
	parquet, ndjson := options, options
	parquet.Name, ndjson.Name = "lake", "json"
	return &pipeline.Pipeline{
		StateDir: filepath.Join(l.dir, "state"), Raw: l.raw, Lake: l.lake, TempDir: temp,
		Sinks:  []pipeline.Sink{{Sink: lake.NewParquet(parquet)}, {Sink: lake.NewJSON(ndjson)}, {Sink: siem}},
		Limits: pipeline.Limits{SegmentRecords: 40, SortBytes: 8 << 10, Sources: 1},
		Now:    func() time.Time { return now },
		Trace:  func(string) { l.step() },
	}, nil
}

func failures(reports []pipeline.SourceReport) error {
	var errs []error
	for _, r := range reports {
		errs = append(errs, r.Err)
		for _, s := range r.Sinks {
			errs = append(errs, s.Err)
		}
	}
	return errors.Join(errs...)
}

// Stores says where a test's stores are.
type Stores struct {
	Open OpenStores
	// Spec makes a fresh spec for each round; nil for none.
	Spec func(t *testing.T, round int) string
	// Every n-th step is tried; 1 for all.
	Every int64

	forks *sync.RWMutex
}

// Test kills a run at step 1, 2, 3, … until one comes to its end, each on
// stores of its own, lets the sources grow, runs again, and checks what is
// there.
func Test(t *testing.T, s Stores) {
	t.Helper()
	steps := countSteps(t, s)
	t.Logf("a run has %d steps", steps)
	for at := int64(1); at <= steps; at += max(s.Every, 1) {
		t.Run(fmt.Sprintf("step %d", at), func(t *testing.T) {
			t.Parallel()
			round(t, s, at)
		})
	}
}

func round(t *testing.T, s Stores, at int64) {
	t.Helper()
	dir, spec := t.TempDir(), ""
	if s.Spec != nil {
		spec = s.Spec(t, int(at))
	}
	if out, killed := runChild(t, dir, spec, at, false); !killed {
		t.Fatalf("the run was not killed: %s", out)
	}
	raw, lakeStore, err := s.Open(t.Context(), dir, spec)
	if err != nil {
		t.Fatal(err)
	}
	verifyEvidence(t, raw, lakeStore)
	if out, killed := runChild(t, dir, spec, 0, true); killed || len(out) > 0 {
		t.Fatalf("the run after the kill failed: %s", out)
	}
	verifyEvidence(t, raw, lakeStore)
	verify(t, raw, lakeStore)
	verifySIEM(t, siemFile(dir))
	if left, _ := filepath.Glob(filepath.Join(dir, "temp", "*sort*")); len(left) > 0 {
		t.Errorf("temporary files left: %v", left)
	}
}

// countSteps runs the line once, in this process, and counts.
func countSteps(t *testing.T, s Stores) int64 {
	t.Helper()
	dir, spec := t.TempDir(), ""
	if s.Spec != nil {
		spec = s.Spec(t, 0)
	}
	raw, lakeStore, err := s.Open(t.Context(), dir, spec)
	if err != nil {
		t.Fatal(err)
	}
	var n atomic.Int64
	if err := newLine(dir, raw, lakeStore, func() { n.Add(1) }).run(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	return n.Load()
}

// runChild runs a child and says what it printed and whether it was killed.
func runChild(t *testing.T, dir, spec string, at int64, grown bool) (out string, killed bool) {
	t.Helper()
	more := []string{envStep + "=" + strconv.FormatInt(at, 10), envDir + "=" + dir, envStores + "=" + spec}
	if grown {
		more = append(more, envGrown+"=1")
	}
	return startChild(t, more, &sync.RWMutex{})
}

// startChild forks while forks is locked: a child has a copy of every lock on a
// file that its parent holds at that moment, and keeps it for a while after.
func startChild(t *testing.T, env []string, forks sync.Locker) (out string, killed bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), env...)
	var printed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &printed, &printed
	forks.Lock()
	err := cmd.Start()
	forks.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	err = cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			return printed.String(), true
		}
	}
	if err != nil {
		return fmt.Sprintf("%v: %s", err, &printed), false
	}
	return printed.String(), false
}

// The population: what each source has, before and after it has grown.
const (
	logsFirst, logsGrown = 130, 170
	oddEvery             = 25 // each such log record is no JSON
	usersCount           = 60
)

// start is when the recorded events begin; they span midnight.
var start = time.Date(2026, 11, 18, 23, 0, 0, 0, time.UTC)

func scripts(grown bool) []*script {
	logs := logsFirst
	if grown {
		logs = logsGrown
	}
	users := &script{name: "users", pages: userPages("20261118T000000Z")}
	if grown {
		users.pages = append(users.pages, userPages("20261119T000000Z")...)
	}
	trail := &script{name: "trail", pages: []extract.Page{{Gaps: []schema.Gap{{From: start, To: start.Add(time.Minute), Reason: "a file is missing"}}}}}
	return []*script{{name: "logs", pages: logPages(logs), back: 2}, users, trail}
}

func logPages(n int) []extract.Page {
	var pages []extract.Page
	for i := range n {
		if i%10 == 0 {
			pages = append(pages, extract.Page{})
		}
		last := &pages[len(pages)-1]
		last.Records = append(last.Records, schema.Raw{Kind: schema.KindAuth0Log, Bytes: logLine(i)})
	}
	return pages
}

func logID(n int) string { return fmt.Sprintf("900%053d", n) }

func logLine(n int) []byte {
	if n%oddEvery == oddEvery-1 {
		return fmt.Appendf(nil, "odd record %d", n)
	}
	at := start.Add(time.Duration(n*37%120) * time.Minute).Format("2006-01-02T15:04:05.000Z")
	return fmt.Appendf(nil, `{"log_id":%q,"date":%q,"type":"s","user_id":"auth0|%d","client_id":"c","client_name":"App","ip":"192.0.2.1"}`, logID(n), at, n)
}

func userPages(snapshot string) []extract.Page {
	begin, err := time.Parse("20060102T150405Z", snapshot)
	if err != nil {
		panic(err)
	}
	var pages []extract.Page
	for i := range usersCount {
		if i%20 == 0 {
			pages = append(pages, extract.Page{Snapshot: &schema.Snapshot{ID: snapshot, Begin: begin}})
		}
		last := &pages[len(pages)-1]
		last.Records = append(last.Records, schema.Raw{
			Kind: schema.KindAuth0User, Bytes: fmt.Appendf(nil, `{"user_id":"auth0|%d","email":"u%d@example.com"}`, i, i),
		})
	}
	done := &schema.Snapshot{ID: snapshot, Begin: begin, End: begin.Add(time.Minute), Complete: true, Counts: map[string]int64{"users": usersCount}}
	return append(pages, extract.Page{Snapshot: done})
}

// script is a source that reads its pages from memory; its cursor counts them.
type script struct {
	name  string
	pages []extract.Page
	back  int // pages read again
}

func (s *script) Name() string { return s.name }

func (s *script) Overlap() time.Duration { return 1000 * time.Hour }

func (s *script) Start(time.Time) extract.Cursor { return "0" }

func (s *script) Pages(ctx context.Context, from extract.Cursor) iter.Seq2[extract.Page, error] {
	return func(yield func(extract.Page, error) bool) {
		var at int
		if err := json.Unmarshal([]byte(from), &at); err != nil {
			yield(extract.Page{}, err)
			return
		}
		for i := max(at-s.back, 0); i < len(s.pages) && ctx.Err() == nil; i++ {
			page := s.pages[i]
			page.Next = extract.Cursor(strconv.Itoa(max(i+1, at)))
			if !yield(page, nil) {
				return
			}
		}
	}
}

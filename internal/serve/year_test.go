package serve_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/internal/proof"
	"github.com/idtrail/idtrail/internal/serve"
	"github.com/idtrail/idtrail/load/lake"
	"github.com/idtrail/idtrail/load/stream"
	"github.com/idtrail/idtrail/state"
	"github.com/idtrail/idtrail/transform"
)

var months = flag.Int("months", 0, "how many months TestYearOfRuns runs the jobs of, by their clock; 12 take 15 minutes of CPU")

// TestYearOfRuns runs real jobs into real lakes for a year: a tenant in which
// somebody signs in every minute, one in which hardly anybody does, and two lists
// of users that are compared each night, through both changes of the clocks. With
// states in S3 a run takes longer: that is looked at for two weeks. What it logs
// stands in docs/SIZING.md.
func TestYearOfRuns(t *testing.T) {
	if *months == 0 {
		t.Skip("make year runs it")
	}
	berlin := zone(t, "Europe/Berlin")
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, berlin)
	for _, tt := range []struct {
		name   string
		end    time.Time
		period string
		shared bool
	}{
		{"shared", begin.AddDate(0, 0, 14), time.DateOnly, true},
		{"local", begin.AddDate(0, *months, 0), "2006-01", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := live(t, begin, tt.end, tt.period, tt.shared)
			w.wantFewObjects()
			w.wantFlat()
			w.report()
			w.wantVerified(false)
			w.wantVerified(true)
		})
	}
}

// TestDaysOfRuns is the same for three days, which say less of what grows.
func TestDaysOfRuns(t *testing.T) {
	if testing.Short() {
		t.Skip("three days of runs are long")
	}
	begin := time.Date(2026, 6, 1, 0, 0, 0, 0, zone(t, "Europe/Berlin"))
	w := live(t, begin, begin.AddDate(0, 0, 3), time.DateOnly, false)
	w.wantFewObjects()
	w.wantFlat()
	w.report()
	w.wantVerified(true)
}

// TestRunsThroughClockChanges is the same for the nights in which clocks are
// changed.
func TestRunsThroughClockChanges(t *testing.T) {
	for _, tt := range []struct {
		zone   string
		month  time.Month
		day    int
		shared bool
	}{
		{"Europe/Berlin", time.March, 29, false},
		{"Europe/Berlin", time.October, 25, true},
		{"America/New_York", time.March, 8, true},
		{"America/New_York", time.November, 1, false},
	} {
		t.Run(fmt.Sprint(tt.zone, " ", tt.month), func(t *testing.T) {
			z := zone(t, tt.zone)
			midnight := time.Date(2026, tt.month, tt.day, 0, 0, 0, 0, z)
			w := live(t, midnight.Add(-30*time.Minute), time.Date(2026, tt.month, tt.day, 5, 0, 0, 0, z), time.DateOnly, tt.shared)
			w.wantVerified(true)
		})
	}
}

// world is a company whose jobs run on their schedules, by the bubble's clock,
// into stores that count what is asked of them.
type world struct {
	t    *testing.T
	zone *time.Location
	dir  string
	// acme is busy, quiet is not; both are read every five minutes, one after the
	// other, so that it is seen what each takes.
	acme, quiet tenant
	siem        *siem

	raw, lake, shared *meter
	p                 *pipeline.Pipeline
	keys              proof.Verifier
	service           *serve.Service

	begin, end time.Time
	// period is the form of the name of the times that are compared.
	period  string
	running atomic.Int64
	slow    atomic.Int64 // runs that took twelve minutes

	mu     sync.Mutex
	totals map[string]total
	nights map[string]int // by local date
	used   map[use]requests
	seen   []sight
}

// total of what was done with a source.
type total struct{ runs, read, landed, repeated int64 }

// use is a kind of run in a period.
type use struct{ of, what, period string }

// sight is how things stand at the end of a period.
type sight struct {
	period                     string
	heap, objects, state, runs int64
	goroutines, descriptors    int
	cpu                        time.Duration
}

// live is a world after a time in it.
func live(t *testing.T, begin, end time.Time, period string, shared bool) *world {
	t.Helper()
	w := &world{zone: begin.Location(), dir: memoryDir(t), raw: newMeter(t), lake: newMeter(t), shared: newMeter(t), begin: begin, end: end, period: period}
	synctest.Test(t, func(t *testing.T) {
		until(begin.Add(-time.Second))
		w.found(t, shared)
		w.through()
		w.wantRuns()
		w.wantNights()
		w.wantRecords()
	})
	w.t = t
	return w
}

// memoryDir is a folder on a file system in memory, where there is one: a year's
// transactions wait for no disk there.
func memoryDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "idtrail-year-*") //nolint:usetesting // that is on a disk
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// found makes what is in the world, within a bubble; with shared, the states of
// its sources lie in a store, too.
func (w *world) found(t *testing.T, shared bool) {
	t.Helper()
	w.t, w.totals, w.nights, w.used = t, map[string]total{}, map[string]int{}, map[use]requests{}
	w.acme = tenant{name: "acme", prefix: "900", every: 1, slow: w.isSlow}
	w.quiet = tenant{name: "quiet", prefix: "901", every: 7*60 + 11}
	w.siem = newSIEM(t, w.begin.Add(-10*time.Minute), w.acme, w.quiet)
	temp := filepath.Join(w.dir, "tmp")
	if err := os.Mkdir(temp, 0o700); err != nil {
		t.Fatal(err)
	}
	sink := lake.NewParquet(lake.Options{
		Name: "lake", Store: w.lake, TempDir: temp, Writer: "test", Mapping: transform.Version, Every: time.Hour,
		MaxBytes: 256 << 20, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	})
	w.p = &pipeline.Pipeline{
		StateDir: filepath.Join(w.dir, "state"), Raw: w.raw, Lake: w.lake, TempDir: temp, Now: time.Now,
		Sinks: []pipeline.Sink{{Sink: sink}, {Sink: stream.New(w.siem, stream.Options{Name: "siem", Now: time.Now})}},
	}
	if shared {
		w.p.State = state.Shared(state.SharedOptions{Store: w.shared, Dir: w.p.StateDir, Now: time.Now})
	}
	w.sign()
	w.service = serve.New(options(
		w.job("audit", "*/5 * * * *", func(ctx context.Context) { w.run(ctx, w.source(w.acme)) }),
		w.job("quiet", "2-59/5 * * * *", func(ctx context.Context) { w.run(ctx, w.source(w.quiet)) }),
		w.job("nightly", "31 2 * * *", w.nightly),
	))
}

func (w *world) sign() {
	private, public, err := proof.GenerateKey("acme.example")
	if err == nil {
		w.p.Signer, err = proof.NewSigner(private)
	}
	if err == nil {
		w.keys, err = proof.NewVerifier(public)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.p.Keys = w.keys
}

// isSlow says that a run takes twelve minutes: at four, every tenth day.
func (w *world) isSlow(at time.Time) bool {
	local := at.In(w.zone)
	slow := local.Hour() == 4 && local.Minute() == 0 && int(at.Sub(w.begin).Hours()/24)%10 == 0
	if slow {
		w.slow.Add(1)
	}
	return slow
}

func (w *world) source(src extract.Source) pipeline.Source {
	return pipeline.Source{
		Name: src.Name(), Kind: "script", Mapper: &transform.Mapper{}, Since: w.begin,
		Open: func(extract.Ledger) (extract.Source, error) { return src, nil },
	}
}

func (w *world) job(name, schedule string, do func(context.Context)) serve.Job {
	return serve.Job{Name: name, Schedule: mustParse(w.t, schedule, w.zone), Run: func(ctx context.Context) serve.Result {
		w.running.Add(1)
		defer w.running.Add(-1)
		do(ctx)
		return serve.Done
	}}
}

// run reads one source.
func (w *world) run(ctx context.Context, source pipeline.Source) {
	w.metered(source.Name, func() (what string) {
		r := w.p.Run(ctx, []pipeline.Source{source}).Sources[0]
		w.saw(r)
		switch {
		case r.Landed > 5 || r.Started.Sub(w.begin) < time.Hour:
			return "" // behind a slow run, or one of the first
		case r.Sinks[0].Objects > 0:
			return "flush"
		case r.Landed > 0:
			return "landed"
		default:
			return "nothing"
		}
	})
}

// metered notes the most that was asked of the stores by a kind of run in a
// period, where nothing else ran.
func (w *world) metered(of string, do func() (what string)) {
	alone, before := w.running.Load() == 1, w.requests()
	what := do()
	took := w.requests().minus(before)
	if !alone || w.running.Load() > 1 || what == "" {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	u := use{of: of, what: what, period: time.Now().In(w.zone).Format(w.period)}
	w.used[u] = took.most(w.used[u])
}

func (w *world) saw(r pipeline.SourceReport) {
	if r.Failed() || r.Held || !r.Drained {
		w.t.Errorf("%s, run of %s: held %v, drained %v, %v, %+v", time.Now(), r.Source, r.Held, r.Drained, r.Err, r.Sinks)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	sum := w.totals[r.Source]
	w.totals[r.Source] = total{sum.runs + 1, sum.read + r.Read, sum.landed + r.Landed, sum.repeated + r.Repeated}
}

func (w *world) nightly(ctx context.Context) {
	w.mu.Lock()
	w.nights[time.Now().In(w.zone).Format(time.DateOnly)]++
	first := len(w.nights) == 1
	w.mu.Unlock()
	users, pool := w.source(directory{"users", auth0Line}), w.source(directory{"pool", poolLine})
	w.metered("users and pool", func() string {
		for _, r := range w.p.Run(ctx, []pipeline.Source{users, pool}).Sources {
			w.saw(r)
		}
		for _, r := range w.p.Reconcile(ctx, []pipeline.Reconcile{{Left: users, Right: pool}}) {
			if r.Err != nil || r.Waiting != "" || r.Summary.Linked != staying+1 {
				w.t.Errorf("%s, comparison: %v %s %+v", time.Now(), r.Err, r.Waiting, r.Summary)
			}
		}
		if first {
			return ""
		}
		return "night"
	})
}

func (w *world) stores() []*meter { return []*meter{w.raw, w.lake, w.shared} }

func (w *world) requests() (all requests) {
	for _, s := range w.stores() {
		all = all.plus(s.count())
	}
	return all
}

// through runs the jobs from begin to end, and looks at things after each period.
func (w *world) through() {
	stop := start(w.t, w.service)
	for at := w.begin; at.Before(w.end); {
		name := at.Format(w.period)
		next := time.Date(at.Year(), at.Month()+1, 1, 0, 0, 0, 0, w.zone)
		if w.period == time.DateOnly {
			next = time.Date(at.Year(), at.Month(), at.Day()+1, 0, 0, 0, 0, w.zone)
		}
		if next.After(w.end) {
			next = w.end
		}
		until(next.Add(-time.Minute))
		w.look(name)
		at = next
	}
	if err := stop(); err != nil {
		w.t.Error(err)
	}
}

// look notes how things stand while nothing runs.
func (w *world) look(period string) {
	if n := w.running.Load(); n > 0 {
		w.t.Errorf("%s: %d jobs run", time.Now(), n)
	}
	s := sight{period: period, goroutines: runtime.NumGoroutine(), descriptors: descriptors(), cpu: cpuTime(w.t)}
	runtime.GC()
	runtime.GC()
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	s.heap = int64(mem.HeapAlloc)
	for _, store := range w.stores() {
		s.objects += int64(store.Len())
	}
	w.mu.Lock()
	for _, sum := range w.totals {
		s.runs += sum.runs
	}
	w.mu.Unlock()
	s.state = fileSize(filepath.Join(w.p.StateDir, "acme.db"))
	w.seen = append(w.seen, s)
	w.wantNothingLeft()
}

func fileSize(path string) int64 {
	if info, err := os.Stat(path); err == nil {
		return info.Size()
	}
	return 0
}

// descriptors that are open; 0 where the system does not tell.
func descriptors() int {
	entries, _ := os.ReadDir("/proc/self/fd")
	return len(entries)
}

func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// sortedUses are the kinds of runs that there were.
func (w *world) sortedUses() []use {
	return slices.SortedFunc(maps.Keys(w.used), func(a, b use) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
}

package serve_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path"
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
	"github.com/idtrail/idtrail/internal/blob/blobtest"
	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/internal/proof"
	"github.com/idtrail/idtrail/internal/serve"
	"github.com/idtrail/idtrail/internal/verify"
	"github.com/idtrail/idtrail/load/lake"
	"github.com/idtrail/idtrail/load/stream"
	"github.com/idtrail/idtrail/state"
	"github.com/idtrail/idtrail/transform"
)

var span = flag.Duration("span", 0, "how long the jobs of TestYearOfRuns are run, by their clock: 8760h is a year, and takes about 20 minutes")

// world is a company whose jobs run on their schedules, by the bubble's clock,
// into stores that count what is asked of them.
type world struct {
	t    *testing.T
	zone *time.Location
	dir  string
	// acme is busy, quiet is not; both are read every five minutes, one after the
	// other, so that what is asked for each is seen.
	acme, quiet tenant
	siem        *siem

	raw, lake, shared *meter
	p                 *pipeline.Pipeline
	keys              proof.Verifier
	service           *serve.Service

	begin   time.Time
	running atomic.Int64
	slow    atomic.Int64 // runs that took twelve minutes

	mu     sync.Mutex
	totals map[string]total
	nights map[string]int // by local date
	used   map[use]requests
	months []month
}

// total of what was done with a source.
type total struct{ runs, read, landed, repeated int64 }

// use is a kind of run in a month.
type use struct {
	month string
	job   string
	what  string
}

// month is how things stand at its end.
type month struct {
	name       string
	heap       int64
	goroutines int
	files      int
	objects    int64
	state      int64
	runs       int64
	cpu        time.Duration
}

// found makes what is in the world, within a bubble; with shared, the states of
// its sources lie in a store, too.
func (w *world) found(t *testing.T, shared bool) {
	t.Helper()
	w.t, w.begin = t, time.Now()
	w.totals, w.nights, w.used = map[string]total{}, map[string]int{}, map[use]requests{}
	w.acme = tenant{name: "acme", prefix: "900", every: 1, slow: func(at time.Time) bool {
		local := at.In(w.zone)
		slow := local.Day()%10 == 8 && local.Hour() == 12 && local.Minute() == 0
		if slow {
			w.slow.Add(1)
		}
		return slow
	}}
	w.quiet = tenant{name: "quiet", prefix: "901", every: 7*60 + 11}
	sink := lake.NewParquet(lake.Options{
		Name: "lake", Store: w.lake, TempDir: w.temp(), Writer: "test", Mapping: transform.Version, Every: time.Hour,
		MaxBytes: 256 << 20, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	})
	w.siem = newSIEM(t, w.begin.Add(-10*time.Minute), w.acme, w.quiet)
	w.p = &pipeline.Pipeline{
		StateDir: filepath.Join(w.dir, "state"), Raw: w.raw, Lake: w.lake, TempDir: w.temp(), Now: time.Now,
		Sinks: []pipeline.Sink{{Sink: sink}, {Sink: stream.New(w.siem, stream.Options{Name: "siem", Now: time.Now})}},
	}
	if shared {
		w.p.State = state.Shared(state.SharedOptions{Store: w.shared, Dir: w.p.StateDir, Now: time.Now})
	}
	private, public, err := proof.GenerateKey("acme.example")
	if err == nil {
		w.p.Signer, err = proof.NewSigner(private)
	}
	if err == nil {
		w.p.Keys, err = proof.NewVerifier(public)
	}
	if err != nil {
		t.Fatal(err)
	}
	w.service = serve.New(options(
		w.job("audit", "*/5 * * * *", func(ctx context.Context) { w.run(ctx, w.source(w.acme)) }),
		w.job("quiet", "2-59/5 * * * *", func(ctx context.Context) { w.run(ctx, w.source(w.quiet)) }),
		w.job("nightly", "30 2 * * *", w.nightly),
	))
}

func newStore(t *testing.T) *meter {
	t.Helper()
	p, err := blobtest.NewPacked(t.TempDir(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return &meter{Packed: p}
}

// temp is the folder of temporary files.
func (w *world) temp() string {
	dir := filepath.Join(w.dir, "tmp")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		w.t.Fatal(err)
	}
	return dir
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

// run reads one source, and notes what that took, where nothing else ran.
func (w *world) run(ctx context.Context, source pipeline.Source) {
	alone, before := w.running.Load() == 1, w.requests()
	r := w.p.Run(ctx, []pipeline.Source{source}).Sources[0]
	took := w.requests().minus(before)
	alone = alone && w.running.Load() == 1
	w.saw(r)
	what := "quiet"
	switch {
	case r.Sinks[0].Objects > 0:
		what = "flush"
	case r.Landed > 0:
		what = "landed"
	}
	if r.Ended.Sub(r.Started) > time.Minute || !alone || r.Landed > 5 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	u := use{time.Now().In(w.zone).Format("2006-01"), r.Source, what}
	if took.all() > w.used[u].all() {
		w.used[u] = took
	}
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
	w.mu.Unlock()
	users, pool := w.source(directory{"users", auth0Line}), w.source(directory{"pool", poolLine})
	for _, r := range w.p.Run(ctx, []pipeline.Source{users, pool}).Sources {
		w.saw(r)
	}
	for _, r := range w.p.Reconcile(ctx, []pipeline.Reconcile{{Left: users, Right: pool}}) {
		if r.Err != nil || r.Waiting != "" || r.Summary.Linked != staying+1 {
			w.t.Errorf("%s, comparison: %v %s %+v", time.Now(), r.Err, r.Waiting, r.Summary)
		}
	}
}

func (w *world) stores() []*meter { return []*meter{w.raw, w.lake, w.shared} }

func (w *world) requests() (all requests) {
	for _, s := range w.stores() {
		all = all.plus(s.count())
	}
	return all
}

// through runs the jobs from now until then, looking at things each month.
func (w *world) through(end time.Time) {
	stop := start(w.t, w.service)
	w.look("")
	for at := w.begin; at.Before(end); {
		local := at.In(w.zone)
		at = time.Date(local.Year(), local.Month()+1, 1, 0, 0, 0, 0, w.zone)
		if at.After(end) {
			at = end
		}
		until(at.Add(-time.Minute))
		w.look(local.Format("2006-01"))
	}
	if err := stop(); err != nil {
		w.t.Fatal(err)
	}
}

// look notes how things stand while nothing runs.
func (w *world) look(name string) {
	if n := w.running.Load(); n > 0 {
		w.t.Errorf("%s: %d jobs run", time.Now(), n)
	}
	m := month{name: name, files: openFiles(w.t), goroutines: runtime.NumGoroutine(), cpu: cpuTime(w.t)}
	runtime.GC()
	runtime.GC()
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	m.heap = int64(mem.HeapAlloc) //nolint:gosec // of one process
	for _, s := range w.stores() {
		m.objects += int64(s.Len())
	}
	for _, sum := range w.totals {
		m.runs += sum.runs
	}
	m.state = w.stateSize()
	w.wantNothingLeft()
	w.months = append(w.months, m)
	if before := w.months[max(0, len(w.months)-2)]; m.runs > before.runs {
		w.t.Logf("%s: %d runs of %s CPU each; heap %d KiB, %d goroutines, %d files open, %d objects, state %d KiB",
			name, m.runs-before.runs, (m.cpu-before.cpu)/time.Duration(m.runs-before.runs), m.heap>>10, m.goroutines, m.files, m.objects, m.state>>10)
	}
}

// stateSize is that of the busy source's file.
func (w *world) stateSize() int64 {
	var sum int64
	for _, suffix := range []string{"", "-wal"} {
		if info, err := os.Stat(filepath.Join(w.p.StateDir, "acme.db"+suffix)); err == nil {
			sum += info.Size()
		}
	}
	return sum
}

// wantNothingLeft wants no temporary files.
func (w *world) wantNothingLeft() {
	for _, pattern := range []string{"tmp/*", "state/*tmp*", "state/*-wal", "state/*read*", "state/.new*"} {
		names, err := filepath.Glob(filepath.Join(w.dir, pattern))
		if err != nil || len(names) > 0 {
			w.t.Errorf("%s: left behind: %v, %v", time.Now(), names, err)
		}
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0 // not on this system
	}
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

// wantRuns holds what was run against the schedules.
func (w *world) wantRuns(end time.Time) {
	t := w.t
	t.Helper()
	// The time that passed, whatever clocks say, up to the last look.
	due := int64((end.Sub(w.begin) - time.Minute) / (5 * time.Minute))
	skipped := 2 * w.slow.Load()
	if w.slow.Load() == 0 && end.Sub(w.begin) > 11*24*time.Hour {
		t.Error("no run was slow")
	}
	wantMetric(t, w.service, fmt.Sprintf(`idtrail_job_runs_total{job="audit",result="done"} %d`, due-skipped))
	wantMetric(t, w.service, fmt.Sprintf(`idtrail_job_skipped_total{job="audit"} %d`, skipped))
	wantMetric(t, w.service, fmt.Sprintf(`idtrail_job_runs_total{job="quiet",result="done"} %d`, due+1))
	wantMetric(t, w.service, `idtrail_job_skipped_total{job="quiet"} 0`)
	wantMetric(t, w.service, `idtrail_job_skipped_total{job="nightly"} 0`)
	nights := 0
	for day := w.begin.In(w.zone); day.Before(end); day = day.AddDate(0, 0, 1) {
		if due := time.Date(day.Year(), day.Month(), day.Day(), 2, 30, 0, 0, w.zone); due.Before(w.begin) || due.After(end) {
			continue
		}
		nights++
		if n := w.nights[day.Format(time.DateOnly)]; n != 1 {
			t.Errorf("the night of %s: %d runs, want 1", day.Format(time.DateOnly), n)
		}
	}
	if nights != len(w.nights) {
		t.Errorf("%d nights with runs, want %d", len(w.nights), nights)
	}
}

// wantRecords wants every sign-in to be landed, in the lake, and sent, once.
func (w *world) wantRecords(end time.Time) {
	t := w.t
	t.Helper()
	for _, src := range []tenant{w.acme, w.quiet} {
		last := end.Add(-5 * time.Minute)
		if src.name == "quiet" {
			last = last.Add(2 * time.Minute)
		}
		// The first run, too, reads the ten minutes before its cursor.
		want, got := src.expected(w.begin.Add(-10*time.Minute), last), w.totals[src.name]
		if got.landed != want || got.read != got.landed+got.repeated {
			t.Errorf("%s: read %d, landed %d, repeated %d, want %d landed", src.name, got.read, got.landed, got.repeated, want)
		}
		if n := w.siem.next[src.prefix]; n*60 < last.Unix() {
			t.Errorf("%s: the receiver has sign-ins up to minute %d, want up to %d", src.name, n, last.Unix()/60)
		}
	}
}

// wantVerified reads everything as an auditor does.
func (w *world) wantVerified(deep bool) {
	t := w.t
	t.Helper()
	began := time.Now()
	r, err := verify.Run(context.Background(), verify.Options{Raw: w.raw, Lake: w.lake, Keys: w.p.Keys, HaveKeys: true, Deep: deep, TempDir: w.temp()})
	if err != nil || !r.OK() || len(r.Sources) != 4 {
		t.Errorf("verify: %v, %d sources, %+v", err, len(r.Sources), r.Findings[:min(len(r.Findings), 5)])
	}
	for _, s := range r.Sources {
		if s.Records != w.totals[s.Source].landed || s.Signed != s.Notes || s.Proven != s.Segments {
			t.Errorf("verify %s: %d records, want %d; %d of %d notes signed, %d of %d segments proven",
				s.Source, s.Records, w.totals[s.Source].landed, s.Signed, s.Notes, s.Proven, s.Segments)
		}
		sink := s.Sinks[0]
		if sink.Records+sink.Pending != s.Records || sink.Rejected > 0 || sink.Events != sink.Records && sink.Users != sink.Records {
			t.Errorf("verify %s: %+v", s.Source, sink)
		}
	}
	t.Logf("verify (deep: %v) took %s", deep, time.Since(began).Round(time.Millisecond))
}

// made are the objects made on a day, by what they are.
func (w *world) made() map[string]map[string]int {
	days := map[string]map[string]int{}
	for _, store := range []*meter{w.raw, w.lake} {
		for info, err := range store.Packed.List(context.Background(), "", "") {
			if err != nil {
				w.t.Fatal(err)
			}
			kind, day := kindOf(info.Key), info.Modified.UTC().Format(time.DateOnly)
			if days[kind] == nil {
				days[kind] = map[string]int{}
			}
			days[kind][day]++
		}
	}
	return days
}

// kindOf says of which source a key is, and what.
func kindOf(key string) string {
	parts := strings.Split(key, "/")
	switch {
	case strings.HasSuffix(key, ".ndjson.zst"):
		return parts[0] + " raw"
	case parts[0] == "flushes":
		return parts[2] + " flushes"
	case parts[0] == "manifests":
		return parts[1] + " manifests"
	case len(parts) > 1 && strings.HasPrefix(parts[1], "source="):
		return strings.TrimPrefix(parts[1], "source=") + " " + parts[0]
	default:
		return "- " + path.Dir(key)[:min(len(path.Dir(key)), strings.IndexByte(key+"/", '/'))]
	}
}

// wantFewObjects holds the objects of a source and day against the plan.
func (w *world) wantFewObjects() {
	for kind, days := range w.made() {
		most := 0
		for _, n := range days {
			most = max(most, n)
		}
		w.t.Logf("%-20s at most %d a day, %d in all", kind, most, len(days))
	}
}

// wantFlat wants the year to end as it began.
func (w *world) wantFlat() {
	t := w.t
	t.Helper()
	uses := make([]use, 0, len(w.used))
	for u := range w.used {
		uses = append(uses, u)
	}
	slices.SortFunc(uses, func(a, b use) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	for _, u := range uses {
		t.Logf("%s: %+v", u, w.used[u])
	}
}

// memoryDir is a folder on a file system in memory, where there is one: a year's
// transactions wait for no disk there.
func memoryDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "idtrail-year-*")
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

func TestYearOfRuns(t *testing.T) {
	if *span == 0 {
		t.Skip("make year runs it")
	}
	for _, shared := range []bool{false, true} {
		t.Run(fmt.Sprintf("shared %v", shared), func(t *testing.T) {
			berlin := zone(t, "Europe/Berlin")
			begin := time.Date(2026, 1, 1, 0, 0, 0, 0, berlin)
			w := lived(t, berlin, begin, begin.Add(*span), shared)
			w.wantFlat()
			w.wantFewObjects()
			w.wantVerified(false)
			w.wantVerified(true)
		})
	}
}

// lived is a world after its time.
func lived(t *testing.T, z *time.Location, from, to time.Time, shared bool) (w *world) {
	t.Helper()
	w = &world{zone: z, dir: memoryDir(t), raw: newStore(t), lake: newStore(t), shared: newStore(t)}
	synctest.Test(t, func(t *testing.T) {
		until(from)
		w.found(t, shared)
		w.through(to)
		w.wantRuns(to)
		w.wantRecords(to)
	})
	w.t = t
	return w
}

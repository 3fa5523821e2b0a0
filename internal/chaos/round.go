package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/tidwall/gjson"
)

// action is something that happens to the program.
type action struct {
	name   string
	weight int
	on     []kind // nil: in all worlds
	do     func(*world, context.Context) error
}

func actions() []action {
	return []action{
		{"only faults", 2, nil, (*world).undisturbed},
		{"killed at any moment", 6, nil, (*world).killAnyTime},
		{"killed at a step", 12, nil, (*world).killAtStep},
		{"killed while it calls", 6, nil, (*world).killAtCall},
		{"told to stop", 3, nil, (*world).stop},
		{"frozen, and another run", 2, nil, (*world).freeze},
		{"two hosts at once", 4, []kind{shared}, (*world).together},
		{"four runs at once", 2, nil, (*world).crowded},
		{"disk lost", 2, nil, (*world).loseDisk},
		{"database torn", 2, nil, (*world).tear},
		{"disk full", 5, []kind{small}, (*world).fillDisk},
		{"network cut", 3, []kind{bucket, shared}, (*world).cutNetwork},
		{"clock set", 1, nil, (*world).setClock},
	}
}

const (
	// runLimit is how long a run may take among faults before it is killed.
	runLimit = 40 * time.Second
	// stopLimit is what is promised of a run that is told to stop.
	stopLimit = 20 * time.Second
	// leaseOut is when a lease can be taken over, of the program built for this.
	leaseOut = 11 * time.Second
)

// round does several things to the program, lets it recover, and checks.
func (w *world) round(ctx context.Context, n int) error {
	w.rough.Store(true)
	if w.store != nil {
		w.store.line.rough.Store(25)
	}
	var did []string
	for range 4 + w.chance.n(5) {
		if err := w.grow(20 + w.chance.n(120)); err != nil {
			return err
		}
		a := w.action()
		if w.verbose {
			w.say("%s: round %d: %s", w.name, n, a.name)
		}
		did = append(did, a.name)
		w.tally.add("done: "+a.name, 1)
		if err := a.do(w, ctx); err != nil {
			return fmt.Errorf("%s: %w", a.name, err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if err := w.recover(ctx); err != nil {
		return fmt.Errorf("after %s: %w", strings.Join(did, ", "), err)
	}
	found, err := w.check(ctx)
	if err != nil {
		return fmt.Errorf("after %s: %w", strings.Join(did, ", "), err)
	}
	w.tally.add("rounds", 1)
	w.say("%s: round %d of %s: %s", w.name, n, w.kind, found)
	return nil
}

func (w *world) action() action {
	var can []action
	for _, a := range actions() {
		if a.on == nil || slices.Contains(a.on, w.kind) {
			for range a.weight {
				can = append(can, a)
			}
		}
	}
	return pick(w.chance, can)
}

// run is one run under way.
type run struct {
	*process
	taken map[string]int
}

func (w *world) taken() map[string]int {
	return map[string]int{"hec": w.hec.Taken(), "acks": w.acks.Taken(), "dd": w.datadog.Taken()}
}

func (w *world) begin(ctx context.Context, h host, env ...string) (*run, error) {
	w.tally.add("runs", 1)
	taken := w.taken()
	p, err := w.start(ctx, h, env, "--json", "run")
	return &run{process: p, taken: taken}, err
}

// anyHost picks one.
func (w *world) anyHost() host { return pick(w.chance, w.hosts) }

// end takes in what a run left that has ended.
func (w *world) end(r *run) error {
	for _, name := range w.steps(r.process) {
		w.tally.step(name, false)
	}
	if r.code != 0 && r.code != 4 {
		w.unclean(r)
	}
	if w.verbose {
		w.say("%s: ended with %d after %s", w.name, r.code, r.took.Round(time.Millisecond))
	}
	return r.sane()
}

// unclean notes what a run that did not end well may have sent and not
// remembered: the request in flight; what was not acknowledged; and where another
// host goes on, what was not published.
func (w *world) unclean(r *run) {
	now := w.taken()
	for sink, s := range w.sent {
		s.mu.Lock()
		s.kills++
		if w.kind == shared || sink == "acks" {
			s.forgotten += now[sink] - r.taken[sink]
		}
		s.mu.Unlock()
	}
}

// forget notes that a state is gone: sinks of events begin anew.
func (w *world) forget() {
	now := w.taken()
	for sink, s := range w.sent {
		s.mu.Lock()
		s.forgotten += now[sink]
		s.mu.Unlock()
	}
}

func (w *world) steps(p *process) []string {
	f, err := os.Open(p.steps)
	if err != nil {
		return nil
	}
	var names []string
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		names = append(names, lines.Text())
	}
	_ = f.Close()
	_ = os.Remove(p.steps)
	return names
}

// through has a run go to its end, or kills it.
func (w *world) through(ctx context.Context, h host, env ...string) (*run, error) {
	r, err := w.begin(ctx, h, env...)
	if err != nil {
		return nil, err
	}
	if !r.wait(runLimit) {
		w.tally.add("killed: took too long", 1)
	}
	return r, w.end(r)
}

func (w *world) undisturbed(ctx context.Context) error {
	_, err := w.through(ctx, w.anyHost())
	return err
}

// killAnyTime kills a run once or twice in a row.
func (w *world) killAnyTime(ctx context.Context) error {
	r, err := w.begin(ctx, w.anyHost())
	if err != nil {
		return err
	}
	most := 3 * time.Second
	if w.chance.one(3) {
		most = 300 * time.Millisecond
	}
	r.wait(w.chance.within(most))
	w.noteKill(r, "at any moment")
	return w.end(r)
}

func (w *world) noteKill(r *run, how string) {
	if r.killed() {
		w.tally.add("killed: "+how, 1)
	}
}

// killAtStep kills a run before or after a call to a store, or at a step of the
// protocol: one of those that were tried least.
func (w *world) killAtStep(ctx context.Context) error {
	var known []string
	w.tally.mu.Lock()
	for name := range w.tally.steps {
		known = append(known, name)
	}
	w.tally.mu.Unlock()
	if len(known) == 0 {
		return w.undisturbed(ctx)
	}
	slices.Sort(known)
	name := w.tally.stepOf(w.chance, known)
	nth := 1
	if w.chance.one(4) {
		nth += w.chance.n(6)
	}
	r, err := w.through(ctx, w.anyHost(), fmt.Sprintf("%s=%s#%d", killVar, name, nth))
	if err != nil {
		return err
	}
	if r.killed() && r.took < runLimit {
		w.tally.step(name, true)
	}
	w.noteKill(r, "at a step")
	return nil
}

// killAtCall kills a run when a vendor or receiver has its request, or has
// answered it.
func (w *world) killAtCall(ctx context.Context) error {
	w.trap.set(0, false, nil)
	r, err := w.begin(ctx, w.anyHost())
	if err != nil {
		return err
	}
	w.trap.set(1+w.chance.n(60), w.chance.one(2), func() {
		r.signal(syscall.SIGKILL)
		<-r.done
	})
	r.wait(runLimit)
	w.trap.set(0, false, nil)
	w.noteKill(r, "while it calls")
	return w.end(r)
}

// stop has SIGTERM stop a run in time.
func (w *world) stop(ctx context.Context) error {
	r, err := w.begin(ctx, w.anyHost())
	if err != nil {
		return err
	}
	select {
	case <-r.done:
	case <-time.After(w.chance.within(3 * time.Second)):
	}
	told := time.Now()
	r.signal(syscall.SIGTERM)
	if !r.wait(stopLimit) {
		return errors.Join(fmt.Errorf("told to stop, it went on for %s: %s", stopLimit, r.last()), w.end(r))
	}
	w.tally.longest("stopped after, at most", time.Since(told))
	return w.end(r)
}

// freeze stops a run where it stands, has another one run, and lets the first go
// on: what it held is no longer its own.
func (w *world) freeze(ctx context.Context) error {
	h := w.hosts[0]
	r, err := w.begin(ctx, h)
	if err != nil {
		return err
	}
	select {
	case <-r.done:
		return w.end(r)
	case <-time.After(w.chance.within(2500 * time.Millisecond)):
	}
	r.signal(syscall.SIGSTOP)
	if w.kind == shared {
		time.Sleep(leaseOut)
	}
	other, err := w.through(ctx, w.hosts[len(w.hosts)-1])
	r.signal(syscall.SIGCONT)
	if err != nil {
		r.wait(0)
		return errors.Join(err, w.end(r))
	}
	if !r.wait(runLimit) {
		return errors.Join(fmt.Errorf("woken, it went on for %s: %s", runLimit, r.last()), w.end(r))
	}
	w.tally.add("woken after another had run: exit "+fmt.Sprint(r.code), 1)
	_ = other
	return w.end(r)
}

// together has both hosts run at once; one of them may die.
func (w *world) together(ctx context.Context) error {
	a, err := w.begin(ctx, w.hosts[0])
	if err != nil {
		return err
	}
	time.Sleep(w.chance.within(500 * time.Millisecond))
	b, err := w.begin(ctx, w.hosts[1])
	if err != nil {
		a.wait(0)
		return errors.Join(err, w.end(a))
	}
	if w.chance.one(2) {
		a.wait(w.chance.within(3 * time.Second))
		w.noteKill(a, "one of two hosts")
	}
	a.wait(runLimit)
	b.wait(runLimit)
	return errors.Join(w.end(a), w.end(b))
}

// crowded has four runs at once.
func (w *world) crowded(ctx context.Context) error {
	var all []*run
	var errs []error
	for range 4 {
		r, err := w.begin(ctx, w.anyHost())
		if err != nil {
			errs = append(errs, err)
			break
		}
		all = append(all, r)
	}
	for _, r := range all {
		r.wait(runLimit)
		errs = append(errs, w.end(r))
	}
	return errors.Join(errs...)
}

// stateDir is where a host has its databases.
func (w *world) stateDir(h host) string {
	if w.kind == shared {
		return w.path("cache-" + h.name)
	}
	return w.path("state")
}

// loseDisk takes a host's state away, or that in S3.
func (w *world) loseDisk(ctx context.Context) error {
	if w.chance.one(2) {
		if err := w.killAnyTime(ctx); err != nil {
			return err
		}
	}
	w.forget()
	dir := w.stateDir(w.anyHost())
	if w.kind == shared && w.chance.one(3) {
		dir = filepath.Join(w.store.root, "state", "states")
	}
	return os.RemoveAll(dir)
}

// tear damages a database as a power cut, a full disk or a bad sector does.
func (w *world) tear(ctx context.Context) error {
	if err := w.killAnyTime(ctx); err != nil {
		return err
	}
	dir := w.stateDir(w.anyHost())
	files, err := filepath.Glob(filepath.Join(dir, "*.db"))
	if err != nil || len(files) == 0 {
		return err
	}
	file := pick(w.chance, files)
	w.forget()
	w.damaged = true
	switch w.chance.n(4) {
	case 0:
		w.tally.add("database: journal gone", 1)
		return errors.Join(gone(file+"-wal"), gone(file+"-shm"))
	case 1:
		w.tally.add("database: journal cut short", 1)
		return cutShort(w.chance, file+"-wal")
	case 2:
		w.tally.add("database: cut short", 1)
		return cutShort(w.chance, file)
	default:
		w.tally.add("database: a page lost", 1)
		return losePage(w.chance, file)
	}
}

func gone(file string) error {
	err := os.Remove(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

func cutShort(c *chance, file string) error {
	info, err := os.Stat(file)
	if errors.Is(err, os.ErrNotExist) || err == nil && info.Size() == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	return os.Truncate(file, int64(c.n(int(info.Size()))))
}

// losePage fills a page with what was never written.
func losePage(c *chance, file string) error {
	const page = 4096
	info, err := os.Stat(file)
	if err != nil || info.Size() < page {
		return err
	}
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	junk := make([]byte, page)
	if c.one(2) {
		for i := range junk {
			junk[i] = byte(c.n(256)) //nolint:gosec // below 256
		}
	}
	_, err = f.WriteAt(junk, int64(c.n(int(info.Size()/page)))*page)
	return errors.Join(err, f.Close())
}

// fillDisk leaves a run next to no room.
func (w *world) fillDisk(ctx context.Context) error {
	if !w.mounted {
		return w.undisturbed(ctx)
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(w.dir, &fs); err != nil {
		return err
	}
	free := int64(fs.Bavail) * fs.Bsize //nolint:gosec // a small disk
	ballast := free - int64(w.chance.n(1<<uint(12+w.chance.n(9))))
	if err := os.WriteFile(w.path("ballast"), make([]byte, ballast), 0o600); err != nil { // its last page may not fit
		w.tally.add("disk full to the last page", 1)
	}
	_, err := w.through(ctx, w.anyHost())
	return errors.Join(err, os.Remove(w.path("ballast")))
}

// cutNetwork takes the store away for a while during a run.
func (w *world) cutNetwork(ctx context.Context) error {
	r, err := w.begin(ctx, w.anyHost())
	if err != nil {
		return err
	}
	select {
	case <-r.done:
	case <-time.After(w.chance.within(2 * time.Second)):
	}
	w.store.line.down.Store(true)
	w.store.line.cut()
	select {
	case <-r.done:
	case <-time.After(w.chance.within(12 * time.Second)):
	}
	w.store.line.down.Store(false)
	r.wait(runLimit)
	return w.end(r)
}

// setClock has a run on a machine whose clock is off.
func (w *world) setClock(ctx context.Context) error {
	off := w.chance.within(4*time.Minute) - 2*time.Minute
	_, err := w.through(ctx, w.anyHost(), fmt.Sprintf("%s=%s", clockVar, off))
	return err
}

// recoverLimit is how long all may take to be well again.
const recoverLimit = 3 * time.Minute

// recover lets the program run in peace until nothing is left to do.
func (w *world) recover(ctx context.Context) error {
	w.rough.Store(false)
	if w.store != nil {
		w.store.line.rough.Store(0)
		w.store.line.cut()
	}
	w.age()
	began := time.Now()
	r := &recovery{world: w, ran: map[string]bool{}}
	for ctx.Err() == nil && time.Since(began) < recoverLimit {
		well, err := r.step(ctx)
		if err != nil {
			return err
		}
		if well && r.everywhere() {
			w.tally.longest("recovered after, at most", time.Since(began))
			w.damaged = false
			return nil
		}
	}
	return errors.Join(ctx.Err(), fmt.Errorf("it did not recover within %s: %s", recoverLimit, r.last))
}

// recovery is one way back to health.
type recovery struct {
	*world
	failed  int
	rebuilt bool
	ran     map[string]bool // hosts that had a run which went well
	last    string          // what was in the way
}

// everywhere says whether each host had a run: each tidies up after itself.
func (w *recovery) everywhere() bool { return len(w.ran) == len(w.hosts) }

// mostFailures is how many runs may fail in peace: what was cut off when peace
// came may be in the way of the first.
const mostFailures = 8

// step has one run, and says whether all is well.
func (w *recovery) step(ctx context.Context) (well bool, err error) {
	h := w.anyHost()
	r, err := w.through(ctx, h)
	if err != nil {
		return false, err
	}
	held := heldIn(r.out.Bytes())
	switch {
	case r.code == 4 || held != "":
		w.last = "held by another: " + held
		time.Sleep(time.Second) // the lease of a dead run has to run out
		return false, nil
	case r.code == 0:
		w.ran[h.name] = true
		w.last, err = w.left(ctx)
		if err == nil {
			return w.last == "", nil
		}
		if !w.damaged || w.rebuilt {
			return false, err
		}
		// Where a database is torn, only whoever reads there finds out.
		w.rebuilt = true
		return false, w.rebuild(ctx)
	}
	w.failed++
	w.last = fmt.Sprintf("a run ended with %d: %s %s", r.code, r.last(), failures(r.out.Bytes()))
	if w.failed > mostFailures {
		return false, fmt.Errorf("it does not recover: %s", w.last)
	}
	if w.damaged && !w.rebuilt {
		w.rebuilt = true
		return false, w.rebuild(ctx)
	}
	return false, nil
}

// rebuild does what the program advises where a state is damaged.
func (w *world) rebuild(ctx context.Context) error {
	w.tally.add("states rebuilt by hand", 1)
	w.forget()
	for range 20 {
		p, err := w.start(ctx, w.anyHost(), nil, "state", "rebuild", "--yes")
		if err != nil {
			return err
		}
		p.wait(runLimit)
		_ = w.steps(p)
		if p.code == 0 {
			return nil
		}
		if !strings.Contains(p.last(), "held") {
			return fmt.Errorf("state rebuild: %s", p.last())
		}
		time.Sleep(time.Second)
	}
	return errors.New("state rebuild: it stays held")
}

// heldIn names the sources that a report says another run held: nothing was done
// for those, which is no failure.
func heldIn(report []byte) string {
	var names []string
	for _, name := range gjson.GetBytes(report, "sources.#(held==true)#.source").Array() {
		names = append(names, name.String())
	}
	return strings.Join(names, ", ")
}

// failures are what a report says went wrong.
func failures(report []byte) string {
	var r struct {
		Sources []struct {
			Source, Error string
			Sinks         []struct{ Sink, Error string }
		}
	}
	if json.Unmarshal(report, &r) != nil {
		return ""
	}
	var all []string
	for _, s := range r.Sources {
		if s.Error != "" {
			all = append(all, s.Source+": "+s.Error)
		}
		for _, k := range s.Sinks {
			if k.Error != "" {
				all = append(all, s.Source+"/"+k.Sink+": "+k.Error)
			}
		}
	}
	return strings.Join(all, "; ")
}

// age makes files that were left half-written look as if a day had passed, after
// which the next run is to remove them.
func (w *world) age() {
	old := time.Now().Add(-48 * time.Hour)
	for _, pattern := range []string{"lake/tmp/*", "lake/raw/tmp/*", "state/tmp/*", "state/.*", "cache-*/.*", "cache-*/*.new*", "cache-*/tmp/*"} {
		files, _ := filepath.Glob(w.path(pattern)) // the patterns are well formed
		for _, f := range files {
			if strings.HasPrefix(filepath.Base(f), ".") || strings.Contains(f, "tmp/") {
				_ = os.Chtimes(f, old, old)
			}
		}
	}
}

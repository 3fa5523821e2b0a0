package crashtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/internal/segment"
	"github.com/idtrail/idtrail/load/lake"
	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/transform"
)

// verb is what an operator does to a source that was read for a while.
type verb struct {
	name string
	// age is how long after the first runs it is done.
	age time.Duration
	// before is the mapping of the first runs; nil for today's.
	before pipeline.Mapper
	do     func(ctx context.Context, p *pipeline.Pipeline, s pipeline.Source) error
	// once says that the run after the kill is all there is to do.
	once bool
	want func(n int, got *holdings) wanted
}

// wanted is where a record is to be in the end. It may be taken out, which is
// neither to be there nor to be lost.
type wanted struct{ raw, lake, siem bool }

// holdings are the records by where they are, and how often.
type holdings struct {
	raw, siem map[int]int
	lake      map[string]map[int]int // by layout
	gaps      int
}

func verbs() []verb {
	return []verb{
		{name: "backfill", age: time.Hour, do: backfill, want: func(n int, _ *holdings) wanted {
			there := n >= pastLost
			return wanted{there, there, there}
		}},
		{name: "replay", age: time.Hour, before: &older{}, do: replay, want: since},
		{name: "prune", age: 60 * 24 * time.Hour, do: prune, want: func(n int, _ *holdings) wanted {
			return wanted{raw: n >= pastEnd, lake: n >= midnight, siem: n >= pastSince}
		}},
		{name: "erase", age: time.Hour, do: erase, want: func(n int, _ *holdings) wanted {
			w := wanted{raw: n >= pastSince && !isPersons(n), siem: n >= pastSince}
			w.lake = w.raw
			return w
		}},
		{name: "set-cursor", age: time.Hour, do: setCursor, once: true, want: func(n int, got *holdings) wanted {
			if n >= pastEnd && n < pastEnd+pastPage && got.gaps > 0 {
				return wanted{}
			}
			return since(n, got)
		}},
	}
}

func since(n int, _ *holdings) wanted { return wanted{n >= pastSince, n >= pastSince, n >= pastSince} }

func backfill(ctx context.Context, p *pipeline.Pipeline, s pipeline.Source) error {
	r, err := p.Backfill(ctx, s, pipeline.BackfillOptions{From: start, To: minute(midnight), Slice: 30 * time.Minute})
	if err == nil && !r.Done {
		err = errors.New("the back-fill did not come to its end")
	}
	return errors.Join(err, failures([]pipeline.SourceReport{r.SourceReport}))
}

func replay(ctx context.Context, p *pipeline.Pipeline, s pipeline.Source) error {
	_, err := p.Replay(ctx, s, pipeline.ReplayOptions{})
	return err
}

func prune(ctx context.Context, p *pipeline.Pipeline, s pipeline.Source) error {
	_, err := p.Prune(ctx, s, pipeline.PruneOptions{
		RawBefore: p.Now().Add(-pipeline.LeastRawAge), LakeBefore: start.Truncate(24*time.Hour).AddDate(0, 0, 1), Reason: "retention",
	})
	return err
}

func erase(ctx context.Context, p *pipeline.Pipeline, s pipeline.Source) error {
	_, err := p.Erase(ctx, s, pipeline.EraseOptions{Names: []string{person}, Key: []byte("k"), Reason: "asked for"})
	return err
}

func setCursor(ctx context.Context, p *pipeline.Pipeline, s pipeline.Source) error {
	_, err := p.SetCursor(ctx, s, pipeline.CursorMove{Cursor: encode(pastCursor{At: pastEnd + pastPage}), Reason: "the vendor says so"})
	return err
}

// first are the runs before: two, as flushes of two are more than one.
func (v *verb) first(ctx context.Context, l *line) error {
	mapper := v.before
	if mapper == nil {
		mapper = &transform.Mapper{}
	}
	for i, end := range []int{pastFirst, pastEnd} {
		if err := l.runPast(ctx, minute(pastEnd).Add(time.Duration(i)*2*time.Hour), past{end}.source(mapper)); err != nil {
			return err
		}
	}
	return nil
}

func (v *verb) time() time.Time { return minute(pastEnd).Add(3*time.Hour + v.age) }

func (v *verb) run(ctx context.Context, l *line, at time.Time, end int) error {
	l.forks.RLock()
	defer l.forks.RUnlock()
	p, err := l.pipeline(at)
	if err != nil {
		return err
	}
	return v.do(ctx, p, past{end}.source(&transform.Mapper{}))
}

func (l *line) runPast(ctx context.Context, at time.Time, s pipeline.Source) error {
	l.forks.RLock()
	defer l.forks.RUnlock()
	p, err := l.pipeline(at)
	if err != nil {
		return err
	}
	return failures(p.Run(ctx, []pipeline.Source{s}).Sources)
}

// childOfVerb is the process that is killed amid the verb, not before it.
func childOfVerb(ctx context.Context, l *line, name string, step func()) error {
	i := slices.IndexFunc(verbs(), func(v verb) bool { return v.name == name })
	if i < 0 {
		return fmt.Errorf("there is no %s", name)
	}
	v := verbs()[i]
	l.step = func() {}
	if err := v.first(ctx, l); err != nil {
		return err
	}
	l.step = step
	return v.run(ctx, l, v.time(), pastEnd)
}

// TestVerbs kills what an operator does, back-fill, replay, prune, erase and
// set-cursor, at step 1, 2, 3, … of each, on stores of its own. An ordinary run
// follows, in every second round with the state lost, and the same verb again;
// after each, raw, lake and notes are verified.
func TestVerbs(t *testing.T, s Stores) {
	t.Helper()
	s.forks = &sync.RWMutex{}
	for i, v := range verbs() {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			steps := v.countSteps(t, s, i)
			t.Logf("%d steps", steps)
			for at := int64(1); at <= steps; at += max(s.Every, 1) {
				t.Run(fmt.Sprintf("step %d", at), func(t *testing.T) {
					t.Parallel()
					v.round(t, s, at, (i+1)<<12+int(at))
				})
			}
		})
	}
}

// Unkilled lets what an operator does come to its end, and verifies as TestVerbs
// does: an ordinary run follows, and the same again. name is that of a verb.
func Unkilled(t *testing.T, s Stores, name string) {
	t.Helper()
	for _, v := range verbs() {
		if v.name != name {
			continue
		}
		_, _, l := s.stores(t, 1)
		later := v.time().Add(2 * time.Hour)
		for _, do := range []func() error{
			func() error { return v.first(t.Context(), l) },
			func() error { return v.run(t.Context(), l, v.time(), pastEnd) },
			func() error { return l.runPast(t.Context(), later, past{pastGrown}.source(&transform.Mapper{})) },
			func() error { return v.run(t.Context(), l, later.Add(2*time.Hour), pastGrown) },
		} {
			if err := do(); err != nil {
				t.Fatal(err)
			}
			verifyEvidence(t, l.raw, l.lake)
		}
		v.verify(t, l, false)
		return
	}
	t.Fatalf("there is no %s", name)
}

// stores opens what a round works on.
func (s Stores) stores(t *testing.T, round int) (dir, spec string, l *line) {
	t.Helper()
	dir = t.TempDir()
	if s.Spec != nil {
		spec = s.Spec(t, round)
	}
	raw, lakeStore, err := s.Open(t.Context(), dir, spec)
	if err != nil {
		t.Fatal(err)
	}
	l = newLine(dir, raw, lakeStore, func() {})
	if s.forks != nil {
		l.forks = s.forks
	}
	return dir, spec, l
}

func (v *verb) countSteps(t *testing.T, s Stores, number int) int64 {
	t.Helper()
	_, _, l := s.stores(t, (number+1)<<12)
	if err := v.first(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	var n atomic.Int64
	l.step = func() { n.Add(1) }
	if err := v.run(t.Context(), l, v.time(), pastEnd); err != nil {
		t.Fatal(err)
	}
	return n.Load()
}

func (v *verb) round(t *testing.T, s Stores, at int64, number int) {
	t.Helper()
	dir, spec, l := s.stores(t, number)
	out, killed := startChild(t, []string{envVerb + "=" + v.name, envStep + "=" + strconv.FormatInt(at, 10), envDir + "=" + dir, envStores + "=" + spec}, l.forks)
	if !killed {
		t.Fatalf("%s was not killed: %s", v.name, out)
	}
	verifyEvidence(t, l.raw, l.lake)
	noted := len(keys(t, l.lake, "manifests/"+pastName+"/"+v.name+"-")) > 0
	lost := at%2 == 0
	if lost {
		if err := os.RemoveAll(filepath.Join(dir, "state")); err != nil {
			t.Fatal(err)
		}
	}
	later := v.time().Add(2 * time.Hour)
	if err := l.runPast(t.Context(), later, past{pastGrown}.source(&transform.Mapper{})); err != nil {
		t.Fatalf("the run after the kill: %v", err)
	}
	verifyEvidence(t, l.raw, l.lake)
	for layout, suffix := range layouts {
		heldByLake(t, l.lake, layout, suffix) // what was begun is completed
	}
	if v.name == "erase" && noted || v.once {
		v.verify(t, l, lost)
	}
	if !v.once {
		if err := v.run(t.Context(), l, later.Add(2*time.Hour), pastGrown); err != nil {
			t.Fatalf("%s again: %v", v.name, err)
		}
		if err := l.runPast(t.Context(), later.Add(5*time.Hour), past{pastGrown}.source(&transform.Mapper{})); err != nil {
			t.Fatalf("the last run: %v", err)
		}
		verifyEvidence(t, l.raw, l.lake)
		v.verify(t, l, lost)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "temp", "*")); len(left) > 0 {
		t.Errorf("temporary files left: %v", left)
	}
}

// verify checks where each record is.
func (v *verb) verify(t *testing.T, l *line, lost bool) {
	t.Helper()
	if left := keys(t, l.lake, "staged/"); len(left) > 0 {
		t.Errorf("left aside: %v", left)
	}
	got := hold(t, l)
	repeated := 0
	for n := range pastGrown {
		want := v.want(n, got)
		wantTimes(t, "raw", n, got.raw[n], want.raw)
		for layout, there := range got.lake {
			wantTimes(t, layout, n, there[n], want.lake)
		}
		if want.siem && got.siem[n] == 0 {
			t.Errorf("the sink of events lacks record %d", n)
		}
		repeated += max(got.siem[n]-1, 0)
	}
	if repeated > siemRequest && !lost {
		t.Errorf("%d events came twice, more than were in flight", repeated)
	}
}

func wantTimes(t *testing.T, where string, n, got int, want bool) {
	t.Helper()
	if got > 1 || want != (got == 1) {
		t.Errorf("%s: record %d is there %d times, want it there: %v", where, n, got, want)
	}
}

// hold reads all that is there.
func hold(t *testing.T, l *line) *holdings {
	t.Helper()
	got := &holdings{raw: map[int]int{}, siem: map[int]int{}, lake: map[string]map[int]int{}}
	for seq, err := range segment.List(t.Context(), l.raw, pastName, 0) {
		if err != nil {
			t.Fatal(err)
		}
		seg, err := segment.Read(t.Context(), l.raw, pastName, seq)
		if err != nil {
			t.Fatal(err)
		}
		got.gaps += len(seg.Header.Gaps)
		for rec := range seg.Records() {
			if rec.Kind != schema.KindErased {
				got.raw[number(rec.Kind.ID(rec.Line))]++
			}
		}
	}
	for layout, suffix := range layouts {
		got.lake[layout] = heldByLake(t, l.lake, layout, suffix)
	}
	text, err := os.ReadFile(siemFile(l.dir))
	if err != nil {
		t.Fatal(err)
	}
	for uid := range strings.FieldsSeq(strings.ReplaceAll(string(text), pastName+" ", "")) {
		if strings.HasPrefix(uid, logID(0)[:10]) {
			got.siem[number(uid)]++
		}
	}
	return got
}

// layouts are the sinks of the lake, and what their tables' names end in.
var layouts = map[string]string{"lake": "", "json": "_json"}

// heldByLake are the events of the objects that completed flushes name; every
// object is of one.
func heldByLake(t *testing.T, store blob.Store, sink, suffix string) map[int]int {
	t.Helper()
	held := map[int]int{}
	named := map[string]bool{}
	for r, err := range lake.Open(store).Flushes(t.Context(), sink, pastName) {
		if err != nil || r.State != lake.StateCompleted || len(r.Pruning) > 0 {
			t.Fatalf("flush %d of %s is %s, %d objects to be pruned, %v", r.From, sink, r.State, len(r.Pruning), err)
		}
		for _, o := range r.Objects {
			named[o.Key] = !o.Pruned
		}
	}
	for _, table := range []string{"events", "rejected"} {
		for _, key := range keys(t, store, table+suffix+"/") {
			if !named[key] {
				t.Errorf("%s is in no flush record", key)
			}
			if table == "events" {
				for _, uid := range rows(t, store, key, func(e schema.Event) string { return e.Metadata.UID }) {
					held[number(uid)]++
				}
			}
			delete(named, key)
		}
	}
	for key, there := range named {
		if there && (strings.HasPrefix(key, "events") || strings.HasPrefix(key, "rejected")) {
			t.Errorf("%s is missing", key)
		}
	}
	return held
}

func keys(t *testing.T, store blob.Store, prefix string) (keys []string) {
	t.Helper()
	for info, err := range store.List(t.Context(), prefix, "") {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, info.Key)
	}
	return keys
}

// number is the record that an id is of.
func number(id string) int {
	n, err := strconv.Atoi(strings.TrimLeft(strings.TrimPrefix(id, "900"), "0"))
	if err != nil {
		return 0
	}
	return n
}

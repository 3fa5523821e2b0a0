package pipeline_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/blob/blobtest"
	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/load/lake"
	"github.com/idtrail/idtrail/state"
)

// zombie is a rig whose state is shared, and which can be made to sleep through
// the end of its lease.
type zombie struct {
	*rig
	slept atomic.Int64
}

func (z *zombie) sleep() { z.slept.Store(int64(2 * time.Minute)) }

func (z *zombie) shared(t *testing.T) *pipeline.Pipeline {
	t.Helper()
	p := z.pipeline()
	p.State = state.Shared(state.SharedOptions{
		Store: blobtest.NewMemory(), Dir: filepath.Join(t.TempDir(), "cache"), Owner: state.Owner{Host: "one", PID: os.Getpid()},
		Now: func() time.Time { return time.Now().Add(time.Duration(z.slept.Load())) },
	})
	return p
}

func fencedLake(r *rig) load.Sink {
	o := r.lakeOptions("lake")
	o.Store = blob.Fenced(r.lake)
	return lake.NewParquet(o)
}

// A run that wakes up after its lease has ended lands nothing, flushes nothing,
// sends nothing, signs nothing, and says why.
func TestAZombieWritesNothing(t *testing.T) {
	for name, at := range map[string]string{
		"while it reads":            "segment.encoded",
		"before it delivers":        "run.noted",
		"amid a flush":              "flush.planned",
		"before it moves":           "flush.written",
		"behind what is sent first": "position.moved",
	} {
		t.Run(name, func(t *testing.T) {
			z := &zombie{rig: newRig(t)}
			got := &receiver{size: 5}
			z.sinks = []pipeline.Sink{z.parquetSink("lake"), got.sink()}
			z.sinks[0].Sink = fencedLake(z.rig)
			src := &script{name: "acme", pages: logPages(4, 30)}
			slept, raw, lakeThen, gotThen := 0, 0, 0, 0
			z.trace = func(step string) {
				if step != at {
					return
				}
				if slept++; slept > 1 && at == "segment.encoded" || slept == 1 && at != "segment.encoded" {
					z.sleep()
					got.mu.Lock()
					raw, lakeThen, gotThen = len(keysOf(t, z.raw, "")), len(keysOf(t, z.lake, "")), len(got.got)
					got.mu.Unlock()
				}
			}
			p := z.shared(t)
			p.Trace = z.trace
			rep := p.Run(t.Context(), []pipeline.Source{z.source(src)}).Sources[0]
			wantError(t, rep.Err, state.ErrLost, "acme")
			if n := len(keysOf(t, z.raw, "")); n != raw || raw == 0 {
				t.Errorf("raw has %d objects, had %d", n, raw)
			}
			if n := len(keysOf(t, z.lake, "")); n != lakeThen {
				t.Errorf("the lake has %d objects, had %d", n, lakeThen)
			}
			// A request that was under way by then may still arrive.
			if n := len(got.got); n > gotThen+2*got.size {
				t.Errorf("the receiver has %d, had %d", n, gotThen)
			}
		})
	}
}

// Where the local file and its copy are lost, the shared state still knows how
// far raw went.
func TestRawCutOffBehindALostCopy(t *testing.T) {
	for name, kept := range map[string]int{"emptied": 0, "truncated": 2} {
		t.Run(name, func(t *testing.T) {
			r, store := newRig(t), blobtest.NewMemory()
			src := &script{name: "acme", pages: logPages(4, 100)}
			run := func() pipeline.SourceReport {
				p := r.pipeline()
				p.State = state.Shared(state.SharedOptions{
					Store: store, Dir: filepath.Join(t.TempDir(), "cache"), Owner: state.Owner{Host: "one", PID: os.Getpid()}, Now: time.Now,
				})
				return p.Run(t.Context(), []pipeline.Source{r.source(src)}).Sources[0]
			}
			if rep := run(); rep.Err != nil || rep.Landed != 400 {
				t.Fatalf("landed %d: %v", rep.Landed, rep.Err)
			}
			for _, key := range keysOf(t, store, "acme/") {
				if err := store.Delete(t.Context(), key); err != nil {
					t.Fatal(err)
				}
			}
			for _, key := range keysOf(t, r.raw, "")[kept:] {
				if err := r.raw.Delete(t.Context(), key); err != nil {
					t.Fatal(err)
				}
			}
			if rep := run(); rep.Err == nil || !strings.Contains(rep.Err.Error(), "raw lacks that one") {
				t.Errorf("got error %v, want one about what raw lacks", rep.Err)
			}
			if n := len(keysOf(t, r.raw, "")); n != kept {
				t.Errorf("raw has %d segments, want %d: nothing may be landed", n, kept)
			}
		})
	}
}

package pipeline_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/blob/blobtest"
	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/state"
)

// Two states over one lake: the one that knows something and comes second is
// refused, and changes nothing.
func TestAForeignLakeIsRefused(t *testing.T) {
	r := newRig(t)
	src := &script{name: "acme", pages: logPages(3, 30)}
	r.mustRun(src)
	other := newRig(t)
	other.mustRun(src) // on a lake of its own
	other.raw, other.lake = r.raw, r.lake
	before := len(keysOf(t, r.raw, "")) + len(keysOf(t, r.lake, ""))
	src.pages = logPages(4, 30)
	rep := other.run(src)
	wantError(t, rep.Err, pipeline.ErrForeign, "local:", "--take-over")
	if after := len(keysOf(t, r.raw, "")) + len(keysOf(t, r.lake, "")); after != before || rep.Landed != 0 {
		t.Errorf("a refused run wrote: %d objects, were %d", after, before)
	}
	pair := other.pipeline().Reconcile(t.Context(), []pipeline.Reconcile{{Left: other.source(src), Right: other.source(src)}})
	wantError(t, pair[0].Err, pipeline.ErrForeign)
	_, err := other.pipeline().Backfill(t.Context(), other.source(src), span(0, 10))
	wantError(t, err, pipeline.ErrForeign)
	if _, err := other.pipeline().Status(t.Context(), []pipeline.Source{other.source(src)}); err != nil {
		t.Errorf("status of a foreign state: %v", err)
	}
	r.mustRun(src)
	r.wantIDs(120)
}

// What a state knows of sources that a run leaves alone counts, too: a new source
// alone takes no lake.
func TestANewSourceTakesNoLake(t *testing.T) {
	r, other := newRig(t), newRig(t)
	src := &script{name: "acme", pages: logPages(3, 30)}
	r.mustRun(src)
	other.mustRun(src) // on a lake of its own
	other.raw, other.lake = r.raw, r.lake
	wantError(t, other.run(&script{name: "trail"}).Err, pipeline.ErrForeign, "--take-over")
}

// So it is with states that are shared.
func TestASharedStateThatKnowsOthersTakesNoLake(t *testing.T) {
	for _, knows := range []bool{false, true} {
		r, states := newRig(t), blobtest.NewMemory()
		src := &script{name: "acme", pages: logPages(3, 30)}
		r.mustRun(src)
		run := func(raw, lake blob.Store, src *script) error {
			p := r.pipeline()
			p.Raw, p.Lake = raw, lake
			p.State = state.Shared(state.SharedOptions{Store: states, Dir: t.TempDir(), Owner: state.Owner{Host: "one"}, Now: time.Now})
			return p.Run(t.Context(), []pipeline.Source{r.source(src)}).Sources[0].Err
		}
		if knows {
			if err := run(blobtest.NewMemory(), blobtest.NewMemory(), src); err != nil {
				t.Fatal(err)
			}
		}
		err := run(r.raw, r.lake, &script{name: "trail"})
		if errors.Is(err, pipeline.ErrForeign) != knows || !knows && err != nil {
			t.Errorf("knows of another source: %v, got %v", knows, err)
		}
	}
}

// A state that knows nothing takes the lake over, and the one that had it is
// refused from then on.
func TestALostDiskTakesTheLakeOver(t *testing.T) {
	r := newRig(t)
	src := &script{name: "acme", pages: logPages(3, 30)}
	r.mustRun(src)
	moved := newRig(t)
	moved.raw, moved.lake = r.raw, r.lake
	src.pages = logPages(4, 30)
	if rep := moved.mustRun(src); rep.Adopted == 0 || rep.Landed != 30 {
		t.Errorf("adopted %d, landed %d; want the chain, and 30", rep.Adopted, rep.Landed)
	}
	wantError(t, r.run(src).Err, pipeline.ErrForeign)
	if err := r.pipeline().TakeOver(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.mustRun(src)
	wantError(t, moved.run(src).Err, pipeline.ErrForeign)
	if err := os.RemoveAll(r.dir); err != nil {
		t.Fatal(err)
	}
	r.mustRun(src)
	r.wantIDs(120)
}

func TestAnOwnerOfANewerFormat(t *testing.T) {
	r := newRig(t)
	if _, err := r.lake.PutNew(t.Context(), "owner.json", strings.NewReader(`{"format":2,"state":"x"}`)); err != nil {
		t.Fatal(err)
	}
	rep := r.run(&script{name: "acme"})
	wantError(t, rep.Err, nil, "owner.json", "newer")
}

// Once the fence of a context is down, nothing is written through the store.
func TestAFenceKeepsWritesBack(t *testing.T) {
	var down error
	ctx := blob.WithFence(t.Context(), func() error { return down })
	for name, store := range map[string]blob.Store{"memory": newRig(t).raw, "directory": openDir(t)} {
		down = nil
		s := blob.Fenced(store)
		info, err := s.PutNew(ctx, "a", strings.NewReader("1"))
		if err != nil {
			t.Fatal(err)
		}
		down = errors.New("host two took it")
		_, put := s.PutNew(ctx, "b", strings.NewReader("1"))
		_, match := s.PutMatch(ctx, "a", info.ETag, strings.NewReader("2"))
		if err := errors.Join(put, match, s.Delete(ctx, "a")); !errors.Is(put, down) || !errors.Is(match, down) || !errors.Is(err, down) {
			t.Errorf("%s: got %v", name, err)
		}
		if keys := keysOf(t, s, ""); len(keys) != 1 {
			t.Errorf("%s: %v", name, keys)
		}
		if _, reads := store.(blob.ReaderAt); reads {
			if _, still := s.(blob.ReaderAt); !still {
				t.Errorf("%s cannot be read at an offset any more", name)
			}
		}
		if _, err := s.PutNew(context.Background(), "c", strings.NewReader("1")); err != nil {
			t.Errorf("%s: without a fence: %v", name, err)
		}
	}
}

func openDir(t *testing.T) blob.Store {
	t.Helper()
	s, err := blob.OpenDir(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

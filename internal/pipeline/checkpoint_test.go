package pipeline_test

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/blob/blobtest"
	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/internal/proof"
	"github.com/idtrail/idtrail/internal/segment"
	"github.com/idtrail/idtrail/schema"
)

// notes reads the checkpoints of source acme, and checks that each names the one
// before.
func (r *rig) notes(store blob.Store) []*proof.Checkpoint {
	r.t.Helper()
	var list []*proof.Checkpoint
	previous := ""
	for info, err := range store.List(r.t.Context(), proof.Prefix("acme"), "") {
		if err != nil {
			r.t.Fatal(err)
		}
		text, _, err := (proof.Verifier{}).Open(objectOf(r.t, store, info.Key))
		if err != nil && !errors.Is(err, proof.ErrUnsigned) && !errors.Is(err, proof.ErrKey) {
			r.t.Fatal(err)
		}
		c, err := proof.ParseCheckpoint(text)
		if err != nil {
			r.t.Fatal(err)
		}
		if c.Previous != previous || c.Number != int64(len(list)+1) || info.Key != proof.Key("acme", c.Number) {
			r.t.Errorf("checkpoint %d in %s does not follow the one before", c.Number, info.Key)
		}
		previous = c.Hash()
		list = append(list, c)
	}
	return list
}

func objectOf(t *testing.T, store blob.Store, key string) []byte {
	t.Helper()
	body, _, err := store.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = body.Close() }()
	var b bytes.Buffer
	if _, err := b.ReadFrom(body); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// wantListed checks that the checkpoints list everything that is in raw and in
// the lake, once.
func (r *rig) wantListed(list []*proof.Checkpoint) {
	r.t.Helper()
	var all proof.Checkpoint
	for _, c := range list {
		all.Segments = append(all.Segments, c.Segments...)
		all.GapList = append(all.GapList, c.GapList...)
		all.Flushes = append(all.Flushes, c.Flushes...)
	}
	var want proof.Checkpoint
	for seq, err := range segment.List(r.t.Context(), r.raw, "acme", 0) {
		if err != nil {
			r.t.Fatal(err)
		}
		seg, err := segment.Read(r.t.Context(), r.raw, "acme", seq)
		if err != nil {
			r.t.Fatal(err)
		}
		file := proof.HashText(string(objectOf(r.t, r.raw, segment.Key("acme", seq))))
		want.Segments = append(want.Segments, proof.Segment{Seq: seq, Header: seg.SHA256, File: file, Count: seg.Header.Count, Bytes: seg.Header.Bytes})
		want.GapList = append(want.GapList, proof.GapsOf(seq, seg.Header.Gaps)...)
		want.Records += seg.Header.Count
		want.Head, want.HeadHash = seq, seg.SHA256
	}
	for info, err := range r.lake.List(r.t.Context(), "flushes/", "") {
		if err != nil {
			r.t.Fatal(err)
		}
		want.Flushes = append(want.Flushes, proof.Flush{Record: proof.HashText(string(objectOf(r.t, r.lake, info.Key)))})
	}
	got := proof.Checkpoint{Segments: all.Segments, GapList: all.GapList}
	for _, f := range all.Flushes {
		got.Flushes = append(got.Flushes, proof.Flush{Record: f.Record})
	}
	if n := len(list); n > 0 {
		last := list[n-1]
		got.Records, got.Head, got.HeadHash = last.Records, last.Head, last.HeadHash
		if last.Gaps != int64(len(want.GapList)) {
			r.t.Errorf("%d gaps in all, want %d", last.Gaps, len(want.GapList))
		}
	}
	less := cmpopts.SortSlices(func(a, b proof.Flush) bool { return a.Record < b.Record })
	if diff := cmp.Diff(want, got, less, cmpopts.EquateEmpty()); diff != "" {
		r.t.Errorf("listed (-want +got):\n%s", diff)
	}
}

func withSigner(t *testing.T, p *pipeline.Pipeline) {
	t.Helper()
	private, public, err := proof.GenerateKey("acme.example")
	if err != nil {
		t.Fatal(err)
	}
	if p.Signer, err = proof.NewSigner(private); err != nil {
		t.Fatal(err)
	}
	if p.Keys, err = proof.NewVerifier(public); err != nil {
		t.Fatal(err)
	}
}

func TestCheckpointsListWhatIsNew(t *testing.T) {
	r := newRig(t)
	r.sinks = []pipeline.Sink{r.parquetSink("lake"), r.jsonSink()}
	src := &script{name: "acme", identity: "acme corp", pages: logPages(4, 60)}
	src.pages[2].Gaps = []schema.Gap{{From: day0.Add(123456 * time.Nanosecond), To: day0.Add(time.Hour), Reason: "gone"}}
	p := r.pipeline()
	withSigner(t, p)
	run := func() {
		t.Helper()
		if rep := p.Run(t.Context(), []pipeline.Source{r.source(src)}).Sources[0]; rep.Failed() {
			t.Fatal(rep.Err)
		}
	}
	run()
	r.wantListed(r.notes(r.lake))
	run()
	if n := len(r.notes(r.lake)); n != 1 {
		t.Errorf("%d checkpoints, want none where nothing is new", n)
	}
	src.pages = append(src.pages, logPages(6, 60)[4:]...)
	r.clock.skip(2 * time.Hour)
	run()
	list := r.notes(r.lake)
	if r.wantListed(list); len(list) != 2 || list[1].Identity != "acme corp" || list[1].Kind != "script" {
		t.Errorf("%d checkpoints, %+v", len(list), list[len(list)-1])
	}
	if _, signer, err := p.Keys.Open(objectOf(t, r.lake, proof.Key("acme", 2))); err != nil || signer != "acme.example" {
		t.Errorf("signed by %q, %v", signer, err)
	}
}

// What does not fit into one goes to the next; without a key, it is not signed;
// notes may have a store of their own.
func TestManyCheckpointsElsewhere(t *testing.T) {
	r := newRig(t)
	src := &script{name: "acme", pages: logPages(1, proof.MaxEntries+30)}
	p := r.pipeline()
	p.Limits.SegmentRecords, p.Limits.SegmentBytes = 1, 1
	p.Manifests = blobtest.NewMemory()
	if rep := p.Run(t.Context(), []pipeline.Source{r.source(src)}).Sources[0]; rep.Failed() {
		t.Fatal(rep.Err)
	}
	list := r.notes(p.Manifests)
	if r.wantListed(list); len(list) != 2 || r.lakeObjects() != 0 {
		t.Errorf("%d checkpoints, want 2, and nothing in the lake", len(list))
	}
}

// Whatever is lost of a checkpoint's way, the chain goes on, and lists all.
func TestCheckpointsSurvive(t *testing.T) {
	lost := errors.New("connection lost")
	written := false
	for name, c := range map[string]struct {
		before, after func(op, key string) error
		loseState     bool
		fails         bool
	}{
		"request lost": {before: failNote(lost, 1), fails: true},
		"answer lost":  {after: failNote(lost, 1)},
		"written, and not known to be": {before: func(op, key string) error {
			if written && op == blobtest.OpGet {
				return lost
			}
			return nil
		}, after: func(op, key string) error {
			if op == blobtest.OpPutNew && strings.HasPrefix(key, "manifests/") {
				written = true
				return lost
			}
			return nil
		}, fails: true},
		"state lost": {loseState: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			whole := r.lake
			r.sinks = []pipeline.Sink{r.parquetSink("lake")}
			src := &script{name: "acme", pages: logPages(3, 60)}
			r.lake = &blobtest.Faulty{Store: whole, Before: c.before, After: c.after}
			if failed := r.run(src).Failed(); failed != c.fails {
				t.Errorf("failed: %v, want %v", failed, c.fails)
			}
			r.lake = whole
			if c.loseState {
				if err := os.RemoveAll(r.dir); err != nil {
					t.Fatal(err)
				}
			}
			src.pages = logPages(6, 60)
			r.clock.skip(2 * time.Hour)
			r.mustRun(src)
			r.mustRun(src)
			list := r.notes(r.lake)
			if r.wantListed(list); len(list) > 2 {
				t.Errorf("%d checkpoints, want no more than 2", len(list))
			}
		})
	}
}

func failNote(err error, times int) func(op, key string) error {
	return func(op, key string) error {
		if op == blobtest.OpPutNew && strings.HasPrefix(key, "manifests/") && times > 0 {
			times--
			return err
		}
		return nil
	}
}

// Who removes or alters the last checkpoint is told on once, and the chain goes
// on with what was written.
func TestACheckpointThatIsGone(t *testing.T) {
	r := newRig(t)
	src := &script{name: "acme", pages: logPages(3, 60)}
	r.mustRun(src)
	if err := r.lake.Delete(t.Context(), proof.Key("acme", 1)); err != nil {
		t.Fatal(err)
	}
	src.pages = logPages(6, 60)
	wantError(t, r.run(src).Err, nil, proof.Key("acme", 1), "not there any more")
	src.pages = logPages(7, 60)
	r.mustRun(src)
	text, _, _ := (proof.Verifier{}).Open(objectOf(t, r.lake, proof.Key("acme", 2)))
	c, err := proof.ParseCheckpoint(text)
	if err != nil || c.Previous == "" || c.Records != 360 {
		t.Errorf("the next one is %+v, %v; want it to name the one that is gone, and 360 records", c, err)
	}
}

// A state that was lost does not hide that raw was cut off.
func TestACheckpointKnowsMoreThanRaw(t *testing.T) {
	r := newRig(t)
	r.mustRun(&script{name: "acme", pages: logPages(3, 100)})
	mustDelete(t, r, 3)
	if err := os.RemoveAll(r.dir); err != nil {
		t.Fatal(err)
	}
	wantError(t, r.run(&script{name: "acme", pages: logPages(3, 100)[:2]}).Err, nil, "checkpoint 1 says that segment 3")
}

// listing counts how often a store is listed.
type listing struct {
	blob.Store
	lists int
}

func (s *listing) List(ctx context.Context, prefix, after string) iter.Seq2[blob.Info, error] {
	s.lists++
	return s.Store.List(ctx, prefix, after)
}

// A run looks for what its checkpoint is to list once, whether or not there is
// anything: each list is a request that costs.
func TestACheckpointListsChangesOnce(t *testing.T) {
	r := newRig(t)
	lake := &listing{Store: r.lake}
	r.lake = lake
	src := &script{name: "acme", pages: logPages(1, 10)}
	r.mustRun(src)
	for _, more := range []int{1, 0} {
		src.pages = append(src.pages, logPages(2, 10)[1:][:more]...)
		before := lake.lists
		if rep := r.mustRun(src); rep.Segments != int64(more) {
			t.Fatalf("landed %d segments, want %d", rep.Segments, more)
		}
		if n := lake.lists - before; n != 1 {
			t.Errorf("%d lists of a run that landed %d segments, want 1", n, more)
		}
	}
	r.wantListed(r.notes(lake.Store))
}

// Where everything is to be listed again, by a state that was made from a copy,
// raw itself says what the index does not.
func TestCheckpointsAreWrittenAnew(t *testing.T) {
	r := newRig(t)
	src := &script{name: "acme", pages: logPages(4, 100)}
	r.mustRun(src)
	for _, key := range keysOf(t, r.lake, proof.Prefix("acme")) {
		if err := r.lake.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	r.forgetHashes(`seq < 4; DELETE FROM checkpoint`)
	src.pages = logPages(5, 100)
	r.mustRun(src)
	r.wantListed(r.notes(r.lake))
}

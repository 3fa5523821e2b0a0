package pipeline_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/internal/blob/blobtest"
	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/internal/segment"
	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/state"
)

func TestLandOnce(t *testing.T) {
	r := newRig(t)
	src := &script{name: "acme", pages: logPages(7, 33)}
	rep := r.mustRun(src)
	if rep.Landed != 231 || rep.Segments != 3 || !rep.Drained {
		t.Errorf("got %d records in %d segments, drained %v; want 231 in 3, drained", rep.Landed, rep.Segments, rep.Drained)
	}
	r.wantIDs(231)

	again := r.mustRun(src)
	if again.Read != 0 || again.Segments != 0 {
		t.Errorf("a second run read %d records into %d segments, want none", again.Read, again.Segments)
	}
	src.pages = append(src.pages, logPages(8, 33)[7])
	if more := r.mustRun(src); more.Landed != 33 {
		t.Errorf("a grown source landed %d, want 33", more.Landed)
	}
	r.wantIDs(264)
}

func TestRepeatedRecordsAreLandedOnce(t *testing.T) {
	r := newRig(t)
	pages := logPages(6, 40)
	pages[1].Records = append(pages[1].Records, pages[1].Records[3], pages[0].Records[0]) // in a page, and across pages
	src := &script{name: "acme", pages: pages[:4], back: 2}
	if rep := r.mustRun(src); rep.Landed != 160 || rep.Repeated != 2 {
		t.Errorf("landed %d, repeated %d, want 160 and 2", rep.Landed, rep.Repeated)
	}
	src.pages = pages
	if rep := r.mustRun(src); rep.Landed != 80 || rep.Repeated != 80 {
		t.Errorf("with an overlap: landed %d, repeated %d, want 80 and 80", rep.Landed, rep.Repeated)
	}
	r.wantIDs(240)
}

func TestPageLargerThanASegment(t *testing.T) {
	r := newRig(t)
	src := &script{name: "acme", pages: logPages(2, 500)}
	p := r.pipeline()
	p.Limits.SegmentBytes = 10 << 10
	rep := p.Run(t.Context(), []pipeline.Source{r.source(src)}).Sources[0]
	if rep.Err != nil || rep.Segments < 10 {
		t.Fatalf("got %d segments, error %v; want many", rep.Segments, rep.Err)
	}
	r.wantIDs(1000)
}

func TestOddRecordsAreLanded(t *testing.T) {
	odd := []string{
		`{"log_id":1234567890123456789012,"type":"s"}`, `not json`, `{"log_id":"cut`, `42`, `"text"`, `null`, `[]`, ``,
		"{\"log_id\":\"utf8\",\"user_name\":\"\xff\xfe\"}", "\xff\x00 garbage", "{\n  \"log_id\" : \"pretty\"\n}",
		`{"type":"no id"}`, `{"type":"no id"}`, `{"type":"no id", "n":1}`,
	}
	page := extract.Page{}
	for _, o := range odd {
		page.Records = append(page.Records, schema.Raw{Kind: schema.KindAuth0Log, Bytes: []byte(o)})
	}
	page.Records = append(page.Records, schema.Raw{Kind: schema.KindAuth0Log, Bytes: []byte(`{"log_id":"tail`), Fault: "the file ends here"})
	r := newRig(t)
	rep := r.mustRun(&script{name: "acme", pages: []extract.Page{page}})
	if rep.Landed != int64(len(page.Records))-1 || rep.Repeated != 1 {
		t.Errorf("landed %d and repeated %d of %d, want all but the one that is the same", rep.Landed, rep.Repeated, len(page.Records))
	}
	seg, err := segment.Read(t.Context(), r.raw, "acme", 1)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for rec := range seg.Records() {
		lines = append(lines, string(rec.Kind)+" "+string(rec.Line))
	}
	all := strings.Join(lines, "\n")
	for _, want := range []string{
		`auth0_log {"log_id":1234567890123456789012,"type":"s"}`, `auth0_log {"log_id":"pretty"}`, "\xff\xfe",
		`"text":"not json"`, `"reason":"the file ends here"`, `"base64":"`,
	} {
		if !strings.Contains(all, want) {
			t.Errorf("raw lacks %q in\n%s", want, all)
		}
	}
}

func TestPagesBeforeAFailureAreLanded(t *testing.T) {
	r := newRig(t)
	src := &script{name: "acme", pages: logPages(5, 30), fail: errors.New("vendor down"), failAt: 3}
	rep := r.run(src)
	wantError(t, rep.Err, src.fail, "acme")
	if rep.Landed != 90 || rep.Drained {
		t.Errorf("landed %d, drained %v; want the 90 before the failure, not drained", rep.Landed, rep.Drained)
	}
	src.fail = nil
	r.mustRun(src)
	r.wantIDs(150)
}

func TestAStoppedRunDropsTheOpenSegment(t *testing.T) {
	r := newRig(t)
	ctx, cancel := context.WithCancel(t.Context())
	src := &script{name: "acme", pages: logPages(5, 30), during: func(page int) {
		if page == 4 {
			cancel()
		}
	}}
	rep := r.pipeline().Run(ctx, []pipeline.Source{r.source(src)}).Sources[0]
	wantError(t, rep.Err, context.Canceled)
	if got := len(r.landedIDs("acme")); got != 120 && got != 0 {
		t.Errorf("%d records landed, want only whole segments", got)
	}
	src.during = nil
	r.mustRun(src)
	r.wantIDs(150)
}

func TestLostStateIsReadBackFromRaw(t *testing.T) {
	r := newRig(t)
	src := &script{name: "acme", pages: logPages(6, 50), back: 3}
	src.pages[5].Done = []schema.Input{{Key: "file", SHA256: "ab", Size: 3, Version: "v"}}
	r.mustRun(src)
	if err := os.RemoveAll(r.dir); err != nil {
		t.Fatal(err)
	}
	rep := r.mustRun(src)
	if rep.Landed != 0 || rep.Adopted != 4 || rep.Repeated != 150 {
		t.Errorf("landed %d, adopted %d, repeated %d; want 0, 4 (with segment 0) and the overlap of 150", rep.Landed, rep.Adopted, rep.Repeated)
	}
	if in, ok, err := r.state("acme").Finished(t.Context(), "file"); !ok || err != nil || in.SHA256 != "ab" {
		t.Errorf("the finished input was not adopted: %+v %v %v", in, ok, err)
	}
	r.wantIDs(300)
}

func TestBrokenChainsStopTheSource(t *testing.T) {
	tests := map[string]struct {
		harm func(t *testing.T, r *rig)
		want string
	}{
		"a hole": {func(t *testing.T, r *rig) {
			mustDelete(t, r, 2)
			if err := os.RemoveAll(r.dir); err != nil {
				t.Fatal(err)
			}
		}, "segment 2 is missing"},
		"the head is gone":          {func(t *testing.T, r *rig) { mustDelete(t, r, 3) }, "raw lacks"},
		"the head is another":       {func(t *testing.T, r *rig) { mustForge(t, r, 3, "x") }, "is not the one the state knows"},
		"a segment does not follow": {func(t *testing.T, r *rig) { mustForge(t, r, 4, "x") }, "does not follow"},
		"a stranger among them": {func(t *testing.T, r *rig) {
			put(t, r, "acme/readme.txt", []byte("hello"))
		}, "is no segment"},
		"a damaged segment": {func(t *testing.T, r *rig) {
			if err := os.RemoveAll(r.dir); err != nil {
				t.Fatal(err)
			}
			mustDelete(t, r, 3)
			put(t, r, segment.Key("acme", 3), []byte("not zstd"))
		}, "damaged"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			src := &script{name: "acme", pages: logPages(3, 100)}
			r.mustRun(src)
			tt.harm(t, r)
			before := len(r.raw.(*blobtest.Memory).Objects())
			src.pages = logPages(4, 100)
			rep := r.run(src)
			wantError(t, rep.Err, nil, tt.want)
			if after := len(r.raw.(*blobtest.Memory).Objects()); after != before {
				t.Errorf("%d objects were written over a broken chain", after-before)
			}
		})
	}
}

func mustDelete(t *testing.T, r *rig, seq int64) {
	t.Helper()
	if err := r.raw.Delete(t.Context(), segment.Key("acme", seq)); err != nil {
		t.Fatal(err)
	}
}

func mustForge(t *testing.T, r *rig, seq int64, prev string) {
	t.Helper()
	h := segment.Header{Source: "acme", Kind: "script", Seq: seq, Prev: prev, LandedAt: r.clock.Now()}
	file, _, err := segment.Encode(&h, nil)
	if err != nil {
		t.Fatal(err)
	}
	mustDelete(t, r, seq)
	put(t, r, segment.Key("acme", seq), file)
}

func put(t *testing.T, r *rig, key string, content []byte) {
	t.Helper()
	if _, err := r.raw.PutNew(t.Context(), key, bytes.NewReader(content)); err != nil {
		t.Fatal(err)
	}
}

func TestAnotherIdentityIsRefused(t *testing.T) {
	r := newRig(t)
	r.mustRun(&script{name: "acme", identity: "tenant one", pages: logPages(1, 10)})
	rep := r.run(&script{name: "acme", identity: "tenant two", pages: logPages(2, 10)})
	wantError(t, rep.Err, nil, "tenant one", "tenant two")
	r.wantIDs(10)
}

// A run that wrote past the lock: its segment is adopted, and reading goes on
// from its cursor.
func TestOvertakenRunGivesWay(t *testing.T) {
	r := newRig(t)
	src := &script{name: "acme", pages: logPages(6, 50)}
	other := newRig(t)
	other.raw = r.raw
	once := true
	src.during = func(page int) {
		if page == 1 && once {
			once = false
			theirs := &script{name: "acme", pages: logPages(3, 50)}
			other.mustRun(theirs)
		}
	}
	rep := r.mustRun(src)
	if rep.Adopted == 0 {
		t.Error("nothing was adopted")
	}
	r.wantIDs(300)
}

func TestHeldSourceIsLeftAlone(t *testing.T) {
	r := newRig(t)
	st, err := state.Local(r.dir).Open(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	if rep := r.run(&script{name: "acme", pages: logPages(1, 10)}); !rep.Held || rep.Err != nil {
		t.Errorf("got held %v, error %v; want held, no error", rep.Held, rep.Err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	r.mustRun(&script{name: "acme", pages: logPages(1, 10)})
}

func TestGapsAndInputsAreLandedWithoutRecords(t *testing.T) {
	r := newRig(t)
	gap := schema.Gap{From: day0, To: day0.Add(time.Hour), Reason: "beyond retention"}
	src := &script{name: "acme", pages: []extract.Page{
		{Gaps: []schema.Gap{gap}},
		{Done: []schema.Input{{Key: "empty", SHA256: "e3"}}, Filtered: 7},
	}}
	rep := r.mustRun(src)
	if rep.Segments != 2 || rep.Gaps != 1 || rep.Filtered != 7 || rep.Read != 7 {
		t.Errorf("got %+v; want 2 segments (the first names the chain) with 1 gap, 7 filtered", rep.Run)
	}
	if again := r.mustRun(src); again.Segments != 0 {
		t.Errorf("the gap was declared again: %+v", again.Run)
	}
	gaps, total, err := r.state("acme").Gaps(t.Context(), 10)
	if err != nil || total != 1 || gaps[0].Reason != gap.Reason || gaps[0].Segment != 1 {
		t.Errorf("got gaps %+v (%d), %v", gaps, total, err)
	}
}

func TestSnapshotsHaveSegmentsOfTheirOwn(t *testing.T) {
	r := newRig(t)
	user := func(id string) schema.Raw {
		return schema.Raw{Kind: schema.KindAuth0User, ID: id, Bytes: []byte(`{"user_id":"` + id + `"}`)}
	}
	snap := func(id string, done bool) *schema.Snapshot {
		s := &schema.Snapshot{ID: id, Begin: day0, Complete: done}
		if done {
			s.End, s.Counts = day0.Add(time.Minute), map[string]int64{"users": 2}
		}
		return s
	}
	src := &script{name: "users", pages: []extract.Page{
		{Snapshot: snap("s1", false), Records: []schema.Raw{user("a")}},
		{Snapshot: snap("s1", true), Records: []schema.Raw{user("b"), user("a")}},
		{Snapshot: snap("s2", false), Records: []schema.Raw{user("a")}},
		{Snapshot: snap("s3", false), Records: []schema.Raw{user("a"), user("b")}},
		{Snapshot: snap("s3", true)},
	}}
	rep := r.mustRun(src)
	if rep.Landed != 5 || rep.Repeated != 1 || rep.Segments != 4 {
		t.Errorf("got %+v; want 5 landed, 1 repeated, 4 segments", rep.Run)
	}
	newest, err := r.pipeline().Snapshot(t.Context(), "users")
	if err != nil || newest.ID != "s3" && newest.ID != "s1" {
		t.Fatalf("newest complete snapshot: %+v, %v", newest, err)
	}
	snaps, err := r.state("users").Snapshots(t.Context(), true, 10)
	if err != nil || len(snaps) != 2 {
		t.Errorf("complete snapshots: %+v, %v; want s1 and s3", snaps, err)
	}
	if again := r.mustRun(src); again.Segments != 0 {
		t.Errorf("a second run landed %d segments", again.Segments)
	}
}

// Each call to raw, lost on its way or with its answer: the run after it makes
// everything whole, and nothing is landed twice.
func TestLandFailureMatrix(t *testing.T) {
	lost := errors.New("connection lost")
	for _, answer := range []bool{false, true} {
		for n := 0; ; n++ {
			r := newRig(t)
			faulty := &blobtest.Faulty{Store: r.raw}
			calls := 0
			hook := func(string, string) error {
				if calls++; calls == n+1 {
					return lost
				}
				return nil
			}
			if answer {
				faulty.After = hook
			} else {
				faulty.Before = hook
			}
			memory := r.raw
			r.raw = faulty
			src := &script{name: "acme", pages: logPages(5, 60), back: 1}
			rep := r.run(src)
			if calls <= n {
				if n < 5 {
					t.Fatalf("only %d calls were made", n)
				}
				break
			}
			if rep.Err == nil && !answer {
				// A request that is lost is either reported, or repaired in the run.
				r.raw = memory
				r.wantIDs(300)
			}
			r.raw = memory
			r.mustRun(src)
			r.wantIDs(300)
			if r.mustRun(src).Segments != 0 {
				t.Errorf("call %d (answer lost: %v): a later run landed more", n, answer)
			}
		}
	}
}

func TestStateFileIsPrivate(t *testing.T) {
	r := newRig(t)
	r.mustRun(&script{name: "acme", pages: logPages(1, 5)})
	files, err := filepath.Glob(filepath.Join(r.dir, "*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", filepath.Base(f), info.Mode().Perm())
		}
	}
}

// An input that held nothing new is landed too: what was read, and its hash, is
// evidence, and a lost state must not read it again.
func TestAFinishedInputIsLandedThoughItHeldNothing(t *testing.T) {
	r := newRig(t)
	src := &script{name: "acme", pages: []extract.Page{{Filtered: 3, Done: []schema.Input{{Key: "noise", SHA256: "ab", Version: "1"}}}}}
	r.mustRun(src)
	if err := os.RemoveAll(r.dir); err != nil {
		t.Fatal(err)
	}
	r.mustRun(src)
	if _, ok, err := r.state("acme").Finished(t.Context(), "noise"); !ok || err != nil {
		t.Errorf("the input is forgotten: %v", err)
	}
}

// A record that stands twice in a page so large that a segment is written
// between the two.
func TestRepeatsAcrossAWriteWithinAPage(t *testing.T) {
	r := newRig(t)
	pages := logPages(1, 400)
	pages[0].Records = append(pages[0].Records, pages[0].Records[0])
	p := r.pipeline()
	p.Limits.SegmentBytes = 10 << 10
	rep := p.Run(t.Context(), []pipeline.Source{r.source(&script{name: "acme", pages: pages})}).Sources[0]
	if rep.Err != nil || rep.Repeated != 1 {
		t.Errorf("repeated %d, %v; want 1", rep.Repeated, rep.Err)
	}
	r.wantIDs(400)
}

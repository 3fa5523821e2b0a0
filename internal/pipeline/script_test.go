package pipeline_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/blob/blobtest"
	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/internal/segment"
	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/state"
	"github.com/idtrail/idtrail/transform"
)

// script is a source that reads its pages from memory. Its cursor counts pages;
// back says how many pages before the cursor it reads again, as sources with an
// overlap do.
type script struct {
	name     string
	identity string
	pages    []extract.Page
	back     int
	// fail, if set, comes in place of page failAt.
	fail   error
	failAt int
	// during is called before each page.
	during func(page int)
}

func (s *script) Name() string { return s.name }

func (s *script) Identity() string { return s.identity }

func (s *script) Overlap() time.Duration { return 1000 * time.Hour }

func (s *script) Start(time.Time) extract.Cursor { return "0" }

func (s *script) Pages(ctx context.Context, from extract.Cursor) iter.Seq2[extract.Page, error] {
	return func(yield func(extract.Page, error) bool) {
		var at int
		if err := json.Unmarshal([]byte(from), &at); err != nil {
			yield(extract.Page{}, fmt.Errorf("cursor %q: %w", from, err))
			return
		}
		for i := max(at-s.back, 0); i < len(s.pages); i++ {
			if s.during != nil {
				s.during(i)
			}
			err := ctx.Err()
			if s.fail != nil && i == s.failAt {
				err = s.fail
			}
			if err != nil {
				yield(extract.Page{}, err)
				return
			}
			page := s.pages[i]
			page.Next = extract.Cursor(fmt.Sprint(max(i+1, at)))
			if !yield(page, nil) {
				return
			}
		}
	}
}

// logPages makes pages of Auth0 log records that have an id, a time and a type.
func logPages(pages, perPage int) []extract.Page {
	out := make([]extract.Page, pages)
	for i := range out {
		for j := range perPage {
			out[i].Records = append(out[i].Records, logRecord(i*perPage+j))
		}
	}
	return out
}

var day0 = time.Date(2026, 11, 18, 22, 0, 0, 0, time.UTC)

func logRecord(n int) schema.Raw {
	// Times jump back and forth over midnight, as ids and dates do in real logs.
	at := day0.Add(time.Duration(n*97%240) * time.Minute)
	line := fmt.Sprintf(`{"log_id":"900%053d","date":%q,"type":"s","user_id":"auth0|%d","user_name":"u%d@example.com","ip":"192.0.2.1","client_id":"c1","client_name":"App"}`,
		n, at.Format("2006-01-02T15:04:05.000Z"), n%50, n%50)
	return schema.Raw{Kind: schema.KindAuth0Log, ID: fmt.Sprintf("900%053d", n), Time: at, Bytes: []byte(line)}
}

// rig is a pipeline over stores in memory with its state in a test's folder.
type rig struct {
	t     *testing.T
	dir   string
	raw   blob.Store
	lake  blob.Store
	sinks []pipeline.Sink
	trace func(string)
	clock *clock
}

// clock moves a millisecond each time it is asked, from several goroutines.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time { return c.skip(time.Millisecond) }

func (c *clock) skip(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return c.now
}

func newRig(t *testing.T) *rig {
	t.Helper()
	return &rig{
		t: t, dir: filepath.Join(t.TempDir(), "state"), raw: blobtest.NewMemory(), lake: blobtest.NewMemory(),
		clock: &clock{now: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)},
	}
}

func (r *rig) pipeline() *pipeline.Pipeline {
	return &pipeline.Pipeline{
		StateDir: r.dir, Raw: r.raw, Lake: r.lake, Sinks: r.sinks, TempDir: r.t.TempDir(), Trace: r.trace,
		Limits: pipeline.Limits{SegmentRecords: 100, SortBytes: 16 << 10},
		Now:    r.clock.Now,
	}
}

func (r *rig) source(src extract.Source) pipeline.Source {
	return pipeline.Source{
		Name: src.Name(), Kind: "script", Mapper: &transform.Mapper{},
		Open: func(extract.Ledger) (extract.Source, error) { return src, nil },
	}
}

func (r *rig) run(src extract.Source) pipeline.SourceReport {
	r.t.Helper()
	return r.pipeline().Run(r.t.Context(), []pipeline.Source{r.source(src)}).Sources[0]
}

// mustRun is run where nothing may fail.
func (r *rig) mustRun(src extract.Source) pipeline.SourceReport {
	r.t.Helper()
	rep := r.run(src)
	if rep.Failed() {
		r.t.Fatalf("run failed: %v %+v", rep.Err, rep.Sinks)
	}
	if rep.Read != rep.Landed+rep.Repeated+rep.Filtered {
		r.t.Fatalf("accounts: read %d != landed %d + repeated %d + filtered %d", rep.Read, rep.Landed, rep.Repeated, rep.Filtered)
	}
	return rep
}

// landedIDs reads raw back: every id, in landed order, with the chain proven.
func (r *rig) landedIDs(source string) []string {
	r.t.Helper()
	var ids []string
	prev := ""
	next := int64(0)
	for seq, err := range segment.List(r.t.Context(), r.raw, source, 0) {
		if err != nil {
			r.t.Fatal(err)
		}
		if seq != next {
			r.t.Fatalf("segment %d where %d was expected", seq, next)
		}
		seg, err := segment.Read(r.t.Context(), r.raw, source, seq)
		if err != nil {
			r.t.Fatal(err)
		}
		if seg.Header.Prev != prev {
			r.t.Fatalf("segment %d: the chain does not fit", seq)
		}
		prev, next = seg.SHA256, next+1
		for rec := range seg.Records() {
			ids = append(ids, rec.Kind.ID(rec.Line))
		}
	}
	return ids
}

// wantIDs checks that raw holds the records 0 to n-1 of source acme, each once.
func (r *rig) wantIDs(n int) {
	r.t.Helper()
	got := map[string]int{}
	for _, id := range r.landedIDs("acme") {
		got[id]++
	}
	for i := range n {
		id := fmt.Sprintf("900%053d", i)
		if got[id] != 1 {
			r.t.Errorf("record %d landed %d times", i, got[id])
		}
		delete(got, id)
	}
	if len(got) > 0 {
		r.t.Errorf("%d records nobody wrote", len(got))
	}
}

func (r *rig) state(source string) *state.DB {
	r.t.Helper()
	st, err := state.Local(r.dir).OpenReader(r.t.Context(), source)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = st.Close() })
	return st
}

// lakeObjects counts what the lake holds, but for what is said about it.
func (r *rig) lakeObjects() int {
	r.t.Helper()
	n := 0
	for key := range r.lake.(*blobtest.Memory).Objects() {
		if key != "owner.json" && !strings.HasPrefix(key, "manifests/") {
			n++
		}
	}
	return n
}

func wantError(t *testing.T, err, target error, words ...string) {
	t.Helper()
	if err == nil || target != nil && !errors.Is(err, target) {
		t.Fatalf("got error %v, want %v", err, target)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
}

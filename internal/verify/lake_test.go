package verify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/blob/blobtest"
	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/internal/proof"
	"github.com/idtrail/idtrail/internal/verify"
	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/load/lake"
	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/transform"
)

// feed is a source that reads its pages from memory; its cursor counts them.
type feed struct {
	name  string
	pages []extract.Page
}

func (f *feed) Name() string { return f.name }

func (f *feed) Identity() string { return "tenant of " + f.name }

func (f *feed) Start(time.Time) extract.Cursor { return "0" }

func (f *feed) Pages(ctx context.Context, from extract.Cursor) iter.Seq2[extract.Page, error] {
	return func(yield func(extract.Page, error) bool) {
		var at int
		if err := json.Unmarshal([]byte(from), &at); err != nil {
			yield(extract.Page{}, err)
			return
		}
		for i := at; i < len(f.pages) && ctx.Err() == nil; i++ {
			page := f.pages[i]
			page.Next = extract.Cursor(fmt.Sprint(i + 1))
			if !yield(page, nil) {
				return
			}
		}
	}
}

var begin = time.Date(2026, 11, 18, 22, 0, 0, 0, time.UTC)

func logPage(first, n int) extract.Page {
	var p extract.Page
	for i := first; i < first+n; i++ {
		at := begin.Add(time.Duration(i*97%300) * time.Minute)
		line := fmt.Sprintf(`{"log_id":"900%053d","date":%q,"type":"s","user_id":"auth0|%d","user_name":"u%d@example.com","ip":"192.0.2.1","client_id":"c1"}`,
			i, at.Format("2006-01-02T15:04:05.000Z"), i%50, i%50)
		if i%40 == 39 {
			line = fmt.Sprintf("odd record %d", i)
		}
		p.Records = append(p.Records, schema.Raw{Kind: schema.KindAuth0Log, Bytes: []byte(line)})
	}
	return p
}

func userPage(n int) extract.Page {
	snap := &schema.Snapshot{ID: "20261118T000000Z", Begin: begin, End: begin.Add(time.Minute), Complete: true, Counts: map[string]int64{"users": int64(n)}}
	p := extract.Page{Snapshot: snap}
	for i := range n {
		p.Records = append(p.Records, schema.Raw{Kind: schema.KindAuth0User, Bytes: fmt.Appendf(nil, `{"user_id":"auth0|%d","email":"u%d@example.com"}`, i, i)})
	}
	return p
}

// site is an installation: stores, keys, and the line that fills them.
type site struct {
	dir, temp string
	raw, lake blob.Store
	mu        *sync.Mutex // of now
	now       time.Time
	signer    proof.Signer
	public    string
	segment   int64
	trace     func(string)
}

func newSite(t *testing.T, raw, lakeStore blob.Store) *site {
	t.Helper()
	private, public, err := proof.GenerateKey("acme.example")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := proof.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	return &site{
		dir: filepath.Join(t.TempDir(), "state"), temp: t.TempDir(), raw: raw, lake: lakeStore,
		mu: new(sync.Mutex), now: begin.Add(48 * time.Hour), signer: signer, public: public, segment: 40,
	}
}

// pipeline is the line an hour later than before.
func (s *site) pipeline() *pipeline.Pipeline {
	s.now = s.now.Add(time.Hour)
	o := lake.Options{Store: s.lake, TempDir: s.temp, Writer: "test", Mapping: transform.Version, Every: time.Second, Now: s.clock, Logger: slog.New(slog.DiscardHandler)}
	parquet, ndjson := o, o
	parquet.Name, ndjson.Name = "lake", "json"
	keys, err := proof.NewVerifier(s.public)
	if err != nil {
		panic(err)
	}
	return &pipeline.Pipeline{
		StateDir: s.dir, Raw: s.raw, Lake: s.lake, TempDir: s.temp, Signer: s.signer, Keys: keys, Trace: s.trace, Now: s.clock,
		Sinks:  []pipeline.Sink{{Sink: lake.NewParquet(parquet)}, {Sink: lake.NewJSON(ndjson)}},
		Limits: pipeline.Limits{SegmentRecords: s.segment, SortBytes: 1 << 20, Sources: 1},
	}
}

func (f *feed) source() pipeline.Source {
	return pipeline.Source{
		Name: f.name, Kind: "feed", Mapper: &transform.Mapper{},
		Open: func(extract.Ledger) (extract.Source, error) { return f, nil },
	}
}

// run runs the line once.
func (s *site) run(ctx context.Context, feeds ...*feed) error {
	var sources []pipeline.Source
	for _, f := range feeds {
		sources = append(sources, f.source())
	}
	for _, r := range s.pipeline().Run(ctx, sources).Sources {
		if r.Failed() {
			return fmt.Errorf("run of %s: %w %+v", r.Source, r.Err, r.Sinks)
		}
	}
	return nil
}

// clock moves a millisecond each time it is asked, by several sinks.
func (s *site) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(time.Millisecond)
	return s.now
}

func (s *site) options(t *testing.T) verify.Options {
	t.Helper()
	keys, err := proof.NewVerifier(s.public)
	if err != nil {
		t.Fatal(err)
	}
	return verify.Options{Raw: s.raw, Lake: s.lake, Keys: keys, HaveKeys: true, TempDir: s.temp, Now: func() time.Time { return s.now }}
}

// fill runs the line four times over sources that grow: acme has 400 records in
// a dozen segments, a gap in one of them, rejects, and four checkpoints.
func fill(t *testing.T) *site {
	t.Helper()
	return fillOf(t, 400, 40)
}

func fillOf(t *testing.T, records int, perSegment int64) *site {
	t.Helper()
	s := newSite(t, blobtest.NewMemory(), blobtest.NewMemory())
	s.segment = perSegment
	perPage := int(perSegment / 2)
	pages := records / perPage / 4
	acme := &feed{name: "acme"}
	users := &feed{name: "users", pages: []extract.Page{userPage(30)}}
	for i := range 4 {
		for j := range pages {
			acme.pages = append(acme.pages, logPage((i*pages+j)*perPage, perPage))
		}
		if i == 1 {
			acme.pages[pages+2].Gaps = []schema.Gap{{From: begin.Add(time.Hour + 123456*time.Nanosecond), To: begin.Add(2 * time.Hour), Reason: "the tenant keeps no more"}}
		}
		if err := s.run(t.Context(), acme, users); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// copied is the site with stores of its own, as somebody may alter them.
func (s *site) copied(t *testing.T) *site {
	t.Helper()
	c := *s
	c.mu = new(sync.Mutex)
	c.raw, c.lake = copyOf(t, s.raw), copyOf(t, s.lake)
	return &c
}

func copyOf(t *testing.T, from blob.Store) blob.Store {
	t.Helper()
	to := blobtest.NewMemory()
	for key, body := range objects(t, from) {
		put(t, to, key, body)
	}
	return to
}

func objects(t *testing.T, store blob.Store) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for info, err := range store.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		all[info.Key] = get(t, store, info.Key)
	}
	return all
}

func get(t *testing.T, store blob.Store, key string) []byte {
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

func put(t *testing.T, store blob.Store, key string, body []byte) {
	t.Helper()
	remove(t, store, key)
	if _, err := store.PutNew(t.Context(), key, bytes.NewReader(body)); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, store blob.Store, keys ...string) {
	t.Helper()
	for _, key := range keys {
		if err := store.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
}

// keys lists what is below a prefix.
func keys(t *testing.T, store blob.Store, prefix string) []string {
	t.Helper()
	var list []string
	for key := range maps.Keys(objects(t, store)) {
		if strings.HasPrefix(key, prefix) {
			list = append(list, key)
		}
	}
	slices.Sort(list)
	return list
}

func judge(t *testing.T, o verify.Options) verify.Report {
	t.Helper()
	r, err := verify.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func wantHealthy(t *testing.T, o verify.Options) verify.Report {
	t.Helper()
	r := judge(t, o)
	for _, f := range r.Findings {
		t.Errorf("a healthy lake: %s %s: %s", f.Class, f.Object, f.Detail)
	}
	return r
}

// writeParquet writes events as the lake does.
func writeParquet(t *testing.T, store blob.Store, events []schema.Event) {
	t.Helper()
	sink := lake.NewParquet(lake.Options{Name: "forger", Store: store, TempDir: t.TempDir(), Writer: "test", Mapping: transform.Version})
	rows := func(yield func(load.Row, error) bool) {
		for i := range events {
			if !yield(load.Row{At: schema.Position{Record: int64(i)}, Day: "2026-11-18", Event: &events[i]}, nil) {
				return
			}
		}
	}
	if _, err := sink.Plan(t.Context(), "acme", 0, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := sink.Deliver(t.Context(), load.Batch{Source: "acme", To: schema.Position{Segment: 1}, Mapping: transform.Version, Rows: rows}); err != nil {
		t.Fatal(err)
	}
}

package lake_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/blob/blobtest"
	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/load/lake"
	"github.com/idtrail/idtrail/load/loadtest"
	"github.com/idtrail/idtrail/schema"
)

// written flushes the rows in a layout and returns the store.
func written(t *testing.T, newSink func(lake.Options) *lake.Sink, rows []load.Row) *blobtest.Memory {
	t.Helper()
	store := blobtest.NewMemory()
	mustFlush(t, newSink(options(t, store)), loadtest.Batch("acme", 1, 2, rows))
	return store
}

func readBack[T any](t *testing.T, store *blobtest.Memory, folder string) []T {
	t.Helper()
	var rows []T
	for info, err := range store.List(t.Context(), folder, "") {
		if err != nil {
			t.Fatal(err)
		}
		for row, err := range lake.ReadTable[T](t.Context(), store, info.Key) {
			if err != nil {
				t.Fatal(err)
			}
			rows = append(rows, row)
		}
	}
	return rows
}

// Rows with every field set, down to the last, among rows with none set, come
// back as they were.
func TestRoundTripFull(t *testing.T) {
	var want struct {
		events    []schema.Event
		users     []schema.User
		snapshots []schema.SnapshotRow
		rejects   []schema.Reject
		gaps      []schema.Gap
	}
	var rows []load.Row
	const day = "2026-01-03"
	for i := range 150 { // more than one batch of the writer
		var e schema.Event
		if i%3 > 0 {
			loadtest.Fill(&e, i)
		}
		e.Time, e.TimeDT = now().UnixMilli(), now()
		want.events = append(want.events, e)
		rows = append(rows, load.Row{Day: day, Event: &want.events[i]})
	}
	for i := range 150 {
		var u schema.User
		if i%3 > 0 {
			loadtest.Fill(&u, i)
		}
		u.SnapshotID = "s"
		want.users = append(want.users, u)
		rows = append(rows, load.Row{Day: day, User: &want.users[i], SnapshotID: "s"})
	}
	var s schema.Snapshot
	loadtest.Fill(&s, 1)
	want.snapshots = append(want.snapshots, s.Row())
	rows = append(rows, load.Row{Day: day, Snapshot: &s})
	var r schema.Reject
	loadtest.Fill(&r, 1)
	want.rejects = append(want.rejects, r)
	rows = append(rows, load.Row{Day: day, Reject: &r})
	var g schema.Gap
	loadtest.Fill(&g, 1)
	want.gaps = append(want.gaps, g)
	rows = append(rows, load.Row{Day: day, Gap: &g})

	for name, newSink := range sinks() {
		store := written(t, newSink, rows)
		if name == "parquet" { // the source is in the path
			want.rejects[0].Source, want.gaps[0].Source = "", ""
		} else {
			want.rejects[0].Source, want.gaps[0].Source = r.Source, g.Source
		}
		same(t, name, want.events, readBack[schema.Event](t, store, "events"))
		same(t, name, want.users, readBack[schema.User](t, store, "users"))
		same(t, name, want.snapshots, readBack[schema.SnapshotRow](t, store, "snapshots"))
		same(t, name, want.rejects, readBack[schema.Reject](t, store, "rejected"))
		same(t, name, want.gaps, readBack[schema.Gap](t, store, "gaps"))
	}
}

func same[T any](t *testing.T, name string, want, got []T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		if len(diff) > 3000 {
			diff = diff[:3000]
		}
		t.Errorf("%s: %T (-want +got)\n%s", name, want, diff)
	}
}

// An empty list means "asked, and there is none"; nil means "not known".
func TestEmptyIsNotUnknown(t *testing.T) {
	users := []schema.User{
		{UserID: "a", Groups: []string{}, MFAFactors: nil},
		{UserID: "b", Groups: nil, MFAFactors: []string{}},
		{UserID: "c", Groups: []string{""}, MFAEnabled: new(bool)},
	}
	var rows []load.Row
	for i := range users {
		rows = append(rows, load.Row{Day: "2026-01-03", User: &users[i], SnapshotID: "s"})
	}
	got := readBack[schema.User](t, written(t, lake.NewParquet, rows), "users")
	if got[0].Groups == nil || got[0].MFAFactors != nil || got[1].Groups != nil || got[1].MFAFactors == nil ||
		len(got[2].Groups) != 1 || got[2].MFAEnabled == nil || *got[2].MFAEnabled || got[0].MFAEnabled != nil {
		t.Errorf("got %+v", got)
	}
}

func FuzzRoundTrip(f *testing.F) {
	f.Add("auth0|1", "", "k", "v", int64(1_700_000_000_000), int64(0), []byte("list"))
	f.Add(strings.Repeat("x", 70_000), "<&>\u2028", "", "", int64(-1), int64(1), []byte{})
	f.Add("\x00\u00ff", "ü", "a\nb", `"`, int64(1)<<52, int64(-5), []byte("\xff\xfe"))
	f.Fuzz(func(t *testing.T, uid, message, key, value string, at, n int64, list []byte) {
		for _, s := range []*string{&uid, &message, &key, &value} {
			*s = strings.ToValidUTF8(*s, "\uFFFD") // as mapping promises
		}
		at %= 250_000_000_000_000 // to the year 9892: what JSON's times can say
		when := time.UnixMilli(at).UTC()
		count := int32(n)
		e := schema.Event{
			Time: at, TimeDT: when, Count: &count, StartTimeDT: &when, Message: message, RawData: message + uid,
			Metadata: schema.Metadata{UID: uid}, User: &schema.UserObject{UID: uid, Groups: []schema.Group{{Name: value}, {}}},
			Unmapped: map[string]string{key: value, "n": fmt.Sprint(n)}, TypeUID: n,
		}
		for _, c := range list {
			e.Observables = append(e.Observables, schema.Observable{Name: string(rune(c)), Value: uid, TypeID: int32(c)})
			e.Metadata.Labels = append(e.Metadata.Labels, value)
		}
		if when.Year() < 0 {
			return
		}
		var rows []load.Row
		want := []schema.Event{e, {Time: at}, e}
		for i := range want {
			rows = append(rows, load.Row{Day: "2026-01-03", Event: &want[i]})
		}
		want[1].TimeDT = when
		for _, newSink := range sinks() {
			same(t, "fuzz", want, readBack[schema.Event](t, written(t, newSink, rows), "events"))
		}
	})
}

// FuzzReadJSON feeds damaged objects to the reader: it may fail, not panic.
func FuzzReadJSON(f *testing.F) {
	store := blobtest.NewMemory()
	s := lake.NewJSON(lake.Options{Name: "lake", Store: store, Now: now})
	if _, err := s.Deliver(context.Background(), loadtest.Batch("acme", 1, 4, loadtest.Rows("acme", 1, 1))); err != nil {
		f.Fatal(err)
	}
	for _, object := range store.Objects() {
		f.Add(object)
	}
	f.Fuzz(func(t *testing.T, object []byte) {
		store := blobtest.NewMemory()
		if _, err := store.PutNew(t.Context(), "x.ndjson.gz", bytes.NewReader(object)); err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, err := range lake.ReadTable[schema.Gap](t.Context(), store, "x.ndjson.gz") {
			if n++; err != nil || n > 1000 {
				break
			}
		}
	})
}

// A flipped bit anywhere may be an error or another value, not a panic; a torn
// object is an error.
func TestDamagedParquet(t *testing.T) {
	whole := written(t, lake.NewParquet, loadtest.Rows("acme", 1, 1)).
		Objects()["gaps/source=acme/dt=2026-01-02/000000000001-000000000001.parquet"]
	try := func(object []byte) (err error) {
		store := blobtest.NewMemory()
		if _, err := store.PutNew(t.Context(), "x.parquet", bytes.NewReader(object)); err != nil {
			t.Fatal(err)
		}
		for _, err = range lake.ReadTable[schema.Gap](t.Context(), store, "x.parquet") {
		}
		return err
	}
	for i := range whole {
		if try(whole[:i]) == nil {
			t.Errorf("cut to %d bytes: no error", i)
		}
	}
	if raceDetector {
		return
	}
	failed := 0
	for i := range whole {
		object := bytes.Clone(whole)
		object[i] ^= 1
		if try(object) != nil {
			failed++
		}
	}
	if failed == 0 {
		t.Error("no flipped bit was noticed")
	}
}

type note struct {
	Day  time.Time         `json:"day" parquet:"day,timestamp(millisecond)"`
	Text string            `json:"text" parquet:"text"`
	More map[string]string `json:"more,omitempty" parquet:"more,optional"`
}

func TestTable(t *testing.T) {
	want := []note{{now(), "a", nil}, {now(), "<b>", map[string]string{"x": "y", "z": ""}}}
	for _, key := range []string{"drift/dt=2026-01-03/1.parquet", "drift_json/dt=2026-01-03/1.ndjson.gz"} {
		store := blobtest.NewMemory()
		first, err := lake.WriteTable(t.Context(), store, key, slices.Values(want))
		if err != nil {
			t.Fatal(err)
		}
		if first.Key != key || first.Rows != 2 || first.SHA256 != sum(store.Objects()[key]) || first.Bytes != int64(len(store.Objects()[key])) {
			t.Errorf("%s: got %+v", key, first)
		}
		if again, err := lake.WriteTable(t.Context(), store, key, slices.Values(want)); err != nil || again != first {
			t.Errorf("%s again: got %+v, %v", key, again, err)
		}
		if _, err := lake.WriteTable(t.Context(), store, key, slices.Values(want[:1])); !errors.Is(err, blob.ErrExist) {
			t.Errorf("%s, other rows: got error %v", key, err)
		}
		same(t, key, want, readBack[note](t, store, "drift"))
		if _, err := lake.WriteTable(t.Context(), store, key+"empty"+key[strings.IndexByte(key, '.'):], slices.Values([]note{})); err != nil {
			t.Errorf("no rows: %v", err)
		}
	}
	store := blobtest.NewMemory()
	_, err := lake.WriteRows(t.Context(), store, "x.parquet", func(yield func(note, error) bool) {
		if yield(want[0], nil) {
			yield(note{}, errLost)
		}
	})
	if !errors.Is(err, errLost) || len(store.Objects()) != 0 {
		t.Errorf("failing rows: got error %v and %d objects", err, len(store.Objects()))
	}
	if _, err := lake.WriteTable(t.Context(), blobtest.NewMemory(), "x.csv", slices.Values(want)); err == nil {
		t.Error("an unknown ending is taken")
	}
	for _, key := range []string{"x.parquet", "x.ndjson.gz"} {
		for _, err := range lake.ReadTable[note](t.Context(), blobtest.NewMemory(), key) {
			if !errors.Is(err, blob.ErrNotExist) {
				t.Errorf("%s missing: got error %v", key, err)
			}
		}
	}
}

// The payload columns hold kilobytes; their bounds must not fill the footer,
// and what bounds there are must be true.
func TestFooter(t *testing.T) {
	var rows []load.Row
	payload := func(i int) string {
		return fmt.Sprintf(`{"n":%05d,"x":"%s"}`, i*7919%10_000, strings.Repeat("secret-", 1500))
	}
	for i := range 4000 {
		e := loadtest.Event(int64(i), now().Add(time.Duration(i)*time.Millisecond))
		e.RawData = payload(i)
		e.API = &schema.API{Request: &schema.Request{Data: e.RawData}, Response: &schema.Response{Data: e.RawData}}
		e.Unmapped = map[string]string{"payload": e.RawData}
		rows = append(rows, load.Row{Day: "2026-01-03", Event: &e})
	}
	store := written(t, lake.NewParquet, rows)
	object := string(store.Objects()["events/source=acme/dt=2026-01-03/000000000001-000000000001.parquet"])
	f, err := parquet.OpenFile(strings.NewReader(object), int64(len(object)))
	if err != nil {
		t.Fatal(err)
	}
	footer := int(object[len(object)-8]) | int(object[len(object)-7])<<8 | int(object[len(object)-6])<<16
	t.Logf("%d rows, %d bytes, %d row groups, footer %d bytes", len(rows), len(object), len(f.RowGroups()), footer)
	if perGroup := footer / len(f.RowGroups()); perGroup > 60_000 {
		t.Errorf("footer takes %d bytes a row group", perGroup)
	}
	if strings.Contains(object[len(object)-8-footer:], "secret-") {
		t.Error("payload stands in the footer")
	}
	if got := f.Metadata().CreatedBy; !strings.HasPrefix(got, "idtrail version 1.2.3") {
		t.Errorf("created by %q", got)
	}
	for _, g := range f.RowGroups() {
		if len(g.SortingColumns()) != 1 || g.SortingColumns()[0].Path()[0] != "time" {
			t.Errorf("sorting columns %v", g.SortingColumns())
		}
		for _, path := range f.Schema().Columns() {
			wantTrueBounds(t, f, g, path)
		}
		for _, path := range [][]string{{"raw_data"}, {"api", "response", "data"}, {"unmapped", "key_value", "value"}} {
			wantNoBounds(t, f, g, path)
		}
	}
}

// wantTrueBounds compares the page index with the values.
func wantTrueBounds(t *testing.T, f *parquet.File, g parquet.RowGroup, path []string) {
	t.Helper()
	leaf, ok := f.Schema().Lookup(path...)
	if !ok {
		t.Fatalf("no column %v", path)
	}
	chunk := g.ColumnChunks()[leaf.ColumnIndex]
	index, err := chunk.ColumnIndex()
	if errors.Is(err, parquet.ErrMissingColumnIndex) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	pages := chunk.Pages()
	defer func() { _ = pages.Close() }()
	values := make([]parquet.Value, 100_000)
	for i := range index.NumPages() {
		page, err := pages.ReadPage()
		if err != nil {
			t.Fatal(err)
		}
		n, _ := page.Values().ReadValues(values)
		for _, v := range values[:n] {
			typ := leaf.Node.Type()
			if v.IsNull() {
				continue
			}
			if index.NullPage(i) {
				t.Fatalf("%v page %d: %.40q is in a page of nulls", path, i, v)
			}
			if typ.Compare(v, index.MinValue(i)) < 0 || typ.Compare(v, index.MaxValue(i)) > 0 {
				t.Fatalf("%v page %d: %.40q lies outside %.40q … %.40q", path, i, v, index.MinValue(i), index.MaxValue(i))
			}
		}
	}
}

// wantNoBounds checks that no reader is told anything of the column's values:
// the library's own way to leave bounds out calls all of them empty.
func wantNoBounds(t *testing.T, f *parquet.File, g parquet.RowGroup, path []string) {
	t.Helper()
	leaf, _ := f.Schema().Lookup(path...)
	chunk := g.ColumnChunks()[leaf.ColumnIndex].(*parquet.FileColumnChunk)
	if _, err := chunk.ColumnIndex(); !errors.Is(err, parquet.ErrMissingColumnIndex) {
		t.Errorf("%v has a column index (%v)", path, err)
	}
	if least, _, ok := chunk.Bounds(); ok {
		t.Errorf("%v has bounds: %.40q", path, least)
	}
	if _, err := chunk.OffsetIndex(); err != nil {
		t.Errorf("%v has no offset index: %v", path, err)
	}
}

func TestJSONLines(t *testing.T) {
	e := loadtest.Event(1, now())
	e.Message = "<b> & \u2028"
	u := schema.User{UserID: "1"}
	store := written(t, lake.NewJSON, []load.Row{
		{Day: "2026-01-03", Event: &e},
		{Day: "2026-01-03", User: &u, SnapshotID: "20260103T000000Z"},
	})
	object := store.Objects()["events_json/source=acme/dt=2026-01-03/000000000001-000000000001.ndjson.gz"]
	text := gunzip(t, object)
	if !strings.Contains(text, `"message":"<b> & `) || strings.Count(text, "\n") != 1 || !utf8.ValidString(text) {
		t.Errorf("got %s", text)
	}
	if !json.Valid([]byte(text)) {
		t.Error("not JSON")
	}
	if mtime := object[4:8]; string(mtime) != "\x00\x00\x00\x00" {
		t.Errorf("the header holds a time: %x", mtime)
	}
	object = store.Objects()["users_json/source=acme/dt=2026-01-03/snapshot=20260103T000000Z/000000000001-000000000001.ndjson.gz"]
	if text := gunzip(t, object); !strings.HasPrefix(text, `{"snapshot_id":"20260103T000000Z","user_id":"1",`) {
		t.Errorf("got %s", text)
	}
}

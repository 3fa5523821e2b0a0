package archive_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/extract/archive"
	"github.com/idtrail/idtrail/extract/extracttest"
	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/blob/blobtest"
)

func TestNewRefuses(t *testing.T) {
	store := blobtest.NewMemory()
	tests := []struct {
		opts archive.Options
		want string
	}{
		{archive.Options{Format: "okta", Path: "."}, "format"},
		{archive.Options{Format: "auth0_logs"}, "either a path or a bucket"},
		{archive.Options{Format: "auth0_logs", Path: ".", Store: store}, "either a path or a bucket"},
		{archive.Options{Format: "auth0_logs", Path: ".", Glob: "*"}, "into the path"},
		{archive.Options{Format: "auth0_logs", Path: "a/[b"}, "not well formed"},
		{archive.Options{Format: "auth0_logs", Path: "a/{b"}, "not closed"},
		{archive.Options{Format: "auth0_logs", Path: strings.Repeat("{a,b}", 12)}, "alternatives"},
		{archive.Options{Format: "auth0_logs", Path: ".", Snapshot: "all"}, "snapshot"},
		{archive.Options{Format: "auth0_users", Path: ".", Snapshot: "day"}, "snapshot"},
		{archive.Options{Format: "auth0_users", Path: ".", EventSources: []string{"iam"}}, "event sources"},
	}
	for _, tt := range tests {
		if _, err := archive.New(tt.opts); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: got error %v, want %q", tt.opts, err, tt.want)
		}
	}
}

func TestNothingThere(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.txt", "x")
	tests := []struct {
		path string
		poll bool
		want string
	}{
		{"none", false, "does not exist"},
		{"none", true, "does not exist"},
		{"none/**", true, "does not exist"},
		{"none.json", true, ""},
		{"none/none.json", true, "does not exist"},
		{"*.json", false, "matches"},
		{"*.json", true, ""},
		{"a.txt/*", false, "no directory"},
	}
	for _, tt := range tests {
		src := source(t, archive.Options{Path: filepath.Join(dir, tt.path), Poll: tt.poll})
		r := run(t, src, "", nil)
		_, err := src.Check(t.Context())
		for _, err := range []error{r.err, err} {
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s, poll %v: got error %v, want %q", tt.path, tt.poll, err, tt.want)
			}
		}
	}
	for _, poll := range []bool{false, true} {
		r := run(t, source(t, archive.Options{Store: blobtest.NewMemory(), Prefix: "x/", Poll: poll}), "", nil)
		if (r.err == nil) != poll {
			t.Errorf("empty prefix, poll %v: got error %v", poll, r.err)
		}
		lost := &blobtest.Faulty{Store: blobtest.NewMemory(), Before: func(string, string) error { return errNetwork }}
		if r := run(t, source(t, archive.Options{Store: lost, Poll: poll}), "", nil); !errors.Is(r.err, errNetwork) {
			t.Errorf("store that fails: got error %v", r.err)
		}
	}
}

func TestCheck(t *testing.T) {
	b := newBucket(t, map[string]string{"x/a": line(1), "x/b": line(2)})
	src := source(t, archive.Options{Store: b, Prefix: "x"})
	found, err := src.Check(t.Context())
	if err != nil || len(found) != 1 || !found[0].OK || !strings.Contains(found[0].What, "2 files, ") {
		t.Errorf("got %+v, error %v", found, err)
	}
	b.fault = func(string, int64) error { return os.ErrPermission }
	found, err = src.Check(t.Context())
	if err != nil || len(found) != 2 || found[1].OK || found[1].Hint == "" {
		t.Errorf("refused: got %+v, error %v", found, err)
	}
	if b.open.Load() != 0 {
		t.Errorf("%d bodies left open", b.open.Load())
	}
}

func TestIdentity(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]string{dir: dir, dir + "/x/**/*.gz": dir + "/x", dir + "/a.json": dir + "/a.json"} {
		if got := source(t, archive.Options{Path: path}).Identity(); got != "archive:auth0_logs:"+want {
			t.Errorf("%s: got %s", path, got)
		}
	}
	src := source(t, archive.Options{Store: blobtest.NewMemory(), Prefix: "logs/", Glob: "*.gz"})
	if got := src.Identity(); got != "archive:auth0_logs:memory/logs/" {
		t.Errorf("got %s", got)
	}
	if got := src.Start(now()); got != "" {
		t.Errorf("got start %s", got)
	}
}

func TestEventSources(t *testing.T) {
	event := func(id, source string) string {
		return `{"eventID":"` + id + `","eventSource":"` + source + `"}` + "\n"
	}
	content := event("1", "cognito-idp.amazonaws.com") + event("2", "ec2.amazonaws.com") + event("3", "IAM.amazonaws.com") +
		`{"eventID":"4"}` + "\n" + `{"detail-type":"x","detail":` + event("5", "s3.amazonaws.com") + "}\n" + "garbage\n"
	tests := []struct {
		sources  []string
		want     string
		filtered int
	}{
		{nil, "1 3 4", 2},
		{[]string{"all"}, "1 2 3 4 5", 0},
		{[]string{"ec2", "s3.amazonaws.com"}, "2 4 5", 2},
		{[]string{}, "4", 4},
	}
	for _, tt := range tests {
		dir := t.TempDir()
		write(t, dir, "a", content)
		r := run(t, source(t, archive.Options{Format: "cloudtrail", Path: dir, EventSources: tt.sources}), "", nil)
		if got := strings.Join(r.ids, " "); got != tt.want || r.filtered != tt.filtered || len(r.faults) != 1 || r.done[0].Records != 6 {
			t.Errorf("%v: got %s, %d filtered, %d broken, %d records", tt.sources, got, r.filtered, len(r.faults), r.done[0].Records)
		}
	}
}

func TestPagesAreBounded(t *testing.T) {
	dir := t.TempDir()
	big := `{"log_id":"1","x":"` + strings.Repeat("x", 3<<20) + "\"}\n"
	huge := `{"log_id":"2","x":"` + strings.Repeat("x", 17<<20) + "\"}\n"
	write(t, dir, "a", line(1)+big+strings.ReplaceAll(big, `"1"`, `"3"`)+huge+line(4))
	r := run(t, source(t, archive.Options{Path: dir}), "", nil)
	if r.err != nil || len(r.ids) != 4 || r.pages != 3 {
		t.Errorf("got %d records on %d pages, error %v", len(r.ids), r.pages, r.err)
	}
	if len(r.faults) != 1 || len(r.faults[0]) != 1<<20 {
		t.Fatalf("got %d broken pieces, want the record's first MiB", len(r.faults))
	}
}

// repeated gives one array of n records without holding it.
type repeated struct {
	n    int
	rest []byte
}

func (r *repeated) Read(p []byte) (int, error) {
	for len(r.rest) < len(p) && r.n > 0 {
		r.n--
		r.rest = append(r.rest, `,{"eventID":"e","eventSource":"sts.amazonaws.com","x":"`+strings.Repeat("y", 600)+`"}`...)
	}
	n := copy(p, r.rest)
	r.rest = r.rest[:copy(r.rest, r.rest[n:])]
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// endless is a store of one object that is made while it is read.
type endless struct {
	*blobtest.Memory
	head string
	n    int
}

func (e *endless) Get(ctx context.Context, key string) (io.ReadCloser, blob.Info, error) {
	_, info, err := e.Memory.Get(ctx, key)
	return io.NopCloser(io.MultiReader(strings.NewReader(e.head), &repeated{n: e.n})), info, err
}

// One array of 100,000 records, 66 MB, must not be held in memory.
func TestMemory(t *testing.T) {
	b := newBucket(t, map[string]string{"a": "x"})
	src := source(t, archive.Options{Format: "cloudtrail", Store: &endless{b.Memory, `{"Records":[{}`, 100_000}})
	var peak uint64
	records := 0
	for p, err := range src.Pages(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		records += len(p.Records)
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		peak = max(peak, m.HeapAlloc)
	}
	if records != 100_001 {
		t.Errorf("got %d records", records)
	}
	if peak > 32<<20 {
		t.Errorf("peak heap %d MiB, want at most 32", peak>>20)
	}
}

func TestKeyDate(t *testing.T) {
	tests := []struct{ key, want string }{
		{"AWSLogs/123456789012/CloudTrail/eu-west-1/2026/11/20/123456789012_CloudTrail_eu-west-1_20261119T2355Z_x1.json.gz", "2026-11-19T23:55:00Z"},
		{"201912110101_CloudTrail_eu-west-1_20261119T2355Z_20200101.json.gz", "2026-11-19T23:55:00Z"},
		{"users-2026-11-19.json", "2026-11-19T00:00:00Z"},
		{"users_2026-11-19_03-04-05.json", "2026-11-19T03:04:05Z"},
		{"users_20261119.json.gz", "2026-11-19T00:00:00Z"},
		{"users_20261119030405.gz", "2026-11-19T03:04:05Z"},
		{"2026-11-19T03:04:05.123Z.json", "2026-11-19T03:04:05Z"},
		{"logs.1763596800.json", "2025-11-20T00:00:00Z"},
		{"logs.1763596800123.json", "2025-11-20T00:00:00Z"},
		{"2026/11/19/05/x.json", "2026-11-19T05:00:00Z"},
		{"year=2026/month=11/day=19/x", "2026-11-19T00:00:00Z"},
		{"dt=2026-11-19/part-0001.json", "2026-11-19T00:00:00Z"},
		{"20261399.json", ""},
		{"part-0001.json", ""},
		{"9002026111910150000000000.json", ""},
		{"account-123456789012.json", ""},
	}
	for _, tt := range tests {
		got := ""
		if d := archive.KeyDate(tt.key); !d.IsZero() {
			got = d.Format(time.RFC3339)
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.key, got, tt.want)
		}
	}
}

func TestGlob(t *testing.T) {
	tests := []struct {
		pattern, name string
		want          bool
	}{
		{"**", "a/b/c", true},
		{"**/c", "c", true},
		{"a/**/c", "a/c", true},
		{"a/**/c", "a/b/b/c", true},
		{"a/**/c", "b/c", false},
		{"**/b/**/d", "a/b/c/b/d", true},
		{"a**c", "abbc", true},
		{"a**c", "a/c", false},
		{"*", "a/b", false},
		{"?.json", "é.json", true},
		{"[a-c].x", "b.x", true},
		{"[!a-c].x", "b.x", false},
		{"{a,b{c,d}}/x", "bd/x", true},
		{"{a,b/c}/x", "b/c/x", true},
		{`\{a\}`, "{a}", true},
		{`{a\,b,c}`, "a,b", true},
		{"*", ".a", false},
		{".*", ".a", true},
		{"**/x", ".git/x", false},
	}
	for _, tt := range tests {
		if got, err := archive.MatchGlob(tt.pattern, tt.name); got != tt.want || err != nil {
			t.Errorf("%s with %s: got %v, %v, want %v", tt.pattern, tt.name, got, err, tt.want)
		}
	}
}

func TestForeignCursor(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a", line(1))
	for _, from := range []extract.Cursor{"x", "[]", `{"record":-1}`, `{"snapshot":{}}`} {
		if r := run(t, source(t, archive.Options{Path: dir}), from, nil); r.err == nil || len(r.ids) > 0 {
			t.Errorf("%s: got %d records, error %v", from, len(r.ids), r.err)
		}
	}
}

func FuzzCursor(f *testing.F) {
	dir := f.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a"), []byte(users(0, 3)), 0o600); err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		"", "{}", `{"key":"a","version":"v","record":2}`, `{"drained":true}`, `{"snapshot":{"id":"x","begin":"2026-11-19T00:00:00Z"},"set":"s","missed":true}`,
		`{"issued":{"begin":"2030-01-01T00:00:00Z","n":-5},"record":99999999999}`,
	} {
		f.Add(seed, "all")
		f.Add(seed, "file")
	}
	f.Fuzz(func(t *testing.T, from, mode string) {
		if mode != "all" {
			mode = "file"
		}
		src := source(t, archive.Options{Format: "auth0_users", Path: dir, Snapshot: mode})
		r := run(t, src, extract.Cursor(from), &extracttest.Ledger{})
		again, err := archive.CheckCursor(extract.Cursor(from))
		if err == nil && !json.Valid([]byte(again)) {
			t.Errorf("cursor %q becomes %q", from, again)
		}
		if err != nil && (r.err == nil || r.pages > 0) {
			t.Errorf("cursor %q is refused (%v), but gave %d pages", from, err, r.pages)
		}
	})
}

func BenchmarkPages(b *testing.B) {
	dir := b.TempDir()
	content := `{"Records":[` + strings.Join(records("cloudtrail", 0, 50_000), ",") + `]}`
	if err := os.WriteFile(filepath.Join(dir, "a.json.gz"), []byte(gz(content)), 0o600); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(content)))
	for b.Loop() {
		src, err := archive.New(archive.Options{Name: "x", Format: "cloudtrail", Path: dir})
		if err != nil {
			b.Fatal(err)
		}
		for _, err := range src.Pages(b.Context(), "") {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}

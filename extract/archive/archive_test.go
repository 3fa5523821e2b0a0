package archive_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/extract/archive"
	"github.com/idtrail/idtrail/extract/extracttest"
	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/blob/blobtest"
)

// record writes the n-th record of a format.
func record(format string, n int) string {
	switch format {
	case "auth0_logs":
		return fmt.Sprintf(`{"log_id":"900%053d","date":"2026-11-19T10:00:00.%03dZ","type":"s","details":{"a":[{"b":"}]\\"}]}}`, n, n%1000)
	case "auth0_users":
		return fmt.Sprintf(`{"user_id":"auth0|%d","email":"u%d@example.com","identities":[{"user_id":%d}]}`, n, n, n)
	case "cognito_users":
		return fmt.Sprintf(`{"Username":"u%d","Attributes":[{"Name":"sub","Value":"sub-%d"}],"Enabled":true}`, n, n)
	case "cognito_auth_events":
		return fmt.Sprintf(`{"eventTimestamp":"1763546400%03d","eventSource":"USER_AUTH_EVENTS","message":{"eventId":"a-%d","eventType":"SignIn","challenges":["Password:Success"]},"logSourceId":{"userPoolId":"eu-west-1_P"}}`, n%1000, n)
	default:
		return fmt.Sprintf(`{"eventID":"e-%d","eventTime":"2026-11-19T10:00:00Z","eventSource":"cognito-idp.amazonaws.com","eventName":"SignUp"}`, n)
	}
}

func id(format string, n int) string {
	switch format {
	case "auth0_logs":
		return fmt.Sprintf("900%053d", n)
	case "auth0_users":
		return fmt.Sprintf("auth0|%d", n)
	case "cognito_users":
		return fmt.Sprintf("sub-%d", n)
	case "cognito_auth_events":
		return fmt.Sprintf("a-%d", n)
	default:
		return fmt.Sprintf("e-%d", n)
	}
}

func records(format string, from, to int) []string {
	var all []string
	for n := from; n < to; n++ {
		all = append(all, record(format, n))
	}
	return all
}

// layouts are the ways records lie in a file.
func layouts() map[string]func([]string) string {
	wrap := func(head, tail string) func([]string) string {
		return func(rs []string) string { return head + strings.Join(rs, ",") + tail }
	}
	return map[string]func([]string) string{
		"lines":     func(rs []string) string { return strings.Join(rs, "\n") + "\n" },
		"array":     wrap("[", "]"),
		"records":   wrap(`{"Records":[`, `]}`),
		"users":     wrap(`{"Users":[`, `],"PaginationToken":"x"}`),
		"logs":      wrap(`{"start":0,"logs":[`, `]}`),
		"events":    wrap(`{"NextToken":"x","Events":[`, `]}`),
		"handed on": wrap(`{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"g","subscriptionFilters":["f"],"logEvents":[`, `]}`),
		"together":  func(rs []string) string { return "\ufeff" + strings.Join(rs, "") },
		"pretty": func(rs []string) string {
			var b bytes.Buffer
			for _, r := range rs {
				if err := json.Indent(&b, []byte(r), "", "  "); err != nil {
					panic(err)
				}
				b.WriteString("\n")
			}
			return b.String()
		},
		"mixed": func(rs []string) string {
			k := len(rs) / 3
			return strings.Join(rs[:k], "\r\n") + "\n[" + strings.Join(rs[k:2*k], ",\n") + "]\n{\"Records\":[" + strings.Join(rs[2*k:], ",") + "]}"
		},
	}
}

// packings are the ways a file is compressed.
func packings() map[string]func(string) string {
	return map[string]func(string) string{
		"plain":      func(s string) string { return s },
		"gzip":       gz,
		"gzip_parts": func(s string) string { return gz(s[:len(s)/2]) + gz(s[len(s)/2:]) },
		"zstd":       zst,
		"zstd_parts": func(s string) string { return "\x50\x2a\x4d\x18\x03\x00\x00\x00abc" + zst(s[:9]) + zst(s[9:]) },
	}
}

func gz(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(s)); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.String()
}

func zst(s string) string {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		panic(err)
	}
	return string(w.EncodeAll([]byte(s), nil))
}

// now is the time of the tests, long behind that of their files.
func now() time.Time { return time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC) }

func fileTime() time.Time { return time.Date(2026, 11, 19, 12, 0, 0, 0, time.UTC) }

// write makes a file and the folders above it.
func write(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	touch(t, path, fileTime())
	return path
}

func touch(t *testing.T, path string, at time.Time) {
	t.Helper()
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

func source(t *testing.T, o archive.Options) *archive.Source {
	t.Helper()
	if o.Name == "" {
		o.Name = "old"
	}
	if o.Format == "" {
		o.Format = "auth0_logs"
	}
	if o.Now == nil {
		o.Now = now
	}
	src, err := archive.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// bucket is a store that can fail, and counts what is open.
type bucket struct {
	*blobtest.Memory
	open  atomic.Int64
	gets  atomic.Int64
	fault func(key string, get int64) error // refuses to open
	cut   func(key string, get int64) int   // breaks the body off behind so many bytes, -1 not
}

func newBucket(t *testing.T, objects map[string]string) *bucket {
	t.Helper()
	b := &bucket{Memory: blobtest.NewMemory()}
	for key, content := range objects {
		if _, err := b.PutNew(t.Context(), key, strings.NewReader(content)); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

var errNetwork = errors.New("the network is down")

func (b *bucket) Get(ctx context.Context, key string) (io.ReadCloser, blob.Info, error) {
	n := b.gets.Add(1)
	if b.fault != nil {
		if err := b.fault(key, n); err != nil {
			return nil, blob.Info{}, err
		}
	}
	body, info, err := b.Memory.Get(ctx, key)
	if err != nil {
		return nil, info, err
	}
	b.open.Add(1)
	out := &cutBody{ReadCloser: body, bucket: b, left: -1}
	if b.cut != nil {
		out.left = b.cut(key, n)
	}
	return out, info, nil
}

type cutBody struct {
	io.ReadCloser
	bucket *bucket
	left   int
	closed bool
}

func (c *cutBody) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, errNetwork
	}
	if c.left > 0 {
		p = p[:min(c.left, len(p))]
	}
	n, err := c.ReadCloser.Read(p)
	if c.left > 0 {
		c.left -= n
	}
	return n, err
}

func (c *cutBody) Close() error {
	if !c.closed {
		c.closed = true
		c.bucket.open.Add(-1)
	}
	return c.ReadCloser.Close()
}

func openFiles() int {
	// What a process has open, where the system tells.
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	n := 0
	for _, e := range entries {
		target, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && strings.Contains(target, "archive-contract") {
			n++
		}
	}
	return n
}

func TestContract(t *testing.T) {
	formats := []string{"auth0_logs", "auth0_users", "cognito_users", "cognito_auth_events", "cloudtrail"}
	// Every layout meets every packing, and every format each of both.
	for i, layout := range slices.Sorted(maps.Keys(layouts())) {
		for j, packing := range slices.Sorted(maps.Keys(packings())) {
			format := formats[(i+j)%len(formats)]
			if testing.Short() && i%5 != j {
				continue
			}
			t.Run(format+"/"+layout+"/"+packing, func(t *testing.T) {
				extracttest.Run(t, harness(t, format, func(from, to int) string {
					return packings()[packing](layouts()[layout](records(format, from, to)))
				}))
			})
		}
	}
}

// harness makes three files, of 2300 records together.
func harness(t *testing.T, format string, content func(from, to int) string) extracttest.Harness {
	dir := filepath.Join(t.TempDir(), "archive-contract")
	write(t, dir, "2026/11/18/b.json", content(0, 1100))
	write(t, dir, "2026/11/18/c.json", content(1100, 1200))
	write(t, dir, "2026/11/17/größe ☂.json", content(1200, 2300))
	var want []string
	for n := range 2300 {
		want = append(want, id(format, n))
	}
	return extracttest.Harness{
		New: func(t *testing.T, done extract.Ledger) extract.Source {
			return source(t, archive.Options{Format: format, Path: dir, Ledger: done})
		},
		Want: want,
		Open: openFiles,
	}
}

func TestContractPolled(t *testing.T) {
	for _, mode := range []string{"file", "all"} {
		t.Run(mode, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "archive-contract")
			for i, name := range []string{"a-2026-11-18", "b-2026-11-17", "c-2026-11-18"} {
				write(t, dir, name, zst(users(i*1100, i*1100+1100)))
			}
			extracttest.Run(t, extracttest.Harness{
				New: func(t *testing.T, done extract.Ledger) extract.Source {
					return source(t, archive.Options{Format: "auth0_users", Path: dir, Ledger: done, Poll: true, Snapshot: mode})
				},
				Open: openFiles,
			})
		})
	}
}

func TestContractStore(t *testing.T) {
	content := func(from, to int) string {
		return gz(layouts()["records"](records("cloudtrail", from, to)))
	}
	b := newBucket(t, map[string]string{
		"logs/AWSLogs/1/CloudTrail/eu-west-1/2026/11/19/1_CloudTrail_eu-west-1_20261119T0005Z_zzzz.json.gz": content(0, 1500),
		"logs/AWSLogs/1/CloudTrail/eu-west-1/2026/11/19/1_CloudTrail_eu-west-1_20261119T0010Z_aaaa.json.gz": content(1500, 3000),
		"logs/AWSLogs/1/CloudTrail-Digest/eu-west-1/2026/11/19/digest.json.gz":                              gz(`{"digestStartTime":"x"}`),
		"logs/empty.json.gz": "",
		"other/a.json.gz":    content(9000, 9001),
	})
	extracttest.Run(t, extracttest.Harness{
		New: func(t *testing.T, done extract.Ledger) extract.Source {
			return source(t, archive.Options{Format: "cloudtrail", Store: b, Prefix: "logs/", Glob: "**/*.json.gz", Ledger: done})
		},
		Open: func() int { return int(b.open.Load()) },
		Failing: func(t *testing.T, done extract.Ledger) extract.Source {
			bad := newBucket(t, map[string]string{"a": content(0, 1500), "b": content(0, 1500)})
			bad.fault = func(key string, _ int64) error {
				if key == "a" {
					return fs.ErrPermission
				}
				return nil
			}
			return source(t, archive.Options{Format: "cloudtrail", Store: bad, Ledger: done})
		},
		ErrWant: archive.ErrUnread,
		Stalled: func(t *testing.T) (extract.Source, <-chan struct{}) {
			stuck := &stalled{bucket: b, stuck: make(chan struct{})}
			return source(t, archive.Options{Format: "cloudtrail", Store: stuck, Prefix: "logs/"}), stuck.stuck
		},
	})
}

// stalled never gets an answer to Get.
type stalled struct {
	*bucket
	stuck chan struct{}
}

func (s *stalled) Get(ctx context.Context, _ string) (io.ReadCloser, blob.Info, error) {
	close(s.stuck)
	<-ctx.Done()
	return nil, blob.Info{}, ctx.Err()
}

// result is what one run gave.
type result struct {
	ids, faults []string
	done        []extract.Input
	snapshots   []string // id, and "+" behind a complete one
	counts      []map[string]int64
	filtered    int
	pages       int
	next        extract.Cursor
	err         error
}

// run reads a source and notes in the ledger what was finished.
func run(t *testing.T, src extract.Source, from extract.Cursor, ledger *extracttest.Ledger) result {
	t.Helper()
	r := result{next: from}
	for p, err := range src.Pages(t.Context(), from) {
		if err != nil {
			r.err = err
			break
		}
		r.note(p)
		if ledger != nil {
			ledger.Add(p.Done...)
		}
	}
	return r
}

func (r *result) note(p extract.Page) {
	r.pages++
	r.next = p.Next
	r.filtered += p.Filtered
	r.done = append(r.done, p.Done...)
	for _, rec := range p.Records {
		if rec.Fault != "" {
			r.faults = append(r.faults, string(rec.Bytes))
			continue
		}
		r.ids = append(r.ids, rec.ID)
	}
	if s := p.Snapshot; s != nil {
		id := s.ID
		if s.Complete {
			id += "+"
			r.counts = append(r.counts, s.Counts)
		}
		if len(r.snapshots) == 0 || r.snapshots[len(r.snapshots)-1] != id {
			r.snapshots = append(r.snapshots, id)
		}
	}
}

func (r result) keys() []string {
	var keys []string
	for _, in := range r.done {
		keys = append(keys, in.Key)
	}
	return keys
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func ids(format string, numbers ...int) []string {
	var all []string
	for _, n := range numbers {
		all = append(all, id(format, n))
	}
	return all
}

func line(n int) string { return record("auth0_logs", n) + "\n" }

func TestDoneInput(t *testing.T) {
	dir := t.TempDir()
	content := line(1) + "x\n" + line(2)
	packed := gz(content)
	write(t, dir, "a.json.gz", packed)
	r := run(t, source(t, archive.Options{Path: dir}), "", nil)
	sum := sha256.Sum256([]byte(content))
	if len(r.done) != 1 || r.err != nil {
		t.Fatalf("got inputs %v, error %v", r.done, r.err)
	}
	in := r.done[0]
	if in.Version == "" {
		t.Error("the input has no version")
	}
	in.Version = ""
	want := extract.Input{Key: "a.json.gz", SHA256: hex.EncodeToString(sum[:]), Size: int64(len(packed)), Records: 3}
	same(t, "input", in, want)
}

func TestTruncatedGzip(t *testing.T) {
	for _, layout := range []string{"lines", "records"} {
		content := layouts()[layout](records("cloudtrail", 0, 2000))
		packed := gz(content)
		for cut := 0; cut < len(packed); cut += 100 {
			// What can be unpacked, by another implementation.
			var plain []byte
			if z, err := gzip.NewReader(strings.NewReader(packed[:cut])); err == nil {
				plain, _ = io.ReadAll(z)
			}
			want := bytes.Count(plain, []byte(`"SignUp"}`))
			b := newBucket(t, map[string]string{"a": packed[:cut], "b": record("cloudtrail", 5000)})
			r := run(t, source(t, archive.Options{Format: "cloudtrail", Store: b}), "", nil)
			if r.err != nil || len(r.ids) != want+1 || r.ids[len(r.ids)-1] != "e-5000" {
				t.Fatalf("%s cut at %d: got %d records, error %v, want %d and the next file's", layout, cut, len(r.ids), r.err, want)
			}
			if cut > 0 && (r.done[0].Fault == "" || r.done[1].Fault != "") {
				t.Fatalf("%s cut at %d: got faults %q and %q", layout, cut, r.done[0].Fault, r.done[1].Fault)
			}
			if len(r.faults) > 1 {
				t.Fatalf("%s cut at %d: got %d broken pieces, want at most one", layout, cut, len(r.faults))
			}
		}
	}
}

func TestBrokenContent(t *testing.T) {
	flipped := []byte(gz(line(1)))
	flipped[len(flipped)-6] ^= 1 // in the checksum
	image := "\x89PNG\r\n\x1a\n" + strings.Repeat("\x00\x01\xfe{\"\n", 100)
	tests := []struct {
		name, content string
		ids, faults   int
		fault         string
	}{
		{"checksum", string(flipped), 1, 0, "cannot be unpacked"},
		{"garbage behind gzip", gz(line(1)) + "garbage", 1, 0, "cannot be unpacked"},
		{"gzip header only", "\x1f\x8b\x08", 0, 0, "cannot be unpacked"},
		{"zstd cut", zst(line(1))[:20], 0, 0, "cannot be unpacked"},
		{"image", image, 0, 1, ""},
		{"record cut", line(1) + line(2)[:50], 1, 1, "ends inside a record"},
		{"array cut", "[" + strings.TrimSpace(line(1)), 1, 0, "ends inside an array"},
		{"line broken", "{\"a\":\n" + line(1), 1, 1, ""},
		{"empty", "", 0, 0, ""},
		{"empty gzip", gz(""), 0, 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "a", tt.content)
			write(t, dir, "b", line(7))
			r := run(t, source(t, archive.Options{Path: dir}), "", nil)
			if r.err != nil {
				t.Fatal(r.err)
			}
			if len(r.ids) != tt.ids+1 || len(r.faults) != tt.faults {
				t.Errorf("got %d records and %d broken pieces %.100q, want %d and %d", len(r.ids)-1, len(r.faults), r.faults, tt.ids, tt.faults)
			}
			if got := r.done[0].Fault; (got == "") != (tt.fault == "") || !strings.Contains(got, tt.fault) {
				t.Errorf("got fault %q, want %q", got, tt.fault)
			}
		})
	}
}

func TestOrder(t *testing.T) {
	dir := t.TempDir()
	names := []string{ // as they have to be read
		"z/logs-1763596799.json",
		"2026/11/18/zz.json",
		"dt=2026-11-19/a.json",
		"b-20261119.json",
		"1_CloudTrail_eu_20261119T0005Z_Zz.json",
		"1_CloudTrail_eu_20261119T0010Z_Aa.json",
		"a-2026-11-20.json",
		"a.json",
		"b.json",
	}
	want := []string{}
	for n, name := range names {
		write(t, dir, name, line(n))
		want = append(want, id("auth0_logs", n))
	}
	// Of one date, by key.
	want[2], want[3] = want[3], want[2]
	r := run(t, source(t, archive.Options{Path: dir}), "", nil)
	same(t, "records", r.ids, want)
}

func TestPatterns(t *testing.T) {
	dir := t.TempDir()
	for n, name := range []string{"a.json", "x/b.json", "x/y/c.json.gz", "x/y/d.txt", ".hidden", "x/.git/e.json", "[x]/f.json"} {
		write(t, dir, name, line(n))
	}
	tests := []struct {
		path string
		want []string
	}{
		{"", []string{"[x]/f.json", "a.json", "x/b.json", "x/y/c.json.gz", "x/y/d.txt"}},
		{"a.json", []string{"a.json"}},
		{"x", []string{"b.json", "y/c.json.gz", "y/d.txt"}},
		{"**", []string{"[x]/f.json", "a.json", "x/b.json", "x/y/c.json.gz", "x/y/d.txt"}},
		{"*.json", []string{"a.json"}},
		{"**/*.json", []string{"[x]/f.json", "a.json", "x/b.json"}},
		{"x/**/*.{json,json.gz}", []string{"b.json", "y/c.json.gz"}},
		{"{a,x/b}.json", []string{"a.json", "x/b.json"}},
		{"x/?/[!c]*", []string{"y/d.txt"}},
		{"x/.git/*", []string{"e.json"}},
		{"*/.*/*", []string{"x/.git/e.json"}},
		{`\[x\]/*`, []string{"[x]/f.json"}},
	}
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			r := run(t, source(t, archive.Options{Path: dir + "/" + tt.path}), "", nil)
			keys := r.keys()
			slices.Sort(keys)
			if r.err != nil {
				t.Error(r.err)
			}
			same(t, "files", keys, tt.want)
		})
	}
}

// TestLeftAndCancelled: once a run was killed by a panic, since a loop that is
// left because its context has ended was told of the context.
func TestLeftAndCancelled(t *testing.T) {
	dir := t.TempDir()
	for i := range 4 {
		write(t, dir, fmt.Sprintf("%d.ndjson.gz", i), gz(strings.Join(records("cloudtrail", i*3000, (i+1)*3000), "\n")))
	}
	s := source(t, archive.Options{Name: "trail", Format: "cloudtrail", Path: dir, EventSources: []string{"all"}})
	for pages := range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		n := 0
		for _, err := range s.Pages(ctx, "") {
			if err != nil {
				t.Fatal(err)
			}
			if n++; n > pages {
				cancel()
				break
			}
		}
		cancel()
	}
}

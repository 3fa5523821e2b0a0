package cloudtrail_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"iter"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/extract/cloudtrail"
	"github.com/idtrail/idtrail/extract/extracttest"
	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/blob/blobtest"
	"github.com/idtrail/idtrail/internal/fake"
)

const (
	bucket = "acme-trail"
	member = "210987654321"
	org    = "o-acme123456"
)

// dawn is where the files of most tests begin: their time passes midnight.
var dawn = time.Date(2026, 11, 18, 21, 0, 0, 0, time.UTC)

// signingKey is made once: it takes a while.
var signingKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// put writes, and writes over, objects of a store in memory.
func put(t *testing.T, m *blobtest.Memory) func(fake.TrailObject) error {
	t.Helper()
	return func(o fake.TrailObject) error {
		if err := m.Delete(t.Context(), o.Key); err != nil {
			return err
		}
		_, err := m.PutNew(t.Context(), o.Key, bytes.NewReader(o.Body))
		m.SetMetadata(o.Key, o.Metadata)
		return err
	}
}

func write(t *testing.T, b fake.TrailBucket) fake.TrailContents {
	t.Helper()
	out, err := b.Write()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// smallBucket is a trail of two accounts and two regions over six hours.
func smallBucket(put func(fake.TrailObject) error) fake.TrailBucket {
	return fake.TrailBucket{
		Bucket: bucket, Accounts: []string{fake.AccountID, member}, Regions: []string{"eu-west-1", "us-east-1"},
		From: dawn, Hours: 6, FilesPerHour: 2, Key: signingKey(), Put: put,
	}
}

func trail(t *testing.T, store blob.Store, o cloudtrail.TrailOptions) *cloudtrail.Trail {
	t.Helper()
	o.Name, o.Store, o.Bucket = "trail", store, bucket
	if o.Now == nil {
		o.Now = at(noon)
	}
	if o.PublicKeys == nil {
		o.PublicKeys = cloudtrail.GivenKeys{&signingKey().PublicKey}
	}
	src, err := cloudtrail.NewTrail(o)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// follower reads a trail over and over, as runs do.
type follower struct {
	t      *testing.T
	store  blob.Store
	opts   cloudtrail.TrailOptions
	ledger extracttest.Ledger
	next   extract.Cursor
	now    time.Time
}

func follow(t *testing.T, store blob.Store, o cloudtrail.TrailOptions) *follower {
	t.Helper()
	f := &follower{t: t, store: store, opts: o, now: noon}
	f.opts.Ledger, f.opts.Now = &f.ledger, func() time.Time { return f.now }
	f.next = trail(t, store, f.opts).Start(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	return f
}

func (f *follower) run() result {
	f.t.Helper()
	r := read(f.t.Context(), trail(f.t, f.store, f.opts), f.next)
	for _, p := range r.pages {
		f.ledger.Add(p.Done...)
	}
	f.next = r.next
	return r
}

// good reads, and wants no error and no gap.
func (f *follower) good(what string, want []string) result {
	f.t.Helper()
	r := f.run()
	if r.err != nil || len(r.gaps) > 0 {
		f.t.Errorf("%s: gaps %+v, error %v", what, r.gaps, r.err)
	}
	wantIDs(f.t, what, r.ids, want)
	return r
}

func TestTrailContract(t *testing.T) {
	m := blobtest.NewMemory()
	b := smallBucket(put(t, m))
	b.Hours, b.Events = 3, 130
	out := write(t, b)
	src := trail(t, m, cloudtrail.TrailOptions{})
	stuck := &stuckStore{Store: m, stuck: make(chan struct{}), after: 20}
	extracttest.Run(t, extracttest.Harness{
		New: func(t *testing.T, done extract.Ledger) extract.Source {
			return trail(t, m, cloudtrail.TrailOptions{Ledger: done})
		},
		From: src.Start(dawn.Add(-time.Hour)),
		Want: out.IDs,
		Failing: func(t *testing.T, done extract.Ledger) extract.Source {
			n := 0
			bad := &blobtest.Faulty{Store: m, Before: func(op, _ string) error {
				if n++; op == blobtest.OpGet && n > 20 {
					return errRefused
				}
				return nil
			}}
			return trail(t, bad, cloudtrail.TrailOptions{Ledger: done})
		},
		ErrWant: cloudtrail.ErrUnread,
		Stalled: func(t *testing.T) (extract.Source, <-chan struct{}) {
			return trail(t, stuck, cloudtrail.TrailOptions{}), stuck.stuck
		},
	})
}

var errRefused = errors.New("access denied")

// stuckStore hangs in a Get.
type stuckStore struct {
	blob.Store
	after int
	stuck chan struct{}
}

func (s *stuckStore) Get(ctx context.Context, key string) (io.ReadCloser, blob.Info, error) {
	if s.after--; s.after == 0 {
		close(s.stuck)
		<-ctx.Done()
		return nil, blob.Info{}, ctx.Err()
	}
	return s.Store.Get(ctx, key)
}

// Several thousand files, in both layouts, with a prefix and without: exactly
// what was written is read, and a second run reads nothing.
func TestTrailLayouts(t *testing.T) {
	for _, layout := range []struct {
		name, prefix, org string
		hours             int
	}{
		{"account", "", "", 60}, {"prefix", "logs/prod", "", 8}, {"organization", "", org, 8}, {"organization with prefix", "x", org, 60},
	} {
		t.Run(layout.name, func(t *testing.T) {
			m := blobtest.NewMemory()
			b := smallBucket(put(t, m))
			b.Prefix, b.Organization = layout.prefix, layout.org
			b.Hours, b.FilesPerHour = layout.hours, 12
			b.Late = func(n int) bool { return n%11 == 3 }
			b.Repeated = func(n int) bool { return n%7 == 2 }
			out := write(t, b)
			if out.Files != layout.hours*48 {
				t.Fatalf("%d files written, want %d", out.Files, layout.hours*48)
			}
			// What lies beside them is not read.
			beside := put(t, m)
			for _, key := range []string{
				layout.prefix + "/other.json.gz", "AWSLogs/notes.txt", "AWSLogs/999999999999/elasticloadbalancing/eu-west-1/2026/11/19/x.log.gz",
			} {
				if err := beside(fake.TrailObject{Key: strings.TrimPrefix(key, "/"), Body: []byte(`{"eventID":"beside"}`)}); err != nil {
					t.Fatal(err)
				}
			}
			f := follow(t, m, cloudtrail.TrailOptions{Prefix: layout.prefix})
			r := f.good("first run", out.IDs)
			if r.all <= len(r.ids) {
				t.Errorf("%d records of %d ids: the copies are missing", r.all, len(r.ids))
			}
			days := ""
			for _, p := range r.pages {
				for _, in := range p.Done {
					if i := strings.Index(in.Key, "/2026/"); i > 0 && in.Key[i:i+11] < days {
						t.Fatalf("%s is read behind %s", in.Key, days)
					} else if i > 0 {
						days = in.Key[i : i+11]
					}
				}
			}
			if r := f.good("second run", nil); len(r.pages) > 0 {
				t.Errorf("the second run gave %d pages, cursor %s", len(r.pages), r.next)
			}
		})
	}
}

func TestTrailFilters(t *testing.T) {
	m := blobtest.NewMemory()
	for _, o := range []string{"", org} {
		b := smallBucket(put(t, m))
		b.Organization, b.Hours = o, 1
		if o != "" {
			b.Accounts = []string{"333333333333"}
		}
		write(t, b)
	}
	tests := []struct {
		name string
		opts cloudtrail.TrailOptions
		want int // files
	}{
		{"all", cloudtrail.TrailOptions{}, 12},
		{"organization", cloudtrail.TrailOptions{OrganizationID: org}, 4},
		{"another organization", cloudtrail.TrailOptions{OrganizationID: "o-other"}, 0},
		{"account", cloudtrail.TrailOptions{Accounts: []string{member}}, 4},
		{"account of the organization", cloudtrail.TrailOptions{Accounts: []string{"333333333333"}}, 4},
		{"region", cloudtrail.TrailOptions{Regions: []string{"us-east-1"}}, 6},
		{"account and region", cloudtrail.TrailOptions{Accounts: []string{member}, Regions: []string{"us-east-1"}}, 2},
	}
	for _, tt := range tests {
		r := follow(t, m, tt.opts).run()
		files := 0
		for _, p := range r.pages {
			for _, in := range p.Done {
				if strings.Contains(in.Key, "/CloudTrail/") {
					files++
				}
			}
		}
		if files != tt.want || r.err != nil || len(r.gaps) > 0 {
			t.Errorf("%s: %d files, gaps %v, error %v; want %d files", tt.name, files, r.gaps, r.err, tt.want)
		}
	}
}

func TestTrailEventSources(t *testing.T) {
	m := blobtest.NewMemory()
	w := &fake.TrailWriter{Bucket: bucket, Account: member, Region: "eu-west-1", Put: put(t, m), Key: signingKey()}
	_, err := w.File(dawn, dawn, dawn, fake.TrailRecord("iam", iam, "eu-west-1", dawn), fake.TrailRecord("s3", "s3.amazonaws.com", "eu-west-1", dawn),
		[]byte(`{"eventID":"none"}`), []byte(`{"eventID":"odd","eventSource":7}`), []byte(`7`))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		sources  []string
		want     []string
		filtered int
	}{
		{nil, []string{"iam", "none", "odd", ""}, 1},
		{[]string{"S3"}, []string{"s3", "none", "odd", ""}, 1},
		{[]string{"iam", "all"}, []string{"iam", "s3", "none", "odd", ""}, 0},
	} {
		r := follow(t, m, cloudtrail.TrailOptions{EventSources: tt.sources, SkipDigests: true}).good(fmt.Sprint(tt.sources), tt.want)
		if got := r.pages[0].Filtered; got != tt.filtered || r.pages[0].Done[0].Records != 5 {
			t.Errorf("%v: filtered %d, input %+v; want %d filtered of 5", tt.sources, got, r.pages[0].Done[0], tt.filtered)
		}
	}
}

// Files that turn up late are found: within the re-listed hours on the next
// run, across midnight too, later by their digest, and by the daily listing.
func TestTrailLateFiles(t *testing.T) {
	m := blobtest.NewMemory()
	var hidden []fake.TrailObject
	hide := func(o fake.TrailObject) error {
		hidden = append(hidden, o)
		return nil
	}
	w := &fake.TrailWriter{Bucket: bucket, Account: member, Region: "eu-west-1", Put: put(t, m), Key: signingKey()}
	file := func(id string, at time.Time, put func(fake.TrailObject) error) {
		t.Helper()
		keep := w.Put
		defer func() { w.Put = keep }()
		if put != nil {
			w.Put = put
		}
		if _, err := w.File(at, at, at, fake.TrailRecord(id, iam, "eu-west-1", at)); err != nil {
			t.Fatal(err)
		}
	}
	show := func(i int) {
		t.Helper()
		if err := put(t, m)(hidden[i]); err != nil {
			t.Fatal(err)
		}
	}
	midnight := time.Date(2026, 11, 19, 0, 0, 0, 0, time.UTC)
	file("a", midnight.Add(-20*time.Minute), nil)
	file("late before midnight", midnight.Add(-10*time.Minute), hide)
	file("b", midnight.Add(30*time.Minute), nil)
	file("late for hours", midnight.Add(35*time.Minute), hide)
	f := follow(t, m, cloudtrail.TrailOptions{})
	f.now = midnight.Add(40 * time.Minute)
	f.good("first run", []string{"a", "b"})
	show(0)
	f.good("across midnight", []string{"late before midnight"})
	// Its digest names it before anyone lists it.
	for i := range 7 {
		at := midnight.Add(time.Hour + time.Duration(i)*time.Hour)
		file(fmt.Sprint("hour ", i), at, nil)
	}
	f.now = midnight.Add(8 * time.Hour)
	f.good("hours later", []string{"hour 0", "hour 1", "hour 2", "hour 3", "hour 4", "hour 5", "hour 6"})
	show(1)
	f.good("beyond the hours listed again", nil)
	if _, err := w.Digest(midnight.Add(7*time.Hour + 30*time.Minute)); err != nil {
		t.Fatal(err)
	}
	f.now = midnight.Add(9 * time.Hour)
	f.good("by its digest", []string{"late for hours"})

	old := midnight.Add(2 * time.Hour)
	file("for the daily listing", old.Add(time.Minute), nil)
	f.good("not in the hours listed again", nil)
	f.now = midnight.Add(25 * time.Hour)
	f.good("by the daily listing", []string{"for the daily listing"})
}

// A region or an account that turns up with old files is read from the start.
func TestTrailNewRegion(t *testing.T) {
	m := blobtest.NewMemory()
	b := smallBucket(put(t, m))
	b.Regions, b.Accounts = []string{"eu-west-1"}, []string{member}
	out := write(t, b)
	f := follow(t, m, cloudtrail.TrailOptions{})
	f.good("first run", out.IDs)
	b.Accounts, b.Hours = []string{"333333333333"}, 60
	b.From, b.Events = time.Date(2026, 8, 10, 21, 0, 0, 0, time.UTC), 50
	out = write(t, b)
	// Interrupted at any page, it still comes to its end.
	var got []string
	for pages := 0; ; pages++ {
		n := 0
		stopped := false
		for p, err := range trail(t, m, f.opts).Pages(t.Context(), f.next) {
			if err != nil {
				t.Fatal(err)
			}
			for _, rec := range p.Records {
				got = append(got, rec.ID)
			}
			f.ledger.Add(p.Done...)
			f.next = p.Next
			if n++; n == 1 && pages < 3 {
				stopped = true
				break
			}
		}
		if !stopped {
			break
		}
	}
	slices.Sort(got)
	wantIDs(t, "the new account", slices.Compact(got), out.IDs)
	f.good("the run behind", nil)
}

func TestTrailSince(t *testing.T) {
	m := blobtest.NewMemory()
	b := smallBucket(put(t, m))
	b.Regions, b.Accounts = []string{"eu-west-1"}, []string{member}
	out := write(t, b)
	f := follow(t, m, cloudtrail.TrailOptions{})
	f.next = trail(t, m, cloudtrail.TrailOptions{}).Start(dawn.Add(3 * time.Hour))
	f.good("from midnight", out.IDs[2*2*3:])
	f.good("second run", nil)
}

func TestTrailBadFiles(t *testing.T) {
	m := blobtest.NewMemory()
	save := put(t, m)
	w := &fake.TrailWriter{Bucket: bucket, Account: member, Region: "eu-west-1", Put: save, Key: signingKey()}
	record := func(id string) []byte { return fake.TrailRecord(id, iam, "eu-west-1", dawn) }
	content := func(ids ...string) []byte {
		var all [][]byte
		for _, id := range ids {
			all = append(all, record(id))
		}
		return append(append([]byte(`{"Records":[`), bytes.Join(all, []byte(","))...), `]}`...)
	}
	var many []string
	for i := range 200 {
		many = append(many, fmt.Sprintf("m%03d", i))
	}
	whole := fake.Gzip(content(many...))
	files := map[string][]byte{
		"plain": content("plain"), "empty": fake.Gzip(nil), "no records": fake.Gzip(content()),
		"cut": whole[:len(whole)/2], "text": fake.Gzip([]byte("not json")), "not gzip": {0x1f, 0x8b, 1, 2, 3},
	}
	i := 0
	for _, name := range []string{"plain", "empty", "no records", "cut", "text", "not gzip"} {
		i++
		key := w.FileKey(dawn.Add(time.Duration(i)*time.Minute), []byte(name))
		if err := save(fake.TrailObject{Key: key, Body: files[name]}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.File(dawn.Add(time.Hour), dawn, dawn, record("neighbour")); err != nil {
		t.Fatal(err)
	}
	f := follow(t, m, cloudtrail.TrailOptions{SkipDigests: true})
	r := f.run()
	if r.err != nil {
		t.Fatal(r.err)
	}
	if !slices.Contains(r.ids, "plain") || !slices.Contains(r.ids, "neighbour") || !slices.Contains(r.ids, "m000") {
		t.Errorf("ids %v", r.ids)
	}
	faults := 0
	for _, p := range r.pages {
		for _, in := range p.Done {
			if in.Fault != "" {
				faults++
			}
		}
	}
	if faults != 2 {
		t.Errorf("%d inputs with a fault, want the cut one and the one that is no gzip", faults)
	}
	f.good("second run", nil)
}

// A file that cannot be read costs no other, and is tried until it can.
func TestTrailUnreadable(t *testing.T) {
	m := blobtest.NewMemory()
	b := smallBucket(put(t, m))
	b.Regions, b.Accounts = []string{"eu-west-1"}, []string{member}
	out := write(t, b)
	var denied string
	for key := range m.Objects() {
		if strings.Contains(key, "_20261118T2230Z_") {
			denied = key
		}
	}
	refuse := true
	store := &blobtest.Faulty{Store: m, Before: func(op, key string) error {
		if refuse && op == blobtest.OpGet && key == denied {
			return errRefused
		}
		return nil
	}}
	f := follow(t, store, cloudtrail.TrailOptions{})
	r := f.run()
	if !errors.Is(r.err, cloudtrail.ErrUnread) || len(r.ids) != len(out.IDs)-2 || len(r.gaps) > 0 {
		t.Errorf("first run: %d ids of %d, gaps %v, error %v", len(r.ids), len(out.IDs), r.gaps, r.err)
	}
	f.now = noon.Add(100 * time.Hour)
	if r = f.run(); !errors.Is(r.err, cloudtrail.ErrUnread) || len(r.ids) > 0 || len(r.gaps) > 0 {
		t.Errorf("still refused: ids %v, gaps %v, error %v", r.ids, r.gaps, r.err)
	}
	refuse = false
	if r = f.run(); r.err != nil || len(r.ids) != 2 || len(r.gaps) > 0 {
		t.Errorf("readable again: ids %v, gaps %v, error %v", r.ids, r.gaps, r.err)
	}
	f.good("behind", nil)
}

// More files than the cursor names are tried again all the same.
func TestTrailManyUnreadable(t *testing.T) {
	m := blobtest.NewMemory()
	b := smallBucket(put(t, m))
	b.Hours, b.FilesPerHour = 10, 12
	out := write(t, b)
	refuse := true
	store := &blobtest.Faulty{Store: m, Before: func(op, key string) error {
		if refuse && op == blobtest.OpGet && strings.Contains(key, "/CloudTrail/") {
			return errRefused
		}
		return nil
	}}
	f := follow(t, store, cloudtrail.TrailOptions{SkipDigests: true})
	if r := f.run(); !errors.Is(r.err, cloudtrail.ErrUnread) || len(r.ids) > 0 {
		t.Errorf("refused: ids %v, error %v", r.ids, r.err)
	}
	f.now = f.now.Add(time.Hour)
	refuse = false
	f.good("readable again", out.IDs)
	f.good("behind", nil)
}

// A connection that breaks in a file costs nothing.
func TestTrailBrokenConnection(t *testing.T) {
	m := blobtest.NewMemory()
	b := smallBucket(put(t, m))
	b.Events = 500
	b.Hours = 2
	out := write(t, b)
	f := follow(t, &breaking{Memory: m}, cloudtrail.TrailOptions{})
	f.good("cut connections", out.IDs)
}

// breaking cuts every second body.
type breaking struct {
	*blobtest.Memory
	n int
}

func (b *breaking) Get(ctx context.Context, key string) (io.ReadCloser, blob.Info, error) {
	r, info, err := b.Memory.Get(ctx, key)
	if b.n++; err == nil && b.n%2 == 0 && strings.Contains(key, "/CloudTrail/") {
		r = io.NopCloser(io.MultiReader(io.LimitReader(r, 1000), errReader{}))
	}
	return r, info, err
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

// One file of a hundred megabytes must not be one in memory.
func TestTrailHugeFile(t *testing.T) {
	store := &hugeStore{Memory: blobtest.NewMemory()}
	w := &fake.TrailWriter{Bucket: bucket, Account: member, Region: "eu-west-1", Put: put(t, store.Memory), Key: signingKey()}
	if _, err := w.File(dawn, dawn, dawn, []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	src := trail(t, store, cloudtrail.TrailOptions{SkipDigests: true})
	var records int
	var peak uint64
	for p, err := range src.Pages(t.Context(), src.Start(dawn.Add(-time.Hour))) {
		if err != nil {
			t.Fatal(err)
		}
		if records += len(p.Records); records%20_000 == 0 {
			var s runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&s)
			peak = max(peak, s.HeapAlloc)
		}
	}
	if records != hugeRecords || peak > 48<<20 {
		t.Errorf("%d records, %d MiB in use; want %d below 48", records, peak>>20, hugeRecords)
	}
}

const hugeRecords = 200_000

type hugeStore struct{ *blobtest.Memory }

func (s *hugeStore) Get(ctx context.Context, key string) (io.ReadCloser, blob.Info, error) {
	info, err := s.Head(ctx, key)
	if err != nil {
		return nil, info, err
	}
	record := fake.TrailRecord("00000000", iam, "eu-west-1", dawn)
	next, stop := iter.Pull(func(yield func([]byte) bool) {
		if !yield([]byte(`{"Records":[`)) {
			return
		}
		for i := range hugeRecords {
			comma := ","
			if i == 0 {
				comma = ""
			}
			if !yield(append([]byte(comma), bytes.ReplaceAll(record, []byte("00000000"), fmt.Appendf(nil, "%08d", i))...)) {
				return
			}
		}
		yield([]byte(`]}`))
	})
	return &pulled{next: next, stop: stop}, info, nil
}

type pulled struct {
	next func() ([]byte, bool)
	stop func()
	rest []byte
}

func (p *pulled) Read(b []byte) (int, error) {
	for len(p.rest) == 0 {
		var ok bool
		if p.rest, ok = p.next(); !ok {
			return 0, io.EOF
		}
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

func (p *pulled) Close() error {
	p.stop()
	return nil
}

func TestTrailOptions(t *testing.T) {
	m := blobtest.NewMemory()
	good := cloudtrail.TrailOptions{Name: "x", Store: m, Bucket: bucket, Now: at(noon), SkipDigests: true}
	for _, tt := range []struct {
		name string
		set  func(o *cloudtrail.TrailOptions)
		want string
	}{
		{"no clock", func(o *cloudtrail.TrailOptions) { o.Now = nil }, "clock"},
		{"no bucket", func(o *cloudtrail.TrailOptions) { o.Bucket = "" }, "bucket"},
		{"relist", func(o *cloudtrail.TrailOptions) { o.Relist = -1 }, "negative"},
		{"keys", func(o *cloudtrail.TrailOptions) { o.SkipDigests = false }, "public keys"},
		{"organization", func(o *cloudtrail.TrailOptions) { o.OrganizationID = "acme" }, "o-"},
		{"account", func(o *cloudtrail.TrailOptions) { o.Accounts = []string{"1"} }, "12 digits"},
	} {
		o := good
		tt.set(&o)
		if _, err := cloudtrail.NewTrail(o); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v", tt.name, err)
		}
	}
	good.Prefix = "/logs/"
	src, err := cloudtrail.NewTrail(good)
	if err != nil || src.Identity() != "cloudtrail:acme-trail/logs/AWSLogs/" {
		t.Errorf("got %v, %v", src.Identity(), err)
	}
	for _, from := range []extract.Cursor{"x", `[]`, `{"record":-1}`, `{"record":3}`, `{"upto":"2036-01-01T00:00:00Z"}`} {
		if r := read(t.Context(), src, from); r.err == nil {
			t.Errorf("cursor %s: no error", from)
		}
	}
	if r := read(t.Context(), src, ""); r.err != nil {
		t.Errorf("no cursor: %v", r.err)
	}
}

func TestTrailCheck(t *testing.T) {
	m := blobtest.NewMemory()
	now := dawn.Add(7 * time.Hour)
	found, err := trail(t, m, cloudtrail.TrailOptions{Now: at(now)}).Check(t.Context())
	if err != nil || len(found) != 1 || found[0].OK {
		t.Errorf("empty: got %+v, %v", found, err)
	}
	write(t, smallBucket(put(t, m)))
	found, err = trail(t, m, cloudtrail.TrailOptions{Now: at(now)}).Check(t.Context())
	if err != nil || len(found) != 3 {
		t.Fatalf("got %+v, %v", found, err)
	}
	for i, want := range []string{"2 accounts in eu-west-1, us-east-1", "", "signature checked"} {
		if !found[i].OK || found[i].Hint != want {
			t.Errorf("finding %+v, want %q", found[i], want)
		}
	}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	found, err = trail(t, m, cloudtrail.TrailOptions{Now: at(now), PublicKeys: cloudtrail.GivenKeys{&other.PublicKey}}).Check(t.Context())
	if err != nil || found[2].OK {
		t.Errorf("another key: got %+v, %v", found, err)
	}
}

func TestParseKeys(t *testing.T) {
	key := &signingKey().PublicKey
	pkix, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs1 := x509.MarshalPKCS1PublicKey(key)
	both := slices.Concat(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pkix}), pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: pkcs1}))
	for name, tt := range map[string]struct {
		in   []byte
		want int
	}{"pem": {both, 2}, "pkcs1": {pkcs1, 1}, "pkix": {pkix, 1}, "text": {[]byte("key"), -1}, "empty": {nil, -1}} {
		keys, err := cloudtrail.ParseKeys(tt.in)
		if tt.want < 0 {
			if err == nil {
				t.Errorf("%s: no error", name)
			}
			continue
		}
		if err != nil || len(keys) != tt.want || !keys[0].Equal(key) {
			t.Errorf("%s: %d keys, %v", name, len(keys), err)
		}
	}
}

// extractAll unpacks gzip.
func extractAll(b []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

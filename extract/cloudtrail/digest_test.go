package cloudtrail_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/idtrail/idtrail/extract/cloudtrail"
	"github.com/idtrail/idtrail/extract/extracttest"
	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/blob/blobtest"
	"github.com/idtrail/idtrail/internal/fake"
)

// oneTrail is a bucket of one account and region over eight hours, files and
// digests listed by their times.
type oneTrail struct {
	*blobtest.Memory
	files, digests []string
	out            fake.TrailContents
}

func newOneTrail(t *testing.T) *oneTrail {
	t.Helper()
	m := blobtest.NewMemory()
	b := smallBucket(put(t, m))
	b.Regions, b.Accounts, b.Hours = []string{"eu-west-1"}, []string{member}, 8
	o := &oneTrail{Memory: m, out: write(t, b)}
	for _, key := range slices.Sorted(maps.Keys(m.Objects())) {
		if strings.Contains(key, "-Digest/") {
			o.digests = append(o.digests, key)
		} else {
			o.files = append(o.files, key)
		}
	}
	return o
}

func (o *oneTrail) remove(t *testing.T, key string) {
	t.Helper()
	if err := o.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
}

// change replaces an object's content, and keeps what is noted beside it.
func (o *oneTrail) change(t *testing.T, key string, content []byte) {
	t.Helper()
	notes, err := o.Metadata(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if err := put(t, o.Memory)(fake.TrailObject{Key: key, Body: content, Metadata: notes}); err != nil {
		t.Fatal(err)
	}
}

// The ways in which a trail can be spoilt, and what is declared of each: once.
func TestDigests(t *testing.T) {
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	hour := func(n int) time.Time { return dawn.Add(time.Duration(n) * time.Hour) }
	tests := []struct {
		name  string
		spoil func(t *testing.T, o *oneTrail)
		// want are the input and a word of the reason of each gap.
		want     [][2]string
		from, to time.Time // of the first
	}{
		{name: "nothing", spoil: func(*testing.T, *oneTrail) {}},
		{
			name:  "file missing",
			spoil: func(t *testing.T, o *oneTrail) { o.remove(t, o.files[5]) },
			want:  [][2]string{{"file 5", "missing"}},
			from:  hour(2).Add(30*time.Minute - 5*time.Minute - 2*time.Second), to: hour(2).Add(25 * time.Minute),
		},
		{
			name: "file altered",
			spoil: func(t *testing.T, o *oneTrail) {
				o.change(t, o.files[6], fake.Gzip([]byte(`{"Records":[]}`)))
			},
			want: [][2]string{{"file 6", "altered"}},
		},
		{
			name:  "file cut off",
			spoil: func(t *testing.T, o *oneTrail) { o.change(t, o.files[6], o.Objects()[o.files[6]][:60]) },
			want:  [][2]string{{"file 6", "altered"}},
		},
		{
			name: "file packed anew",
			spoil: func(t *testing.T, o *oneTrail) {
				o.change(t, o.files[6], append(o.Objects()[o.files[6]], fake.Gzip(nil)...))
			},
		},
		{
			name: "two files",
			spoil: func(t *testing.T, o *oneTrail) {
				o.remove(t, o.files[0])
				o.remove(t, o.files[1])
			},
			want: [][2]string{{"file 0", "missing"}, {"file 1", "missing"}},
		},
		{
			name: "digest altered to hide a file",
			spoil: func(t *testing.T, o *oneTrail) {
				o.remove(t, o.files[4])
				o.change(t, o.digests[2], fake.Gzip(bytes.ReplaceAll(gunzip(t, o.Objects()[o.digests[2]]), []byte(o.files[4]), []byte(o.files[5]))))
			},
			want: [][2]string{{"digest 2", "not what CloudTrail signed"}},
			from: hour(2), to: hour(3),
		},
		{
			name: "digest forged with another key",
			spoil: func(t *testing.T, o *oneTrail) {
				w := &fake.TrailWriter{Bucket: bucket, Account: member, Region: "eu-west-1", Key: other, Put: put(t, o.Memory)}
				w.Restart(hour(2))
				if _, err := w.Digest(hour(3)); err != nil {
					t.Fatal(err)
				}
			},
			want: [][2]string{{"digest 2", "not what CloudTrail signed"}},
		},
		{
			name:  "digest without its signature",
			spoil: func(_ *testing.T, o *oneTrail) { o.SetMetadata(o.digests[3], nil) },
			want:  [][2]string{{"digest 3", "has no signature"}},
		},
		{
			name: "digest signed by other means",
			spoil: func(t *testing.T, o *oneTrail) {
				notes, err := o.Metadata(t.Context(), o.digests[3])
				if err != nil {
					t.Fatal(err)
				}
				notes["signature-algorithm"] = "none"
				o.SetMetadata(o.digests[3], notes)
			},
			want: [][2]string{{"digest 3", "unknown algorithm"}},
		},
		{
			name:  "digest that is none",
			spoil: func(t *testing.T, o *oneTrail) { o.change(t, o.digests[3], []byte("[]")) },
			want:  [][2]string{{"digest 3", "cannot be read"}},
		},
		{
			name:  "digest cut off",
			spoil: func(t *testing.T, o *oneTrail) { o.change(t, o.digests[3], o.Objects()[o.digests[3]][:90]) },
			want:  [][2]string{{"digest 3", "cannot be unpacked"}},
		},
		{
			name: "an older digest in the place of another",
			spoil: func(t *testing.T, o *oneTrail) {
				notes, err := o.Metadata(t.Context(), o.digests[1])
				if err != nil {
					t.Fatal(err)
				}
				o.change(t, o.digests[4], o.Objects()[o.digests[1]])
				o.SetMetadata(o.digests[4], notes)
			},
			want: [][2]string{{"digest 4", "was moved"}},
		},
		{
			name:  "digest missing",
			spoil: func(t *testing.T, o *oneTrail) { o.remove(t, o.digests[3]) },
			want:  [][2]string{{"digest 3", "digest is missing"}},
			from:  hour(3), to: hour(4),
		},
		{
			name: "three digests missing",
			spoil: func(t *testing.T, o *oneTrail) {
				for i := 2; i < 5; i++ {
					o.remove(t, o.digests[i])
				}
			},
			want: [][2]string{{"digest 4", "digest is missing"}},
			from: hour(2), to: hour(5),
		},
		{
			name:  "first digest missing, from before the first run for all one knows",
			spoil: func(t *testing.T, o *oneTrail) { o.remove(t, o.digests[0]) },
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := newOneTrail(t)
			tt.spoil(t, o)
			f := follow(t, o, cloudtrail.TrailOptions{})
			r := f.run()
			if r.err != nil {
				t.Fatal(r.err)
			}
			if len(r.gaps) != len(tt.want) {
				t.Fatalf("gaps %+v, want %v", r.gaps, tt.want)
			}
			for i, want := range tt.want {
				g := r.gaps[i]
				if g.Input != o.key(want[0]) || !strings.Contains(g.Reason, want[1]) || g.To.Before(g.From) || g.From.IsZero() {
					t.Errorf("gap %+v, want %v", g, want)
				}
			}
			if !tt.from.IsZero() && (!r.gaps[0].From.Equal(tt.from) || !r.gaps[0].To.Equal(tt.to)) {
				t.Errorf("gap from %v to %v, want %v to %v", r.gaps[0].From, r.gaps[0].To, tt.from, tt.to)
			}
			f.good("second run", nil)
			f.now = noon.Add(48 * time.Hour)
			f.good("the daily listing", nil)
		})
	}
}

func (o *oneTrail) key(name string) string {
	kind, n, _ := strings.Cut(name, " ")
	if kind == "file" {
		return o.files[n[0]-'0']
	}
	return o.digests[n[0]-'0']
}

func gunzip(t *testing.T, b []byte) []byte {
	t.Helper()
	text, err := extractAll(b)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Run by run, hour by hour, a gap is declared in the run that sees it, once;
// resumed at any page, too.
func TestDigestsOnce(t *testing.T) {
	o := newOneTrail(t)
	o.remove(t, o.files[5])
	o.remove(t, o.digests[5])
	whole := follow(t, o, cloudtrail.TrailOptions{}).run()
	if len(whole.gaps) != 2 {
		t.Fatalf("gaps %+v", whole.gaps)
	}
	src := trail(t, o, cloudtrail.TrailOptions{})
	for stop := range whole.pages {
		var ledger extracttest.Ledger
		gaps, next := 0, src.Start(dawn.Add(-24*time.Hour))
		n := 0
		for p, err := range trail(t, o, cloudtrail.TrailOptions{Ledger: &ledger}).Pages(t.Context(), next) {
			if err != nil {
				t.Fatal(err)
			}
			gaps, next = gaps+len(p.Gaps), p.Next
			ledger.Add(p.Done...)
			if n++; n > stop {
				break
			}
		}
		r := read(t.Context(), trail(t, o, cloudtrail.TrailOptions{Ledger: &ledger}), next)
		if gaps += len(r.gaps); r.err != nil || gaps != 2 {
			t.Errorf("stopped behind page %d: %d gaps, error %v; want 2", stop, gaps, r.err)
		}
	}
}

// What is younger than an hour may be on its way still.
func TestDigestsPatience(t *testing.T) {
	o := newOneTrail(t)
	objects := o.Objects()
	o.remove(t, o.files[15])
	f := follow(t, o, cloudtrail.TrailOptions{})
	f.now = dawn.Add(8*time.Hour + 10*time.Minute)
	f.good("right behind", o.out.IDs[:len(o.out.IDs)-2])
	f.good("again", nil)
	o.change2(t, o.files[15], objects[o.files[15]])
	f.good("arrived", o.out.IDs[len(o.out.IDs)-2:])
	f.now = noon
	f.good("later", nil)

	o.remove(t, o.files[14])
	f = follow(t, o, cloudtrail.TrailOptions{})
	f.now = dawn.Add(8*time.Hour + 10*time.Minute)
	f.run()
	f.now = dawn.Add(9*time.Hour + 10*time.Minute)
	if r := f.run(); len(r.gaps) != 1 || r.gaps[0].Input != o.files[14] {
		t.Errorf("an hour later: gaps %+v, want the file", r.gaps)
	}
	f.good("behind", nil)
}

func (o *oneTrail) change2(t *testing.T, key string, content []byte) {
	t.Helper()
	if err := put(t, o.Memory)(fake.TrailObject{Key: key, Body: content}); err != nil {
		t.Fatal(err)
	}
}

// A trail whose logging was stopped begins a new chain: the time between has no
// proof, days later too.
func TestDigestsNewChain(t *testing.T) {
	for _, pause := range []time.Duration{0, 5 * time.Hour, 100 * time.Hour} {
		m := blobtest.NewMemory()
		w := &fake.TrailWriter{Bucket: bucket, Account: member, Region: "eu-west-1", Key: signingKey(), Put: put(t, m)}
		digests := func(from time.Time) {
			for i := range 3 {
				if _, err := w.Digest(from.Add(time.Duration(i+1) * time.Hour)); err != nil {
					t.Fatal(err)
				}
			}
		}
		digests(dawn)
		f := follow(t, m, cloudtrail.TrailOptions{})
		f.good("first chain", nil)
		stop := dawn.Add(3 * time.Hour)
		// Another region goes on meanwhile.
		other := &fake.TrailWriter{Bucket: bucket, Account: member, Region: "us-east-1", Key: signingKey(), Put: put(t, m)}
		if _, err := other.Digest(stop.Add(pause)); err != nil {
			t.Fatal(err)
		}
		f.now = stop.Add(pause)
		f.good("meanwhile", nil)
		w.Restart(stop.Add(pause))
		digests(stop.Add(pause))
		f.now = stop.Add(pause + 30*time.Hour)
		r := f.run()
		switch {
		case pause == 0 && len(r.gaps) == 0:
		case len(r.gaps) != 1 || !r.gaps[0].From.Equal(stop) || !r.gaps[0].To.Equal(stop.Add(pause)) || !strings.Contains(r.gaps[0].Reason, "validation was off"):
			t.Errorf("pause of %v: gaps %+v, error %v", pause, r.gaps, r.err)
		}
		f.good("behind", nil)
	}
}

// Digests that go missing between two runs are found by the next one, even if
// all before it are gone.
func TestDigestsRemovedBetweenRuns(t *testing.T) {
	m := blobtest.NewMemory()
	w := &fake.TrailWriter{Bucket: bucket, Account: member, Region: "eu-west-1", Key: signingKey(), Put: put(t, m)}
	digest := func(n int) string {
		t.Helper()
		o, err := w.Digest(dawn.Add(time.Duration(n) * time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		return o.Key
	}
	keys := []string{digest(1), digest(2)}
	f := follow(t, m, cloudtrail.TrailOptions{})
	f.good("first run", nil)
	keys = append(keys, digest(3), digest(4))
	for _, key := range keys {
		if err := m.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	digest(5)
	r := f.run()
	if len(r.gaps) != 1 || r.gaps[0].Input != keys[3] || !r.gaps[0].To.Equal(dawn.Add(4*time.Hour)) {
		t.Errorf("gaps %+v, want digest 4", r.gaps)
	}
	f.good("behind", nil)
}

// Replaced after it was checked, a digest is no proof any more.
func TestDigestReplacedLater(t *testing.T) {
	o := newOneTrail(t)
	f := follow(t, o, cloudtrail.TrailOptions{})
	f.good("first run", o.out.IDs)
	o.change(t, o.digests[7], fake.Gzip([]byte(`{}`)))
	if r := f.run(); len(r.gaps) != 1 || r.gaps[0].Input != o.digests[7] || !strings.Contains(r.gaps[0].Reason, "replaced") {
		t.Errorf("gaps %+v", r.gaps)
	}
	f.good("behind", nil)
}

// Keys come from CloudTrail, of the digest's region or the trail's home.
func TestDigestKeysOfTheService(t *testing.T) {
	m := blobtest.NewMemory()
	b := smallBucket(put(t, m))
	out := write(t, b)
	for _, regions := range [][]string{{"eu-west-1", "us-east-1"}, {"eu-west-1"}} {
		ct := fake.NewCloudTrail(fake.CloudTrailOptions{Now: at(noon)})
		for _, region := range regions {
			ct.AddKey(region, &signingKey().PublicKey, dawn.Add(-24*time.Hour), dawn.Add(24*time.Hour))
		}
		service := cloudtrail.NewKeyService(config(ct))
		follow(t, m, cloudtrail.TrailOptions{PublicKeys: service}).good("keys of "+strings.Join(regions, ", "), out.IDs)
		if n := len(ct.Calls()); n > 24 {
			t.Errorf("%d calls for keys", n)
		}
	}
	ct := fake.NewCloudTrail(fake.CloudTrailOptions{Now: at(noon)})
	r := follow(t, m, cloudtrail.TrailOptions{PublicKeys: cloudtrail.NewKeyService(config(ct))}).run()
	if len(r.gaps) != out.Digests || !strings.Contains(r.gaps[0].Reason, "does not know") {
		t.Errorf("no such key: %d gaps of %d digests, %v", len(r.gaps), out.Digests, r.err)
	}
}

// Where the keys cannot be had, nothing is declared; the files are read, and
// the digests wait, for as long as it takes.
func TestDigestKeysRefused(t *testing.T) {
	o := newOneTrail(t)
	o.remove(t, o.files[3])
	ct := fake.NewCloudTrail(fake.CloudTrailOptions{Now: at(noon), Fault: func(fake.TrailCall) *fake.Fault {
		return fake.AWSError("AccessDeniedException")
	}})
	ct.AddKey("eu-west-1", &signingKey().PublicKey, dawn.Add(-24*time.Hour), dawn.Add(24*time.Hour))
	f := follow(t, o, cloudtrail.TrailOptions{PublicKeys: cloudtrail.NewKeyService(config(ct))})
	r := f.run()
	if !errors.Is(r.err, cloudtrail.ErrUnread) || !strings.Contains(r.err.Error(), "cloudtrail:ListPublicKeys") ||
		len(r.ids) != len(o.out.IDs)-2 || len(r.gaps) > 0 {
		t.Errorf("refused: %d ids, gaps %+v, error %v", len(r.ids), r.gaps, r.err)
	}
	f.now = noon.Add(200 * time.Hour)
	if r = f.run(); !errors.Is(r.err, cloudtrail.ErrUnread) || len(r.ids)+len(r.gaps) > 0 {
		t.Errorf("still refused: ids %v, gaps %+v, error %v", r.ids, r.gaps, r.err)
	}
	ct.SetFault(nil)
	if r = f.run(); r.err != nil || len(r.gaps) != 1 || r.gaps[0].Input != o.files[3] {
		t.Errorf("granted: gaps %+v, error %v; want the file", r.gaps, r.err)
	}
	f.good("behind", nil)
}

// A store without metadata still shows what the chain and the hashes do.
func TestDigestsWithoutSignatures(t *testing.T) {
	o := newOneTrail(t)
	o.remove(t, o.files[5])
	r := follow(t, plainStore{o.Memory}, cloudtrail.TrailOptions{}).run()
	if r.err != nil || len(r.gaps) != 1 || r.gaps[0].Input != o.files[5] {
		t.Errorf("gaps %+v, error %v", r.gaps, r.err)
	}
	o = newOneTrail(t)
	o.change(t, o.digests[4], fake.Gzip(append(gunzip(t, o.Objects()[o.digests[4]]), '\n')))
	r = follow(t, plainStore{o.Memory}, cloudtrail.TrailOptions{}).run()
	if r.err != nil || len(r.gaps) != 1 || r.gaps[0].Input != o.digests[4] || !strings.Contains(r.gaps[0].Reason, "altered") {
		t.Errorf("altered: gaps %+v, error %v", r.gaps, r.err)
	}
}

// plainStore hides Metadata.
type plainStore struct{ blob.Store }

// Two trails may write to one bucket: two chains in one folder.
func TestDigestsOfTwoTrails(t *testing.T) {
	m := blobtest.NewMemory()
	a := &fake.TrailWriter{Bucket: bucket, Account: member, Region: "eu-west-1", Key: signingKey(), Put: put(t, m), Name: "a"}
	b := &fake.TrailWriter{Bucket: bucket, Account: member, Region: "eu-west-1", Key: signingKey(), Put: put(t, m), Name: "b_b", Home: "us-east-1"}
	for i := range 6 {
		for _, w := range []*fake.TrailWriter{a, b} {
			at := dawn.Add(time.Duration(i) * time.Hour)
			if _, err := w.File(at, at, at, fake.TrailRecord(w.Name+string(rune('0'+i)), iam, "eu-west-1", at)); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Digest(at.Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
	}
	f := follow(t, m, cloudtrail.TrailOptions{})
	if r := f.run(); r.err != nil || len(r.gaps) > 0 || len(r.ids) != 12 {
		t.Errorf("ids %v, gaps %+v, error %v", r.ids, r.gaps, r.err)
	}
}

// A replica's digests name the bucket they were written to.
func TestDigestsOfReplica(t *testing.T) {
	m := blobtest.NewMemory()
	b := smallBucket(put(t, m))
	b.Bucket, b.Hours = "original", 2
	out := write(t, b)
	follow(t, m, cloudtrail.TrailOptions{OriginalBucket: "original"}).good("replica", out.IDs)
	if r := follow(t, m, cloudtrail.TrailOptions{}).run(); len(r.gaps) != out.Digests {
		t.Errorf("another bucket: %d gaps, want one for each digest", len(r.gaps))
	}
}

// What the knobs spoil is what is declared.
func TestDigestsKnobs(t *testing.T) {
	m := blobtest.NewMemory()
	b := smallBucket(put(t, m))
	b.Organization, b.Hours = org, 30
	b.Missing = func(n int) bool { return n%23 == 5 }
	b.Altered = func(n int) bool { return n%31 == 7 }
	b.Late = func(n int) bool { return n%5 == 1 }
	b.Repeated = func(n int) bool { return n%3 == 1 }
	out := write(t, b)
	r := follow(t, m, cloudtrail.TrailOptions{}).run()
	wantIDs(t, "what is left", r.ids, out.IDs)
	var missing, altered []string
	for _, g := range r.gaps {
		if strings.Contains(g.Reason, "missing") {
			missing = append(missing, g.Input)
		} else {
			altered = append(altered, g.Input)
		}
	}
	slices.Sort(missing)
	slices.Sort(altered)
	wantIDs(t, "missing", missing, out.Missing)
	wantIDs(t, "altered", altered, out.Altered)
	if r.err != nil || len(out.Missing) == 0 || len(out.Altered) == 0 {
		t.Errorf("error %v, %d missing, %d altered", r.err, len(out.Missing), len(out.Altered))
	}
}

func TestTrailCancelled(t *testing.T) {
	o := newOneTrail(t)
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	store := &blobtest.Faulty{Store: o.Memory, Before: func(op, key string) error {
		if n++; n == 25 {
			cancel()
		}
		return nil
	}}
	src := trail(t, store, cloudtrail.TrailOptions{})
	if r := read(ctx, src, src.Start(dawn.Add(-time.Hour))); !errors.Is(r.err, context.Canceled) || len(r.gaps) > 0 {
		t.Errorf("gaps %v, error %v", r.gaps, r.err)
	}
}

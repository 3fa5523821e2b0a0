package integration_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/idtrail/idtrail/integration/harness"
	"github.com/idtrail/idtrail/internal/fake"
)

// digestKey signs all digests; making one takes a while.
var digestKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// trailBucket is a bucket that a trail writes to, hour after hour.
type trailBucket struct {
	server       *harness.Server
	client       *s3.Client
	bucket       string
	prefix       string
	organization string
	accounts     []string
	regions      []string
	key          *rsa.PrivateKey

	// next is the hour that was not written yet.
	next    time.Time
	writers []*fake.TrailWriter
	files   int
	last    []byte // an event that another file may repeat
	// spoil may change what is put, or leave it out.
	spoil func(*fake.TrailObject) (put bool)
	keys  map[string]bool // of all that was put
}

// What a trail writes in an hour, for each account and region.
const filesPerHour, eventsPerFile = 12, 4

// trailSources are services; the default filter keeps four of them.
func trailSources() []string {
	var all []string
	for _, name := range []string{"iam", "s3", "sts", "cognito-idp", "ec2", "signin", "kms"} {
		all = append(all, name+".amazonaws.com")
	}
	return all
}

// open makes the bucket, and as many writers as there are places.
func (b *trailBucket) open(t *testing.T) {
	t.Helper()
	var err error
	if b.key, err = digestKey(); err != nil {
		t.Fatal(err)
	}
	b.server = harness.S3(t)
	b.client, b.bucket, b.keys = b.server.Client(t, nil), b.server.Bucket(t), map[string]bool{}
	for _, account := range b.accounts {
		for _, region := range b.regions {
			b.writers = append(b.writers, &fake.TrailWriter{
				Bucket: b.bucket, Prefix: b.prefix, Organization: b.organization, Account: account, Region: region,
				Home: b.regions[0], Key: b.key, Put: func(o fake.TrailObject) error { return b.put(t, o) },
			})
		}
	}
}

// put puts an object as CloudTrail does: what it notes stands in x-amz-meta-.
func (b *trailBucket) put(t *testing.T, o fake.TrailObject) error {
	t.Helper()
	if b.spoil != nil && !b.spoil(&o) {
		return nil
	}
	b.keys[o.Key] = true
	_, err := b.client.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: &b.bucket, Key: &o.Key, Body: bytes.NewReader(o.Body), Metadata: o.Metadata,
	})
	return err
}

// hours writes so many hours in all places, each with its digest at the end.
func (b *trailBucket) hours(t *testing.T, n int) {
	t.Helper()
	for range n {
		for _, w := range b.writers {
			for i := range filesPerHour {
				b.file(t, w, b.next.Add(time.Duration(i)*time.Hour/filesPerHour))
			}
			if _, err := w.Digest(b.next.Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		b.next = b.next.Add(time.Hour)
	}
}

// file writes a file named by a time; every twentieth repeats an event.
func (b *trailBucket) file(t *testing.T, w *fake.TrailWriter, at time.Time) fake.TrailObject {
	t.Helper()
	var records [][]byte
	if b.files%20 == 19 {
		records = append(records, b.last)
	}
	happened := at.Add(-5 * time.Minute)
	for i := range eventsPerFile {
		n := b.files*eventsPerFile + i
		b.last = fake.TrailRecord(fmt.Sprintf("%08x-0000-4000-8000-%s", n, w.Account), trailSources()[n%len(trailSources())], w.Region, happened)
		records = append(records, b.last)
	}
	b.files++
	o, err := w.File(at, happened, happened, records...)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// writeKey writes the file of public keys, as it would have been saved.
func (b *trailBucket) writeKey(t *testing.T, s *site) {
	t.Helper()
	s.writeFile(t, "keys.pem", pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&b.key.PublicKey)}))
}

// giveKeys makes a CloudTrail that gives the key out in each region, and
// returns where it is.
func (b *trailBucket) giveKeys(t *testing.T) (*fake.CloudTrail, string) {
	t.Helper()
	trail := fake.NewCloudTrail(fake.CloudTrailOptions{})
	for _, region := range b.regions {
		trail.AddKey(region, &b.key.PublicKey, b.next.AddDate(0, -1, 0), b.next.AddDate(0, 1, 0))
	}
	server := httptest.NewServer(trail)
	t.Cleanup(server.Close)
	return trail, server.URL
}

// trailRun is a config over a bucket, with a source of every event and one of
// those that are kept unless told otherwise.
type trailRun struct {
	site   *site
	bucket *trailBucket
	config string
	env    []string
}

// options are further options of both sources.
func newTrailRun(t *testing.T, b *trailBucket, options string, env ...string) *trailRun {
	t.Helper()
	r := &trailRun{site: &site{dir: t.TempDir()}, bucket: b, env: append(b.server.Env(), env...)}
	r.site.writeFile(t, "idtrail.yaml", fmt.Appendf(nil, `
state: ./state
lake: ./lake
raw: ./raw
sinks: [{name: lake, kind: parquet, every: 1ms}]
sources:
  - {name: all, kind: cloudtrail_trail, bucket: %[1]s, event_sources: [all]%[2]s}
  - {name: kept, kind: cloudtrail_trail, bucket: %[1]s%[2]s}
`, b.bucket, options))
	r.config = r.site.path("idtrail.yaml")
	b.writeKey(t, r.site)
	return r
}

func (r *trailRun) run(t *testing.T, code int) report {
	t.Helper()
	out, _ := r.site.run(t, r.env, r.config, code)
	for _, s := range out.Sources {
		if s.Error != "" || !s.Drained {
			t.Errorf("source %s: error %q, drained %v", s.Source, s.Error, s.Drained)
		}
	}
	return out
}

// ids holds the ids in the lake against those in the bucket's files, both read
// by DuckDB, and wants no fewer of them than are given.
func (r *trailRun) ids(t *testing.T, want int64) {
	t.Helper()
	in := filepath.Join(r.bucket.server.Path(r.bucket.bucket, r.bucket.prefix), "AWSLogs", "**", "*_CloudTrail_*.json.gz")
	lake := "read_parquet(" + harness.Quote(r.site.path("lake/events/**/*.parquet")) + ", hive_partitioning=true, hive_types_autocast=false)"
	rows := harness.DuckDB(t, `CREATE TABLE input AS SELECT DISTINCT r->>'$.eventID' AS id,
      split_part(r->>'$.eventSource', '.', 1) IN ('cognito-idp','cognito-identity','signin','sts','iam') AS kept
    FROM (SELECT unnest(CAST(json->'$.Records' AS JSON[])) AS r
      FROM read_json_objects(`+harness.Quote(in)+`, format='unstructured', maximum_object_size=67108864));
    CREATE TABLE wanted AS SELECT 'all' AS source, id FROM input UNION ALL SELECT 'kept', id FROM input WHERE kept;
    CREATE TABLE found AS SELECT source, metadata.uid AS id FROM `+lake+`;
    SELECT 'missing' AS what, * FROM (FROM wanted EXCEPT FROM found)
    UNION ALL SELECT 'made up', * FROM (FROM found EXCEPT FROM wanted)
    UNION ALL SELECT 'twice', source, id FROM found GROUP BY ALL HAVING count(*) > 1
    UNION ALL SELECT 'count', source, count(*)::VARCHAR FROM wanted GROUP BY source`)
	counts := map[string]string{}
	for i, row := range rows {
		if row["what"] == "count" {
			counts[text(row["source"])] = text(row["id"])
		} else if i < 10 {
			t.Errorf("%v", row)
		}
	}
	if got := counts["all"]; got != fmt.Sprint(want) || counts["kept"] == "" || counts["kept"] == got {
		t.Errorf("the files have %v different events, want %d in all and fewer kept", counts, want)
	}
}

// nothing runs once more and wants nothing to change.
func (r *trailRun) nothing(t *testing.T) {
	t.Helper()
	before := files(t, r.site.path("lake"))
	for _, s := range r.run(t, 0).Sources {
		if s.Read != 0 || s.Landed != 0 || s.Segments != 0 || s.Gaps != 0 {
			t.Errorf("%s: read %d, landed %d as %d segments, %d gaps, want nothing", s.Source, s.Read, s.Landed, s.Segments, s.Gaps)
		}
	}
	after := files(t, r.site.path("lake"))
	for _, held := range []map[string]string{before, after} { // a new state takes the lake of a lost one over
		maps.DeleteFunc(held, func(name, _ string) bool { return strings.HasSuffix(name, "owner.json") })
	}
	if !maps.Equal(before, after) {
		t.Error("the lake has changed")
	}
}

// gaps wants status to name the inputs, each once for each source, with a reason
// that says the words.
func (r *trailRun) gaps(t *testing.T, want map[string]string) {
	t.Helper()
	out := harness.Idtrail(t, r.env, "status", "--json", "-c", r.config)
	var status struct {
		Sources []struct {
			Source    string
			GapsTotal int64 `json:"gaps_total"`
			Gaps      []struct{ Input, Reason string }
		}
	}
	if err := json.Unmarshal([]byte(out.Stdout), &status); err != nil || len(status.Sources) != 2 {
		t.Fatalf("read status: %v\n%s\n%s", err, out.Stdout, out.Stderr)
	}
	for _, s := range status.Sources {
		if s.GapsTotal != int64(len(want)) || len(s.Gaps) != len(want) {
			t.Errorf("%s: status has %d gaps, shows %d, want %d", s.Source, s.GapsTotal, len(s.Gaps), len(want))
		}
		for _, g := range s.Gaps {
			if words, ok := want[g.Input]; !ok || !strings.Contains(g.Reason, words) {
				t.Errorf("%s: gap of %s because %s, want one of %v", s.Source, g.Input, g.Reason, want)
			}
		}
	}
	shown := harness.Idtrail(t, r.env, "status", "-c", r.config).Stdout
	for key := range want {
		if !strings.Contains(strings.Join(strings.Fields(shown), ""), key) {
			t.Errorf("status does not show %s:\n%s", key, shown)
		}
	}
}

// TestTrail reads the bucket of an account's trail, and that of an
// organization's behind a prefix, out of a real S3 server.
func TestTrail(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC().Truncate(time.Hour)
	t.Run("account, keys in a file", func(t *testing.T) {
		t.Parallel()
		b := &trailBucket{accounts: []string{fake.AccountID}, regions: []string{"eu-west-1", "us-east-1"}, next: now.Add(-66 * time.Hour)}
		b.open(t)
		testTrail(t, b, newTrailRun(t, b, ", public_keys: ./keys.pem"), 60)
	})
	t.Run("organization, keys of ListPublicKeys", func(t *testing.T) {
		t.Parallel()
		b := &trailBucket{
			prefix: "audit/cloud", organization: "o-acme123456", accounts: []string{fake.AccountID, "210987654321", "333333333333"},
			regions: []string{"eu-west-1", "us-east-1"}, next: now.Add(-26 * time.Hour),
		}
		b.open(t)
		trail, url := b.giveKeys(t)
		testTrail(t, b, newTrailRun(t, b, ", prefix: audit/cloud, organization: o-acme123456", "AWS_ENDPOINT_URL_CLOUDTRAIL="+url), 20)
		asked := map[string]bool{}
		for _, c := range trail.Calls() {
			asked[c.Op+" "+c.Region] = true
		}
		if want := []string{"ListPublicKeys eu-west-1", "ListPublicKeys us-east-1"}; !slices.Equal(slices.Sorted(maps.Keys(asked)), want) {
			t.Errorf("CloudTrail was asked %v, want %v", asked, want)
		}
	})
}

func testTrail(t *testing.T, b *trailBucket, r *trailRun, hours int) {
	t.Helper()
	b.hours(t, hours)
	if b.files < 1000 {
		t.Fatalf("%d files prove little", b.files)
	}
	for _, s := range r.run(t, 0).Sources {
		if s.Gaps != 0 {
			t.Errorf("%s: %d gaps in a whole trail", s.Source, s.Gaps)
		}
	}
	r.ids(t, int64(b.files*eventsPerFile))
	r.nothing(t)
	t.Run("late", func(t *testing.T) { testLateFiles(t, b, r) })
	t.Run("spoilt", func(t *testing.T) { testSpoiltTrail(t, b, r) })
}

// testLateFiles delivers files into folders that were read: one of two hours
// ago, and one of 18, which only the next digest tells of.
func testLateFiles(t *testing.T, b *trailBucket, r *trailRun) {
	w := b.writers[0]
	for _, ago := range []time.Duration{2 * time.Hour, 18 * time.Hour} {
		if o := b.file(t, w, b.next.Add(-ago).Add(time.Minute)); !b.keys[o.Key] {
			t.Fatalf("%s was not put", o.Key)
		}
	}
	b.hours(t, 1)
	out := r.run(t, 0)
	if s := out.source(t, "all"); s.Landed != int64((2+len(b.writers)*filesPerHour)*eventsPerFile) || s.Gaps != 0 {
		t.Errorf("landed %d with %d gaps", s.Landed, s.Gaps)
	}
	r.ids(t, int64(b.files*eventsPerFile))
	r.nothing(t)
}

// testSpoiltTrail writes an hour of which a file is removed, one loses an event
// and one digest its signature. What is declared stays so, and is not declared
// again, when the state is lost.
func testSpoiltTrail(t *testing.T, b *trailBucket, r *trailRun) {
	want := map[string]string{}
	n, dropped := 0, 0
	b.spoil = func(o *fake.TrailObject) bool {
		n++
		switch n {
		case 4:
			want[o.Key] = "missing"
			dropped += eventsPerFile
			return false
		case 8:
			want[o.Key] = "altered"
			dropped += eventsPerFile - 1
			o.Body = fake.Gzip(fmt.Appendf(nil, `{"Records":[%s]}`, fake.TrailRecord(fmt.Sprintf("%08x-0000-4000-8000-altered", n), "iam.amazonaws.com", b.regions[0], b.next)))
		case 2 * (filesPerHour + 1):
			want[o.Key] = "no signature"
			o.Metadata = nil
		}
		return true
	}
	b.hours(t, 1)
	b.spoil = nil
	for _, s := range r.run(t, 3).Sources {
		if s.Gaps != int64(len(want)) {
			t.Errorf("%s: %d gaps, want those of %v", s.Source, s.Gaps, want)
		}
	}
	r.gaps(t, want)
	r.ids(t, int64(b.files*eventsPerFile-dropped))
	r.nothing(t)
	b.hours(t, 1)
	for _, s := range r.run(t, 0).Sources {
		if s.Landed == 0 || s.Gaps != 0 {
			t.Errorf("%s: the next hour landed %d with %d gaps", s.Source, s.Landed, s.Gaps)
		}
	}
	r.gaps(t, want)
	gaps := harness.DuckDB(t, "SELECT source, count(*) AS n FROM read_parquet("+
		harness.Quote(r.site.path("lake/gaps/**/*.parquet"))+", hive_partitioning=true) GROUP BY source")
	for _, row := range gaps {
		if row["n"] != int64(len(want)) {
			t.Errorf("the lake has %v gaps of %v, want %d", row["n"], row["source"], len(want))
		}
	}
	if len(gaps) != 2 {
		t.Errorf("the lake has gaps of %d sources, want 2", len(gaps))
	}
	if err := os.RemoveAll(r.site.path("state")); err != nil {
		t.Fatal(err)
	}
	r.nothing(t)
	r.gaps(t, want)
}

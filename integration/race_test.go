package integration_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/idtrail/idtrail/integration/harness"
	"github.com/idtrail/idtrail/internal/fake"
)

// track is one source of logs, run into a lake and Splunk, from one or several
// hosts.
type track struct {
	dir     string
	tenant  *fake.Tenant
	auth0   *fake.Auth0
	hec     *fake.HEC
	env     []string
	urls    struct{ auth0, hec string }
	lakeDir string // as it lies on this disk
	lake    string // as it stands in configs
	state   string
	// sent counts the requests that hec has answered.
	sent atomic.Int64
	// hold is asked before each call for logs, and may wait.
	hold atomic.Pointer[func()]
}

const trackLogs = 1200

// newTrack has its lake and its state in a bucket of the server, or in folders
// without one.
func newTrack(t *testing.T, server *harness.Server) *track {
	t.Helper()
	k := &track{dir: t.TempDir(), lake: "./lake", state: "./state"}
	k.lakeDir = filepath.Join(k.dir, "lake")
	end := time.Now().UTC().Add(-time.Minute).Truncate(time.Second)
	k.tenant = fake.NewTenant(fake.TenantOptions{Seed: 5, Users: 100, Logs: trackLogs, Trail: 1, Days: 2, End: end})
	k.auth0 = fake.NewAuth0(fake.Auth0Options{ClientID: "client", ClientSecret: clientSecret}, k.tenant.Logs())
	k.hec = fake.NewHEC(fake.HECOptions{})
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if hold := k.hold.Load(); hold != nil && r.URL.Path == fake.LogsPath {
			(*hold)()
		}
		k.auth0.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	back := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer k.sent.Add(1)
		k.hec.ServeHTTP(w, r)
	}))
	t.Cleanup(back.Close)
	k.urls.auth0, k.urls.hec = front.URL, back.URL
	k.env = []string{"AUTH0_SECRET=" + clientSecret, "HEC_TOKEN=token"}
	if server != nil {
		bucket := server.Bucket(t)
		k.lake, k.state = "s3://"+bucket+"/lake", "s3://"+bucket+"/state"
		k.lakeDir = server.Path(bucket, "lake")
		k.env = append(k.env, server.Env()...)
	}
	return k
}

// config of a host.
func (k *track) config(t *testing.T, host string) string {
	t.Helper()
	cache := ""
	if strings.HasPrefix(k.state, "s3:") {
		cache = "state_cache: ./cache-" + host + "\n"
	}
	path := filepath.Join(k.dir, host+".yaml")
	text := fmt.Sprintf(`state: %s
%slake: %s
connections:
  acme: {auth0: %q, client_id: client, client_secret: "${env:AUTH0_SECRET}"}
sources:
  - {name: acme, kind: auth0_logs, connection: acme, since: 7d, rate: 1000}
sinks:
  - {name: lake, kind: parquet, every: 0s}
  - {name: hec, kind: splunk_hec, url: %q, token: "${env:HEC_TOKEN}", start: start, filter: {self: true}}
limits: {segment_records: 400}
`, k.state, cache, k.lake, k.urls.auth0, k.urls.hec)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// wantExact wants all records in raw, and their events in the lake, once.
func (k *track) wantExact(t *testing.T) {
	t.Helper()
	if got := readChain(t, filepath.Join(k.lakeDir, "raw", "acme")).landed; got != trackLogs {
		t.Errorf("raw has %d records, want %d", got, trackLogs)
	}
	rows := harness.DuckDB(t, `SELECT count(*) AS n, count(DISTINCT metadata.uid) AS ids FROM read_parquet(`+
		harness.Quote(filepath.Join(k.lakeDir, "events/**/*.parquet"))+`)`)
	if n, ids := rows[0]["n"], rows[0]["ids"]; n != ids || n.(int64) < trackLogs {
		t.Errorf("the lake has %v events of %v ids, want %d at least, each once", n, ids, trackLogs)
	}
}

// TestSixteenRace starts sixteen processes at once over one state: one works,
// and the others leave at once and say nothing.
func TestSixteenRace(t *testing.T) {
	t.Parallel()
	server := harness.S3(t)
	for name, server := range map[string]*harness.Server{"folders": nil, "S3": server} {
		t.Run(name, func(t *testing.T) {
			k := newTrack(t, server)
			t.Parallel()
			const racers = 16
			// Whoever won waits for its first page until the others have left.
			left := make(chan struct{})
			k.hold.Store(new(func() { <-left }))
			var gone atomic.Int64
			var racing sync.WaitGroup
			runs := make([]harness.Run, racers)
			for i := range racers {
				host := "a"
				if server != nil {
					host = fmt.Sprintf("host%d", i)
				}
				config := k.config(t, host)
				racing.Go(func() {
					runs[i] = harness.Idtrail(t, k.env, "-q", "-c", config, "run")
					if gone.Add(1) == racers-1 {
						close(left)
					}
				})
			}
			racing.Wait()
			codes := map[int]int{}
			for _, r := range runs {
				codes[r.Code]++
				if r.Code == 4 && r.Stderr != "" {
					t.Errorf("a run that found the source held said: %s", r.Stderr)
				}
				if r.Code != 4 && r.Code != 0 {
					t.Errorf("a run ended with %d: %s", r.Code, r.Stderr)
				}
			}
			if codes[0] != 1 || codes[4] != racers-1 {
				t.Errorf("exit codes %v, want one 0 and %d times 4", codes, racers-1)
			}
			k.wantExact(t)
			ids := map[string]bool{}
			for _, e := range k.hec.Events() {
				if id := e.Fields["event_id"]; ids[id] {
					t.Errorf("Splunk has event %s twice", id)
				} else {
					ids[id] = true
				}
			}
			if len(ids) < trackLogs {
				t.Errorf("Splunk has %d events, want %d at least", len(ids), trackLogs)
			}
		})
	}
}

// zombieLease is longer than a lease lasts in the program built with the tag
// chaos.
const zombieLease = 11 * time.Second

// TestZombie freezes a process right before each kind of write, longer than its
// lease lasts, lets another host take over and finish, and wakes it: not a byte
// may be another then, and nothing is sent but the one request that was on its
// way when the process froze, where it froze amid sending.
func TestZombie(t *testing.T) {
	t.Parallel()
	server := harness.S3(t)
	// Lake and Splunk are delivered to side by side.
	const amid = 1
	for step, onItsWay := range map[string]int64{
		"before put_new raw segment#2":    0,
		"trace segment.encoded#2":         0,
		"trace segment.written#3":         0,
		"before put_new lake flushes#1":   amid,
		"before put_new lake events#1":    amid,
		"before put_match lake flushes#1": amid,
		"trace position.moved#1":          amid,
		"before put_new lake manifests#1": 0,
	} {
		t.Run(step, func(t *testing.T) {
			k := newTrack(t, server)
			t.Parallel()
			testZombie(t, k, step, onItsWay)
		})
	}
}

func testZombie(t *testing.T, k *track, step string, onItsWay int64) {
	t.Helper()
	first, second := k.config(t, "a"), k.config(t, "b")
	zombie := harness.StartChaos(t, append(slices.Clone(k.env), "IDTRAIL_CHAOS_STOP="+step), "--log-format", "json", "-c", first, "run")
	zombie.WaitStopped(t)
	time.Sleep(zombieLease) // a lease runs out by the clock of the store, which nobody sets
	r := harness.Chaos(t, k.env, "-q", "-c", second, "run", "--json")
	if r.Code != 0 {
		t.Fatalf("the second host ended with %d: %s", r.Code, r.Stderr)
	}
	before := tree(t, filepath.Dir(k.lakeDir))
	sent := k.sent.Load()
	zombie.Signal(t, syscall.SIGCONT)
	woken := zombie.Wait(t)
	if woken.Code == 0 {
		t.Errorf("the zombie ended with 0: %s", woken.Stderr)
	}
	if !strings.Contains(woken.Stderr, "the hold on the source was lost") {
		t.Errorf("the zombie did not say why it ended with %d: %s", woken.Code, woken.Stderr)
	}
	after := tree(t, filepath.Dir(k.lakeDir))
	for name := range after {
		if before[name] != after[name] {
			t.Errorf("the zombie wrote %s", name)
		}
	}
	for name := range before {
		if _, ok := after[name]; !ok {
			t.Errorf("the zombie removed %s", name)
		}
	}
	if now := k.sent.Load(); now > sent+onItsWay {
		t.Errorf("the zombie sent %d requests, want %d at most", now-sent, onItsWay)
	}
	k.wantExact(t)
	if r := harness.Chaos(t, k.env, "-q", "-c", second, "verify", "--deep", "--json"); r.Code != 0 {
		var report struct{ Findings json.RawMessage }
		_ = json.Unmarshal([]byte(r.Stdout), &report)
		t.Errorf("verify ended with %d: %s %s", r.Code, report.Findings, r.Stderr)
	}
}

// tree is what lies below a folder: the hash of each file.
func tree(t *testing.T, root string) map[string][32]byte {
	t.Helper()
	files := map[string][32]byte{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if d != nil && d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != root {
				return fs.SkipDir // the server's own
			}
			return err
		}
		content, err := os.ReadFile(path)
		files[path] = sha256.Sum256(bytes.TrimSpace(content))
		return err
	})
	if err != nil || len(files) == 0 {
		t.Fatalf("read %s: %v, %v", root, err, slices.Collect(maps.Keys(files)))
	}
	return files
}

package integration_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"

	"github.com/idtrail/idtrail/integration/harness"
	"github.com/idtrail/idtrail/internal/fake"
)

// site is a company to run idtrail on: a live Auth0 tenant, files of an older
// one, of users and of CloudTrail, and the config that reads them.
type site struct {
	dir    string
	tenant *fake.Tenant
	auth0  *fake.Auth0
	url    string // of auth0
	// odd is what the input files hold besides what DuckDB can read.
	odd map[string]oddInput
	// secrets may be found in nothing that idtrail writes.
	secrets []string
}

// oddInput is input that only its maker can tell the meaning of.
type oddInput struct {
	ids      []string // of records that have to become events
	rejected int64
	repeated int64
}

// The size of a site.
const (
	siteLogs, siteOldLogs, siteTrail, siteUsers = 2000, 1500, 1200, 200
	clientSecret                                = "hunter2-client"
)

func newSite(t *testing.T) *site {
	t.Helper()
	end := time.Now().UTC().Add(-time.Minute).Truncate(time.Second)
	s := &site{dir: t.TempDir(), odd: map[string]oddInput{}}
	s.tenant = fake.NewTenant(fake.TenantOptions{Seed: 1, Users: siteUsers, Logs: siteLogs, Trail: siteTrail, Days: 3, End: end})
	old := fake.NewTenant(fake.TenantOptions{Seed: 2, Users: siteUsers, Logs: siteOldLogs, Days: 2, End: end.AddDate(0, 0, -40)})
	s.secrets = append(append([]string{clientSecret}, s.tenant.Secrets()...), old.Secrets()...)
	s.auth0 = fake.NewAuth0(fake.Auth0Options{ClientID: "client", ClientSecret: clientSecret}, s.tenant.Logs())
	server := httptest.NewServer(s.auth0)
	t.Cleanup(server.Close)
	s.url = server.URL
	s.writeLogs(t, old)
	s.writeUsers(t)
	if _, err := s.tenant.WriteTrail(s.path("in/trail")); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) path(name string) string { return filepath.Join(s.dir, filepath.FromSlash(name)) }

// writeLogs writes what the live tenant serves to in/live for DuckDB, and what
// the old one had to in/old, in each form that an archive may have.
func (s *site) writeLogs(t *testing.T, old *fake.Tenant) {
	t.Helper()
	live, oddLive := logLines(s.tenant.Logs())
	s.write(t, "in/live/logs.ndjson", live)
	s.odd["live"] = oddInput{ids: logIDs(t, oddLive)}
	lines, odd := logLines(old.Logs())
	third := len(lines) / 3
	s.write(t, "in/old/clean/a/1.ndjson.gz", lines[:third])
	s.write(t, "in/old/clean/a/2.ndjson.zst", lines[third:2*third])
	s.write(t, "in/old/clean/3.ndjson", lines[2*third:])
	s.write(t, "in/old/clean/again.ndjson.gz", lines[:50])
	broken := [][]byte{[]byte("no JSON at all"), []byte(`{"log_id":"cut`), []byte(`["neither"]`)}
	s.write(t, "in/old/odd/4.ndjson", append(append(broken, odd...), wrongClocks()...))
	s.odd["old"] = oddInput{ids: append(logIDs(t, odd), "clock-1", "clock-2"), rejected: int64(len(broken)), repeated: 50}
}

// wrongClocks are records whose dates cannot be true.
func wrongClocks() [][]byte {
	return [][]byte{
		[]byte(`{"log_id":"clock-1","date":"1999-12-31T23:59:59.999Z","type":"s","user_id":"auth0|1"}`),
		[]byte(`{"log_id":"clock-2","date":"2199-01-01T00:00:00.000Z","type":"f","user_id":"auth0|1"}`),
	}
}

// logLines are the records as lines; odd are those that are not UTF-8.
func logLines(logs fake.Logs) (lines, odd [][]byte) {
	for i := range logs.Len() {
		line := logs.Log(i)
		if utf8.Valid(line) {
			lines = append(lines, line)
		} else {
			odd = append(odd, line)
		}
	}
	return lines, odd
}

func logIDs(t *testing.T, lines [][]byte) []string {
	t.Helper()
	ids := make([]string, len(lines))
	for i, line := range lines {
		var rec struct {
			LogID string `json:"log_id"`
		}
		if err := json.Unmarshal(line, &rec); err != nil || rec.LogID == "" {
			t.Fatalf("record %d has no id: %v", i, err)
		}
		ids[i] = rec.LogID
	}
	return ids
}

// write writes lines as the file's name says.
func (s *site) write(t *testing.T, name string, lines [][]byte) {
	t.Helper()
	content := append(bytes.Join(lines, []byte("\n")), '\n')
	var packed bytes.Buffer
	var w io.WriteCloser
	switch filepath.Ext(name) {
	case ".gz":
		w = gzip.NewWriter(&packed)
	case ".zst":
		enc, err := zstd.NewWriter(&packed)
		if err != nil {
			t.Fatal(err)
		}
		w = enc
	default:
		s.writeFile(t, name, content)
		return
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	s.writeFile(t, name, packed.Bytes())
}

func (s *site) writeFile(t *testing.T, name string, content []byte) {
	t.Helper()
	path := s.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (s *site) writeUsers(t *testing.T) {
	t.Helper()
	for name, write := range map[string]func(io.Writer) (int, error){
		"in/users/users.ndjson": s.tenant.WriteAuth0Users,
		"in/pool/users.json":    s.tenant.WriteCognitoUsers,
	} {
		var text bytes.Buffer
		if _, err := write(&text); err != nil {
			t.Fatal(err)
		}
		s.writeFile(t, name, text.Bytes())
	}
}

// config writes a config over the site's input and returns its path. What the
// config calls trail lies where trail says.
func (s *site) config(t *testing.T, raw, lake, trail string) string {
	t.Helper()
	text := fmt.Sprintf(`
state: ./state
lake: %s
raw: %s
connections:
  acme: {auth0: %q, client_id: client, client_secret: "${env:AUTH0_SECRET}"}
sources:
  - {name: live, kind: auth0_logs, connection: acme, since: 30d, rate: 1000}
  - {name: old, kind: archive, format: auth0_logs, path: ./in/old}
  - {name: trail, kind: archive, format: cloudtrail, path: %q, poll: true}
  - {name: users, kind: archive, format: auth0_users, path: ./in/users}
  - {name: pool, kind: archive, format: cognito_users, path: ./in/pool, link_attribute: %q}
sinks:
  - {name: lake, kind: parquet, every: 1s}
  - {name: json, kind: json, every: 1s}
reconcile:
  - {left: users, right: pool, scope: {left: {connections: [%s]}}}
`, lake, raw, s.url, trail, fake.LinkAttribute, strings.Join(s.tenant.InScope(), ", "))
	s.writeFile(t, "idtrail.yaml", []byte(text))
	return s.path("idtrail.yaml")
}

// report is what run --json prints, as far as the tests look at it.
type report struct {
	Sources []sourceReport `json:"sources"`

	Reconciled []struct {
		Summary struct {
			Linked   int64            `json:"linked"`
			Findings int64            `json:"findings"`
			ByType   map[string]int64 `json:"by_type"`
		} `json:"summary"`
	} `json:"reconciled"`
}

type sourceReport struct {
	Source   string `json:"source"`
	Read     int64  `json:"read"`
	Landed   int64  `json:"landed"`
	Repeated int64  `json:"repeated"`
	Filtered int64  `json:"filtered"`
	Segments int64  `json:"segments"`
	Gaps     int64  `json:"gaps"`
	Drained  bool   `json:"drained"`
	Error    string `json:"error"`
	Sinks    []struct {
		Sink      string `json:"sink"`
		Records   int64  `json:"records"`
		Rejected  int64  `json:"rejected"`
		Events    int64  `json:"events"`
		Users     int64  `json:"users"`
		FannedOut int64  `json:"fanned_out"`
		Objects   int64  `json:"objects"`
		Error     string `json:"error"`
		sentReport
	} `json:"sinks"`
}

// source is the report of one source.
func (r report) source(t *testing.T, name string) sourceReport {
	t.Helper()
	for _, s := range r.Sources {
		if s.Source == name {
			return s
		}
	}
	t.Fatalf("the report lacks source %s", name)
	return sourceReport{}
}

// run runs idtrail over the config, which has to end with the code.
func (s *site) run(t *testing.T, env []string, config string, code int, flags ...string) (report, harness.Run) {
	t.Helper()
	args := append([]string{"run", "--json", "-c", config}, flags...)
	out := harness.Idtrail(t, append([]string{"AUTH0_SECRET=" + clientSecret}, env...), args...)
	if out.Code != code {
		t.Fatalf("exit code %d, want %d\n%s\n%s", out.Code, code, out.Stdout, out.Stderr)
	}
	var r report
	if err := json.Unmarshal([]byte(out.Stdout), &r); err != nil {
		t.Fatalf("read the report: %v\n%s", err, out.Stdout)
	}
	return r, out
}

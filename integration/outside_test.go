package integration_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/idtrail/idtrail/integration/harness"
)

// outsideSite is a small config: a source that is read, and one whose files are
// not there.
func outsideSite(t *testing.T, lake, states string) (dir, file string) {
	t.Helper()
	dir = t.TempDir()
	file = filepath.Join(dir, "idtrail.yaml")
	write := func(path, text string) {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(dir, "trail/a.json"), `{"Records":[{"eventTime":"2026-03-03T10:00:00Z","eventSource":"iam.amazonaws.com","eventName":"CreateUser","eventID":"e3"}]}`)
	write(file, fmt.Sprintf(`state: %s
lake: %s
heartbeat: "${env:HOOK}"
notify:
  - {name: ops, kind: webhook, url: "${env:HOOK}", on: [failure]}
sources:
  - {name: trail, kind: archive, format: cloudtrail, path: trail}
  - {name: gone, kind: archive, format: cloudtrail, path: nowhere}
`, states, lake))
	return dir, file
}

// pager is a watcher and a pager. While it hangs, it takes what it is told, and
// does not say so.
type pager struct {
	*httptest.Server
	mu    sync.Mutex
	hangs bool
	told  []string
	taken chan struct{}
	free  chan struct{}
}

func newPager(t *testing.T) *pager {
	t.Helper()
	p := &pager{taken: make(chan struct{}, 100), free: make(chan struct{})}
	p.Server = httptest.NewServer(p)
	t.Cleanup(func() { close(p.free); p.Close() })
	return p
}

func (p *pager) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if r.Header.Get("Content-Type") != "application/json" {
		return // a ping
	}
	p.mu.Lock()
	hangs := p.hangs
	p.told = append(p.told, string(body))
	p.mu.Unlock()
	p.taken <- struct{}{}
	if hangs {
		<-p.free
	}
}

// states of the news it was told since it was last asked.
func (p *pager) states() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []string
	for _, body := range p.told {
		for _, state := range []string{"new", "changed", "over"} {
			if strings.Contains(body, `"state":"`+state+`"`) {
				all = append(all, state)
			}
		}
	}
	p.told = nil
	return strings.Join(all, " ")
}

// TestToldOnMachinesThatDoNotLast: what people were told is remembered in S3, by
// machines that are new each time, and of which one is killed while it tells.
func TestToldOnMachinesThatDoNotLast(t *testing.T) {
	t.Parallel()
	server := harness.S3(t)
	bucket := server.Bucket(t)
	dir, file := outsideSite(t, "s3://"+bucket+"/lake", "s3://"+bucket+"/state")
	p := newPager(t)
	const secret = "t0ld-5ecret"
	env := append(server.Env(), "HOOK="+p.URL+"/"+secret)
	machine := func(code int) {
		t.Helper()
		// Its home, and so its state cache, is a new folder each time.
		r := harness.Idtrail(t, env, "run", "-c", file)
		if r.Code != code {
			t.Fatalf("got exit code %d, want %d:\n%s", r.Code, code, r.Stderr)
		}
		if strings.Contains(r.Stdout+r.Stderr, secret) {
			t.Errorf("the secret shows:\n%s", r.Stderr)
		}
	}
	want := func(when, states string) {
		t.Helper()
		if got := p.states(); got != states {
			t.Errorf("%s: told %q, want %q", when, got, states)
		}
	}
	p.hangs = true
	harness.KillIdtrail(t, func() bool { return len(p.taken) > 0 }, env, "run", "-c", file)
	want("by one that is killed", "new")
	p.mu.Lock()
	p.hangs = false
	p.mu.Unlock()
	machine(3)
	want("by the next", "new") // it cannot know whether it was told
	machine(3)
	machine(3)
	want("by two more", "")
	if err := os.Mkdir(filepath.Join(dir, "nowhere"), 0o700); err != nil {
		t.Fatal(err)
	}
	machine(0)
	machine(0)
	want("when it is over", "over")
	for name := range files(t, server.Path(bucket, "state/notify")) {
		if name != "told.json" {
			t.Errorf("%s lies beside what was told", name)
		}
	}
	if out := harness.Idtrail(t, env, "state", "show", "--json", "-c", file); out.Code != 0 || strings.Contains(out.Stdout, "notify") {
		t.Errorf("state show takes what was told for a source: %d\n%s", out.Code, out.Stdout)
	}
}

// TestTelemetry: a real collector takes the traces and metrics of a run, by HTTP
// and by gRPC.
func TestTelemetry(t *testing.T) {
	t.Parallel()
	for _, by := range []struct{ name, receiver, protocol string }{
		{"HTTP", harness.OTLP, "http/protobuf"}, {"gRPC", harness.OTLPGRPC, "grpc"},
	} {
		t.Run(by.name, func(t *testing.T) {
			t.Parallel()
			c := harness.StartCollector(t)
			_, file := outsideSite(t, "lake", "state")
			p := newPager(t)
			r := harness.Idtrail(t, []string{
				"HOOK=" + p.URL, "OTEL_EXPORTER_OTLP_ENDPOINT=" + c.URL(by.receiver), "OTEL_EXPORTER_OTLP_PROTOCOL=" + by.protocol,
				"OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=test",
			}, "run", "-c", file)
			if r.Code != 3 || strings.Contains(r.Stderr, "telemetry") {
				t.Fatalf("got exit code %d:\n%s", r.Code, r.Stderr)
			}
			c.Stop(t)
			checkSpans(t, c.Spans(t))
			metrics := c.Metrics(t, harness.OTLP)
			for _, name := range []string{
				"idtrail.run.duration", "idtrail.source.records", "idtrail.source.failures", "idtrail.source.lag", "idtrail.sink.records", "idtrail.sink.pending", "idtrail.sink.lag",
			} {
				if metrics[name] != 1 {
					t.Errorf("metric %s was sent %d times, want once; got %v", name, metrics[name], metrics)
				}
			}
		})
	}
}

func checkSpans(t *testing.T, spans []harness.Span) {
	t.Helper()
	byID := map[string]harness.Span{}
	for _, s := range spans {
		byID[s.ID] = s
	}
	var got []string
	for _, s := range spans {
		line := s.Name
		for up := byID[s.Parent]; up.ID != ""; up = byID[up.Parent] {
			line = up.Name + "/" + line
		}
		if source, ok := s.Attributes["idtrail.source"]; ok {
			line += fmt.Sprint(" ", source)
		}
		if s.Failed {
			line += " failed"
		}
		got = append(got, line)
		if s.Trace != spans[0].Trace || s.Resource["service.name"] != "idtrail" || s.Resource["deployment.environment.name"] != "test" {
			t.Errorf("span %s is of another trace or service: %v", s.Name, s.Resource)
		}
	}
	slices.Sort(got)
	want := []string{
		"run failed",
		"run/source gone failed", "run/source trail",
		"run/source/checkpoint gone", "run/source/checkpoint trail",
		"run/source/deliver gone", "run/source/deliver trail",
		"run/source/deliver/flush trail",
		"run/source/land gone failed", "run/source/land trail",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got spans\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

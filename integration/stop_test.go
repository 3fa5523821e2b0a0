package integration_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/idtrail/idtrail/integration/harness"
	"github.com/idtrail/idtrail/internal/fake"
)

// stopWithin is what a container that is told to stop gets, less the time of
// starting to kill it.
const stopWithin = 20 * time.Second

// TestStopsInTime tells a run with its state in S3 to stop, while its vendor or
// its store does not answer. It is gone in time, and what it held is free, or
// soon will be.
func TestStopsInTime(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		// store says that S3 stops answering, too.
		store bool
		// released says that nobody is to hold the source afterwards.
		released bool
	}{
		{name: "the vendor hangs", released: true},
		{name: "the store hangs, too", store: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := harness.S3(t)
			lake, states := server.Bucket(t), server.Bucket(t)
			gate := newGate(t, server)
			s := newSite(t)
			s.config(t, "s3://"+lake+"/raw", "s3://"+lake+"/lake", "./in/trail")
			text, err := os.ReadFile(s.path("idtrail.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			s.writeFile(t, "idtrail.yaml", []byte(strings.Replace(string(text), "state: ./state", "state: s3://"+states+"/state\nstate_cache: ./cache", 1)))
			hangs := make(chan struct{}, 1)
			s.auth0.SetFault(func(c fake.Call) *fake.Fault {
				if c.Path != "/api/v2/logs" || c.PathN < 3 {
					return nil
				}
				select {
				case hangs <- struct{}{}:
				default:
				}
				return &fake.Fault{Hang: true}
			})
			env := append(server.Env(), "AWS_ENDPOINT_URL_S3="+gate.url, "AUTH0_SECRET="+clientSecret)
			took, code, stderr := s.stop(t, env, func() {
				<-hangs
				gate.shut.Store(tt.store)
			})
			if took > stopWithin || code != 130 {
				t.Errorf("got exit code %d after %v, want 130 within %v\n%s", code, took, stopWithin, stderr)
			}
			gate.shut.Store(false)
			if got := s.released(t, env); tt.released && !got {
				t.Error("the source is still held")
			}
		})
	}
}

// stop runs idtrail, tells it to stop once ready returns, and waits for its end.
func (s *site) stop(t *testing.T, env []string, ready func()) (took time.Duration, code int, stderr string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Getenv("IDTRAIL_BINARY"), "run", "-c", s.path("idtrail.yaml"))
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "TMPDIR=" + os.TempDir()}, env...)
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready()
	begun := time.Now()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	return time.Since(begun), cmd.ProcessState.ExitCode(), errOut.String()
}

// released says whether the state of the live source is held by nobody.
func (s *site) released(t *testing.T, env []string) bool {
	t.Helper()
	out := harness.Idtrail(t, env, "state", "show", "live", "--json", "-c", s.path("idtrail.yaml"))
	var shown struct {
		Sources []struct {
			Holding struct {
				Released bool `json:"released"`
			} `json:"holding"`
		} `json:"sources"`
	}
	if err := json.Unmarshal([]byte(out.Stdout), &shown); err != nil || len(shown.Sources) != 1 {
		t.Fatalf("state show: %v\n%s\n%s", err, out.Stdout, out.Stderr)
	}
	return shown.Sources[0].Holding.Released
}

// gate stands before a server, and answers nothing while it is shut.
type gate struct {
	url  string
	shut atomic.Bool
}

func newGate(t *testing.T, server *harness.Server) *gate {
	t.Helper()
	target, err := url.Parse(server.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host // it was signed
	}}
	g := &gate{}
	closed := make(chan struct{})
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.shut.Load() {
			select {
			case <-r.Context().Done():
			case <-closed:
			}
			return
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		close(closed)
		front.Close()
	})
	g.url = front.URL
	return g
}

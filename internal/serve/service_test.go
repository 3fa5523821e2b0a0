package serve_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/internal/serve"
	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/reconcile"
	"github.com/idtrail/idtrail/state"
)

// options of a service that logs to a buffer and has the bubble's clock.
func options(jobs ...serve.Job) serve.Options {
	return serve.Options{Jobs: jobs, Metrics: serve.NewMetrics("test"), Log: slog.New(slog.DiscardHandler), Now: time.Now}
}

// until lets the bubble's time pass up to then.
func until(then time.Time) {
	time.Sleep(time.Until(then))
	synctest.Wait()
}

// start runs a service until stop is called, which returns what Run did.
func start(t *testing.T, s *serve.Service) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	var run sync.WaitGroup
	run.Go(func() { ended <- s.Run(ctx, nil) })
	synctest.Wait()
	return func() error {
		cancel()
		err := <-ended
		run.Wait()
		return err
	}
}

func get(t *testing.T, s *serve.Service, path string) (status int, body string) {
	t.Helper()
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

// wantMetric wants a line of /metrics.
func wantMetric(t *testing.T, s *serve.Service, line string) {
	t.Helper()
	_, body := get(t, s, "/metrics")
	if strings.Contains(body, "\n"+line+"\n") {
		return
	}
	name, _, _ := strings.Cut(line, " ")
	for have := range strings.Lines(body) {
		if strings.HasPrefix(have, name) {
			t.Errorf("metrics: got %q, want %q", strings.TrimSpace(have), line)
			return
		}
	}
	t.Errorf("metrics: no %q", line)
}

// TestYear lets a year pass: the job of every five minutes goes by the time that
// passes, those of the night by the clock, once a night. No goroutine is left:
// the bubble would not end.
func TestYear(t *testing.T) {
	for _, name := range []string{"Europe/Berlin", "America/New_York"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				z := zone(t, name)
				until(time.Date(2026, 1, 1, 0, 0, 0, 0, z).Add(-time.Second))
				var often, nightly, early atomic.Int64
				count := func(n *atomic.Int64, takes time.Duration) func(context.Context) serve.Result {
					return func(context.Context) serve.Result {
						time.Sleep(takes)
						n.Add(1)
						return serve.Done
					}
				}
				s := serve.New(options(
					serve.Job{Name: "often", Schedule: mustParse(t, "*/5 * * * *", z), Run: count(&often, 4*time.Minute)},
					serve.Job{Name: "nightly", Schedule: mustParse(t, "30 2 * * *", z), Run: count(&nightly, 3*time.Hour)},
					serve.Job{Name: "early", Schedule: mustParse(t, "30 1 * * *", z), Run: count(&early, 0)},
				))
				stop := start(t, s)
				until(time.Date(2027, 1, 1, 0, 0, 0, 0, z).Add(-time.Second))
				if err := stop(); err != nil {
					t.Fatal(err)
				}
				if often.Load() != 105120 || nightly.Load() != 365 || early.Load() != 365 {
					t.Errorf("runs: got %d, %d and %d, want 105120, 365 and 365", often.Load(), nightly.Load(), early.Load())
				}
				wantMetric(t, s, `idtrail_job_runs_total{job="often",result="done"} 105120`)
				wantMetric(t, s, `idtrail_job_skipped_total{job="often"} 0`)
			})
		})
	}
}

// TestOverlapIsSkipped: a job that takes twelve minutes is due every five.
func TestOverlapIsSkipped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, most, runs atomic.Int64
		s := serve.New(options(serve.Job{Name: "slow", Schedule: mustParse(t, "*/5 * * * *", time.UTC), Run: func(context.Context) serve.Result {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			time.Sleep(12 * time.Minute)
			runs.Add(1)
			return serve.Partly
		}}))
		stop := start(t, s)
		until(time.Now().Add(63 * time.Minute)) // from 5 to 60: 12 times due
		if most.Load() != 1 || runs.Load() != 4 {
			t.Errorf("got %d runs, %d at a time; want 4, one at a time", runs.Load(), most.Load())
		}
		wantMetric(t, s, `idtrail_job_skipped_total{job="slow"} 8`)
		wantMetric(t, s, `idtrail_job_runs_total{job="slow",result="partly"} 4`)
		wantMetric(t, s, `idtrail_job_running{job="slow"} 0`)
		wantMetric(t, s, `idtrail_job_duration_seconds_sum{job="slow"} 2880`)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestPanicFailsItsRunOnly: the service lives on, the stack is in the log.
func TestPanicFailsItsRunOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		var others atomic.Int64
		o := options(
			serve.Job{Name: "faulty", Schedule: mustParse(t, "@every 1m", time.UTC), Run: func(context.Context) serve.Result {
				panic(errors.New("planted"))
			}},
			serve.Job{Name: "other", Schedule: mustParse(t, "@every 1m", time.UTC), Run: func(context.Context) serve.Result {
				others.Add(1)
				return serve.Done
			}},
		)
		o.Log = slog.New(slog.NewTextHandler(&log, nil))
		s := serve.New(o)
		stop := start(t, s)
		until(time.Now().Add(3*time.Minute + time.Second))
		if others.Load() != 3 {
			t.Errorf("the other job ran %d times, want 3", others.Load())
		}
		wantMetric(t, s, `idtrail_job_panics_total{job="faulty"} 3`)
		wantMetric(t, s, `idtrail_job_runs_total{job="faulty",result="failed"} 3`)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if got := log.String(); !strings.Contains(got, "planted") || !strings.Contains(got, "service_test.go") {
			t.Errorf("the log lacks the panic and its stack: %s", got)
		}
	})
}

// TestStopDrains: nothing new starts, and what runs is told and waited for.
func TestStopDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var starts, ends atomic.Int64
		s := serve.New(options(
			serve.Job{Name: "long", Schedule: mustParse(t, "@every 1m", time.UTC), Run: func(ctx context.Context) serve.Result {
				starts.Add(1)
				<-ctx.Done()
				time.Sleep(10 * time.Second) // its good order
				ends.Add(1)
				return serve.Interrupted
			}},
			serve.Job{Name: "soon", Schedule: mustParse(t, "@every 65s", time.UTC), Run: func(context.Context) serve.Result {
				starts.Add(1)
				return serve.Done
			}},
		))
		stop := start(t, s)
		until(time.Now().Add(62 * time.Second)) // the other one is due in 3 s
		began := time.Now()
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 10*time.Second || starts.Load() != 1 || ends.Load() != 1 {
			t.Errorf("got %d started and %d ended in %v, want one, in 10s", starts.Load(), ends.Load(), took)
		}
		if code, body := get(t, s, "/healthz"); code != http.StatusServiceUnavailable || !strings.Contains(body, `"stopping"`) {
			t.Errorf("health: got %d %s, want 503, stopping", code, body)
		}
		wantMetric(t, s, `idtrail_job_runs_total{job="long",result="interrupted"} 1`)
	})
}

// TestStopIsBounded: a job that does not end is left.
func TestStopIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve.New(options(serve.Job{Name: "deaf", Schedule: mustParse(t, "@every 1m", time.UTC), Run: func(context.Context) serve.Result {
			time.Sleep(time.Hour)
			return serve.Done
		}}))
		stop := start(t, s)
		until(time.Now().Add(61 * time.Second))
		began := time.Now()
		if err := stop(); !errors.Is(err, serve.ErrAbandoned) {
			t.Errorf("got %v, want ErrAbandoned", err)
		}
		if took := time.Since(began); took >= 20*time.Second {
			t.Errorf("it took %v, want less than 20s", took)
		}
		time.Sleep(time.Hour) // the bubble waits for the job
	})
}

// TestHealth: late is who did not end well before it was due twice more.
func TestHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var result atomic.Value
		result.Store(serve.Done)
		s := serve.New(options(
			serve.Job{Name: "often", Schedule: mustParse(t, "*/5 * * * *", time.UTC), Run: func(context.Context) serve.Result { return result.Load().(serve.Result) }},
			serve.Job{Name: "weekly", Schedule: mustParse(t, "@weekly", time.UTC), Run: func(context.Context) serve.Result { return serve.Done }},
		))
		stop := start(t, s)
		begun := time.Now() // midnight
		check := func(after time.Duration, want int, late bool) {
			t.Helper()
			until(begun.Add(after))
			code, body := get(t, s, "/healthz")
			var h serve.Health
			if err := json.Unmarshal([]byte(body), &h); err != nil {
				t.Fatal(err)
			}
			if code != want || h.Jobs[0].Late != late || h.Jobs[1].Late {
				t.Errorf("after %v: got %d %s, want %d and late %v of the first only", after, code, body, want, late)
			}
			if code, _ := get(t, s, "/livez"); code != http.StatusOK {
				t.Errorf("/livez: got %d", code)
			}
		}
		check(time.Second, http.StatusOK, false)
		check(10*time.Minute+time.Second, http.StatusOK, false)
		result.Store(serve.Failed) // from 15 on; the last good one was at 10
		check(25*time.Minute, http.StatusOK, false)
		check(25*time.Minute+time.Second, http.StatusServiceUnavailable, true)
		result.Store(serve.Partly)
		check(31*time.Minute, http.StatusOK, false)
		result.Store(serve.Failed)
		check(50*time.Minute, http.StatusServiceUnavailable, true)
		result.Store(serve.Held)
		check(56*time.Minute, http.StatusOK, false)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestServer answers over a real socket, and is gone at the end.
func TestServer(t *testing.T) {
	var l net.ListenConfig
	listener, err := l.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := serve.New(options(serve.Job{Name: "yearly", Schedule: mustParse(t, "@yearly", time.UTC)}))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	var run sync.WaitGroup
	run.Go(func() { ended <- s.Run(ctx, listener) })
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{}}
	ask := func(method, path string) (int, string, error) {
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+listener.Addr().String()+path, nil)
		if err != nil {
			return 0, "", err
		}
		resp, err := client.Do(req)
		if err != nil {
			return 0, "", err
		}
		body, err := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body), errors.Join(err, resp.Body.Close())
	}
	for _, tt := range []struct {
		method, path string
		status       int
		says         string
	}{
		{"GET", "/livez", 200, "ok"},
		{"HEAD", "/livez", 200, ""},
		{"GET", "/healthz", 200, `"status": "ok"`},
		{"GET", "/metrics", 200, `idtrail_build_info{version="test"} 1`},
		{"GET", "/", 404, ""},
		{"GET", "/debug/pprof/", 404, ""},
		{"POST", "/healthz", 405, ""},
	} {
		status, body, err := ask(tt.method, tt.path)
		if err != nil || status != tt.status || !strings.Contains(body, tt.says) {
			t.Errorf("%s %s: got %d %.200s %v, want %d %s", tt.method, tt.path, status, body, err, tt.status, tt.says)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	run.Wait()
	if _, _, err := ask("GET", "/livez"); err == nil {
		t.Error("it still answers")
	}
}

// TestLostListenerEndsIt: without its health nobody would notice what fails.
func TestLostListenerEndsIt(t *testing.T) {
	var l net.ListenConfig
	listener, err := l.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	s := serve.New(options(serve.Job{Name: "yearly", Schedule: mustParse(t, "@yearly", time.UTC)}))
	if err := s.Run(t.Context(), listener); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, want net.ErrClosed", err)
	}
}

// TestObserve: the counts of runs add up; held sources count nothing.
func TestObserve(t *testing.T) {
	m := serve.NewMetrics("test")
	o := options()
	o.Metrics = m
	s := serve.New(o)
	at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	report := pipeline.Report{Sources: []pipeline.SourceReport{
		{
			Source: "acme", Run: state.Run{Read: 12, Landed: 10, Repeated: 2, Gaps: 1}, LastDrain: at,
			Sinks: []pipeline.SinkReport{
				{Sink: "lake", Tally: state.Tally{Records: 10, Rejected: 3}, Pending: state.Pending{Records: 7, Oldest: at}},
				{
					Sink: "dd", Tally: state.Tally{Records: 10, Rejected: 3}, Sent: load.Sent{Accepted: 6, Rejected: 1},
					Notices: &pipeline.NoticeReport{}, Err: errors.New("no"),
				},
			},
		},
		{Source: "other", Held: true, Run: state.Run{Landed: 5}},
	}}
	compared := []pipeline.ReconcileReport{
		{Left: "a", Right: "b", Summary: &reconcile.Summary{ComparedAt: at, BySeverity: map[reconcile.Severity]int64{"high": 4, "low": 0}}},
		{Left: "a", Right: "c", Waiting: "nothing yet"},
	}
	m.Observe(report, compared)
	m.Observe(report, nil)
	for _, line := range []string{
		`idtrail_source_records_read_total{source="acme"} 24`,
		`idtrail_source_records_landed_total{source="acme"} 20`,
		`idtrail_source_gaps_total{source="acme"} 2`,
		`idtrail_source_rejects_total{source="acme"} 6`,
		`idtrail_source_failures_total{source="acme"} 0`,
		fmt.Sprintf(`idtrail_source_last_drain_timestamp_seconds{source="acme"} %.9ge+09`, float64(at.Unix())/1e9),
		`idtrail_sink_records_total{sink="lake",source="acme"} 20`,
		`idtrail_sink_accepted_total{sink="dd",source="acme"} 12`,
		`idtrail_sink_refused_total{sink="dd",source="acme"} 2`,
		`idtrail_sink_failures_total{sink="dd",source="acme"} 2`,
		`idtrail_sink_pending_records{sink="lake",source="acme"} 7`,
		`idtrail_sink_oldest_pending_timestamp_seconds{sink="dd",source="acme"} 0`,
		`idtrail_drift_findings{left="a",right="b",severity="high"} 4`,
		`idtrail_drift_findings{left="a",right="b",severity="low"} 0`,
	} {
		wantMetric(t, s, line)
	}
	if _, body := get(t, s, "/metrics"); strings.Contains(body, `"other"`) || strings.Contains(body, `accepted_total{sink="lake"`) {
		t.Error("there are counts of a held source, or events accepted by a lake")
	}
}

// TestMetricsLint holds names, help and units against the rules that Prometheus's
// own promtool checks.
func TestMetricsLint(t *testing.T) {
	m := serve.NewMetrics("test")
	o := options(serve.Job{Name: "audit", Schedule: mustParse(t, "@hourly", time.UTC)})
	o.Metrics = m
	s := serve.New(o)
	at := time.Unix(1_800_000_000, 0)
	m.Observe(pipeline.Report{Sources: []pipeline.SourceReport{{
		Source: "acme", LastDrain: at,
		Sinks: []pipeline.SinkReport{{Sink: "dd", Notices: &pipeline.NoticeReport{}}},
	}}}, []pipeline.ReconcileReport{
		{Left: "a", Right: "b", Summary: &reconcile.Summary{ComparedAt: at, BySeverity: map[reconcile.Severity]int64{"high": 1}}},
	})
	_, body := get(t, s, "/metrics")
	problems, err := promlint.New(strings.NewReader(body)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	if !strings.Contains(body, `idtrail_drift_findings{`) || !strings.Contains(body, `idtrail_sink_accepted_total{`) {
		t.Error("not every metric was there to be looked at")
	}
}

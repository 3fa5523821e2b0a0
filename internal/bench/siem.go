package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/idtrail/idtrail/internal/fake"
)

// sliceSize is how many events a measurement is cut into parts of. In each of
// them the bare client and the program take turns, so that what else the machine
// does slows both.
const sliceSize = 50_000

// The kinds of sinks that send events.
const (
	kindHEC     = "splunk_hec"
	kindDatadog = "datadog"
	kindOTLP    = "otlp"
)

// siemKinds in the order they are measured in.
func siemKinds() []string { return []string{kindHEC, kindDatadog, kindOTLP} }

// receivers are where events are sent to: what the flags name, an OpenTelemetry
// Collector, and one of our own, in a process of its own, that decompresses,
// parses and counts, which makes it the harder one to keep up with.
type receivers struct {
	hecURL, hecToken, datadogURL, datadogKey, otlpURL string
	// collector is a Collector's binary, collectorConfig what it is started with.
	collector, collectorConfig string
	own                        bool
	kinds                      string
	events                     int
}

func (r *receivers) flags(f *flag.FlagSet) {
	f.StringVar(&r.collector, "otelcol", "", "an OpenTelemetry Collector's binary: its receivers are sent to")
	f.StringVar(&r.collectorConfig, "otelcol-config", "integration/harness/otelcol/config.yaml", "what it is started with")
	f.BoolVar(&r.own, "own", true, "receivers of our own are sent to as well")
	f.StringVar(&r.kinds, "kinds", strings.Join(siemKinds(), ","), "the kinds of sinks to measure")
	f.IntVar(&r.events, "events", 0, "how many records are caught up; 0: 100,000, or a million with -large")
	f.StringVar(&r.hecURL, "hec-url", "", "a Splunk HEC to send to, as https://splunk:8088")
	f.StringVar(&r.hecToken, "hec-token", "token", "its token")
	f.StringVar(&r.datadogURL, "dd-url", "", "a Datadog intake to send to")
	f.StringVar(&r.datadogKey, "dd-key", "key", "its API key")
	f.StringVar(&r.otlpURL, "otlp-url", "", "a receiver of OTLP logs to send to, as http://127.0.0.1:4318")
}

func (r *receivers) given() map[string]string {
	return map[string]string{kindHEC: r.hecURL, kindDatadog: r.datadogURL, kindOTLP: r.otlpURL}
}

// target is a receiver of one kind, and what was measured with it.
type target struct {
	kind, name, url string
	own             *child
	capture         *capture
	// In seconds.
	bare, ours, peakMiB float64
}

// start starts receivers, and lists all there are of the kinds wanted.
func (m *catchUp) start(ctx context.Context) error {
	given := map[string]map[string]string{"given": m.receivers.given()}
	if m.receivers.collector != "" {
		c, err := startCollector(ctx, m.receivers.collector, m.receivers.collectorConfig, m.place)
		if err != nil {
			return err
		}
		m.collector = c
		given["otelcol"] = c.urls
	}
	for kind := range strings.SplitSeq(m.receivers.kinds, ",") {
		if !slices.Contains(siemKinds(), kind) {
			return fmt.Errorf("no kind of sink %q: there are %s", kind, strings.Join(siemKinds(), ", "))
		}
		for _, whose := range []string{"given", "otelcol"} {
			if at := given[whose][kind]; at != "" {
				m.targets = append(m.targets, &target{kind: kind, name: kind + "_" + whose, url: at})
			}
		}
		if m.receivers.own {
			c, err := startChild(ctx, kind)
			if err != nil {
				return err
			}
			m.targets = append(m.targets, &target{kind: kind, name: kind + "_own", url: c.url, own: c})
		}
	}
	if len(m.targets) == 0 {
		return errors.New("no receiver: give -otelcol or a URL, or leave out -own=false")
	}
	return nil
}

// siem catches up n events that are landed, into each kind of sink.
func (b *bench) siem(ctx context.Context, n int) (err error) {
	if b.receivers.events > 0 {
		n = b.receivers.events
	}
	place, err := b.place("siem")
	if err != nil {
		return err
	}
	m := &catchUp{bench: b, place: place, n: sliceSize, slices: max(2, n/sliceSize)}
	b.env = []string{"BENCH_HEC_TOKEN=" + b.receivers.hecToken, "BENCH_DD_KEY=" + b.receivers.datadogKey}
	defer func() { err = errors.Join(err, m.close(), os.RemoveAll(place)) }()
	if err := m.prepare(ctx); err != nil {
		return err
	}
	for i := range m.slices {
		if err := m.slice(ctx, i); err != nil {
			return err
		}
		for _, t := range m.targets {
			fmt.Fprintf(os.Stderr, "%d: %s %.1f s, bare %.1f s\n", (i+1)*m.n, t.name, t.ours, t.bare)
		}
	}
	for _, t := range m.targets {
		t.rows(m.n * m.slices)
	}
	return nil
}

func (t *target) rows(n int) {
	row(t.name+": the bare client", n, t.bare, 0, 0)
	row(t.name+": catching up", n, t.ours, float64(n)/t.bare, t.peakMiB)
}

// catchUp is one measurement: slices of n records each.
type catchUp struct {
	*bench
	place     string
	n         int
	slices    int
	targets   []*target
	collector *collector
}

// prepare writes the archives and the configs, and starts receivers.
func (m *catchUp) prepare(ctx context.Context) error {
	logs := fake.NewTenant(fake.TenantOptions{Logs: m.n * m.slices, Days: 2, Users: 2000, End: time.Now().UTC().Truncate(time.Hour)}).Logs()
	for i := range m.slices {
		err := writeGzip(filepath.Join(m.place, fmt.Sprintf("s%d", i), "logs.ndjson.gz"), func(w io.Writer) error {
			for k := i * m.n; k < (i+1)*m.n; k++ {
				if _, err := w.Write(append(logs.Log(k), '\n')); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if err := m.start(ctx); err != nil {
		return err
	}
	var all []string
	for _, t := range m.targets {
		u, err := url.Parse(t.url)
		if err != nil {
			return fmt.Errorf("url of %s: %w", t.name, err)
		}
		t.capture = newCapture(t.kind, u)
		all = append(all, sinkLine("captured_"+t.name, t.kind, t.capture.server.URL+u.Path))
		if err := m.writeConfig(t.name, sinkLine(t.name, t.kind, t.url)); err != nil {
			return err
		}
	}
	return m.writeConfig("captured", all...)
}

func sinkLine(name, kind, url string) string {
	more := map[string]string{
		kindHEC: `, token: "${env:BENCH_HEC_TOKEN}"`, kindDatadog: `, api_key: "${env:BENCH_DD_KEY}", health: false`,
	}
	return fmt.Sprintf("  - {name: %s, kind: %s, url: %q, start: start%s}\n", name, kind, url, more[kind])
}

func (m *catchUp) writeConfig(name string, sinks ...string) error {
	var sources, jobs strings.Builder
	for i := range m.slices {
		fmt.Fprintf(&sources, "  - {name: s%d, kind: archive, format: auth0_logs, path: ./s%[1]d}\n", i)
		fmt.Fprintf(&jobs, "  s%d: {sources: [s%[1]d]}\n", i)
	}
	text := "state: ./state\nlake: ./lake\nsources:\n" + sources.String() + "sinks:\n" + strings.Join(sinks, "") + "jobs:\n" + jobs.String()
	return os.WriteFile(m.config(name), []byte(text), 0o600)
}

func (m *catchUp) config(name string) string { return filepath.Join(m.place, name+".yaml") }

// slice lands one part, which is captured on the way, and measures both ways of
// sending it; every other time in the other order.
func (m *catchUp) slice(ctx context.Context, i int) error {
	if _, _, err := m.catchUp(ctx, "captured", i); err != nil {
		return err
	}
	for _, t := range m.targets {
		requests := t.capture.take()
		ways := []func() error{
			func() error { return m.bare(ctx, t, requests) },
			func() error { return m.ours(ctx, t, i) },
		}
		if i%2 == 1 {
			ways[0], ways[1] = ways[1], ways[0]
		}
		for _, way := range ways {
			if err := way(); err != nil {
				return err
			}
		}
	}
	return nil
}

// catchUp runs the program on the source of a slice.
func (m *catchUp) catchUp(ctx context.Context, config string, i int) (seconds, peakMiB float64, err error) {
	// That there is no lake is said in each run; only a failed one is listened to.
	var problems bytes.Buffer
	m.problems = &problems
	seconds, peakMiB, err = m.command(ctx, io.Discard, "-q", "-c", m.config(config), "run", fmt.Sprintf("s%d", i))
	m.problems = nil
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, problems.Bytes())
	}
	return seconds, peakMiB, err
}

func (m *catchUp) ours(ctx context.Context, t *target, i int) error {
	before, err := t.taken(ctx)
	if err != nil {
		return err
	}
	seconds, peak, err := m.catchUp(ctx, t.name, i)
	if err != nil {
		return err
	}
	t.ours += seconds
	t.peakMiB = max(t.peakMiB, peak)
	return t.check(ctx, before, m.n)
}

// bare posts what was captured, one request after the other over one connection.
func (m *catchUp) bare(ctx context.Context, t *target, requests []*http.Request) error {
	before, err := t.taken(ctx)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1, DisableCompression: true}}
	defer client.CloseIdleConnections()
	began := time.Now()
	for _, r := range requests {
		if err := post(client, r.WithContext(ctx)); err != nil {
			return fmt.Errorf("post to %s: %w", t.name, err)
		}
	}
	t.bare += time.Since(began).Seconds()
	return t.check(ctx, before, m.n)
}

func post(client *http.Client, r *http.Request) error {
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	if resp.StatusCode/100 != 2 {
		err = errors.Join(err, errors.New(resp.Status))
	}
	return errors.Join(err, resp.Body.Close())
}

// taken is how many events one of our receivers has taken; 0 of others.
func (t *target) taken(ctx context.Context) (int, error) {
	if t.own == nil {
		return 0, nil
	}
	return t.own.taken(ctx)
}

// check proves that a whole slice was taken, where that can be asked.
func (t *target) check(ctx context.Context, before, n int) error {
	after, err := t.taken(ctx)
	if err == nil && t.own != nil && after-before < n {
		err = fmt.Errorf("%s took %d events of %d", t.name, after-before, n)
	}
	return err
}

func (m *catchUp) close() error {
	var errs []error
	for _, t := range m.targets {
		if t.capture != nil {
			t.capture.server.Close()
		}
		if t.own != nil {
			errs = append(errs, t.own.close())
		}
	}
	if m.collector != nil {
		errs = append(errs, m.collector.close())
	}
	return errors.Join(errs...)
}

// capture takes requests as the receiver would, and keeps them as they are to be
// sent to it.
type capture struct {
	server *httptest.Server

	mu       sync.Mutex
	requests []*http.Request
}

func newCapture(kind string, target *url.URL) *capture {
	c := &capture{}
	c.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the client is gone
		}
		u := *r.URL
		u.Scheme, u.Host = target.Scheme, target.Host
		again, err := http.NewRequest(r.Method, u.String(), bytes.NewReader(body)) //nolint:noctx,gosec // it is given one before it is sent; to whom, a flag says
		if err != nil {
			return
		}
		again.Header = r.Header.Clone()
		c.mu.Lock()
		c.requests = append(c.requests, again)
		c.mu.Unlock()
		status, answer := success(kind)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	return c
}

func success(kind string) (int, string) {
	switch kind {
	case kindHEC:
		return http.StatusOK, `{"text":"Success","code":0}`
	case kindDatadog:
		return http.StatusAccepted, "{}"
	default:
		return http.StatusOK, ""
	}
}

// take returns what came since the last time.
func (c *capture) take() []*http.Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	requests := c.requests
	c.requests = nil
	return requests
}

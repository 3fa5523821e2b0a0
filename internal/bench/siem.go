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

// receivers are where events are sent to: what the flags name, or else one of our
// own, in a process of its own, that decompresses, parses and counts.
type receivers struct {
	hecURL, hecToken, datadogURL, datadogKey, otlpURL string
}

func (r *receivers) flags(f *flag.FlagSet) {
	f.StringVar(&r.hecURL, "hec-url", "", "a Splunk HEC to send to, as https://splunk:8088; one of our own if empty")
	f.StringVar(&r.hecToken, "hec-token", "token", "its token")
	f.StringVar(&r.datadogURL, "dd-url", "", "a Datadog intake to send to; one of our own if empty")
	f.StringVar(&r.datadogKey, "dd-key", "key", "its API key")
	f.StringVar(&r.otlpURL, "otlp-url", "", "a receiver of OTLP logs to send to, as http://127.0.0.1:4318; one of our own if empty")
}

func (r *receivers) given() map[string]string {
	return map[string]string{kindHEC: r.hecURL, kindDatadog: r.datadogURL, kindOTLP: r.otlpURL}
}

// siem catches up n events that are landed, into each kind of sink.
func (b *bench) siem(ctx context.Context, n int) (err error) {
	place, err := b.place("siem")
	if err != nil {
		return err
	}
	m := &catchUp{bench: b, place: place, n: sliceSize, slices: max(2, n/sliceSize), tally: map[string]*tally{}}
	b.env = []string{"BENCH_HEC_TOKEN=" + b.receivers.hecToken, "BENCH_DD_KEY=" + b.receivers.datadogKey}
	defer func() { err = errors.Join(err, m.close(), os.RemoveAll(place)) }()
	if err := m.prepare(ctx); err != nil {
		return err
	}
	for i := range m.slices {
		if err := m.slice(ctx, i); err != nil {
			return err
		}
	}
	for _, kind := range siemKinds() {
		t := m.tally[kind]
		all := float64(m.n * m.slices)
		row(kind+": the bare client", m.n*m.slices, t.bare, 0, 0)
		row(kind+": catching up", m.n*m.slices, t.ours, all/t.bare, t.peakMiB)
	}
	return nil
}

// catchUp is one measurement: slices of n records each.
type catchUp struct {
	*bench
	place    string
	n        int
	slices   int
	captures map[string]*capture
	targets  map[string]string
	own      []*child
	tally    map[string]*tally
}

// tally of one kind, in seconds.
type tally struct{ bare, ours, peakMiB float64 }

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
	m.captures, m.targets = map[string]*capture{}, map[string]string{}
	var all []string
	for _, kind := range siemKinds() {
		m.tally[kind] = &tally{}
		target := m.receivers.given()[kind]
		if target == "" {
			c, err := startChild(ctx, kind)
			if err != nil {
				return err
			}
			m.own = append(m.own, c)
			target = c.url
		}
		u, err := url.Parse(target)
		if err != nil {
			return fmt.Errorf("url of %s: %w", kind, err)
		}
		m.targets[kind] = target
		m.captures[kind] = newCapture(kind, u)
		all = append(all, sinkLine("captured_"+kind, kind, m.captures[kind].server.URL+u.Path))
		if err := m.writeConfig(kind, sinkLine(kind, kind, target)); err != nil {
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
	for _, kind := range siemKinds() {
		requests := m.captures[kind].take()
		ways := []func() error{
			func() error { return m.bare(ctx, kind, requests) },
			func() error { return m.ours(ctx, kind, i) },
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

func (m *catchUp) ours(ctx context.Context, kind string, i int) error {
	before, err := m.taken(ctx, kind)
	if err != nil {
		return err
	}
	seconds, peak, err := m.catchUp(ctx, kind, i)
	if err != nil {
		return err
	}
	t := m.tally[kind]
	t.ours += seconds
	t.peakMiB = max(t.peakMiB, peak)
	return m.check(ctx, kind, before)
}

// bare posts what was captured, one request after the other over one connection.
func (m *catchUp) bare(ctx context.Context, kind string, requests []*http.Request) error {
	before, err := m.taken(ctx, kind)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1, DisableCompression: true}}
	defer client.CloseIdleConnections()
	began := time.Now()
	for _, r := range requests {
		if err := post(client, r.WithContext(ctx)); err != nil {
			return fmt.Errorf("post to %s: %w", kind, err)
		}
	}
	m.tally[kind].bare += time.Since(began).Seconds()
	return m.check(ctx, kind, before)
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
func (m *catchUp) taken(ctx context.Context, kind string) (int, error) {
	for _, c := range m.own {
		if c.kind == kind {
			return c.taken(ctx)
		}
	}
	return 0, nil
}

// check proves that a whole slice was taken, where that can be asked.
func (m *catchUp) check(ctx context.Context, kind string, before int) error {
	after, err := m.taken(ctx, kind)
	if err == nil && m.receivers.given()[kind] == "" && after-before < m.n {
		err = fmt.Errorf("%s took %d events of %d", kind, after-before, m.n)
	}
	return err
}

func (m *catchUp) close() error {
	var errs []error
	for _, c := range m.captures {
		c.server.Close()
	}
	for _, c := range m.own {
		errs = append(errs, c.close())
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

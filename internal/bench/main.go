// Bench measures the built program as a user would see it: it makes data, runs
// idtrail over them as a process of its own, and prints records a second and
// the most memory the process held. Beside each speed stands a limit, measured
// in the same run over the same bytes: decompressing the input and parsing its
// JSON on one core, which any reader has to do. For the sinks that send events,
// the limit is a bare client that posts the same requests, ready made, to the same
// receiver; see siem.go. For find it is DuckDB, which answers the same; see find.go.
//
// It is a command and no test: machines differ, and nothing here can fail but
// the program itself. Run it with make bench.
package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/idtrail/idtrail/internal/fake"
)

func main() {
	binary := flag.String("idtrail", "bin/idtrail", "the program to measure")
	large := flag.Bool("large", true, "also a million records over 400 days, and a million users a side")
	only := flag.String("only", "", "logs, users, live, siem or verify: only these; or find, which needs DuckDB, 13 GB and time to make its lake")
	receive := flag.String("receive", "", "be a receiver of that `kind` until stdin ends; for this program's own use")
	var r receivers
	r.flags(flag.CommandLine)
	var f findOptions
	f.flags(flag.CommandLine)
	flag.Parse()
	if err := begin(context.Background(), &bench{binary: *binary, receivers: r, finds: f}, *only, *receive, *large); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func begin(ctx context.Context, b *bench, only, receive string, large bool) error {
	if receive != "" {
		return receiver(ctx, receive, os.Stdin, os.Stdout)
	}
	return b.run(ctx, only, large)
}

func (b *bench) run(ctx context.Context, only string, large bool) (err error) {
	b.binary, err = filepath.Abs(b.binary)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "idtrail-bench-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	b.dir = dir
	if only == "find" {
		return b.find(ctx, b.finds)
	}
	return b.parts(ctx, only, large)
}

// parts measures all but find, which needs a lake that takes long to make.
func (b *bench) parts(ctx context.Context, only string, large bool) error {
	fmt.Printf("%-34s %10s %9s %11s %9s %10s\n", "", "records", "seconds", "records/s", "of limit", "peak MiB")
	sizes := []struct{ logs, days, users int }{{100_000, 2, 100_000}}
	if large {
		sizes = append(sizes, struct{ logs, days, users int }{1_000_000, 400, 1_000_000})
	}
	for i, size := range sizes {
		for _, part := range []struct {
			name string
			run  func() error
		}{
			{"logs", func() error { return b.logs(ctx, size.logs, size.days) }},
			{"users", func() error { return b.users(ctx, size.users) }},
			{"live", func() error { return b.live(ctx, size.users) }},
			{"siem", func() error { return b.siem(ctx, size.logs) }},
			{"verify", func() error { return b.verify(ctx, verifyBytes) }},
		} {
			if only != "" && only != part.name || (part.name == "siem" || part.name == "verify") && i < len(sizes)-1 {
				continue
			}
			if err := part.run(); err != nil {
				return err
			}
		}
	}
	return nil
}

type bench struct {
	binary, dir string
	receivers   receivers
	finds       findOptions
	// env is what the program is given beside this process's own.
	env []string
	// problems is where the program's errors go; to this one's if nil.
	problems io.Writer
}

// logs lands Auth0 logs from an archive and flushes them as Parquet.
func (b *bench) logs(ctx context.Context, n, days int) error {
	place, err := b.place(fmt.Sprintf("logs-%d", n))
	if err != nil {
		return err
	}
	tenant := fake.NewTenant(fake.TenantOptions{Logs: n, Days: days, Users: 2000})
	input := filepath.Join(place, "archive", "logs.ndjson.gz")
	if err := writeGzip(input, func(w io.Writer) error { return writeLogs(w, tenant.Logs()) }); err != nil {
		return err
	}
	limit, err := parseAll(input)
	if err != nil {
		return err
	}
	res, err := b.idtrail(ctx, place, "sources:\n  - {name: logs, kind: archive, format: auth0_logs, path: ./archive}\n")
	if err != nil {
		return err
	}
	source := res.Sources[0]
	title := fmt.Sprintf("logs over %d days: ", days)
	row(title+"land", n, source.Ended.Sub(source.Started).Seconds(), limit, 0)
	row(title+"lake", n, source.Sinks[0].Seconds, limit, 0)
	row(title+"both", n, res.seconds, limit, res.peakMiB)
	return os.RemoveAll(place)
}

// users lands a snapshot a side and compares them.
func (b *bench) users(ctx context.Context, n int) error {
	place, err := b.place(fmt.Sprintf("users-%d", n))
	if err != nil {
		return err
	}
	tenant := fake.NewTenant(fake.TenantOptions{Users: n})
	left, right := filepath.Join(place, "auth0", "users.ndjson.gz"), filepath.Join(place, "pool", "users.json.gz")
	errLeft := writeGzip(left, func(w io.Writer) error { _, err := tenant.WriteAuth0Users(w); return err })
	errRight := writeGzip(right, func(w io.Writer) error { _, err := tenant.WriteCognitoUsers(w); return err })
	if err := errors.Join(errLeft, errRight); err != nil {
		return err
	}
	limit, err := parseAll(left)
	if err != nil {
		return err
	}
	config := `sources:
  - {name: users, kind: archive, format: auth0_users, path: ./auth0}
  - {name: pool, kind: archive, format: cognito_users, path: ./pool}
limits: {sources: 1}
reconcile: [{left: users, right: pool}]
jobs:
  snapshots: {sources: [users, pool]}
`
	res, err := b.idtrail(ctx, place, config, "snapshots")
	if err != nil {
		return err
	}
	row("snapshots: land and lake", 2*n, res.seconds, limit, res.peakMiB)
	took, peak, err := b.command(ctx, io.Discard, "-q", "-c", filepath.Join(place, "idtrail.yaml"), "reconcile", "report", "--format", "csv")
	if err != nil {
		return err
	}
	row("reconcile: match and report", 2*n, took, limit, peak)
	return os.RemoveAll(place)
}

// live reads users from the vendors' APIs, served on loopback,
// the pool at the most calls a second that AWS allows.
func (b *bench) live(ctx context.Context, n int) error {
	place, err := b.place(fmt.Sprintf("live-%d", n))
	if err != nil {
		return err
	}
	pool := httptest.NewServer(fake.NewCognito(fake.CognitoOptions{Users: fake.CognitoCrowd(min(n, crowdSize)), NoJournal: true}))
	defer pool.Close()
	tenant := httptest.NewServer(fake.NewAuth0(fake.Auth0Options{Directory: &fake.Directory{Users: exportLines(n)}, Scopes: fake.DirectoryScopes()}, nil))
	defer tenant.Close()
	b.env = []string{
		"AWS_ENDPOINT_URL=" + pool.URL, "AWS_ACCESS_KEY_ID=bench", "AWS_SECRET_ACCESS_KEY=bench", "AWS_REGION=eu-west-1",
		"BENCH_SECRET=secret",
	}
	for _, source := range []struct {
		title  string
		n      int
		config string
	}{
		{"live cognito_users at 30 calls/s", min(n, crowdSize), "{name: pool, kind: cognito_users, connection: aws, user_pool_id: " + fake.PoolID + ", rate: 30, settings: false}"},
		{"live auth0_users", n, "{name: users, kind: auth0_users, connection: acme, rate: 1000, settings: false}"},
	} {
		config := "connections:\n  aws: {aws: {region: eu-west-1}}\n  acme: {auth0: \"" + tenant.URL +
			"\", client_id: client, client_secret: \"${env:BENCH_SECRET}\"}\nsources: [" + source.config + "]\n"
		res, err := b.idtrail(ctx, place, config)
		if err != nil {
			return err
		}
		row(source.title, source.n, res.seconds, 0, res.peakMiB)
	}
	return os.RemoveAll(place)
}

// crowdSize bounds the pool: a million users with their groups take half an hour
// at the rate AWS allows.
const crowdSize = 200_000

// exportLines are the lines of an export of n users.
func exportLines(n int) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i := range n {
			line := fmt.Appendf(nil, `{"user_id":"auth0|%024x","email":"user%d@example.com","email_verified":true,"name":"User %d","created_at":"2024-01-01T00:00:00.000Z","updated_at":"2026-11-01T00:00:00.000Z","logins_count":%d,"identities":[{"connection":"Username-Password-Authentication","provider":"auth0","user_id":"%024x","isSocial":false}],"app_metadata":{"plan":"pro"}}`, i, i, i, i%100, i)
			if !yield(line) {
				return
			}
		}
	}
}

func (b *bench) place(name string) (string, error) {
	place := filepath.Join(b.dir, name)
	return place, os.MkdirAll(place, 0o700)
}

// result is the part of a run's report that is shown.
type result struct {
	Sources []struct {
		Started, Ended time.Time
		Landed         int64
		Sinks          []struct{ Seconds float64 }
	}
	seconds, peakMiB float64
}

// idtrail runs the program once in place.
func (b *bench) idtrail(ctx context.Context, place, config string, jobs ...string) (result, error) {
	file := filepath.Join(place, "idtrail.yaml")
	if err := os.WriteFile(file, []byte("state: ./state\nlake: ./lake\n"+config), 0o600); err != nil {
		return result{}, err
	}
	report, err := os.Create(filepath.Join(place, "report.json"))
	if err != nil {
		return result{}, err
	}
	defer func() { _ = report.Close() }()
	var res result
	res.seconds, res.peakMiB, err = b.command(ctx, report, append([]string{"-q", "--json", "-c", file, "run"}, jobs...)...)
	if err != nil {
		return result{}, err
	}
	if _, err := report.Seek(0, io.SeekStart); err != nil {
		return result{}, err
	}
	return res, json.NewDecoder(report).Decode(&res)
}

// command runs the program and returns its wall time and its peak memory.
func (b *bench) command(ctx context.Context, out io.Writer, args ...string) (seconds, peakMiB float64, err error) {
	cmd := exec.CommandContext(ctx, b.binary, args...) //nolint:gosec // the program to measure
	cmd.Stdout, cmd.Stderr, cmd.Env = out, b.problems, append(os.Environ(), b.env...)
	if b.problems == nil {
		cmd.Stderr = os.Stderr
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, 0, fmt.Errorf("start %s: %w", b.binary, err)
	}
	ended := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() { peakMiB = watchPeak(cmd.Process.Pid, ended) })
	err = cmd.Wait()
	seconds = time.Since(began).Seconds()
	close(ended)
	watching.Wait()
	if err != nil {
		return 0, 0, fmt.Errorf("%s %v: %w", b.binary, args, err)
	}
	return seconds, peakMiB, nil
}

// watchPeak returns the most memory a process held, in MiB; 0 where there is no
// /proc. What the system tells of an ended process is of no use here: until it is
// a program of its own, a child shares its parent's memory, and that counts.
func watchPeak(pid int, ended <-chan struct{}) (peak float64) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err == nil {
			peak = max(peak, highWater(string(text)))
		}
		select {
		case <-tick.C:
		case <-ended:
			return peak
		}
	}
}

func highWater(status string) (mib float64) {
	_, value, found := strings.Cut(status, "VmHWM:")
	if !found {
		return 0 // it has ended
	}
	var kib float64
	if _, err := fmt.Sscan(value, &kib); err != nil {
		return 0
	}
	return kib / 1024
}

func row(title string, records int, seconds, limit, peakMiB float64) {
	rate := float64(records) / seconds
	share, peak := "", ""
	if limit > 0 {
		share = fmt.Sprintf("%.0f%%", 100*rate/limit)
	}
	if peakMiB > 0 {
		peak = fmt.Sprintf("%.0f", peakMiB)
	}
	fmt.Printf("%-34s %10d %9.1f %11.0f %9s %10s\n", title, records, seconds, rate, share, peak)
}

func writeLogs(w io.Writer, logs fake.Logs) error {
	for i := range logs.Len() {
		if _, err := w.Write(append(logs.Log(i), '\n')); err != nil {
			return err
		}
	}
	return nil
}

func writeGzip(path string, write func(io.Writer) error) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	buffered := bufio.NewWriterSize(f, 1<<20)
	zip, err := gzip.NewWriterLevel(buffered, gzip.BestSpeed)
	if err != nil {
		return err
	}
	return errors.Join(write(zip), zip.Close(), buffered.Flush())
}

// parseAll decompresses a file and parses its lines, and returns lines a second.
func parseAll(path string) (perSecond float64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	began := time.Now()
	zip, err := gzip.NewReader(f)
	if err != nil {
		return 0, err
	}
	lines := bufio.NewScanner(zip)
	lines.Buffer(nil, 64<<20)
	n := 0
	for lines.Scan() {
		var v any
		if json.Unmarshal(lines.Bytes(), &v) == nil {
			n++
		}
	}
	return float64(n) / time.Since(began).Seconds(), lines.Err()
}

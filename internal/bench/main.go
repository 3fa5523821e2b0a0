// Bench measures the built program as a user would see it: it makes data, runs
// idtrail over them as a process of its own, and prints records a second and
// the most memory the process held. Beside each speed stands a limit, measured
// in the same run over the same bytes: decompressing the input and parsing its
// JSON on one core, which any reader has to do.
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
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/idtrail/idtrail/internal/fake"
)

func main() {
	binary := flag.String("idtrail", "bin/idtrail", "the program to measure")
	large := flag.Bool("large", true, "also a million records over 400 days, and a million users a side")
	flag.Parse()
	if err := run(context.Background(), *binary, *large); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, binary string, large bool) (err error) {
	binary, err = filepath.Abs(binary)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "idtrail-bench-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	b := &bench{binary: binary, dir: dir}
	fmt.Printf("%-34s %10s %9s %11s %9s %10s\n", "", "records", "seconds", "records/s", "of limit", "peak MiB")
	sizes := []struct{ logs, days, users int }{{100_000, 2, 100_000}}
	if large {
		sizes = append(sizes, struct{ logs, days, users int }{1_000_000, 400, 1_000_000})
	}
	for _, size := range sizes {
		if err := b.logs(ctx, size.logs, size.days); err != nil {
			return err
		}
		if err := b.users(ctx, size.users); err != nil {
			return err
		}
	}
	return nil
}

type bench struct {
	binary, dir string
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
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	began := time.Now()
	if err := cmd.Run(); err != nil {
		return 0, 0, fmt.Errorf("%s %v: %w", b.binary, args, err)
	}
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0, 0, errors.New("no resource usage of the process")
	}
	return time.Since(began).Seconds(), float64(usage.Maxrss) / 1024, nil
}

func row(title string, records int, seconds, limit, peakMiB float64) {
	rate := float64(records) / seconds
	peak := ""
	if peakMiB > 0 {
		peak = fmt.Sprintf("%.0f", peakMiB)
	}
	fmt.Printf("%-34s %10d %9.1f %11.0f %8.0f%% %10s\n", title, records, seconds, rate, 100*rate/limit, peak)
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

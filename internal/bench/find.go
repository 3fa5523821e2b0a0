package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

//go:embed find.mjs
var findScript []byte

// findOptions are the flags of the part find.
type findOptions struct {
	events, filesADay, people, rounds int
	lake, duckdb                      string
	whole                             bool
}

func (o *findOptions) flags(f *flag.FlagSet) {
	f.IntVar(&o.events, "find-events", 50_000_000, "events in the lake that find is measured over; made once, which takes a core 15 minutes for these")
	f.IntVar(&o.filesADay, "find-files", 24, "objects a day of each of its two sources: 24 as with every: 1h")
	f.IntVar(&o.people, "find-people", 200_000, "people in it")
	f.IntVar(&o.rounds, "find-rounds", 3, "how often each is asked")
	f.BoolVar(&o.whole, "find-whole", false, "also for whole events, every column of them, for which DuckDB takes many minutes")
	f.StringVar(&o.lake, "find-lake", "", "the `folder` of the lake, which is kept; in the user's cache if empty")
	f.StringVar(&o.duckdb, "duckdb", os.Getenv("IDTRAIL_DUCKDB"), "the `folder` with DuckDB for Node in node_modules")
}

// find asks the program and DuckDB for what one person did in a year, in turns. For
// DuckDB the time is that of the query alone: that Node has to start first is no
// fault of its.
func (b *bench) find(ctx context.Context, o findOptions) error {
	if o.duckdb == "" {
		return errors.New("find needs DuckDB for Node: make bench BENCHFLAGS='-only find' installs it")
	}
	if o.lake == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return err
		}
		o.lake = filepath.Join(cache, "idtrail", fmt.Sprintf("find-%d-%d", o.events, o.filesADay))
	}
	year := &yearLake{
		dir: o.lake, events: o.events, filesADay: o.filesADay, people: o.people,
		from: time.Date(2025, 11, 1, 0, 0, 0, 0, time.UTC),
	}
	if err := year.make(ctx); err != nil {
		return fmt.Errorf("make the lake: %w", err)
	}
	m := &finding{bench: b, o: o, year: year, crowd: newCrowd(o.people, year.from)}
	if err := m.prepare(); err != nil {
		return err
	}
	fmt.Printf("\n%-44s %8s %9s %9s %9s %9s %9s\n", "find over "+withCommas(o.events)+" events of a year", "events", "find s", "MiB", "DuckDB s", "MiB", "ratio")
	forms := []string{""}
	if o.whole {
		forms = append(forms, "--json")
	}
	if err := m.warm(); err != nil {
		return err
	}
	// The names are drawn in the order of how much they do.
	for _, who := range []struct {
		title string
		rank  int
	}{{"one who does as much as most", o.people / 10}, {"one who does little", o.people - 2}, {"an administrator", 10}} {
		for _, form := range forms {
			if err := m.ask(ctx, who.title, m.crowd.names[who.rank], form); err != nil {
				return err
			}
		}
	}
	return nil
}

// warm reads the whole lake, so that the system has as much of it as it can in its
// cache, for both.
func (m *finding) warm() error {
	return filepath.WalkDir(filepath.Join(m.o.lake, "events"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f, err := os.Open(path) //nolint:gosec // a lake of our own
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, f)
		return errors.Join(err, f.Close())
	})
}

// finding is one measurement.
type finding struct {
	*bench
	o            findOptions
	year         *yearLake
	crowd        *crowd
	place        string
	config, node string
}

func (m *finding) prepare() (err error) {
	if m.place, err = m.bench.place("find"); err != nil {
		return err
	}
	m.config, m.node = filepath.Join(m.place, "idtrail.yaml"), filepath.Join(m.place, "find.mjs")
	var text strings.Builder
	fmt.Fprintf(&text, "state: ./state\nlake: %s\nsources:\n", m.o.lake)
	for source, format := range map[string]string{
		tenantSource: "auth0_logs", trailSource: "cloudtrail", usersSource: "auth0_users", poolSource: "cognito_users",
	} {
		fmt.Fprintf(&text, "  - {name: %s, kind: archive, format: %s, path: ./%[1]s}\n", source, format)
	}
	return errors.Join(os.WriteFile(m.config, []byte(text.String()), 0o600), os.WriteFile(m.node, findScript, 0o600))
}

// ask lets both answer, in turns, and prints the medians.
func (m *finding) ask(ctx context.Context, title string, p person, form string) error {
	var ours, theirs []float64
	var ourPeak, theirPeak float64
	var n int
	for range m.o.rounds {
		var out bytes.Buffer
		seconds, peak, err := m.command(ctx, &out, m.args(p, form)...)
		if err != nil {
			return err
		}
		answer, err := m.duckdb(ctx, m.sql(p, form))
		if err != nil {
			return err
		}
		if got := found(out.String(), form); got != answer.Rows {
			return fmt.Errorf("%s: find found %d events, DuckDB %d", title, got, answer.Rows)
		}
		n = answer.Rows
		ours, theirs = append(ours, seconds), append(theirs, answer.Seconds)
		ourPeak, theirPeak = max(ourPeak, peak), max(theirPeak, answer.peakMiB)
	}
	what := "a timeline"
	if form != "" {
		what = "whole events"
	}
	fmt.Printf("%-44s %8d %9.2f %9.0f %9.2f %9.0f %9.2f\n", title+", "+what, n,
		median(ours), ourPeak, median(theirs), theirPeak, median(ours)/median(theirs))
	return nil
}

func (m *finding) args(p person, form string) []string {
	args := []string{
		"-q", "-c", m.config, "find", "--user", p.mail, "--since", m.year.from.Format(time.DateOnly),
		"--until", m.year.from.AddDate(0, 0, findDays).Format(time.DateOnly),
	}
	if form != "" {
		args = append(args, form)
	}
	return args
}

// found counts the events in find's output.
func found(out, form string) int {
	n := 0
	for line := range strings.Lines(out) {
		_, err := time.Parse(time.TimeOnly, line[:min(len(line), len(time.TimeOnly))])
		if form != "" || err == nil {
			n++
		}
	}
	return n
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// sql asks what find asks. Of whom, it is told: the accounts and the addresses that
// find has to look up first.
func (m *finding) sql(p person, form string) string {
	i := slices.IndexFunc(m.crowd.names, func(q person) bool { return q == p })
	ids := []string{p.mail, p.uid, p.sub}
	if i%10 == 9 {
		ids = ids[:1] // nothing links or proves these
	}
	columns := `time, source, status, src_endpoint.ip, src_endpoint.location.country, class_name, activity_name, message, status_detail,
		api.operation, actor.app_name, "user".uid, "user".name, actor."user".uid AS actor_uid, actor."user".name AS actor_name`
	if form != "" {
		columns = "*"
	}
	var where []string
	for _, user := range []string{`"user"`, `actor."user"`, "user_result"} {
		where = append(where,
			fmt.Sprintf("%s.uid IN ('%s')", user, strings.Join(ids, "','")), fmt.Sprintf("%s.uid_alt IN ('%s')", user, strings.Join(ids, "','")),
			fmt.Sprintf("lower(%s.name) = '%s'", user, p.mail), fmt.Sprintf("lower(%s.email_addr) = '%s'", user, p.mail))
	}
	return fmt.Sprintf("SELECT %s FROM read_parquet('%s/events/source=*/dt=*/*.parquet', hive_partitioning=true, hive_types_autocast=false) WHERE %s ORDER BY time",
		columns, m.o.lake, strings.Join(where, " OR "))
}

// answer is what the script says of DuckDB's.
type answer struct {
	Rows    int
	Seconds float64
	peakMiB float64
}

func (m *finding) duckdb(ctx context.Context, sql string) (answer, error) {
	cmd := exec.CommandContext(ctx, "node", m.node) //nolint:gosec // a script of ours
	cmd.Env = append(os.Environ(), "IDTRAIL_DUCKDB="+m.o.duckdb)
	cmd.Stdin, cmd.Stderr = strings.NewReader(sql), os.Stderr
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		return answer{}, fmt.Errorf("start node: %w", err)
	}
	var a answer
	ended := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() { a.peakMiB = watchPeak(cmd.Process.Pid, ended) })
	err := cmd.Wait()
	close(ended)
	watching.Wait()
	if err != nil {
		return answer{}, fmt.Errorf("duckdb: %w", err)
	}
	return a, json.Unmarshal(out.Bytes(), &a)
}

func withCommas(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

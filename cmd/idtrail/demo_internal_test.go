package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/demo"
	"github.com/idtrail/idtrail/internal/fake"
	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/internal/segment"
	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/load/lake"
	"github.com/idtrail/idtrail/schema"
)

// company is a demo's company that stays up, and the program run over it, within
// the test's process.
type company struct {
	*demo.Site
	dir    string
	now    func() time.Time
	output bytes.Buffer // all that was ever printed, logs too
}

func newCompany(t *testing.T) *company {
	t.Helper()
	end := time.Date(2026, 5, 20, 9, 30, 0, 0, time.UTC)
	begun := time.Now()
	c := &company{
		dir: filepath.Join(t.TempDir(), "demo"),
		now: func() time.Time { return end.Add(time.Minute + time.Since(begun)) },
	}
	site, err := demo.Start(t.Context(), demo.Options{Dir: c.dir, Users: 600, Logs: 3000, Trail: 800, End: end})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := site.Close(); err != nil {
			t.Error(err)
		}
	})
	c.Site = site
	return c
}

// idtrail runs the program and wants it to end well.
func (c *company) idtrail(t *testing.T, args ...string) string {
	t.Helper()
	var out, logs bytes.Buffer
	code := run(t.Context(), append(args, "-c", c.Config, "--log-level", "debug"), system{
		In: strings.NewReader(""), Out: &out, Err: &logs, Now: c.now,
		Env: func(name string) (string, bool) { return c.Secret, name == demo.SecretVar },
		AWS: new(c.AWS()),
	})
	c.output.Write(out.Bytes())
	c.output.Write(logs.Bytes())
	if code != exitDone {
		t.Fatalf("idtrail %s: exit code: got %d, want 0; it said\n%s", strings.Join(args, " "), code, logs.String())
	}
	return out.String()
}

func (c *company) run(t *testing.T) runResult {
	t.Helper()
	return parse[runResult](t, c.idtrail(t, "run", "--json"))
}

func (c *company) store(t *testing.T, path ...string) blob.Store {
	t.Helper()
	store, err := blob.OpenDir(filepath.Join(append([]string{c.dir}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func parse[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("parse %.200s: %v", text, err)
	}
	return v
}

// TestDemo runs the whole line over the demo's company, and holds what came of
// it against what was made up.
func TestDemo(t *testing.T) {
	t.Parallel() // with the scripts, some of which wait
	c := newCompany(t)
	first := c.run(t)
	t.Run("read", func(t *testing.T) { c.checkRead(t, first) })
	t.Run("accounts", func(t *testing.T) { c.checkAccounts(t, first) })
	t.Run("raw", func(t *testing.T) { c.checkRaw(t, first) })
	t.Run("once", c.checkOnce)
	t.Run("drift", func(t *testing.T) { c.checkDrift(t, first) })
	t.Run("again", func(t *testing.T) { c.checkAgain(t, first) })
	t.Run("find", c.checkFind)
	t.Run("status", func(t *testing.T) { c.checkStatus(t, first) })
	t.Run("report", c.checkReport)
	t.Run("check", c.checkCheck)
	// Last: all that the others made is looked through.
	t.Run("secrets", c.checkSecrets)
}

// checkRead holds what was landed against what the company has.
func (c *company) checkRead(t *testing.T, res runResult) {
	left, err := c.Tenant.WriteAuth0Users(io.Discard)
	right, err2 := c.Tenant.WriteCognitoUsers(io.Discard)
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"logs": 3000, "users": left, "pool": right, "history": 0, "trail": 0}
	type record struct {
		Source string `json:"eventSource"`
	}
	for text := range c.Tenant.TrailRecords() {
		switch parse[record](t, string(text)).Source {
		case "cognito-idp.amazonaws.com":
			want["history"]++
		case "cognito-identity.amazonaws.com", "signin.amazonaws.com", "sts.amazonaws.com", "iam.amazonaws.com":
			want["trail"]++
		}
	}
	got := map[string]int{}
	for _, s := range res.Sources {
		got[s.Source] = int(s.Landed)
		if s.Source == "users" || s.Source == "pool" {
			got[s.Source] = int(s.Sinks[0].Users) // settings are landed beside them
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("landed: got %v, want %v", got, want)
	}
}

// checkAccounts holds each identity a run promises, and recomputes what the
// report says of the lake from the lake.
func (c *company) checkAccounts(t *testing.T, res runResult) {
	reader := lake.Open(c.store(t, "lake"))
	for _, s := range res.Sources {
		if s.Read != s.Landed+s.Repeated+s.Filtered {
			t.Errorf("%s: read %d is not landed %d + repeated %d + filtered %d", s.Source, s.Read, s.Landed, s.Repeated, s.Filtered)
		}
		for _, k := range s.Sinks {
			if k.Notices != nil {
				checkSent(t, s.Source, k)
				continue
			}
			if k.Records != s.Landed || k.Pending.Records != 0 {
				t.Errorf("%s: %s has %d records and %d pending, landed were %d", s.Source, k.Sink, k.Records, k.Pending.Records, s.Landed)
			}
			if k.Events+k.Users+k.Settings != k.Mapped()+k.FannedOut {
				t.Errorf("%s: %s: events %d + users %d + settings %d are not mapped %d + fanned out %d",
					s.Source, k.Sink, k.Events, k.Users, k.Settings, k.Mapped(), k.FannedOut)
			}
			want := load.Counts{Events: k.Events, Users: k.Users, Settings: k.Settings, Rejects: k.Rejected, Objects: k.Objects, Bytes: k.Bytes}
			if k.Users > 0 {
				want.Snapshots = 1
			}
			count := reader.Counts
			if k.Sink == "json" {
				count = reader.CountsJSON
			}
			got, err := count(t.Context(), s.Source)
			if err != nil || got != want {
				t.Errorf("%s: %s: the lake holds %+v, error %v, want %+v", s.Source, k.Sink, got, err, want)
			}
			if got := flushed(t, reader, k.Sink, s.Source); got != want {
				t.Errorf("%s: %s: flush records say %+v, want %+v", s.Source, k.Sink, got, want)
			}
		}
	}
}

// flushed sums a sink's flush records, which have to follow each other.
func flushed(t *testing.T, reader *lake.Reader, sink, source string) load.Counts {
	t.Helper()
	var sum load.Counts
	var next int64
	for rec, err := range reader.Flushes(t.Context(), sink, source) {
		if err != nil {
			t.Fatal(err)
		}
		if rec.From != next || rec.State == lake.StateOpen {
			t.Errorf("%s: %s: flush is %s and begins at %d, want one finished that begins at %d", source, sink, rec.State, rec.From, next)
		}
		next = rec.To
		sum.Add(rec.Counts)
	}
	return sum
}

// checkRaw counts what was landed in the segments themselves.
func (c *company) checkRaw(t *testing.T, res runResult) {
	raw := c.store(t, "lake", "raw")
	for _, s := range res.Sources {
		var records, segments int64
		for seq, err := range segment.List(t.Context(), raw, s.Source, 0) {
			if err != nil {
				t.Fatal(err)
			}
			err = segment.Scan(t.Context(), raw, s.Source, seq, func(*segment.Header) error { return nil }, func(segment.Record) error {
				records++
				return nil
			})
			if err != nil {
				t.Errorf("segment %d of %s: %v", seq, s.Source, err)
			}
			segments++
		}
		if records != s.Landed || segments != s.Segments {
			t.Errorf("%s: raw holds %d records in %d segments, want %d in %d", s.Source, records, segments, s.Landed, s.Segments)
		}
	}
}

// checkOnce looks for events that are in the lake twice.
func (c *company) checkOnce(t *testing.T) {
	store := c.store(t, "lake")
	seen := map[string]bool{}
	for o, err := range store.List(t.Context(), "events/", "") {
		if err != nil {
			t.Fatal(err)
		}
		for e, err := range lake.ReadTable[schema.Event](t.Context(), store, o.Key) {
			if err != nil {
				t.Fatal(err)
			}
			source, _, _ := strings.Cut(o.Key, "/dt=")
			uid := source + " " + e.Metadata.UID
			if seen[uid] {
				t.Errorf("%s is there twice", uid)
			}
			seen[uid] = true
		}
	}
	if len(seen) < 3000 {
		t.Errorf("got %d events, want at least one for each of 3000 log records", len(seen))
	}
}

func (c *company) checkDrift(t *testing.T, res runResult) {
	if len(res.Reconciled) != 1 || res.Reconciled[0].Summary == nil {
		t.Fatalf("got %+v, want one comparison", res.Reconciled)
	}
	got := map[string]int{}
	for typ, n := range res.Reconciled[0].Summary.ByType {
		if n > 0 {
			got[string(typ)] = int(n)
		}
	}
	want := c.Tenant.Drift()
	if len(want) < 5 || !maps.Equal(got, want) {
		t.Errorf("drift: got %v, want %v", got, want)
	}
}

// ofPool are the objects that hold something of a snapshot of the pool: every
// run begins one.
var ofPool = regexp.MustCompile(`[/=-]pool[/-]`)

// checkAgain runs a second time over the same input.
func (c *company) checkAgain(t *testing.T, first runResult) {
	before := files(t, c.dir, "lake")
	tokens := c.Auth0.Count(fake.TokenPath)
	res := c.run(t)
	for i, s := range res.Sources {
		if s.Source == "pool" {
			if s.Landed != first.Sources[i].Landed || s.Segments != 1 || s.Repeated != 0 {
				t.Errorf("pool: the second snapshot has %d records in %d segments, %d repeated, want %d in 1, none",
					s.Landed, s.Segments, s.Repeated, first.Sources[i].Landed)
			}
			continue
		}
		if s.Segments != 0 || s.Landed != 0 || s.Adopted != 0 {
			t.Errorf("%s: a second run landed %d records in %d segments and adopted %d", s.Source, s.Landed, s.Segments, s.Adopted)
		}
		for _, k := range s.Sinks {
			if k.Records != 0 || k.Objects != 0 {
				t.Errorf("%s: a second run gave %s %d records and %d objects", s.Source, k.Sink, k.Records, k.Objects)
			}
		}
	}
	after := files(t, c.dir, "lake")
	for _, all := range []map[string]string{before, after} {
		maps.DeleteFunc(all, func(path, _ string) bool { return ofPool.MatchString(path) })
	}
	if len(before) < 20 || !maps.Equal(before, after) {
		t.Errorf("a second run changed the lake: %d files before, %d after", len(before), len(after))
	}
	if n := c.Auth0.Count(fake.TokenPath) - tokens; n != 1 {
		t.Errorf("a second run fetched %d tokens, want 1", n)
	}
}

// checkSent holds the equation of a sink that sends events, of records and of
// notices.
func checkSent(t *testing.T, source string, k pipeline.SinkReport) {
	t.Helper()
	sum := func(s load.Sent) int64 { return s.Accepted + s.Skipped + s.Rejected + s.Filtered }
	if sum(k.Sent) != k.Events || sum(k.Notices.Sent) != k.Notices.Given || k.Notices.Given == 0 {
		t.Errorf("%s: %s was given %d events and %d notices, and accounts for %+v and %+v",
			source, k.Sink, k.Events, k.Notices.Given, k.Sent, k.Notices.Sent)
	}
	if k.Err != nil || k.Pending.Records+k.Notices.Pending.Kept != 0 || source == "logs" && k.Sent.Accepted == 0 {
		t.Errorf("%s: %s sent %+v, and has %d records pending, error %v", source, k.Sink, k.Sent, k.Pending.Records, k.Err)
	}
}

// files are the contents below a folder, by path.
func files(t *testing.T, path ...string) map[string]string {
	t.Helper()
	all := map[string]string{}
	root := filepath.Join(path...)
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		all[strings.TrimPrefix(path, root)] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// checkFind looks for a person of the log, in any case, and by id.
func (c *company) checkFind(t *testing.T) {
	store := c.store(t, "lake")
	want := map[string]int{}
	var name string
	for o, err := range store.List(t.Context(), "events/source=logs/", "") {
		if err != nil {
			t.Fatal(err)
		}
		for e, err := range lake.ReadTable[schema.Event](t.Context(), store, o.Key) {
			if err != nil {
				t.Fatal(err)
			}
			if e.User != nil && strings.Contains(e.User.Name, "@") {
				name = e.User.Name
				want[strings.ToLower(name)]++
			}
		}
	}
	out := c.idtrail(t, "find", "--user", strings.ToUpper(name), "--since", "30d", "--json")
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	if name == "" || len(lines) < want[strings.ToLower(name)] {
		t.Errorf("find %s: got %d events, want at least %d", name, len(lines), want[strings.ToLower(name)])
	}
	for _, line := range lines {
		found := parse[lake.Found](t, line)
		if !strings.Contains(strings.ToLower(line), strings.ToLower(name)) || found.Source == "" {
			t.Errorf("find %s: got %s", name, line)
		}
	}
	text := c.idtrail(t, "find", "--user", name, "--since", "30d")
	if got := len(regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d  `).FindAllString(text, -1)); got != len(lines) {
		t.Errorf("find as text: got %d lines, want %d", got, len(lines))
	}
}

func (c *company) checkStatus(t *testing.T, res runResult) {
	type status struct {
		Sources []struct {
			Source string
			Known  bool
			Totals struct{ Records, Segments int64 }
			Sinks  []struct {
				Sink    string
				Pending struct{ Records int64 }
				Sent    load.Sent
				Notices struct{ Sent load.Sent }
			}
		}
	}
	got := parse[status](t, c.idtrail(t, "status", "--json", "--max-age", "1h"))
	if len(got.Sources) != len(res.Sources) {
		t.Fatalf("got %d sources, want %d", len(got.Sources), len(res.Sources))
	}
	var accepted int64
	for i, s := range got.Sources {
		for _, k := range s.Sinks {
			accepted += k.Sent.Accepted + k.Notices.Sent.Accepted
		}
		want := res.Sources[i]
		if want.Source == "pool" { // there were two runs
			want.Landed, want.Segments = 2*want.Landed, want.Segments+1
		}
		if s.Source != want.Source || !s.Known || s.Totals.Records != want.Landed || s.Totals.Segments != want.Segments || len(s.Sinks) != 3 {
			t.Errorf("got %+v, want %s with %d records", s, want.Source, want.Landed)
		}
	}
	if taken := int64(c.HEC.Taken()); accepted != taken || taken == 0 {
		t.Errorf("status counts %d events accepted, and the collector has %d", accepted, taken)
	}
	if text := c.idtrail(t, "status"); !strings.Contains(text, "3,000") {
		t.Errorf("status does not show 3,000 records:\n%s", text)
	}
}

// checkReport writes the drift in every format, all of which have each row.
func (c *company) checkReport(t *testing.T) {
	want := 0
	for _, n := range c.Tenant.Drift() {
		want += n
	}
	csv := c.idtrail(t, "reconcile", "report", "--format", "csv")
	if got := strings.Count(csv, "\n") - 1; got != want {
		t.Errorf("csv: got %d rows, want %d", got, want)
	}
	type report struct{ Rows, Findings []json.RawMessage }
	asJSON := parse[report](t, c.idtrail(t, "reconcile", "report", "--json"))
	if got := len(asJSON.Rows) + len(asJSON.Findings); got != want {
		t.Errorf("json: got %d rows, want %d", got, want)
	}
	path := filepath.Join(t.TempDir(), "drift.html")
	c.idtrail(t, "reconcile", "report", "--format", "html", "--output", path)
	page, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(page), "</html>") {
		t.Errorf("html: %v, and it ends with %q", err, page[max(0, len(page)-40):])
	}
	table := c.idtrail(t, "reconcile", "report", "--rows", "-1")
	for typ := range c.Tenant.Drift() {
		if !strings.Contains(table, "\n"+typ+" (") {
			t.Errorf("the table has no %s:\n%s", typ, table)
		}
	}
}

// checkCheck tries every source against the company: all are good.
func (c *company) checkCheck(t *testing.T) {
	res := parse[checkResult](t, c.idtrail(t, "check", "--json"))
	forecasts := map[string]bool{}
	for _, line := range res.Checks {
		if line.State == checkFailed {
			t.Errorf("%s %s: %s", line.Part, line.Name, line.What)
		}
		if line.Part == "source" && (strings.Contains(line.What, "a first run begins") || strings.Contains(line.What, "a snapshot")) {
			forecasts[line.Name] = true
		}
	}
	for _, name := range []string{"logs", "users", "pool", "history"} {
		if !forecasts[name] {
			t.Errorf("source %s has no forecast", name)
		}
	}
}

// secretMark begins every secret that is planted, so that half of one is found
// too.
const secretMark = "sEcr3t"

// checkSecrets looks for the planted secrets, and the client's, in every byte of
// what was written and printed. That the search finds them where they are proves
// that it can.
func (c *company) checkSecrets(t *testing.T) {
	secrets := append(c.Tenant.Secrets(), c.Secret)
	for _, s := range c.Tenant.Secrets() {
		if !strings.HasPrefix(s, secretMark) {
			t.Fatalf("secret %s does not begin with %s", s, secretMark)
		}
	}
	if plain(t, c.dir, "archive"); !leaks(plain(t, c.dir, "archive"), secrets) {
		t.Error("found nothing in the company's own files, want secrets")
	}
	for _, place := range []string{"lake", "state"} {
		if text := plain(t, c.dir, place); len(text) == 0 || leaks(text, secrets) {
			t.Errorf("%d bytes of %s hold a secret", len(text), place)
		}
	}
	if out := c.output.Bytes(); len(out) == 0 || leaks(out, secrets) {
		t.Error("what was printed holds a secret")
	}
}

func leaks(text []byte, secrets []string) bool {
	return bytes.Contains(text, []byte(secretMark)) ||
		slices.ContainsFunc(secrets, func(s string) bool { return bytes.Contains(text, []byte(s)) })
}

var base64Text = regexp.MustCompile(`"base64":"([^"]*)"`)

// plain is all text below a folder: what is compressed, unpacked; what is
// encoded, decoded; and of Parquet the values of every text column.
func plain(t *testing.T, path ...string) []byte {
	t.Helper()
	var all []byte
	for name, content := range files(t, path...) {
		all = append(all, name...)
		all = append(all, unpack(t, name, []byte(content))...)
	}
	for _, m := range base64Text.FindAllSubmatch(all, -1) {
		if b, err := base64.StdEncoding.DecodeString(string(m[1])); err == nil {
			all = append(all, b...)
		}
	}
	return all
}

func unpack(t *testing.T, name string, content []byte) []byte {
	t.Helper()
	var r io.Reader = bytes.NewReader(content)
	var err error
	switch filepath.Ext(name) {
	case ".gz":
		r, err = gzip.NewReader(r)
	case ".zst":
		r, err = zstd.NewReader(r)
	case ".parquet":
		return textColumns(t, name, content)
	}
	if err != nil {
		t.Fatalf("unpack %s: %v", name, err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("unpack %s: %v", name, err)
	}
	return b
}

func textColumns(t *testing.T, name string, content []byte) []byte {
	t.Helper()
	f, err := parquet.OpenFile(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatalf("open %s: %v", name, err)
	}
	text := slices.Clone(content) // the footer's metadata, and what statistics it has
	for _, group := range f.RowGroups() {
		rows := group.Rows()
		buf := make([]parquet.Row, 64)
		for err = error(nil); err == nil; {
			var n int
			n, err = rows.ReadRows(buf)
			for _, row := range buf[:n] {
				for _, v := range row {
					if v.Kind() == parquet.ByteArray {
						text = append(append(text, v.ByteArray()...), '\n')
					}
				}
			}
		}
		if !errors.Is(err, io.EOF) {
			t.Fatalf("read %s: %v", name, err)
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return text
}

// TestDemoCanceled stops the demo's run before it begins.
func TestDemoCanceled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, logs bytes.Buffer
	code := run(ctx, []string{"demo", "--dir", filepath.Join(t.TempDir(), "demo"), "--users", "100", "--logs", "100"}, system{
		In: strings.NewReader(""), Out: &out, Err: &logs, Now: time.Now,
		Env: func(string) (string, bool) { return "", false },
	})
	if code != exitInterrupted {
		t.Errorf("exit code: got %d, want %d; it said\n%s%s", code, exitInterrupted, out.String(), logs.String())
	}
}

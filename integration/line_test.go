package integration_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/idtrail/idtrail/integration/harness"
	"github.com/idtrail/idtrail/internal/fake"
)

// place is where a line writes to, and what it needs in its environment.
type place struct {
	raw, lake     string // as the config names them
	trail         string
	rawDir        string // where they are on disk
	lakeDir       string
	env           []string
	addTrailFiles func(t *testing.T, s *site)
}

func inFolders(_ *testing.T, s *site) place {
	return place{
		raw: "./out/raw", lake: "./out/lake", trail: "./in/trail",
		rawDir: s.path("out/raw"), lakeDir: s.path("out/lake"),
		addTrailFiles: func(*testing.T, *site) {},
	}
}

func inBuckets(t *testing.T, s *site) place {
	t.Helper()
	server := harness.S3(t)
	raw, lake, in := server.Bucket(t), server.Bucket(t), server.Bucket(t)
	p := place{
		raw: "s3://" + raw + "/evidence/raw", lake: "s3://" + lake, trail: "s3://" + in + "/AWSLogs/",
		rawDir: server.Path(raw, "evidence/raw"), lakeDir: server.Path(lake, ""), env: server.Env(),
		addTrailFiles: func(t *testing.T, s *site) { t.Helper(); upload(t, server, in, s.path("in/trail")) },
	}
	p.addTrailFiles(t, s)
	return p
}

// upload puts every file below dir that the bucket lacks.
func upload(t *testing.T, server *harness.Server, bucket, dir string) {
	t.Helper()
	client := server.Client(t, nil)
	for name := range files(t, dir) {
		if _, err := os.Stat(server.Path(bucket, name)); err == nil {
			continue
		}
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &name, Body: f})
		_ = f.Close() // it was only read
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestLine runs the binary over a whole company and holds what it wrote against
// its input, read by other programs.
func TestLine(t *testing.T) {
	t.Parallel()
	for name, where := range map[string]func(*testing.T, *site) place{"S3": inBuckets, "folders": inFolders} {
		t.Run(name, func(t *testing.T) { testLine(t, where) })
	}
}

func testLine(t *testing.T, where func(*testing.T, *site) place) {
	t.Helper()
	s := newSite(t)
	p := where(t, s)
	config := s.config(t, p.raw, p.lake, p.trail)
	l := &line{site: s, place: p, total: map[string]sourceReport{}, began: time.Now().UTC()}
	first, out := s.run(t, p.env, config, 0)
	wantDone(t, first)
	l.add(first)
	t.Run("accounts", l.accounts)
	t.Run("rows", l.rows)
	t.Run("ids", l.ids)
	t.Run("files", l.files)
	t.Run("drift", func(t *testing.T) { l.drift(t, first) })
	t.Run("secrets", func(t *testing.T) { l.secrets(t, out, "events", "users", "drift", "persons", "rejected") })
	t.Run("again", func(t *testing.T) { l.again(t, config) })
	t.Run("grown", func(t *testing.T) { l.grown(t, config) })
	t.Run("state lost", func(t *testing.T) { l.stateLost(t, config) })
}

// line is what runs left behind.
type line struct {
	site  *site
	place place
	// total is the sum of the runs' reports, by source.
	total map[string]sourceReport
	// began is before the first run.
	began time.Time
}

// wantDone wants every source read to its end, and given to both sinks.
func wantDone(t *testing.T, r report) {
	t.Helper()
	for _, s := range r.Sources {
		if s.Error != "" || !s.Drained || s.Gaps != 0 || len(s.Sinks) != 2 || s.Sinks[0].Error+s.Sinks[1].Error != "" {
			t.Errorf("source %s: error %q, drained %v, %d gaps, sinks %+v", s.Source, s.Error, s.Drained, s.Gaps, s.Sinks)
		}
	}
}

// add adds a run's report to the total.
func (l *line) add(r report) {
	for _, s := range r.Sources {
		before := l.total[s.Source]
		s.Read += before.Read
		s.Landed += before.Landed
		s.Repeated += before.Repeated
		s.Filtered += before.Filtered
		s.Sinks = slices.Clone(s.Sinks)
		for i, k := range before.Sinks {
			s.Sinks[i].Records += k.Records
			s.Sinks[i].Rejected += k.Rejected
			s.Sinks[i].Events += k.Events
			s.Sinks[i].Users += k.Users
			s.Sinks[i].FannedOut += k.FannedOut
		}
		l.total[s.Source] = s
	}
}

// input is a view of the input files in DuckDB: (source, id, kept), a row for
// each record in them, whether it is kept by the source, and its id.
func (l *line) input() string {
	ndjson := func(glob string) string {
		return "read_ndjson_objects(" + harness.Quote(l.site.path(glob)) + ", maximum_object_size=16777216)"
	}
	whole := func(glob string) string {
		return "read_json_objects(" + harness.Quote(l.site.path(glob)) + ", format='unstructured', maximum_object_size=67108864)"
	}
	return `CREATE VIEW input AS
  SELECT 'live' AS source, coalesce(json->>'$.log_id', json->>'$._id') AS id, true AS kept FROM ` + ndjson("in/live/*") + `
  UNION ALL SELECT 'old', coalesce(json->>'$.log_id', json->>'$._id'), true FROM ` + ndjson("in/old/clean/**/*.*") + `
  UNION ALL SELECT 'users', json->>'$.user_id', true FROM ` + ndjson("in/users/*") + `
  UNION ALL SELECT 'pool', list_filter(CAST(u->'$.Attributes' AS STRUCT("Name" VARCHAR, "Value" VARCHAR)[]), a -> a."Name" = 'sub')[1]."Value", true
    FROM (SELECT unnest(CAST(json->'$.Users' AS JSON[])) AS u FROM ` + whole("in/pool/*") + `)
  UNION ALL SELECT 'trail', r->>'$.eventID', split_part(r->>'$.eventSource', '.', 1) IN ('cognito-idp','cognito-identity','signin','sts','iam')
    FROM (SELECT unnest(CAST(json->'$.Records' AS JSON[])) AS r FROM ` + whole("in/trail/**/*.json.gz") + `);
`
}

// table is a table of the lake as DuckDB reads it.
func (l *line) table(name, more string) string {
	return "read_parquet(" + harness.Quote(filepath.Join(l.place.lakeDir, name, "**", "*.parquet")) +
		", hive_partitioning=true, hive_types_autocast=false" + more + ")"
}

// accounts recomputes what the run reported, from the input, raw and the lake.
func (l *line) accounts(t *testing.T) {
	read := map[string]int64{}
	for _, row := range harness.DuckDB(t, l.input()+"SELECT source, count(*) AS n FROM input GROUP BY source") {
		read[row["source"].(string)] = row["n"].(int64)
	}
	lake := map[string]counts{}
	for _, row := range harness.DuckDB(t, l.counts()) {
		lake[row["source"].(string)] = counts{
			events: row["events"].(int64), users: row["users"].(int64),
			mapped: row["mapped"].(int64), rejected: row["rejected"].(int64),
		}
	}
	for name, got := range l.total {
		odd := l.site.odd[name]
		want := read[name] + int64(len(odd.ids)) + odd.rejected
		if got.Read != want || got.Read != got.Landed+got.Repeated+got.Filtered {
			t.Errorf("%s: read %d = %d landed + %d repeated + %d filtered, want %d", name, got.Read, got.Landed, got.Repeated, got.Filtered, want)
		}
		chain := readChain(t, filepath.Join(l.place.rawDir, name))
		if chain.landed != got.Landed || chain.repeated != got.Repeated || chain.filtered != got.Filtered {
			t.Errorf("%s: raw has %d landed, %d repeated, %d filtered; the run says %d, %d, %d",
				name, chain.landed, chain.repeated, chain.filtered, got.Landed, got.Repeated, got.Filtered)
		}
		l.wantCounts(t, name, lake[name])
		if lake[name].rejected != odd.rejected {
			t.Errorf("%s: %d rejected, want %d", name, lake[name].rejected, odd.rejected)
		}
	}
}

// counts are those of one source in the lake.
type counts struct{ events, users, mapped, rejected int64 }

func (l *line) counts() string {
	return `WITH rows AS (
    SELECT source, 'events' AS tbl, regexp_replace(metadata.uid, '#[0-9]+$', '') AS id FROM ` + l.table("events", "") + `
    UNION ALL SELECT source, 'users', user_id FROM ` + l.table("users", "") + `
    UNION ALL SELECT source, 'rejected', id FROM ` + l.table("rejected", "") + `)
  SELECT source, count(*) FILTER (tbl = 'events') AS events, count(*) FILTER (tbl = 'users') AS users,
    count(*) FILTER (tbl = 'rejected') AS rejected, count(DISTINCT id) FILTER (tbl <> 'rejected') AS mapped
  FROM rows GROUP BY source`
}

// wantCounts holds the identities of a source's sinks against the lake.
func (l *line) wantCounts(t *testing.T, name string, lake counts) {
	t.Helper()
	landed := l.total[name].Landed
	for _, k := range l.total[name].Sinks {
		if k.Error != "" {
			t.Errorf("%s: sink %s: %s", name, k.Sink, k.Error)
		}
		if k.Records != landed || landed != lake.mapped+lake.rejected {
			t.Errorf("%s: landed %d, sink %s had %d; the lake has %d mapped and %d rejected", name, landed, k.Sink, k.Records, lake.mapped, lake.rejected)
		}
		if k.Events != lake.events || k.Users != lake.users || k.Rejected != lake.rejected {
			t.Errorf("%s: sink %s says %d events, %d users, %d rejected; the lake has %+v", name, k.Sink, k.Events, k.Users, k.Rejected, lake)
		}
		if got := lake.events + lake.users - lake.mapped; got != k.FannedOut {
			t.Errorf("%s: sink %s fanned out %d, in the lake it is %d", name, k.Sink, k.FannedOut, got)
		}
	}
}

// chain is what the segments of a source hold.
type chain struct{ landed, repeated, filtered int64 }

// readChain reads a source's segments without idtrail's own code.
func readChain(t *testing.T, dir string) chain {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.ndjson.zst"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no segments in %s: %v", dir, err)
	}
	var sum chain
	prev := ""
	for seq, name := range names {
		lines := bytes.Split(bytes.TrimSuffix(unpack(t, name), []byte("\n")), []byte("\n"))
		var h struct {
			Seq, Count, Repeated, Filtered int64
			Prev                           string
			SHA256                         string `json:"sha256"`
		}
		if err := json.Unmarshal(lines[0], &h); err != nil {
			t.Fatalf("%s: header: %v", name, err)
		}
		if h.Seq != int64(seq) || h.Prev != prev || h.Count != int64(len(lines)-1) || h.SHA256 != sumLines(lines[1:]) {
			t.Errorf("%s does not hold what its header says: %s", name, lines[0])
		}
		for i, line := range lines[1:] {
			if !json.Valid(line) {
				t.Errorf("%s: record %d is no JSON", name, i)
			}
		}
		hash := sha256.Sum256(lines[0])
		prev = hex.EncodeToString(hash[:])
		sum.landed += h.Count
		sum.repeated += h.Repeated
		sum.filtered += h.Filtered
	}
	return sum
}

func sumLines(lines [][]byte) string {
	h := sha256.New()
	for _, line := range lines {
		h.Write(append(slices.Clip(line), '\n'))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// unpack reads a file, decompressed as its name says.
func unpack(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	switch filepath.Ext(path) {
	case ".zst":
		r, zerr := zstd.NewReader(bytes.NewReader(content))
		if zerr != nil {
			t.Fatal(zerr)
		}
		defer r.Close()
		_, err = out.ReadFrom(r)
	case ".gz":
		r, zerr := gzip.NewReader(bytes.NewReader(content))
		if zerr != nil {
			t.Fatal(zerr)
		}
		_, err = out.ReadFrom(r)
	default:
		return content
	}
	if err != nil {
		t.Fatalf("unpack %s: %v", path, err)
	}
	return out.Bytes()
}

// rows checks where each event lies, and in what order.
func (l *line) rows(t *testing.T) {
	from := l.table("events", ", filename=true, file_row_number=true")
	got := harness.DuckDB(t, `WITH e AS (SELECT *, list_contains(metadata.labels, 'time:out_of_range') AS odd_clock,
      lag(time) OVER (PARTITION BY filename ORDER BY file_row_number) AS before FROM `+from+`)
    SELECT count(*) FILTER (epoch_ms(time_dt) <> time) AS two_times,
      count(*) FILTER (dt <> strftime(time_dt, '%Y-%m-%d') AND NOT coalesce(odd_clock, false)) AS wrong_day,
      count(*) FILTER (odd_clock AND dt NOT BETWEEN '`+l.began.Format(time.DateOnly)+`' AND '`+time.Now().UTC().Format(time.DateOnly)+`') AS wrong_landing_day,
      count(*) FILTER (odd_clock) AS odd_clocks,
      count(*) FILTER (before > time) AS unsorted,
      count(*) FILTER (typeof(dt) <> 'VARCHAR') AS no_text,
      count(DISTINCT dt) AS days FROM e`)[0]
	for name, want := range map[string]int64{"two_times": 0, "wrong_day": 0, "wrong_landing_day": 0, "odd_clocks": 2, "unsorted": 0, "no_text": 0} {
		if got[name] != want {
			t.Errorf("%s = %v, want %d", name, got[name], want)
		}
	}
	if days, _ := got["days"].(int64); days < 4 {
		t.Errorf("%d days, want those of both tenants", days)
	}
}

// ids holds the ids in the lake against those in the input, both read by
// DuckDB.
func (l *line) ids(t *testing.T) {
	var odd []string
	for source, input := range l.site.odd {
		for _, id := range input.ids {
			odd = append(odd, fmt.Sprintf("(%s, %s)", harness.Quote(source), harness.Quote(id)))
		}
	}
	sql := l.input() + `CREATE TABLE wanted AS SELECT DISTINCT source, id FROM input WHERE kept
      UNION SELECT * FROM (VALUES ` + strings.Join(odd, ", ") + `);
    CREATE TABLE found AS SELECT source, regexp_replace(metadata.uid, '#[0-9]+$', '') AS id FROM ` + l.table("events", "") + `
      UNION SELECT source, user_id FROM ` + l.table("users", "") + `;
    SELECT 'missing' AS what, * FROM (FROM wanted EXCEPT FROM found) UNION ALL SELECT 'made up', * FROM (FROM found EXCEPT FROM wanted)
    UNION ALL SELECT 'no input', NULL, NULL FROM (SELECT count(*) AS n FROM wanted) WHERE n < 1000`
	for i, row := range harness.DuckDB(t, sql) {
		if i < 10 {
			t.Errorf("%v", row)
		}
	}
	twice := harness.DuckDB(t, `SELECT source, metadata.uid AS id, count(*) AS n FROM `+l.table("events", "")+` GROUP BY ALL HAVING n > 1`)
	if len(twice) > 0 {
		t.Errorf("%d ids stand twice: %v", len(twice), twice[0])
	}
}

// files reads every Parquet file by arrow-go, beside its JSON copy.
func (l *line) files(t *testing.T) {
	rows := map[string]int64{}
	for name := range files(t, l.place.lakeDir) {
		if filepath.Ext(name) != ".parquet" {
			continue
		}
		path := filepath.Join(l.place.lakeDir, name)
		p := harness.ReadParquet(t, path)
		table, _, _ := strings.Cut(name, "/")
		rows[table] += int64(len(p.Rows))
		wantSchema(t, name, p.Schema)
		wantPages(t, path, p.Rows)
		if copied := jsonCopy(path, table); table != "persons" && table != "drift" {
			wantSameRows(t, name, p.Rows, ndjson(t, copied))
		}
	}
	for _, row := range harness.DuckDB(t, l.tableCounts()) {
		if table, _ := row["tbl"].(string); rows[table] != row["n"] {
			t.Errorf("arrow-go reads %d rows of %s, DuckDB %v", rows[table], table, row["n"])
		}
	}
}

func (l *line) tableCounts() string {
	var parts []string
	for _, name := range []string{"events", "users", "snapshots", "rejected", "persons", "drift"} {
		parts = append(parts, "SELECT "+harness.Quote(name)+" AS tbl, count(*) AS n FROM "+l.table(name, ""))
	}
	return strings.Join(parts, " UNION ALL ")
}

// jsonCopy is where the other sink put the rows of a Parquet file.
func jsonCopy(path, table string) string {
	path = strings.TrimSuffix(path, ".parquet") + ".ndjson.gz"
	i := strings.LastIndex(path, "/"+table+"/")
	return path[:i] + "/" + table + "_json" + path[i+1+len(table):]
}

func ndjson(t *testing.T, path string) []map[string]any {
	t.Helper()
	var rows []map[string]any
	lines := bufio.NewScanner(bytes.NewReader(unpack(t, path)))
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		d := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		d.UseNumber()
		var row map[string]any
		if err := d.Decode(&row); err != nil {
			t.Fatalf("%s: row %d: %v", path, len(rows), err)
		}
		rows = append(rows, row)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return rows
}

// keyColumns are what rows are compared by: text and numbers, of all tables.
func keyColumns() []string {
	return []string{
		"time", "class_uid", "type_uid", "activity_name", "status_id", "severity_id", "message", "metadata.uid", "metadata.event_code",
		"user.uid", "user.name", "actor.user.uid", "src_endpoint.ip", "api.operation", "raw_data",
		"snapshot_id", "user_id", "user_name", "email_norm", "status", "active", "email_verified",
		"id", "segment", "record", "kind", "reason",
	}
}

func wantSameRows(t *testing.T, name string, parquet, copied []map[string]any) {
	t.Helper()
	if len(parquet) != len(copied) {
		t.Errorf("%s has %d rows, its JSON copy %d", name, len(parquet), len(copied))
		return
	}
	for i := range parquet {
		for _, column := range keyColumns() {
			got, want := text(at(copied[i], column)), text(at(parquet[i], column))
			if got != want {
				t.Errorf("%s row %d: %s is %.80q, in JSON %.80q", name, i, column, want, got)
				return
			}
		}
	}
}

// at is the value at a dotted path, nil if there is none.
func at(row map[string]any, path string) any {
	name, rest, more := strings.Cut(path, ".")
	if !more {
		return row[name]
	}
	inner, _ := row[name].(map[string]any)
	return at(inner, rest)
}

// text is a value as text; JSON leaves out what is empty.
func text(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// wantSchema holds a schema, as arrow-go prints it, against what Athena reads.
func wantSchema(t *testing.T, name, schema string) {
	t.Helper()
	if !strings.HasPrefix(name, "persons") && !strings.Contains(schema, "isAdjustedToUTC=true, timeUnit=milliseconds") {
		t.Errorf("%s has no timestamp in UTC milliseconds:\n%s", name, schema)
	}
	if strings.HasPrefix(name, "events/") && (!strings.Contains(schema, "(List)") || !strings.Contains(schema, "(Map)")) {
		t.Errorf("%s has no LIST or no MAP:\n%s", name, schema)
	}
	for _, bad := range []string{"microseconds", "nanoseconds", "isAdjustedToUTC=false", "isSigned=false", "int96", "UUID", "repeated byte_array", "repeated int"} {
		if strings.Contains(schema, bad) {
			t.Errorf("%s has %s in its schema", name, bad)
		}
	}
	_, columns, _ := strings.Cut(schema, "{") // behind the name of the whole
	for column := range strings.Lines(columns) {
		_, named, ok := strings.Cut(column, "field_id=-1 ")
		if word, _, _ := strings.Cut(named, " "); ok && word != strings.ToLower(word) {
			t.Errorf("%s: column %s is not lower case", name, word)
		}
	}
}

// wantPages reads the page index as an engine does that skips pages by it:
// each value must lie within the bounds of its page.
func wantPages(t *testing.T, path string, rows []map[string]any) {
	t.Helper()
	pages, unbounded := harness.Pages(t, path)
	checked := 0
	for _, page := range pages {
		if !slices.Contains(indexedColumns(), page.Column) {
			continue
		}
		nulls := int64(0)
		for i, row := range rows[page.Begin:page.End] {
			v := at(row, page.Column)
			if v == nil {
				nulls++
				continue
			}
			checked++
			if page.AllNull || !within(v, page.Min, page.Max) {
				t.Errorf("%s: row %d of %s is %.60q, outside of its page's bounds %q to %q", path, page.Begin+int64(i), page.Column, v, page.Min, page.Max)
				return
			}
		}
		if nulls != page.Nulls {
			t.Errorf("%s: %d nulls in a page of %s, its index says %d", path, nulls, page.Column, page.Nulls)
		}
	}
	if strings.Contains(path, "/events/") && (checked == 0 || !slices.Contains(unbounded, "raw_data")) {
		t.Errorf("%s: %d values checked, no bounds for %v", path, checked, unbounded)
	}
}

// indexedColumns are columns that queries select by.
func indexedColumns() []string {
	return []string{
		"time", "time_dt", "class_uid", "metadata.uid", "metadata.event_code", "user.uid", "user.email_addr", "actor.user.uid",
		"src_endpoint.ip", "raw_data", "message", "user_id", "user_name", "email_norm", "segment", "id", "reason", "person_key",
	}
}

func within(v, low, high any) bool {
	switch v := v.(type) {
	case string:
		l, ok := low.(string)
		h, _ := high.(string)
		return !ok || l <= v && v <= h // times print as text, and have numbers as bounds
	case int64:
		l, _ := low.(int64)
		h, _ := high.(int64)
		return l <= v && v <= h
	}
	return false
}

// drift holds what reconcile found against what was planted.
func (l *line) drift(t *testing.T, r report) {
	if len(r.Reconciled) != 1 || r.Reconciled[0].Summary.Linked == 0 {
		t.Fatalf("reconciled %+v", r.Reconciled)
	}
	if got, want := r.Reconciled[0].Summary.ByType, l.site.tenant.Drift(); !maps.Equal(got, toInt64(want)) {
		t.Errorf("drift %v, want %v", got, want)
	}
	n := harness.DuckDB(t, "SELECT count(*) AS n FROM "+l.table("drift", ""))[0]["n"]
	if n != r.Reconciled[0].Summary.Findings {
		t.Errorf("table drift has %v rows, the report %d findings", n, r.Reconciled[0].Summary.Findings)
	}
}

func toInt64(m map[string]int) map[string]int64 {
	out := map[string]int64{}
	for k, v := range m {
		out[k] = int64(v)
	}
	return out
}

// secrets looks for every planted secret in all that was written and said. What
// Parquet holds, of these tables, is read out by DuckDB.
func (l *line) secrets(t *testing.T, out harness.Run, tables ...string) {
	said := map[string][]byte{"stdout": []byte(out.Stdout), "stderr": []byte(out.Stderr)}
	for _, dir := range []string{l.place.lakeDir, l.place.rawDir, l.site.path("state")} {
		for name := range files(t, dir) {
			said[filepath.Join(dir, name)] = unpack(t, filepath.Join(dir, name))
		}
	}
	for _, table := range tables {
		for i, row := range harness.DuckDB(t, "SELECT to_json(t)::VARCHAR AS row FROM "+l.table(table, "")+" t") {
			said[fmt.Sprintf("%s row %d", table, i)] = []byte(text(row["row"]))
		}
	}
	for where, content := range said {
		for _, secret := range l.site.secrets {
			if bytes.Contains(content, []byte(secret)) {
				t.Errorf("a secret stands in %s", where)
			}
		}
	}
}

// again runs once more over the same input: nothing may change.
func (l *line) again(t *testing.T, config string) {
	before := l.objects(t)
	second, _ := l.site.run(t, l.place.env, config, 0)
	for _, s := range second.Sources {
		if s.Landed != 0 || s.Segments != 0 || s.Read != s.Repeated+s.Filtered {
			t.Errorf("%s: the second run read %d, landed %d as %d segments", s.Source, s.Read, s.Landed, s.Segments)
		}
	}
	wantSameObjects(t, before, l.objects(t))
}

// stateLost runs again without what the runs before remembered: it is read back
// from raw and the lake.
func (l *line) stateLost(t *testing.T, config string) {
	if err := os.RemoveAll(l.site.path("state")); err != nil {
		t.Fatal(err)
	}
	before := l.objects(t)
	r, _ := l.site.run(t, l.place.env, config, 0)
	wantDone(t, r)
	for _, s := range r.Sources {
		if s.Landed != 0 || s.Segments != 0 {
			t.Errorf("%s: landed %d as %d segments", s.Source, s.Landed, s.Segments)
		}
	}
	wantSameObjects(t, before, l.objects(t))
}

// objects are all objects of raw and lake, by name, with their hashes.
func (l *line) objects(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, dir := range []string{l.place.rawDir, l.place.lakeDir} {
		for name, hash := range files(t, dir) {
			all[filepath.Join(dir, name)] = hash
		}
	}
	return all
}

func wantSameObjects(t *testing.T, before, after map[string]string) {
	t.Helper()
	for name, hash := range after {
		if strings.HasSuffix(name, "/owner.json") {
			continue // a new state that finds the lake of a lost one takes it over
		}
		switch old, ok := before[name]; {
		case !ok:
			t.Errorf("%s is new", name)
		case old != hash:
			t.Errorf("%s has changed", name)
		}
	}
	for name := range before {
		if _, ok := after[name]; !ok {
			t.Errorf("%s is gone", name)
		}
	}
}

// files are the files below dir, with their hashes.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		hash := sha256.Sum256(content)
		all[filepath.ToSlash(name)] = hex.EncodeToString(hash[:])
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// grown runs after the input has grown by a log record that comes late and a
// trail file: what was there stays, and the accounts go on adding up.
func (l *line) grown(t *testing.T, config string) {
	logs := l.site.tenant.Logs()
	n := logs.Len() - 3 // behind the cursor, within the overlap
	late := bytes.ReplaceAll(logs.Log(n), []byte(logs.ID(n)), []byte(logs.ID(n)+"9"))
	l.site.auth0.Insert(late)
	odd := l.site.odd["live"]
	odd.ids = append(odd.ids, logIDs(t, [][]byte{late})...)
	l.site.odd["live"] = odd
	day := time.Now().UTC().Format("2006/01/02")
	l.site.write(t, "in/trail/AWSLogs/123456789012/CloudTrail/eu-west-1/"+day+"/grown.json.gz", [][]byte{[]byte(
		`{"Records":[{"eventID":"grown-1","eventTime":"` + time.Now().UTC().Format(time.RFC3339) + `","eventSource":"sts.amazonaws.com","eventName":"AssumeRole"}]}`)})
	l.place.addTrailFiles(t, l.site)
	before := l.objects(t)
	third, _ := l.site.run(t, l.place.env, config, 0)
	if got := third.source(t, "live").Landed + third.source(t, "trail").Landed; got != 2 {
		t.Errorf("landed %d records, want 2", got)
	}
	after := l.objects(t)
	for name, hash := range before {
		if after[name] != hash {
			t.Errorf("%s has changed or gone", name)
		}
	}
	l.ids(t)
	l.rows(t)
	lake := map[string]int64{}
	for _, row := range harness.DuckDB(t, l.counts()) {
		lake[text(row["source"])], _ = row["events"].(int64)
	}
	for name, first := range l.total {
		added := third.source(t, name).Sinks[0].Events
		if first.Sinks[0].Events+added != lake[name] {
			t.Errorf("%s: %d events and %d more, the lake has %d", name, first.Sinks[0].Events, added, lake[name])
		}
	}
}

// TestPages reads a day that takes several row groups and pages by the index of
// its pages, and by equality in DuckDB.
func TestPages(t *testing.T) {
	t.Parallel()
	s := &site{dir: t.TempDir()}
	tenant := fake.NewTenant(fake.TenantOptions{Logs: 12_000, Days: 1, End: time.Now().UTC().Truncate(24 * time.Hour).Add(-time.Second)})
	lines, _ := logLines(tenant.Logs())
	s.write(t, "in/logs.ndjson.gz", lines)
	s.writeFile(t, "idtrail.yaml", []byte(`
state: ./state
lake: ./lake
sources: [{name: logs, kind: archive, format: auth0_logs, path: ./in}]
`))
	s.run(t, nil, s.path("idtrail.yaml"), 0)
	names, err := filepath.Glob(s.path("lake/events/source=logs/dt=*/*.parquet"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no files: %v", err)
	}
	most := 0
	for _, name := range names {
		rows := harness.ReadParquet(t, name).Rows
		wantPages(t, name, rows)
		pages, _ := harness.Pages(t, name)
		most = max(most, len(slices.DeleteFunc(pages, func(p harness.Page) bool { return p.Column != "metadata.uid" })))
		for i := 0; i < len(rows); i += len(rows)/3 + 1 {
			wantFound(t, name, rows[i])
		}
	}
	if most < 4 {
		t.Errorf("ids of a file take %d pages, which proves little", most)
	}
}

// wantFound finds a row by each of the columns that name it alone.
func wantFound(t *testing.T, path string, row map[string]any) {
	t.Helper()
	var parts []string
	for _, column := range []string{"metadata.uid", "raw_data"} {
		parts = append(parts, "SELECT count(*) AS n FROM read_parquet("+harness.Quote(path)+") WHERE "+column+" = "+harness.Quote(text(at(row, column))))
	}
	for i, found := range harness.DuckDB(t, strings.Join(parts, " UNION ALL ")) {
		if n, _ := found["n"].(int64); n < 1 || i == 0 && n != 1 {
			t.Errorf("%s: equality on column %d finds %d rows of %v", path, i, n, at(row, "metadata.uid"))
		}
	}
}

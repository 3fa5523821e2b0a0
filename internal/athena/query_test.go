package athena_test

import (
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/idtrail/idtrail/internal/athena"
	"github.com/idtrail/idtrail/schema"
)

func views(d schema.Dialect) schema.ViewOptions {
	o := schema.ViewOptions{Dialect: d}
	if d == schema.DialectAthena {
		o.Database = "audit"
	}
	return o
}

// TestQueries: each says what it is, within what Athena takes, and is one
// statement that reads tables and views of the lake alone.
func TestQueries(t *testing.T) {
	queries := athena.Queries()
	if len(queries) < 15 {
		t.Fatalf("got %d queries", len(queries))
	}
	from := regexp.MustCompile(`(?:FROM|JOIN) ("[a-z]+"\."[a-z_]+"|[a-z_]+)`)
	with := regexp.MustCompile(`(?:WITH|\)?,) ([a-z]+) AS \(`)
	known := map[string]bool{}
	for _, s := range options().Statements(nil) {
		known[`"audit"."`+s.Name+`"`] = true
	}
	for _, q := range queries {
		sql, err := q.SQL(views(schema.DialectAthena), nil)
		if err != nil {
			t.Fatal(err)
		}
		if q.Title == "" || q.Shows == "" || len(q.Title)+len(q.Shows) > 1000 || len(sql) > 262_144 {
			t.Errorf("%s: head %q, %q; %d bytes", q.Name, q.Title, q.Shows, len(sql))
		}
		if !strings.HasPrefix(sql, "-- "+q.Title+"\n-- "+q.Shows+"\n") {
			t.Errorf("%s does not say what it is:\n%s", q.Name, sql)
		}
		if strings.Contains(sql, "<no value>") || strings.Contains(sql, ";") && !strings.Contains(q.Shows, ";") {
			t.Errorf("%s is no statement:\n%s", q.Name, sql)
		}
		names := map[string]bool{}
		for _, m := range with.FindAllStringSubmatch(sql, -1) {
			names[m[1]] = true
		}
		for _, m := range from.FindAllStringSubmatch(strings.ReplaceAll(sql[len(q.Title)+len(q.Shows):], "IS DISTINCT FROM", ""), -1) {
			if !known[m[1]] && !names[m[1]] {
				t.Errorf("%s reads %s", q.Name, m[1])
			}
		}
		for _, p := range q.Parameters {
			if !strings.Contains(sql, "-- "+p.Name+" = "+p.Default+": "+p.Meaning+"\n") {
				t.Errorf("%s does not say what %s is", q.Name, p.Name)
			}
		}
	}
}

// TestQueriesAreOne: but for the words of the dialects, what tests see in DuckDB
// is what Athena is given.
func TestQueriesAreOne(t *testing.T) {
	same := strings.NewReplacer(
		`"audit".`, "",
		"date_format(", "strftime(",
		"regexp_like(", "regexp_matches(",
		"array_join(array_sort(array_agg(DISTINCT ", "array_to_string(list_sort(list(DISTINCT ",
		"array_join(", "array_to_string(",
		"CAST(current_timestamp AS timestamp(3))", "current_timestamp",
	)
	for _, q := range athena.Queries() {
		a, errA := q.SQL(views(schema.DialectAthena), nil)
		d, errD := q.SQL(views(schema.DialectDuckDB), nil)
		if err := errors.Join(errA, errD); err != nil {
			t.Fatal(err)
		}
		if got := same.Replace(a); got != d {
			t.Errorf("%s differs:\n%s\n%s", q.Name, got, d)
		}
	}
}

func TestParameters(t *testing.T) {
	named := map[string]athena.Query{}
	for _, q := range athena.Queries() {
		named[q.Name] = q
	}
	for name, tt := range map[string]struct {
		query string
		set   map[string]string
		want  string // in the text; "" for [athena.ErrSetting]
	}{
		"a number":       {"password_spray", map[string]string{"users": "7"}, ">= 7\n"},
		"no number":      {"password_spray", map[string]string{"users": "7 OR true"}, ""},
		"less than none": {"password_spray", map[string]string{"days": "-1"}, ""},
		"too many":       {"password_spray", map[string]string{"days": "100001"}, ""},
		"unknown":        {"password_spray", map[string]string{"user": "7"}, ""},
		"a text":         {"person_timeline", map[string]string{"user": "o'brien"}, "lower('o''brien')"},
		"no text":        {"person_timeline", map[string]string{"user": ""}, ""},
		"two lines":      {"person_timeline", map[string]string{"user": "x\nDROP TABLE events"}, ""},
		"a template":     {"person_timeline", map[string]string{"user": "{{.days}}"}, "lower('{{.days}}')"},
		"a long text":    {"person_timeline", map[string]string{"user": strings.Repeat("x", 501)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := named[tt.query].SQL(views(schema.DialectAthena), tt.set)
			if tt.want == "" {
				if !errors.Is(err, athena.ErrSetting) {
					t.Errorf("got %v, want %v", err, athena.ErrSetting)
				}
				return
			}
			if err != nil || !strings.Contains(got, tt.want) {
				t.Errorf("got %v and\n%s\nwant %s in it", err, got, tt.want)
			}
		})
	}
}

func TestStatements(t *testing.T) {
	o := options()
	all := o.Statements(nil)
	last := ""
	for _, s := range all {
		if last == athena.KindView && s.Kind == athena.KindTable {
			t.Errorf("table %s comes behind views", s.Name)
		}
		last = s.Kind
		if s.Name == "snapshots" && !strings.Contains(s.SQL, "'projection.source.values' = 'users'") {
			t.Errorf("snapshots are of sources that have some: got\n%s", s.SQL)
		}
		if s.Name == "gaps" && !strings.Contains(s.SQL, "'projection.source.values' = 'logs,users'") {
			t.Errorf("gaps are of all sources: got\n%s", s.SQL)
		}
		if s.Kind == athena.KindTable && !strings.Contains(s.SQL, "'idtrail.version' = 'v1.2.3'") {
			t.Errorf("%s is not marked:\n%s", s.Name, s.SQL)
		}
	}
	if want := len(o.Tables) + len(schema.Views(views(schema.DialectAthena))); len(all) != want {
		t.Errorf("got %d statements, want %d", len(all), want)
	}
	// Where no source is known to have any, all are: else no query without one
	// would run.
	o.Sources = o.Sources[:1]
	for _, s := range o.Statements(nil) {
		if s.Name == "users" && !strings.Contains(s.SQL, "'projection.source.values' = 'logs'") {
			t.Errorf("users: got\n%s", s.SQL)
		}
	}
	o.Dialect = schema.DialectDuckDB
	for _, s := range o.Statements(func(table string) bool { return table == "events" }) {
		if s.Kind == athena.KindTable && strings.Contains(s.SQL, "read_parquet") != (s.Name == "events") {
			t.Errorf("%s: got %s", s.Name, s.SQL)
		}
	}
}

// TestDocumented: docs/QUERIES.md says of each query what it says of itself.
func TestDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/QUERIES.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range athena.Queries() {
		var parameters []string
		for _, p := range q.Parameters {
			parameters = append(parameters, "`"+p.Name+"` = "+strings.ReplaceAll(p.Default, "|", `\|`))
		}
		row := "| `" + q.Name + "` | " + strings.Join(parameters, ", ") + " | **" + q.Title + ".** " + q.Shows + " |\n"
		if !strings.Contains(string(text), row) {
			t.Errorf("docs/QUERIES.md lacks\n%s", row)
		}
	}
}

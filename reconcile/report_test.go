package reconcile_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"iter"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"github.com/idtrail/idtrail/reconcile"
	"github.com/idtrail/idtrail/schema"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func rowsOf(list ...reconcile.Drift) iter.Seq2[reconcile.Drift, error] {
	return func(yield func(reconcile.Drift, error) bool) {
		for _, d := range list {
			if !yield(d, nil) {
				return
			}
		}
	}
}

// writers are all reports, by the name of their golden file.
func writers() map[string]func(io.Writer, reconcile.Summary, iter.Seq2[reconcile.Drift, error]) error {
	type rows = iter.Seq2[reconcile.Drift, error]
	return map[string]func(io.Writer, reconcile.Summary, rows) error{
		"drift.csv":  func(w io.Writer, _ reconcile.Summary, r rows) error { return reconcile.WriteCSV(w, r) },
		"drift.json": reconcile.WriteJSON,
		"drift.txt": func(w io.Writer, s reconcile.Summary, r rows) error {
			return reconcile.WriteTable(w, s, r, reconcile.TableOptions{Width: 120, Rows: 2})
		},
		"drift.html": func(w io.Writer, s reconcile.Summary, r rows) error {
			return reconcile.WriteHTML(w, s, r, reconcile.HTMLOptions{Rows: 2})
		},
	}
}

// everything is a comparison with a finding of every type, odd text among them.
func everything(t *testing.T) *reconcile.Result {
	t.Helper()
	odd := func(u *schema.User) {
		u.GivenName, u.FamilyName = "=HYPERLINK(\"http://x.io\",\"Ada\")", "a\u202egnol \x1b[2J, \"王小明\"\r\nline"
	}
	left := []schema.User{
		auth0("auth0|01", email("ada@x.io", true), odd), auth0("auth0|02", linkID("s02"), status(schema.UserDisabled), mfa(true)),
		auth0("auth0|03", linkID("s03"), roles("admin", "staff")), auth0("auth0|04", email("eve@x.io", true)),
		auth0("auth0|05", phone("+49301", true)), auth0("auth0|06", linkID("s05")),
		auth0("auth0|07"), auth0("auth0|08", named("王小明")), auth0("auth0|09", named("<script>alert(1)</script>")),
	}
	right := []schema.User{
		cognito("s01", email("ada@x.io", true)), cognito("s02", mfa(false)), cognito("s03", groups("staff")),
		cognito("s04", email("eve@x.io", false)), cognito("s05", phone("+49301", true)),
		cognito("s06", phone("+49302", true)), cognito("s07", phone("+49302", true)),
	}
	l, r := side("acme", left...), side("pool", right...)
	l.Snapshot.Counts = map[string]int64{"users": 10}
	return compare(t, l, r, reconcile.Options{Now: func() time.Time { return begin.Add(90 * time.Minute) }})
}

func TestGolden(t *testing.T) {
	res := everything(t)
	for _, typ := range reconcile.Types() {
		if res.Summary.ByType[typ] == 0 {
			t.Errorf("no finding of type %s", typ)
		}
	}
	for name, write := range writers() {
		var got bytes.Buffer
		if err := write(&got, res.Summary, res.Rows()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		path := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(path, got.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestEmptyReport(t *testing.T) {
	res := compare(t, side("acme"), side("pool"), reconcile.Options{})
	for name, write := range writers() {
		var got bytes.Buffer
		if err := write(&got, res.Summary, res.Rows()); err != nil || got.Len() == 0 {
			t.Errorf("%s: %d bytes, %v", name, got.Len(), err)
		}
		checkReport(t, name, got.Bytes(), 0)
	}
}

var errDisk = errors.New("no space left")

// fullDisk takes n bytes.
type fullDisk struct{ n int }

func (w *fullDisk) Write(p []byte) (int, error) {
	if w.n -= len(p); w.n < 0 {
		return 0, errDisk
	}
	return len(p), nil
}

func TestWriterErrors(t *testing.T) {
	long := make([]reconcile.Drift, 500)
	for i := range long {
		long[i] = reconcile.Drift{Type: reconcile.Attribute, LeftID: id("auth0|", i), LeftValue: strings.Repeat("x", 100)}
	}
	for name, write := range writers() {
		for _, n := range []int{0, 5000} {
			rows := rowsOf(long...)
			if name == "drift.txt" || name == "drift.html" {
				n = 0 // they are short
			}
			if err := write(&fullDisk{n}, reconcile.Summary{}, rows); !errors.Is(err, errDisk) {
				t.Errorf("%s, disk of %d bytes: got %v, want %v", name, n, err, errDisk)
			}
		}
		broken := func(yield func(reconcile.Drift, error) bool) { yield(reconcile.Drift{}, errRead) }
		if err := write(io.Discard, reconcile.Summary{}, broken); !errors.Is(err, errRead) {
			t.Errorf("%s, rows that cannot be read: got %v, want %v", name, err, errRead)
		}
	}
}

func TestCSVValues(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"plain", "plain"},
		{"", ""},
		{"=1+1", "'=1+1"},
		{"+4930", "'+4930"},
		{"-2", "'-2"},
		{"@SUM(A1)", "'@SUM(A1)"},
		{"\tx", "'\tx"},
		{"\rx", "'\rx"},
		{"\n=x", "'\n=x"},
		{"  =1", "'  =1"},
		{"\ufeff=1", "'\ufeff=1"},
		{"＝1", "'＝1"},
		{"a=1", "a=1"},
		{"a,b\"c\"", "a,b\"c\""},
		{"a\r\nb", "a\nb"}, // encoding/csv reads it so
		{"bad \xff\x00 utf-8", "bad �� utf-8"},
	} {
		var b bytes.Buffer
		if err := reconcile.WriteCSV(&b, rowsOf(reconcile.Drift{LeftValue: c.in, Detail: "end"})); err != nil {
			t.Fatal(err)
		}
		records, err := csv.NewReader(&b).ReadAll()
		if err != nil {
			t.Fatalf("%q: %v", c.in, err)
		}
		if got := records[1][15]; got != c.want || records[1][17] != "end" {
			t.Errorf("%q: got %q, want %q", c.in, got, c.want)
		}
	}
}

func TestVisible(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"plain", "plain"},
		{"王小明 é", "王小明 é"},
		{"\x1b[31mred\x07", `\x1b[31mred\a`},
		{"a\nb\tc\r", `a\nb\tc\r`},
		{"\u202eevil\u2066", `\u202eevil\u2066`},
		{"zero\u200bwidth\ufeff", `zero\u200bwidth\ufeff`},
		{"no\u00a0break", `no\u00a0break`},
		{"\xffbad", `\xffbad`},
		{"e\u0301", "e\u0301"},
		{"\u0301e", `\u0301e`},
		{"z" + strings.Repeat("\u0300", 4), "z\u0300\u0300" + `\u0300\u0300`},
		{"\u3164", `\u3164`},
		{"\U000e0041", `\U000e0041`},
		{"\u009b2J", `\u009b2J`},
	} {
		if got := reconcile.Visible(c.in); got != c.want {
			t.Errorf("%q: got %s, want %s", c.in, got, c.want)
		}
	}
}

func TestFit(t *testing.T) {
	for _, c := range []struct {
		in   string
		n    int
		want string
	}{
		{"abc", 5, "abc  "},
		{"abcdef", 4, "abc…"},
		{"王小明", 6, "王小明"},
		{"王小明", 5, "王小…"},
		{"王小明", 4, "王… "},
		{"e\u0301e\u0301e\u0301", 2, "e\u0301…"},
		{"abc", 1, "…"},
	} {
		if got := reconcile.Fit(c.in, c.n); got != c.want || reconcile.ColumnsOf(got) != c.n {
			t.Errorf("%q to %d: got %q (%d columns), want %q", c.in, c.n, got, reconcile.ColumnsOf(got), c.want)
		}
	}
}

func TestTableRows(t *testing.T) {
	var list []reconcile.Drift
	for i := range 450 {
		list = append(list, reconcile.Drift{Type: reconcile.MissingLeft, RightID: id("s", i)})
	}
	sum := reconcile.Summary{ByType: map[reconcile.Type]int64{reconcile.MissingLeft: 450}}
	for _, c := range []struct {
		rows, lines int
		more        bool
	}{{0, 20, true}, {300, 300, true}, {-1, 450, false}} {
		var b bytes.Buffer
		if err := reconcile.WriteTable(&b, sum, rowsOf(list...), reconcile.TableOptions{Rows: c.rows}); err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(b.String(), "s000"); got != c.lines || strings.Contains(b.String(), " more\n") != c.more {
			t.Errorf("rows %d: got %d, want %d:\n%s", c.rows, got, c.lines, b.String()[max(0, b.Len()-200):])
		}
	}
}

// checkReport holds for every report, whatever the rows say.
func checkReport(t *testing.T, name string, got []byte, rows int) {
	t.Helper()
	switch name {
	case "drift.csv":
		checkCSV(t, got, rows)
	case "drift.json":
		var doc struct {
			Summary reconcile.Summary
			Rows    []reconcile.Drift
		}
		if err := json.Unmarshal(got, &doc); err != nil || len(doc.Rows) != rows {
			t.Errorf("JSON: %d rows, want %d, %v", len(doc.Rows), rows, err)
		}
	case "drift.txt":
		for line := range strings.Lines(string(got)) {
			if i := strings.IndexFunc(strings.TrimSuffix(line, "\n"), unprintable); i >= 0 || !utf8.ValidString(line) {
				t.Errorf("terminal would obey %q", line)
			}
		}
	case "drift.html":
		checkHTML(t, got)
	}
}

func unprintable(r rune) bool { return !unicode.IsGraphic(r) }

func checkCSV(t *testing.T, got []byte, rows int) {
	t.Helper()
	if bytes.Contains(got, []byte("\x00")) || !utf8.Valid(got) || !bytes.HasSuffix(got, []byte("\r\n")) {
		t.Errorf("CSV is no clean text: %q", got)
	}
	records, err := csv.NewReader(bytes.NewReader(got)).ReadAll()
	if err != nil || len(records) != rows+1 {
		t.Errorf("CSV: %d records, want %d, %v", len(records), rows+1, err)
	}
	for _, rec := range records {
		for _, v := range rec {
			if v != "" && strings.ContainsRune("=+-@\t\r\n", rune(strings.TrimLeft(v+"x", " ")[0])) {
				t.Errorf("CSV value %q is a formula", v)
			}
		}
	}
}

var allowedTags = map[string]bool{
	"html": true, "head": true, "meta": true, "title": true, "style": true, "body": true, "header": true, "h1": true,
	"h2": true, "b": true, "p": true, "dl": true, "dt": true, "dd": true, "fieldset": true, "legend": true, "label": true,
	"input": true, "main": true, "section": true, "table": true, "thead": true, "tbody": true, "tr": true, "th": true, "td": true,
}

var allowedAttrs = regexp.MustCompile(`^(lang|charset|name|content|http-equiv|class|role|type|id|checked|scope|data-(type|title))$`)

// checkHTML: no value has become markup, and the style is the one the policy
// lets in.
func checkHTML(t *testing.T, got []byte) {
	t.Helper()
	z := html.NewTokenizer(bytes.NewReader(got))
	style, policy := false, ""
	for z.Next() != html.ErrorToken {
		tok := z.Token()
		switch tok.Type {
		case html.StartTagToken, html.SelfClosingTagToken:
			style = tok.Data == "style"
			if !allowedTags[tok.Data] {
				t.Errorf("HTML has an element %s", tok)
			}
			for _, a := range tok.Attr {
				if a.Key == "content" && strings.Contains(a.Val, "default-src 'none'") {
					policy = a.Val
				}
				if !allowedAttrs.MatchString(a.Key) {
					t.Errorf("HTML has an attribute %s", tok)
				}
			}
		case html.TextToken:
			hash := sha256.Sum256([]byte(tok.Data))
			want := "style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'"
			if style && !strings.Contains(policy, want) {
				t.Errorf("policy %s does not let the style in: want %s", policy, want)
			}
			style = false
		case html.CommentToken:
			t.Errorf("HTML has a comment %s", tok)
		case html.ErrorToken, html.EndTagToken, html.DoctypeToken:
		}
	}
	if !errors.Is(z.Err(), io.EOF) {
		t.Errorf("HTML: %v", z.Err())
	}
}

func FuzzReports(f *testing.F) {
	f.Add("attribute", "=1+1", "<script>alert(1)</script>", "\x1b[2J\u202e")
	f.Add("missing_left", "\"><img src=x onerror=alert(1)>", "a,\"b\"\r\n", "\xff\x00")
	f.Add("", "</style>", "{{.}}", "'; DROP")
	f.Add("duplicate", "\u200b+1", "王小明", strings.Repeat("\u0301", 9))
	f.Fuzz(func(t *testing.T, typ, a, b, c string) {
		sum := reconcile.Summary{
			Left: reconcile.SideSummary{Source: a}, Right: reconcile.SideSummary{Source: b}, Warnings: []string{c},
			ByType: map[reconcile.Type]int64{reconcile.Type(typ): 2},
		}
		d := reconcile.Drift{
			Type: reconcile.Type(typ), Severity: reconcile.Severity(c), LeftSource: a, LeftID: a, LeftName: b, RightID: c, RightName: a,
			PersonKey: b, Rule: reconcile.Rule(b), Field: c, LeftValue: b, RightValue: c, Detail: a,
		}
		for name, write := range writers() {
			var got bytes.Buffer
			if err := write(&got, sum, rowsOf(d, d)); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			checkReport(t, name, got.Bytes(), 2)
		}
	})
}

package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/idtrail/idtrail/schema"
)

// errIncomplete says that something about a column is not known.
var errIncomplete = errors.New("the column is not described")

// kindNames are how records of a kind are called in the document.
var kindNames = map[schema.Kind]string{
	schema.KindAuth0Log: "Auth0", schema.KindAuth0User: "Auth0",
	schema.KindCloudTrail: "CloudTrail", schema.KindCognitoUser: "Cognito",
	schema.KindCognitoAuthEvent: "Cognito",
}

// columnTable is the table of a table's columns.
func columnTable(table string, c comments, t *trace) (string, error) {
	row, ok := rowTypes[table]
	if !ok {
		return "", fmt.Errorf("table %s: %w", table, errIncomplete)
	}
	var b strings.Builder
	b.WriteString("| column | type | means | from | for example |\n| --- | --- | --- | --- | --- |\n")
	for _, col := range columnsOf(row) {
		meaning, err := c.meaning(col.in, col.field)
		if err != nil {
			return "", err
		}
		from := t.source(table, col.path)
		if from == "" {
			return "", fmt.Errorf("%s.%s: %w", table, col.path, errIncomplete)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", code(col.path), sqlText(col), cell(meaning), from, example(t.examples[table][col.path]))
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

func sqlText(c column) string {
	if c.optional {
		return code(c.sqlType)
	}
	return code(c.sqlType) + ", always"
}

// source is what a column is filled from, a line for each kind of record.
func (t *trace) source(table, path string) string {
	if own := ownSources[table][path]; own != "" {
		return own
	}
	var lines []string
	for _, kind := range kinds[table] {
		constant, filled := t.constant[kind][path]
		if !filled {
			continue
		}
		text := ""
		switch {
		case len(t.takes[kind][path]) > 0:
			text = list(t.takes[kind][path], maxFields)
		case len(t.alters[kind][path]) > 0:
			text = "by " + list(t.alters[kind][path], 2)
		case constant != "":
			text = "always " + code(constant)
		default:
			continue
		}
		lines = append(lines, kindNames[kind]+": "+text)
	}
	if len(lines) == 0 && len(kinds[table]) > 0 {
		return "nothing yet"
	}
	return strings.Join(lines, "<br>")
}

// maxFields are shown of a column that takes more.
const maxFields = 4

// list names the fields, those first that serve most records.
func list(support map[string]int, limit int) string {
	support = gather(support, limit)
	names := slices.SortedFunc(maps.Keys(support), func(a, b string) int {
		return cmp.Or(cmp.Compare(support[b], support[a]), cmp.Compare(a, b))
	})
	more := ""
	if len(names) > limit {
		names, more = names[:limit], ", …"
	}
	for i, name := range names {
		names[i] = code(name)
	}
	return strings.Join(names, ", ") + more
}

// gather names the object instead of its members, where there are too many.
func gather(support map[string]int, limit int) map[string]int {
	depth := 0
	for name := range support {
		depth = max(depth, strings.Count(name, "."))
	}
	for ; depth > 0 && len(support) > limit; depth-- {
		members := map[string]int{}
		for name := range support {
			members[parent(name, depth)]++
		}
		fewer := map[string]int{}
		for name, n := range support {
			if p := parent(name, depth); members[p] > 2 {
				name = p + ".*"
			}
			fewer[name] = max(fewer[name], n)
		}
		support = fewer
	}
	return support
}

// parent is what the name begins with, up to its dot of that number.
func parent(name string, dot int) string {
	parts := strings.Split(name, ".")
	return strings.Join(parts[:min(dot, len(parts))], ".")
}

const maxExample = 48

func example(s string) string {
	if s == "" {
		return ""
	}
	if utf8.RuneCountInString(s) > maxExample {
		s = string([]rune(s)[:maxExample]) + "…"
	}
	return code(s)
}

// code is text in the type of code, in a cell of a table.
func code(s string) string {
	fence := "`"
	if strings.Contains(s, "`") {
		fence = "``"
	}
	return fence + strings.ReplaceAll(s, "|", `\|`) + fence
}

// cell is text in a cell of a table.
func cell(s string) string { return strings.NewReplacer("|", `\|`, "<", "&lt;").Replace(s) }

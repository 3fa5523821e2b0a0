package athena

import (
	"embed"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"unicode"

	"github.com/idtrail/idtrail/schema"
)

//go:embed queries/*.sql
var queryFiles embed.FS

// ErrSetting says that a parameter was given a name or a value it cannot have.
var ErrSetting = errors.New("wrong parameter")

// Query is an audit query.
type Query struct {
	// Name is that of its file: lower-case letters and _.
	Name string `json:"name"`
	// Title and Shows are for people: a few words, and what a row means.
	Title      string      `json:"title"`
	Shows      string      `json:"shows"`
	Parameters []Parameter `json:"parameters,omitempty"`

	text string
}

// Parameter is a value of a query that may be set.
type Parameter struct {
	Name    string `json:"name"`
	Default string `json:"default"`
	Meaning string `json:"meaning"`
}

// Queries returns the library, by name.
func Queries() []Query {
	files, err := queryFiles.ReadDir("queries")
	if err != nil {
		panic(fmt.Sprintf("athena: %v", err)) // they are part of the program
	}
	queries := make([]Query, len(files))
	for i, f := range files {
		text, err := queryFiles.ReadFile(path.Join("queries", f.Name()))
		if err != nil {
			panic(fmt.Sprintf("athena: %v", err))
		}
		queries[i] = parse(strings.TrimSuffix(f.Name(), ".sql"), string(text))
	}
	return queries
}

// parse reads the head of a query's file: comments that say what it is.
func parse(name, text string) Query {
	q := Query{Name: name}
	for {
		line, rest, _ := strings.Cut(text, "\n")
		key, value, ok := strings.Cut(strings.TrimPrefix(line, "-- "), ": ")
		if !ok || !strings.HasPrefix(line, "-- ") {
			break
		}
		switch key {
		case "title":
			q.Title = value
		case "shows":
			q.Shows = value
		case "parameter":
			q.Parameters = append(q.Parameters, parseParameter(name, value))
		default:
			panic(fmt.Sprintf("athena: query %s has a head %q", name, key))
		}
		text = rest
	}
	q.text = strings.TrimSpace(text)
	return q
}

// parseParameter reads "days = 30 : how far back".
func parseParameter(query, line string) Parameter {
	name, rest, ok := strings.Cut(line, " = ")
	value, meaning, ok2 := strings.Cut(rest, " : ")
	if !ok || !ok2 {
		panic(fmt.Sprintf("athena: query %s has a parameter %q", query, line))
	}
	return Parameter{Name: name, Default: value, Meaning: meaning}
}

// maxNumber bounds numbers: of days, about the age of the calendar we use.
const maxNumber = 100_000

// value is what the template gets: a number where the default is one.
func (p Parameter) value(text string) (any, error) {
	if _, err := strconv.Atoi(p.Default); err == nil {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > maxNumber {
			return nil, fmt.Errorf("%w: %s is a number from 0 to %d", ErrSetting, p.Name, maxNumber)
		}
		return n, nil
	}
	if text == "" || len(text) > 500 || strings.ContainsFunc(text, unicode.IsControl) {
		return nil, fmt.Errorf("%w: %s is a text of one line, up to 500 bytes", ErrSetting, p.Name)
	}
	return text, nil
}

// SQL is the query, with what set says in the place of defaults. [ErrSetting].
func (q Query) SQL(o schema.ViewOptions, set map[string]string) (string, error) {
	data := map[string]any{}
	var b strings.Builder
	fmt.Fprintf(&b, "-- %s\n-- %s\n", q.Title, q.Shows)
	for _, p := range q.Parameters {
		text, ok := set[p.Name]
		if !ok {
			text = p.Default
		}
		value, err := p.value(text)
		if err != nil {
			return "", fmt.Errorf("query %s: %w", q.Name, err)
		}
		data[p.Name] = value
		fmt.Fprintf(&b, "-- %s = %s: %s\n", p.Name, text, p.Meaning)
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if _, ok := data[name]; !ok {
			return "", fmt.Errorf("query %s: %w: it has no %s", q.Name, ErrSetting, name)
		}
	}
	t := template.Must(template.New(q.Name).Option("missingkey=error").Funcs(o.Funcs()).Parse(q.text))
	if err := t.Execute(&b, data); err != nil {
		panic(fmt.Sprintf("athena: query %s: %v", q.Name, err)) // it is part of the program
	}
	return b.String(), nil
}

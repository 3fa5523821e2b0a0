package ocsftest

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// classesJSON is OCSF's; NOTICE says whose and what was left out.
//
//go:embed classes.json
var classesJSON []byte

type definitions struct {
	Version string                `json:"ocsf_version"`
	Types   map[string]*valueType `json:"types"`
	Classes map[string]*object    `json:"classes"`
	Objects map[string]*object    `json:"objects"`
}

// object is a class or an object: both are attributes and what holds among them.
type object struct {
	Profiles    []string              `json:"profiles"`
	Constraints map[string][]string   `json:"constraints"`
	Attributes  map[string]*attribute `json:"attributes"`
}

type attribute struct {
	Type       string            `json:"type"`
	Object     string            `json:"object"`
	Array      bool              `json:"array"`
	Req        string            `json:"req"`
	Enum       map[string]string `json:"enum"`
	Sibling    string            `json:"sibling"`
	Profiles   []string          `json:"profiles"`
	Deprecated string            `json:"deprecated"`
}

type valueType struct {
	Base   string   `json:"base"`
	Regex  string   `json:"regex"`
	MaxLen int      `json:"max_len"`
	Range  [2]int64 `json:"range"`

	pattern *regexp.Regexp
}

var loadDefinitions = sync.OnceValues(func() (*definitions, error) {
	var d definitions
	if err := json.Unmarshal(classesJSON, &d); err != nil {
		return nil, fmt.Errorf("decode classes.json: %w", err)
	}
	for name, t := range d.Types {
		if t.Regex == "" {
			continue
		}
		var err error
		if t.pattern, err = regexp.Compile(t.Regex); err != nil {
			return nil, fmt.Errorf("compile pattern of %s: %w", name, err)
		}
	}
	return &d, nil
})

// typeFault says why v is no value of the named type, "" when it is one.
func (d *definitions) typeFault(name, path string, v any) string {
	t := d.Types[name]
	if t == nil {
		return "has the unknown type " + name
	}
	switch base(name, t) {
	case "json_t":
		return emptyFault(v)
	case "boolean_t":
		if _, ok := v.(bool); !ok {
			return fmt.Sprintf("is %T, not a boolean", v)
		}
	case "integer_t", "long_t":
		return integerFault(name, t, v)
	case "float_t":
		if _, ok := v.(json.Number); !ok {
			return fmt.Sprintf("is %T, not a number", v)
		}
	default:
		return stringFault(path, t, v)
	}
	return ""
}

func base(name string, t *valueType) string {
	if t.Base != "" {
		return t.Base
	}
	return name
}

func emptyFault(v any) string {
	if v == nil || v == "" {
		return "is empty: it should be left out"
	}
	return ""
}

func integerFault(name string, t *valueType, v any) string {
	n, ok := integer(v)
	switch {
	case !ok:
		return fmt.Sprintf("is %v, not an integer", v)
	case t.Range != [2]int64{} && (n < t.Range[0] || n > t.Range[1]):
		return fmt.Sprintf("is %d, out of range", n)
	case name == "integer_t" && n != int64(int32(n)):
		return fmt.Sprintf("is %d, out of 32 bits", n)
	}
	return ""
}

// maxString is OCSF's limit of every string.
const maxString = 65535

func stringFault(path string, t *valueType, v any) string {
	s, ok := v.(string)
	limit := maxString
	if t.MaxLen > 0 {
		limit = t.MaxLen
	}
	switch {
	case !ok:
		return fmt.Sprintf("is %T, not a string", v)
	case s == "":
		return "is empty: it should be left out"
	case !utf8.ValidString(s):
		return "is no UTF-8"
	case t.pattern != nil && !t.pattern.MatchString(s):
		return fmt.Sprintf("%q does not match its type's pattern", s)
	// The record is kept whole: a CloudTrail event may have 256 KiB.
	case utf8.RuneCountInString(s) > limit && path != "raw_data":
		return fmt.Sprintf("is longer than %d characters", limit)
	}
	return ""
}

func integer(v any) (int64, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	i, err := strconv.ParseInt(string(n), 10, 64)
	return i, err == nil
}

// parseMillis reads a datetime_t; one without a zone counts as UTC.
func parseMillis(text string) (int64, error) {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t, err = time.Parse("2006-01-02T15:04:05.999999999", text)
	}
	if err != nil {
		return 0, fmt.Errorf("parse time: %w", err)
	}
	return t.UnixMilli(), nil
}

// lookup returns all values the dotted path leads to; arrays count as each of
// their elements.
func lookup(v any, path string) []any {
	if list, ok := v.([]any); ok {
		var found []any
		for _, e := range list {
			found = append(found, lookup(e, path)...)
		}
		return found
	}
	if path == "" {
		return []any{v}
	}
	name, rest, _ := strings.Cut(path, ".")
	m, _ := v.(map[string]any)
	next, ok := m[strings.TrimSuffix(name, "[]")]
	if !ok {
		return nil
	}
	return lookup(next, rest)
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}

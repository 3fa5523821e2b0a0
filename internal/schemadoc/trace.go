package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/transform"
)

// Where a column comes from is found by trying: each field of each record of
// transform/testdata is changed, the record is mapped again, and the columns in
// which the change shows are those that take the field. Columns in which no
// field shows, as those of classes and severities, are decided by the fields
// that alter them.

// kinds are those of records that are mapped, by table, in the order they are
// shown.
var kinds = map[string][]schema.Kind{
	"events": {schema.KindAuth0Log, schema.KindCloudTrail, schema.KindCognitoAuthEvent},
	"users":  {schema.KindAuth0User, schema.KindCognitoUser},
}

// broken begin the names of records that no vendor would write: their fields are
// of the wrong types, or cut off.
var broken = []string{"array", "date_", "invalid", "neither", "no_", "odd_", "reject", "secrets_", "trap_", "truncated"}

// shown are the records that examples are taken from before all others.
var shown = []string{"login", "sapi_role_permissions", "sapi_create_user", "console_login", "sign_in", "with_memberships", "wrapped", "list_users"}

// landed is when the records were landed.
var landed = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// mapper has each of its settings set, so that each can show.
var mapper = &transform.Mapper{
	PhoneRegion:   "DE",
	Attributes:    []string{"custom:department", "custom:tenant", "app_metadata.department", "user_metadata.theme"},
	LinkAttribute: "custom:auth0_sub",
}

// trace is what mapping the records has shown.
type trace struct {
	// takes and alters count, by kind, column and field, the records in which the
	// column takes the field, or is altered by it.
	takes, alters map[schema.Kind]map[string]map[string]int
	// constant is what a column of a kind has in every record; "" is no one value.
	constant map[schema.Kind]map[string]string
	// examples are values, by table and column.
	examples map[string]map[string]string
}

// sample is a record and the rows it gives.
type sample struct {
	kind   schema.Kind
	record any
	rows   []map[string][]string
}

func traceAll(dir string) (*trace, error) {
	t := &trace{
		takes: map[schema.Kind]map[string]map[string]int{}, alters: map[schema.Kind]map[string]map[string]int{},
		constant: map[schema.Kind]map[string]string{}, examples: ownExamples(),
	}
	for table, of := range kinds {
		t.examples[table] = map[string]string{}
		for _, kind := range of {
			samples, err := readSamples(filepath.Join(dir, string(kind)), kind)
			if err != nil {
				return nil, err
			}
			for _, s := range samples {
				t.learn(table, s)
			}
		}
	}
	return t, nil
}

// readSamples reads the records of a kind that are sound, in no envelope.
func readSamples(dir string, kind schema.Kind) ([]*sample, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.in.json"))
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(files, func(a, b string) int { return cmp.Compare(rank(a), rank(b)) })
	var samples []*sample
	for _, file := range files {
		if slices.ContainsFunc(broken, func(p string) bool { return strings.HasPrefix(filepath.Base(file), p) }) {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		s, err := newSample(kind, text)
		switch {
		case errors.Is(err, transform.ErrUnmappable):
			continue
		case err != nil:
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if kind.IsUser() || bytes.Equal(kind.Record(text), text) {
			samples = append(samples, s)
		}
	}
	if len(samples) == 0 {
		return nil, fmt.Errorf("%s: %w", dir, errNoRecords)
	}
	return samples, nil
}

// rank says how early a record is read.
func rank(file string) int {
	if i := slices.Index(shown, strings.TrimSuffix(filepath.Base(file), ".in.json")); i >= 0 {
		return i
	}
	return len(shown)
}

var errNoRecords = errors.New("there are no records")

func newSample(kind schema.Kind, text []byte) (*sample, error) {
	record, err := decode(text)
	if err != nil {
		return nil, err
	}
	s := &sample{kind: kind, record: record}
	s.rows, err = s.mapped()
	return s, err
}

// mapped are the rows of the record as it is now.
func (s *sample) mapped() ([]map[string][]string, error) {
	line, err := compact(s.record)
	if err != nil {
		return nil, err
	}
	result, err := mapper.Map(s.kind, transform.Scrub(s.kind, line), landed)
	if err != nil {
		return nil, err
	}
	var rows []map[string][]string
	for _, e := range result.Events {
		rows = append(rows, values(e))
	}
	for _, u := range result.Users {
		rows = append(rows, values(u))
	}
	return rows, nil
}

// learn changes each field of the record, one after the other.
func (t *trace) learn(table string, s *sample) {
	for _, row := range s.rows {
		for path, texts := range row {
			t.see(table, s.kind, path, texts[0])
		}
	}
	takes, alters := map[[2]string]bool{}, map[[2]string]bool{}
	for _, f := range fields(s.record, "", func(x any) { s.record = x }) {
		for _, c := range changes(f.value) {
			f.set(c.value)
			after, err := s.mapped()
			if err == nil {
				compare(s.rows, after, c, s.name(f), takes, alters)
			}
			f.set(f.value)
		}
	}
	count(t.takes, s.kind, takes)
	count(t.alters, s.kind, alters)
}

// name is the field's path in the vendor's record, which may stand in a line
// beside what else is known of a user.
func (s *sample) name(f field) string {
	if s.kind.IsUser() {
		return strings.TrimPrefix(f.path, "user.")
	}
	return f.path
}

// see keeps the first value of a column that is an example of it, and whether
// all of a kind are the same.
func (t *trace) see(table string, kind schema.Kind, path, text string) {
	if t.examples[table][path] == "" {
		t.examples[table][path] = text
	}
	if t.constant[kind] == nil {
		t.constant[kind] = map[string]string{}
	}
	if before, ok := t.constant[kind][path]; ok && before != text {
		text = ""
	}
	t.constant[kind][path] = text
}

// compare notes which columns show the change, and which are altered by it.
func compare(before, after []map[string][]string, c change, field string, takes, alters map[[2]string]bool) {
	for i := range min(len(before), len(after)) {
		paths := slices.Sorted(maps.Keys(before[i]))
		for path := range after[i] {
			if before[i][path] == nil {
				paths = append(paths, path)
			}
		}
		for _, path := range paths {
			a, b := strings.Join(before[i][path], "\n"), strings.Join(after[i][path], "\n")
			if a == b {
				continue
			}
			key := [2]string{path, field}
			alters[key] = true
			if c.shows(a, b) {
				takes[key] = true
			}
		}
	}
}

func count(in map[schema.Kind]map[string]map[string]int, kind schema.Kind, pairs map[[2]string]bool) {
	if in[kind] == nil {
		in[kind] = map[string]map[string]int{}
	}
	for key := range pairs {
		if in[kind][key[0]] == nil {
			in[kind][key[0]] = map[string]int{}
		}
		in[kind][key[0]][key[1]]++
	}
}

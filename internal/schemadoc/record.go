package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/idtrail/idtrail/schema"
)

// embedded is JSON that stands as text within JSON.
type embedded struct{ inner any }

// MarshalJSON implements [json.Marshaler].
func (e embedded) MarshalJSON() ([]byte, error) {
	text, err := json.Marshal(e.inner)
	if err != nil {
		return nil, err
	}
	return json.Marshal(string(text))
}

// decode reads JSON so that each value in it can be replaced.
func decode(text []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	return unfold(v), nil
}

func unfold(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			v[name] = unfold(member)
		}
	case []any:
		for i, item := range v {
			v[i] = unfold(item)
		}
	case string:
		if strings.HasPrefix(v, "{") || strings.HasPrefix(v, "[") {
			if inner, err := decode([]byte(v)); err == nil {
				return embedded{inner}
			}
		}
	}
	return v
}

// field is a value of a record, and how to put another in its place.
type field struct {
	path  string
	value any
	set   func(any)
}

// fields are the strings, numbers, truth values and lists of a record.
func fields(v any, path string, set func(any)) []field {
	var all []field
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			all = append(all, fields(v[name], strings.TrimPrefix(path+"."+name, "."), func(x any) { v[name] = x })...)
		}
	case []any:
		all = append(all, field{path + "[]", v, set})
		for i, item := range v {
			all = append(all, itemFields(item, path, func(x any) { v[i] = x })...)
		}
	case embedded:
		all = fields(v.inner, path, func(x any) { set(embedded{x}) })
	case nil:
	default:
		all = []field{{path, v, set}}
	}
	return all
}

// itemFields are those of an item of a list. Attributes of a Cognito user are a
// list of names and values: the name is then part of the path.
func itemFields(item any, path string, set func(any)) []field {
	o, _ := item.(map[string]any)
	name, named := o["Name"].(string)
	if value, ok := o["Value"]; ok && named && len(o) == 2 {
		return fields(value, path+"."+name, func(x any) { o["Value"] = x })
	}
	return fields(item, path+"[]", set)
}

// mark stands in no fixture, and passes through every form a text may have to
// have: of an e-mail address, of a host, of an id.
const mark = "zq7"

// change is a value in the place of another, and what is to be seen of it in a
// column that takes it.
type change struct {
	value any
	shows func(before, after string) bool
}

func contains(text string) func(string, string) bool {
	return func(_, after string) bool { return strings.Contains(after, text) }
}

// changes are values like v that differ from it.
func changes(v any) []change {
	switch v := v.(type) {
	case bool:
		return []change{{!v, func(before, after string) bool {
			return before == strconv.FormatBool(v) && after == strconv.FormatBool(!v)
		}}}
	case json.Number:
		next := v.String() + "1"
		if n, err := v.Int64(); err == nil {
			next = strconv.FormatInt(n+1, 10)
		}
		return []change{{json.Number(next), contains(next)}}
	case []any:
		// What its items say is theirs; that there are any may say something too.
		return []change{{[]any{}, func(string, string) bool { return false }}}
	case string:
		return textChanges(v)
	default:
		return nil
	}
}

func textChanges(s string) []change {
	all := []change{{s + mark, contains(mark)}, {mark + s, contains(mark)}}
	if at := schema.ParseTime(s); !at.IsZero() {
		all = append(all, change{at.Add(shift).Format("2006-01-02T15:04:05.000Z"), shifted})
	}
	if _, err := netip.ParseAddr(s); err == nil {
		all = append(all, change{"203.0.113.77", contains("203.0.113.77")})
	}
	if len(s) == 2 && strings.ToUpper(s) == s {
		all = append(all, change{"NZ", contains("NZ")})
	}
	if b, err := strconv.ParseBool(s); err == nil {
		all = append(all, change{strconv.FormatBool(!b), func(before, after string) bool {
			return before != after && after == strconv.FormatBool(!b)
		}})
	}
	if last := len(s) - 1; last > 5 && !strings.ContainsFunc(s, unicode.IsLetter) {
		other := s[:last] + string('0'+(s[last]-'0'+1)%10)
		all = append(all, change{other, contains(digits(other))})
	}
	return all
}

// digits are the last of a number that may be written in several ways.
func digits(s string) string {
	only := strings.Map(func(r rune) rune {
		if unicode.IsDigit(r) {
			return r
		}
		return -1
	}, s)
	return only[max(0, len(only)-4):]
}

// shift is by how much a time is moved, to see what follows.
const shift = 61 * time.Second

// shifted says whether a column, milliseconds or a timestamp, moved by shift.
func shifted(before, after string) bool {
	a, errA := strconv.ParseInt(before, 10, 64)
	b, errB := strconv.ParseInt(after, 10, 64)
	if errA == nil && errB == nil {
		return b-a == shift.Milliseconds()
	}
	return instant(after).Sub(instant(before)) == shift
}

func instant(s string) time.Time {
	for _, layout := range []string{"2006-01-02 15:04:05.000", time.RFC3339Nano} {
		if at, err := time.Parse(layout, s); err == nil {
			return at
		}
	}
	return time.Time{}
}

// compact is the record as it is landed.
func compact(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("write record: %w", err)
	}
	return text, nil
}

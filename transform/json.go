package transform

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// The bounds of what one record may put into an event. Whatever is cut stands
// whole in raw_data.
const (
	maxText          = 65535 // OCSF's longest string_t
	maxDepth         = 512   // of nested JSON; gjson checks by recursion
	maxUnmapped      = 256   // keys
	maxUnmappedValue = 8 << 10
	maxUnmappedDepth = 8
)

// validText returns line as valid UTF-8: each invalid byte sequence becomes
// U+FFFD, and replaced tells.
func validText(line []byte) (valid []byte, replaced bool) {
	if utf8.Valid(line) {
		return line, false
	}
	return bytes.ToValidUTF8(line, []byte("\uFFFD")), true
}

// validJSON says whether line is one JSON value that is not nested so deep that
// walking it could exhaust the stack.
func validJSON(line []byte) bool {
	return !tooDeep(line) && gjson.ValidBytes(line)
}

func tooDeep(line []byte) bool {
	depth, inString := 0, false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// object is the members of one JSON object. It remembers which were used, so
// that the others can go to unmapped. The zero value is an empty object.
type object struct {
	names  []string
	values []gjson.Result
	used   []bool
}

// readObject reads the members of v; a value that is no object has none.
func readObject(v gjson.Result) *object {
	o := &object{}
	if !v.IsObject() {
		return o
	}
	v.ForEach(func(name, value gjson.Result) bool {
		o.names = append(o.names, name.String())
		o.values = append(o.values, value)
		return true
	})
	o.used = make([]bool, len(o.names))
	return o
}

// get returns the first of the named members that is there and not null,
// without counting it as used.
func (o *object) get(names ...string) gjson.Result {
	if i := o.find(names, present); i >= 0 {
		return o.values[i]
	}
	return gjson.Result{}
}

// take returns what get does, and counts it as used.
func (o *object) take(names ...string) gjson.Result {
	if i := o.find(names, present); i >= 0 {
		o.used[i] = true
		return o.values[i]
	}
	return gjson.Result{}
}

// text returns the first of the named members that is a string or a number and
// not empty, and counts it as used. A member of another type stays unused.
func (o *object) text(names ...string) string {
	i := o.find(names, func(v gjson.Result) bool { return scalar(v) != "" })
	if i < 0 {
		return ""
	}
	o.used[i] = true
	return scalar(o.values[i])
}

// drop counts the named members as used, wherever they stand.
func (o *object) drop(names ...string) {
	for i, have := range o.names {
		for _, name := range names {
			if have == name {
				o.used[i] = true
			}
		}
	}
}

// object returns the members of the named member. The member itself counts as
// used if it is an object: its unused members are then the caller's to keep.
func (o *object) object(names ...string) *object {
	i := o.find(names, gjson.Result.IsObject)
	if i < 0 {
		return &object{}
	}
	o.used[i] = true
	return readObject(o.values[i])
}

// rest flattens the unused members into the map, see [flatten].
func (o *object) rest(into map[string]string, prefix string) {
	for i, name := range o.names {
		if !o.used[i] {
			flatten(into, joinKey(prefix, name), o.values[i])
		}
	}
}

func (o *object) find(names []string, fits func(gjson.Result) bool) int {
	for _, name := range names {
		for i, have := range o.names {
			if have == name && fits(o.values[i]) {
				return i
			}
		}
	}
	return -1
}

func present(v gjson.Result) bool { return v.Exists() && v.Type != gjson.Null }

// scalar returns a string as it is and a number digit by digit (ids pass 2^53);
// "" for every other type.
func scalar(v gjson.Result) string {
	switch v.Type {
	case gjson.String:
		return clip(v.Str, maxText)
	case gjson.Number:
		return clip(v.Raw, maxText)
	default:
		return ""
	}
}

// anyText is scalar with booleans as words and containers as JSON text; null
// and empty containers are "".
func anyText(v gjson.Result) string {
	switch {
	case v.Type == gjson.True || v.Type == gjson.False:
		return v.Raw
	case v.IsObject() || v.IsArray():
		return jsonText(v)
	default:
		return scalar(v)
	}
}

// jsonText returns a container as it stands in the record, "" if it is empty or
// no container.
func jsonText(v gjson.Result) string {
	if !v.IsObject() && !v.IsArray() || emptyContainer(v) {
		return ""
	}
	return v.Raw
}

func emptyContainer(v gjson.Result) bool {
	return v.Raw != "" && strings.TrimSpace(v.Raw[1:len(v.Raw)-1]) == ""
}

// texts returns the non-empty strings and numbers of an array, or the value
// itself where one stands alone.
func texts(v gjson.Result) []string {
	if !v.IsArray() {
		if s := scalar(v); s != "" {
			return []string{s}
		}
		return nil
	}
	var out []string
	v.ForEach(func(_, item gjson.Result) bool {
		if s := scalar(item); s != "" {
			out = append(out, s)
		}
		return true
	})
	return out
}

// boolean reads a truth value the ways the vendors write one: true, "true",
// "True", 1, "1". known is false for anything else.
func boolean(v gjson.Result) (value, known bool) {
	switch v.Type {
	case gjson.True:
		return true, true
	case gjson.False:
		return false, true
	case gjson.String, gjson.Number:
		b, err := strconv.ParseBool(strings.ToLower(strings.TrimSpace(scalar(v))))
		return b, err == nil
	default:
		return false, false
	}
}

// optional is boolean as a pointer, nil where it is not known.
func optional(v gjson.Result) *bool {
	if b, known := boolean(v); known {
		return &b
	}
	return nil
}

// integer reads a whole number that fits, from a number or its text: 200,
// "200" and 200.0 alike.
func integer(v gjson.Result) (n int64, ok bool) {
	s := strings.TrimSpace(scalar(v))
	whole, fraction, _ := strings.Cut(s, ".")
	if strings.Trim(fraction, "0") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(whole, 10, 64)
	return n, err == nil
}

// number reads a floating point number from a number or its text.
func number(v gjson.Result) *float64 {
	f, err := strconv.ParseFloat(strings.TrimSpace(scalar(v)), 64)
	if err != nil || f != f || f > 1e300 || f < -1e300 {
		return nil
	}
	return &f
}

// flatten puts a value into the map under dotted keys: objects member by
// member, arrays as JSON text, numbers digit by digit. Nulls, empty strings and
// empty containers are left out, and so is what passes the bounds.
func flatten(into map[string]string, key string, v gjson.Result) {
	flattenAt(into, key, v, 0)
}

func flattenAt(into map[string]string, key string, v gjson.Result, depth int) {
	if v.IsObject() && depth < maxUnmappedDepth {
		v.ForEach(func(name, value gjson.Result) bool {
			flattenAt(into, joinKey(key, name.String()), value, depth+1)
			return len(into) < maxUnmapped
		})
		return
	}
	putText(into, key, anyText(v))
}

// putText sets one key of the flat map within its bounds; an empty value is
// left out.
func putText(into map[string]string, key, value string) {
	if value == "" || len(into) >= maxUnmapped {
		return
	}
	into[clip(key, 256)] = clip(value, maxUnmappedValue)
}

func joinKey(prefix, name string) string {
	if prefix == "" {
		return name
	}
	return prefix + "." + name
}

// clip cuts s to at most limit bytes, never within a character.
func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

// firstOf returns the first non-empty text.
func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

package transform

import (
	"bytes"
	"slices"
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
	if bytes.Count(line, []byte("{"))+bytes.Count(line, []byte("[")) <= maxDepth {
		return false // wherever they stand
	}
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
	members []field
	room    *room // of objects within it; nil: each has its own
}

// field is one member of an object. It has only those parts of a [gjson.Result]
// that anything is read from: a record holds some forty fields.
type field struct {
	name, raw, str string
	kind           gjson.Type
	used           bool
}

func (f *field) value() gjson.Result { return gjson.Result{Type: f.kind, Raw: f.raw, Str: f.str} }

// room is memory for the objects of one record, and is used again for the next
// one: what a mapping leaves to the garbage collector is most of its time. What
// does not fit has memory of its own.
type room struct {
	fields  []field
	objects []object
	written int // so many fields at most were ever written to
}

// The objects and members there is room for; few records have more.
const (
	roomFields  = 192
	roomObjects = 24
)

func newRoom() *room {
	return &room{fields: make([]field, 0, roomFields), objects: make([]object, 0, roomObjects)}
}

// empty makes the room hold nothing, and nothing in memory.
func (r *room) empty() {
	clear(r.fields[:r.written])
	clear(r.objects)
	r.fields, r.objects, r.written = r.fields[:0], r.objects[:0], 0
}

// object returns an empty one.
func (r *room) object() *object {
	if r == nil || len(r.objects) == cap(r.objects) {
		return &object{room: r}
	}
	r.objects = append(r.objects, object{room: r})
	return &r.objects[len(r.objects)-1]
}

// list returns a list that n fields can be appended to.
func (r *room) list(n int) []field {
	if r == nil || len(r.fields)+n > cap(r.fields) {
		return make([]field, 0, n)
	}
	end := len(r.fields) + n
	r.written = max(r.written, end)
	return r.fields[len(r.fields):len(r.fields):end]
}

// keep takes what was appended to a list of the room for used. A list that was
// not, or grew out of it, is somewhere else.
func (r *room) keep(list []field) {
	if r == nil || len(list) == 0 || len(r.fields)+len(list) > cap(r.fields) {
		return
	}
	if grown := r.fields[:len(r.fields)+len(list)]; &grown[len(r.fields)] == &list[0] {
		r.fields = grown
	}
}

// maxMembers is how many members are made room for at once; few objects have
// more.
const maxMembers = 32

// readObject reads the members of v; a value that is no object has none.
func readObject(v gjson.Result) *object { return (*room)(nil).read(v) }

// read is readObject, in the room.
func (r *room) read(v gjson.Result) *object {
	o := r.object()
	if !v.IsObject() {
		return o
	}
	// There are no more members than colons.
	o.members = r.list(min(strings.Count(v.Raw, ":"), maxMembers))
	v.ForEach(func(name, value gjson.Result) bool {
		o.members = append(o.members, field{name: name.Str, raw: value.Raw, str: value.Str, kind: value.Type})
		return true
	})
	r.keep(o.members)
	return o
}

// first returns the first member of that name, whatever it is, as [gjson.Get]
// does.
func (o *object) first(name string) gjson.Result {
	for i := range o.members {
		if f := &o.members[i]; f.name == name {
			return f.value()
		}
	}
	return gjson.Result{}
}

// get returns the first of the named members that is there and not null,
// without counting it as used.
func (o *object) get(names ...string) gjson.Result {
	if f := o.find(names, (*field).present); f != nil {
		return f.value()
	}
	return gjson.Result{}
}

// take returns what get does, and counts it as used.
func (o *object) take(names ...string) gjson.Result {
	if f := o.find(names, (*field).present); f != nil {
		f.used = true
		return f.value()
	}
	return gjson.Result{}
}

// text returns the first of the named members that is a string or a number and
// not empty, and counts it as used. A member of another type stays unused.
func (o *object) text(names ...string) string {
	f := o.find(names, func(f *field) bool { return f.scalar() != "" })
	if f == nil {
		return ""
	}
	f.used = true
	return f.scalar()
}

// drop counts the named members as used, wherever they stand.
func (o *object) drop(names ...string) {
	for i := range o.members {
		f := &o.members[i]
		f.used = f.used || slices.Contains(names, f.name)
	}
}

// object returns the members of the named member. The member itself counts as
// used if it is an object: its unused members are then the caller's to keep.
func (o *object) object(names ...string) *object {
	f := o.find(names, func(f *field) bool { return f.value().IsObject() })
	if f == nil {
		return o.room.object()
	}
	f.used = true
	return o.room.read(f.value())
}

// rest flattens the unused members into the map, see [flatten].
func (o *object) rest(into map[string]string, prefix string) {
	for i := range o.members {
		if f := &o.members[i]; !f.used {
			flatten(into, joinKey(prefix, f.name), f.value())
		}
	}
}

// find returns the first member that fits, of the first name that has one.
func (o *object) find(names []string, fits func(*field) bool) *field {
	for _, name := range names {
		for i := range o.members {
			if f := &o.members[i]; f.name == name && fits(f) {
				return f
			}
		}
	}
	return nil
}

func (f *field) present() bool { return f.kind != gjson.Null }

func present(v gjson.Result) bool { return v.Exists() && v.Type != gjson.Null }

func (f *field) scalar() string { return scalar(f.value()) }

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
	if whole == "" || strings.Trim(fraction, "0") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(whole, 10, 64)
	return n, err == nil
}

// number reads a floating point number from a number or its text.
func number(v gjson.Result) *float64 {
	s := strings.TrimSpace(scalar(v))
	if s == "" {
		return nil // and no error is made of what most records lack
	}
	f, err := strconv.ParseFloat(s, 64)
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

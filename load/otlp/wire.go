package otlp

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// The field numbers of OTLP's messages, named message and field
// (opentelemetry/proto/{logs,common,resource}/v1, collector/logs/v1).
const (
	requestResourceLogs protowire.Number = 1

	resourceLogsResource  protowire.Number = 1
	resourceLogsScopeLogs protowire.Number = 2
	resourceAttributes    protowire.Number = 1
	scopeLogsScope        protowire.Number = 1
	scopeLogsRecords      protowire.Number = 2
	scopeName             protowire.Number = 1

	recordTime           protowire.Number = 1
	recordSeverityNumber protowire.Number = 2
	recordSeverityText   protowire.Number = 3
	recordBody           protowire.Number = 5
	recordAttributes     protowire.Number = 6
	recordObserved       protowire.Number = 11
	recordEventName      protowire.Number = 12

	keyValueKey   protowire.Number = 1
	keyValueValue protowire.Number = 2
	anyString     protowire.Number = 1
	anyBool       protowire.Number = 2
	anyInt        protowire.Number = 3
	anyDouble     protowire.Number = 4
	anyArray      protowire.Number = 5
	anyList       protowire.Number = 6
	arrayValues   protowire.Number = 1
	listValues    protowire.Number = 1

	responsePartial protowire.Number = 1
	partialRejected protowire.Number = 1
)

// encoder appends protobuf to b. It is written by hand, and not by the generated
// types, because those take a tree of some hundred objects for each event.
type encoder struct{ b []byte }

// bytesTag begins a field that has a length. All fields here are numbered below
// 16, so that it is one byte.
func bytesTag(field protowire.Number) byte { return byte(field<<3) | tagBytes } //nolint:gosec // as said

// The tags that stand before each key and value.
const (
	tagBytes  = byte(protowire.BytesType)
	tagKey    = byte(keyValueKey<<3) | tagBytes
	tagValue  = byte(keyValueValue<<3) | tagBytes
	tagString = byte(anyString<<3) | tagBytes
	tagBool   = byte(anyBool<<3) | byte(protowire.VarintType)
	tagInt    = byte(anyInt<<3) | byte(protowire.VarintType)
	tagDouble = byte(anyDouble<<3) | byte(protowire.Fixed64Type)
)

// appendLength is [protowire.AppendVarint] of a length, of which most are small.
func appendLength(b []byte, n int) []byte {
	if n < 1<<7 {
		return append(b, byte(n)) //nolint:gosec // it is small
	}
	if n < 1<<14 {
		return append(b, byte(n)|1<<7, byte(n>>7)) //nolint:gosec // seven bits each
	}
	return protowire.AppendVarint(b, uint64(n))
}

// open begins a message in a field, and returns what close needs to end it.
func (e *encoder) open(field protowire.Number) int {
	e.b = append(e.b, bytesTag(field), 0) // enough for the length of most
	return len(e.b)
}

func (e *encoder) close(start int) { e.closeWide(start, 1) }

// openWide is open for a message of 128 bytes or more, which are then not moved
// to make room for the length; closeWide ends it.
func (e *encoder) openWide(field protowire.Number) int {
	e.b = append(e.b, bytesTag(field), 0, 0)
	return len(e.b)
}

// closeWide writes the length of a message before it, where there are room bytes
// for it, or makes them fit.
func (e *encoder) closeWide(start, room int) {
	n := len(e.b) - start
	var buf [binary.MaxVarintLen64]byte
	length := appendLength(buf[:0], n)
	switch more := len(length) - room; {
	case more > 0:
		e.b = append(e.b, length[:more]...)
		copy(e.b[start+more:], e.b[start:start+n])
	case more < 0:
		copy(e.b[start+more:], e.b[start:])
		e.b = e.b[:len(e.b)+more]
	}
	copy(e.b[start-room:], length)
}

func (e *encoder) text(field protowire.Number, v string) {
	if v == "" {
		return
	}
	v = valid(v)
	e.b = append(appendLength(append(e.b, bytesTag(field)), len(v)), v...)
}

func (e *encoder) fixed64(field protowire.Number, v uint64) {
	if v == 0 {
		return
	}
	e.b = protowire.AppendTag(e.b, field, protowire.Fixed64Type)
	e.b = protowire.AppendFixed64(e.b, v)
}

func (e *encoder) varint(field protowire.Number, v uint64) {
	e.b = protowire.AppendTag(e.b, field, protowire.VarintType)
	e.b = protowire.AppendVarint(e.b, v)
}

// valid is v as protobuf takes text: one byte that is no UTF-8, and a receiver
// refuses the whole request.
func valid(v string) string {
	if utf8.ValidString(v) {
		return v
	}
	return strings.ToValidUTF8(v, "\uFFFD")
}

// object appends keys with values to the message that e is in, each as a
// KeyValue in field: the attributes of a record, or a list of keys and values.
type object struct {
	e     *encoder
	field protowire.Number
}

// key begins a key's value.
func (o object) key(key string) (pair, value int) {
	pair = o.e.open(o.field)
	o.e.text(keyValueKey, key)
	return pair, o.e.open(keyValueValue)
}

func (o object) end(pair, value int) {
	o.e.close(value)
	o.e.close(pair)
}

// text leaves out what is empty, as do the others for pointers.
func (o object) text(key, v string) {
	if v != "" {
		o.must(key, v)
	}
}

// must writes text even if it is empty.
func (o object) must(key, v string) {
	v = valid(v)
	o.head(key, tagString, protowire.SizeBytes(len(v)))
	o.e.b = append(appendLength(o.e.b, len(v)), v...)
}

// head appends all that stands before a value of that many bytes, which has that
// tag. Lengths that are known before move nothing.
func (o object) head(key string, value byte, n int) {
	n++ // the tag
	pair := 1 + protowire.SizeBytes(len(key)) + 1 + protowire.SizeBytes(n)
	b := appendLength(append(o.e.b, bytesTag(o.field)), pair)
	b = append(appendLength(append(b, tagKey), len(key)), key...)
	o.e.b = append(appendLength(append(b, tagValue), n), value)
}

func (o object) int(key string, v int64) {
	n := uint64(v) //nolint:gosec // how protobuf writes what is below 0
	o.head(key, tagInt, protowire.SizeVarint(n))
	o.e.b = protowire.AppendVarint(o.e.b, n)
}

func (o object) int64(key string, v *int64) {
	if v != nil {
		o.int(key, *v)
	}
}

func (o object) int32(key string, v *int32) {
	if v != nil {
		o.int(key, int64(*v))
	}
}

func (o object) bool(key string, v *bool) {
	if v == nil {
		return
	}
	o.head(key, tagBool, 1)
	o.e.b = protowire.AppendVarint(o.e.b, protowire.EncodeBool(*v))
}

func (o object) float(key string, v *float64) {
	if v == nil {
		return
	}
	o.head(key, tagDouble, 8)
	o.e.b = protowire.AppendFixed64(o.e.b, math.Float64bits(*v))
}

func (o object) time(key string, v *time.Time) {
	if v == nil {
		return
	}
	var room [len(time.RFC3339Nano) + 8]byte
	text := v.AppendFormat(room[:0], time.RFC3339Nano)
	o.head(key, tagString, protowire.SizeBytes(len(text)))
	o.e.b = append(appendLength(o.e.b, len(text)), text...)
}

func (o object) texts(key string, vs []string) {
	if len(vs) == 0 {
		return
	}
	pair, value := o.key(key)
	array := o.e.open(anyArray)
	for _, v := range vs {
		v = valid(v)
		b := appendLength(append(o.e.b, bytesTag(arrayValues)), 1+protowire.SizeBytes(len(v)))
		o.e.b = append(appendLength(append(b, tagString), len(v)), v...)
	}
	o.e.close(array)
	o.end(pair, value)
}

// pairs writes a map, its keys sorted.
func (o object) pairs(key string, v map[string]string) {
	if len(v) == 0 {
		return
	}
	pair, value := o.key(key)
	list := o.e.open(anyList)
	var room [48]string
	keys := slices.AppendSeq(room[:0], maps.Keys(v))
	slices.Sort(keys)
	for _, k := range keys {
		object{o.e, listValues}.must(validKey(k, keys), v[k])
	}
	o.e.close(list)
	o.end(pair, value)
}

// validKey is a key as protobuf takes text, and another one than those of the
// other keys: a key that comes twice is against the specification.
func validKey(key string, keys []string) string {
	if utf8.ValidString(key) {
		return key
	}
	return fmt.Sprintf("%s_%d", valid(key), slices.Index(keys, key))
}

// nest writes what v points to, if it does, as an object within o.
func nest[T any](o object, key string, v *T, write func(object, *T)) {
	if v == nil {
		return
	}
	pair, value := o.key(key)
	list := o.e.open(anyList)
	write(object{o.e, listValues}, v)
	o.e.close(list)
	o.end(pair, value)
}

// nestAll writes an array of objects within o.
func nestAll[T any](o object, key string, vs []T, write func(object, *T)) {
	if len(vs) == 0 {
		return
	}
	pair, value := o.key(key)
	array := o.e.open(anyArray)
	for i := range vs {
		item := o.e.open(arrayValues)
		list := o.e.open(anyList)
		write(object{o.e, listValues}, &vs[i])
		o.e.close(list)
		o.e.close(item)
	}
	o.e.close(array)
	o.end(pair, value)
}

// length begins a field of n bytes that follow.
func (e *encoder) length(field protowire.Number, n int) {
	e.b = appendLength(append(e.b, bytesTag(field)), n)
}

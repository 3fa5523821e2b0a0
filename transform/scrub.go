package transform

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"slices"

	"github.com/idtrail/idtrail/schema"
)

// Scrub cuts the secrets out of a line before it is landed: each is replaced in
// place by "[scrubbed]", and everything else stays byte for byte, order and
// spelling included. Valid JSON stays valid JSON. It looks at names (the rules
// are in scrub_rules.go), into JSON that stands in a string, at URLs and forms,
// and for what is a secret whatever it is called: JWTs, Bearer and Basic
// credentials, passwords in URLs, private keys. A line that is no JSON is
// searched as text.
//
// The line itself is never written to; it is returned where nothing was found.
// Scrubbing what was scrubbed changes nothing.
func Scrub(kind schema.Kind, line []byte) []byte {
	// What a cut leaves behind can, in odd text, read as a secret of its own.
	for range 8 {
		s := scrubber{secretBody: bodyIsSecret(kind, line)}
		edits := s.text(line)
		if len(edits) == 0 {
			return line
		}
		line = apply(line, edits)
	}
	return line
}

// edit replaces bytes [from, to) of a text.
type edit struct {
	from, to int
	with     string
}

// apply makes the edits; of overlapping ones the outer counts.
func apply(text []byte, edits []edit) []byte {
	edits = merge(edits)
	out := make([]byte, 0, len(text)+len(edits)*len(marker))
	at := 0
	for _, e := range edits {
		out = append(out, text[at:e.from]...)
		out = append(out, e.with...)
		at = e.to
	}
	return append(out, text[at:]...)
}

func merge(edits []edit) []edit {
	slices.SortStableFunc(edits, func(a, b edit) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(b.to, a.to))
	})
	merged := edits[:1]
	for _, e := range edits[1:] {
		last := &merged[len(merged)-1]
		switch {
		case e.from >= last.to:
			merged = append(merged, e)
		case e.to > last.to:
			last.to, last.with = e.to, marker
		}
	}
	return merged
}

// maxNesting is how many strings deep JSON within JSON is taken apart; below
// that it is searched as text.
const maxNesting = 8

// maxFrames bounds the nesting of what is read as JSON (encoding/json has the
// same bound): each level takes memory. What is deeper is searched as text.
const maxFrames = 10000

// scrubber finds the secrets of one text.
type scrubber struct {
	secretBody bool
	nesting    int
}

// frame is one open object or list.
type frame struct {
	object bool
	// name is the plain name of the member that the container is the value of.
	name []byte
	// class is what its members inherit: of a list all, of an object those that
	// are not plain. inValue is what its member "value" inherits.
	class, inValue secretClass
	// pair tells of {"name": "password", "value": "…"}: the class its name
	// promises, and where its value stands.
	pair               secretClass
	pairFrom, pairTo   int
	member             []byte
	memberBuf, nameBuf [24]byte
}

// lexer walks one JSON text without recursion.
type lexer struct {
	*scrubber
	text  []byte
	at    int
	stack []frame
	edits []edit
}

// json finds the secrets of the JSON value that begins the text, and tells where
// it ends. One that is broken off, or turns out to be none, is not ok: what was
// found until there counts all the same.
func (s *scrubber) json(text []byte) (edits []edit, end int, ok bool) {
	l := &lexer{scrubber: s, text: text, stack: make([]frame, 0, 16)}
	ok = l.value()
	for ok && len(l.stack) > 0 {
		ok = len(l.stack) <= maxFrames && l.step()
	}
	for len(l.stack) > 0 {
		l.close()
	}
	return l.edits, l.at, ok
}

// step reads what comes next within the innermost container: its end, or one
// member.
func (l *lexer) step() bool {
	top := &l.stack[len(l.stack)-1]
	first := l.text[l.at-1] == '{' || l.text[l.at-1] == '['
	c := l.next()
	if c == '}' && top.object || c == ']' && !top.object {
		l.at++
		l.close()
		return true
	}
	if !first || c == ',' {
		if c != ',' || first {
			return false
		}
		l.at++
	}
	if top.object && !l.name(top) {
		return false
	}
	return l.value()
}

// name reads a member's name and the colon behind it.
func (l *lexer) name(top *frame) bool {
	if l.next() != '"' {
		return false
	}
	from, to, seen := l.quoted()
	raw := l.text[from:to]
	if seen&seenEscape != 0 {
		raw, _ = unescape(raw)
	}
	top.member = plainName(raw, top.memberBuf[:0])
	l.free(from, to, seen)
	if l.next() != ':' {
		return false
	}
	l.at++
	return true
}

// value reads one value; of a container only its beginning.
func (l *lexer) value() bool {
	class := l.class()
	switch c := l.next(); c {
	case '{', '[':
		l.at++
		l.open(c == '{', class)
		return true
	case '"':
		return l.stringValue(class)
	case 't':
		return l.word("true")
	case 'f':
		return l.word("false")
	case 'n':
		return l.word("null")
	default:
		return l.number(class)
	}
}

// class is what the place of the next value promises.
func (l *lexer) class() secretClass {
	if len(l.stack) == 0 {
		return notSecret
	}
	top := &l.stack[len(l.stack)-1]
	if !top.object {
		return top.class
	}
	if top.class == secretWhole && !slices.Contains(plainMembers, string(top.member)) {
		return secretWhole
	}
	if top.inValue != notSecret && (string(top.member) == "value" || string(top.member) == "raw") {
		return top.inValue
	}
	if l.secretBody && string(top.member) == "body" {
		return secretWhole
	}
	return classWithin(top.name, top.member)
}

func (l *lexer) open(object bool, class secretClass) {
	l.stack = append(l.stack, frame{object: object, class: class})
	n := len(l.stack) - 1
	top := &l.stack[n]
	if object && class != secretWhole {
		top.class, top.inValue = notSecret, class
	}
	if n == 0 {
		return
	}
	name := l.stack[n-1].member
	if !l.stack[n-1].object {
		name = l.stack[n-1].name
	}
	top.name = append(top.nameBuf[:0], name...)
}

// close ends the innermost container; if it was a name and value pair, it is
// only now that both are known.
func (l *lexer) close() {
	top := &l.stack[len(l.stack)-1]
	if top.pair != notSecret && top.pairTo > 0 {
		l.cut(top.pair, top.pairFrom, top.pairTo)
	}
	l.stack = l.stack[:len(l.stack)-1]
}

func (l *lexer) stringValue(class secretClass) bool {
	from, to, seen := l.quoted()
	l.notePair(from, to)
	if class != notSecret && l.cut(class, from, to) {
		return true
	}
	if l.isLandedBase64() {
		l.base64(from, to)
		return true
	}
	l.free(from, to, seen)
	return true
}

// cut replaces the inside of a string, unless it is no secret after all.
func (l *lexer) cut(class secretClass, from, to int) bool {
	if keepsString(class, l.text[from:to]) {
		return false
	}
	l.edits = append(l.edits, edit{from, to, marker})
	return true
}

// notePair remembers what a member says if the object is a name and value pair.
func (l *lexer) notePair(from, to int) {
	if len(l.stack) == 0 {
		return
	}
	top := &l.stack[len(l.stack)-1]
	switch string(top.member) {
	case "name", "key":
		if to-from < 64 {
			top.pair = classOf(plainName(l.text[from:to], make([]byte, 0, 64)))
		}
	case "value":
		top.pairFrom, top.pairTo = from, to
	}
}

// isLandedBase64 says whether the string is the body of a [schema.Unparsed].
func (l *lexer) isLandedBase64() bool {
	if len(l.stack) != 2 {
		return false
	}
	top := &l.stack[1]
	return string(top.member) == "base64" && string(top.name) == "idtrailunparsed"
}

func (l *lexer) base64(from, to int) {
	body, err := base64.StdEncoding.DecodeString(string(l.text[from:to]))
	if err != nil {
		return
	}
	inner := scrubber{nesting: l.nesting}
	if edits := inner.text(body); len(edits) > 0 {
		l.edits = append(l.edits, edit{from, to, base64.StdEncoding.EncodeToString(apply(body, edits))})
	}
}

// free searches a string whose name promises nothing.
func (l *lexer) free(from, to int, seen uint8) {
	if to-from < 6 || seen&^seenEscape == 0 {
		return
	}
	raw := l.text[from:to]
	if seen&seenEscape == 0 {
		for _, e := range l.inner().text(raw) {
			l.edits = append(l.edits, edit{from + e.from, from + e.to, escape(e.with)})
		}
		return
	}
	text, offsets := unescape(raw)
	for _, e := range l.inner().text(text) {
		l.edits = append(l.edits, edit{from + offsets[e.from], from + offsets[e.to], escape(e.with)})
	}
}

func (s *scrubber) inner() *scrubber {
	return &scrubber{secretBody: s.secretBody, nesting: s.nesting + 1}
}

func (l *lexer) number(class secretClass) bool {
	from := l.at
	for l.at < len(l.text) && isNumberByte(l.text[l.at]) {
		l.at++
	}
	if l.at == from {
		return false
	}
	if class != notSecret && !keepsNumber(class, l.text[from:l.at]) {
		l.edits = append(l.edits, edit{from, l.at, `"` + marker + `"`})
	}
	return true
}

func isNumberByte(c byte) bool {
	return c >= '0' && c <= '9' || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E'
}

func (l *lexer) word(word string) bool {
	if !bytes.HasPrefix(l.text[l.at:], []byte(word)) {
		return false
	}
	l.at += len(word)
	return true
}

// next skips white space and returns the byte behind it, 0 at the end.
func (l *lexer) next() byte {
	l.space()
	if l.at == len(l.text) {
		return 0
	}
	return l.text[l.at]
}

func (l *lexer) space() {
	for l.at < len(l.text) {
		switch l.text[l.at] {
		case ' ', '\t', '\r', '\n':
			l.at++
		default:
			return
		}
	}
}

// What a string holds that makes it worth a closer look.
const (
	seenEscape  uint8 = 1 << iota
	seenSetting       // a "=", a ":" or a "%": a name and its value, a URL
	seenBlank         // Bearer and Basic have one
	seenOpening       // "{": JSON in the string
	seenJWT           // "J", of eyJ
	seenDash          // -----BEGIN
)

var seenTable = [256]uint8{
	'\\': seenEscape, '=': seenSetting, ':': seenSetting, '%': seenSetting, ' ': seenBlank,
	'{': seenOpening, '[': seenOpening, 'J': seenJWT, '-': seenDash,
}

// quoted reads a string and returns where its inside begins and ends: with the
// text, if it is cut off.
func (l *lexer) quoted() (from, to int, seen uint8) {
	from = l.at + 1
	for i := from; i < len(l.text); i++ {
		c := l.text[i]
		seen |= seenTable[c]
		switch c {
		case '"':
			l.at = i + 1
			return from, i, seen
		case '\\':
			i++
		}
	}
	l.at = len(l.text)
	return from, l.at, seen
}

package records

import (
	"bytes"
	"fmt"
	"io"
)

// The bounds of what a splitter holds in memory.
const (
	maxRecord = 16 << 20 // a longer record is cut
	cutRecord = 1 << 20  // to its first so many bytes
	readSize  = 64 << 10
	// A broken stretch may be scanned again from a line inside it; over a whole
	// file this is bounded, so that no file costs more than a few readings.
	rescans = 4 * maxRecord
)

// maxOpen bounds the arrays and wrappers that are open at a time.
const maxOpen = 8

// Piece is one element of a file.
type Piece struct {
	Bytes []byte
	// Fault says why Bytes are no JSON value; "" if they are.
	Fault string
	// Length is what was there, more than Bytes if it was cut.
	Length int64
	// Tail is set on a broken piece that the end of the content cut off.
	Tail bool
}

// Splitter cuts the bytes of every element out of a stream of JSON: values one
// behind the other, lines, elements of arrays, and elements of the arrays that
// wrappers hold. It judges what stands between them mildly: commas may lack,
// brackets may be left open. Of a broken element it gives what was there and
// goes on at the next place where an element seems to begin:
//
//   - behind the broken one's closing bracket, if its brackets and quotes still
//     make sense,
//   - else at the next line that begins with an opening brace, indented like the
//     line the broken one began on,
//   - else, on the same line, at the next "},{".
type Splitter struct {
	src io.Reader
	buf []byte // buf[off:] is not given out yet
	off int
	err error // why nothing can be read any more, io.EOF at the end

	open   []byte // 'a' for an array, 'w' for a wrapper object
	member []byte // inside a wrapper: the last string
	colon  bool   // and whether a colon followed it

	pos      int64  // of buf[off] in the content
	indent   []byte // white space the current line begins with
	blank    bool   // nothing else stands on it so far
	begun    []byte // indent, where the element at hand began
	scan     scanner
	budget   int64
	max, cut int

	unclosed bool // the content ended inside an array
	cutOff   bool // the content ended inside an element
	// skipped, if set, is shown what stands between the elements.
	skipped func([]byte)
}

// NewSplitter returns one that reads src.
func NewSplitter(src io.Reader) *Splitter {
	return &Splitter{src: src, blank: true, budget: rescans, max: maxRecord, cut: cutRecord}
}

// Next returns the next element, or io.EOF, or the error of the reader once all
// that was read before it is given out.
func (s *Splitter) Next() (Piece, error) {
	for s.ensure(1) {
		c := s.buf[s.off]
		switch {
		case isSpace(c) || c == ',' || c == 0x1e || s.atBOM():
			s.skip(s.between(c))
		case s.bracket(c):
			s.skip(1)
		default:
			if p, ok := s.element(c); ok {
				return p, nil
			}
		}
	}
	s.unclosed = len(s.open) > 0
	return Piece{}, s.err
}

// Rest says, once Next gave io.EOF, why the content ended too early: inside an
// element or an array; "" if it did not.
func (s *Splitter) Rest() string {
	switch {
	case s.cutOff:
		return "ends inside a record"
	case s.unclosed:
		return "ends inside an array"
	}
	return ""
}

// bracket deals with what opens and closes what holds the elements.
func (s *Splitter) bracket(c byte) bool {
	switch {
	case c == ']' && s.top() == 'a', c == '}' && s.top() == 'w':
		s.open = s.open[:len(s.open)-1]
	case c == ':' && s.top() == 'w':
		s.colon = true
	case c == '[' && (len(s.open) == 0 || s.top() == 'w' && s.colon && isWrapper(s.member)):
		s.open = append(s.open, 'a')
	default:
		return false
	}
	return true
}

// between returns how many bytes of white space or separator begin here.
func (s *Splitter) between(c byte) int {
	if c == 0xef {
		return 3
	}
	if c == ',' {
		s.member, s.colon = nil, false
	}
	n := 1
	for isSpace(c) && s.off+n < len(s.buf) && isSpace(s.buf[s.off+n]) {
		n++
	}
	return n
}

func (s *Splitter) atBOM() bool {
	return s.buf[s.off] == 0xef && s.ensure(3) && s.buf[s.off+1] == 0xbb && s.buf[s.off+2] == 0xbf
}

func (s *Splitter) top() byte {
	if len(s.open) == 0 {
		return 0
	}
	return s.open[len(s.open)-1]
}

// element reads one value. Inside a wrapper, beside its arrays, it is no record
// and false.
func (s *Splitter) element(c byte) (Piece, bool) {
	if c == ']' || c == '}' {
		return s.stray(), true
	}
	s.begun = append(s.begun[:0], s.indent...)
	s.scan.reset(c == '{' && len(s.open) < maxOpen && s.top() != 'w')
	n, v := s.measure()
	switch {
	case v == wrapper:
		return Piece{}, false
	case v == done && s.delimited(c, n):
		return s.whole(n)
	case v == more && n >= s.max:
		return s.tooLong(c, n), true
	default:
		return s.broken(c, n), true
	}
}

// measure scans the value at hand: done if it ends before the n-th byte, bad if
// it breaks there, more if it is not over where the content or the bound is. A
// wrapper it has entered already.
func (s *Splitter) measure() (n int, v verdict) {
	for {
		// Never past the bound: where a long record is cut must not depend on
		// how much a read happened to give.
		n, v = s.scan.run(s.buf[s.off:min(len(s.buf), s.off+s.max)], n)
		switch {
		case v == wrapper && s.unwrap(n):
			return n, v
		case v == wrapper || v == more && n < s.max && s.ensure(n+1):
		case v == more && n < s.max && s.scan.end():
			return n, done
		default:
			return n, v
		}
	}
}

// whole gives out a value, or passes over a wrapper's other member.
func (s *Splitter) whole(n int) (Piece, bool) {
	if s.top() != 'w' {
		return s.take(n, ""), true
	}
	s.member, s.colon = nil, false
	if b := s.buf[s.off : s.off+n]; b[0] == '"' {
		s.member = bytes.Clone(b[1 : n-1])
	}
	s.skip(n)
	return Piece{}, false
}

// delimited says whether what follows a scalar ends it: a date at the beginning
// of a line of text is no number.
func (s *Splitter) delimited(c byte, n int) bool {
	if c == '{' || c == '[' {
		return true
	}
	for ; s.ensure(n + 1); n++ {
		switch s.buf[s.off+n] {
		case ' ', '\t', '\r':
		case '\n', ',', 0x1e:
			return true
		case ']':
			return s.top() == 'a'
		case ':', '}':
			return s.top() == 'w'
		default:
			return false
		}
	}
	return true
}

// unwrap enters the array whose opening bracket is the n-th byte, if it holds
// objects or nothing.
func (s *Splitter) unwrap(n int) bool {
	for k := n; s.ensure(k + 1); k++ {
		c := s.buf[s.off+k]
		if isSpace(c) {
			continue
		}
		if c != '{' && c != ']' {
			return false
		}
		// On a line of its own it is nobody's element: the wrapper before it
		// was never closed.
		if s.blank && len(s.indent) == 0 && len(s.open) > 1 {
			s.open = s.open[:0]
		}
		s.open = append(s.open, 'w', 'a')
		s.member, s.colon = nil, false
		s.skip(n)
		return true
	}
	return false
}

// stray gives out closing brackets that close nothing.
func (s *Splitter) stray() Piece {
	n := 1
	for s.ensure(n+1) && n < s.cut && (s.buf[s.off+n] == ']' || s.buf[s.off+n] == '}') {
		n++
	}
	return s.take(n, s.noJSON(0))
}

func (s *Splitter) noJSON(n int) string {
	return fmt.Sprintf("no JSON value: it breaks at byte %d of the content", s.pos+int64(n))
}

const (
	endsInside   = "no JSON value: the content ends inside it"
	beginsInside = "no JSON value: another seems to begin inside it"
)

// take gives out the next n bytes, less the white space at the end of a broken
// piece.
func (s *Splitter) take(n int, fault string) Piece {
	b := s.buf[s.off : s.off+n : s.off+n]
	if fault != "" {
		b = bytes.TrimRight(b, " \t\r\n")
	}
	p := Piece{Fault: fault, Length: int64(len(b))}
	if n < cutRecord || n < cap(s.buf)/2 {
		p.Bytes = bytes.Clone(b)
		s.advance(n)
		return p
	}
	// A long one is handed over with its memory: two of them are too many.
	p.Bytes = b
	s.advance(n)
	s.buf, s.off = append(make([]byte, 0, readSize+len(s.buf)-s.off), s.buf[s.off:]...), 0
	return p
}

func (s *Splitter) skip(n int) {
	if s.skipped != nil {
		s.skipped(s.buf[s.off : s.off+n])
	}
	s.advance(n)
}

// advance moves on and keeps account of the line.
func (s *Splitter) advance(n int) {
	b := s.buf[s.off : s.off+n]
	if k := bytes.LastIndexByte(b, '\n'); k >= 0 {
		s.indent, s.blank = s.indent[:0], true
		b = b[k+1:]
	}
	if s.blank {
		w := len(b) - len(bytes.TrimLeft(b, " \t\r"))
		s.blank = w == len(b)
		if len(s.indent) < 1024 {
			s.indent = append(s.indent, b[:w]...)
		}
	}
	s.off += n
	s.pos += int64(n)
}

// ensure reads until n bytes are there; false if so many never come.
func (s *Splitter) ensure(n int) bool {
	for len(s.buf)-s.off < n {
		if s.err != nil {
			return false
		}
		s.fill()
	}
	return true
}

func (s *Splitter) fill() {
	if s.off > 0 && cap(s.buf)-len(s.buf) < readSize {
		s.buf = s.buf[:copy(s.buf, s.buf[s.off:])]
		s.off = 0
	}
	if cap(s.buf)-len(s.buf) < readSize/4 {
		s.grow()
	}
	for range 100 {
		n, err := s.src.Read(s.buf[len(s.buf):cap(s.buf)])
		s.buf = s.buf[:len(s.buf)+n]
		if s.err = err; n > 0 || err != nil {
			return
		}
	}
	s.err = io.ErrNoProgress
}

func (s *Splitter) grow() {
	size := 2*cap(s.buf) + readSize
	if size > s.max/4 {
		size = max(s.max, len(s.buf)) + 2*readSize
	}
	s.buf = append(make([]byte, 0, size), s.buf...)
}

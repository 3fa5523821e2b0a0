package records

import (
	"bytes"
	"fmt"
)

// broken gives out the element at hand, which breaks at its n-th byte.
func (s *Splitter) broken(c byte, n int) Piece {
	if k, ok := s.lineInside(n); ok {
		return s.take(k, beginsInside)
	}
	fault := s.noJSON(n)
	if !s.ensure(n + 1) {
		fault = endsInside
	}
	r := s.resync(c)
	if !r.loose {
		r.n = n
		r.last = lastTwo(s.buf[s.off : s.off+n])
	}
	return r.run(fault)
}

// resync begins to look for the end of a broken stretch that began with c.
func (s *Splitter) resync(c byte) resync {
	r := resync{s: s, mark: -1, inArray: s.top() == 'a'}
	if c != '{' && c != '[' {
		r.loose = true
		return r
	}
	r.open, r.lenient = s.scan.stack, true
	r.text = s.scan.state == inString || s.scan.state == inEscape || s.scan.state == inHex
	return r
}

// tooLong deals with an element that has not ended after all bytes a record may
// have: it is broken if a line inside looks like an element, else it is long.
func (s *Splitter) tooLong(c byte, n int) Piece {
	if k, ok := s.lineInside(n); ok {
		return s.take(k, beginsInside)
	}
	p := s.begin(n)
	for s.ensure(1) {
		v := s.longLine(&p)
		switch {
		case v == done:
			p.Fault = fmt.Sprintf("a record of %d bytes is too long: its first %d are kept", p.Length, len(p.Bytes))
			return p
		case v == bad:
			r := s.resync(c)
			r.cut = &p
			return r.run(s.noJSON(0))
		case s.blank && len(s.indent) == 0 && s.beginsLine(0):
			p.Fault = fmt.Sprintf("%s, behind %d bytes, of which the first %d are kept", beginsInside, p.Length, len(p.Bytes))
			return p
		}
	}
	s.cutOff, p.Tail = true, true
	p.Fault = fmt.Sprintf("%s, behind %d bytes, of which the first %d are kept", endsInside, p.Length, len(p.Bytes))
	return p
}

// longLine goes on through an element that is not kept, to the end of the line.
func (s *Splitter) longLine(p *Piece) verdict {
	b := s.buf[s.off:]
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		b = b[:i+1]
	}
	n, v := s.scan.run(b, 0)
	s.drop(p, n)
	return v
}

// begin starts a piece that is cut: its head is kept, n bytes are dropped.
func (s *Splitter) begin(n int) Piece {
	p := Piece{Bytes: bytes.Clone(s.buf[s.off : s.off+min(s.cut, n)])}
	s.scan.wrappers = false
	s.drop(&p, n)
	if cap(s.buf) > cutRecord {
		s.buf, s.off = append(make([]byte, 0, readSize+len(s.buf)-s.off), s.buf[s.off:]...), 0
	}
	return p
}

func (s *Splitter) drop(p *Piece, n int) {
	p.Length += int64(n)
	s.advance(n)
}

// lineInside looks among the next n bytes for a line that begins as an element
// does. Going back to it has a price, and a budget.
func (s *Splitter) lineInside(n int) (int, bool) {
	for k := 0; ; {
		i := bytes.IndexByte(s.buf[s.off+k:min(s.off+n, len(s.buf))], '\n')
		if i < 0 {
			return 0, false
		}
		k += i + 1
		if s.beginsLine(k) {
			return k, s.afford(n - k)
		}
	}
}

func (s *Splitter) afford(n int) bool {
	if s.budget < int64(n) {
		return false
	}
	s.budget -= int64(n)
	return true
}

// beginsLine says whether the line that starts at the k-th byte is indented as
// the one the element at hand began on, and begins with an element.
func (s *Splitter) beginsLine(k int) bool {
	n := k + len(s.begun)
	if !s.ensure(n+1) || !bytes.Equal(s.buf[s.off+k:s.off+n], s.begun) {
		return false
	}
	if s.buf[s.off+n] == ',' {
		for n++; s.ensure(n+1) && n < k+len(s.begun)+8 && s.buf[s.off+n] == ' '; n++ {
		}
	}
	return s.ensure(n+1) && (s.buf[s.off+n] == '{' || s.buf[s.off+n] == '[' && len(s.open) == 0)
}

// resync looks for the end of a broken stretch, from the byte where it broke.
type resync struct {
	s *Splitter
	n int // the byte looked at
	// lenient follows quotes and the open brackets to where the element closes;
	// text is set inside quotes, escaped behind a backslash.
	lenient, text, escaped bool
	open                   []byte
	inArray                bool
	// loose is set on a stretch that did not even begin as a value.
	loose bool
	// mark is where on its line "},{" seems to begin another element, or -1.
	mark int
	last [2]byte // the last two bytes that are not white space
	// cut, if set, is the piece whose bytes are no longer held.
	cut *Piece
}

// lastTwo returns the last two bytes that are not white space.
func lastTwo(b []byte) [2]byte {
	b = bytes.TrimRight(b, " \t\r\n")
	if len(b) == 0 {
		return [2]byte{}
	}
	before := bytes.TrimRight(b[:len(b)-1], " \t\r\n")
	if len(before) == 0 {
		return [2]byte{0, b[len(b)-1]}
	}
	return [2]byte{before[len(before)-1], b[len(b)-1]}
}

func (r *resync) run(fault string) Piece {
	s := r.s
	for s.ensure(r.n + 1) {
		if r.cut == nil && r.n >= s.max {
			if r.mark >= 0 && s.afford(r.n-r.mark) {
				return s.take(r.mark, fault)
			}
			p := s.begin(r.n)
			r.cut, r.n, r.mark = &p, 0, -1
			continue
		}
		if end, ok := r.step(s.buf[s.off+r.n]); ok {
			return r.give(end, fault)
		}
		if r.n++; r.cut != nil && r.n >= readSize {
			s.drop(r.cut, r.n)
			r.n = 0
		}
	}
	if r.mark >= 0 && s.afford(r.n-r.mark) {
		return r.give(r.mark, fault)
	}
	p := r.give(r.n, fault)
	p.Tail = fault == endsInside
	s.cutOff = s.cutOff || p.Tail
	return p
}

func (r *resync) give(end int, fault string) Piece {
	if r.cut == nil {
		return r.s.take(end, fault)
	}
	r.s.drop(r.cut, end)
	r.cut.Fault = fmt.Sprintf("%s; of its %d bytes the first %d are kept", fault, r.cut.Length, len(r.cut.Bytes))
	return *r.cut
}

// step looks at one byte and returns where the stretch ends, if it knows.
func (r *resync) step(c byte) (int, bool) {
	if c == '\n' {
		return r.newline()
	}
	if r.loose && r.n > 0 && c == ']' && r.s.top() == 'a' {
		return r.n, true
	}
	if end, ok := r.pattern(c); ok {
		return end, true
	}
	if r.lenient && r.closes(c) {
		if r.bounded() {
			return r.n + 1, true
		}
		r.lenient = false
	}
	return 0, false
}

func (r *resync) newline() (int, bool) {
	if r.text {
		r.lenient, r.text = false, false
	}
	if !r.lenient && r.mark >= 0 && r.s.afford(r.n-r.mark) {
		return r.mark, true
	}
	r.last = [2]byte{}
	if r.s.beginsLine(r.n + 1) {
		return r.n + 1, true
	}
	return 0, false
}

// pattern looks for "},{" with a key behind it: two elements that meet.
func (r *resync) pattern(c byte) (int, bool) {
	if isSpace(c) {
		return 0, false
	}
	meets := c == '{' && r.meets()
	r.last = [2]byte{r.last[1], c}
	if !meets || r.mark >= 0 {
		return 0, false
	}
	if r.loose || !r.lenient || r.s.budget < int64(r.s.max) {
		return r.n, true
	}
	if r.cut == nil {
		r.mark = r.n
	}
	return 0, false
}

// meets says whether an element may begin with the brace at hand.
func (r *resync) meets() bool {
	behind := r.last[1] == ',' && (r.last[0] == '}' || r.loose)
	return behind && r.n > 0 && r.keyFollows()
}

func (r *resync) keyFollows() bool {
	for k := r.n + 1; r.s.ensure(k+1) && k < r.n+64; k++ {
		if c := r.s.buf[r.s.off+k]; !isSpace(c) {
			return c == '"' || c == '}'
		}
	}
	return false
}

// closes follows brackets and quotes and says whether the outermost closes.
func (r *resync) closes(c byte) bool {
	switch {
	case r.escaped:
		r.escaped = false
	case r.text:
		r.escaped, r.text = c == '\\', c != '"'
	case c == '"':
		r.text = true
	case c == '{' || c == '[':
		r.open = append(r.open, c)
		r.lenient = len(r.open) <= maxDepth
	case c == '}' || c == ']':
		top := r.open[len(r.open)-1]
		r.lenient = top == '{' == (c == '}')
		r.open = r.open[:len(r.open)-1]
		return r.lenient && len(r.open) == 0
	}
	return false
}

// bounded says whether what follows the closing bracket may follow an element.
func (r *resync) bounded() bool {
	for k := r.n + 1; r.s.ensure(k + 1); k++ {
		switch r.s.buf[r.s.off+k] {
		case ' ', '\t', '\r':
		case '\n', ',', '{', 0x1e:
			return true
		case ']':
			return r.inArray
		default:
			return false
		}
	}
	return true
}

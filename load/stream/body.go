package stream

import (
	"github.com/idtrail/idtrail/load"
)

// entry is one event in a body.
type entry struct {
	start, end int // of its bytes in buf
	at         load.Position
	uid        string // of the event, to name it in a reject
	mark       Mark
}

// body is a request under construction, or on its way: framed entries of whole
// records, unless one record does not fit.
type body struct {
	buf     []byte
	entries []entry
	packed  []byte // the whole body as a Packer made it; nil if none did
	// from and to are the records it stands for, those without an event
	// included.
	from, to load.Position
	// partial: the last record goes on in the next body.
	partial bool
	// again: its events were accepted before with that span (counted from 1),
	// but never acknowledged. unsure: the receiver may have them already, for
	// that or another reason.
	again  int
	unsure bool
}

func (b *body) reset(f Frame) {
	clear(b.entries) // its ids hold events in memory
	b.buf, b.entries, b.partial = append(b.buf[:0], f.Open...), b.entries[:0], false
	b.packed = nil
}

// lastRecord returns the index of the first entry of the last record.
func (b *body) lastRecord() int {
	i := len(b.entries) - 1
	for i > 0 && b.entries[i-1].at == b.entries[i].at {
		i--
	}
	return i
}

// moveTo moves the entries from i on to next, which is empty.
func (b *body) moveTo(next *body, i int, f Frame) {
	for _, e := range b.entries[i:] {
		if len(next.entries) > 0 {
			next.buf = append(next.buf, f.Separator...)
		}
		start := len(next.buf)
		next.buf = append(next.buf, b.buf[e.start:e.end]...)
		e.start, e.end = start, len(next.buf)
		next.entries = append(next.entries, e)
	}
	clear(b.entries[i:])
	b.entries = b.entries[:i]
	b.buf = b.buf[:len(f.Open)]
	if i > 0 {
		b.buf = b.buf[:b.entries[i-1].end]
	}
}

// piece is the part of a body sent in one request: entries lo to hi-1.
type piece struct {
	lo, hi int
	// unsure: the receiver may have it already.
	unsure bool
	// faulty: something in it is refused, for the whole was and the rest was not.
	faulty bool
	// first of two halves of a piece that was refused.
	first bool
}

func (p piece) len() int { return p.hi - p.lo }

// size of the piece as a framed body.
func (b *body) size(p piece, f Frame) int {
	return len(f.Open) + b.entries[p.hi-1].end - b.entries[p.lo].start + len(f.Close)
}

// frame returns the piece as a body; where it is not the whole one, in room.
func (b *body) frame(p piece, f Frame, room []byte) (framed, newRoom []byte) {
	if p.lo == 0 && p.hi == len(b.entries) {
		b.buf = append(b.buf[:b.entries[p.hi-1].end], f.Close...)
		return b.buf, room
	}
	room = append(room[:0], f.Open...)
	room = append(room, b.buf[b.entries[p.lo].start:b.entries[p.hi-1].end]...)
	room = append(room, f.Close...)
	return room, room
}

// split halves a piece of more than one entry: between two records, unless it is
// all of one.
func (b *body) split(p piece) (first, second piece) {
	mid := b.middle(p)
	first, second = p, p
	first.hi, second.lo = mid, mid
	first.first, first.faulty = false, false
	second.first, second.faulty = false, false
	return first, second
}

func (b *body) middle(p piece) int {
	half := p.lo + p.len()/2
	for off := 0; off < p.len(); off++ {
		for _, i := range [2]int{half - off, half + off} {
			if i > p.lo && i < p.hi && b.entries[i-1].at != b.entries[i].at {
				return i
			}
		}
	}
	return half
}

// end returns where the records of a piece end, and whether its last record is
// whole there.
func (b *body) end(p piece) (to load.Position, whole bool) {
	if p.hi == len(b.entries) {
		return b.to, !b.partial
	}
	return b.entries[p.hi].at, b.entries[p.hi].at != b.entries[p.hi-1].at
}

package segment

import (
	"time"

	"github.com/idtrail/idtrail/schema"
)

// Builder gathers the records of the segment that is open. The zero value is an
// empty one.
type Builder struct {
	lines []byte
	kinds []KindRun
	count int64
	first time.Time
	last  time.Time
}

// Add appends a record: one line of JSON without a line feed.
func (b *Builder) Add(kind schema.Kind, line []byte, at time.Time) {
	b.lines = append(append(b.lines, line...), '\n')
	b.count++
	if n := len(b.kinds); n > 0 && b.kinds[n-1].Kind == kind {
		b.kinds[n-1].Count++
	} else {
		b.kinds = append(b.kinds, KindRun{Kind: kind, Count: 1})
	}
	if at.IsZero() {
		return
	}
	if b.first.IsZero() || at.Before(b.first) {
		b.first = at
	}
	if at.After(b.last) {
		b.last = at
	}
}

// Count of records added.
func (b *Builder) Count() int64 { return b.count }

// Bytes added, line feeds included.
func (b *Builder) Bytes() int64 { return int64(len(b.lines)) }

// Encode renders the segment: what the builder knows goes into h first.
func (b *Builder) Encode(h *Header) (file []byte, headerHash string, err error) {
	h.Kinds, h.Count, h.First, h.Last = b.kinds, b.count, b.first, b.last
	return Encode(h, b.lines)
}

// Reset empties the builder and keeps its memory.
func (b *Builder) Reset() { *b = Builder{lines: b.lines[:0]} }

package reconcile

import (
	"bufio"
	"bytes"
	"cmp"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/idtrail/idtrail/internal/tempfile"
)

// defaultSpill keeps small comparisons off the disk, and the memory of large
// ones far below what a small container has.
const defaultSpill = 8 << 20

// maxRecord bounds what is believed of a length read back.
const maxRecord = 1 << 30

// tape is an append-only sequence of bytes: in memory while it is small, in a
// temporary file from then on.
type tape struct {
	dir   string
	limit int
	mem   []byte
	f     *os.File
	w     *bufio.Writer
	size  int64
}

func (t *tape) write(p []byte) error {
	t.size += int64(len(p))
	if t.f == nil {
		if t.mem = append(t.mem, p...); len(t.mem) <= t.limit {
			return nil
		}
		if err := t.open(); err != nil {
			return err
		}
		p, t.mem = t.mem, nil
	}
	if _, err := t.w.Write(p); err != nil {
		return fmt.Errorf("write temporary file: %w", err)
	}
	return nil
}

// open makes the file.
func (t *tape) open() error {
	f, err := tempfile.New(t.dir, "reconcile")
	if err != nil {
		return err
	}
	t.f, t.w = f, bufio.NewWriterSize(f, 256<<10)
	return nil
}

// seal makes everything written readable.
func (t *tape) seal() error {
	if t.w == nil {
		return nil
	}
	if err := t.w.Flush(); err != nil {
		return fmt.Errorf("write temporary file: %w", err)
	}
	return nil
}

// ReadAt reads what was sealed.
func (t *tape) ReadAt(p []byte, off int64) (int, error) {
	if t.f != nil {
		return t.f.ReadAt(p, off)
	}
	return bytes.NewReader(t.mem).ReadAt(p, off)
}

func (t *tape) close() error {
	t.mem = nil
	if t.f == nil {
		return nil
	}
	err := t.f.Close()
	t.f = nil
	return err
}

// frame writes a record with its length before it.
func (t *tape) frame(rec []byte) error {
	var n [binary.MaxVarintLen64]byte
	if err := t.write(binary.AppendUvarint(n[:0], uint64(len(rec)))); err != nil {
		return err
	}
	return t.write(rec)
}

// frames reads the records of a stretch of a tape.
type frames struct {
	r    *bufio.Reader
	rec  []byte
	left int64 // bytes not read yet
}

func (t *tape) frames(from, to int64, buffer int) *frames {
	return &frames{r: bufio.NewReaderSize(io.NewSectionReader(t, from, to-from), buffer), left: to - from}
}

// next reads a record, which is good until the following call; io.EOF behind
// the last.
func (f *frames) next() ([]byte, error) {
	if f.left == 0 {
		return nil, io.EOF
	}
	n, err := binary.ReadUvarint(f.r)
	if err != nil {
		return nil, fmt.Errorf("read temporary file: %w", noEOF(err))
	}
	if n > maxRecord {
		return nil, errSpilled
	}
	f.rec = slices.Grow(f.rec[:0], int(n))[:n]
	if _, err := io.ReadFull(f.r, f.rec); err != nil {
		return nil, fmt.Errorf("read temporary file: %w", noEOF(err))
	}
	f.left -= int64(uvarintLen(n)) + int64(len(f.rec))
	return f.rec, nil
}

// noEOF keeps a tape that ends too early from passing for one that is read.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func uvarintLen(n uint64) int {
	var b [binary.MaxVarintLen64]byte
	return binary.PutUvarint(b[:], n)
}

// spool sorts records by their bytes, on disk when they are many.
type spool struct {
	dir   string
	limit int
	arena []byte
	index []arenaEntry
	disk  *tape
	runs  []run
}

// arenaEntry is a record in the arena; prefix is its first eight bytes, which
// decide most comparisons without a look at the record.
type arenaEntry struct {
	prefix uint64
	off, n uint32
}

type run struct{ from, to int64 }

func newSpool(dir string, limit int) *spool {
	return &spool{dir: dir, limit: limit, disk: &tape{dir: dir}}
}

func (s *spool) add(rec []byte) error {
	var p [8]byte
	copy(p[:], rec)
	s.index = append(s.index, arenaEntry{
		prefix: binary.BigEndian.Uint64(p[:]),
		off:    uint32(len(s.arena)), n: uint32(len(rec)), //nolint:gosec // the arena stays below its limit and one record
	})
	s.arena = append(s.arena, rec...)
	if len(s.arena) < s.limit {
		return nil
	}
	return s.flush()
}

func (s *spool) rec(e arenaEntry) []byte { return s.arena[e.off : e.off+e.n] }

func (s *spool) sort() {
	slices.SortFunc(s.index, func(a, b arenaEntry) int {
		if c := cmp.Compare(a.prefix, b.prefix); c != 0 {
			return c
		}
		return bytes.Compare(s.rec(a), s.rec(b))
	})
}

// flush writes what is in memory as one sorted run.
func (s *spool) flush() error {
	if len(s.index) == 0 {
		return nil
	}
	s.sort()
	from := s.disk.size
	for _, e := range s.index {
		if err := s.disk.frame(s.rec(e)); err != nil {
			return err
		}
	}
	s.runs = append(s.runs, run{from, s.disk.size})
	s.index, s.arena = s.index[:0], s.arena[:0]
	return nil
}

// each hands out all records in order, once, and closes the spool. A record is
// good until the callback returns.
func (s *spool) each(fn func(rec []byte) error) error {
	if len(s.runs) == 0 {
		return errors.Join(s.eachInMemory(fn), s.close())
	}
	err := s.flush()
	s.arena, s.index = nil, nil
	if err == nil {
		err = s.disk.seal()
	}
	if err == nil {
		err = s.merge(fn)
	}
	return errors.Join(err, s.close())
}

func (s *spool) eachInMemory(fn func(rec []byte) error) error {
	s.sort()
	for _, e := range s.index {
		if err := fn(s.rec(e)); err != nil {
			return err
		}
	}
	return nil
}

func (s *spool) merge(fn func(rec []byte) error) error {
	var h runHeap
	for _, r := range s.runs {
		f := s.disk.frames(r.from, r.to, 32<<10)
		if _, err := f.next(); err != nil {
			return err
		}
		h = append(h, f)
	}
	heap.Init(&h)
	for len(h) > 0 {
		if err := fn(h[0].rec); err != nil {
			return err
		}
		switch _, err := h[0].next(); {
		case errors.Is(err, io.EOF):
			heap.Pop(&h)
		case err != nil:
			return err
		default:
			heap.Fix(&h, 0)
		}
	}
	return nil
}

func (s *spool) close() error {
	s.arena, s.index, s.runs = nil, nil, nil
	return s.disk.close()
}

// runHeap holds the runs being merged, the one with the least record on top.
type runHeap []*frames

func (h runHeap) Len() int           { return len(h) }
func (h runHeap) Less(i, j int) bool { return bytes.Compare(h[i].rec, h[j].rec) < 0 }
func (h runHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *runHeap) Push(x any)        { *h = append(*h, x.(*frames)) }
func (h *runHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}

// appendKey appends s so that the bytes of records beginning with keys sort as
// the keys do, whatever they hold: 0 becomes 0 FF, and 0 1 ends the key.
func appendKey(b []byte, s string) []byte {
	for i := range len(s) {
		if b = append(b, s[i]); s[i] == 0 {
			b = append(b, 0xFF)
		}
	}
	return append(b, 0, 1)
}

// cutKey takes a key off the front of b.
func cutKey(b []byte) (key string, rest []byte, ok bool) {
	i := bytes.IndexByte(b, 0)
	var out []byte
	for i >= 0 && i+1 < len(b) {
		out = append(out, b[:i]...)
		if b[i+1] == 1 {
			return string(out), b[i+2:], true
		}
		out = append(out, 0)
		b = b[i+2:]
		i = bytes.IndexByte(b, 0)
	}
	return "", nil, false
}

package pipeline

import (
	"bufio"
	"cmp"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"

	"github.com/klauspost/compress/s2"

	"github.com/idtrail/idtrail/internal/tempfile"
)

// sortKey orders what is flushed: tables one after another, in a table day by
// day, in a day by snapshot and time; the record's place makes the order total.
type sortKey struct {
	table    uint8
	day      int32 // days since 1970-01-01
	snapshot string
	millis   int64
	segment  int64
	record   int32
}

func (k sortKey) compare(o sortKey) int {
	return cmp.Or(
		cmp.Compare(k.table, o.table), cmp.Compare(k.day, o.day), cmp.Compare(k.snapshot, o.snapshot),
		cmp.Compare(k.millis, o.millis), cmp.Compare(k.segment, o.segment), cmp.Compare(k.record, o.record))
}

// sorted is one item in its order; payload is good until the next one.
type sorted struct {
	key     sortKey
	payload []byte
}

// sorter sorts more than fits into memory: what exceeds the budget is written,
// sorted and compressed, to temporary files that are merged at the end. The
// files have no name once they are open, so nothing is left however the process
// ends.
type sorter struct {
	dir    string
	budget int
	held   int // bytes of payload in memory
	chunks [][]byte
	free   [][]byte // chunks to use again
	items  []item
	runs   []*os.File
}

// item's payload lies in one chunk.
type item struct {
	key             sortKey
	chunk, off, len int32
}

// chunkSize is what payloads are gathered in: one slice that grows would need
// twice its size each time it does.
const chunkSize = 1 << 20

// add copies the payload, given in parts.
func (s *sorter) add(key sortKey, payload ...[]byte) error {
	size := 0
	for _, part := range payload {
		size += len(part)
	}
	if s.held > 0 && s.held+size > s.budget {
		if err := s.spill(); err != nil {
			return err
		}
	}
	chunk := s.chunkFor(size)
	//nolint:gosec // a chunk is far below 2 GiB, and there are few
	s.items = append(s.items, item{key: key, chunk: int32(len(s.chunks) - 1), off: int32(len(*chunk)), len: int32(size)})
	for _, part := range payload {
		*chunk = append(*chunk, part...)
	}
	s.held += size
	return nil
}

// chunkFor is the last chunk, if it has room, else a new one.
func (s *sorter) chunkFor(size int) *[]byte {
	if n := len(s.chunks); n > 0 && cap(s.chunks[n-1])-len(s.chunks[n-1]) >= size {
		return &s.chunks[n-1]
	}
	if n := len(s.free); n > 0 && size <= chunkSize {
		s.chunks, s.free = append(s.chunks, s.free[n-1][:0]), s.free[:n-1]
	} else {
		s.chunks = append(s.chunks, make([]byte, 0, max(chunkSize, size)))
	}
	return &s.chunks[len(s.chunks)-1]
}

func (s *sorter) payload(it item) []byte { return s.chunks[it.chunk][it.off : it.off+it.len] }

// all yields the items in order, once.
func (s *sorter) all() iter.Seq2[sorted, error] {
	return func(yield func(sorted, error) bool) {
		s.sortItems()
		if len(s.runs) == 0 {
			for _, it := range s.items {
				if !yield(sorted{key: it.key, payload: s.payload(it)}, nil) {
					return
				}
			}
			return
		}
		if err := s.merge(yield); err != nil {
			yield(sorted{}, fmt.Errorf("sort: %w", err))
		}
	}
}

func (s *sorter) close() error {
	var errs []error
	for _, f := range s.runs {
		errs = append(errs, f.Close())
	}
	s.chunks, s.free, s.items, s.runs = nil, nil, nil, nil
	return errors.Join(errs...)
}

func (s *sorter) sortItems() {
	slices.SortFunc(s.items, func(a, b item) int { return a.key.compare(b.key) })
}

func (s *sorter) spill() (err error) {
	s.sortItems()
	f, err := tempfile.New(s.dir, "sort")
	if err != nil {
		return err
	}
	s.runs = append(s.runs, f)
	w := s2.NewWriter(f, s2.WriterBlockSize(spillBlock), s2.WriterConcurrency(1))
	for _, it := range s.items {
		if err := writeItem(w, it.key, s.payload(it)); err != nil {
			return fmt.Errorf("write temporary file in %s: %w", s.dir, err)
		}
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("write temporary file in %s: %w", s.dir, err)
	}
	for _, chunk := range s.chunks {
		if cap(chunk) == chunkSize {
			s.free = append(s.free, chunk)
		}
	}
	s.held, s.chunks, s.items = 0, nil, s.items[:0]
	return nil
}

const (
	spillBlock = 64 << 10
	keySize    = 1 + 4 + 8 + 8 + 4
)

func writeItem(w io.Writer, k sortKey, payload []byte) error {
	head := make([]byte, 0, keySize+2*binary.MaxVarintLen64+len(k.snapshot))
	head = append(head, k.table)
	head = binary.BigEndian.AppendUint32(head, uint32(k.day))     //nolint:gosec // read back as it was
	head = binary.BigEndian.AppendUint64(head, uint64(k.millis))  //nolint:gosec // read back as it was
	head = binary.BigEndian.AppendUint64(head, uint64(k.segment)) //nolint:gosec // read back as it was
	head = binary.BigEndian.AppendUint32(head, uint32(k.record))  //nolint:gosec // read back as it was
	head = binary.AppendUvarint(head, uint64(len(k.snapshot)))
	head = append(head, k.snapshot...)
	head = binary.AppendUvarint(head, uint64(len(payload)))
	if _, err := w.Write(head); err != nil {
		return err
	}
	_, err := w.Write(payload)
	return err
}

// spilled reads one temporary file item by item.
type spilled struct {
	r       *bufio.Reader
	current sorted
	text    []byte
}

func (r *spilled) next() error {
	var head [keySize]byte
	if _, err := io.ReadFull(r.r, head[:]); err != nil {
		return err
	}
	var err error
	if r.text, err = r.part(r.text); err != nil {
		return err
	}
	snapshot := r.current.key.snapshot
	if string(r.text) != snapshot { // the same for most items that follow each other
		snapshot = string(r.text)
	}
	r.current.key = sortKey{
		table:    head[0],
		day:      int32(binary.BigEndian.Uint32(head[1:])), //nolint:gosec // written from an int32
		snapshot: snapshot,
		millis:   int64(binary.BigEndian.Uint64(head[5:])),  //nolint:gosec // written from an int64
		segment:  int64(binary.BigEndian.Uint64(head[13:])), //nolint:gosec // written from an int64
		record:   int32(binary.BigEndian.Uint32(head[21:])), //nolint:gosec // written from an int32
	}
	r.current.payload, err = r.part(r.current.payload)
	return err
}

// part reads what a length stands before, into buf.
func (r *spilled) part(buf []byte) ([]byte, error) {
	size, err := binary.ReadUvarint(r.r)
	if err != nil {
		return buf, err
	}
	buf = slices.Grow(buf[:0], int(size))[:size] //nolint:gosec // a length we wrote
	_, err = io.ReadFull(r.r, buf)
	return buf, err
}

func (s *sorter) merge(yield func(sorted, error) bool) error {
	if len(s.items) > 0 {
		if err := s.spill(); err != nil {
			return err
		}
	}
	s.chunks, s.free, s.items = nil, nil, nil // the merge needs the memory more
	var h runHeap
	for _, f := range s.runs {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
		r := &spilled{r: bufio.NewReaderSize(s2.NewReader(f, s2.ReaderMaxBlockSize(spillBlock), s2.ReaderAllocBlock(spillBlock)), 16<<10)}
		if err := r.next(); err != nil {
			return err
		}
		h = append(h, r)
	}
	heap.Init(&h)
	for len(h) > 0 {
		if !yield(h[0].current, nil) {
			return nil
		}
		switch err := h[0].next(); {
		case err == nil:
			heap.Fix(&h, 0)
		case errors.Is(err, io.EOF):
			heap.Pop(&h)
		default:
			return err
		}
	}
	return nil
}

// runHeap has the run with the smallest item on top.
type runHeap []*spilled

func (h runHeap) Len() int           { return len(h) }
func (h runHeap) Less(i, j int) bool { return h[i].current.key.compare(h[j].current.key) < 0 }
func (h runHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *runHeap) Push(x any)        { *h = append(*h, x.(*spilled)) }
func (h *runHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}

package lake

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/parquet-go/parquet-go"

	"github.com/idtrail/idtrail/internal/blob"
)

// isFar says that a store is a bucket: each read is a request.
func isFar(store blob.Store) bool { return strings.Contains(store.URL(), "://") }

// searched is a Parquet object open for a search. It is read in few, large
// stretches: its end first, then what is fetched. Reads within those cost nothing,
// others go to the store.
type searched struct {
	at   blob.ReadAtCloser
	size int64
	// end are its last bytes.
	end     []byte
	ends    *ends
	fetched []fetched
	// apart is how far stretches lie apart that are read as one.
	apart int64
	// failed is what the store said when it failed.
	failed error
}

// fetched is a stretch that was read.
type fetched struct {
	from  int64
	bytes []byte
}

// stretchOf is a stretch of an object.
type stretchOf struct{ from, to int64 }

const (
	// firstEnd is how much of the end is read before anything is known of the
	// lake's objects; then it is as much as the last one took, and slackEnd.
	firstEnd = 64 << 10
	slackEnd = 8 << 10
	// A gap is read rather than left out if that is cheaper: than a request, or
	// than a call to the system.
	apartFar, apartNear = 256 << 10, 16 << 10
	// readBuffer is the library's for each column. It may read so far beyond
	// what it needs.
	readBuffer = 4 << 10
)

// ends are the buffers of the ends of objects, which are used again, and how much
// of an end to read: as much as was of use before.
type ends struct {
	buffers sync.Pool
	bytes   atomic.Int64
}

func (e *ends) buffer(n int64) []byte {
	b, _ := e.buffers.Get().(*[]byte)
	if b == nil || int64(cap(*b)) < n {
		return make([]byte, n)
	}
	return (*b)[:n]
}

// open opens an object and reads its end: footer and index of names.
func (s *search) open(ctx context.Context, info blob.Info) (*searched, error) {
	at, size, err := openAt(ctx, s.reader.store, info, false)
	if err != nil {
		return nil, err
	}
	o := &searched{at: at, size: size, apart: apartNear, ends: &s.ends}
	if s.far {
		o.apart = apartFar
	}
	for n := cmp.Or(s.ends.bytes.Load(), firstEnd); ; {
		if err := o.readEnd(min(n, size)); err != nil {
			o.close()
			return nil, err
		}
		_, err := indexOf(o.end, size)
		short, ok := errors.AsType[shortError](err)
		if !ok {
			return o, nil
		}
		n = int64(short)
		s.ends.bytes.Store(n + slackEnd)
	}
}

// readEnd reads the last n bytes.
func (o *searched) readEnd(n int64) error {
	o.dropEnd()
	end := o.ends.buffer(n)
	if _, err := o.ReadAt(end, o.size-n); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	o.end = end
	return nil
}

func (o *searched) dropEnd() {
	if end := o.end; end != nil {
		o.ends.buffers.Put(&end)
	}
	o.end = nil
}

func (o *searched) close() {
	o.dropEnd()
	_ = o.at.Close()
}

// parse reads the footer.
func (o *searched) parse() (*parquet.File, error) {
	return parquet.OpenFile(o, o.size,
		parquet.SkipMagicBytes(true), parquet.SkipBloomFilters(true), parquet.SkipPageIndex(true),
		parquet.ReadBufferSize(readBuffer))
}

// ReadAt serves what was read before, and reads what was not.
func (o *searched) ReadAt(p []byte, off int64) (int, error) {
	if from := o.size - int64(len(o.end)); len(o.end) > 0 && off >= from && off < o.size {
		n := copy(p, o.end[off-from:])
		if n < len(p) {
			return n, io.EOF
		}
		return n, nil
	}
	for _, f := range o.fetched {
		if off >= f.from && off+int64(len(p)) <= f.from+int64(len(f.bytes)) {
			return copy(p, f.bytes[off-f.from:]), nil
		}
	}
	n, err := o.at.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) {
		o.failed = err
	}
	return n, err
}

// fetch reads stretches that are needed, those that lie close to each other in one.
func (o *searched) fetch(wanted []stretchOf) error {
	slices.SortFunc(wanted, func(a, b stretchOf) int { return cmp.Compare(a.from, b.from) })
	var all []stretchOf
	for _, w := range wanted {
		w.to = min(w.to, o.size-int64(len(o.end))) // the rest is there
		if w.from >= w.to {
			continue
		}
		if n := len(all); n > 0 && w.from <= all[n-1].to+o.apart {
			all[n-1].to = max(all[n-1].to, w.to)
			continue
		}
		all = append(all, w)
	}
	for _, w := range all {
		if w.from < 0 {
			return errors.New("a column is said to begin before the file does")
		}
		bytes := make([]byte, w.to-w.from)
		if _, err := o.ReadAt(bytes, w.from); err != nil {
			return err
		}
		o.fetched = append(o.fetched, fetched{w.from, bytes})
	}
	return nil
}

// forget drops what was fetched.
func (o *searched) forget() { o.fetched = nil }

// chunkStretch is where a column of a row group lies.
func chunkStretch(f *parquet.File, group, column int) stretchOf {
	meta := f.Metadata().RowGroups[group].Columns[column].MetaData
	from := meta.DataPageOffset
	if d := meta.DictionaryPageOffset; d > 0 {
		from = min(from, d)
	}
	return stretchOf{from, from + meta.TotalCompressedSize}
}

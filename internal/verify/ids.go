package verify

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/segment"
	"github.com/idtrail/idtrail/internal/tempfile"
	"github.com/idtrail/idtrail/schema"
)

// idEntry is the id of one landed record and where it lies.
type idEntry struct {
	id          [16]byte
	seq, record int64
}

const idEntrySize = 32

// The most ids that are held in memory; more go to files, by their first byte.
// An id is a hash, so the files are of one size.
const (
	idsInMemory = 1 << 20
	idFiles     = 256
)

// idSet collects ids and finds those that come twice.
type idSet struct {
	dir string
	// limit is how many are held in memory.
	limit int

	mu      sync.Mutex
	held    []idEntry
	files   []*os.File
	writers []*bufio.Writer
}

func (s *idSet) add(entries []idEntry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = append(s.held, entries...)
	if len(s.held) < s.limit {
		return nil
	}
	return s.spill()
}

func (s *idSet) spill() error {
	for len(s.files) < idFiles {
		f, err := tempfile.New(s.dir, "verify")
		if err != nil {
			return err
		}
		s.files, s.writers = append(s.files, f), append(s.writers, bufio.NewWriterSize(f, 16<<10))
	}
	var b [idEntrySize]byte
	for _, e := range s.held {
		copy(b[:], e.id[:])
		binary.BigEndian.PutUint64(b[16:], uint64(e.seq))    //nolint:gosec // numbers from 0 on
		binary.BigEndian.PutUint64(b[24:], uint64(e.record)) //nolint:gosec // numbers from 0 on
		if _, err := s.writers[e.id[0]].Write(b[:]); err != nil {
			return fmt.Errorf("write temporary file: %w", err)
		}
	}
	s.held = s.held[:0]
	return nil
}

// doubled calls found for every record whose id an earlier one has.
func (s *idSet) doubled(found func(first, again idEntry)) error {
	if len(s.files) == 0 {
		scanDoubled(s.held, found)
		return nil
	}
	if err := s.spill(); err != nil {
		return err
	}
	for i, f := range s.files {
		entries, err := readIDs(f, s.writers[i])
		if err != nil {
			return fmt.Errorf("read temporary file: %w", err)
		}
		scanDoubled(entries, found)
	}
	return nil
}

func readIDs(f *os.File, w *bufio.Writer) ([]idEntry, error) {
	if err := w.Flush(); err != nil {
		return nil, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	var entries []idEntry
	r := bufio.NewReaderSize(f, 1<<20)
	var b [idEntrySize]byte
	for {
		_, err := io.ReadFull(r, b[:])
		if errors.Is(err, io.EOF) {
			return entries, nil
		}
		if err != nil {
			return nil, err
		}
		entries = append(entries, idEntry{
			id: [16]byte(b[:16]), seq: int64(binary.BigEndian.Uint64(b[16:])), record: int64(binary.BigEndian.Uint64(b[24:])), //nolint:gosec // as written
		})
	}
}

func scanDoubled(entries []idEntry, found func(first, again idEntry)) {
	slices.SortFunc(entries, func(a, b idEntry) int {
		return cmp.Or(bytes.Compare(a.id[:], b.id[:]), cmp.Compare(a.seq, b.seq), cmp.Compare(a.record, b.record))
	})
	first := 0
	for i := 1; i < len(entries); i++ {
		if entries[i].id != entries[first].id {
			first = i
			continue
		}
		found(entries[first], entries[i])
	}
}

func (s *idSet) close() {
	for _, f := range s.files {
		_ = f.Close() // nameless: nothing is lost with it
	}
}

// collect proves a segment by itself, as segment.Read does, and takes its
// records' ids.
func (s *inspection) collect(ctx context.Context, store blob.Store, seq int64) (*segment.Segment, error) {
	seg, err := segment.Read(ctx, store, s.out.Source, seq)
	if err != nil {
		return nil, err
	}
	entries := make([]idEntry, 0, seg.Header.Count)
	for rec := range seg.Records() {
		if rec.Kind == schema.KindErased {
			continue
		}
		entries = append(entries, idEntry{id: idOf(seg.Header.Snapshot, rec), seq: seq, record: rec.At.Record})
	}
	return seg, s.ids.add(entries)
}

// idOf names a record as landing does: by the vendor's id, else by its bytes;
// within its snapshot, if it is of one.
func idOf(snapshot *schema.Snapshot, rec segment.Record) [16]byte {
	id := rec.Kind.ID(rec.Line)
	if id == "" {
		id = schema.HashID(rec.Line)
	}
	within := ""
	if snapshot != nil {
		within = snapshot.ID
	}
	sum := sha256.Sum256([]byte(within + "\x00" + id))
	return [16]byte(sum[:16])
}

// judgeIDs names the segments that hold records landed before.
func (s *inspection) judgeIDs(context.Context) error {
	if s.ids == nil {
		return nil
	}
	type twice struct {
		n            int
		first, again idEntry
	}
	bySegment := map[int64]twice{}
	err := s.ids.doubled(func(first, again idEntry) {
		t := bySegment[again.seq]
		if t.n == 0 || again.record < t.again.record {
			t.first, t.again = first, again
		}
		t.n++
		bySegment[again.seq] = t
	})
	for seq, t := range bySegment {
		more := ""
		if t.n > 1 {
			more = fmt.Sprintf(", and %d more", t.n-1)
		}
		s.find(Doubled, segment.Key(s.out.Source, seq), "record %d was landed before, as record %d of segment %d%s", t.again.record, t.first.record, t.first.seq, more)
	}
	return err
}

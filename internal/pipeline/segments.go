package pipeline

import (
	"context"
	"sync"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/segment"
)

// segments reads a source's segments for sinks that stream. Sinks that stand at
// the same one share it; the newest is kept for those still to come, so that
// all that are up to date need one reading. So memory holds that one, and one
// for each sink that lags.
type segments struct {
	raw    blob.Store
	source string

	mu     sync.Mutex
	shared map[int64]*sharedSegment
	newest int64
}

type sharedSegment struct {
	users int
	ready chan struct{} // closed once seg or err is there
	seg   *segment.Segment
	err   error
}

func newSegments(raw blob.Store, source string) *segments {
	return &segments{raw: raw, source: source, shared: map[int64]*sharedSegment{}, newest: -1}
}

// get returns a segment, which is not to be used after release.
func (s *segments) get(ctx context.Context, seq int64) (seg *segment.Segment, release func(), err error) {
	for {
		entry, mine := s.join(seq)
		if mine {
			s.load(ctx, seq, entry)
			return entry.seg, func() { s.leave(seq, entry) }, entry.err
		}
		select {
		case <-entry.ready:
		case <-ctx.Done():
			s.leave(seq, entry)
			return nil, func() {}, ctx.Err()
		}
		if entry.err == nil {
			return entry.seg, func() { s.leave(seq, entry) }, nil
		}
		s.leave(seq, entry) // another sink could not read it, for reasons that may be its own
	}
}

// join returns the segment's entry; mine says that the caller is to load it.
func (s *segments) join(seq int64) (entry *sharedSegment, mine bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	entry, ok := s.shared[seq]
	if !ok {
		entry = &sharedSegment{ready: make(chan struct{})}
		s.shared[seq] = entry
	}
	entry.users++
	return entry, !ok
}

func (s *segments) load(ctx context.Context, seq int64, entry *sharedSegment) {
	entry.seg, entry.err = segment.Read(ctx, s.raw, s.source, seq)
	s.mu.Lock()
	defer s.mu.Unlock()
	defer close(entry.ready)
	switch {
	case entry.err != nil:
		delete(s.shared, seq)
	case seq > s.newest:
		if before, ok := s.shared[s.newest]; ok && before.users == 0 {
			delete(s.shared, s.newest)
		}
		s.newest = seq
	}
}

func (s *segments) leave(seq int64, entry *sharedSegment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if entry.users--; entry.users == 0 && seq != s.newest && s.shared[seq] == entry {
		delete(s.shared, seq)
	}
}

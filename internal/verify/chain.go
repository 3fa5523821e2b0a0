package verify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/proof"
	"github.com/idtrail/idtrail/internal/segment"
	"github.com/idtrail/idtrail/schema"
)

// link is one segment as it is found.
type link struct {
	seq    int64
	there  bool
	header *segment.Header
	hash   string // of the header
	file   string // of the object
	size   int64
	gaps   []schema.Gap
	erased int64 // records cut out of it on purpose
}

// readChain reads every segment that is there or ought to be.
func (s *inspection) readChain(ctx context.Context) error {
	numbers, err := s.listSegments(ctx)
	if err != nil {
		return err
	}
	s.chain = make([]link, len(numbers))
	err = each(ctx, s.o.Workers, numbers, func(ctx context.Context, i int, seq int64) error {
		l, err := s.readSegment(ctx, seq)
		s.chain[i] = l
		return err
	})
	if err != nil {
		return err
	}
	s.checkChain()
	return nil
}

// listSegments returns the numbers found and notes the holes between them.
func (s *inspection) listSegments(ctx context.Context) ([]int64, error) {
	var numbers []int64
	next := int64(0)
	for seq, err := range segment.List(ctx, s.o.Raw, s.out.Source, 0) {
		if err != nil && ctx.Err() == nil {
			s.find(Unaccounted, s.out.Source, "%v", err)
			break
		}
		if err != nil {
			return nil, err
		}
		s.hole(next, seq)
		numbers = append(numbers, seq)
		next = seq + 1
	}
	s.end(next)
	return numbers, nil
}

// hole judges segments from to to-1, which are not there.
func (s *inspection) hole(from, to int64) {
	for seq := from; seq < to; seq++ {
		key := segment.Key(s.out.Source, seq)
		was, listed := s.notes.segments[seq]
		if seq <= s.notes.pruned && (!listed || s.notes.becomes(proof.Raw, key, was.File, "")) {
			continue
		}
		s.find(Missing, key, "segment %d is not there, a later one is%s", seq, records(was, listed))
	}
}

// end judges whether segments behind the newest one found are gone.
func (s *inspection) end(next int64) {
	last := s.notes.last
	if last == nil || last.Head < next {
		return
	}
	for seq := next; seq <= last.Head; seq++ {
		was, listed := s.notes.segments[seq]
		s.find(Truncated, segment.Key(s.out.Source, seq), "segment %d is not there: checkpoint %d says the chain went to %d%s", seq, last.Number, last.Head, records(was, listed))
	}
}

func records(was proof.Segment, listed bool) string {
	if !listed {
		return ""
	}
	return fmt.Sprintf("; it held %d records", was.Count)
}

// anchors holds the chain against heads kept elsewhere.
func (s *inspection) anchors() {
	for _, a := range s.o.Anchors {
		if a.Source != s.out.Source {
			continue
		}
		key, found := segment.Key(a.Source, a.Seq), false
		for _, l := range s.chain {
			if l.seq == a.Seq {
				found = true
				if l.hash != a.SHA256 {
					s.find(Altered, key, "its header is not the one the anchor names")
				}
			}
		}
		switch {
		case found, a.Seq == s.notes.pruned && a.SHA256 == s.notes.prunedHash, a.Seq < s.notes.pruned:
		case a.Seq > s.out.Head:
			s.find(Truncated, key, "the anchor says the chain went to segment %d, and it ends at %d", a.Seq, s.out.Head)
		default:
			s.find(Missing, key, "the anchor names it")
		}
	}
}

// readSegment hashes a segment's file and reads its header; it unpacks the
// records only where no checkpoint proves the file.
func (s *inspection) readSegment(ctx context.Context, seq int64) (link, error) {
	l := link{seq: seq}
	key := segment.Key(s.out.Source, seq)
	var head prefix
	var err error
	l.file, l.size, err = hashObject(ctx, s.o.Raw, key, &head)
	if err != nil {
		return l, s.unreadable(ctx, key, err)
	}
	l.there = true
	s.progress(l.size)
	was, listed := s.notes.segments[seq]
	proven := listed && s.notes.becomes(proof.Raw, key, was.File, l.file)
	if listed && !proven {
		s.altered(key, was, l)
	}
	seg, err := segment.DecodeHeader(head.Bytes(), s.out.Source, seq)
	if err != nil || !proven || s.o.Deep {
		return l, s.unpack(ctx, &l, listed)
	}
	l.take(seg)
	return l, nil
}

func (l *link) take(seg *segment.Segment) {
	l.header, l.hash, l.gaps = &seg.Header, seg.SHA256, seg.Header.Gaps
}

// altered says what a file that is not the one of its checkpoint may be.
func (s *inspection) altered(key string, was proof.Segment, l link) {
	for seq, other := range s.notes.segments {
		if seq != l.seq && other.File == l.file {
			s.find(Altered, key, "it is the file of segment %d", seq)
			return
		}
	}
	s.find(Altered, key, "its SHA-256 is not the one its checkpoint states (%s)", was.File)
}

// unpack proves a segment by itself: its lines against its header.
func (s *inspection) unpack(ctx context.Context, l *link, listed bool) error {
	key := segment.Key(s.out.Source, l.seq)
	seg, err := segment.Read(ctx, s.o.Raw, s.out.Source, l.seq)
	switch {
	case err == nil:
		l.take(seg)
	case errors.Is(err, segment.ErrDamaged) && !listed:
		s.find(Altered, key, "%v", err)
	case errors.Is(err, segment.ErrDamaged):
		// Said already: its file is not the one its checkpoint states.
	default:
		return s.unreadable(ctx, key, err)
	}
	return nil
}

// checkChain holds every header against the one before it and against what
// checkpoints list, and adds up.
func (s *inspection) checkChain() {
	for i := range s.chain {
		l := &s.chain[i]
		if l.header == nil {
			continue
		}
		key := segment.Key(s.out.Source, l.seq)
		if want, ok := s.before(i); ok && l.header.Prev != want {
			s.find(Altered, key, "does not name the segment before it: one of the two is another than was written")
		}
		if was, listed := s.notes.segments[l.seq]; listed {
			s.out.Proven++
			if was.Header != l.hash {
				s.find(Altered, key, "its header is not the one its checkpoint states")
			}
		}
		s.checkGaps(l)
		s.add(l)
	}
}

// before is the hash the i-th segment has to name as the one before it; false
// where nobody knows.
func (s *inspection) before(i int) (string, bool) {
	seq := s.chain[i].seq
	if seq == 0 {
		return "", true
	}
	if i > 0 && s.chain[i-1].seq == seq-1 && s.chain[i-1].header != nil {
		return s.chain[i-1].hash, true
	}
	if seq-1 == s.notes.pruned {
		return s.notes.prunedHash, true
	}
	was, ok := s.notes.segments[seq-1]
	return was.Header, ok
}

// checkGaps holds the gaps of a header against those a checkpoint lists.
func (s *inspection) checkGaps(l *link) {
	key := segment.Key(s.out.Source, l.seq)
	for n, g := range proof.GapsOf(l.seq, l.gaps) {
		s.out.Gaps = append(s.out.Gaps, GapSpan{Segment: l.seq, From: g.From, To: g.To, Reason: g.Reason})
		if was, ok := s.notes.gaps[[2]int64{l.seq, int64(n)}]; ok && was != g {
			s.find(Altered, key, "its gap %d is not the one its checkpoint states", n)
		}
	}
	for name, was := range s.notes.gaps {
		if name[0] == l.seq && name[1] >= int64(len(l.gaps)) {
			s.find(Missing, key, "the gap from %s to %s, which its checkpoint states, is not in it", was.From.Format(time.RFC3339), was.To.Format(time.RFC3339))
		}
	}
}

func (s *inspection) add(l *link) {
	h, o := l.header, &s.out
	o.Kind, o.Identity = h.Kind, h.Identity
	o.Segments++
	o.Records += h.Count
	o.Bytes += l.size
	if l.seq > o.Head {
		o.Head, o.HeadHash, o.LastLanded = l.seq, l.hash, h.LandedAt
	}
	if o.FirstLanded.IsZero() {
		o.FirstLanded = h.LandedAt
	}
	if !h.First.IsZero() && (o.First.IsZero() || h.First.Before(o.First)) {
		o.First = h.First
	}
	if h.Last.After(o.Last) {
		o.Last = h.Last
	}
	day := h.LandedAt.UTC().Format(time.DateOnly)
	d := o.Days[day]
	d.Segments++
	d.Records += h.Count
	o.Days[day] = d
}

// prefixBytes of a segment are kept while it is hashed: its header is there.
const prefixBytes = 256 << 10

// prefix keeps the first bytes written to it.
type prefix struct{ bytes.Buffer }

func (p *prefix) Write(b []byte) (int, error) {
	if room := prefixBytes - p.Len(); room > 0 {
		p.Buffer.Write(b[:min(room, len(b))])
	}
	return len(b), nil
}

// hashBuffer is what is read of an object at a time.
const hashBuffer = 1 << 20

// hashObject returns the SHA-256 and size of an object; copyTo, if any, is given
// its bytes.
func hashObject(ctx context.Context, store blob.Store, key string, copyTo io.Writer) (hash string, size int64, err error) {
	body, _, err := store.Get(ctx, key)
	if err != nil {
		return "", 0, err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	sum := sha256.New()
	var to io.Writer = sum
	if copyTo != nil {
		to = io.MultiWriter(sum, copyTo)
	}
	// Not io.Copy alone: a file would be read in pieces of 32 KiB.
	size, err = io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{body}, make([]byte, hashBuffer))
	return hex.EncodeToString(sum.Sum(nil)), size, err
}

func (s *inspection) progress(n int64) {
	if s.o.Progress != nil {
		s.o.Progress(n)
	}
}

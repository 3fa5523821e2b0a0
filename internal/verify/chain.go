package verify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/proof"
	"github.com/idtrail/idtrail/internal/segment"
)

// link is one segment as it is found.
type link struct {
	seq int64
	// file is the SHA-256 of the object, size its bytes.
	file string
	size int64
	// read says that the header could be read and is to be believed; the rest
	// is what it says.
	read                bool
	hash, prev          string
	count               int64
	gaps                []proof.Gap
	landed, first, last time.Time
	kind, identity      string
	// wrong says that what is wrong with the segment was said.
	wrong bool
}

// listRaw lists the segments that are there, and what does not belong beside
// them.
func (s *inspection) listRaw(ctx context.Context) error {
	prefix := s.out.Source + "/"
	for info, err := range s.o.Raw.List(ctx, prefix, "") {
		if err != nil {
			return fmt.Errorf("list segments: %w", err)
		}
		digits, ok := strings.CutSuffix(strings.TrimPrefix(info.Key, prefix), ".ndjson.zst")
		seq, err := strconv.ParseInt(digits, 10, 64)
		if !ok || err != nil || info.Key != segment.Key(s.out.Source, seq) {
			s.find(Unaccounted, info.Key, "is no segment, and does not belong there")
			continue
		}
		s.chain = append(s.chain, link{seq: seq})
		s.lastRaw = info
	}
	return nil
}

// readChain reads the segments that are there and judges them together.
func (s *inspection) readChain(ctx context.Context) error {
	err := each(ctx, s.o.Workers, s.chain, func(ctx context.Context, i int, _ link) error {
		return s.readSegment(ctx, &s.chain[i])
	})
	if err != nil {
		return err
	}
	s.holes()
	s.end()
	s.links()
	s.anchors()
	return nil
}

// readSegment hashes a segment's file and reads its header; it unpacks the
// records only where no checkpoint proves the file.
func (s *inspection) readSegment(ctx context.Context, l *link) error {
	key := segment.Key(s.out.Source, l.seq)
	was, isListed := s.notes.segments[l.seq]
	buf := buffer()
	defer buffers.Put(buf)
	whole := !isListed || s.o.Deep
	head, err := s.hashSegment(ctx, l, whole, buf)
	if err != nil {
		return s.unreadable(ctx, key, err)
	}
	s.progress(l.size)
	proven := isListed && s.notes.becomes(proof.Raw, key, was.File, l.file)
	if isListed && !proven {
		l.wrong = true
		s.altered(key, was, l, head)
		return nil
	}
	if !whole {
		seg, err := segment.DecodeHeader(head, s.out.Source, l.seq)
		if errors.Is(err, segment.ErrDamaged) { // a long header goes beyond what was kept
			seg, err = segment.ReadHeader(ctx, s.o.Raw, s.out.Source, l.seq)
		}
		return s.take(ctx, l, seg, err)
	}
	return s.unpack(ctx, l, head)
}

// take takes in a segment's header.
func (s *inspection) take(ctx context.Context, l *link, seg *segment.Segment, err error) error {
	key := segment.Key(s.out.Source, l.seq)
	switch {
	case errors.Is(err, segment.ErrDamaged):
		l.wrong = true
		s.find(Altered, key, "%s", short(err, key))
		return nil
	case err != nil:
		return s.unreadable(ctx, key, err)
	}
	if was := seg.Previous(); len(was) > 0 && !s.notes.becomes(proof.Raw, key, was[0], l.file) {
		l.wrong = true
		s.find(Altered, key, "records were cut out of it, and no record of a change says so")
	}
	h := &seg.Header
	l.read, l.hash, l.prev, l.count = true, seg.SHA256, h.Prev, h.Count
	l.gaps = proof.GapsOf(l.seq, h.Gaps)
	l.landed, l.first, l.last, l.kind, l.identity = h.LandedAt.UTC(), h.First.UTC(), h.Last.UTC(), h.Kind, h.Identity
	return nil
}

// short leaves out of an error what a finding names anyhow.
func short(err error, key string) string {
	text := err.Error()
	text = strings.TrimPrefix(text, "read segment "+key+": ")
	return strings.TrimPrefix(text, segment.ErrDamaged.Error()+": ")
}

// unpack proves a segment by itself: its lines against its header.
func (s *inspection) unpack(ctx context.Context, l *link, file []byte) error {
	store := s.o.Raw
	if int64(len(file)) == l.size {
		store = inMemory{store, file}
	}
	if !s.o.Deep {
		seg, err := segment.Read(ctx, store, s.out.Source, l.seq)
		return s.take(ctx, l, seg, err)
	}
	seg, err := s.collect(ctx, store, l.seq)
	return s.take(ctx, l, seg, err)
}

// inMemory is a store whose object was read already.
type inMemory struct {
	blob.Store
	body []byte
}

func (m inMemory) Get(context.Context, string) (io.ReadCloser, blob.Info, error) {
	return io.NopCloser(bytes.NewReader(m.body)), blob.Info{Size: int64(len(m.body))}, nil
}

// altered says what a file that is not the one of its checkpoint may be.
func (s *inspection) altered(key string, was listed, l *link, head []byte) {
	if seq, ok := s.notes.byFile[l.file]; ok {
		s.find(Altered, key, "it is the file of segment %d", seq)
		return
	}
	detail := ""
	if seg, err := segment.DecodeHeader(head, s.out.Source, l.seq); err == nil {
		detail = s.difference(was, seg)
	}
	s.find(Altered, key, "its SHA-256 is not the one checkpoint %d states%s", was.number, detail)
}

// difference says in which of the things that people ask for a header differs.
func (s *inspection) difference(was listed, seg *segment.Segment) string {
	now := proof.GapsOf(was.Seq, seg.Header.Gaps)
	for n, g := range s.notes.gaps[was.Seq] {
		if n >= len(now) || now[n] != g {
			return fmt.Sprintf(": the gap from %s to %s is not in it any more", stamp(g.From), stamp(g.To))
		}
	}
	switch {
	case seg.Header.Count != was.Count:
		return fmt.Sprintf(": it states %d records, and held %d", seg.Header.Count, was.Count)
	case seg.SHA256 != was.Header:
		return ": its header is another"
	default:
		return ": its header is the same, its records are not"
	}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// holes judges the numbers that are not there before ones that are.
func (s *inspection) holes() {
	next := int64(0)
	for i := range s.chain {
		s.hole(next, s.chain[i].seq)
		next = s.chain[i].seq + 1
	}
}

// hole judges segments from to to-1, which are not there: one finding for each
// run of them that no change explains.
func (s *inspection) hole(from, to int64) {
	for from < to {
		end := from
		for end < to && !s.prunedAway(end) {
			end++
		}
		if end > from {
			s.find(Missing, segment.Key(s.out.Source, from), "%s not there, segment %d is%s", plural("segment", from, end-1), to, s.heldIn(from, end))
		}
		from = max(end, from) + 1
	}
}

func (s *inspection) prunedAway(seq int64) bool {
	return s.notes.gone(proof.Raw, segment.Key(s.out.Source, seq), s.notes.segments[seq].File)
}

// heldIn says how many records segments from to to-1 held, if all are known.
func (s *inspection) heldIn(from, to int64) string {
	var n int64
	for seq := from; seq < to; seq++ {
		was, ok := s.notes.segments[seq]
		if !ok {
			return ""
		}
		n += was.Count
	}
	return fmt.Sprintf("; records gone: %d", n)
}

// end judges whether segments behind the newest one found are gone: one finding,
// whoever knows of them.
func (s *inspection) end() {
	head := int64(-1)
	if n := len(s.chain); n > 0 {
		head = s.chain[n-1].seq
	}
	last, by := head, []string(nil)
	says := func(seq int64, format string, args ...any) {
		if seq > head {
			last, by = max(last, seq), append(by, fmt.Sprintf(format+" says it went to %d", append(args, seq)...))
		}
	}
	if c := s.notes.last; c != nil {
		says(c.Head, "checkpoint %d", c.Number)
	}
	if s.flushedTo > 0 {
		says(s.flushedTo-1, "a flush record")
	}
	for _, a := range s.o.Anchors {
		if a.Source == s.out.Source && !a.Checkpoint {
			says(a.Seq, "the anchor")
		}
	}
	if last == head {
		return
	}
	ends := fmt.Sprintf("the chain ends at segment %d", head)
	if head < 0 {
		ends = "there is no segment at all"
	}
	s.find(Truncated, segment.Key(s.out.Source, head+1), "%s, and %s%s", ends, strings.Join(by, ", "), s.heldIn(head+1, last+1))
}

// anchors holds the chain against heads kept elsewhere. Those beyond its end are
// judged by end.
func (s *inspection) anchors() {
	for _, a := range s.o.Anchors {
		if a.Source != s.out.Source {
			continue
		}
		if a.Checkpoint {
			s.anchorCheckpoint(a)
			continue
		}
		key := segment.Key(a.Source, a.Seq)
		if l := s.link(a.Seq); l != nil {
			if l.read && l.hash != a.SHA256 {
				s.find(Altered, key, "its header is not the one the anchor names")
			}
			continue
		}
		if was, ok := s.notes.segments[a.Seq]; ok && was.Header != a.SHA256 || a.Seq == s.notes.pruned && a.SHA256 != s.notes.prunedHash {
			s.find(Altered, key, "the header its checkpoint states is not the one the anchor names")
		}
	}
}

func (s *inspection) anchorCheckpoint(a Anchor) {
	key := proof.Key(a.Source, a.Seq)
	hash, there := s.checkpoints[a.Seq]
	switch {
	case a.Seq > s.newest:
		s.find(Truncated, key, "the newest checkpoint is %d, and the anchor names this one", s.newest)
	case !there:
		s.find(Missing, key, "the anchor names it")
	case hash != "" && hash != a.SHA256:
		s.find(Altered, key, "its text is not the one the anchor names")
	}
}

// link is a segment that is there; nil if it is not.
func (s *inspection) link(seq int64) *link {
	i := sort.Search(len(s.chain), func(i int) bool { return s.chain[i].seq >= seq })
	if i < len(s.chain) && s.chain[i].seq == seq {
		return &s.chain[i]
	}
	return nil
}

// links holds every header against the one before it and against what
// checkpoints list, and adds up.
func (s *inspection) links() {
	for i := range s.chain {
		l := &s.chain[i]
		was, isListed := s.notes.segments[l.seq]
		if isListed {
			s.out.Proven++
		}
		if !l.read {
			continue
		}
		key := segment.Key(s.out.Source, l.seq)
		want, known := s.before(i)
		switch {
		case isListed && was.Header != l.hash:
			l.wrong = true
			s.find(Altered, key, "its header is not the one checkpoint %d states", was.number)
		case known && l.prev != want:
			s.find(Altered, key, "does not name segment %d as the one before it: one of the two is not what was landed", l.seq-1)
		case isListed && !sameGaps(s.notes.gaps[l.seq], l.gaps):
			s.find(Altered, key, "its gaps are not those checkpoint %d states", was.number)
		}
		s.add(l)
	}
}

func sameGaps(a, b []proof.Gap) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// before is the hash the i-th segment has to name as the one before it; false
// where nobody knows.
func (s *inspection) before(i int) (string, bool) {
	seq := s.chain[i].seq
	if seq == 0 {
		return "", true
	}
	if was, ok := s.notes.segments[seq-1]; ok {
		return was.Header, true
	}
	if i > 0 && s.chain[i-1].seq == seq-1 {
		return s.chain[i-1].hash, s.chain[i-1].read
	}
	return s.notes.prunedHash, seq-1 == s.notes.pruned
}

func (s *inspection) add(l *link) {
	o := &s.out
	o.Kind, o.Identity = l.kind, l.identity
	o.Segments++
	o.Records += l.count
	o.Erased += s.erasedIn(l.seq)
	o.Bytes += l.size
	if l.seq > o.Head {
		o.Head, o.HeadHash, o.LastLanded = l.seq, l.hash, l.landed
	}
	if o.FirstLanded.IsZero() {
		o.FirstLanded = l.landed
	}
	if !l.first.IsZero() && (o.First.IsZero() || l.first.Before(o.First)) {
		o.First = l.first
	}
	if l.last.After(o.Last) {
		o.Last = l.last
	}
	for _, g := range l.gaps {
		o.Gaps = append(o.Gaps, GapSpan{Segment: l.seq, From: g.From, To: g.To, Reason: g.Reason})
	}
	day := l.landed.Format(time.DateOnly)
	d := o.Days[day]
	d.Segments++
	d.Records += l.count
	d.Bytes += l.size
	o.Days[day] = d
}

// erasedIn is how many records changes cut out of a segment.
func (s *inspection) erasedIn(seq int64) int64 { return s.notes.erased[segment.Key(s.out.Source, seq)] }

// counts of a segment: as a checkpoint lists it, else as its header says; false
// where nobody knows.
func (s *inspection) counts(seq int64) (records, gaps int64, known bool) {
	if was, ok := s.notes.segments[seq]; ok {
		return was.Count, int64(len(s.notes.gaps[seq])), true
	}
	if l := s.link(seq); l != nil && l.read {
		return l.count, int64(len(l.gaps)), true
	}
	return 0, 0, false
}

// hashBuffer is what is read of an object at a time, and what is kept of its
// beginning; wholeBuffer is the most of an object that is kept, to be unpacked.
const (
	hashBuffer  = 1 << 20
	wholeBuffer = 64 << 20
)

var buffers = sync.Pool{New: func() any { b := make([]byte, hashBuffer); return &b }}

func buffer() *[]byte { return buffers.Get().(*[]byte) } //nolint:forcetypeassert // New makes no other

// hashSegment hashes a segment's file and returns its beginning, or, if whole
// and of no odd size, all of it; it is good until buf is used again.
func (s *inspection) hashSegment(ctx context.Context, l *link, whole bool, buf *[]byte) (head []byte, err error) {
	body, info, err := s.o.Raw.Get(ctx, segment.Key(s.out.Source, l.seq))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	size := int64(hashBuffer)
	if whole {
		size = min(max(info.Size, size), wholeBuffer)
	}
	if int64(len(*buf)) < size {
		*buf = make([]byte, size)
	}
	n, err := io.ReadFull(body, (*buf)[:size])
	sum := sha256.New()
	sum.Write((*buf)[:n])
	l.size = int64(n)
	if err == nil {
		var more int64
		more, err = io.CopyBuffer(onlyWriter{sum}, onlyReader{body}, make([]byte, hashBuffer))
		l.size += more
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	l.file = hex.EncodeToString(sum.Sum(nil))
	return (*buf)[:n], err
}

// The two hide ReadFrom and WriteTo, which would read in small pieces.
type (
	onlyWriter struct{ io.Writer }
	onlyReader struct{ io.Reader }
)

// hashObject returns the SHA-256 and size of an object.
func hashObject(ctx context.Context, store blob.Store, key string) (hash string, size int64, err error) {
	body, _, err := store.Get(ctx, key)
	if err != nil {
		return "", 0, err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	buf := buffer()
	defer buffers.Put(buf)
	sum := sha256.New()
	size, err = io.CopyBuffer(onlyWriter{sum}, onlyReader{body}, *buf)
	return hex.EncodeToString(sum.Sum(nil)), size, err
}

func (s *inspection) progress(n int64) {
	if s.o.Progress != nil {
		s.o.Progress(n)
	}
}

package verify

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/proof"
	"github.com/idtrail/idtrail/internal/segment"
	"github.com/idtrail/idtrail/load/lake"
)

// flushed is a flush record as it is found.
type flushed struct {
	key, hash string
	record    *lake.Record
}

// readFlushes reads the records of every sink, and the objects they name.
func (s *inspection) readFlushes(ctx context.Context) error {
	sinks, err := folders(ctx, s.o.Lake, "flushes/")
	if err != nil {
		return err
	}
	for name := range s.notes.flushes {
		if !contains(sinks, name.sink) {
			sinks = append(sinks, name.sink)
		}
	}
	for _, sink := range sinks {
		if err := s.readSink(ctx, sink); err != nil {
			return err
		}
	}
	return nil
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

func (s *inspection) readSink(ctx context.Context, sink string) error {
	list, err := s.listFlushes(ctx, sink)
	if err != nil {
		return err
	}
	out := Sink{Sink: sink, Upto: 0}
	for _, f := range list {
		s.checkFlush(&out, f)
	}
	s.lostFlushes(sink, list)
	if len(list) == 0 && !s.listsFlushes(sink) {
		return nil // the sink has nothing of this source
	}
	for i := range s.chain {
		if l := &s.chain[i]; l.header != nil && l.seq >= out.Upto {
			out.Pending += l.header.Count
		}
	}
	var objects []named
	for _, f := range list {
		for _, o := range f.record.Objects {
			objects = append(objects, named{f, o})
		}
	}
	out.Objects = int64(len(objects))
	err = each(ctx, s.o.Workers, objects, func(ctx context.Context, _ int, o named) error { return s.checkObject(ctx, o) })
	s.out.Sinks = append(s.out.Sinks, out)
	return err
}

// named is an object as a flush record names it.
type named struct {
	flush  flushed
	object lake.Object
}

func (s *inspection) listsFlushes(sink string) bool {
	for name := range s.notes.flushes {
		if name.sink == sink {
			return true
		}
	}
	return false
}

func (s *inspection) listFlushes(ctx context.Context, sink string) ([]flushed, error) {
	prefix := "flushes/" + sink + "/" + s.out.Source + "/"
	var list []flushed
	for info, err := range s.o.Lake.List(ctx, prefix, "") {
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", prefix, err)
		}
		text, err := readAll(ctx, s.o.Lake, info.Key)
		if err != nil {
			if err := s.unreadable(ctx, info.Key, err); err != nil {
				return nil, err
			}
			continue
		}
		r, err := lake.DecodeRecord(text)
		switch {
		case errors.Is(err, lake.ErrNewer):
			s.find(Unreadable, info.Key, "%v", err)
		case err != nil:
			s.find(Altered, info.Key, "%v", err)
		case r.Sink != sink || r.Source != s.out.Source || info.Key != lake.RecordKey(sink, r.Source, r.From):
			s.find(Altered, info.Key, "tells of sink %s, source %s, segment %d on: it was moved", r.Sink, r.Source, r.From)
		default:
			list = append(list, flushed{key: info.Key, hash: proof.HashText(string(text)), record: r})
		}
	}
	return list, nil
}

// checkFlush holds a record against the one before it, its checkpoint and the
// segments of its range.
func (s *inspection) checkFlush(out *Sink, f flushed) {
	r := f.record
	switch {
	case r.From > out.Upto:
		s.find(Missing, f.key, "nothing says where segments %d to %d went: a flush record is not there", out.Upto, r.From-1)
	case r.From < out.Upto:
		s.find(Doubled, f.key, "segments %d to %d are in the flush before it too", r.From, out.Upto-1)
	}
	out.Upto = max(out.Upto, r.To)
	if was, ok := s.notes.flushes[flushName{r.Sink, r.From}]; ok && !s.notes.becomes(proof.Lake, f.key, was.Record, f.hash) {
		s.find(Altered, f.key, "is not the record its checkpoint states")
	}
	if r.State != lake.StateCompleted {
		return // under way: the next run finishes it
	}
	out.Flushes++
	out.Rejected += r.Counts.Rejects
	out.Events += r.Counts.Events
	out.Users += r.Counts.Users
	out.Settings += r.Counts.Settings
	for _, o := range r.Objects {
		out.Bytes += o.Bytes
	}
	s.account(out, f)
}

// account holds the rows of a flush against the records of its segments.
func (s *inspection) account(out *Sink, f flushed) {
	r := f.record
	var records, gaps, erased int64
	for i := range s.chain {
		l := &s.chain[i]
		if l.seq < r.From || l.seq >= r.To {
			continue
		}
		if l.header == nil {
			return // what is wrong with it was said
		}
		records += l.header.Count
		gaps += int64(len(l.gaps))
		erased += l.erased
	}
	if r.From <= s.notes.pruned {
		return // its segments are gone, as a record says
	}
	out.Records += records
	c := r.Counts
	var rows int64
	for _, o := range r.Objects {
		rows += o.Rows
	}
	mapped := records - erased - c.Rejects
	switch all := c.Events + c.Users + c.Settings + c.Rejects + c.Gaps + c.Snapshots; {
	case mapped < 0 || c.Events+c.Users+c.Settings < mapped:
		s.find(Unaccounted, f.key, "%d records were landed in its segments, and it states %d rejects and %d rows of the others", records, c.Rejects, c.Events+c.Users+c.Settings)
	case c.Gaps != gaps:
		s.find(Unaccounted, f.key, "its segments declare %d gaps, and it states %d", gaps, c.Gaps)
	case rows != all && !s.prunedObjects(r):
		s.find(Unaccounted, f.key, "its objects hold %d rows, and it states %d", rows, all)
	}
}

func (s *inspection) prunedObjects(r *lake.Record) bool {
	for _, o := range r.Objects {
		if c, ok := s.notes.changed[version{proof.Lake, o.Key, o.SHA256}]; ok && c.New == "" {
			return true
		}
	}
	return false
}

// lostFlushes notes records that a checkpoint lists and that are not there.
func (s *inspection) lostFlushes(sink string, list []flushed) {
	there := map[int64]bool{}
	for _, f := range list {
		there[f.record.From] = true
	}
	for name, was := range s.notes.flushes {
		key := lake.RecordKey(sink, s.out.Source, name.from)
		if name.sink == sink && !there[name.from] && !s.notes.becomes(proof.Lake, key, was.Record, "") {
			s.find(Missing, key, "a checkpoint states this flush of segments %d to %d", was.From, was.To-1)
		}
	}
}

// checkObject holds an object against what its flush record states.
func (s *inspection) checkObject(ctx context.Context, n named) error {
	o := n.object
	hash, size, err := hashObject(ctx, s.o.Lake, o.Key, nil)
	switch {
	case errors.Is(err, blob.ErrNotExist):
		if !s.notes.becomes(proof.Lake, o.Key, o.SHA256, "") && n.flush.record.State == lake.StateCompleted {
			s.find(Missing, o.Key, "flush record %s names it, with %d rows", n.flush.key, o.Rows)
		}
		return nil
	case err != nil:
		return s.unreadable(ctx, o.Key, err)
	}
	s.progress(size)
	if hash != o.SHA256 && !s.notes.becomes(proof.Lake, o.Key, o.SHA256, hash) && n.flush.record.State == lake.StateCompleted {
		s.find(Altered, o.Key, "its SHA-256 is not the one flush record %s states%s", n.flush.key, s.rowsNow(ctx, o))
		return nil
	}
	if !s.o.Deep {
		return nil
	}
	rows, err := lake.Open(s.o.Lake).Rows(ctx, o.Key)
	switch {
	case err != nil:
		return s.unreadable(ctx, o.Key, err)
	case rows != o.Rows && hash == o.SHA256:
		s.find(Unaccounted, o.Key, "holds %d rows, and its flush record states %d", rows, o.Rows)
	}
	return nil
}

// rowsNow says how many rows an altered object holds, where it can be read.
func (s *inspection) rowsNow(ctx context.Context, o lake.Object) string {
	rows, err := lake.Open(s.o.Lake).Rows(ctx, o.Key)
	switch {
	case err != nil:
		return ", and it cannot be read"
	case rows < o.Rows:
		return fmt.Sprintf(": %d of %d rows are gone", o.Rows-rows, o.Rows)
	case rows > o.Rows:
		return fmt.Sprintf(": it has %d rows more than its %d", rows-o.Rows, o.Rows)
	default:
		return ": it has as many rows as before"
	}
}

// readUnnamed looks for objects of the source that no flush record names.
func (s *inspection) readUnnamed(ctx context.Context) error {
	names, open, err := s.allNamed(ctx)
	if err != nil {
		return err
	}
	for info, err := range lake.Open(s.o.Lake).Objects(ctx, s.out.Source) {
		if err != nil {
			return err
		}
		if names[info.Key] || underWay(info.Key, open) {
			continue
		}
		s.find(Unaccounted, info.Key, "no flush record names it: %s", s.likeness(info.Key))
	}
	return nil
}

func (s *inspection) likeness(key string) string {
	if strings.Contains(key, "_json/") {
		return "its rows were not put there by a flush"
	}
	return "whoever queries the table reads rows that no flush put there"
}

// allNamed collects what is named by any sink, and the ranges under way.
func (s *inspection) allNamed(ctx context.Context) (names map[string]bool, open []int64, err error) {
	names = map[string]bool{}
	sinks, err := folders(ctx, s.o.Lake, "flushes/")
	if err != nil {
		return nil, nil, err
	}
	for _, sink := range sinks {
		for r, err := range lake.Open(s.o.Lake).Flushes(ctx, sink, s.out.Source) {
			if err != nil {
				break // said when it was read
			}
			for _, o := range r.Objects {
				names[o.Key] = true
			}
			if r.State != lake.StateCompleted {
				open = append(open, r.From)
			}
		}
	}
	return names, open, ctx.Err()
}

func underWay(key string, open []int64) bool {
	for _, from := range open {
		if lake.IsRangeFrom(key, from) {
			return true
		}
	}
	return false
}

// doubled looks, in a deep verification, for records landed twice.
func (s *inspection) doubled(key string, at int64, first segmentRef) {
	s.find(Doubled, key, "record %d was landed before, as record %d of %s", at, first.record, segment.Key(s.out.Source, first.seq))
}

type segmentRef struct{ seq, record int64 }

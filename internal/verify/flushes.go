package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/proof"
	"github.com/idtrail/idtrail/load/lake"
)

// flushed is a flush record as it is found.
type flushed struct {
	sink, key string
	from      int64 // as its key says
	hash      string
	record    *lake.Record // nil where it cannot be read
	// wrong says that what is wrong with it was said, and that what it says is
	// not to be believed.
	wrong bool
}

func (f *flushed) completed() bool {
	return f.record != nil && !f.wrong && f.record.State == lake.StateCompleted
}

// maxRecord bounds a flush record: it names some thousands of objects at most.
const maxRecord = 64 << 20

// readFlushes reads the flush records of every sink. It comes before the
// segments are listed: what a record names was there before it.
func (s *inspection) readFlushes(ctx context.Context) error {
	sinks, err := folders(ctx, s.o.Lake, "flushes/")
	if err != nil {
		return err
	}
	for name := range s.notes.flushes {
		sinks = append(sinks, name.sink)
	}
	slices.Sort(sinks)
	for _, sink := range slices.Compact(sinks) {
		if err := s.listFlushes(ctx, sink); err != nil {
			return err
		}
	}
	for _, f := range s.flushes {
		if f.record != nil && !f.wrong {
			s.flushedTo = max(s.flushedTo, f.record.To)
		}
	}
	return nil
}

func (s *inspection) listFlushes(ctx context.Context, sink string) error {
	prefix := "flushes/" + sink + "/" + s.out.Source + "/"
	var list []*flushed
	for info, err := range s.o.Lake.List(ctx, prefix, "") {
		if err != nil {
			return fmt.Errorf("list %s: %w", prefix, err)
		}
		s.mark(info)
		from, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimPrefix(info.Key, prefix), ".json"), 10, 64)
		if err != nil || info.Key != lake.RecordKey(sink, s.out.Source, from) {
			s.find(Unaccounted, info.Key, "is no flush record, and does not belong there")
			continue
		}
		list = append(list, &flushed{sink: sink, key: info.Key, from: from})
	}
	err := each(ctx, noteReaders, list, func(ctx context.Context, _ int, f *flushed) error { return s.readFlush(ctx, f) })
	s.flushes = append(s.flushes, list...)
	return err
}

func (s *inspection) readFlush(ctx context.Context, f *flushed) error {
	text, err := readUpTo(ctx, s.o.Lake, f.key, maxRecord)
	if errors.Is(err, errTooLarge) {
		f.wrong = true
		s.find(Altered, f.key, "%v", err)
		return nil
	}
	if err == nil {
		f.hash = proof.HashText(string(text))
		f.record, err = lake.DecodeRecord(text)
	} else {
		f.wrong = true
		return s.unreadable(ctx, f.key, err)
	}
	switch {
	case errors.Is(err, lake.ErrNewer):
		f.wrong = true
		return s.unreadable(ctx, f.key, err)
	case err != nil:
		f.wrong = true
		s.find(Altered, f.key, "%v", err)
	case s.isMoved(f):
		f.wrong = true
		s.find(Doubled, f.key, "tells of sink %s, source %s, segments %d to %d: it is a copy of another flush record", f.record.Sink, f.record.Source, f.record.From, f.record.To-1)
	}
	return nil
}

func (s *inspection) isMoved(f *flushed) bool {
	r := f.record
	return r.Sink != f.sink || r.Source != s.out.Source || r.From != f.from || r.To <= r.From
}

// judgeFlushes holds the records against each other, against what checkpoints
// list and against the segments of their ranges.
func (s *inspection) judgeFlushes(context.Context) error {
	bySink := map[string][]*flushed{}
	for _, f := range s.flushes {
		bySink[f.sink] = append(bySink[f.sink], f)
	}
	for name := range s.notes.flushes {
		if _, ok := bySink[name.sink]; !ok {
			bySink[name.sink] = nil
		}
	}
	for _, sink := range sortedKeys(bySink) {
		s.judgeSink(sink, bySink[sink])
	}
	return nil
}

func (s *inspection) judgeSink(sink string, list []*flushed) {
	out := Sink{Sink: sink}
	there := map[int64]bool{}
	for _, f := range list {
		there[f.from] = true
	}
	for _, f := range list {
		s.placed(&out, f)
		s.asListed(f)
		if f.completed() {
			s.account(&out, f)
		}
	}
	for name, was := range s.notes.flushes {
		key := lake.RecordKey(sink, s.out.Source, name.from)
		if name.sink != sink || there[name.from] || s.notes.gone(proof.Lake, key, was.Record) {
			continue
		}
		s.lost = append(s.lost, name.from)
		out.Upto = max(out.Upto, was.To)
		s.find(Missing, key, "a checkpoint states this flush of segments %d to %d, with %d rows", was.From, was.To-1, was.Rows)
	}
	for i := range s.chain {
		if l := &s.chain[i]; l.read && l.seq >= out.Upto {
			out.Pending += l.count
		}
	}
	s.out.Sinks = append(s.out.Sinks, out)
}

// placed checks that a record begins where the one before it ends.
func (s *inspection) placed(out *Sink, f *flushed) {
	key := lake.RecordKey(f.sink, s.out.Source, out.Upto)
	switch {
	case f.from > out.Upto && !s.notes.gone(proof.Lake, key, s.notes.flushes[flushName{f.sink, out.Upto}].Record):
		s.lost = append(s.lost, out.Upto)
		s.find(Missing, key, "no flush record says where segments %d to %d went", out.Upto, f.from-1)
	case f.from < out.Upto:
		f.wrong = true
		s.find(Doubled, f.key, "segments %d to %d are in the flush before it too", f.from, min(out.Upto, f.to())-1)
		return
	}
	to := f.to()
	if was, ok := s.notes.flushes[flushName{f.sink, f.from}]; ok && f.wrong {
		to = was.To
	}
	out.Upto = max(out.Upto, to)
}

// to is where the record says that its flush ends, or its beginning.
func (f *flushed) to() int64 {
	if f.record == nil || f.record.From != f.from {
		return f.from
	}
	return f.record.To
}

// asListed holds a record against the checkpoint that lists it.
func (s *inspection) asListed(f *flushed) {
	was, ok := s.notes.flushes[flushName{f.sink, f.from}]
	switch {
	case !ok, f.wrong, s.notes.becomes(proof.Lake, f.key, was.Record, f.hash):
		return
	case f.record.State != lake.StateCompleted && s.notes.isChanged(proof.Lake, f.key, was.Record):
		return // under way, as a change says
	}
	f.wrong = true
	s.find(Altered, f.key, "its SHA-256 is not the one its checkpoint states%s", s.rewritten(was, f.record))
}

// rewritten says what a record that was altered says now.
func (s *inspection) rewritten(was proof.Flush, now *lake.Record) string {
	var rows int64
	for _, o := range now.Objects {
		rows += o.Rows
	}
	switch {
	case now.To != was.To:
		return fmt.Sprintf(": it ends at segment %d, and ended at %d", now.To-1, was.To-1)
	case int64(len(now.Objects)) != was.Objects:
		return fmt.Sprintf(": it names %d objects, and named %d", len(now.Objects), was.Objects)
	case rows != was.Rows:
		return fmt.Sprintf(": it states %d rows, and stated %d", rows, was.Rows)
	default:
		return ""
	}
}

// account adds up a flush, and holds its rows against the records of its
// segments.
func (s *inspection) account(out *Sink, f *flushed) {
	r, c := f.record, f.record.Counts
	out.Flushes++
	out.Rejected += c.Rejects
	out.Events += c.Events
	out.Users += c.Users
	out.Settings += c.Settings
	out.Gaps += c.Gaps
	out.Objects += int64(len(r.Objects))
	var rows int64
	for _, o := range r.Objects {
		rows += o.Rows
		out.Bytes += o.Bytes
	}
	out.Rows += rows
	all := c.Events + c.Users + c.Settings + c.Rejects + c.Gaps + c.Snapshots
	if rows != all && !s.hasGone(r) {
		s.find(Unaccounted, f.key, "its objects hold %d rows, and it states %d", rows, all)
		return
	}
	records, gaps, known := s.landedIn(r.From, r.To)
	if !known {
		return // what is wrong with the segments was said, or they were pruned
	}
	out.Records += records
	switch mapped, others := records-c.Rejects, c.Events+c.Users+c.Settings; {
	case mapped < 0 || others < mapped:
		s.find(Unaccounted, f.key, "%d records were landed in its segments; it states %d rejected and %d mapped", records, c.Rejects, others)
	case c.Gaps != gaps:
		s.find(Unaccounted, f.key, "its segments declare %d gaps; it states %d", gaps, c.Gaps)
	}
}

// landedIn counts the records, less those erased, and the gaps of segments from
// to to-1.
func (s *inspection) landedIn(from, to int64) (records, gaps int64, known bool) {
	for seq := from; seq < to; seq++ {
		n, g, ok := s.counts(seq)
		if !ok {
			return 0, 0, false
		}
		records, gaps = records+n-s.erasedIn(seq), gaps+g
	}
	return records, gaps, true
}

// hasGone says whether a change removed an object that the record names.
func (s *inspection) hasGone(r *lake.Record) bool {
	return slices.ContainsFunc(r.Objects, func(o lake.Object) bool {
		return s.notes.isChanged(proof.Lake, o.Key, o.SHA256) || s.notes.gone(proof.Lake, o.Key, "")
	})
}

// named is an object as a flush record names it.
type named struct {
	flush  *flushed
	object lake.Object
}

// checkObjects reads every object that completed records name.
func (s *inspection) checkObjects(ctx context.Context) error {
	var objects []named
	s.named = map[string]bool{}
	for _, f := range s.flushes {
		if f.record == nil {
			continue
		}
		for _, o := range f.record.Objects {
			again := s.named[o.Key]
			s.named[o.Key] = true
			switch {
			case !f.completed():
			case again:
				s.find(Doubled, o.Key, "two flush records name it, %s is one", f.key)
			default:
				objects = append(objects, named{f, o})
			}
		}
	}
	return each(ctx, s.o.Workers, objects, func(ctx context.Context, _ int, o named) error { return s.checkObject(ctx, o) })
}

// checkObject holds an object against what its flush record states.
func (s *inspection) checkObject(ctx context.Context, n named) error {
	o := n.object
	hash, size, err := hashObject(ctx, s.o.Lake, o.Key)
	switch {
	case errors.Is(err, blob.ErrNotExist):
		if !s.notes.gone(proof.Lake, o.Key, o.SHA256) {
			s.find(Missing, o.Key, "flush record %s names it, with %d rows", n.flush.key, o.Rows)
		}
		return nil
	case err != nil:
		return s.unreadable(ctx, o.Key, err)
	}
	s.progress(size)
	if !s.notes.becomes(proof.Lake, o.Key, o.SHA256, hash) {
		s.find(Altered, o.Key, "its SHA-256 is not the one flush record %s states%s", n.flush.key, s.rowsNow(ctx, o))
		return nil
	}
	if !s.o.Deep || hash != o.SHA256 {
		return nil
	}
	rows, err := lake.Open(s.o.Lake).Rows(ctx, o.Key)
	switch {
	case err != nil:
		return s.unreadable(ctx, o.Key, err)
	case rows != o.Rows:
		s.find(Unaccounted, o.Key, "holds %d rows, and its flush record states %d", rows, o.Rows)
	}
	return nil
}

// rowsNow says how many rows an altered object holds, where it can be read.
func (s *inspection) rowsNow(ctx context.Context, o lake.Object) string {
	rows, err := lake.Open(s.o.Lake).Rows(ctx, o.Key)
	switch {
	case err != nil:
		return ": it cannot be read any more"
	case rows < o.Rows:
		return fmt.Sprintf(": %d of its %d rows are gone", o.Rows-rows, o.Rows)
	case rows > o.Rows:
		return fmt.Sprintf(": it has %d rows, and had %d", rows, o.Rows)
	default:
		return fmt.Sprintf(": it still has %d rows", rows)
	}
}

// readUnnamed looks for objects of the source that no flush record names.
func (s *inspection) readUnnamed(ctx context.Context) error {
	orphans := map[int64][]string{} // of no record, by the segment their range begins at
	for info, err := range lake.Open(s.o.Lake).Objects(ctx, s.out.Source) {
		if err != nil {
			return err
		}
		if s.named[info.Key] || s.explained(info.Key) {
			continue
		}
		if from, ok := s.nextRange(info.Key); ok {
			orphans[from] = append(orphans[from], info.Key)
			continue
		}
		s.find(Unaccounted, info.Key, "no flush record names it; a query of the table reads it all the same")
	}
	for from, keys := range orphans {
		sink := s.sinkThatEndsAt(from)
		s.find(Missing, lake.RecordKey(sink, s.out.Source, from), "%d objects of this flush are there, the first is %s", len(keys), keys[0])
	}
	return nil
}

// explained says that an object belongs to a flush that is under way, or whose
// record is not to be believed or lost, which was said.
func (s *inspection) explained(key string) bool {
	for _, f := range s.flushes {
		if !f.completed() && lake.IsRangeFrom(key, f.from) {
			return true
		}
	}
	return slices.ContainsFunc(s.lost, func(from int64) bool { return lake.IsRangeFrom(key, from) })
}

// nextRange says that an object is of the flush that would come next to those
// of some sink: its record was there before it.
func (s *inspection) nextRange(key string) (from int64, ok bool) {
	for _, sink := range s.out.Sinks {
		if sink.Upto > 0 && lake.IsRangeFrom(key, sink.Upto) && s.link(sink.Upto) != nil {
			return sink.Upto, true
		}
	}
	return 0, false
}

func (s *inspection) sinkThatEndsAt(from int64) string {
	for _, sink := range s.out.Sinks {
		if sink.Upto == from {
			return sink.Sink
		}
	}
	return ""
}

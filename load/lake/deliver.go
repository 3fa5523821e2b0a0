package lake

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"slices"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/load"
)

// Deliver writes a planned batch and completes its flush. A batch that was
// delivered before is left as it is, and its counts are returned again. After
// an error nothing of it counts as kept; planning and delivering it again
// finishes it.
func (s *Sink) Deliver(ctx context.Context, b load.Batch) (load.Result, error) {
	counts, err := s.deliver(ctx, b)
	if err != nil {
		return load.Result{Upto: b.From}, s.explain("flush", b.Source, err)
	}
	return load.Result{Upto: b.To, Counts: counts}, nil
}

func (s *Sink) deliver(ctx context.Context, b load.Batch) (load.Counts, error) {
	if err := ctx.Err(); err != nil {
		return load.Counts{}, err
	}
	if b.From.Record != 0 || b.To.Record != 0 || b.To.Segment < b.From.Segment {
		return load.Counts{}, fmt.Errorf("batch %v to %v: want whole segments", b.From, b.To)
	}
	if b.From == b.To {
		return load.Counts{}, nil
	}
	r, etag, err := s.findOrBegin(ctx, b.Source, b.From.Segment, b.To.Segment)
	switch {
	case err != nil:
		return load.Counts{}, err
	case r.To != b.To.Segment:
		return load.Counts{}, fmt.Errorf("batch ends before segment %d, its record %s says %d",
			b.To.Segment, recordKey(r.Sink, r.Source, r.From), r.To)
	case r.State == StateCompleted:
		return r.Counts, nil
	case r.State == StateReopened:
		return load.Counts{}, fmt.Errorf("rewriting of %s %w: rewrite it", r.key(), ErrUnfinished)
	}
	if err := s.write(ctx, r, b); err != nil {
		return load.Counts{}, err
	}
	if err := s.complete(ctx, r, etag); err != nil {
		return load.Counts{}, err
	}
	return r.Counts, nil
}

// write writes the batch's objects and enters them in r. Whatever an earlier
// attempt left and this one did not write again is removed before the record is
// completed: afterwards nobody would look for it.
func (s *Sink) write(ctx context.Context, r *Record, b load.Batch) error {
	fresh := s.takeFresh(recordKey(r.Sink, r.Source, r.From))
	w := &batchWriter{sink: s, record: r, keep: func(ctx context.Context, o Object, body *os.File) error {
		return putObject(ctx, s.o.Store, o, body)
	}}
	if err := w.all(ctx, b.Rows); err != nil {
		return err
	}
	r.Mapping, r.Writer = b.Mapping, s.o.Writer
	if fresh {
		return nil
	}
	return s.removeLeftovers(ctx, r)
}

func (s *Sink) removeLeftovers(ctx context.Context, r *Record) error {
	for _, t := range tables() {
		for info, err := range s.o.Store.List(ctx, tablePrefix(s.layout, t, r.Source), "") {
			if err != nil {
				return fmt.Errorf("list %s: %w", tablePrefix(s.layout, t, r.Source), err)
			}
			listed := slices.ContainsFunc(r.Objects, func(o Object) bool { return o.Key == info.Key })
			if listed || !isRangeFrom(info.Key, r.From) {
				continue
			}
			s.o.Logger.InfoContext(ctx, "object of an earlier attempt removed",
				"sink", r.Sink, "source", r.Source, "key", info.Key)
			if err := s.o.Store.Delete(ctx, info.Key); err != nil {
				return fmt.Errorf("delete %s: %w", info.Key, err)
			}
		}
	}
	return nil
}

// batchWriter turns sorted rows into objects, one open at a time.
type batchWriter struct {
	sink   *Sink
	record *Record
	// keep is given each object, made.
	keep func(context.Context, Object, *os.File) error

	at      place
	part    int
	started bool
	enc     encoder
	encOf   table
	file    *tempFile
	rows    int64
	// last is the time of the last event at this place.
	last int64
}

func (w *batchWriter) all(ctx context.Context, rows iter.Seq2[load.Row, error]) error {
	defer w.abandon()
	for row, err := range rows {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = w.add(ctx, row)
		}
		if err != nil {
			return err
		}
	}
	return w.closeObject(ctx)
}

func (w *batchWriter) add(ctx context.Context, row load.Row) error {
	p, err := placeOf(row)
	if err != nil {
		return err
	}
	if err := w.turnTo(ctx, p, row); err != nil {
		return err
	}
	if err := w.enc.add(row); err != nil {
		return fmt.Errorf("encode row at %v for %s: %w", row.At, p.table, err)
	}
	w.rows++
	if w.file.size < w.sink.o.PartBytes {
		return nil
	}
	return w.closeObject(ctx)
}

// turnTo opens the object a row at p belongs to.
func (w *batchWriter) turnTo(ctx context.Context, p place, row load.Row) error {
	if w.started && p != w.at {
		if !p.after(w.at) {
			return fmt.Errorf("row at %v: %s of %s after %s of %s: rows are not sorted", row.At, p.table, p.day, w.at.table, w.at.day)
		}
		if err := w.closeObject(ctx); err != nil {
			return err
		}
	}
	if err := w.checkTime(p, row); err != nil || w.file != nil {
		return err
	}
	if !w.started || p != w.at {
		w.part = 0
	}
	w.part++
	w.at, w.started = p, true
	return w.openObject()
}

// checkTime keeps unsorted events out: the files say that they are sorted, and
// readers skip by it.
func (w *batchWriter) checkTime(p place, row load.Row) error {
	if row.Event == nil {
		return nil
	}
	if w.started && p == w.at && row.Event.Time < w.last {
		return fmt.Errorf("row at %v: %s is not sorted by time", row.At, p.day)
	}
	w.last = row.Event.Time
	return nil
}

func (w *batchWriter) openObject() (err error) {
	if w.enc == nil || w.encOf != w.at.table {
		w.enc, w.encOf = newEncoder(w.sink.layout, w.at.table, w.sink.o.Writer), w.at.table
	}
	w.file, err = newTempFile(w.sink.o.TempDir)
	if err != nil {
		return err
	}
	w.rows = 0
	return w.enc.begin(w.file)
}

// closeObject finishes the open object, if there is one, and has it kept.
func (w *batchWriter) closeObject(ctx context.Context) error {
	if w.file == nil {
		return nil
	}
	defer w.abandon()
	r := w.record
	key := objectKey(w.sink.layout, r.Source, w.at, rangeName(r.From, r.To), w.part)
	if err := w.enc.finish(); err != nil {
		return fmt.Errorf("encode %s: %w", key, err)
	}
	sum, size, err := w.file.sum()
	if err != nil {
		return fmt.Errorf("read back %s: %w", key, err)
	}
	o := Object{Key: key, SHA256: sum, Rows: w.rows, Bytes: size}
	if err := w.keep(ctx, o, w.file.f); err != nil {
		return err
	}
	r.Objects = append(r.Objects, o)
	count(&r.Counts, w.at.table, o.Rows)
	r.Counts.Objects++
	r.Counts.Bytes += size
	return nil
}

// abandon drops the open file.
func (w *batchWriter) abandon() {
	if w.file != nil {
		w.file.remove()
		w.file = nil
	}
}

// putObject stores an object of an open flush. One that is there already is
// ours by an earlier attempt: kept where it is the same, replaced where another
// version of the program wrote it differently.
func putObject(ctx context.Context, store blob.Store, o Object, body blob.Body) error {
	_, err := store.PutNew(ctx, o.Key, body)
	if err == nil {
		return nil
	}
	if !errors.Is(err, blob.ErrExist) {
		return fmt.Errorf("create %s: %w", o.Key, err)
	}
	sum, info, err := sumOf(ctx, store, o.Key)
	if err != nil || sum == o.SHA256 {
		return err
	}
	if _, err := store.PutMatch(ctx, o.Key, info.ETag, body); err != nil {
		return fmt.Errorf("replace %s: %w", o.Key, err)
	}
	return nil
}

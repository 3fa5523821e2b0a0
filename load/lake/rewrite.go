package lake

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path"
	"slices"
	"time"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/load"
)

// Change is what becomes of one object of the lake, the records of flushes among
// them: for whoever has to write it down before it is made.
type Change struct {
	Key string
	// Old and New are the SHA-256 (hex) before and after; Old is "" for an
	// object that is new, New for one that is removed.
	Old, New string
	// Removed rows.
	Removed int64
}

// Rewrite says how a flush is rewritten.
type Rewrite struct {
	// At is when it was decided; now if zero. The same rows, rewritten by the
	// same program at the same time, give the same bytes, records included. A
	// rewriting that was cut off keeps its own.
	At time.Time
	// Before is told what will change, before anything does. An error keeps all
	// as it is. It may be nil.
	Before func(context.Context, []Change) error
}

// Rewrite makes the objects of a finished flush again, of other rows: mapped
// otherwise, or without some. See [Sink.Prepare].
func (s *Sink) Rewrite(ctx context.Context, b load.Batch, o Rewrite) (res load.Result, err error) {
	w, err := s.Prepare(ctx, b, o.At)
	if err != nil {
		return load.Result{Upto: b.From}, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if changes := w.Changes(); o.Before != nil && len(changes) > 0 {
		if err := o.Before(ctx, changes); err != nil {
			return load.Result{Upto: b.From}, err
		}
	}
	return w.Commit(ctx)
}

// Rewriting is a finished flush whose objects were made again, in a temporary
// file. It is to be closed.
type Rewriting struct {
	sink *Sink
	// was is the record found; reopened and next are what becomes of it.
	was      stored
	reopened *Record
	next     *Record
	objects  []remade // those that are other than the record says
	spool    *tempFile
	to       load.Position
}

// remade is an object in the temporary file.
type remade struct {
	Object
	offset int64
}

// Prepare makes the objects of the finished flush that begins at the batch
// again, of the batch's rows, and changes nothing in the lake yet. What was
// pruned stays so: rows of its days are dropped. A rewriting that was cut off is
// taken up again; its flush then was reopened, and cannot be rewritten by an
// older mapping (ErrNewer).
//
// While [Rewriting.Commit] is at work, a query may see rows of the flush both as
// they were and as they are. It goes by what the record says of the objects, and
// replaces one that is another by now: to notice that is for who verifies.
func (s *Sink) Prepare(ctx context.Context, b load.Batch, at time.Time) (*Rewriting, error) {
	w, err := s.prepare(ctx, b, at)
	if err != nil {
		return nil, s.explain("prepare rewriting of", b.Source, err)
	}
	return w, nil
}

func (s *Sink) prepare(ctx context.Context, b load.Batch, at time.Time) (*Rewriting, error) {
	was, err := s.rewritable(ctx, b)
	if err != nil {
		return nil, err
	}
	w := &Rewriting{sink: s, was: was, to: b.To}
	w.reopened = w.reopen(b.Mapping, at)
	if err := w.make(ctx, b); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

// rewritable returns the record of the flush that is to be rewritten.
func (s *Sink) rewritable(ctx context.Context, b load.Batch) (stored, error) {
	if b.From.Record != 0 || b.To.Record != 0 || b.To.Segment <= b.From.Segment {
		return stored{}, fmt.Errorf("batch %v to %v: want whole segments", b.From, b.To)
	}
	was, err := s.stored(ctx, recordKey(s.o.Name, b.Source, b.From.Segment), b.Source, b.From.Segment)
	if err != nil {
		return stored{}, err
	}
	switch r := was.record; {
	case r.To != b.To.Segment:
		return stored{}, fmt.Errorf("batch ends before segment %d, its record %s says %d", b.To.Segment, r.key(), r.To)
	case r.State == StateOpen:
		return stored{}, fmt.Errorf("flush %s %w", r.key(), ErrUnfinished)
	case len(r.Pruning) > 0:
		return stored{}, fmt.Errorf("pruning of %s %w", r.key(), ErrUnfinished)
	case r.Mapping > b.Mapping:
		return stored{}, fmt.Errorf("%s: mapped by mapping %d, this program has %d: %w", r.key(), r.Mapping, b.Mapping, ErrNewer)
	}
	return was, nil
}

// fresh says that no rewriting was begun before this one.
func (w *Rewriting) fresh() bool { return w.was.record.State == StateCompleted }

// reopen returns the record as it stands while its objects are replaced.
func (w *Rewriting) reopen(mapping int, at time.Time) *Record {
	r := w.was.record.clone()
	r.State, r.Mapping, r.Writer = StateReopened, mapping, w.sink.o.Writer
	if w.fresh() {
		if at.IsZero() {
			at = w.sink.o.Now()
		}
		r.RewrittenAt, r.Replaces = at.UTC().Truncate(time.Millisecond), sumText(w.was.text)
	}
	return r
}

func (r *Record) clone() *Record {
	c := *r
	c.Objects, c.Pruning = slices.Clone(r.Objects), slices.Clone(r.Pruning)
	return &c
}

func sumText(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// make makes the objects, and what the record will say of them.
func (w *Rewriting) make(ctx context.Context, b load.Batch) (err error) {
	if w.spool, err = newTempFile(w.sink.o.TempDir); err != nil {
		return err
	}
	made := &Record{Sink: w.was.record.Sink, Source: b.Source, From: b.From.Segment, To: b.To.Segment}
	writer := &batchWriter{sink: w.sink, record: made, keep: w.keep}
	if err := writer.all(ctx, b.Rows); err != nil {
		return err
	}
	if err := w.spool.flush(); err != nil {
		return err
	}
	w.next = w.was.record.clone()
	w.next.State, w.next.Mapping, w.next.Writer = StateCompleted, b.Mapping, w.sink.o.Writer
	w.next.Counts, w.next.Objects = made.Counts, made.Objects
	w.leaveOutPruned()
	return nil
}

// keep puts an object aside, unless the lake has it.
func (w *Rewriting) keep(_ context.Context, o Object, body *os.File) error {
	if old, ok := w.was.record.object(o.Key); w.isPruned(o.Key) || ok && w.fresh() && old.SHA256 == o.SHA256 {
		return nil
	}
	w.objects = append(w.objects, remade{Object: o, offset: w.spool.size})
	_, err := io.Copy(struct{ io.Writer }{w.spool}, body)
	return err
}

func (r *Record) object(key string) (Object, bool) {
	i := slices.IndexFunc(r.Objects, func(o Object) bool { return o.Key == key })
	if i < 0 {
		return Object{}, false
	}
	return r.Objects[i], true
}

// isPruned says whether objects of that table, day and snapshot were pruned.
func (w *Rewriting) isPruned(key string) bool {
	return slices.ContainsFunc(w.was.record.Objects, func(o Object) bool { return o.Pruned && path.Dir(o.Key) == path.Dir(key) })
}

// leaveOutPruned has the record go on naming what was pruned, as it was, and
// nothing else there. Its rows count on: they were mapped.
func (w *Rewriting) leaveOutPruned() {
	r := w.next
	r.Objects = slices.DeleteFunc(slices.Clone(r.Objects), func(o Object) bool {
		if !w.isPruned(o.Key) {
			return false
		}
		r.Counts.Objects--
		r.Counts.Bytes -= o.Bytes
		return true
	})
	for _, o := range w.was.record.Objects {
		if o.Pruned {
			r.Objects = append(r.Objects, o)
		}
	}
}

// unchanged says that all is as it should be.
func (w *Rewriting) unchanged() bool {
	was := w.was.record
	return w.fresh() && len(w.objects) == 0 && len(w.gone()) == 0 && was.Counts == w.next.Counts && was.Mapping == w.next.Mapping
}

// gone are the objects that the flush had, and will have no more.
func (w *Rewriting) gone() []Object {
	var gone []Object
	for _, o := range w.was.record.Objects {
		if _, ok := w.next.object(o.Key); !ok {
			gone = append(gone, o)
		}
	}
	return gone
}

// Changes are what Commit will change, of the record of the flush too: its two
// steps, where it is reopened between them. None: nothing is to be done.
func (w *Rewriting) Changes() []Change {
	if w.unchanged() {
		return nil
	}
	var changes []Change
	for _, o := range w.next.Objects {
		old, _ := w.was.record.object(o.Key)
		if old.SHA256 != o.SHA256 {
			changes = append(changes, Change{Key: o.Key, Old: old.SHA256, New: o.SHA256, Removed: max(0, old.Rows-o.Rows)})
		}
	}
	for _, o := range w.gone() {
		changes = append(changes, Change{Key: o.Key, Old: o.SHA256, Removed: o.Rows})
	}
	return append(changes, recordChanges(w.was, w.reopened, w.final())...)
}

// recordChanges are the steps a record goes through.
func recordChanges(was stored, steps ...*Record) []Change {
	var changes []Change
	old := sumText(was.text)
	for _, r := range steps {
		if sum := sumText(r.encode()); sum != old {
			changes = append(changes, Change{Key: r.key(), Old: old, New: sum})
			old = sum
		}
	}
	return changes
}

// final is the record as it will be completed.
func (w *Rewriting) final() *Record {
	r := w.next.clone()
	r.RewrittenAt, r.Replaces = w.reopened.RewrittenAt, w.reopened.Replaces
	return r
}

// Close removes the temporary file.
func (w *Rewriting) Close() error {
	if w.spool != nil {
		w.spool.remove()
		w.spool = nil
	}
	return nil
}

// Commit replaces the objects one by one, removes those that are no more, and
// completes the record. Cut off anywhere, it is to be prepared and committed
// again; [Sink.Plan] and [Sink.Unfinished] tell. Whoever was overtaken by
// another rewriting gets an error that wraps [blob.ErrChanged], and has changed
// nothing since; but for an object it was just about to create or to remove: no
// store does that on the condition of another one, so the source is to be leased
// besides.
func (w *Rewriting) Commit(ctx context.Context) (load.Result, error) {
	if err := w.commit(ctx); err != nil {
		return load.Result{Upto: load.Position{Segment: w.was.record.From}}, w.sink.explain("rewrite flush of", w.was.record.Source, err)
	}
	return load.Result{Upto: w.to, Counts: w.next.Counts}, nil
}

func (w *Rewriting) commit(ctx context.Context) error {
	if w.unchanged() {
		return ctx.Err()
	}
	etag := w.was.etag
	if !bytes.Equal(w.was.text, w.reopened.encode()) {
		var err error
		if etag, err = w.sink.replace(ctx, w.reopened, etag); err != nil {
			return err
		}
	}
	there, err := w.look(ctx)
	if err != nil {
		return err
	}
	for i, o := range w.objects {
		if err := w.put(ctx, o, there[i]); err != nil {
			return err
		}
	}
	if err := w.remove(ctx); err != nil {
		return err
	}
	_, err = w.sink.replace(ctx, w.final(), etag)
	return err
}

// present is what lies in the place of an object; the zero value for nothing.
type present struct{ etag, sum string }

// look finds out what is to be replaced while nobody else may replace it:
// whatever is there later is another's, and is left alone.
func (w *Rewriting) look(ctx context.Context) ([]present, error) {
	there := make([]present, len(w.objects))
	for i, o := range w.objects {
		p, err := w.lookAt(ctx, o.Key)
		if err != nil && !errors.Is(err, blob.ErrNotExist) {
			return nil, err
		}
		there[i] = p
	}
	return there, w.ours(ctx)
}

// lookAt reads an object only where an earlier attempt may have replaced it.
func (w *Rewriting) lookAt(ctx context.Context, key string) (present, error) {
	if !w.fresh() {
		sum, info, err := sumOf(ctx, w.sink.o.Store, key)
		return present{info.ETag, sum}, err
	}
	info, err := w.sink.o.Store.Head(ctx, key)
	if err != nil {
		return present{}, fmt.Errorf("read %s: %w", key, err)
	}
	return present{etag: info.ETag}, nil
}

// ours makes sure that the record is as this rewriting left it.
func (w *Rewriting) ours(ctx context.Context) error {
	now, err := getStored(ctx, w.sink.o.Store, w.reopened.key())
	if err != nil {
		return err
	}
	if !bytes.Equal(now.text, w.reopened.encode()) {
		return fmt.Errorf("%s: somebody else rewrites it, or did: %w", w.reopened.key(), blob.ErrChanged)
	}
	return nil
}

func (w *Rewriting) put(ctx context.Context, o remade, there present) error {
	if there.sum == o.SHA256 {
		return nil
	}
	// The ETag alone says too little: another rewriting may have left, or brought
	// back, what was there.
	if err := w.ours(ctx); err != nil {
		return err
	}
	body := io.NewSectionReader(w.spool.f, o.offset, o.Bytes)
	var err error
	if there.etag == "" {
		_, err = w.sink.o.Store.PutNew(ctx, o.Key, body)
	} else {
		_, err = w.sink.o.Store.PutMatch(ctx, o.Key, there.etag, body)
	}
	if errors.Is(err, blob.ErrExist) || errors.Is(err, blob.ErrChanged) {
		// By a call of ours whose answer was lost, if it is the same.
		sum, _, getErr := sumOf(ctx, w.sink.o.Store, o.Key)
		if sum == o.SHA256 {
			return nil
		}
		err = errors.Join(fmt.Errorf("%w: %w", blob.ErrChanged, err), getErr)
	}
	if err != nil {
		return fmt.Errorf("replace %s: %w", o.Key, err)
	}
	return nil
}

// remove removes the objects that are no more, and what earlier attempts left.
func (w *Rewriting) remove(ctx context.Context) error {
	if !w.fresh() {
		if err := w.ours(ctx); err != nil {
			return err
		}
		return w.sink.removeLeftovers(ctx, w.next)
	}
	for _, o := range w.gone() {
		if err := w.ours(ctx); err != nil {
			return err
		}
		if err := w.sink.o.Store.Delete(ctx, o.Key); err != nil {
			return fmt.Errorf("delete %s: %w", o.Key, err)
		}
	}
	return nil
}

// Unfinished yields the records of a source's flushes that were reopened, or
// whose objects are being pruned, and that were cut off amid that. It reads
// every record.
func (s *Sink) Unfinished(ctx context.Context, source string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for r, err := range Open(s.o.Store).Flushes(ctx, s.o.Name, source) {
			if err != nil {
				yield(Record{}, s.explain("look for unfinished flushes of", source, err))
				return
			}
			if r.State != StateReopened && len(r.Pruning) == 0 {
				continue
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

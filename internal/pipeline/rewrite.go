package pipeline

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/proof"
	"github.com/idtrail/idtrail/internal/segment"
	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/load/lake"
	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/state"
	"github.com/idtrail/idtrail/transform"
)

// memoRewriting is kept in the state while a finished flush may be half
// rewritten, so that runs need not read every flush record to know.
const memoRewriting = "rewriting"

// rewriter is a sink of the lake, whose finished flushes can be changed.
type rewriter interface {
	load.Planner
	Prepare(ctx context.Context, b load.Batch, at time.Time) (*lake.Rewriting, error)
	PreparePrune(ctx context.Context, source string, from int64, o lake.Prune) (*lake.Pruning, error)
	Unfinished(ctx context.Context, source string) iter.Seq2[lake.Record, error]
}

var _ rewriter = (*lake.Sink)(nil)

// rewriters are the sinks of the lake that take the source.
func (v *delivery) rewriters() []*deliverer {
	var list []*deliverer
	for _, sink := range v.sinks() {
		if _, ok := sink.Sink.(rewriter); ok {
			list = append(list, &deliverer{delivery: v, sink: sink})
		}
	}
	return list
}

// rewrite is one flush that is made again.
type rewrite struct {
	d     *deliverer
	flush lake.Record
	// kind of change it is, and what its note says of it.
	kind, reason, subject string
}

// rewritten is what became of one flush.
type rewritten struct {
	changed bool
	// fits are the records that were rejected and are no longer.
	fits     []schema.Position
	rejected int64
	objects  int64
}

// make maps a flush again, writes down what will change by it, and changes it.
func (w *rewrite) make(ctx context.Context) (r rewritten, err error) {
	before, err := w.d.p.rejectsOf(ctx, w.flush)
	if err != nil {
		return r, err
	}
	at, err := w.d.p.freeTime(ctx, w.d.source.Name, w.kind)
	if err != nil {
		return r, err
	}
	m := &mapping{source: w.d.source.Name, mapper: w.d.source.Mapper, all: map[schema.Position]bool{}}
	ready, err := w.d.sink.Sink.(rewriter).Prepare(ctx, w.batch(ctx, m), at)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, ready.Close()) }()
	changes := ready.Changes()
	r.rejected, r.objects = m.tally.Rejected, int64(len(changes))
	if len(changes) == 0 {
		return r, nil
	}
	r.changed = true
	for _, place := range before {
		if !m.all[place] {
			r.fits = append(r.fits, place)
		}
	}
	return r, w.commit(ctx, ready, m, r.fits, at)
}

func (w *rewrite) batch(ctx context.Context, m *mapping) load.Batch {
	return load.Batch{
		Source: w.d.source.Name, From: schema.Position{Segment: w.flush.From}, To: schema.Position{Segment: w.flush.To},
		Mapping: transform.Version, Rows: w.d.watch(ctx, w.d.sortedRows(ctx, m, w.flush.From, w.flush.To)),
	}
}

// commit is the order that survives kills: what will change is written down;
// what is to be given again is remembered; then the flush is changed, and the
// state, which counts what the flushes say.
func (w *rewrite) commit(ctx context.Context, ready *lake.Rewriting, m *mapping, again []schema.Position, at time.Time) error {
	st, p := w.d.st, w.d.p
	if err := p.noteRewriting(ctx, w, ready.Changes(), at); err != nil {
		return err
	}
	if err := st.SetMemo(ctx, memoRewriting, w.d.sink.Name()); err != nil {
		return err
	}
	p.trace("rewrite.begun")
	if err := w.d.giveAgain(ctx, again); err != nil {
		return err
	}
	p.trace("rewrite.noted")
	if _, err := ready.Commit(ctx); err != nil {
		return err
	}
	p.trace("rewrite.written")
	if err := st.ClearRejects(ctx, w.flush.From, w.flush.To); err != nil {
		return err
	}
	p.trace("rewrite.cleared")
	err := w.d.recount(ctx, m.rejected)
	p.trace("rewrite.counted")
	return err
}

// noteRewriting writes the change down, unless a note says exactly that already:
// a rewriting that was cut off is finished as it was noted.
func (p *Pipeline) noteRewriting(ctx context.Context, w *rewrite, changes []lake.Change, at time.Time) error {
	objects := changedObjects(changes)
	for _, kind := range []string{proof.Replay, proof.Erase} {
		notes, err := p.changes(ctx, w.d.source.Name, kind)
		if err != nil {
			return err
		}
		if w.flush.State == lake.StateReopened && slices.ContainsFunc(notes, func(n note) bool { return n.covers(objects) }) {
			return nil
		}
	}
	_, err := p.writeChange(ctx, proof.Change{
		Kind: w.kind, Source: w.d.source.Name, Time: at, Reason: w.reason, Subject: w.subject, Head: -1, Objects: objects,
	})
	return err
}

// covers says whether a note says of every object what becomes of it.
func (n note) covers(objects []proof.ChangedObject) bool {
	for _, o := range objects {
		if !slices.ContainsFunc(n.change.Objects, func(c proof.ChangedObject) bool { return c.Store == o.Store && c.Key == o.Key && c.New == o.New }) {
			return false
		}
	}
	return true
}

func changedObjects(changes []lake.Change) []proof.ChangedObject {
	objects := make([]proof.ChangedObject, len(changes))
	for i, c := range changes {
		objects[i] = proof.ChangedObject{Store: proof.Lake, Key: c.Key, Old: c.Old, New: c.New, Removed: c.Removed}
	}
	return objects
}

// freeTime is a time under which no change of that kind is written down yet.
func (p *Pipeline) freeTime(ctx context.Context, source, kind string) (time.Time, error) {
	for at := p.changeTime(); ; at = at.Add(time.Millisecond) {
		_, err := p.manifests().Head(ctx, proof.ChangeKey(source, kind, at, 1))
		if errors.Is(err, blob.ErrNotExist) {
			return at, nil
		}
		if err != nil {
			return at, fmt.Errorf("look for changes of %s: %w", source, err)
		}
	}
}

// rejectsOf are the places of the records that a flush has among its rejects.
func (p *Pipeline) rejectsOf(ctx context.Context, r lake.Record) ([]schema.Position, error) {
	var places []schema.Position
	for _, o := range r.Objects {
		if o.Pruned || !isRejected(o.Key) {
			continue
		}
		for row, err := range lake.ReadTable[schema.Reject](ctx, p.Lake, o.Key) {
			if errors.Is(err, blob.ErrNotExist) && r.State != lake.StateCompleted {
				break // it was removed before the rewriting was cut off
			}
			if err != nil {
				return nil, err
			}
			places = append(places, place(row))
		}
	}
	return places, nil
}

func isRejected(key string) bool {
	return hasTable(key, "rejected") || hasTable(key, "rejected_json")
}

func hasTable(key, table string) bool {
	return len(key) > len(table) && key[:len(table)] == table && key[len(table)] == '/'
}

// recount sets the sink's counts to what its flush records say, which are the
// truth; rejected are some of the mapping's, for status.
func (d *deliverer) recount(ctx context.Context, rejected []schema.Reject) error {
	pos, err := d.st.Position(ctx, d.sink.Name())
	if err != nil {
		return err
	}
	var truth state.Tally
	for r, err := range lake.Open(d.p.Lake).Flushes(ctx, d.sink.Name(), d.source.Name) {
		if err != nil {
			return err
		}
		if r.To > pos.Next.Segment {
			continue
		}
		truth.Add(tallyOf(r))
	}
	if truth.Records, err = d.recordsOf(ctx, 0, pos.Next.Segment); err != nil {
		return err
	}
	truth.FannedOut = truth.Events + truth.Users + truth.Settings - truth.Mapped()
	return d.st.Move(ctx, state.Delivery{
		Sink: d.sink.Name(), Upto: pos.Next, At: d.p.now(), Tally: minus(truth, pos.Tally), Rejected: rejected, Note: pos.Note, Waiting: pos.Waiting,
	})
}

// recordsOf counts the records landed in segments from to to-1, less those that
// were cut out since.
func (d *deliverer) recordsOf(ctx context.Context, from, to int64) (int64, error) {
	n, err := d.st.Records(ctx, from, to)
	if err != nil {
		return 0, err
	}
	notes, err := d.p.changes(ctx, d.source.Name, proof.Erase)
	if err != nil {
		return 0, err
	}
	for _, note := range notes {
		for _, o := range note.change.Objects {
			if seq, err := segment.SeqOf(d.source.Name, o.Key); err == nil && o.Store == proof.Raw && seq >= from && seq < to {
				n -= o.Removed
			}
		}
	}
	return n, nil
}

func tallyOf(r lake.Record) state.Tally {
	return state.Tally{Rejected: r.Counts.Rejects, Events: r.Counts.Events, Users: r.Counts.Users, Settings: r.Counts.Settings}
}

func minus(a, b state.Tally) state.Tally {
	return state.Tally{
		Records: a.Records - b.Records, Rejected: a.Rejected - b.Rejected, Events: a.Events - b.Events, Users: a.Users - b.Users,
		Settings: a.Settings - b.Settings, FannedOut: a.FannedOut - b.FannedOut,
	}
}

// finishChanges finishes what was cut off. Where the state says nothing of it, it
// is looked for only if the state was lost.
func (v *delivery) finishChanges(ctx context.Context, lost bool) error {
	if err := v.finishRewritings(ctx, lost); err != nil {
		return err
	}
	memo, err := v.st.Memo(ctx, memoErasing)
	if err != nil || memo == "" && !lost {
		return err
	}
	return v.finishErasures(ctx)
}

// finishRewritings finishes what was cut off amid being rewritten or pruned. It
// asks the lake only where the state says that something may be, or was lost.
// Then only prunings are finished here: flushes are all planned anew, and what
// was being rewritten is finished by that.
func (v *delivery) finishRewritings(ctx context.Context, lost bool) error {
	memo, err := v.st.Memo(ctx, memoRewriting)
	if err != nil || memo == "" && !lost {
		return err
	}
	for _, d := range v.rewriters() {
		if err := d.finishAll(ctx, memo == ""); err != nil {
			return fmt.Errorf("finish what sink %s was changing: %w", d.sink.Name(), err)
		}
	}
	err = v.st.SetMemo(ctx, memoRewriting, "")
	v.p.trace("rewrite.ended")
	return err
}

func (d *deliverer) finishAll(ctx context.Context, prunings bool) error {
	for r, err := range d.sink.Sink.(rewriter).Unfinished(ctx, d.source.Name) {
		if err == nil && (!prunings || len(r.Pruning) > 0) {
			err = d.finishOne(ctx, r)
		}
		if err != nil {
			return err
		}
	}
	if prunings {
		return nil // nothing is counted yet
	}
	return d.recount(ctx, nil)
}

func (d *deliverer) finishOne(ctx context.Context, r lake.Record) error {
	if len(r.Pruning) > 0 {
		ready, err := d.sink.Sink.(rewriter).PreparePrune(ctx, d.source.Name, r.From, lake.Prune{})
		if err != nil {
			return err
		}
		return ready.Commit(ctx)
	}
	w := &rewrite{d: d, flush: r, kind: proof.Replay, reason: "finished what was cut off"}
	_, err := w.make(ctx)
	return err
}

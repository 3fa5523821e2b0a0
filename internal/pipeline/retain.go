package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/proof"
	"github.com/idtrail/idtrail/internal/segment"
	"github.com/idtrail/idtrail/load/lake"
	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/state"
)

// memoPruned is the first segment behind segment 0 that raw still has.
const memoPruned = "pruned_before"

// LeastRawAge is how old raw segments have to be to be pruned: what sources read
// again on purpose is judged by the ids of younger ones, once a state is lost.
const LeastRawAge = 30 * 24 * time.Hour

// PruneOptions say what is removed; the zero value of a time removes nothing.
type PruneOptions struct {
	// RawBefore: segments landed earlier.
	RawBefore time.Time
	// LakeBefore: what flushes wrote of earlier days.
	LakeBefore time.Time
	Reason     string
	// DryRun only tells.
	DryRun bool
}

// PruneReport is what a pruning removed, or would.
type PruneReport struct {
	Source string `json:"source"`
	// Segments of raw with Records; Objects of the lake with Rows.
	Segments int64 `json:"segments"`
	Records  int64 `json:"records"`
	Objects  int64 `json:"objects"`
	Rows     int64 `json:"rows"`
	// Kept says why more of raw is not removed, though it is old enough.
	Kept string `json:"kept,omitempty"`
	// Notes say what was removed.
	Notes []string `json:"notes,omitempty"`
}

// Prune removes what is older than its retention. What is removed, and how the
// chain goes on behind it, is written down before; a pruning that was cut off is
// finished by the next one. Nothing is removed from raw that a sink has not been
// given, or that a lost state could not be made anew without. state.ErrHeld.
func (p *Pipeline) Prune(ctx context.Context, source Source, o PruneOptions) (r PruneReport, err error) {
	r.Source = source.Name
	err = p.checkOwner(ctx, []Source{source})
	if err == nil && !o.RawBefore.IsZero() && p.now().Sub(o.RawBefore) < LeastRawAge {
		err = fmt.Errorf("raw has to be kept for %d days at least", LeastRawAge/(24*time.Hour))
	}
	if err == nil {
		err = p.hold(ctx, source.Name, func(ctx context.Context, st *state.DB) error { return p.prune(ctx, st, source, o, &r) })
	}
	if err != nil {
		return r, fmt.Errorf("prune %s: %w", source.Name, err)
	}
	return r, nil
}

// pruner prunes one source.
type pruner struct {
	*delivery
	o PruneOptions
	r *PruneReport
}

func (p *Pipeline) prune(ctx context.Context, st *state.DB, source Source, o PruneOptions, r *PruneReport) error {
	v := &delivery{p: p, st: st, source: source, limits: p.Limits.withDefaults()}
	if err := v.identify(ctx); err != nil {
		return err
	}
	x := &pruner{delivery: v, o: o, r: r}
	if !o.DryRun {
		if err := errors.Join(v.finishRewritings(ctx, false), x.finish(ctx)); err != nil {
			return err
		}
	}
	if !o.LakeBefore.IsZero() {
		if err := x.lake(ctx); err != nil {
			return err
		}
	}
	if !o.RawBefore.IsZero() {
		if err := x.raw(ctx); err != nil {
			return err
		}
	}
	if o.DryRun {
		return nil
	}
	return v.checkpoint(ctx)
}

// prunedBefore is 0 where nothing was pruned.
func prunedBefore(ctx context.Context, st *state.DB) (int64, error) {
	text, err := st.Memo(ctx, memoPruned)
	if err != nil || text == "" {
		return 0, err
	}
	return strconv.ParseInt(text, 10, 64)
}

// finish removes what earlier notes say was pruned, and is still there.
func (x *pruner) finish(ctx context.Context) error {
	notes, err := x.p.changes(ctx, x.source.Name, proof.Prune)
	if err != nil {
		return err
	}
	for _, n := range notes {
		if n.change.HeadHash == "" {
			continue // of the lake: its records say how far it came
		}
		if err := x.remove(ctx, n.change); err != nil {
			return err
		}
	}
	return nil
}

// raw prunes the segments before the first that has to be kept, but for segment
// 0, which says what the chain is.
func (x *pruner) raw(ctx context.Context) error {
	first, err := prunedBefore(ctx, x.st)
	if err != nil {
		return err
	}
	first = max(first, 1)
	end, err := x.end(ctx)
	if err != nil || end <= first {
		return err
	}
	rows, err := x.st.Segments(ctx, first, int(end-first))
	if err != nil {
		return err
	}
	change := proof.Change{Kind: proof.Prune, Source: x.source.Name, Reason: x.o.Reason, Head: end - 1}
	for _, row := range rows {
		if row.Seq >= end {
			break
		}
		if err := x.list(ctx, row, &change); err != nil {
			return err
		}
	}
	if x.o.DryRun || len(change.Objects) == 0 {
		return nil
	}
	if change.HeadHash == "" { // of an old one, which the next names
		seg, err := segment.ReadHeader(ctx, x.p.Raw, x.source.Name, end)
		if err != nil {
			return err
		}
		change.HeadHash = seg.Header.Prev
	}
	return x.commitRaw(ctx, change)
}

// list lists a segment in the change. Of one that is gone, and whose hash is not
// known, nobody can say what it was: verify goes on missing it.
func (x *pruner) list(ctx context.Context, row state.SegmentRow, change *proof.Change) error {
	change.HeadHash = row.SHA256
	object, err := x.segmentObject(ctx, row)
	if errors.Is(err, blob.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	x.r.Segments++
	x.r.Records += row.Records
	change.Objects = append(change.Objects, object)
	return nil
}

// commitRaw lands what has to live on, writes down what goes, and removes it.
func (x *pruner) commitRaw(ctx context.Context, change proof.Change) (err error) {
	if err := x.carry(ctx, change.Head+1); err != nil {
		return err
	}
	if change.Time, err = x.p.freeTime(ctx, x.source.Name, proof.Prune); err != nil {
		return err
	}
	notes, err := x.p.writeChange(ctx, change)
	if err != nil {
		return err
	}
	for _, n := range notes {
		x.r.Notes = append(x.r.Notes, n.key)
	}
	return x.remove(ctx, &change)
}

func (x *pruner) segmentObject(ctx context.Context, row state.SegmentRow) (proof.ChangedObject, error) {
	key := segment.Key(x.source.Name, row.Seq)
	if row.File == "" {
		sum, err := sumOf(ctx, x.p.Raw, key)
		if err != nil {
			return proof.ChangedObject{}, err
		}
		row.File = sum
	}
	return proof.ChangedObject{Store: proof.Raw, Key: key, Old: row.File, Removed: row.Records}, nil
}

func sumOf(ctx context.Context, store blob.Store, key string) (string, error) {
	h := &hashed{Store: store}
	body, _, err := h.Get(ctx, key)
	if err == nil {
		err = body.Close()
	}
	if err != nil {
		return "", fmt.Errorf("read %s: %w", key, err)
	}
	return h.sum, nil
}

// remove removes segments, the newest first: a hole in the chain always ends
// where a note says so, however far this came. One that cannot be removed, as it
// is locked, ends it.
func (x *pruner) remove(ctx context.Context, c *proof.Change) error {
	if err := x.st.SetMemo(ctx, memoPruned, strconv.FormatInt(c.Head+1, 10)); err != nil {
		return err
	}
	x.p.trace("prune.begun")
	for _, o := range slices.Backward(c.Objects) {
		_, err := x.p.Raw.Head(ctx, o.Key)
		if errors.Is(err, blob.ErrNotExist) {
			continue
		}
		if err == nil {
			err = x.p.raw().Delete(ctx, o.Key)
		}
		if err != nil {
			return fmt.Errorf("remove %s (it may be locked; the next pruning tries again): %w", o.Key, err)
		}
		x.p.trace("segment.pruned")
	}
	return nil
}

// end is the first segment that has to be kept.
func (x *pruner) end(ctx context.Context) (int64, error) {
	end, err := x.st.FirstLandedSince(ctx, x.o.RawBefore)
	if err != nil {
		return 0, err
	}
	limit := func(at int64, why string) {
		if at < end {
			end, x.r.Kept = at, why
		}
	}
	for _, sink := range x.sinks() {
		pos, _, err := x.st.Find(ctx, sink.Name())
		if err != nil {
			return 0, err
		}
		limit(pos.Next.Segment, "sink "+sink.Name()+" has not been given it")
	}
	snaps, err := x.st.Snapshots(ctx, true, 1)
	if err != nil {
		return 0, err
	}
	if len(snaps) > 0 {
		limit(snaps[0].FirstSeq, "it is the newest complete snapshot")
	}
	waiting, err := x.waiting(ctx)
	if err == nil && waiting >= 0 {
		limit(waiting, "a sink is still to be given records of it again")
	}
	return end, err
}

// waiting is the first segment of which a sink is still to be given records
// again; -1 if there is none.
func (x *pruner) waiting(ctx context.Context) (int64, error) {
	first := int64(-1)
	for _, sink := range x.sinks() {
		pos, known, err := x.st.Find(ctx, sink.Name()+state.AgainSuffix)
		if err != nil {
			return 0, err
		}
		if _, plans := sink.planner(); plans || !known {
			continue
		}
		list, err := x.st.Again(ctx, pos.Next.Record, keptAgain)
		if err != nil {
			return 0, err
		}
		for _, a := range list {
			if first < 0 || a.At.Segment < first {
				first = a.At.Segment
			}
		}
	}
	return first, nil
}

// carry lands, behind what is pruned, what only the headers before it say and a
// lost state would miss: the cursor of each stream, and the inputs that were
// finished.
func (x *pruner) carry(ctx context.Context, end int64) error {
	newest, err := x.st.NewestOfStreams(ctx)
	if err != nil {
		return err
	}
	inputs, err := x.st.InputsBefore(ctx, end)
	if err != nil {
		return err
	}
	if len(inputs) > maxCarried {
		return fmt.Errorf("%d files are known by it to be read: give the archive that is read for good a source of its own, and remove that", len(inputs))
	}
	for stream, seq := range newest {
		if seq >= end && (stream != segment.MainStream || len(inputs) == 0) {
			continue
		}
		if err := x.carryStream(ctx, stream, inputs); err != nil {
			return err
		}
		inputs = nil
	}
	return nil
}

// maxCarried inputs fit into a header.
const maxCarried = 50_000

func (x *pruner) carryStream(ctx context.Context, stream string, inputs []schema.Input) error {
	seq, hash, _, err := x.st.Head(ctx)
	if err != nil {
		return err
	}
	cursor, _, err := x.st.Cursor(ctx, stream)
	if err != nil {
		return err
	}
	l := &lander{p: x.p, st: x.st, source: x.source, limits: x.limits, run: &state.Run{}, stream: stream, identity: x.identity}
	l.head, l.cursor = segment.Ref{Seq: seq, SHA256: hash}, extract.Cursor(cursor)
	l.reset()
	l.inputs = inputs
	return l.seal(ctx)
}

// lake prunes the flushes' objects of old days.
func (x *pruner) lake(ctx context.Context) error {
	keep, err := x.keptSnapshot(ctx)
	if err != nil {
		return err
	}
	drop := func(table, day string) bool {
		bySnapshot := table == "users" || table == "pools" || table == "snapshots"
		return day < x.o.LakeBefore.UTC().Format(time.DateOnly) && (!bySnapshot || day < keep)
	}
	at, err := x.p.freeTime(ctx, x.source.Name, proof.Prune)
	if err != nil {
		return err
	}
	for _, d := range x.rewriters() {
		if err := x.lakeOf(ctx, d, lake.Prune{At: at, Drop: drop}); err != nil {
			return err
		}
	}
	return nil
}

// keptSnapshot is the day of the newest complete snapshot, which stays.
func (x *pruner) keptSnapshot(ctx context.Context) (string, error) {
	snaps, err := x.st.Snapshots(ctx, true, 1)
	if err != nil || len(snaps) == 0 {
		return "9999-12-31", err
	}
	return snaps[0].Begin.UTC().Format(time.DateOnly), nil
}

func (x *pruner) lakeOf(ctx context.Context, d *deliverer, o lake.Prune) error {
	sink := d.sink.Sink.(rewriter)
	var ready []*lake.Pruning
	change := proof.Change{Kind: proof.Prune, Source: x.source.Name, Reason: x.o.Reason, Head: -1}
	for r, err := range lake.Open(x.p.Lake).Flushes(ctx, d.sink.Name(), x.source.Name) {
		if err != nil {
			return err
		}
		if r.State != lake.StateCompleted {
			continue
		}
		one, err := sink.PreparePrune(ctx, x.source.Name, r.From, o)
		if err != nil {
			return err
		}
		changes := one.Changes()
		if len(changes) == 0 {
			continue
		}
		ready = append(ready, one)
		change.Objects = append(change.Objects, changedObjects(changes)...)
		for _, c := range changes {
			x.r.Rows += c.Removed
			if c.New == "" {
				x.r.Objects++
			}
		}
	}
	if x.o.DryRun || len(ready) == 0 {
		return nil
	}
	return x.commitPrune(ctx, change, ready)
}

func (x *pruner) commitPrune(ctx context.Context, change proof.Change, ready []*lake.Pruning) (err error) {
	if change.Time, err = x.p.freeTime(ctx, x.source.Name, proof.Prune); err != nil {
		return err
	}
	notes, err := x.p.writeChange(ctx, change)
	if err != nil {
		return err
	}
	for _, n := range notes {
		x.r.Notes = append(x.r.Notes, n.key)
	}
	if err := x.st.SetMemo(ctx, memoRewriting, "prune"); err != nil {
		return err
	}
	x.p.trace("prune.begun")
	for _, one := range ready {
		if err := one.Commit(ctx); err != nil {
			return err
		}
		x.p.trace("flush.pruned")
	}
	err = x.st.SetMemo(ctx, memoRewriting, "")
	x.p.trace("prune.ended")
	return err
}

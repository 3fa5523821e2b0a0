package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/proof"
	"github.com/idtrail/idtrail/internal/segment"
	"github.com/idtrail/idtrail/load/lake"
	"github.com/idtrail/idtrail/state"
)

// checkpointer writes down what was landed of a source and flushed to the lake
// since it was last written down.
type checkpointer struct {
	p        *Pipeline
	st       *state.DB
	source   Source
	identity string

	// last is what the checkpoint before says, as far as the next needs it.
	last state.Checkpoint
	// headHash, records and gaps are of the chain up to last.Head.
	headHash      string
	records, gaps int64
	// gone says that the checkpoint before is not there any more.
	gone error
}

// checkpoint writes what is new as one or more checkpoints; where nothing is,
// none. What it could not write, the next run does.
func (p *Pipeline) checkpoint(ctx context.Context, st *state.DB, source Source, identity string) error {
	if p.Manifests == nil && p.Lake == nil {
		return nil
	}
	c := &checkpointer{p: p, st: st, source: source, identity: identity}
	if err := c.write(ctx); err != nil {
		return fmt.Errorf("write checkpoint of %s: %w", source.Name, err)
	}
	return nil
}

func (c *checkpointer) write(ctx context.Context) error {
	if err := c.begin(ctx); err != nil {
		return err
	}
	for {
		next, upto, err := c.gather(ctx)
		if err != nil {
			return err
		}
		if next.Entries() == 0 {
			return c.gone
		}
		ours, err := c.put(ctx, next, upto)
		if err != nil {
			return err
		}
		if ours && next.Entries() < proof.MaxEntries {
			return c.gone // it lists all there is
		}
	}
}

// begin finds the checkpoint before: the one the state knows, or, where it knows
// none, the newest that is there.
func (c *checkpointer) begin(ctx context.Context) error {
	last, known, err := c.st.Checkpoint(ctx)
	if err != nil {
		return err
	}
	if !known {
		return c.recall(ctx)
	}
	c.last = last
	note, err := c.read(ctx, last.Number)
	switch {
	case errors.Is(err, blob.ErrNotExist), err == nil && note.Hash() != last.SHA256:
		// The chain of checkpoints goes on with what was written, so that
		// whoever verifies it sees what became of this one.
		c.gone = fmt.Errorf("%s is not there any more as it was written: somebody changed it (idtrail verify says more)", proof.Key(c.source.Name, last.Number))
		return c.recount(ctx)
	case err != nil:
		return err
	}
	return c.stand(ctx, note)
}

// recall takes over from the checkpoints that are there, newest first, until it
// is known how far each sink of the lake was listed.
func (c *checkpointer) recall(ctx context.Context) error {
	c.last = state.Checkpoint{Head: -1, Flushed: map[string]int64{}}
	newest, err := c.newest(ctx)
	if err != nil || newest == 0 {
		return err
	}
	for number := newest; number > max(0, newest-recallMost); number-- {
		note, err := c.read(ctx, number)
		if errors.Is(err, blob.ErrNotExist) && number < newest {
			continue // verify says so
		}
		if err != nil {
			return err
		}
		if number == newest {
			c.last.Number, c.last.SHA256, c.last.Head = number, note.Hash(), note.Head
			if err := c.stand(ctx, note); err != nil {
				return err
			}
		}
		for name, upto := range listedBy(note) {
			c.last.Flushed[name] = max(c.last.Flushed[name], upto)
		}
		if c.knowsAllSinks() {
			break
		}
	}
	c.p.log().Info("checkpoints taken over", "source", c.source.Name, "number", newest)
	return c.st.SetCheckpoint(ctx, c.last)
}

// recallMost checkpoints are read back. What an older one lists is listed again,
// which harms nothing.
const recallMost = 500

func (c *checkpointer) knowsAllSinks() bool {
	for _, sink := range c.sinks() {
		if _, ok := c.last.Flushed[sink]; !ok {
			return false
		}
	}
	return true
}

// sinks are those of the lake that take the source.
func (c *checkpointer) sinks() []string {
	var names []string
	for _, sink := range c.p.Sinks {
		if _, plans := sink.planner(); plans && sink.takes(c.source.Name) {
			names = append(names, sink.Name())
		}
	}
	return names
}

func (c *checkpointer) newest(ctx context.Context) (number int64, err error) {
	prefix := proof.Prefix(c.source.Name)
	for info, err := range c.p.manifests().List(ctx, prefix, "") {
		if err != nil {
			return 0, err
		}
		digits := strings.TrimSuffix(strings.TrimPrefix(info.Key, prefix), ".note")
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || info.Key != proof.Key(c.source.Name, n) {
			break // numbers come before all other names
		}
		number = n
	}
	return number, nil
}

// read reads a checkpoint back. Its signature is for verify to judge: whatever
// stands there, the next one goes on behind it.
func (c *checkpointer) read(ctx context.Context, number int64) (*proof.Checkpoint, error) {
	key := proof.Key(c.source.Name, number)
	msg, err := c.p.readNote(ctx, key)
	if err != nil {
		return nil, err
	}
	text, _, err := c.p.Keys.Open(msg)
	if err != nil && !errors.Is(err, proof.ErrUnsigned) && !errors.Is(err, proof.ErrKey) {
		return nil, fmt.Errorf("believe %s: %w", key, err)
	}
	note, err := proof.ParseCheckpoint(text)
	if err == nil && (note.Source != c.source.Name || note.Number != number) {
		err = fmt.Errorf("it tells of checkpoint %d of %s", note.Number, note.Source)
	}
	if err != nil {
		return nil, fmt.Errorf("believe %s: %w", key, err)
	}
	return note, nil
}

// stand goes on behind a checkpoint, if it tells of the chain that is there.
func (c *checkpointer) stand(ctx context.Context, note *proof.Checkpoint) error {
	rows, err := c.st.Segments(ctx, note.Head, 1)
	if err != nil {
		return err
	}
	if len(rows) == 0 || rows[0].Seq == note.Head && rows[0].SHA256 != note.HeadHash {
		return fmt.Errorf("checkpoint %d says that segment %d was landed as %s, and raw does not have that one: %w; put back what was moved or deleted",
			note.Number, note.Head, note.HeadHash, errChain)
	}
	c.headHash, c.records, c.gaps = note.HeadHash, note.Records, note.Gaps
	if c.identity == "" {
		c.identity = note.Identity
	}
	return nil
}

// recount counts by the state what the checkpoint before would say.
func (c *checkpointer) recount(ctx context.Context) error {
	for from := int64(0); ; {
		rows, err := c.st.Segments(ctx, from, proof.MaxEntries)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if row.Seq > c.last.Head {
				return nil
			}
			c.headHash, from = row.SHA256, row.Seq+1
			c.records += row.Records
			c.gaps += row.Gaps
		}
		if len(rows) == 0 {
			return nil
		}
	}
}

// gather makes the next checkpoint of what is new, as far as it goes into one,
// and says how far it goes.
func (c *checkpointer) gather(ctx context.Context) (*proof.Checkpoint, state.Checkpoint, error) {
	next := &proof.Checkpoint{
		Source: c.source.Name, Kind: c.source.Kind, Identity: c.identity,
		Number: c.last.Number + 1, Previous: c.last.SHA256, Time: c.p.now(),
		Head: c.last.Head, HeadHash: c.headHash, Records: c.records, Gaps: c.gaps,
	}
	upto := state.Checkpoint{Number: next.Number, Flushed: maps.Clone(c.last.Flushed)}
	if upto.Flushed == nil {
		upto.Flushed = map[string]int64{}
	}
	err := c.gatherSegments(ctx, next)
	for _, add := range []func(context.Context, *proof.Checkpoint, map[string]int64) error{c.gatherFlushes, c.gatherChanges} {
		if err == nil {
			err = add(ctx, next, upto.Flushed)
		}
	}
	upto.SHA256, upto.Head = next.Hash(), next.Head
	return next, upto, err
}

func (c *checkpointer) gatherSegments(ctx context.Context, next *proof.Checkpoint) error {
	rows, err := c.st.Segments(ctx, c.last.Head+1, proof.MaxEntries)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if next.Entries() >= proof.MaxEntries {
			return nil
		}
		if row.File == "" {
			if row.File, err = c.hashFile(ctx, row.Seq); err != nil {
				return err
			}
		}
		if row.Gaps > 0 || row.SHA256 == "" {
			// The state keeps the times of gaps less exactly than the header states
			// them.
			seg, err := segment.ReadHeader(ctx, c.p.Raw, c.source.Name, row.Seq)
			if err != nil {
				return err
			}
			row.SHA256 = seg.SHA256
			next.GapList = append(next.GapList, proof.GapsOf(row.Seq, seg.Header.Gaps)...)
		}
		next.Segments = append(next.Segments, proof.Segment{Seq: row.Seq, Header: row.SHA256, File: row.File, Count: row.Records, Bytes: row.Bytes})
		next.Head, next.HeadHash = row.Seq, row.SHA256
		next.Records += row.Records
		next.Gaps += row.Gaps
	}
	return nil
}

// hashFile hashes a segment that was indexed before hashes were kept.
func (c *checkpointer) hashFile(ctx context.Context, seq int64) (string, error) {
	seg := segment.Key(c.source.Name, seq)
	body, _, err := c.p.Raw.Get(ctx, seg)
	if err != nil {
		return "", fmt.Errorf("read segment %s: %w", seg, err)
	}
	sum := sha256.New()
	_, err = io.Copy(sum, body)
	if err := errors.Join(err, body.Close()); err != nil {
		return "", fmt.Errorf("read segment %s: %w", seg, err)
	}
	hash := hex.EncodeToString(sum.Sum(nil))
	return hash, c.st.SetFile(ctx, seq, hash)
}

// gatherFlushes lists completed flushes, as their records stand in the lake.
func (c *checkpointer) gatherFlushes(ctx context.Context, next *proof.Checkpoint, flushed map[string]int64) error {
	for _, sink := range c.sinks() {
		pos, err := c.st.Position(ctx, sink)
		if err != nil {
			return err
		}
		for flushed[sink] < pos.Next.Segment && next.Entries() < proof.MaxEntries {
			f, err := c.flush(ctx, lake.RecordKey(sink, c.source.Name, flushed[sink]))
			if errors.Is(err, blob.ErrNotExist) {
				break // a sink may keep its lake elsewhere
			}
			if err != nil {
				return err
			}
			if f == nil || f.To > next.Head+1 {
				break // its segments are to be listed first
			}
			next.Flushes = append(next.Flushes, *f)
			flushed[sink] = f.To
		}
	}
	return nil
}

// flush reads a flush record; nil where it is not completed. blob.ErrNotExist.
func (c *checkpointer) flush(ctx context.Context, key string) (*proof.Flush, error) {
	if c.p.Lake == nil {
		return nil, blob.ErrNotExist
	}
	body, _, err := c.p.Lake.Get(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("read flush record %s: %w", key, err)
	}
	text, err := io.ReadAll(body)
	if err = errors.Join(err, body.Close()); err != nil {
		return nil, fmt.Errorf("read flush record %s: %w", key, err)
	}
	r, err := lake.DecodeRecord(text)
	if err != nil {
		return nil, fmt.Errorf("read flush record %s: %w", key, err)
	}
	if r.State != lake.StateCompleted {
		return nil, nil
	}
	f := &proof.Flush{Sink: r.Sink, From: r.From, To: r.To, Record: proof.HashText(string(text)), Objects: int64(len(r.Objects))}
	for _, o := range r.Objects {
		f.Rows += o.Rows
	}
	return f, nil
}

// gatherChanges names the records of changes that none names yet, and lists anew
// the flushes that were written anew.
func (c *checkpointer) gatherChanges(ctx context.Context, next *proof.Checkpoint, told map[string]int64) error {
	prefix := proof.Prefix(c.source.Name)
	waiting := map[string]bool{}
	for info, err := range c.p.manifests().List(ctx, prefix, prefix+":") { // behind all numbers
		if err != nil {
			return fmt.Errorf("list changes: %w", err)
		}
		kind, at, ok := changeOf(strings.TrimPrefix(info.Key, prefix))
		name := toldOf(kind)
		if !ok || waiting[kind] || at < told[name] {
			continue
		}
		if next.Entries() >= proof.MaxEntries {
			return nil
		}
		named, err := c.change(ctx, next, info.Key)
		if err != nil {
			return err
		}
		// What is not finished waits, and what came after it with it.
		if waiting[kind] = !named; named {
			told[name] = at + 1
		}
	}
	return nil
}

func (c *checkpointer) change(ctx context.Context, next *proof.Checkpoint, key string) (named bool, err error) {
	msg, err := c.p.readNote(ctx, key)
	if err != nil {
		return false, err
	}
	text, _, err := c.p.Keys.Open(msg)
	isRead := err == nil || errors.Is(err, proof.ErrUnsigned) || errors.Is(err, proof.ErrKey)
	if !isRead || err != nil && c.p.Signer.Signs() && !c.ours(msg, text) {
		// Not written by a run: to name it would make it believed.
		c.p.log().Warn("a record of a change is not signed as it should be, and was left out (idtrail verify says more)", "source", c.source.Name, "note", key)
		return true, nil
	}
	change, err := proof.ParseChange(text)
	if err != nil {
		return false, fmt.Errorf("believe %s: %w", key, err)
	}
	flushes, finished, err := c.rewritten(ctx, change)
	if err != nil || !finished {
		return false, err
	}
	next.Changes = append(next.Changes, proof.Reference{Key: key, Hash: proof.HashText(text)})
	next.Flushes = append(next.Flushes, flushes...)
	return true, nil
}

// rewritten are the flushes that a replay wrote anew, once all are completed.
func (c *checkpointer) rewritten(ctx context.Context, change *proof.Change) (flushes []proof.Flush, finished bool, err error) {
	if change.Kind != proof.Replay {
		return nil, true, nil
	}
	for _, o := range change.Objects {
		if o.Store != proof.Lake || !strings.HasPrefix(o.Key, "flushes/") {
			continue
		}
		f, err := c.flush(ctx, o.Key)
		switch {
		case errors.Is(err, blob.ErrNotExist): // verify says so, where it was listed
		case err != nil || f == nil:
			return nil, false, err
		default:
			flushes = append(flushes, *f)
		}
	}
	return flushes, true, nil
}

// ours says whether a note bears the signature that this run would give it.
func (c *checkpointer) ours(msg []byte, text string) bool {
	signed, err := c.p.Signer.Sign(text)
	return err == nil && slices.Equal(signed, msg)
}

// changeOf reads the name of a change's note: its kind, and a number by which
// those of a kind are in order.
func changeOf(name string) (kind string, at int64, ok bool) {
	kind, rest, _ := strings.Cut(strings.TrimSuffix(name, ".note"), "-")
	stamp, part, ok := strings.Cut(rest, "-")
	t, err := time.Parse("20060102T150405.000Z", stamp)
	n, errPart := strconv.ParseInt(part, 10, 64)
	return kind, t.UnixMilli()*1000 + n, ok && err == nil && errPart == nil && strings.HasSuffix(name, ".note")
}

// toldOf is how it is remembered beside the sinks, none of which has such a
// name, up to which change of a kind checkpoints name them.
func toldOf(kind string) string { return "change/" + kind }

// listedBy says how far a checkpoint lists flushes and changes.
func listedBy(note *proof.Checkpoint) map[string]int64 {
	upto := map[string]int64{}
	for _, f := range note.Flushes {
		upto[f.Sink] = max(upto[f.Sink], f.To)
	}
	for _, ref := range note.Changes {
		if kind, at, ok := changeOf(strings.TrimPrefix(ref.Key, proof.Prefix(note.Source))); ok {
			upto[toldOf(kind)] = max(upto[toldOf(kind)], at+1)
		}
	}
	return upto
}

// put writes a checkpoint and remembers it. Where one stands there already,
// written by a run that did not live to remember it, that one holds, and is not
// ours.
func (c *checkpointer) put(ctx context.Context, next *proof.Checkpoint, upto state.Checkpoint) (ours bool, err error) {
	msg, err := c.p.Signer.Sign(next.Text())
	if err != nil {
		return false, err
	}
	if err := c.p.putNote(ctx, proof.Key(c.source.Name, next.Number), msg); err != nil {
		if !errors.Is(err, blob.ErrExist) {
			return false, err
		}
		return false, c.adopt(ctx, next.Number)
	}
	c.p.trace("checkpoint.written")
	return true, c.remember(ctx, next, upto)
}

func (c *checkpointer) remember(ctx context.Context, note *proof.Checkpoint, upto state.Checkpoint) error {
	if err := c.st.SetCheckpoint(ctx, upto); err != nil {
		return err
	}
	c.p.trace("checkpoint.remembered")
	c.last, c.headHash, c.records, c.gaps = upto, note.HeadHash, note.Records, note.Gaps
	return nil
}

// adopt goes on behind a checkpoint that is there and was not remembered.
func (c *checkpointer) adopt(ctx context.Context, number int64) error {
	note, err := c.read(ctx, number)
	if err != nil {
		return err
	}
	if note.Previous != c.last.SHA256 {
		return fmt.Errorf("%s stands where the next was to be, and does not follow the one before: somebody else wrote it", proof.Key(c.source.Name, number))
	}
	if err := c.stand(ctx, note); err != nil {
		return err
	}
	upto := state.Checkpoint{Number: number, SHA256: note.Hash(), Head: note.Head, Flushed: maps.Clone(c.last.Flushed)}
	if upto.Flushed == nil {
		upto.Flushed = map[string]int64{}
	}
	for name, to := range listedBy(note) {
		upto.Flushed[name] = max(upto.Flushed[name], to)
	}
	return c.remember(ctx, note, upto)
}

package lake

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Prune says what is pruned of a flush.
type Prune struct {
	// At is when it was decided; now if zero. See [Rewrite].
	At time.Time
	// Drop says whether to remove what a table (events, users, pools, snapshots,
	// rejected, gaps) has of a day (2006-01-02).
	Drop func(table, day string) bool
}

// Pruning is the removal of objects of one finished flush.
type Pruning struct {
	sink *Sink
	was  stored
	// pruning and next are what becomes of the record.
	pruning, next *Record
}

// PreparePrune finds what is to be pruned of the flush that begins at segment
// from, and changes nothing yet. A pruning that was cut off is taken up again,
// with what is to be pruned beyond it.
func (s *Sink) PreparePrune(ctx context.Context, source string, from int64, o Prune) (*Pruning, error) {
	p, err := s.preparePrune(ctx, source, from, o)
	if err != nil {
		return nil, s.explain("prepare pruning of", source, err)
	}
	return p, nil
}

func (s *Sink) preparePrune(ctx context.Context, source string, from int64, o Prune) (*Pruning, error) {
	was, err := s.stored(ctx, recordKey(s.o.Name, source, from), source, from)
	if err != nil {
		return nil, err
	}
	if was.record.State != StateCompleted {
		return nil, fmt.Errorf("flush %s %w", was.record.key(), ErrUnfinished)
	}
	p := &Pruning{sink: s, was: was, pruning: was.record.clone()}
	p.mark(o.Drop)
	if len(was.record.Pruning) == 0 && len(p.pruning.Pruning) > 0 {
		if o.At.IsZero() {
			o.At = s.o.Now()
		}
		p.pruning.PrunedAt, p.pruning.Replaces = o.At.UTC().Truncate(time.Millisecond), sumText(was.text)
	}
	p.next = p.pruning.clone()
	p.next.Pruning = nil
	return p, nil
}

func (p *Pruning) mark(drop func(table, day string) bool) {
	r := p.pruning
	for i := range r.Objects {
		o := &r.Objects[i]
		if !o.Pruned && drop != nil && drop(tableOfKey(o.Key), dayOfKey(o.Key)) {
			o.Pruned = true
			r.Pruning = append(r.Pruning, o.Key)
		}
	}
}

func tableOfKey(key string) string {
	table, _, _ := strings.Cut(key, "/")
	return strings.TrimSuffix(table, string(jsonLayout))
}

// Changes are what Commit will change, of the record of the flush too: its two
// steps. None: nothing is to be pruned.
func (p *Pruning) Changes() []Change {
	var changes []Change
	for _, o := range p.pruning.Objects {
		if slices.Contains(p.pruning.Pruning, o.Key) {
			changes = append(changes, Change{Key: o.Key, Old: o.SHA256, Removed: o.Rows})
		}
	}
	return append(changes, recordChanges(p.was, p.pruning, p.next)...)
}

// Commit marks the objects as pruned, removes them, and says in the record that
// it is done. Cut off anywhere, it is to be prepared and committed again;
// [Sink.Unfinished] tells.
func (p *Pruning) Commit(ctx context.Context) error {
	if err := p.commit(ctx); err != nil {
		return p.sink.explain("prune", p.was.record.Source, err)
	}
	return nil
}

func (p *Pruning) commit(ctx context.Context) (err error) {
	if len(p.pruning.Pruning) == 0 {
		return ctx.Err()
	}
	etag := p.was.etag
	if !bytes.Equal(p.was.text, p.pruning.encode()) {
		if etag, err = p.sink.replace(ctx, p.pruning, etag); err != nil {
			return err
		}
	}
	for _, key := range p.pruning.Pruning {
		if err := p.sink.o.Store.Delete(ctx, key); err != nil {
			return fmt.Errorf("delete %s: %w", key, err)
		}
	}
	_, err = p.sink.replace(ctx, p.next, etag)
	return err
}

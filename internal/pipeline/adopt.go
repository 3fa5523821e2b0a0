package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/segment"
	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/state"
)

// adopt brings the state up to what raw holds: every segment beyond the state's
// head is checked against the chain and indexed, as the run that wrote it would
// have done. An empty state is filled so from segment 0 on. A hole, a chain
// that does not fit, or a head that raw lacks is errChain.
func (l *lander) adopt(ctx context.Context) error {
	seq, head, known, err := l.st.Head(ctx)
	if err != nil {
		return err
	}
	first := int64(0)
	if known {
		first = seq
	}
	next := first
	for found, err := range segment.List(ctx, l.p.Raw, l.source.Name, first) {
		if err != nil {
			return err
		}
		if found != next {
			err = l.passPruned(ctx, next, found)
		}
		switch {
		case err != nil:
		case known && found == seq:
			err = l.checkHead(ctx, segment.Ref{Seq: seq, SHA256: head})
		default:
			err = l.adoptOne(ctx, found)
		}
		if err != nil {
			return err
		}
		next = found + 1
	}
	return l.adoptedTo(ctx, next, segment.Ref{Seq: seq, SHA256: head})
}

// adoptedTo ends an adoption behind which segment next is to be landed; head is
// what the state knew before, with no hash if nothing.
func (l *lander) adoptedTo(ctx context.Context, next int64, head segment.Ref) error {
	if head.SHA256 != "" && next == head.Seq {
		return l.chainError("the state knows segments up to %d, but raw lacks that one", head.Seq)
	}
	if err := l.checkPublished(ctx, next); err != nil || next > 0 {
		return err
	}
	return l.landFirst(ctx)
}

// checkPublished holds raw, whose segments end before end, against the head a
// shared state was last published with: where the local copy was lost, only that
// tells that raw was cut off.
func (l *lander) checkPublished(ctx context.Context, end int64) error {
	seq, hash, ok, err := l.st.Published(ctx)
	if err != nil || !ok {
		return err
	}
	if end <= seq {
		return l.chainError("the shared state knows segments up to %d, but raw lacks that one", seq)
	}
	there := l.head
	if there.Seq != seq {
		seg, err := segment.ReadHeader(ctx, l.p.Raw, l.source.Name, seq)
		if err != nil {
			return err
		}
		there = seg.Ref()
	}
	if there.SHA256 != hash {
		return l.chainError("segment %d is not the one the shared state knows", seq)
	}
	return nil
}

func (l *lander) chainError(format string, args ...any) error {
	return fmt.Errorf("source %s in %s: %w: %s; nothing was read: put back what was moved or deleted (a versioned bucket still has it)", l.source.Name, l.p.Raw.URL(), errChain, fmt.Sprintf(format, args...))
}

// checkHead proves that the newest segment the state knows is the one in raw,
// and that it belongs to this source's identity.
func (l *lander) checkHead(ctx context.Context, head segment.Ref) error {
	seg, err := segment.ReadHeader(ctx, l.p.Raw, l.source.Name, head.Seq)
	if err != nil {
		return err
	}
	if seg.SHA256 != head.SHA256 {
		return l.chainError("segment %d is not the one the state knows", head.Seq)
	}
	l.head = head
	return l.checkIdentity(&seg.Header)
}

func (l *lander) adoptOne(ctx context.Context, seq int64) error {
	raw := &hashed{Store: l.p.Raw}
	seg, err := segment.Read(ctx, raw, l.source.Name, seq)
	if err != nil {
		return err
	}
	if seg.Header.Prev != l.head.SHA256 {
		return l.chainError("segment %d does not follow the one before it", seq)
	}
	if err := l.checkIdentity(&seg.Header); err != nil {
		return err
	}
	if err := l.st.Commit(ctx, landed(&seg.Header, raw.sum, seg.SHA256, idsOf(seg))); err != nil {
		return err
	}
	l.p.trace("segment.adopted")
	l.head = seg.Ref()
	l.adopted++
	l.p.log().Info("segment adopted", "source", l.source.Name, "segment", seq, "records", seg.Header.Count)
	return nil
}

func (l *lander) checkIdentity(h *segment.Header) error {
	if h.Kind == l.source.Kind && h.Identity == l.identity {
		return nil
	}
	return fmt.Errorf("source %s was landed as %s of %q, and is configured as %s of %q: give the other one a name of its own",
		l.source.Name, h.Kind, h.Identity, l.source.Kind, l.identity)
}

// landFirst lands segment 0, which holds no records: it says what the chain is.
func (l *lander) landFirst(ctx context.Context) error {
	stream, span := l.stream, l.span
	defer func() { l.stream, l.span = stream, span }()
	l.stream, l.span = segment.MainStream, nil // also where a back-fill comes first
	l.head = segment.Ref{Seq: -1}
	l.cursor = l.src.Start(l.source.Since)
	l.reset()
	err := l.seal(ctx)
	if errors.Is(err, errOvertaken) {
		return nil // another run was faster, and its segment is adopted
	}
	return err
}

func idsOf(seg *segment.Segment) []state.Seen {
	seen := make([]state.Seen, 0, seg.Header.Count)
	for rec := range seg.Records() {
		if rec.Kind == schema.KindErased {
			continue
		}
		id := state.NewSeenID(snapshotID(seg.Header.Snapshot), recordID(rec.Kind, rec.Line))
		seen = append(seen, state.Seen{ID: id, Event: rec.Kind.Time(rec.Line)})
	}
	for _, e := range seg.Erased() {
		if id, ok := e.SeenID(); ok {
			seen = append(seen, state.Seen{ID: id, Event: seg.Header.Last})
		}
	}
	return seen
}

// passPruned goes on behind a hole in the chain, where a change that was written
// down says that the segments were pruned, and how the last of them was named.
func (l *lander) passPruned(ctx context.Context, next, found int64) error {
	change, err := l.p.pruned(ctx, l.source.Name, found-1)
	if err != nil {
		return err
	}
	if change == nil {
		return l.chainError("segment %d is missing, %d is there", next, found)
	}
	l.head = segment.Ref{Seq: found - 1, SHA256: change.HeadHash}
	return nil
}

// hashed remembers the hash of the object that was read last.
type hashed struct {
	blob.Store
	sum string
}

// Get implements blob.Store.
func (s *hashed) Get(ctx context.Context, key string) (io.ReadCloser, blob.Info, error) {
	body, info, err := s.Store.Get(ctx, key)
	if err != nil {
		return nil, info, err
	}
	return &hashing{body: body, sum: sha256.New(), store: s}, info, nil
}

type hashing struct {
	body  io.ReadCloser
	sum   hash.Hash
	store *hashed
}

func (h *hashing) Read(b []byte) (int, error) {
	n, err := h.body.Read(b)
	_, _ = h.sum.Write(b[:n]) // never fails
	return n, err
}

// Close reads what is left: a reader may stop at the end of what it understands.
func (h *hashing) Close() error {
	_, err := io.Copy(io.Discard, h)
	h.store.sum = hex.EncodeToString(h.sum.Sum(nil))
	return errors.Join(err, h.body.Close())
}

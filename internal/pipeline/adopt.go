package pipeline

import (
	"context"
	"errors"
	"fmt"

	"github.com/idtrail/idtrail/internal/segment"
	"github.com/idtrail/idtrail/state"
)

// adopt brings the state up to what raw holds: every segment beyond the state's
// head is checked against the chain and indexed, as the run that wrote it would
// have done. An empty state is filled so from segment 0 on. A hole, a chain
// that does not fit, or a head that raw lacks is errChain.
func (l *lander) adopt(ctx context.Context) error {
	seq, hash, known, err := l.st.Head(ctx)
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
			return l.chainError("segment %d is missing, %d is there", next, found)
		}
		if known && found == seq {
			err = l.checkHead(ctx, segment.Ref{Seq: seq, SHA256: hash})
		} else {
			err = l.adoptOne(ctx, found)
		}
		if err != nil {
			return err
		}
		next++
	}
	if known && next == first {
		return l.chainError("the state knows segments up to %d, but raw lacks that one", seq)
	}
	if next == 0 {
		return l.landFirst(ctx)
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
	seg, err := segment.Read(ctx, l.p.Raw, l.source.Name, seq)
	if err != nil {
		return err
	}
	if seg.Header.Prev != l.head.SHA256 {
		return l.chainError("segment %d does not follow the one before it", seq)
	}
	if err := l.checkIdentity(&seg.Header); err != nil {
		return err
	}
	if err := l.st.Commit(ctx, landed(&seg.Header, seg.SHA256, idsOf(seg))); err != nil {
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
		id := state.NewSeenID(snapshotID(seg.Header.Snapshot), recordID(rec.Kind, rec.Line))
		seen = append(seen, state.Seen{ID: id, Event: rec.Kind.Time(rec.Line)})
	}
	return seen
}

package pipeline

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/idtrail/idtrail/internal/segment"
	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/state"
)

// ErrNoSnapshot says that a source has no complete snapshot yet.
var ErrNoSnapshot = errors.New("no complete snapshot yet")

// Snapshot returns the newest complete snapshot of a source. ErrNoSnapshot.
func (p *Pipeline) Snapshot(ctx context.Context, source string) (state.LandedSnapshot, error) {
	st, err := p.states().OpenReader(ctx, source)
	if errors.Is(err, state.ErrNone) {
		return state.LandedSnapshot{}, fmt.Errorf("source %s: %w", source, ErrNoSnapshot)
	}
	if err != nil {
		return state.LandedSnapshot{}, err
	}
	snaps, err := st.Snapshots(ctx, true, 1)
	if err := errors.Join(err, st.Close()); err != nil {
		return state.LandedSnapshot{}, err
	}
	if len(snaps) == 0 {
		return state.LandedSnapshot{}, fmt.Errorf("source %s: %w", source, ErrNoSnapshot)
	}
	return snaps[0], nil
}

// Users yields the users of a landed snapshot, mapped anew from its segments.
// Records that cannot be mapped are left out: they are among the rejects.
func (p *Pipeline) Users(ctx context.Context, source Source, snap state.LandedSnapshot) iter.Seq2[schema.User, error] {
	return func(yield func(schema.User, error) bool) {
		for seq := snap.FirstSeq; seq <= snap.LastSeq; seq++ {
			seg, err := segment.Read(ctx, p.Raw, source.Name, seq)
			if err != nil {
				yield(schema.User{}, err)
				return
			}
			if seg.Header.Snapshot == nil || seg.Header.Snapshot.ID != snap.ID {
				continue
			}
			for user := range usersOf(seg, source) {
				if !yield(user, nil) {
					return
				}
			}
		}
	}
}

func usersOf(seg *segment.Segment, source Source) iter.Seq[schema.User] {
	return func(yield func(schema.User) bool) {
		for rec := range seg.Records() {
			if rec.Kind == schema.KindErased {
				continue
			}
			res, err := source.Mapper.Map(rec.Kind, rec.Line, seg.Header.LandedAt)
			if err != nil {
				continue
			}
			for _, user := range res.Users {
				if !yield(user) {
					return
				}
			}
		}
	}
}

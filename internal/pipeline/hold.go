package pipeline

import (
	"context"
	"errors"
	"fmt"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/state"
)

// states opens the states of sources.
func (p *Pipeline) states() state.Opener {
	if p.State != nil {
		return p.State
	}
	return state.Local(p.StateDir)
}

// raw and lake are the stores as a run writes to them: only while the source it
// holds is still held.
func (p *Pipeline) raw() blob.Store { return blob.Fenced(p.Raw) }

func (p *Pipeline) lake() blob.Store { return blob.Fenced(p.Lake) }

// manifests is where notes about the evidence are written.
func (p *Pipeline) manifests() blob.Store {
	if p.Manifests != nil {
		return blob.Fenced(p.Manifests)
	}
	return p.lake()
}

// hold opens the state of a source and does something while it is held. Where
// the source is lost on the way, to another run that took it over, do is told to
// stop, nothing is written any more, and the error says who took it.
// state.ErrHeld.
func (p *Pipeline) hold(ctx context.Context, source string, do func(context.Context, *state.DB) error) (err error) {
	st, err := p.states().Open(ctx, source)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	held, cancel := st.Context(ctx)
	defer cancel()
	err = do(blob.WithFence(held, st.Fence), st)
	if lost := st.Fence(); lost != nil {
		return fmt.Errorf("source %s: %w", source, lost)
	}
	return err
}

package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/idtrail/idtrail/internal/proof"
)

// maxNote bounds a note that is read.
const maxNote = 16 << 20

// note is a change as it was written down.
type note struct {
	key    string
	change *proof.Change
}

// writeChange writes down what is about to be changed, before it is. The notes
// are one change: objects that do not fit into one stand in the next. A time at
// which another change was written down is refused.
func (p *Pipeline) writeChange(ctx context.Context, c proof.Change) ([]note, error) {
	objects := c.Objects
	var notes []note
	for n := 1; n == 1 || len(objects) > 0; n++ {
		part := c
		part.Objects = objects[:min(len(objects), proof.MaxEntries)]
		objects = objects[len(part.Objects):]
		msg, err := p.Signer.Sign(part.Text())
		if err != nil {
			return nil, err
		}
		key := proof.ChangeKey(c.Source, c.Kind, c.Time, n)
		if err := p.putNote(ctx, key, msg); err != nil {
			return nil, err
		}
		p.trace("change.written")
		notes = append(notes, note{key, &part})
	}
	return notes, nil
}

func (p *Pipeline) putNote(ctx context.Context, key string, msg []byte) error {
	_, err := p.manifests().PutNew(ctx, key, bytes.NewReader(msg))
	if err == nil {
		return nil
	}
	there, readErr := p.readNote(ctx, key)
	if readErr == nil && bytes.Equal(there, msg) {
		return nil // ours: the answer was lost
	}
	return fmt.Errorf("write note %s: %w", key, err)
}

func (p *Pipeline) readNote(ctx context.Context, key string) ([]byte, error) {
	body, _, err := p.manifests().Get(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("read note %s: %w", key, err)
	}
	msg, err := io.ReadAll(io.LimitReader(body, maxNote))
	if err := errors.Join(err, body.Close()); err != nil {
		return nil, fmt.Errorf("read note %s: %w", key, err)
	}
	return msg, nil
}

// changes reads the notes of one kind of change of a source, the oldest first,
// as far as they are to be believed: signed with a key that was given, or, where
// nothing is signed here, at all.
func (p *Pipeline) changes(ctx context.Context, source, kind string) ([]note, error) {
	var notes []note
	for info, err := range p.manifests().List(ctx, proof.Prefix(source)+kind+"-", "") {
		if err != nil {
			return nil, fmt.Errorf("list changes of %s: %w", source, err)
		}
		msg, err := p.readNote(ctx, info.Key)
		if err != nil {
			return nil, err
		}
		change, err := p.openChange(msg)
		if err != nil {
			return nil, fmt.Errorf("believe %s: %w", info.Key, err)
		}
		if change.Source != source || change.Kind != kind {
			return nil, fmt.Errorf("believe %s: it tells of a %s of %s", info.Key, change.Kind, change.Source)
		}
		notes = append(notes, note{info.Key, change})
	}
	return notes, nil
}

func (p *Pipeline) openChange(msg []byte) (*proof.Change, error) {
	text, _, err := p.Keys.Open(msg)
	if errors.Is(err, proof.ErrUnsigned) && !p.Signer.Signs() {
		err = nil
	}
	if err != nil {
		return nil, err
	}
	return proof.ParseChange(text)
}

// pruned finds the change that pruned a chain up to segment last; nil if there
// is none.
func (p *Pipeline) pruned(ctx context.Context, source string, last int64) (*proof.Change, error) {
	if p.Manifests == nil && p.Lake == nil {
		return nil, nil
	}
	notes, err := p.changes(ctx, source, proof.Prune)
	if err != nil {
		return nil, err
	}
	for _, n := range notes {
		if n.change.Head == last && n.change.HeadHash != "" {
			return n.change, nil
		}
	}
	return nil, nil
}

// changeTime is the time of a change that is written down now: keys bear
// milliseconds.
func (p *Pipeline) changeTime() time.Time { return p.now().Truncate(time.Millisecond) }

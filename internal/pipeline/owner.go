package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/state"
)

// ownerKey names, in a lake, the one state that belongs to it.
const ownerKey = "owner.json"

const ownerFormat = 1

// ErrForeign says that the lake belongs to another state than the one at hand:
// two of them would each think that it knows all.
var ErrForeign = errors.New("the lake belongs to another state")

// Owner says which state a lake belongs to.
type Owner struct {
	Format int `json:"format"`
	// State is its name: a URL, or local: and an id.
	State string `json:"state"`
	// Host it was first run on, and Path of its folder there, for people.
	Host  string    `json:"host,omitempty"`
	Path  string    `json:"path,omitempty"`
	Since time.Time `json:"since"`
}

// checkOwner proves that the lake belongs to the state at hand. One that is
// nobody's yet becomes its own; so does another's where the state at hand knows
// nothing: the disk was lost, or the program moved. It then reads back from raw
// and lake what it lacks, and the other state is refused from then on. ErrForeign.
func (p *Pipeline) checkOwner(ctx context.Context, sources []Source) error {
	if p.Lake == nil || len(sources) == 0 {
		return nil
	}
	name, err := p.states().Name()
	if err != nil {
		return fmt.Errorf("check whose lake %s is: %w", p.Lake.URL(), err)
	}
	err = p.ownLake(ctx, name)
	if err == nil {
		return nil
	}
	err = fmt.Errorf("check whose lake %s is: %w", p.Lake.URL(), err)
	if _, away := p.Lake.Head(ctx, ownerKey); errors.Is(err, ErrForeign) || away == nil || ctx.Err() != nil {
		return err // what it says is at fault, not the lake
	}
	// A lake that cannot be reached must not cost anyone evidence: what is read
	// is landed all the same, and the sinks tell what is wrong with the lake.
	p.log().Warn("whose lake it is could not be checked", "error", err.Error())
	return nil
}

func (p *Pipeline) ownLake(ctx context.Context, name string) error {
	owner, etag, err := p.owner(ctx)
	if errors.Is(err, blob.ErrNotExist) {
		if _, err = p.Lake.PutNew(ctx, ownerKey, p.newOwner(name)); !errors.Is(err, blob.ErrExist) {
			return err
		}
		owner, etag, err = p.owner(ctx)
	}
	if err != nil || owner.State == name {
		return err
	}
	empty, err := p.knowsNothing(ctx)
	if err != nil {
		return err
	}
	if !empty {
		return fmt.Errorf("%w: %s%s, not %s; run with that one, or, if it is gone, make this one anew from the lake: idtrail state rebuild --take-over",
			ErrForeign, owner.State, owner.place(), name)
	}
	return p.takeLake(ctx, owner, etag, name)
}

func (o Owner) place() string {
	if o.Host == "" {
		return ""
	}
	return fmt.Sprintf(" (on %s %s since %s)", o.Host, o.Path, o.Since.Format(time.DateOnly))
}

func (p *Pipeline) takeLake(ctx context.Context, owner Owner, etag, name string) error {
	_, err := p.Lake.PutMatch(ctx, ownerKey, etag, p.newOwner(name))
	if errors.Is(err, blob.ErrChanged) {
		now, _, readErr := p.owner(ctx)
		if readErr == nil && now.State == name {
			return nil
		}
		return errors.Join(fmt.Errorf("%w: another one took it a moment ago: %s", ErrForeign, now.State), readErr)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", ownerKey, err)
	}
	p.trace("owner.taken")
	p.log().Warn("took the lake over from another state, which is refused from now on",
		"lake", p.Lake.URL(), "from", owner.State, "to", name)
	return nil
}

// TakeOver makes the lake that of the state at hand, whatever either knows. It is
// for an operator who knows that the other state is gone.
func (p *Pipeline) TakeOver(ctx context.Context) error {
	name, err := p.states().Name()
	if err != nil {
		return err
	}
	owner, etag, err := p.owner(ctx)
	switch {
	case errors.Is(err, blob.ErrNotExist):
		_, err = p.Lake.PutNew(ctx, ownerKey, p.newOwner(name))
		return err
	case err != nil || owner.State == name:
		return err
	default:
		return p.takeLake(ctx, owner, etag, name)
	}
}

func (p *Pipeline) newOwner(name string) blob.Body {
	host, _ := os.Hostname() // it is for people only
	text, err := json.MarshalIndent(Owner{Format: ownerFormat, State: name, Host: host, Path: p.StateDir, Since: p.now().Truncate(time.Second)}, "", "  ")
	if err != nil {
		panic(err) // texts and a time of now
	}
	return bytes.NewReader(append(text, '\n'))
}

func (p *Pipeline) owner(ctx context.Context) (o Owner, etag string, err error) {
	body, info, err := p.Lake.Get(ctx, ownerKey)
	if err != nil {
		return o, "", fmt.Errorf("read %s: %w", ownerKey, err)
	}
	text, err := io.ReadAll(io.LimitReader(body, 64<<10))
	if err := errors.Join(err, body.Close()); err != nil {
		return o, "", fmt.Errorf("read %s: %w", ownerKey, err)
	}
	if err := json.Unmarshal(text, &o); err != nil {
		return o, "", fmt.Errorf("read %s: %w", ownerKey, err)
	}
	if o.Format > ownerFormat {
		return o, "", fmt.Errorf("read %s: format %d is newer than this program: use a later version", ownerKey, o.Format)
	}
	return o, info.ETag, nil
}

// knowsNothing says whether the state at hand knows of no segment, of whatever
// source: also of those that this run leaves alone.
func (p *Pipeline) knowsNothing(ctx context.Context) (bool, error) {
	sources, err := p.states().Sources(ctx)
	if err != nil {
		return false, err
	}
	for _, name := range sources {
		st, err := p.states().OpenReader(ctx, name)
		if errors.Is(err, state.ErrNone) {
			continue
		}
		if err != nil {
			return false, err
		}
		_, _, known, err := st.Head(ctx)
		if err := errors.Join(err, st.Close()); err != nil || known {
			return false, err
		}
	}
	return true, nil
}

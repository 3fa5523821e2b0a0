package notify

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/idtrail/idtrail/internal/blob"
)

// Target is somebody to tell.
type Target struct {
	// Name is its name in the config: it is remembered by it.
	Name   string
	Sender Sender
}

// Sender brings a message to where people read it. Send tries once. Its errors
// hold neither the address nor what the receiver answered.
type Sender interface {
	Send(ctx context.Context, m Message) error
}

// Options of [Tell].
type Options struct {
	Targets []Target
	// Store is where what was told is remembered. Spare, which may be nil, takes
	// its place while it cannot be reached.
	Store, Spare blob.Store
	// See is asked what a target is to know; first is when each source was first
	// looked at.
	See func(target string, first map[string]time.Time) Sight
	// Sources are those that are looked at.
	Sources []string
	// From says whose message it is, for people who have several: the lake.
	From string
	Now  func() time.Time
}

// sendTimeout bounds the sending of one message.
const sendTimeout = 15 * time.Second

// Tell tells every target what it does not know yet. A target that cannot be told
// keeps no other from it, and is in the error, by its name.
func Tell(ctx context.Context, o Options) error {
	if len(o.Targets) == 0 {
		return nil
	}
	keep, m, doubt := o.recall(ctx)
	if m == nil {
		return doubt
	}
	now := o.Now().UTC().Truncate(time.Second)
	first := map[string]time.Time{}
	for _, source := range o.Sources {
		first[source] = now
		if seen, ok := m.Seen[source]; ok {
			first[source] = seen
		}
	}
	told := make([]delivery, len(o.Targets))
	var all sync.WaitGroup
	for i, target := range o.Targets {
		sight := o.See(target.Name, first)
		told[i] = delivery{target: target, sight: sight, news: plan(m.target(target.Name), sight, now)}
		if len(told[i].news) > 0 {
			all.Go(func() { told[i].send(ctx, o.From, now) })
		}
	}
	all.Wait()
	errs := []error{doubt}
	for _, d := range told {
		errs = append(errs, d.err)
	}
	// What was sent is remembered, whatever becomes of the run.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sendTimeout)
	defer cancel()
	errs = append(errs, keep.change(ctx, func(m *memory) bool { return o.remember(m, told, first) }))
	return errors.Join(errs...)
}

// recall reads what was told, from the store or, where that cannot be reached,
// from the spare one; then the error says why. Where that cannot be read either,
// nothing is remembered. What the spare one remembers goes back into the store as
// soon as that can be reached. The memory is nil where nothing may be told.
func (o Options) recall(ctx context.Context) (keep keeper, m *memory, err error) {
	keep = keeper{o.Store}
	err = errNoStore
	if o.Store != nil {
		m, _, err = keep.read(ctx)
	}
	switch {
	case errors.Is(err, ErrNewer):
		return keep, nil, err
	case err == nil && o.Spare == nil:
		return keep, m, nil
	case err == nil:
		return keep, m, o.giveBack(ctx, keep, m)
	case o.Spare != nil:
		keep = keeper{o.Spare}
		var failure error
		m, _, failure = keep.read(ctx)
		err = errors.Join(err, failure)
	}
	if m == nil { // rather told at every run than never
		m = new(memory).whole()
	}
	return keep, m, err
}

var errNoStore = errors.New("what was told is not remembered where it should be: the state cannot be opened")

// giveBack lays what the spare store remembers over m, remembers it in the store,
// and forgets it in the spare one.
func (o Options) giveBack(ctx context.Context, keep keeper, m *memory) error {
	spare, etag, err := keeper{o.Spare}.read(ctx)
	if err != nil || etag == "" {
		return nil //nolint:nilerr // it is a spare one: without it something may be told twice
	}
	spare.layOver(m)
	err = keep.change(ctx, func(m *memory) bool {
		spare.layOver(m)
		return true
	})
	if err != nil {
		return err
	}
	return o.Spare.Delete(ctx, memoryKey)
}

func (m *memory) layOver(to *memory) {
	for name, t := range m.Targets {
		maps.Copy(to.target(name).Told, t.Told)
	}
}

// remember notes what was told in a memory that others may have changed.
func (o Options) remember(m *memory, all []delivery, first map[string]time.Time) bool {
	changed := false
	for _, d := range all {
		t := m.target(d.target.Name)
		changed = t.settle(d.sight) || changed
		if d.sent {
			t.tell(d.news)
			changed = true
		}
	}
	for name := range m.Targets {
		if !slices.ContainsFunc(o.Targets, func(t Target) bool { return t.Name == name }) {
			delete(m.Targets, name)
			changed = true
		}
	}
	for source, at := range first {
		if _, ok := m.Seen[source]; !ok {
			m.Seen[source], changed = at, true
		}
	}
	return changed
}

// delivery is what one target is told.
type delivery struct {
	target Target
	sight  Sight
	news   []News
	sent   bool
	err    error
}

func (d *delivery) send(ctx context.Context, from string, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	if err := d.target.Sender.Send(ctx, newMessage(from, now, d.news)); err != nil {
		d.err = fmt.Errorf("tell %s: %w", d.target.Name, err)
		return
	}
	d.sent = true
}

// Try sends a message that says it is a test.
func Try(ctx context.Context, s Sender, from string, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	return s.Send(ctx, Message{
		Title: "idtrail: a test", From: from, At: now.UTC().Truncate(time.Second), Test: true,
		Lines: []string{"This is a test, as idtrail check --notify sends it. Nothing is wrong."},
	})
}

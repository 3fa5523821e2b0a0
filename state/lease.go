package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/idtrail/idtrail/internal/blob"
)

const (
	// renewEvery is how often the lease is renewed, and retryAfter when one that
	// failed is tried again.
	renewEvery = 15 * second
	retryAfter = 2 * second
	// publishAfter a change, what came meanwhile is published with it; with the
	// request itself within 5 s.
	publishAfter = 4 * second
	// holdFor is how long after its last renewal a lease holds: nothing is begun
	// after. takeAfter is when another may take it. What lies between is for
	// requests that are under way.
	holdFor   = 40 * second
	takeAfter = 60 * second
	// copyEvery is how often the whole state is copied to the store.
	copyEvery = 15 * time.Minute

	putTimeout  = 10 * second
	readTimeout = 5 * second
	// A state is closed within closeFor, of which copyFor is for its copy; where
	// the run was told to stop, within closeHurried and copyHurried.
	closeFor     = 15 * second
	copyFor      = 10 * time.Minute
	closeHurried = 6 * second
	copyHurried  = 6 * second
	// writeTries is how often a write is sent that met an earlier one of ours.
	writeTries = 3
)

// Owner is who holds a shared state.
type Owner struct {
	Host string `json:"host"`
	PID  int    `json:"pid"`
	// ID is drawn for each hold.
	ID string `json:"id"`
	// Since is by the owner's clock, for people.
	Since time.Time `json:"since,omitzero"`
}

// String names the owner for people.
func (o Owner) String() string {
	return fmt.Sprintf("process %d on %s, since %s", o.PID, o.Host, o.Since.UTC().Format(time.RFC3339))
}

// clock is the time by the wall, which somebody may set, and the time that
// passed by a clock nobody sets, which may stand while the machine sleeps.
type clock struct {
	wall func() time.Time
	mono func() time.Duration
}

func newClock(now func() time.Time) clock {
	start := now()
	return clock{
		wall: func() time.Time { return now().Round(0) },
		mono: func() time.Duration { return now().Sub(start) },
	}
}

// instant is a time by both.
type instant struct {
	wall time.Time
	mono time.Duration
}

func (c clock) now() instant { return instant{wall: c.wall(), mono: c.mono()} }

// since is the longer of what passed by either.
func (c clock) since(i instant) time.Duration {
	return max(c.wall().Sub(i.wall), c.mono()-i.mono)
}

// lease holds a shared state and publishes it. A nil lease is that of a state
// nobody shares.
type lease struct {
	objects objects
	source  string
	log     *slog.Logger
	clock   clock
	db      *sql.DB
	path    string // of db
	// finish ends the hold, within less time once the run was told to stop.
	finish func() error

	// lost ends, with its cause, when the source is no longer ours.
	lost context.Context
	lose context.CancelCauseFunc

	generation int64 // of this hold

	// writing guards the object as it stands, by what is known: one write at a
	// time.
	writing sync.Mutex
	object  object
	etag    string
	sent    int64 // Renewed of the last write that was sent

	// holding guards when the lease was last renewed, and why not since.
	holding sync.Mutex
	renewed instant
	failure error
	expiry  *time.Timer

	changed chan struct{} // holds a value while something is to be published
	changes atomic.Int64
	copied  int64 // changes that the newest copy has
	copies  int64 // made, or tried, by this holder

	keeper, publishers worker
}

// worker is what runs beside the holder until it is stopped.
type worker struct {
	stop context.CancelFunc
	wg   sync.WaitGroup
}

func (w *worker) start(ctx context.Context, runs ...func(context.Context)) {
	ctx, w.stop = context.WithCancel(ctx)
	for _, run := range runs {
		w.wg.Go(func() { run(ctx) })
	}
}

func (w *worker) end() {
	if w.stop != nil {
		w.stop()
	}
	w.wg.Wait()
}

// hold begins to renew what was acquired by a request sent at begun.
func (l *lease) hold(ctx context.Context, begun instant) {
	l.finish = sync.OnceValue(func() error { return l.finishing(ctx) })
	l.sent, l.generation = l.object.Renewed, l.object.Generation
	l.changed = make(chan struct{}, 1)
	l.lost, l.lose = context.WithCancelCause(context.WithoutCancel(ctx))
	l.expiry = time.AfterFunc(holdFor, func() { _ = l.fence() }) // it remembers what it finds
	l.accept(begun)
	// The lease outlives the run's context: what it did is still published.
	l.keeper.start(context.WithoutCancel(ctx), l.keep)
}

// serve begins to publish the state, once it is there.
func (l *lease) serve(ctx context.Context, db *sql.DB, path string) {
	l.db, l.path = db, path
	if l.known().Copy == nil {
		l.copied = -1
	}
	l.publishers.start(context.WithoutCancel(ctx), l.publishing, l.copying)
}

// known is the object as it stands, which may be written meanwhile.
func (l *lease) known() object {
	l.writing.Lock()
	defer l.writing.Unlock()
	return l.object
}

// moved says that there is something to publish.
func (l *lease) moved() {
	if l == nil || l.changed == nil {
		return
	}
	l.changes.Add(1)
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// fence refuses once the lease was lost, or was not renewed for so long that
// another may be about to take it. What was refused once stays refused.
func (l *lease) fence() error {
	if l == nil {
		return nil
	}
	if err := context.Cause(l.lost); err != nil {
		return err
	}
	l.holding.Lock()
	age, failure := l.clock.since(l.renewed), l.failure
	l.holding.Unlock()
	if age <= holdFor {
		return nil
	}
	err := fmt.Errorf("%w: the lease of %s in %s was not renewed for %s", ErrLost, l.source, l.objects.store.URL(), age.Round(time.Second))
	if failure != nil {
		err = fmt.Errorf("%w: %w", err, failure)
	}
	l.lose(err)
	return context.Cause(l.lost)
}

func (l *lease) context(ctx context.Context) (context.Context, context.CancelFunc) {
	if l == nil {
		return context.WithCancel(ctx)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(l.lost, func() { cancel(context.Cause(l.lost)) })
	return ctx, func() {
		stop()
		cancel(context.Canceled)
	}
}

// accept notes that the lease was renewed by a request sent at begun: the store
// stamped it later.
func (l *lease) accept(begun instant) {
	l.holding.Lock()
	defer l.holding.Unlock()
	l.renewed, l.failure = begun, nil
	// A moment later, so that fence finds it over.
	l.expiry.Reset(holdFor - l.clock.since(begun) + time.Millisecond)
}

// keep renews the lease.
func (l *lease) keep(ctx context.Context) {
	timer := time.NewTimer(renewEvery)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		err := l.write(ctx, func(*object) {})
		switch {
		case errors.Is(err, ErrLost):
			l.log.Error("lease lost", "source", l.source, "error", err)
			return
		case err != nil && ctx.Err() == nil:
			l.log.Warn("lease not renewed", "source", l.source, "error", err)
			timer.Reset(retryAfter)
		default:
			timer.Reset(renewEvery)
		}
	}
}

// publishing publishes what moved.
func (l *lease) publishing(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.changed:
		}
		if !wait(ctx, publishAfter) {
			l.again()
			return
		}
		err := l.publish(ctx)
		if errors.Is(err, ErrLost) {
			return // the keeper, or Close, says so
		}
		if err != nil {
			l.again()
			if ctx.Err() == nil {
				l.log.Warn("state not published", "source", l.source, "error", err)
			}
		}
	}
}

// again has what was not published be published later.
func (l *lease) again() {
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// publish writes the state as it is now.
func (l *lease) publish(ctx context.Context) error {
	select {
	case <-l.changed: // what moved so far is in it
	default:
	}
	s, at, err := l.collect(ctx)
	if err != nil {
		return err
	}
	return l.write(ctx, func(o *object) { o.State, o.Published = s, at })
}

// collect reads what is to be published, and notes in the file that it is at or
// ahead of it, before anyone can read it.
func (l *lease) collect(ctx context.Context) (s Summary, at lineage, err error) {
	err = inTx(ctx, l.db, func(tx *sql.Tx) error {
		if at, err = readLineage(ctx, tx); err != nil {
			return err
		}
		at = lineage{Generation: l.generation, Version: at.Version + 1}
		if s, err = summarize(ctx, tx); err != nil {
			return err
		}
		return putLineage(ctx, tx, at)
	})
	if err != nil {
		return Summary{}, lineage{}, fmt.Errorf("read state of %s: %w", l.source, err)
	}
	return s, at, nil
}

// write replaces the object by what change makes of it, while it is ours. With
// an error other than ErrLost, it may yet come to be written.
func (l *lease) write(ctx context.Context, change func(*object)) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	var err error
	for range writeTries {
		if cause := l.taken(); cause != nil {
			return cause
		}
		var again bool
		if again, err = l.writeOnce(ctx, change); !again {
			break
		}
	}
	if err == nil || errors.Is(err, ErrLost) {
		return err
	}
	l.holding.Lock()
	l.failure = err
	l.holding.Unlock()
	return fmt.Errorf("publish state of %s: %w", l.source, err)
}

// takenError is an ErrLost that the store has stated.
type takenError struct{ error }

func (e takenError) Unwrap() error { return e.error }

// taken says that another holds the source by now. A lease that merely was not
// renewed in time may still be written: only the store can tell.
func (l *lease) taken() error {
	if err := context.Cause(l.lost); errors.As(err, new(takenError)) {
		return err
	}
	return nil
}

func (l *lease) writeOnce(ctx context.Context, change func(*object)) (again bool, err error) {
	next := l.object
	change(&next)
	l.sent++
	next.Renewed = l.sent
	begun := l.clock.now()
	etag, err := l.objects.replace(ctx, l.source, l.etag, &next)
	if err == nil {
		l.object, l.etag = next, etag
		l.accept(begun)
		return false, nil
	}
	there, info, readErr := l.objects.read(ctx, l.source)
	switch {
	case errors.Is(readErr, blob.ErrNotExist):
		return false, l.losing("was removed")
	case readErr != nil:
		return false, errors.Join(err, readErr)
	case there.Owner.ID != next.Owner.ID || there.Generation != next.Generation:
		return false, l.losing("was taken over by " + there.Owner.String())
	}
	// It is ours: the last write, or one before it that was thought to be lost.
	l.object, l.etag = there, info.ETag
	if there.Renewed == next.Renewed {
		l.accept(begun)
		return false, nil
	}
	return errors.Is(err, blob.ErrChanged), err
}

func (l *lease) losing(why string) error {
	err := takenError{fmt.Errorf("%w: the lease of %s in %s %s", ErrLost, l.source, l.objects.store.URL(), why)}
	l.lose(err)
	return err
}

// close publishes the state a last time, copies it, and lets go of the source.
func (l *lease) close() error {
	if l == nil {
		return nil
	}
	return l.finish()
}

// finishing does it; what the run did is published however its context ended.
func (l *lease) finishing(run context.Context) error {
	l.publishers.end()
	lost := l.fence()
	var errs []error
	if l.taken() == nil && l.db != nil {
		errs = append(errs, l.closeCopy(run))
	}
	l.keeper.end()
	if l.taken() == nil {
		errs = append(errs, l.release(run))
	}
	l.expiry.Stop()
	l.lose(fmt.Errorf("%w: the state of %s was closed", ErrLost, l.source))
	return errors.Join(append(errs, lost)...)
}

// closeCopy publishes what is not, so that it is known whatever becomes of the
// copy; then it copies what the newest copy lacks.
func (l *lease) closeCopy(run context.Context) error {
	if l.changes.Load() == l.copied {
		return nil
	}
	ctx, cancel := within(run, copyFor, copyHurried)
	defer cancel()
	if len(l.changed) > 0 {
		if err := l.publish(ctx); err != nil {
			return err
		}
	}
	if err := l.copy(ctx); err != nil {
		// What it would have had is read again from raw.
		l.log.Warn("state not copied", "source", l.source, "error", err)
	}
	return nil
}

// release publishes the state and lets the next run take it at once. Where the
// file cannot be read any more, what was published last stands.
func (l *lease) release(run context.Context) error {
	ctx, cancel := within(run, closeFor, closeHurried)
	defer cancel()
	var unread error
	change := func(o *object) { o.Released = true }
	if l.db != nil {
		s, at, err := l.collect(ctx)
		if err == nil {
			change = func(o *object) { o.Released, o.State, o.Published = true, s, at }
		}
		unread = err
	}
	for {
		err := l.write(ctx, change)
		if err == nil || errors.Is(err, ErrLost) || !wait(ctx, retryAfter/4) {
			return errors.Join(unread, err)
		}
	}
}

// within is a time to finish a run in: less of it once it was told to stop.
func within(run context.Context, most, hurried time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(run), most)
	stop := context.AfterFunc(run, func() {
		wait(ctx, hurried)
		cancel()
	})
	return ctx, func() {
		stop()
		cancel()
	}
}

// wait reports whether d passed before ctx ended.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

package state

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/idtrail/idtrail/internal/blob"
)

// objectFormat is the newest version of the object this program reads.
const objectFormat = 1

// SharedOptions say where shared states lie. All but Log are required.
type SharedOptions struct {
	// Store holds one object a source, which is its lease and its state, and the
	// newest copies of its file.
	Store blob.Store
	// Dir is a folder on a local disk where the files are worked on. It need not
	// outlive the process, but what it still holds saves fetching a copy.
	Dir string
	// Owner names this process for people; its ID and Since are not read.
	Owner Owner
	// Now is the clock; as time.Now does, it should carry a monotonic reading.
	Now func() time.Time
	Log *slog.Logger
}

// Shared returns states that lie in an object store, for machines that do not
// last, and for several of them: whoever opens the state of a source holds a
// lease, which it renews, and which another may take over once it was not
// renewed for a minute by the store's clock.
func Shared(o SharedOptions) Opener {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &shared{o: o, objects: objects{store: o.Store}, clock: newClock(o.Now)}
}

type shared struct {
	o       SharedOptions
	objects objects
	clock   clock
}

// Name is the URL of the store.
func (o *shared) Name() (string, error) { return o.o.Store.URL(), nil }

// Sources are those with an object in the store.
func (o *shared) Sources(ctx context.Context) ([]string, error) {
	var sources []string
	for info, err := range o.o.Store.List(ctx, "", "") {
		if err != nil {
			return nil, fmt.Errorf("list states in %s: %w", o.o.Store.URL(), err)
		}
		if name, ok := strings.CutSuffix(info.Key, objectKey("")); ok && !strings.Contains(name, "/") {
			sources = append(sources, name)
		}
	}
	return sources, nil
}

// Open takes the source's lease, then sees that the local file knows what was
// published.
func (o *shared) Open(ctx context.Context, source string) (*DB, error) {
	return o.open(ctx, source, false)
}

// Rebuild begins an empty state, in the place of what there was, and removes
// its copies.
func (o *shared) Rebuild(ctx context.Context, source string) error {
	d, err := o.open(ctx, source, true)
	if err != nil {
		return err
	}
	err = o.dropCopies(ctx, d.lease)
	d.lease.moved()
	return errors.Join(err, d.Close())
}

func (o *shared) open(ctx context.Context, source string, anew bool) (*DB, error) {
	// The lock keeps two processes of this machine from one file.
	lock, err := holdFolder(o.o.Dir, source)
	if err != nil {
		return nil, err
	}
	if err := sweep(o.o.Dir, source, o.clock.wall()); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	l, prior, err := o.acquire(ctx, source, anew)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open state of %s in %s: %w", source, o.o.Store.URL(), err), lock.Close())
	}
	db, err := o.localFile(ctx, l, prior)
	if err != nil {
		return nil, errors.Join(opening(o.o.Dir, source, err), l.close(), lock.Close())
	}
	l.serve(ctx, db, file(o.o.Dir, source))
	return &DB{db: db, lock: lock, lease: l, source: source}, nil
}

// acquireTries is how often the lease is tried for when others were faster, or
// the outcome of a try is not known.
const acquireTries = 3

// acquire takes the lease of the source. prior says how the state was left, and
// is nil for a new one.
func (o *shared) acquire(ctx context.Context, source string, anew bool) (l *lease, prior *object, err error) {
	me := o.o.Owner
	me.ID, me.Since = newID(), o.clock.wall().UTC().Truncate(time.Second)
	for range acquireTries {
		begun := o.clock.now()
		next, old, etag, err := o.take(ctx, source, me, anew)
		if err == nil {
			l := &lease{
				objects: o.objects, source: source, log: o.o.Log, clock: o.clock, object: next, etag: etag,
			}
			l.hold(ctx, begun)
			return l, old, nil
		}
		if !errors.Is(err, blob.ErrChanged) && !errors.Is(err, blob.ErrExist) {
			return nil, nil, err
		}
	}
	return nil, nil, fmt.Errorf("%w: others were faster", ErrHeld)
}

// take writes the object with a new owner, if it may be taken. ErrChanged or
// ErrExist says that another did at the same moment.
func (o *shared) take(ctx context.Context, source string, me Owner, anew bool) (next object, old *object, etag string, err error) {
	there, info, err := o.objects.read(ctx, source)
	switch {
	case errors.Is(err, blob.ErrNotExist):
		next = object{Source: source, State: Summary{StateID: newID()}}
	case err == nil, anew && errors.Is(err, errDamaged):
		if err := mayTake(&there, info); err != nil {
			return object{}, nil, "", err
		}
		old = &there
		next = there
		if anew {
			next = object{Source: source, Generation: there.Generation, State: Summary{StateID: newID()}}
			old = nil
		}
	default:
		return object{}, nil, "", err
	}
	if next.Generation, err = o.nextGeneration(ctx, source, next.Generation); err != nil {
		return object{}, nil, "", err
	}
	next.Owner, next.Renewed, next.Released = me, 1, false
	if info.ETag == "" {
		etag, err = o.objects.create(ctx, source, &next)
	} else {
		etag, err = o.objects.replace(ctx, source, info.ETag, &next)
	}
	if err != nil {
		etag, err = o.confirm(ctx, source, me, err)
	}
	return next, old, etag, err
}

// nextGeneration is higher than all before, also where the object that said so
// is gone: copies are named by it.
func (o *shared) nextGeneration(ctx context.Context, source string, last int64) (int64, error) {
	if last > 0 {
		return last + 1, nil
	}
	for info, err := range o.o.Store.List(ctx, source+"/", "") {
		if err != nil {
			return 0, err
		}
		if g, ok := copyGeneration(source, info.Key); ok {
			last = max(last, g)
		}
	}
	return last + 1, nil
}

// confirm finds out whether a take whose answer was err was done all the same.
func (o *shared) confirm(ctx context.Context, source string, me Owner, err error) (etag string, _ error) {
	there, info, readErr := o.objects.read(ctx, source)
	switch {
	case readErr == nil && there.Owner.ID == me.ID:
		return info.ETag, nil
	case errors.Is(readErr, blob.ErrNotExist):
		return "", err
	case readErr != nil && !errors.Is(readErr, errDamaged):
		return "", errors.Join(err, readErr)
	}
	return "", err
}

// mayTake says whether the lease is free: let go of, or not renewed for long by
// the clock of the store. ErrHeld names who holds it.
func mayTake(o *object, info blob.Info) error {
	if o.Released {
		return nil
	}
	if info.Now.IsZero() || info.Modified.IsZero() {
		return errors.New("the store does not say what time it is (a Date and a Last-Modified header), so nobody can tell whether its lease is still held")
	}
	age := info.Now.Sub(info.Modified)
	if age > takeAfter {
		return nil
	}
	return fmt.Errorf("%w: %s, renewed %s ago", ErrHeld, o.Owner, max(age, 0).Round(time.Second))
}

// object is what lies in the store under the name of a source: lease and state.
type object struct {
	Format int    `json:"format"`
	Source string `json:"source"`
	// Owner holds the source, as the Generation-th that ever did, until Released.
	Owner      Owner `json:"owner"`
	Generation int64 `json:"generation"`
	Released   bool  `json:"released,omitempty"`
	// Renewed counts the writes of this owner.
	Renewed int64 `json:"renewed"`
	// Published says which publication State is.
	Published lineage `json:"published"`
	State     Summary `json:"state"`
	// Copy is the newest copy of the file, Previous the one before it.
	Copy     *fileCopy `json:"copy,omitempty"`
	Previous *fileCopy `json:"previous_copy,omitempty"`
}

// errDamaged says that the object, or a copy, is not what was written.
var errDamaged = errors.New("damaged")

// objects reads and writes the objects of sources.
type objects struct{ store blob.Store }

func objectKey(source string) string { return source + ".json" }

// maxObject bounds what is read.
const maxObject = 64 << 20

// read returns the object; with errDamaged, info is that of what is there.
func (s objects) read(ctx context.Context, source string) (o object, info blob.Info, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	body, info, err := s.store.Get(ctx, objectKey(source))
	if err != nil {
		return object{}, blob.Info{}, err
	}
	content, err := io.ReadAll(io.LimitReader(body, maxObject))
	if err := errors.Join(err, body.Close()); err != nil {
		return object{}, blob.Info{}, fmt.Errorf("read %s: %w", objectKey(source), err)
	}
	if err := json.Unmarshal(content, &o); err != nil || o.Source != source {
		return object{}, info, fmt.Errorf("read %s: %w: it is no state of %s (`idtrail state rebuild` makes it anew)", objectKey(source), errDamaged, source)
	}
	if o.Format > objectFormat {
		return object{}, blob.Info{}, fmt.Errorf("read %s: %w: %d, this program reads up to %d", objectKey(source), ErrNewer, o.Format, objectFormat)
	}
	return o, info, nil
}

func (s objects) create(ctx context.Context, source string, o *object) (etag string, err error) {
	return s.put(ctx, o, func(ctx context.Context, body blob.Body) (blob.Info, error) {
		return s.store.PutNew(ctx, objectKey(source), body)
	})
}

func (s objects) replace(ctx context.Context, source, etag string, o *object) (string, error) {
	return s.put(ctx, o, func(ctx context.Context, body blob.Body) (blob.Info, error) {
		return s.store.PutMatch(ctx, objectKey(source), etag, body)
	})
}

func (objects) put(ctx context.Context, o *object, put func(context.Context, blob.Body) (blob.Info, error)) (etag string, err error) {
	o.Format = objectFormat
	content, err := json.MarshalIndent(o, "", " ")
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, putTimeout)
	defer cancel()
	info, err := put(ctx, bytes.NewReader(append(content, '\n')))
	return info.ETag, err
}

// Holding says who holds, or held, a source.
type Holding struct {
	Owner
	Generation int64 `json:"generation"`
	Released   bool  `json:"released"`
	// Renewed is by the store's clock, Age too.
	Renewed time.Time     `json:"renewed"`
	Age     time.Duration `json:"-"`
}

// Shown is what `state show` shows of a source.
type Shown struct {
	Source string `json:"source"`
	// State names the states this is one of.
	State string `json:"state"`
	Summary
	// Holding is nil where the state is not shared.
	Holding *Holding `json:"holding,omitempty"`
}

// Show returns what was published.
func (o *shared) Show(ctx context.Context, source string) (Shown, error) {
	there, info, err := o.objects.read(ctx, source)
	if errors.Is(err, blob.ErrNotExist) {
		err = ErrNone
	}
	if err != nil {
		return Shown{}, fmt.Errorf("open state of %s in %s: %w", source, o.o.Store.URL(), err)
	}
	s := Shown{Source: source, State: o.o.Store.URL(), Summary: there.State}
	s.Holding = &Holding{Owner: there.Owner, Generation: there.Generation, Released: there.Released, Renewed: info.Modified.UTC()}
	if !info.Now.IsZero() {
		s.Holding.Age = info.Now.Sub(info.Modified)
	}
	return s, nil
}

// OpenReader reads what was published, laid over the newest copy: in a file that
// has no name and goes with Close; or the file of this machine, where that is as
// new.
func (o *shared) OpenReader(ctx context.Context, source string) (*DB, error) {
	d, err := o.openReader(ctx, source)
	if err != nil {
		return nil, fmt.Errorf("open state of %s in %s: %w", source, o.o.Store.URL(), err)
	}
	return d, nil
}

func (o *shared) openReader(ctx context.Context, source string) (*DB, error) {
	there, _, err := o.objects.read(ctx, source)
	if errors.Is(err, blob.ErrNotExist) {
		return nil, ErrNone
	}
	if err != nil {
		return nil, err
	}
	path := file(o.o.Dir, source)
	if ok, err := isCurrent(ctx, path, &there, asReader); err == nil && ok {
		return openLocalReader(ctx, path, source)
	}
	if err := os.MkdirAll(o.o.Dir, 0o700); err != nil {
		return nil, err
	}
	db, err := o.readerFile(ctx, &there)
	if err != nil {
		return nil, err
	}
	return &DB{db: db, source: source}, nil
}

func openLocalReader(ctx context.Context, path, source string) (*DB, error) {
	db, err := openFile(ctx, path, "rw")
	if err != nil {
		return nil, err
	}
	return &DB{db: db, source: source}, nil
}

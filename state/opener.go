package state

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Opener opens the states of sources: those in a folder of this machine
// ([Local]), or those that several machines share ([Shared]).
type Opener interface {
	// Open opens, or makes, the state of a source and holds the source until
	// Close. ErrHeld, ErrNewer, ErrNetwork.
	Open(ctx context.Context, source string) (*DB, error)
	// OpenReader opens the state of a source for reading, beside whoever holds
	// it. ErrNone, ErrNewer, ErrHeld.
	OpenReader(ctx context.Context, source string) (*DB, error)
	// Show returns what the state of a source knows, beside whoever holds it; of a
	// shared state, what was published. ErrNone, ErrNewer.
	Show(ctx context.Context, source string) (Shown, error)
	// Name says which states these are, for lake and people: a URL, or "local:"
	// and an id that stays with the folder.
	Name() (string, error)
	// Sources are the names of those that have a state there, in order.
	Sources(ctx context.Context) ([]string, error)
	// Rebuild drops the state of a source and makes an empty one, which the next
	// run fills from what raw and lake hold. ErrHeld.
	Rebuild(ctx context.Context, source string) error
}

var (
	_ Opener = local{}
	_ Opener = (*shared)(nil)
)

// Local returns the states in folder dir, which is made with mode 0700 and must
// lie on a local disk.
func Local(dir string) Opener { return local{dir: dir} }

type local struct{ dir string }

// Open holds the source by a lock on a file beside the state.
func (o local) Open(ctx context.Context, source string) (*DB, error) {
	lock, err := holdFolder(o.dir, source)
	if err != nil {
		return nil, err
	}
	d, err := openHeld(ctx, o.dir, source, lock)
	if err != nil {
		return nil, errors.Join(opening(o.dir, source, err), lock.Close())
	}
	return d, nil
}

// OpenReader opens the file beside its holder. One of an older format is
// migrated first, unless it is held.
func (o local) OpenReader(ctx context.Context, source string) (*DB, error) {
	path := file(o.dir, source)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open state of %s: %w", source, ErrNone)
	}
	db, err := openFile(ctx, path, "rw")
	if err != nil {
		return nil, opening(o.dir, source, err)
	}
	version, err := format(ctx, db)
	if err != nil {
		return nil, opening(o.dir, source, errors.Join(err, db.Close()))
	}
	if version == Format {
		return &DB{db: db, source: source}, nil
	}
	if err := db.Close(); err != nil {
		return nil, opening(o.dir, source, err)
	}
	return o.openOlder(ctx, source)
}

// openOlder has the file migrated by a writer, and opens it then.
func (o local) openOlder(ctx context.Context, source string) (*DB, error) {
	d, err := o.Open(ctx, source)
	if err != nil {
		return nil, err
	}
	if err := d.Close(); err != nil {
		return nil, opening(o.dir, source, err)
	}
	return o.OpenReader(ctx, source)
}

// Show reads the file.
func (o local) Show(ctx context.Context, source string) (s Shown, err error) {
	d, err := o.OpenReader(ctx, source)
	if err != nil {
		return Shown{}, err
	}
	s.Source = source
	s.Summary, err = d.Summary(ctx)
	if err := errors.Join(err, d.Close()); err != nil {
		return Shown{}, err
	}
	s.State, err = o.Name()
	return s, err
}

// idFile names the folder; it is made with it.
const idFile = "state.id"

// Name is "local:" and the id that the folder was given when it was first asked.
func (o local) Name() (string, error) {
	if err := os.MkdirAll(o.dir, 0o700); err != nil {
		return "", fmt.Errorf("make state folder: %w", err)
	}
	path := filepath.Join(o.dir, idFile)
	id, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		putErr := putFile(path, []byte(newID()+"\n"))
		// Another process may have been faster, and may have swept our file.
		if id, err = os.ReadFile(path); err != nil {
			return "", fmt.Errorf("name state folder: %w", errors.Join(putErr, err))
		}
	}
	if err != nil {
		return "", fmt.Errorf("read name of state folder: %w", err)
	}
	sweepNew(path)
	if id := strings.TrimSpace(string(id)); id != "" {
		return "local:" + id, nil
	}
	return "", fmt.Errorf("read name of state folder: %s is empty (remove it to have it made anew)", path)
}

// newPattern is what files are called before they get their name.
const newPattern = ".new-*"

// sweepNew removes what processes left that were killed while they made the file
// at path: its own other name, and files that are older.
func sweepNew(path string) {
	made, err := os.Stat(path)
	if err != nil {
		return
	}
	left, _ := filepath.Glob(filepath.Join(globEscape(filepath.Dir(path)), newPattern)) // the pattern is well formed
	for _, name := range left {
		if info, err := os.Stat(name); err == nil && (os.SameFile(info, made) || info.ModTime().Before(made.ModTime())) {
			_ = os.Remove(name) // what stays takes no harm
		}
	}
}

// Sources are those with a file in the folder, which need not be there.
func (o local) Sources(context.Context) ([]string, error) {
	entries, err := os.ReadDir(o.dir) // in order
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list state folder: %w", err)
	}
	var sources []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), filepath.Ext(file("", ""))); ok && !e.IsDir() {
			sources = append(sources, name)
		}
	}
	return sources, nil
}

// putFile makes a file whole or not at all; fs.ErrExist if there is one.
func putFile(path string, content []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), newPattern) // made with mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if e := os.Remove(f.Name()); !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}()
	_, err = f.Write(content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// Rebuild removes the file and makes an empty one.
func (o local) Rebuild(ctx context.Context, source string) error {
	lock, err := holdFolder(o.dir, source)
	if err != nil {
		return err
	}
	if err := dropFile(file(o.dir, source)); err != nil {
		return errors.Join(opening(o.dir, source, err), lock.Close())
	}
	d, err := openHeld(ctx, o.dir, source, lock)
	if err != nil {
		return errors.Join(opening(o.dir, source, err), lock.Close())
	}
	return d.Close()
}

// holdFolder makes the folder and locks the source in it.
func holdFolder(dir, source string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make state folder: %w", err)
	}
	if err := refuseNetwork(dir); err != nil {
		return nil, err
	}
	lock, err := takeLock(filepath.Join(dir, source+".lock"))
	if err != nil {
		return nil, fmt.Errorf("open state of %s: %w", source, err)
	}
	return lock, nil
}

// openHeld opens, or makes, the file of a source that is locked.
func openHeld(ctx context.Context, dir, source string, lock *os.File) (*DB, error) {
	db, err := openFile(ctx, file(dir, source), "rwc")
	if err != nil {
		return nil, err
	}
	err = migrate(ctx, db)
	if err == nil {
		err = putNewID(ctx, db)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &DB{db: db, lock: lock, source: source}, nil
}

// sideFiles are what SQLite puts beside a database. A journal that is left
// beside another database than its own would be played into it.
var sideFiles = []string{"", "-wal", "-shm", "-journal"}

// dropFile removes a database with all that belongs to it.
func dropFile(path string) error {
	for _, suffix := range sideFiles {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove state file: %w", err)
		}
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder makes the names in a folder durable.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync state folder: %w", err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("sync state folder: %w", err)
	}
	return nil
}

func newID() string { return strings.ToLower(rand.Text()) }

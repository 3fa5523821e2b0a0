package state

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/mattn/go-sqlite3"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/tempfile"
)

// fileCopy is a copy of the SQLite file in the store, compressed.
type fileCopy struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"` // of the object, hex
	Bytes  int64  `json:"bytes"`
}

// copyKey sorts as copies were made. A name is used once.
func copyKey(source string, generation, n int64) string {
	return fmt.Sprintf("%s/%012d-%06d.db.zst", source, generation, n)
}

func copyGeneration(source, key string) (int64, bool) {
	name, ok := strings.CutPrefix(key, source+"/")
	generation, _, dashed := strings.Cut(name, "-")
	g, err := strconv.ParseInt(generation, 10, 64)
	return g, ok && dashed && err == nil
}

// temporary is how temporary files of a source are called; a leftover is swept
// up by the next holder.
func temporary(source string) string { return source + ".tmp-*" }

// temporaryOfReader is the same for readers, who work beside a holder. Their
// files have names for as long as a copy is fetched.
func temporaryOfReader(source string) string { return source + ".read-*" }

// readerAge is when a reader's file cannot be in use.
const readerAge = time.Hour

// sweep removes what processes that were killed left behind.
func sweep(dir, source string, now time.Time) error {
	for pattern, age := range map[string]time.Duration{temporary(source): 0, temporaryOfReader(source): readerAge} {
		names, err := filepath.Glob(filepath.Join(globEscape(dir), pattern))
		if err != nil {
			return fmt.Errorf("look for temporary files: %w", err)
		}
		for _, name := range names {
			if err := sweepFile(name, now.Add(-age), age); err != nil {
				return fmt.Errorf("remove temporary file: %w", err)
			}
		}
	}
	return nil
}

func sweepFile(name string, before time.Time, age time.Duration) error {
	fi, err := os.Stat(name)
	if err == nil && (age == 0 || fi.ModTime().Before(before)) {
		err = os.Remove(name)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func globEscape(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// copying copies the file to the store now and then.
func (l *lease) copying(ctx context.Context) {
	for wait(ctx, copyEvery) {
		if err := l.copy(ctx); err != nil && ctx.Err() == nil {
			l.log.Warn("state not copied", "source", l.source, "error", err)
		}
	}
}

// copy puts a copy of the file under a new name, has the object name it, and
// removes those older than the two newest.
func (l *lease) copy(ctx context.Context) error {
	changes := l.changes.Load()
	if changes == l.copied {
		return nil
	}
	packed, err := l.pack(ctx)
	if err != nil {
		return fmt.Errorf("copy state of %s: %w", l.source, err)
	}
	made, err := l.upload(ctx, packed)
	if err := errors.Join(err, packed.Close()); err != nil {
		return fmt.Errorf("copy state of %s: %w", l.source, err)
	}
	err = l.write(ctx, func(o *object) {
		if o.Copy == nil || o.Copy.Name != made.Name {
			o.Previous, o.Copy = o.Copy, &made
		}
	})
	if err != nil {
		return err
	}
	l.copied = changes
	return l.prune(ctx)
}

// pack writes the file as it is now, compressed, to a file without a name. It
// reads beside the writer.
func (l *lease) pack(ctx context.Context) (packed *os.File, err error) {
	dir := filepath.Dir(l.path)
	plain, err := os.CreateTemp(dir, temporary(l.source)) // made with mode 0600
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, plain.Close(), os.Remove(plain.Name())) }()
	if err := vacuumInto(ctx, l.path, plain.Name()); err != nil {
		return nil, err
	}
	if err := leaveOut(ctx, plain.Name()); err != nil {
		return nil, err
	}
	packed, err = tempfile.New(dir, l.source)
	if err != nil {
		return nil, err
	}
	if err := compress(ctx, packed, plain); err != nil {
		return nil, errors.Join(err, packed.Close())
	}
	return packed, nil
}

func vacuumInto(ctx context.Context, path, into string) (err error) {
	db, err := openFile(ctx, path, "rw")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	_, err = db.ExecContext(ctx, `VACUUM INTO ?`, into)
	return err
}

// hashesKept of segments, the newest that a checkpoint lists, stand in a copy.
// Those of older ones would be most of its size once it is packed, in each copy
// anew; raw and the checkpoints have them.
const hashesKept = 1000

// leaveOut takes out of a copy what is not worth being copied time and again.
func leaveOut(ctx context.Context, path string) (err error) {
	db, err := openTemporary(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	_, err = db.ExecContext(ctx,
		`UPDATE segment SET sha256 = '', file_sha256 = '' WHERE seq < (SELECT head FROM checkpoint) - ? AND sha256 <> ''`, hashesKept)
	if err == nil {
		_, err = db.ExecContext(ctx, `VACUUM`) // their bytes are still there
	}
	return err
}

func compress(ctx context.Context, to io.Writer, from io.Reader) error {
	enc, err := zstd.NewWriter(to, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return err
	}
	_, err = io.Copy(enc, ctxReader{ctx, from})
	return errors.Join(err, enc.Close())
}

type ctxReader struct {
	ctx context.Context // lives as long as one copy
	r   io.Reader
}

func (r ctxReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

func (l *lease) upload(ctx context.Context, packed *os.File) (fileCopy, error) {
	if _, err := packed.Seek(0, io.SeekStart); err != nil {
		return fileCopy{}, err
	}
	sum := sha256.New()
	size, err := io.Copy(sum, packed)
	if err != nil {
		return fileCopy{}, err
	}
	l.copies++ // also where the outcome is not known: a name is used once
	name := copyKey(l.source, l.generation, l.copies)
	if _, err := l.objects.store.PutNew(ctx, name, packed); err != nil {
		return fileCopy{}, err
	}
	return fileCopy{Name: name, SHA256: hex.EncodeToString(sum.Sum(nil)), Bytes: size}, nil
}

// prune removes copies older than the previous one. What a later holder made
// sorts behind it.
func (l *lease) prune(ctx context.Context) error {
	previous := l.known().Previous
	if previous == nil {
		return nil
	}
	return deleteCopies(ctx, l.objects.store, l.source, previous.Name)
}

func deleteCopies(ctx context.Context, store blob.Store, source, before string) error {
	for info, err := range store.List(ctx, source+"/", "") {
		if err != nil {
			return err
		}
		if _, ok := copyGeneration(source, info.Key); !ok {
			continue
		}
		if info.Key >= before {
			return nil
		}
		if err := store.Delete(ctx, info.Key); err != nil {
			return err
		}
	}
	return nil
}

// dropCopies removes the copies of holders before this one.
func (o *shared) dropCopies(ctx context.Context, l *lease) error {
	return deleteCopies(ctx, o.o.Store, l.source, copyKey(l.source, l.generation, 0))
}

// localFile opens the local file, if it is at or ahead of what was published;
// else one made from the newest copy, or an empty one, with what was published
// laid over it.
func (o *shared) localFile(ctx context.Context, l *lease, prior *object) (*sql.DB, error) {
	path := file(o.o.Dir, l.source)
	if prior != nil {
		ok, err := isCurrent(ctx, path, prior, asHolder(prior))
		if err != nil {
			return nil, err
		}
		if ok {
			return openCurrent(ctx, path)
		}
	}
	if err := refuseLocal(ctx, path); err != nil {
		return nil, err
	}
	if err := dropFile(path); err != nil {
		return nil, err
	}
	if err := o.restore(ctx, l, prior, path); err != nil {
		return nil, err
	}
	db, err := openFile(ctx, path, "rwc")
	if err != nil {
		return nil, err
	}
	err = migrate(ctx, db)
	if err == nil {
		there := l.known()
		err = overlay(ctx, db, &there.State, there.Published)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// refuseLocal keeps a file from being dropped that nobody shares: it is all that
// is known.
func refuseLocal(ctx context.Context, path string) error {
	if _, err := os.Stat(path); err != nil {
		return nil //nolint:nilerr // where there is none, there is nothing to keep
	}
	db, err := openFile(ctx, path, "rw")
	if err != nil {
		return ctx.Err() // it is no file of ours
	}
	id, err := meta(ctx, db, metaID)
	if err == nil && id != "" {
		var at lineage
		if at, err = readLineage(ctx, db); err == nil && at.Generation < 0 {
			err = errors.New("it is a state that is not shared; give the shared state a folder of its own")
			return errors.Join(err, db.Close())
		}
	}
	if err := db.Close(); err != nil {
		return err
	}
	return ctx.Err() // what cannot be read tells nothing
}

func openCurrent(ctx context.Context, path string) (*sql.DB, error) {
	db, err := openFile(ctx, path, "rw")
	if err != nil {
		return nil, err
	}
	if err := migrate(ctx, db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// look says how far a file is looked into.
type look struct {
	// whole reads all of it: whoever wrote it did not close it.
	whole bool
	// oldest format that will do.
	oldest int
}

// asReader looks at a file that cannot be migrated.
var asReader = look{oldest: Format}

func asHolder(prior *object) look { return look{whole: !prior.Released, oldest: 1} }

// isCurrent says whether the file is one of this state and at or ahead of what
// was published. One that cannot be read is not; only a newer format, or a disk
// that fails, is an error.
func isCurrent(ctx context.Context, path string, o *object, how look) (bool, error) {
	if _, err := os.Stat(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return false, fmt.Errorf("look at state file: %w", err)
	}
	db, err := openFile(ctx, path, "rw")
	if err == nil {
		var ok bool
		ok, err = matches(ctx, db, o, how)
		err = errors.Join(err, db.Close())
		if err == nil {
			return ok, nil
		}
	}
	if errors.Is(err, ErrNewer) || ctx.Err() != nil || !isBadFile(err) {
		return false, err
	}
	return false, nil
}

// isBadFile says that SQLite found the file itself to be bad: what it holds
// counts for nothing.
func isBadFile(err error) bool {
	var e sqlite3.Error
	if !errors.As(err, &e) {
		return errors.Is(err, errDamaged)
	}
	return e.Code == sqlite3.ErrNotADB || e.Code == sqlite3.ErrCorrupt || e.Code == sqlite3.ErrError
}

func matches(ctx context.Context, db *sql.DB, o *object, how look) (bool, error) {
	version, err := format(ctx, db)
	if err != nil || version < how.oldest {
		return false, err
	}
	if how.whole {
		if err := checkFile(ctx, db); err != nil {
			return false, err
		}
	}
	id, err := meta(ctx, db, metaID)
	if err != nil || id != o.State.StateID {
		return false, err
	}
	at, err := readLineage(ctx, db)
	if err != nil || at.Generation != o.Published.Generation || at.Version < o.Published.Version {
		return false, err
	}
	return holdsHead(ctx, db, o.State.Head)
}

// holdsHead says whether the file has indexed, or is yet to index, the segment
// that was published as the newest.
func holdsHead(ctx context.Context, db *sql.DB, head *Head) (bool, error) {
	if head == nil {
		return true, nil
	}
	var hash string
	err := db.QueryRowContext(ctx, `SELECT sha256 FROM segment WHERE seq = ?`, head.Segment).Scan(&hash)
	if errors.Is(err, sql.ErrNoRows) {
		here, err := readHead(ctx, db)
		return err == nil && here != nil && *here == *head, err
	}
	return hash == head.SHA256, err
}

// checkFile reads the whole file.
func checkFile(ctx context.Context, db *sql.DB) error {
	var verdict string
	if err := db.QueryRowContext(ctx, `PRAGMA quick_check(1)`).Scan(&verdict); err != nil {
		return err
	}
	if verdict != "ok" {
		return fmt.Errorf("state file: %w", errDamaged)
	}
	return nil
}

// restore makes the file from the newest copy that can be read; none, if there
// is none.
func (o *shared) restore(ctx context.Context, l *lease, prior *object, path string) error {
	if prior == nil {
		return nil
	}
	name, err := o.fetch(ctx, prior, temporary(l.source))
	if err != nil || name == "" {
		return err
	}
	if err := os.Rename(name, path); err != nil {
		return errors.Join(fmt.Errorf("restore state of %s: %w", l.source, err), os.Remove(name))
	}
	return syncFolder(filepath.Dir(path))
}

// fetch returns a temporary file made from the newest copy that can be read; ""
// if there is none: then all is read again from raw.
func (o *shared) fetch(ctx context.Context, there *object, pattern string) (name string, err error) {
	for _, c := range []*fileCopy{there.Copy, there.Previous} {
		if c == nil {
			continue
		}
		name, err := o.download(ctx, c, there.State.StateID, pattern)
		switch {
		case err == nil:
			return name, nil
		case errors.Is(err, blob.ErrNotExist) || isBadFile(err):
			o.o.Log.Warn("copy of the state cannot be used", "source", there.Source, "copy", c.Name, "error", err)
		default:
			return "", fmt.Errorf("fetch copy %s: %w", c.Name, err)
		}
	}
	return "", nil
}

func (o *shared) download(ctx context.Context, c *fileCopy, id, pattern string) (name string, err error) {
	f, err := os.CreateTemp(o.o.Dir, pattern) // made with mode 0600
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	err = o.unpack(ctx, f, c)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return "", err
	}
	return f.Name(), proveCopy(ctx, f.Name(), id)
}

// unpack writes the file that a copy holds, if the copy is the one that was
// made.
func (o *shared) unpack(ctx context.Context, to io.Writer, c *fileCopy) (err error) {
	body, _, err := o.o.Store.Get(ctx, c.Name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	sum := sha256.New()
	source := &failing{r: io.TeeReader(body, sum)}
	dec, err := zstd.NewReader(source, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
	if err != nil {
		return err
	}
	defer dec.Close()
	_, err = io.Copy(to, dec)
	if err == nil {
		_, err = io.Copy(io.Discard, source)
	}
	switch {
	case source.err != nil:
		return source.err // the store's fault, not the copy's
	case errors.As(err, new(*fs.PathError)):
		return err // the disk's
	case err != nil || hex.EncodeToString(sum.Sum(nil)) != c.SHA256:
		return fmt.Errorf("%s: %w", c.Name, errDamaged)
	}
	return nil
}

// failing remembers the error of a reader.
type failing struct {
	r   io.Reader
	err error
}

func (f *failing) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		f.err = err
	}
	return n, err
}

// proveCopy checks that a file is whole, and one of this state.
func proveCopy(ctx context.Context, path, id string) (err error) {
	db, err := openTemporary(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if _, err := format(ctx, db); err != nil {
		return err
	}
	if err := checkFile(ctx, db); err != nil {
		return err
	}
	found, err := meta(ctx, db, metaID)
	if err == nil && found != id {
		return fmt.Errorf("copy of another state: %w", errDamaged)
	}
	return err
}

// openTemporary opens a file that needs no journal: nobody reads it after a
// crash.
func openTemporary(ctx context.Context, path string) (*sql.DB, error) {
	db, err := sql.Open("sqlite3", "file:"+uriPath(path)+"?mode=rw&_journal_mode=MEMORY&_synchronous=OFF&_txlock=immediate")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// readerFile makes a file for a reader. It loses its name once it is open, so
// that nothing is left however the reader ends.
func (o *shared) readerFile(ctx context.Context, there *object) (db *sql.DB, err error) {
	pattern := temporaryOfReader(there.Source)
	name, err := o.fetch(ctx, there, pattern)
	if err != nil {
		return nil, err
	}
	if name == "" {
		f, err := os.CreateTemp(o.o.Dir, pattern)
		if err != nil {
			return nil, err
		}
		if err := f.Close(); err != nil {
			return nil, errors.Join(err, os.Remove(f.Name()))
		}
		name = f.Name()
	}
	db, err = openTemporary(ctx, name)
	if err := errors.Join(err, os.Remove(name)); err != nil {
		if db != nil {
			err = errors.Join(err, db.Close())
		}
		return nil, err
	}
	if err := migrate(ctx, db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if err := overlay(ctx, db, &there.State, there.Published); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

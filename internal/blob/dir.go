package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// tmpName is the folder below the root where objects are written before
	// they get their name. Keys below it are refused, and never listed.
	tmpName = "tmp"
	// lockName is the lock file in tmpName. It is never removed: a lock on a
	// removed file would lock nobody out.
	lockName = ".lock"
	// leftoverAge is when a file in tmpName can no longer be a write that is
	// under way.
	leftoverAge = 24 * time.Hour
	// lockPoll is how often a lock held by another process is tried again.
	lockPoll = 5 * time.Millisecond
)

// Dir is a store in a directory of a local file system. Several processes may
// use one directory. Files are made 0600, folders 0700.
//
// The file system must have hard links and locks, which all usual ones have,
// and no other program may change the files.
type Dir struct {
	root string
	// lock is the part of the file lock that this process sees: flock would
	// keep one thread busy per waiter.
	lock chan struct{}

	mu     sync.Mutex
	synced map[string]bool // folders whose names are known to be durable
}

var (
	_ Store    = (*Dir)(nil)
	_ ReaderAt = (*Dir)(nil)
)

// OpenDir opens the store in the directory path, and creates it if need be.
// What an earlier process left half-written more than a day ago is removed.
// Nothing else is written before the first Put, so that a directory that can
// only be read can be opened.
func OpenDir(path string) (*Dir, error) {
	root, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open directory %q: %w", path, err)
	}
	d := &Dir{root: root, lock: make(chan struct{}, 1), synced: map[string]bool{}}
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, explain("create directory", root, err)
	}
	if _, err := os.ReadDir(root); err != nil {
		return nil, explain("open directory", root, err)
	}
	d.sweep()
	return d, nil
}

// URL is the absolute path of the directory.
func (d *Dir) URL() string { return d.root }

// Get opens the object. The reader fails once ctx is done.
func (d *Dir) Get(ctx context.Context, key string) (io.ReadCloser, Info, error) {
	f, info, err := d.open(ctx, key)
	if err != nil {
		return nil, Info{}, err
	}
	return &fileReader{ctx: ctx, f: f}, answeredNow(info), nil
}

// OpenAt opens the object for reads at any offset; ErrChanged if it is another
// than info describes.
func (d *Dir) OpenAt(ctx context.Context, info Info) (ReadAtCloser, error) {
	f, found, err := d.open(ctx, info.Key)
	if err != nil {
		return nil, err
	}
	if found.ETag != info.ETag {
		return nil, errors.Join(fmt.Errorf("open %s: %w", f.Name(), ErrChanged), f.Close())
	}
	return f, nil
}

// Head describes the object.
func (d *Dir) Head(ctx context.Context, key string) (Info, error) {
	path, err := d.path(ctx, key)
	if err != nil {
		return Info{}, err
	}
	info, err := stat(path, key)
	return answeredNow(info), err
}

// PutNew creates the object.
func (d *Dir) PutNew(ctx context.Context, key string, body Body) (Info, error) {
	path, err := d.path(ctx, key)
	if err != nil {
		return Info{}, err
	}
	// Saves writing a body that would be thrown away; link decides.
	if _, err := os.Lstat(path); err == nil {
		return Info{}, d.exists(path)
	}
	tmp, err := d.writeTemp(ctx, body)
	if err != nil {
		return Info{}, fmt.Errorf("write %s: %w", path, err)
	}
	defer removeTemp(tmp)
	info, err := stat(tmp, key)
	if err != nil {
		return Info{}, err
	}
	err = d.link(tmp, path)
	return answeredNow(info), err
}

// PutMatch replaces the object.
func (d *Dir) PutMatch(ctx context.Context, key, etag string, body Body) (Info, error) {
	path, err := d.path(ctx, key)
	if err != nil {
		return Info{}, err
	}
	tmp, err := d.writeTemp(ctx, body)
	if err != nil {
		return Info{}, fmt.Errorf("write %s: %w", path, err)
	}
	defer removeTemp(tmp)
	unlock, err := d.acquire(ctx)
	if err != nil {
		return Info{}, err
	}
	defer unlock()
	old, err := stat(path, key)
	if err != nil {
		return Info{}, err
	}
	if old.ETag != etag {
		return Info{}, fmt.Errorf("replace %s: %w", path, ErrChanged)
	}
	return d.replace(tmp, path, old)
}

// Delete removes the object. Folders stay.
func (d *Dir) Delete(ctx context.Context, key string) error {
	path, err := d.path(ctx, key)
	if err != nil {
		return err
	}
	if _, err := stat(path, key); err != nil {
		if errors.Is(err, ErrNotExist) {
			return nil
		}
		return err
	}
	unlock, err := d.acquire(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return explain("delete", path, err)
	}
	return syncPath(filepath.Dir(path))
}

// path is where the object lies.
func (d *Dir) path(ctx context.Context, key string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if err := CheckKey(key); err != nil {
		return "", err
	}
	if key == tmpName || strings.HasPrefix(key, tmpName+"/") {
		return "", fmt.Errorf("%w: %q is kept for half-written files", ErrKey, key)
	}
	return filepath.Join(d.root, filepath.FromSlash(key)), nil
}

// open opens a regular file; anything else, a pipe say, might block.
func (d *Dir) open(ctx context.Context, key string) (*os.File, Info, error) {
	path, err := d.path(ctx, key)
	if err != nil {
		return nil, Info{}, err
	}
	if _, err := stat(path, key); err != nil {
		return nil, Info{}, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, Info{}, explain("open", path, err)
	}
	fi, err := f.Stat()
	if err != nil {
		return nil, Info{}, errors.Join(explain("open", path, err), f.Close())
	}
	return f, describe(key, fi), nil
}

// writeTemp writes the body to a new durable file and returns its path.
func (d *Dir) writeTemp(ctx context.Context, body Body) (string, error) {
	if err := d.mkdir(filepath.Join(d.root, tmpName)); err != nil {
		return "", err
	}
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return "", fmt.Errorf("rewind body: %w", err)
	}
	f, err := os.CreateTemp(filepath.Join(d.root, tmpName), "put-*")
	if err != nil {
		return "", explain("create file in", filepath.Join(d.root, tmpName), err)
	}
	if err := fill(ctx, f, body); err != nil {
		removeTemp(f.Name())
		return "", err
	}
	return f.Name(), nil
}

// fill copies the body to f, makes it durable and closes f.
func fill(ctx context.Context, f *os.File, body io.Reader) error {
	in := &bodyReader{ctx: ctx, r: body}
	if _, err := io.Copy(f, in); err != nil {
		if in.err == nil {
			err = explain("write", f.Name(), err)
		}
		return errors.Join(err, f.Close())
	}
	if err := f.Sync(); err != nil {
		return errors.Join(explain("write", f.Name(), err), f.Close())
	}
	if err := f.Close(); err != nil {
		return explain("write", f.Name(), err)
	}
	return nil
}

// link gives the written file its name, if the name is free.
func (d *Dir) link(tmp, path string) error {
	if err := d.mkdir(filepath.Dir(path)); err != nil {
		return err
	}
	err := os.Link(tmp, path)
	if errors.Is(err, fs.ErrNotExist) {
		// Somebody removed the folder since we made it.
		d.forget()
		if err := d.mkdir(filepath.Dir(path)); err != nil {
			return err
		}
		err = os.Link(tmp, path)
	}
	if errors.Is(err, fs.ErrExist) {
		return d.exists(path)
	}
	if err != nil {
		return explain("create", path, err)
	}
	return syncPath(filepath.Dir(path))
}

// exists is the error for a name that is taken. The folder is made durable:
// whoever took the name may have been killed before he could, and the caller
// may find that the object is his own.
func (d *Dir) exists(path string) error {
	fi, err := os.Stat(path)
	if err == nil && !fi.Mode().IsRegular() {
		return fmt.Errorf("create %s: a folder or special file has that name: %w", path, fs.ErrInvalid)
	}
	if err := syncPath(filepath.Dir(path)); err != nil {
		return err
	}
	return fmt.Errorf("create %s: %w", path, ErrExist)
}

// replace renames tmp over the object. The caller holds the lock.
func (d *Dir) replace(tmp, path string, old Info) (Info, error) {
	if err := advance(tmp, old.Modified); err != nil {
		return Info{}, err
	}
	info, err := stat(tmp, old.Key)
	if err != nil {
		return Info{}, err
	}
	if err := os.Rename(tmp, path); err != nil {
		return Info{}, explain("replace", path, err)
	}
	err = syncPath(filepath.Dir(path))
	return answeredNow(info), err
}

// advance makes the file's time later than after. File systems tick in
// milliseconds and use inodes again: without it, a content two writes on could
// look like the first.
func advance(tmp string, after time.Time) error {
	fi, err := os.Stat(tmp)
	if err != nil {
		return explain("write", tmp, err)
	}
	if fi.ModTime().After(after) {
		return nil
	}
	if err := os.Chtimes(tmp, time.Time{}, after.Add(time.Nanosecond)); err != nil {
		return explain("write", tmp, err)
	}
	return syncPath(tmp)
}

// acquire takes the lock of the directory, against other goroutines and other
// processes.
func (d *Dir) acquire(ctx context.Context) (unlock func(), err error) {
	select {
	case d.lock <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	f, err := flock(ctx, filepath.Join(d.root, tmpName, lockName))
	if err != nil {
		<-d.lock
		return nil, err
	}
	return func() {
		_ = f.Close() // releases the lock; nothing was written
		<-d.lock
	}, nil
}

// flock locks the file at path, which it makes if need be.
func flock(ctx context.Context, path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, explain("lock", path, err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, explain("lock", path, err)
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return f, nil
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EWOULDBLOCK):
			if err := sleep(ctx, lockPoll); err != nil {
				return nil, errors.Join(err, f.Close())
			}
		default:
			return nil, errors.Join(explain("lock", path, err), f.Close())
		}
	}
}

// mkdir makes the folder and those above it, and their names durable. It syncs
// once per folder and process even if it is there already: who made it may
// have been killed before he did.
func (d *Dir) mkdir(path string) error {
	if len(path) <= len(d.root) || d.isSynced(path) {
		return nil
	}
	parent := filepath.Dir(path)
	if err := d.mkdir(parent); err != nil {
		return err
	}
	// MkdirAll, as it takes an existing folder, and a link to one, for good.
	if err := os.MkdirAll(path, 0o700); err != nil {
		return explain("create folder", path, err)
	}
	if err := syncPath(parent); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.synced[path] = true
	return nil
}

func (d *Dir) isSynced(path string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.synced[path]
}

func (d *Dir) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.synced)
}

// sweep removes old files from tmp. It is no error if it cannot: the first
// write will tell what is wrong with the directory.
func (d *Dir) sweep() {
	tmp := filepath.Join(d.root, tmpName)
	entries, err := os.ReadDir(tmp)
	if err != nil || len(entries) == 0 {
		return
	}
	now, err := diskTime(tmp)
	if err != nil {
		return
	}
	for _, e := range entries {
		fi, err := e.Info()
		if err != nil || e.IsDir() || e.Name() == lockName {
			continue
		}
		if now.Sub(fi.ModTime()) > leftoverAge {
			removeTemp(filepath.Join(tmp, e.Name()))
		}
	}
}

// diskTime is the clock that stamps the files in dir, which on a network file
// system is not ours.
func diskTime(dir string) (time.Time, error) {
	f, err := os.CreateTemp(dir, "put-*")
	if err != nil {
		return time.Time{}, err
	}
	defer removeTemp(f.Name())
	fi, err := f.Stat()
	if err != nil {
		return time.Time{}, errors.Join(err, f.Close())
	}
	return fi.ModTime(), f.Close()
}

// removeTemp removes a file of tmp. What remains is swept up a day later.
func removeTemp(path string) { _ = os.Remove(path) }

// stat describes the file at path as the object key.
func stat(path, key string) (Info, error) {
	fi, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return Info{}, fmt.Errorf("read %s: %w", path, ErrNotExist)
	case err != nil:
		return Info{}, explain("read", path, err)
	case !fi.Mode().IsRegular():
		return Info{}, fmt.Errorf("read %s: not a regular file: %w", path, ErrNotExist)
	}
	return describe(key, fi), nil
}

func describe(key string, fi fs.FileInfo) Info {
	var inode uint64
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		inode = st.Ino
	}
	etag := strconv.FormatUint(inode, 36) + "-" +
		strconv.FormatInt(fi.ModTime().UnixNano(), 36) + "-" +
		strconv.FormatInt(fi.Size(), 36)
	return Info{Key: key, Size: fi.Size(), ETag: etag, Modified: fi.ModTime()}
}

// answeredNow adds the time of the answer, by the clock that stamps files: that
// of this machine, as the file system is a local one.
func answeredNow(info Info) Info {
	info.Now = time.Now() //nolint:forbidigo // it is the store's clock that is asked for
	return info
}

// syncPath makes the content of a file, or the names in a folder, durable.
func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return explain("sync", path, err)
	}
	if err := f.Sync(); err != nil {
		return errors.Join(explain("sync", path, err), f.Close())
	}
	return f.Close()
}

// explain wraps an error of the file system with the path and, where there is
// something to be done, with that.
func explain(verb, path string, err error) error {
	var pathErr *fs.PathError
	var linkErr *os.LinkError
	switch {
	case errors.As(err, &pathErr):
		err = pathErr.Err
	case errors.As(err, &linkErr):
		err = linkErr.Err
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s %s: %w", verb, path, err)
	}
	if hint := hintFor(err); hint != "" {
		return fmt.Errorf("%s %s: %w: %s", verb, path, err, hint)
	}
	return fmt.Errorf("%s %s: %w", verb, path, err)
}

// hintFor says what to do about an error of the file system.
func hintFor(err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "free space on this file system, or configure a directory on another one"
	case errors.Is(err, syscall.EROFS):
		return "the file system is mounted read-only; mount it writable, or configure another directory"
	case errors.Is(err, syscall.EACCES):
		return fmt.Sprintf("give user %d the right to it (idtrail runs as that user)", os.Geteuid())
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EOPNOTSUPP), errors.Is(err, syscall.EMLINK):
		return "the file system must support hard links and locks; configure a directory on a local disk"
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EISDIR):
		return "a file is in the place of a folder; move it away"
	case errors.Is(err, syscall.ENAMETOOLONG):
		return "use shorter names for sources and sinks"
	}
	return ""
}

// sleep waits, unless ctx is done before.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// fileReader reads a file until ctx is done. Unlike an *os.File it is no more
// than the contract says.
type fileReader struct {
	ctx context.Context // a reader lives as long as its Get
	f   *os.File
}

func (r *fileReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.f.Read(p)
}

func (r *fileReader) Close() error { return r.f.Close() }

// bodyReader reads a body until ctx is done, and keeps its error, to tell it
// from one of the file written to.
type bodyReader struct {
	ctx context.Context // lives as long as one copy
	r   io.Reader
	err error
}

func (r *bodyReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		r.err = err
		return 0, err
	}
	n, err := r.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = fmt.Errorf("read body: %w", err)
		return n, r.err
	}
	return n, err
}

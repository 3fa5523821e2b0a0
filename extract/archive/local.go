package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// local is a tree on this machine: a file, a directory with all that lies below
// it, or what a pattern matches. Files and directories whose name begins with a
// dot are left out unless the pattern names the dot.
//
// Symbolic links are followed. A directory is entered once, however many links
// lead to it; a file that is there itself is not read again by a link to it.
type local struct {
	base    string // absolute
	pattern *glob
	poll    bool
}

func newLocal(o Options) (*local, error) {
	given := filepath.ToSlash(o.Path)
	base, rest := given, ""
	if isPattern(given) {
		base, rest = splitPattern(given)
		if base == "" && strings.HasPrefix(given, "/") {
			base = "/"
		}
	}
	abs, err := filepath.Abs(filepath.FromSlash(base))
	if err != nil {
		return nil, fmt.Errorf("path %q: %w", o.Path, err)
	}
	t := &local{base: abs, poll: o.Poll}
	if rest != "" {
		t.pattern, err = newGlob(rest)
	}
	return t, err
}

func (t *local) where() string { return t.base }

func (t *local) growing() bool { return true }

func (t *local) list(ctx context.Context) ([]file, []error, error) {
	info, err := os.Stat(t.base)
	switch {
	case errors.Is(err, fs.ErrNotExist) && t.mayCome():
		return nil, nil, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil, fmt.Errorf("path %s does not exist", t.base)
	case err != nil:
		return nil, nil, err
	case !info.IsDir() && t.pattern != nil:
		return nil, nil, fmt.Errorf("path %s is no directory", t.base)
	case info.Mode().IsRegular():
		return []file{localFile(filepath.Base(t.base), t.base, info)}, nil, nil
	case !info.IsDir():
		return nil, nil, fmt.Errorf("path %s is neither a file nor a directory", t.base)
	}
	w := walk{tree: t, entered: map[string]bool{}, real: map[string]bool{}}
	if err := w.all(ctx); err != nil {
		return nil, nil, err
	}
	return w.files, w.troubles, nil
}

// mayCome says whether the path is a file that is polled and not written yet.
func (t *local) mayCome() bool {
	if !t.poll || t.pattern != nil || filepath.Ext(t.base) == "" {
		return false
	}
	dir, err := os.Stat(filepath.Dir(t.base))
	return err == nil && dir.IsDir()
}

// open reads a file up to the size it has now: what is appended meanwhile makes
// another version, and is the next run's.
func (t *local) open(_ context.Context, f file) (io.ReadCloser, file, error) {
	// Looked at before it is opened: opening a pipe would wait for its writer.
	info, err := os.Stat(f.path)
	if err != nil {
		return nil, f, err
	}
	if !info.Mode().IsRegular() {
		return nil, f, errGone
	}
	file, err := os.Open(f.path)
	if err != nil {
		return nil, f, err
	}
	if info, err = file.Stat(); err != nil {
		return nil, f, errors.Join(err, file.Close())
	}
	now := localFile(f.key, f.path, info)
	now.date = f.date
	return limited{io.LimitReader(file, info.Size()), file}, now, nil
}

type limited struct {
	io.Reader
	io.Closer
}

func localFile(key, path string, info fs.FileInfo) file {
	mod := info.ModTime().UTC()
	return file{
		key: cleanKey(key), path: path, size: info.Size(), modified: mod,
		version: fmt.Sprintf("%s-%d-%d", mod.Format(time.RFC3339Nano), info.Size(), inode(info)),
	}
}

// walk lists a directory. Links to directories are entered last, so that a file
// bears the name of its real place wherever that is in the tree.
type walk struct {
	tree     *local
	files    []file
	links    []file
	dirs     []string
	entered  map[string]bool
	real     map[string]bool
	troubles []error
}

func (w *walk) all(ctx context.Context) error {
	w.dir(ctx, "", 0)
	for len(w.dirs) > 0 && ctx.Err() == nil {
		next := w.dirs[0]
		w.dirs = w.dirs[1:]
		w.dir(ctx, next, strings.Count(next, "/")+1)
	}
	for _, f := range w.links {
		target, err := filepath.EvalSymlinks(f.path)
		if err == nil && w.real[target] {
			continue
		}
		w.real[target] = true
		w.files = append(w.files, f)
	}
	return ctx.Err()
}

// dir lists the directory whose name below the base is rel.
func (w *walk) dir(ctx context.Context, rel string, depth int) {
	path := filepath.Join(w.tree.base, filepath.FromSlash(rel))
	if place, err := filepath.EvalSymlinks(path); err == nil {
		if w.entered[place] {
			return
		}
		w.entered[place] = true
	}
	entries, err := os.ReadDir(path)
	if err != nil && !isGone(err) {
		w.troubles = append(w.troubles, err)
	}
	for _, e := range entries {
		if ctx.Err() != nil {
			return
		}
		name := e.Name()
		if rel != "" {
			name = rel + "/" + name
		}
		w.entry(ctx, e, name, depth)
	}
}

func (w *walk) entry(ctx context.Context, e fs.DirEntry, name string, depth int) {
	link := e.Type()&fs.ModeSymlink != 0
	if e.IsDir() || link && w.leadsToDir(name) {
		switch {
		case !w.tree.enters(e.Name(), depth+1):
		case link:
			w.dirs = append(w.dirs, name)
		default:
			w.dir(ctx, name, depth+1)
		}
		return
	}
	if w.tree.wanted(name) {
		w.file(name, link)
	}
}

func (w *walk) leadsToDir(name string) bool {
	info, err := os.Stat(filepath.Join(w.tree.base, filepath.FromSlash(name)))
	return err == nil && info.IsDir()
}

func (w *walk) file(name string, link bool) {
	path := filepath.Join(w.tree.base, filepath.FromSlash(name))
	info, err := os.Stat(path)
	switch {
	case err != nil && isGone(err) && !link: // removed since
	case err != nil:
		w.troubles = append(w.troubles, err)
	case !info.Mode().IsRegular():
	case link:
		w.links = append(w.links, localFile(name, path, info))
	default:
		if target, err := filepath.EvalSymlinks(path); err == nil {
			w.real[target] = true
		}
		w.files = append(w.files, localFile(name, path, info))
	}
}

// enters says whether files below a directory may be wanted.
func (t *local) enters(name string, depth int) bool {
	if t.pattern == nil {
		return !hidden(name)
	}
	deepest := t.pattern.depth()
	return (deepest < 0 || depth < deepest) && (!hidden(name) || t.pattern.namesHidden())
}

func (t *local) wanted(name string) bool {
	if t.pattern == nil {
		return !hidden(name[strings.LastIndexByte(name, '/')+1:])
	}
	return t.pattern.match(name)
}

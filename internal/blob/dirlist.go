package blob

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// List yields the objects in the order of their keys. What appears or vanishes
// meanwhile may be listed or not.
func (d *Dir) List(ctx context.Context, prefix, after string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		l := dirLister{ctx: ctx, root: d.root, prefix: prefix, after: after, yield: yield}
		l.folder("")
	}
}

// dirLister walks folders so that the keys come in the order of their bytes,
// which is not that of a walk by names: "a-b" sorts before "a/b".
type dirLister struct {
	ctx           context.Context // lives as long as one List
	root          string
	prefix, after string
	yield         func(Info, error) bool
}

// folder lists what lies below base, which is empty or ends in a slash. It
// reports whether to go on.
func (l *dirLister) folder(base string) bool {
	if err := l.ctx.Err(); err != nil {
		l.yield(Info{}, err)
		return false
	}
	path := filepath.Join(l.root, filepath.FromSlash(base))
	keys, err := l.keys(base, path)
	if base != "" && errors.Is(err, fs.ErrNotExist) {
		return true // removed since its parent was read
	}
	if err != nil {
		l.yield(Info{}, explain("list", path, err))
		return false
	}
	for _, key := range keys {
		if !l.entry(key) {
			return false
		}
	}
	return true
}

// atOnce entries of a folder are read: a year of segments lies in one.
const atOnce = 1024

// keys are, in order, those of a folder's entries that are asked for, folders
// with a slash at their end: so they sort as the keys below them.
func (l *dirLister) keys(base, path string) (keys []string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for {
		entries, err := f.ReadDir(atOnce)
		for _, e := range entries {
			if e.IsDir() {
				keys = append(keys, base+e.Name()+"/")
			} else if l.wantsFile(base, e.Name()) {
				keys = append(keys, base+e.Name())
			}
		}
		if errors.Is(err, io.EOF) {
			slices.Sort(keys)
			return keys, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// wantsFile reports whether the file's key is asked for, without making it.
func (l *dirLister) wantsFile(base, name string) bool {
	if rest, inside := strings.CutPrefix(l.prefix, base); inside {
		if !strings.HasPrefix(name, rest) {
			return false
		}
	} else if !strings.HasPrefix(base, l.prefix) {
		return false
	}
	if rest, inside := strings.CutPrefix(l.after, base); inside {
		return name > rest
	}
	return base > l.after
}

// entry lists one file, or one folder if key ends in a slash.
func (l *dirLister) entry(key string) bool {
	if strings.HasSuffix(key, "/") {
		if l.wantsFolder(key) {
			return l.folder(key)
		}
		return true
	}
	info, err := stat(filepath.Join(l.root, filepath.FromSlash(key)), key)
	if errors.Is(err, ErrNotExist) {
		return true // removed since, or no regular file
	}
	if err != nil {
		l.yield(Info{}, err)
		return false
	}
	if err := l.ctx.Err(); err != nil {
		l.yield(Info{}, err)
		return false
	}
	return l.yield(info, nil)
}

// wantsFolder reports whether a key in question can begin with base.
func (l *dirLister) wantsFolder(base string) bool {
	if base == tmpName+"/" {
		return false
	}
	if base < l.after && !strings.HasPrefix(l.after, base) {
		return false
	}
	return strings.HasPrefix(base, l.prefix) || strings.HasPrefix(l.prefix, base)
}

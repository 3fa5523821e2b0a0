package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/idtrail/idtrail/internal/blob"
)

// file is one file or object as a listing, or opening it, showed it.
type file struct {
	// key names it within the source, path within its tree.
	key, path string
	size      int64
	version   string
	modified  time.Time
	// date is what the order of files goes by.
	date time.Time
}

// tree is where the files lie. The two kinds differ in nothing else.
type tree interface {
	// where names the tree for people and in the source's identity.
	where() string
	// list returns what the source has to read, in any order. What could not be
	// looked at comes as troubles: the rest is good. A tree that is not there at
	// all is an error.
	list(ctx context.Context) (files []file, troubles []error, err error)
	// open opens a file and says what it is by now. errGone if it is no longer
	// there.
	open(ctx context.Context, f file) (io.ReadCloser, file, error)
	// growing says whether a file may be seen half written.
	growing() bool
}

var errGone = errors.New("the file is gone")

// cleanKey is path as text: bytes that are not UTF-8 as %XX, since keys are
// kept in JSON.
func cleanKey(path string) string {
	if utf8.ValidString(path) {
		return path
	}
	var b strings.Builder
	for i := 0; i < len(path); {
		r, n := utf8.DecodeRuneInString(path[i:])
		if r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&b, "%%%02X", path[i])
		} else {
			b.WriteString(path[i : i+n])
		}
		i += n
	}
	return b.String()
}

// objects is a tree in a blob store: the keys under prefix that match the
// pattern, if there is one, behind it.
type objects struct {
	store   blob.Store
	prefix  string
	pattern *glob
	// lead is what every matching key begins with.
	lead string
}

func newObjects(o Options) (*objects, error) {
	t := &objects{store: o.Store, prefix: o.Prefix, lead: o.Prefix}
	if o.Glob == "" {
		return t, nil
	}
	g, err := newGlob(strings.TrimPrefix(o.Glob, "/"))
	if err != nil {
		return nil, err
	}
	// With a pattern the prefix is a folder.
	t.pattern = g
	if t.lead != "" && !strings.HasSuffix(t.lead, "/") {
		t.lead += "/"
	}
	if base, _ := splitPattern(strings.TrimPrefix(o.Glob, "/")); base != "" {
		t.lead += base + "/"
	}
	return t, nil
}

func (t *objects) where() string {
	return strings.TrimSuffix(t.store.URL(), "/") + "/" + strings.TrimPrefix(t.prefix, "/")
}

func (t *objects) growing() bool { return false }

func (t *objects) list(ctx context.Context) (files []file, troubles []error, err error) {
	for info, err := range t.store.List(ctx, t.lead, "") {
		if err != nil {
			return nil, nil, fmt.Errorf("list %s: %w", t.where(), err)
		}
		if !t.wanted(info.Key) {
			continue
		}
		files = append(files, objectFile(file{key: cleanKey(info.Key), path: info.Key}, info))
	}
	return files, nil, nil
}

// wanted leaves out the empty objects that stand for folders.
func (t *objects) wanted(key string) bool {
	if strings.HasSuffix(key, "/") {
		return false
	}
	rest := strings.TrimPrefix(strings.TrimPrefix(key, t.prefix), "/")
	if t.pattern != nil {
		return t.pattern.match(rest)
	}
	return !hidden(rest) && !strings.Contains(rest, "/.")
}

func (t *objects) open(ctx context.Context, f file) (io.ReadCloser, file, error) {
	body, info, err := t.store.Get(ctx, f.path)
	if errors.Is(err, blob.ErrNotExist) {
		return nil, f, errGone
	}
	if err != nil {
		return nil, f, err
	}
	return body, objectFile(f, info), nil
}

func objectFile(f file, info blob.Info) file {
	f.size, f.version, f.modified = info.Size, info.ETag, info.Modified
	return f
}

// isGone says whether a file that was listed has been removed since.
func isGone(err error) bool { return errors.Is(err, errGone) || errors.Is(err, fs.ErrNotExist) }

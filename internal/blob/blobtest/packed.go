package blobtest

import (
	"context"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/idtrail/idtrail/internal/blob"
)

// Packed is a store for tests with very many objects: what they hold lies one
// behind the other in one file, and weighs nothing in the memory that is measured;
// listing what comes behind a key takes as long as there is of it, as in S3. Room
// of what was replaced or removed is not used again. NewPacked makes one.
type Packed struct {
	clock func() time.Time
	file  *os.File

	mu      sync.Mutex
	end     int64
	writes  int
	folders map[string]*folder
}

// folder holds the objects whose keys have it before their last slash.
type folder struct {
	names   []string // in order
	objects map[string]place
}

// place is where an object lies in the file.
type place struct {
	at, size int64
	write    int
	modified time.Time
}

var (
	_ blob.Store    = (*Packed)(nil)
	_ blob.ReaderAt = (*Packed)(nil)
)

// NewPacked returns an empty store with a clock of its own, whose file goes with
// the test.
func NewPacked(t testing.TB, clock func() time.Time) *Packed {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "packed"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return &Packed{clock: clock, file: f, folders: map[string]*folder{}}
}

// URL is "packed".
func (p *Packed) URL() string { return "packed" }

func split(key string) (base, name string) {
	i := strings.LastIndexByte(key, '/') + 1
	return key[:i], key[i:]
}

// find describes the object. The caller holds the lock.
func (p *Packed) find(key string) (place, blob.Info, error) {
	base, name := split(key)
	if f := p.folders[base]; f != nil {
		if o, ok := f.objects[name]; ok {
			info := o.info(key)
			info.Now = p.clock()
			return o, info, nil
		}
	}
	return place{}, blob.Info{}, fmt.Errorf("read %q: %w", key, blob.ErrNotExist)
}

func (o place) info(key string) blob.Info {
	return blob.Info{Key: key, Size: o.size, ETag: fmt.Sprintf("%q", fmt.Sprint("write-", o.write)), Modified: o.modified}
}

// Get opens the object as it is now.
func (p *Packed) Get(ctx context.Context, key string) (io.ReadCloser, blob.Info, error) {
	o, info, err := p.look(ctx, key)
	return io.NopCloser(io.NewSectionReader(p.file, o.at, o.size)), info, err
}

// Head describes the object.
func (p *Packed) Head(ctx context.Context, key string) (blob.Info, error) {
	_, info, err := p.look(ctx, key)
	return info, err
}

func (p *Packed) look(ctx context.Context, key string) (place, blob.Info, error) {
	if err := ctx.Err(); err != nil {
		return place{}, blob.Info{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.find(key)
}

// PutNew creates the object.
func (p *Packed) PutNew(ctx context.Context, key string, body blob.Body) (blob.Info, error) {
	return p.put(ctx, key, body, func(_ blob.Info, err error) error {
		if err == nil {
			return fmt.Errorf("create %q: %w", key, blob.ErrExist)
		}
		return nil
	})
}

// PutMatch replaces the object.
func (p *Packed) PutMatch(ctx context.Context, key, etag string, body blob.Body) (blob.Info, error) {
	return p.put(ctx, key, body, func(there blob.Info, err error) error {
		if err == nil && there.ETag != etag {
			err = fmt.Errorf("replace %q: %w", key, blob.ErrChanged)
		}
		return err
	})
}

// put writes an object where what is there may be written over.
func (p *Packed) put(ctx context.Context, key string, body blob.Body, may func(there blob.Info, err error) error) (blob.Info, error) {
	content, err := read(ctx, key, body)
	if err != nil {
		return blob.Info{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_, there, err := p.find(key)
	if err := may(there, err); err != nil {
		return blob.Info{}, err
	}
	if _, err := p.file.WriteAt(content, p.end); err != nil {
		return blob.Info{}, err
	}
	p.writes++
	o := place{at: p.end, size: int64(len(content)), write: p.writes, modified: p.clock()}
	p.end += o.size
	p.set(key, o)
	info := o.info(key)
	info.Now = o.modified
	return info, nil
}

// set keeps the place of an object. The caller holds the lock.
func (p *Packed) set(key string, o place) {
	base, name := split(key)
	f := p.folders[base]
	if f == nil {
		f = &folder{objects: map[string]place{}}
		p.folders[base] = f
	}
	if i, there := slices.BinarySearch(f.names, name); !there {
		f.names = slices.Insert(f.names, i, name)
	}
	f.objects[name] = o
}

// List yields what is there when the iteration begins.
func (p *Packed) List(ctx context.Context, prefix, after string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) { yieldAll(ctx, p.infos(prefix, after), yield) }
}

func (p *Packed) infos(prefix, after string) (infos []blob.Info) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for base, f := range p.folders {
		if !strings.HasPrefix(base, prefix) && !strings.HasPrefix(prefix, base) {
			continue
		}
		first, _ := slices.BinarySearchFunc(f.names, max(prefix, after), func(name, key string) int { return strings.Compare(base+name, key) })
		for _, name := range f.names[first:] {
			key := base + name
			if !strings.HasPrefix(key, prefix) {
				break
			}
			if key > after {
				infos = append(infos, f.objects[name].info(key))
			}
		}
	}
	slices.SortFunc(infos, func(a, b blob.Info) int { return strings.Compare(a.Key, b.Key) })
	return infos
}

// Delete removes the object.
func (p *Packed) Delete(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	base, name := split(key)
	f := p.folders[base]
	if f == nil {
		return nil
	}
	if i, there := slices.BinarySearch(f.names, name); there {
		f.names = slices.Delete(f.names, i, i+1)
		delete(f.objects, name)
	}
	return nil
}

// OpenAt opens the object for reads at any offset.
func (p *Packed) OpenAt(ctx context.Context, info blob.Info) (blob.ReadAtCloser, error) {
	o, there, err := p.look(ctx, info.Key)
	if err == nil && there.ETag != info.ETag {
		err = fmt.Errorf("open %q: %w", info.Key, blob.ErrChanged)
	}
	return nopReadAtCloser{io.NewSectionReader(p.file, o.at, o.size)}, err
}

// Len is how many objects there are.
func (p *Packed) Len() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.folders {
		n += len(f.names)
	}
	return n
}

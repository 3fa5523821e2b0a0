package blobtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/idtrail/idtrail/internal/blob"
)

// Memory is a store in memory. The zero value is not ready, NewMemory makes one.
type Memory struct {
	clock   func() time.Time // nil: it ticks a second per write
	mu      sync.Mutex
	objects map[string]object
	writes  int
}

type object struct {
	content  []byte
	info     blob.Info
	metadata map[string]string
}

var (
	_ blob.Store     = (*Memory)(nil)
	_ blob.ReaderAt  = (*Memory)(nil)
	_ blob.Describer = (*Memory)(nil)
)

// NewMemory returns an empty store whose clock ticks a second per write.
func NewMemory() *Memory { return NewMemoryAt(nil) }

// NewMemoryAt returns an empty store with a clock of its own.
func NewMemoryAt(clock func() time.Time) *Memory {
	return &Memory{clock: clock, objects: map[string]object{}}
}

// URL is "memory".
func (m *Memory) URL() string { return "memory" }

// Get opens the object as it is now.
func (m *Memory) Get(ctx context.Context, key string) (io.ReadCloser, blob.Info, error) {
	o, err := m.find(ctx, key)
	if err != nil {
		return nil, blob.Info{}, err
	}
	return io.NopCloser(bytes.NewReader(o.content)), o.info, nil
}

// Head describes the object.
func (m *Memory) Head(ctx context.Context, key string) (blob.Info, error) {
	o, err := m.find(ctx, key)
	return o.info, err
}

// PutNew creates the object.
func (m *Memory) PutNew(ctx context.Context, key string, body blob.Body) (blob.Info, error) {
	content, err := read(ctx, key, body)
	if err != nil {
		return blob.Info{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.objects[key]; ok {
		return blob.Info{}, fmt.Errorf("create %q: %w", key, blob.ErrExist)
	}
	return m.set(key, content), nil
}

// PutMatch replaces the object.
func (m *Memory) PutMatch(ctx context.Context, key, etag string, body blob.Body) (blob.Info, error) {
	content, err := read(ctx, key, body)
	if err != nil {
		return blob.Info{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	old, ok := m.objects[key]
	if !ok {
		return blob.Info{}, fmt.Errorf("replace %q: %w", key, blob.ErrNotExist)
	}
	if old.info.ETag != etag {
		return blob.Info{}, fmt.Errorf("replace %q: %w", key, blob.ErrChanged)
	}
	return m.set(key, content), nil
}

// List yields what is there when the iteration begins.
func (m *Memory) List(ctx context.Context, prefix, after string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		yieldAll(ctx, slices.DeleteFunc(m.infos(), func(info blob.Info) bool {
			return !strings.HasPrefix(info.Key, prefix) || info.Key <= after
		}), yield)
	}
}

// yieldAll yields what was found, until the context ends.
func yieldAll(ctx context.Context, infos []blob.Info, yield func(blob.Info, error) bool) {
	for _, info := range infos {
		if ctx.Err() != nil {
			break
		}
		if !yield(info, nil) {
			return
		}
	}
	if err := ctx.Err(); err != nil {
		yield(blob.Info{}, err)
	}
}

// Delete removes the object.
func (m *Memory) Delete(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, key)
	return nil
}

// OpenAt opens the object for reads at any offset.
func (m *Memory) OpenAt(ctx context.Context, info blob.Info) (blob.ReadAtCloser, error) {
	o, err := m.find(ctx, info.Key)
	if err != nil {
		return nil, err
	}
	if o.info.ETag != info.ETag {
		return nil, fmt.Errorf("open %q: %w", info.Key, blob.ErrChanged)
	}
	return nopReadAtCloser{bytes.NewReader(o.content)}, nil
}

// Metadata returns what SetMetadata noted.
func (m *Memory) Metadata(ctx context.Context, key string) (map[string]string, error) {
	o, err := m.find(ctx, key)
	return maps.Clone(o.metadata), err
}

// SetMetadata notes something beside an object that is there. A write to its
// key forgets it.
func (m *Memory) SetMetadata(key string, metadata map[string]string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if o, ok := m.objects[key]; ok {
		o.metadata = maps.Clone(metadata)
		m.objects[key] = o
	}
}

// Objects is a copy of all that the store holds, by key.
func (m *Memory) Objects() map[string][]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make(map[string][]byte, len(m.objects))
	for key, o := range m.objects {
		all[key] = slices.Clone(o.content)
	}
	return all
}

func (m *Memory) find(ctx context.Context, key string) (object, error) {
	if err := ctx.Err(); err != nil {
		return object{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.objects[key]
	if !ok {
		return object{}, fmt.Errorf("read %q: %w", key, blob.ErrNotExist)
	}
	o.info.Now = m.now()
	return o, nil
}

// set keeps the object. The caller holds the lock.
func (m *Memory) set(key string, content []byte) blob.Info {
	m.writes++
	info := blob.Info{
		Key:      key,
		Size:     int64(len(content)),
		ETag:     fmt.Sprintf("%q", fmt.Sprint("write-", m.writes)),
		Modified: m.now(),
	}
	m.objects[key] = object{content: content, info: info}
	info.Now = info.Modified
	return info
}

// now is the store's clock. The caller holds the lock.
func (m *Memory) now() time.Time {
	if m.clock != nil {
		return m.clock()
	}
	return time.Date(2026, 1, 1, 0, 0, m.writes, 0, time.UTC)
}

func (m *Memory) infos() []blob.Info {
	m.mu.Lock()
	defer m.mu.Unlock()
	var infos []blob.Info
	for _, key := range slices.Sorted(maps.Keys(m.objects)) {
		infos = append(infos, m.objects[key].info)
	}
	return infos
}

// read reads all of a body that may be written under key.
func read(ctx context.Context, key string, body blob.Body) ([]byte, error) {
	if err := blob.CheckKey(key); err != nil {
		return nil, err
	}
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("rewind body: %w", err)
	}
	content, err := io.ReadAll(body)
	if err != nil {
		return nil, fmt.Errorf("read body: %w", err)
	}
	return content, ctx.Err()
}

type nopReadAtCloser struct{ io.ReaderAt }

func (nopReadAtCloser) Close() error { return nil }

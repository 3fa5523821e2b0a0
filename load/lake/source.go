package lake

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/parquet-go/parquet-go"

	"github.com/idtrail/idtrail/internal/blob"
)

// openAt opens an object for reading at any offset. A store that cannot do
// that, or is far away while whole asks for most of the object, is read into a
// temporary file once.
func openAt(ctx context.Context, store blob.Store, info blob.Info, whole bool) (blob.ReadAtCloser, int64, error) {
	far := strings.Contains(store.URL(), "://") // a bucket: every read is a request
	if at, ok := store.(blob.ReaderAt); ok && (!whole || !far) {
		r, err := at.OpenAt(ctx, info)
		if err != nil {
			return nil, 0, fmt.Errorf("read %s: %w", info.Key, err)
		}
		return r, info.Size, nil
	}
	body, _, err := store.Get(ctx, info.Key)
	if err != nil {
		return nil, 0, fmt.Errorf("read %s: %w", info.Key, err)
	}
	defer func() { _ = body.Close() }()
	f, err := newTempFile("")
	if err != nil {
		return nil, 0, err
	}
	size, err := io.Copy(f, body)
	if err == nil {
		err = f.flush()
	}
	if err != nil {
		f.remove()
		return nil, 0, fmt.Errorf("read %s: %w", info.Key, err)
	}
	return spooled{f}, size, nil
}

// spooled is a temporary file that is read.
type spooled struct{ t *tempFile }

func (s spooled) ReadAt(p []byte, off int64) (int, error) { return s.t.f.ReadAt(p, off) }

func (s spooled) Close() error {
	s.t.remove()
	return nil
}

// openedParquet is a Parquet object open for reading.
type openedParquet struct {
	*parquet.File
	at blob.ReadAtCloser
}

func (o *openedParquet) Close() error { return o.at.Close() }

func openParquet(ctx context.Context, store blob.Store, info blob.Info, whole bool) (*openedParquet, error) {
	at, size, err := openAt(ctx, store, info, whole)
	if err != nil {
		return nil, err
	}
	var f *parquet.File
	err = guarded(func() (err error) {
		f, err = parquet.OpenFile(at, size,
			parquet.SkipMagicBytes(true),
			parquet.SkipBloomFilters(true),
			parquet.SkipPageIndex(true), // read where it is needed
			parquet.OptimisticRead(true),
			parquet.ReadBufferSize(128<<10))
		return err
	})
	if err != nil {
		_ = at.Close()
		return nil, fmt.Errorf("read %s: %w", info.Key, err)
	}
	return &openedParquet{File: f, at: at}, nil
}

// guarded calls f, which only reads Parquet: the library panics on some damaged
// files, and one of those is no reason to end the program.
func guarded(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the object is damaged: %v", p)
		}
	}()
	return f()
}

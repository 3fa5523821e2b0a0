package blobtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/idtrail/idtrail/internal/blob"
)

// The names by which Faulty tells operations apart.
const (
	OpGet      = "get"  // OpenAt too
	OpHead     = "head" // Metadata too
	OpPutNew   = "put_new"
	OpPutMatch = "put_match"
	OpList     = "list"
	OpDelete   = "delete"
)

// Faulty is a store that fails when told to. Both hooks may be nil, are called
// with the operation and its key (for a list, its prefix), and may be called
// concurrently. They are also the place to count calls, or to kill the
// process.
type Faulty struct {
	blob.Store
	// Before is called first. If it returns an error, the request was lost:
	// the caller gets the error and nothing is done.
	Before func(op, key string) error
	// After is called once the operation is done, unless it failed by
	// itself. If it returns an error, the answer was lost: the caller gets
	// the error though all is done. A list is done at its end.
	After func(op, key string) error
}

var (
	_ blob.Store     = (*Faulty)(nil)
	_ blob.ReaderAt  = (*Faulty)(nil)
	_ blob.Describer = (*Faulty)(nil)
)

// Get opens the object, unless a hook fails.
func (f *Faulty) Get(ctx context.Context, key string) (io.ReadCloser, blob.Info, error) {
	if err := call(f.Before, OpGet, key); err != nil {
		return nil, blob.Info{}, err
	}
	r, info, err := f.Store.Get(ctx, key)
	if err != nil {
		return nil, blob.Info{}, err
	}
	if err := call(f.After, OpGet, key); err != nil {
		return nil, blob.Info{}, errors.Join(err, r.Close())
	}
	return r, info, nil
}

// Head describes the object, unless a hook fails.
func (f *Faulty) Head(ctx context.Context, key string) (blob.Info, error) {
	return f.info(OpHead, key, func() (blob.Info, error) { return f.Store.Head(ctx, key) })
}

// PutNew creates the object, unless a hook fails.
func (f *Faulty) PutNew(ctx context.Context, key string, body blob.Body) (blob.Info, error) {
	return f.info(OpPutNew, key, func() (blob.Info, error) { return f.Store.PutNew(ctx, key, body) })
}

// PutMatch replaces the object, unless a hook fails.
func (f *Faulty) PutMatch(ctx context.Context, key, etag string, body blob.Body) (blob.Info, error) {
	return f.info(OpPutMatch, key, func() (blob.Info, error) { return f.Store.PutMatch(ctx, key, etag, body) })
}

// List yields the objects, unless a hook fails.
func (f *Faulty) List(ctx context.Context, prefix, after string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		if err := call(f.Before, OpList, prefix); err != nil {
			yield(blob.Info{}, err)
			return
		}
		for info, err := range f.Store.List(ctx, prefix, after) {
			if !yield(info, err) || err != nil {
				return
			}
		}
		if err := call(f.After, OpList, prefix); err != nil {
			yield(blob.Info{}, err)
		}
	}
}

// Delete removes the object, unless a hook fails.
func (f *Faulty) Delete(ctx context.Context, key string) error {
	_, err := f.info(OpDelete, key, func() (blob.Info, error) { return blob.Info{}, f.Store.Delete(ctx, key) })
	return err
}

// OpenAt opens the object, unless a hook fails or the store cannot.
func (f *Faulty) OpenAt(ctx context.Context, info blob.Info) (blob.ReadAtCloser, error) {
	store, ok := f.Store.(blob.ReaderAt)
	if !ok {
		return nil, fmt.Errorf("open %q at an offset: %w", info.Key, errors.ErrUnsupported)
	}
	if err := call(f.Before, OpGet, info.Key); err != nil {
		return nil, err
	}
	r, err := store.OpenAt(ctx, info)
	if err != nil {
		return nil, err
	}
	if err := call(f.After, OpGet, info.Key); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// Metadata describes the object, unless a hook fails or the store cannot.
func (f *Faulty) Metadata(ctx context.Context, key string) (map[string]string, error) {
	store, ok := f.Store.(blob.Describer)
	if !ok {
		return nil, fmt.Errorf("read metadata of %q: %w", key, errors.ErrUnsupported)
	}
	if err := call(f.Before, OpHead, key); err != nil {
		return nil, err
	}
	notes, err := store.Metadata(ctx, key)
	if err != nil {
		return nil, err
	}
	return notes, call(f.After, OpHead, key)
}

// info does an operation between the hooks.
func (f *Faulty) info(op, key string, do func() (blob.Info, error)) (blob.Info, error) {
	if err := call(f.Before, op, key); err != nil {
		return blob.Info{}, err
	}
	info, err := do()
	if err != nil {
		return blob.Info{}, err
	}
	if err := call(f.After, op, key); err != nil {
		return blob.Info{}, err
	}
	return info, nil
}

func call(hook func(op, key string) error, op, key string) error {
	if hook == nil {
		return nil
	}
	return hook(op, key)
}

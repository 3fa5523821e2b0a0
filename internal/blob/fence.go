package blob

import (
	"context"
	"io"
)

type fenceKey struct{}

// WithFence returns a context under which a [Fenced] store writes only while
// check returns nil. A fence set before holds as well.
func WithFence(ctx context.Context, check func() error) context.Context {
	outer := fenceOf(ctx)
	return context.WithValue(ctx, fenceKey{}, func() error {
		if err := outer(); err != nil {
			return err
		}
		return check()
	})
}

// CheckFence is what the fence of a context says: nil where there is none.
func CheckFence(ctx context.Context) error { return fenceOf(ctx)() }

func fenceOf(ctx context.Context) func() error {
	if check, ok := ctx.Value(fenceKey{}).(func() error); ok {
		return check
	}
	return func() error { return nil }
}

// Fenced is a store that asks the fence of the caller's context right before
// each write, and refuses with its error. A process that slept through the end
// of its lease writes nothing when it wakes up. What the store can do beside,
// it still can.
func Fenced(s Store) Store {
	f := fenced{s}
	at, reads := s.(ReaderAt)
	d, describes := s.(Describer)
	switch {
	case reads && describes:
		return struct {
			fenced
			ReaderAt
			Describer
		}{f, at, d}
	case reads:
		return struct {
			fenced
			ReaderAt
		}{f, at}
	case describes:
		return struct {
			fenced
			Describer
		}{f, d}
	default:
		return f
	}
}

type fenced struct{ Store }

// PutNew implements Store.
func (f fenced) PutNew(ctx context.Context, key string, body Body) (Info, error) {
	if err := CheckFence(ctx); err != nil {
		return Info{}, err
	}
	return f.Store.PutNew(ctx, key, fencedBody{body, ctx})
}

// PutMatch implements Store.
func (f fenced) PutMatch(ctx context.Context, key, etag string, body Body) (Info, error) {
	if err := CheckFence(ctx); err != nil {
		return Info{}, err
	}
	return f.Store.PutMatch(ctx, key, etag, fencedBody{body, ctx})
}

// Delete implements Store.
func (f fenced) Delete(ctx context.Context, key string) error {
	if err := CheckFence(ctx); err != nil {
		return err
	}
	return f.Store.Delete(ctx, key)
}

// fencedBody refuses to be read for another try of a write once the fence is
// down.
type fencedBody struct {
	Body
	ctx context.Context //nolint:containedctx // of the one call the body is for
}

func (b fencedBody) Seek(offset int64, whence int) (int64, error) {
	if whence == io.SeekStart {
		if err := CheckFence(b.ctx); err != nil {
			return 0, err
		}
	}
	return b.Body.Seek(offset, whence)
}

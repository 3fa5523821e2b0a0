package main

import (
	"context"
	"errors"
	"io"
	"iter"
	"strings"

	"github.com/idtrail/idtrail/internal/blob"
)

// manifestsFolder is what of a lake may lie in a place of its own.
const manifestsFolder = "manifests/"

// withManifests is a lake whose notes lie elsewhere, under a lock of their own:
// whoever reads or writes the lake sees one store.
type withManifests struct {
	blob.Store            // the lake
	manifests  blob.Store // has the keys of manifestsFolder
}

var (
	_ blob.Store    = withManifests{}
	_ blob.ReaderAt = withManifests{}
)

func (s withManifests) of(key string) blob.Store {
	if strings.HasPrefix(key, manifestsFolder) {
		return s.manifests
	}
	return s.Store
}

// Get opens an object.
func (s withManifests) Get(ctx context.Context, key string) (io.ReadCloser, blob.Info, error) {
	return s.of(key).Get(ctx, key)
}

// Head describes an object.
func (s withManifests) Head(ctx context.Context, key string) (blob.Info, error) {
	return s.of(key).Head(ctx, key)
}

// PutNew creates an object.
func (s withManifests) PutNew(ctx context.Context, key string, body blob.Body) (blob.Info, error) {
	return s.of(key).PutNew(ctx, key, body)
}

// PutMatch replaces an object.
func (s withManifests) PutMatch(ctx context.Context, key, etag string, body blob.Body) (blob.Info, error) {
	return s.of(key).PutMatch(ctx, key, etag, body)
}

// Delete removes an object.
func (s withManifests) Delete(ctx context.Context, key string) error {
	return s.of(key).Delete(ctx, key)
}

// OpenAt opens an object for reads at any offset.
func (s withManifests) OpenAt(ctx context.Context, info blob.Info) (blob.ReadAtCloser, error) {
	r, ok := s.of(info.Key).(blob.ReaderAt)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return r.OpenAt(ctx, info)
}

// List yields the objects of both, in the order of their keys.
func (s withManifests) List(ctx context.Context, prefix, after string) iter.Seq2[blob.Info, error] {
	switch {
	case strings.HasPrefix(prefix, manifestsFolder):
		return s.manifests.List(ctx, prefix, after)
	case !strings.HasPrefix(manifestsFolder, prefix):
		return s.Store.List(ctx, prefix, after)
	}
	return func(yield func(blob.Info, error) bool) {
		// What of the lake sorts before the manifests, these, and what sorts behind;
		// whatever the lake has under their name is not ours.
		behind := max(after, manifestsFolder+"\U0010ffff")
		_ = until(s.Store.List(ctx, prefix, after), manifestsFolder, yield) &&
			until(s.manifests.List(ctx, manifestsFolder, after), "", yield) &&
			until(s.Store.List(ctx, prefix, behind), "", yield)
	}
}

// until yields what of a list sorts before end, "" for all of it, and says
// whether to go on.
func until(list iter.Seq2[blob.Info, error], end string, yield func(blob.Info, error) bool) bool {
	for info, err := range list {
		if err == nil && end != "" && info.Key > end {
			return true
		}
		if !yield(info, err) || err != nil {
			return false
		}
	}
	return true
}

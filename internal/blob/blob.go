// Package blob is an object store: an S3 bucket or a directory, seen the same.
//
// It offers what the protocol needs and no more: create if absent, replace if
// unchanged, get, list, delete. Objects are whole: none is ever visible half
// written. It does not know what the objects are, and retries only what its
// client library retries.
package blob

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"
)

// What a caller tells apart. Everything else is an error of the store itself:
// whether the object was written is then unknown, and the caller has to look.
var (
	// ErrNotExist says that there is no object under the key.
	ErrNotExist = errors.New("object does not exist")
	// ErrExist says that PutNew found an object under the key.
	ErrExist = errors.New("object exists already")
	// ErrChanged says that PutMatch found another object than the one named.
	ErrChanged = errors.New("object has changed")
)

// Info is what a store says of an object.
type Info struct {
	// Key within the store, slash-separated, without a leading slash.
	Key  string
	Size int64
	// ETag is an opaque mark of the object's content.
	ETag string
	// Modified is by the store's clock.
	Modified time.Time
	// Now is what the store's clock said when it answered Get, Head, PutNew or
	// PutMatch, so that Now less Modified is an age that our own clock has no
	// part in. It is zero from List, and where the store did not say.
	Now time.Time
}

// Body is the content of an object to write. It is read from its start, maybe
// several times.
type Body interface {
	io.Reader
	io.Seeker
}

// Store is an object store. All methods may be called concurrently.
type Store interface {
	// URL names the store for people: s3://bucket/prefix or a path.
	URL() string
	// Get opens an object. ErrNotExist.
	Get(ctx context.Context, key string) (io.ReadCloser, Info, error)
	// Head describes an object. ErrNotExist.
	Head(ctx context.Context, key string) (Info, error)
	// PutNew creates an object; ErrExist if there is one. On return without an
	// error it is durable.
	PutNew(ctx context.Context, key string, body Body) (Info, error)
	// PutMatch replaces the object whose ETag is etag; ErrChanged if it is
	// another by now, ErrNotExist if it is gone.
	PutMatch(ctx context.Context, key, etag string, body Body) (Info, error)
	// List yields the objects whose key begins with prefix and sorts behind
	// after, in the order of their keys' bytes. After an error it ends.
	List(ctx context.Context, prefix, after string) iter.Seq2[Info, error]
	// Delete removes an object; one that is not there is no error.
	Delete(ctx context.Context, key string) error
}

// ReaderAt is a store whose objects can be read at any offset, as Parquet
// readers do.
type ReaderAt interface {
	// OpenAt opens the object that Info describes. The caller closes it.
	OpenAt(ctx context.Context, info Info) (ReadAtCloser, error)
}

// Describer is a store that can tell what its objects' writers noted beside
// their content: x-amz-meta-… in S3.
type Describer interface {
	// Metadata returns the notes by name, in lower case. ErrNotExist;
	// errors.ErrUnsupported where the store keeps none.
	Metadata(ctx context.Context, key string) (map[string]string, error)
}

// ReadAtCloser reads an object at any offset.
type ReadAtCloser interface {
	io.ReaderAt
	io.Closer
}

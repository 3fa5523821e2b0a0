package lake

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/idtrail/idtrail/internal/blob"
)

// RecordKey is where the record of the flush lies that begins at segment from.
func RecordKey(sink, source string, from int64) string { return recordKey(sink, source, from) }

// DecodeRecord reads a flush record. ErrNewer.
func DecodeRecord(text []byte) (*Record, error) { return decodeRecord(text) }

// IsRangeFrom says whether an object is named as one of the flush that begins at
// segment from.
func IsRangeFrom(key string, from int64) bool { return isRangeFrom(key, from) }

// Objects yields every object of a source in the tables that flushes write,
// whoever put it there.
func (r *Reader) Objects(ctx context.Context, source string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		for _, l := range []layout{parquetLayout, jsonLayout} {
			for _, t := range tables() {
				prefix := t.String() + string(l) + "/source=" + source + "/"
				for info, err := range r.store.List(ctx, prefix, "") {
					if err != nil {
						yield(blob.Info{}, fmt.Errorf("list %s: %w", prefix, err))
						return
					}
					if !yield(info, nil) {
						return
					}
				}
			}
		}
	}
}

// Rows counts the rows of one object; of Parquet it reads the footer alone.
func (r *Reader) Rows(ctx context.Context, key string) (int64, error) {
	info, err := r.store.Head(ctx, key)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", key, err)
	}
	l := parquetLayout
	if strings.HasSuffix(key, jsonLayout.extension()) {
		l = jsonLayout
	}
	return r.rowsOf(ctx, l, info)
}

// AllSources returns the sources that have objects in any of those tables,
// sorted.
func (r *Reader) AllSources(ctx context.Context) ([]string, error) {
	var names []string
	for _, l := range []layout{parquetLayout, jsonLayout} {
		for _, t := range tables() {
			found, err := r.sourcesOf(ctx, t.String()+string(l)+"/source=")
			if err != nil {
				return nil, err
			}
			names = append(names, found...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Strays yields objects that lie in the folder of a table and in that of no
// source: nothing puts one there.
func (r *Reader) Strays(ctx context.Context) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		for _, l := range []layout{parquetLayout, jsonLayout} {
			for _, t := range tables() {
				if !r.straysOf(ctx, t.String()+string(l)+"/", yield) {
					return
				}
			}
		}
	}
}

// straysOf goes from one folder of a source to behind it: a year's objects are
// not to be listed for what lies between them.
func (r *Reader) straysOf(ctx context.Context, prefix string, yield func(blob.Info, error) bool) bool {
	for after := ""; ; {
		skip := ""
		for info, err := range r.store.List(ctx, prefix, after) {
			if err != nil {
				yield(blob.Info{}, fmt.Errorf("list %s: %w", prefix, err))
				return false
			}
			name, _, inFolder := strings.Cut(strings.TrimPrefix(info.Key, prefix+"source="), "/")
			if inFolder && strings.HasPrefix(info.Key, prefix+"source=") {
				skip = prefix + "source=" + name + "0" // "0" is next to "/"
				break
			}
			if !yield(info, nil) {
				return false
			}
		}
		if skip == "" {
			return true
		}
		after = skip
	}
}

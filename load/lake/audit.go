package lake

import (
	"context"
	"fmt"
	"iter"
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

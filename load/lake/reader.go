package lake

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/load"
)

// Reader reads a lake back. It only looks at objects, never at what a program
// remembers. Several may read at a time, and while a sink writes.
type Reader struct{ store blob.Store }

// Open returns a reader of the lake in store.
func Open(store blob.Store) *Reader { return &Reader{store: store} }

// Flushes yields the flush records of a source in the order of their ranges,
// open ones too.
func (r *Reader) Flushes(ctx context.Context, sink, source string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for info, err := range r.store.List(ctx, recordPrefix(sink, source), "") {
			var rec *Record
			if err == nil {
				rec, _, err = getRecord(ctx, r.store, info.Key)
			} else {
				err = fmt.Errorf("list %s: %w", recordPrefix(sink, source), err)
			}
			if err != nil {
				yield(Record{}, err)
				return
			}
			if !yield(*rec, nil) {
				return
			}
		}
	}
}

// Counts counts the rows of a source in the lake's objects, Parquet where there
// are any, else JSON.
func (r *Reader) Counts(ctx context.Context, source string) (load.Counts, error) {
	c, err := r.counts(ctx, parquetLayout, source)
	if err != nil || c.Objects > 0 {
		return c, err
	}
	return r.counts(ctx, jsonLayout, source)
}

// CountsJSON counts those of the JSON objects.
func (r *Reader) CountsJSON(ctx context.Context, source string) (load.Counts, error) {
	return r.counts(ctx, jsonLayout, source)
}

func (r *Reader) counts(ctx context.Context, l layout, source string) (load.Counts, error) {
	var c load.Counts
	for _, t := range tables() {
		for o, err := range r.objects(ctx, l, t, source, "") {
			if err != nil {
				return load.Counts{}, err
			}
			n, err := r.rowsOf(ctx, l, o)
			if err != nil {
				return load.Counts{}, err
			}
			count(&c, t, n)
			c.Objects++
			c.Bytes += o.Size
		}
	}
	return c, nil
}

func (r *Reader) rowsOf(ctx context.Context, l layout, o blob.Info) (int64, error) {
	if l == parquetLayout {
		f, err := openParquet(ctx, r.store, o, false)
		if err != nil {
			return 0, err
		}
		defer func() { _ = f.Close() }()
		return f.NumRows(), nil
	}
	n := int64(0)
	for _, err := range readLines(ctx, r.store, o.Key) {
		if err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}

// objects yields the objects of a source's table from a day on ("" for all), by
// day.
func (r *Reader) objects(ctx context.Context, l layout, t table, source, fromDay string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		prefix := tablePrefix(l, t, source)
		after := ""
		if fromDay != "" {
			after = prefix + fromDay // sorts before all of that day's keys
		}
		for info, err := range r.store.List(ctx, prefix, after) {
			if err != nil {
				yield(blob.Info{}, fmt.Errorf("list %s: %w", prefix, err))
				return
			}
			if !strings.HasSuffix(info.Key, l.extension()) {
				continue
			}
			if !yield(info, nil) {
				return
			}
		}
	}
}

// Sources returns the sources that have events in the lake, sorted.
func (r *Reader) Sources(ctx context.Context) ([]string, error) {
	var all []string
	for _, l := range []layout{parquetLayout, jsonLayout} {
		names, err := r.sources(ctx, l)
		if err != nil {
			return nil, err
		}
		all = append(all, names...)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// sources lists one key of each source and goes on behind its folder: a year's
// objects are not to be listed for a handful of names.
func (r *Reader) sources(ctx context.Context, l layout) ([]string, error) {
	return r.sourcesOf(ctx, eventsTable.String()+string(l)+"/source=")
}

// sourcesOf returns what follows the prefix, up to a slash.
func (r *Reader) sourcesOf(ctx context.Context, prefix string) ([]string, error) {
	var names []string
	for after := ""; ; {
		key := ""
		for info, err := range r.store.List(ctx, prefix, after) {
			if err != nil {
				return nil, fmt.Errorf("list %s: %w", prefix, err)
			}
			key = info.Key
			break
		}
		if key == "" {
			return names, nil
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(key, prefix), "/")
		names = append(names, name)
		after = prefix + name + "0" // "0" is next to "/"
	}
}

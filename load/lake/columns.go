package lake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/parquet-go/parquet-go"

	"github.com/idtrail/idtrail/internal/blob"
)

// ReadColumns is [ReadTable] for a row type with some of a table's columns: of a
// Parquet object no others are read, a row group at a time.
func ReadColumns[T any](ctx context.Context, store blob.Store, key string) iter.Seq2[T, error] {
	if strings.HasSuffix(key, jsonLayout.extension()) {
		return readJSON[T](ctx, store, key)
	}
	return func(yield func(T, error) bool) {
		var none T
		o, f, err := openColumns(ctx, store, key)
		if err != nil {
			yield(none, fmt.Errorf("read %s: %w", key, err))
			return
		}
		defer o.close()
		for number := range f.RowGroups() {
			more, err := readGroup(o, f, number, func(row T) bool { return yield(row, nil) })
			if err != nil {
				yield(none, fmt.Errorf("read %s: %w", key, err))
			}
			if err != nil || !more {
				return
			}
		}
	}
}

func openColumns(ctx context.Context, store blob.Store, key string) (o *searched, f *parquet.File, err error) {
	info, err := store.Head(ctx, key)
	if err != nil {
		return nil, nil, err
	}
	s := search{reader: Open(store), far: isFar(store)}
	if o, err = s.open(ctx, info); err != nil {
		return nil, nil, err
	}
	err = guarded(func() (err error) {
		f, err = o.parse()
		return err
	})
	if err != nil {
		o.close()
	}
	return o, f, err
}

// readGroup calls f with the rows of a row group, until it wants no more.
func readGroup[T any](o *searched, file *parquet.File, number int, f func(row T) bool) (more bool, err error) {
	var wanted []stretchOf
	for _, path := range parquet.SchemaOf(*new(T)).Columns() {
		if leaf, ok := file.Schema().Lookup(path...); ok {
			wanted = append(wanted, chunkStretch(file, number, leaf.ColumnIndex))
		}
	}
	if err := o.fetch(wanted); err != nil {
		return false, err
	}
	defer o.forget()
	r := parquet.NewGenericRowGroupReader[T](file.RowGroups()[number])
	defer func() { err = errors.Join(err, r.Close()) }()
	return eachRow(r, olderThan[T](file.Schema()), f)
}

// eachRow calls f with the rows of a reader, until it wants no more.
func eachRow[T any](r *parquet.GenericReader[T], old older, f func(row T) bool) (more bool, err error) {
	rows := make([]T, batchRows)
	for err == nil {
		clear(rows) // what the reader leaves alone is not to come from the batch before
		var n int
		err = guarded(func() (err error) {
			n, err = r.Read(rows)
			return err
		})
		for i := range rows[:n] {
			old.forget(&rows[i])
			if !f(rows[i]) {
				return false, nil
			}
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return true, err
}

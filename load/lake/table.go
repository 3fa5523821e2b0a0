package lake

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/parquet-go/parquet-go"

	"github.com/idtrail/idtrail/internal/blob"
)

// WriteTable writes rows, a struct with parquet and json tags each, as one
// object, created if absent. The key's ending says how: .parquet, or
// .ndjson.gz. The same rows give the same bytes, so a table that is there
// already is fine if it is the same; else the error wraps [blob.ErrExist].
func WriteTable[T any](ctx context.Context, store blob.Store, key string, rows iter.Seq[T]) (Object, error) {
	return WriteRows(ctx, store, key, func(yield func(T, error) bool) {
		for row := range rows {
			if !yield(row, nil) {
				return
			}
		}
	})
}

// WriteRows is WriteTable for rows that may fail: then nothing is written.
func WriteRows[T any](ctx context.Context, store blob.Store, key string, rows iter.Seq2[T, error]) (Object, error) {
	f, err := newTempFile("")
	if err != nil {
		return Object{}, fmt.Errorf("write %s: %w", key, err)
	}
	defer f.remove()
	n, err := encodeTable(f, key, rows)
	if err != nil {
		return Object{}, fmt.Errorf("write %s: %w", key, err)
	}
	sum, size, err := f.sum()
	if err != nil {
		return Object{}, fmt.Errorf("write %s: %w", key, err)
	}
	o := Object{Key: key, SHA256: sum, Rows: n, Bytes: size}
	_, err = store.PutNew(ctx, key, f.f)
	if errors.Is(err, blob.ErrExist) {
		there, _, getErr := sumOf(ctx, store, key)
		if getErr != nil {
			return Object{}, getErr
		}
		if there == sum {
			return o, nil
		}
	}
	if err != nil {
		return Object{}, fmt.Errorf("create %s: %w", key, err)
	}
	return o, nil
}

func encodeTable[T any](f *tempFile, key string, rows iter.Seq2[T, error]) (int64, error) {
	var file interface {
		begin(f *tempFile) error
		finish() error
	}
	var add func(T) error
	switch {
	case strings.HasSuffix(key, parquetLayout.extension()):
		p := newParquetFile[T]("")
		file, add = p, func(row T) error { return p.add(row, 0) }
	case strings.HasSuffix(key, jsonLayout.extension()):
		j := &jsonFile{}
		file, add = j, func(row T) error { return j.add(row) }
	default:
		return 0, errors.New("the key ends neither in .parquet nor in .ndjson.gz")
	}
	if err := file.begin(f); err != nil {
		return 0, err
	}
	n := int64(0)
	for row, err := range rows {
		if err == nil {
			err = add(row)
		}
		if err != nil {
			return 0, err
		}
		n++
	}
	return n, file.finish()
}

// ReadTable reads an object that [WriteTable] or a sink wrote, row by row.
// Columns the object lacks are left zero.
func ReadTable[T any](ctx context.Context, store blob.Store, key string) iter.Seq2[T, error] {
	if strings.HasSuffix(key, jsonLayout.extension()) {
		return readJSON[T](ctx, store, key)
	}
	return readParquet[T](ctx, store, key)
}

func readParquet[T any](ctx context.Context, store blob.Store, key string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		info, err := store.Head(ctx, key)
		if err != nil {
			yield(none, fmt.Errorf("read %s: %w", key, err))
			return
		}
		f, err := openParquet(ctx, store, info, true)
		if err != nil {
			yield(none, err)
			return
		}
		defer func() { _ = f.Close() }()
		r := parquet.NewGenericReader[T](f.File)
		defer func() { _ = r.Close() }()
		_, err = eachRow(r, olderThan[T](f.Schema()), func(row T) bool { return yield(row, nil) })
		if err != nil {
			yield(none, fmt.Errorf("read %s: %w", key, err))
		}
	}
}

func readJSON[T any](ctx context.Context, store blob.Store, key string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for line, err := range readLines(ctx, store, key) {
			var row T
			if err == nil {
				if err = json.Unmarshal(line, &row); err != nil {
					err = fmt.Errorf("read %s: %w", key, err)
				}
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
}

// readLines yields the lines of a gzipped object; each is valid until the next.
func readLines(ctx context.Context, store blob.Store, key string) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		body, _, err := store.Get(ctx, key)
		if err != nil {
			yield(nil, fmt.Errorf("read %s: %w", key, err))
			return
		}
		defer func() { _ = body.Close() }()
		gz, err := gzip.NewReader(body)
		if err != nil {
			yield(nil, fmt.Errorf("read %s: %w", key, err))
			return
		}
		lines := bufio.NewReaderSize(gz, 64<<10)
		for {
			line, err := readLine(lines)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				err = fmt.Errorf("read %s: %w", key, err)
			}
			if !yield(line, err) || err != nil {
				return
			}
		}
	}
}

// readLine returns a line of any length without its end; io.EOF behind the
// last. A line without an end is a torn file.
func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		head := bytes.Clone(line)
		line, err = r.ReadBytes('\n')
		line = append(head, line...)
	}
	if err != nil {
		if errors.Is(err, io.EOF) && len(line) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return line[:len(line)-1], nil
}

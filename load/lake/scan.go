package lake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/parquet-go/parquet-go"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/schema"
)

// keyColumns are the columns that name people, and whether case matters there:
// the same as matcher.userObject looks at.
func keyColumns() map[string]bool {
	return map[string]bool{"uid": true, "uid_alt": true, "name": false, "email_addr": false}
}

func keyParents() [][]string { return [][]string{{"user"}, {"actor", "user"}, {"user_result"}} }

// scanParquet calls hit with the time and row of each event that names the
// person, maybe of events outside the span too.
func (r *Reader) scanParquet(ctx context.Context, info blob.Info, who matcher, hit func(at, row int64), s span) error {
	f, err := openParquet(ctx, r.store, info, false)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	clock, ok := f.Schema().Lookup("time")
	if !ok {
		return fmt.Errorf("read %s: it has no column time", info.Key)
	}
	first := int64(0)
	for _, group := range f.RowGroups() {
		if mayHold(group.ColumnChunks()[clock.ColumnIndex], s) {
			err := guarded(func() error {
				return scanGroup(f.Schema(), group, who, func(at, row int64) { hit(at, first+row) })
			})
			if err != nil {
				return fmt.Errorf("read %s: %w", info.Key, err)
			}
		}
		first += group.NumRows()
	}
	return nil
}

func mayHold(times parquet.ColumnChunk, s span) bool {
	bounded, ok := times.(interface {
		Bounds() (least, greatest parquet.Value, ok bool)
	})
	if !ok {
		return true
	}
	least, greatest, ok := bounded.Bounds()
	return !ok || s.mayHold(least.Int64(), greatest.Int64())
}

func scanGroup(columns *parquet.Schema, group parquet.RowGroup, who matcher, hit func(at, row int64)) error {
	rows, err := matchingRows(columns, group, who)
	if err != nil || len(rows) == 0 {
		return err
	}
	clock, _ := columns.Lookup("time")
	return eachValue(group.ColumnChunks()[clock.ColumnIndex], func(row int64, v parquet.Value) {
		if len(rows) > 0 && rows[0] == row {
			hit(v.Int64(), row)
			rows = rows[1:]
		}
	})
}

// matchingRows returns the rows of a row group that name the person, sorted.
func matchingRows(columns *parquet.Schema, group parquet.RowGroup, who matcher) ([]int64, error) {
	var rows []int64
	for _, parent := range keyParents() {
		for name, exact := range keyColumns() {
			leaf, ok := columns.Lookup(append(slices.Clone(parent), name)...)
			if !ok || leaf.MaxRepetitionLevel > 0 {
				continue // not in a file of an earlier version
			}
			match := who.name
			if exact {
				match = who.id
			}
			err := eachValue(group.ColumnChunks()[leaf.ColumnIndex], func(row int64, v parquet.Value) {
				if !v.IsNull() && match(string(v.ByteArray())) {
					rows = append(rows, row)
				}
			})
			if err != nil {
				return nil, err
			}
		}
	}
	slices.Sort(rows)
	return slices.Compact(rows), nil
}

// eachValue calls f with each row's value of a column that is not repeated.
func eachValue(chunk parquet.ColumnChunk, f func(row int64, v parquet.Value)) (err error) {
	pages := chunk.Pages()
	defer func() { err = errors.Join(err, pages.Close()) }()
	row := int64(0)
	values := make([]parquet.Value, 512)
	for {
		page, err := pages.ReadPage()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		row, err = eachValueOf(page, values, row, f)
		parquet.Release(page)
		if err != nil {
			return err
		}
	}
}

func eachValueOf(page parquet.Page, values []parquet.Value, row int64, f func(row int64, v parquet.Value)) (int64, error) {
	r := page.Values()
	for {
		n, err := r.ReadValues(values)
		for _, v := range values[:n] {
			f(row, v)
			row++
		}
		if errors.Is(err, io.EOF) {
			return row, nil
		}
		if err != nil {
			return row, err
		}
	}
}

// scanJSON is scanParquet for an object of lines.
func (r *Reader) scanJSON(ctx context.Context, info blob.Info, who matcher, hit func(at, row int64), _ span) error {
	row := int64(0)
	for e, err := range readJSON[schema.Event](ctx, r.store, info.Key) {
		if err != nil {
			return err
		}
		if who.event(&e) {
			hit(e.Time, row)
		}
		row++
	}
	return nil
}

// openObjects loads events by their place and keeps a few objects open, for the
// next events are likely in the same ones.
type openObjects struct {
	reader  *Reader
	objects []eventsObject
	open    map[int]*eventReader
}

const maxOpenObjects = 8

// load returns the events hits stand for, in the order of hits.
func (o *openObjects) load(ctx context.Context, hits []hit) ([]schema.Event, error) {
	byObject := map[int][]int{}
	for i, h := range hits {
		byObject[h.object] = append(byObject[h.object], i)
	}
	events := make([]schema.Event, len(hits))
	for object, indexes := range byObject {
		slices.SortFunc(indexes, func(a, b int) int { return int(hits[a].row - hits[b].row) })
		set := func(n int, e schema.Event) { events[indexes[n]] = e }
		rows := make([]int64, len(indexes))
		for n, i := range indexes {
			rows[n] = hits[i].row
		}
		var err error
		if o.objects[object].layout == jsonLayout {
			err = o.loadJSON(ctx, object, rows, set)
		} else {
			err = o.loadParquet(ctx, object, rows, set)
		}
		if err != nil {
			return nil, err
		}
	}
	return events, nil
}

func (o *openObjects) loadJSON(ctx context.Context, object int, rows []int64, set func(n int, e schema.Event)) error {
	key := o.objects[object].info.Key
	row, n := int64(0), 0
	for line, err := range readLines(ctx, o.reader.store, key) {
		if err != nil {
			return err
		}
		if row == rows[n] {
			var e schema.Event
			if err := json.Unmarshal(line, &e); err != nil {
				return fmt.Errorf("read %s: %w", key, err)
			}
			set(n, e)
			if n++; n == len(rows) {
				return nil
			}
		}
		row++
	}
	return fmt.Errorf("read %s: it got shorter while it was read", key)
}

func (o *openObjects) loadParquet(ctx context.Context, object int, rows []int64, set func(n int, e schema.Event)) error {
	r, err := o.at(ctx, object)
	if err != nil {
		return err
	}
	for n, row := range rows {
		var e schema.Event
		err := guarded(func() (err error) {
			e, err = r.event(row)
			return err
		})
		if err != nil {
			return fmt.Errorf("read %s: %w", o.objects[object].info.Key, err)
		}
		set(n, e)
	}
	return nil
}

// at returns the open object, opening it where it is not.
func (o *openObjects) at(ctx context.Context, object int) (*eventReader, error) {
	if r := o.open[object]; r != nil {
		return r, nil
	}
	if len(o.open) == maxOpenObjects {
		o.close()
	}
	f, err := openParquet(ctx, o.reader.store, o.objects[object].info, true)
	if err != nil {
		return nil, err
	}
	if o.open == nil {
		o.open = map[int]*eventReader{}
	}
	r := &eventReader{
		file: f,
		rows: parquet.NewGenericReader[schema.Event](f.File),
		old:  olderThan[schema.Event](f.Schema()),
	}
	o.open[object] = r
	return r, nil
}

func (o *openObjects) close() {
	for object, r := range o.open {
		_ = r.rows.Close()
		_ = r.file.Close()
		delete(o.open, object)
	}
}

// eventReader reads single events of a Parquet object.
type eventReader struct {
	file *openedParquet
	rows *parquet.GenericReader[schema.Event]
	old  older
}

func (r *eventReader) event(row int64) (schema.Event, error) {
	if err := r.rows.SeekToRow(row); err != nil {
		return schema.Event{}, err
	}
	var one [1]schema.Event
	n, err := r.rows.Read(one[:])
	if n == 1 {
		r.old.forget(&one[0])
		return one[0], nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return schema.Event{}, err
}

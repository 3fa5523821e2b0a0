package harness

import (
	"bytes"
	"context"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/metadata"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
)

// Parquet is what arrow-go reads in a file.
type Parquet struct {
	// Schema is the Parquet schema as text.
	Schema string
	// Metadata are the file's own key-value pairs.
	Metadata map[string]string
	// RowGroups counts them.
	RowGroups int
	// Rows are as those of DuckDB, but maps are lists of {key, value}, and
	// times print with nine digits of a fraction and no zone.
	Rows []map[string]any
}

// ReadParquet reads the file with arrow-go, which has nothing in common with
// the library that idtrail writes with.
func ReadParquet(t testing.TB, path string) *Parquet {
	t.Helper()
	f, err := file.OpenParquetFile(path, false)
	if err != nil {
		t.Fatalf("arrow-go: open %s: %v", path, err)
	}
	defer func() { _ = f.Close() }()
	p := &Parquet{
		Schema:    f.MetaData().Schema.String(),
		Metadata:  map[string]string{},
		RowGroups: f.NumRowGroups(),
	}
	for _, pair := range f.MetaData().KeyValueMetadata() {
		p.Metadata[pair.Key] = pair.GetValue()
	}
	if p.Rows, err = readRows(t.Context(), f); err != nil {
		t.Fatalf("arrow-go: read %s: %v", path, err)
	}
	return p
}

func readRows(ctx context.Context, f *file.Reader) ([]map[string]any, error) {
	r, err := pqarrow.NewFileReader(f, pqarrow.ArrowReadProperties{BatchSize: 10_000}, memory.DefaultAllocator)
	if err != nil {
		return nil, err
	}
	records, err := r.GetRecordReader(ctx, nil, nil)
	if err != nil {
		return nil, err
	}
	defer records.Release()
	var all []map[string]any
	for records.Next() {
		var text bytes.Buffer
		if err := array.RecordToJSON(records.RecordBatch(), &text); err != nil {
			return nil, err
		}
		rows, err := decodeLines(text.Bytes())
		if err != nil {
			return nil, err
		}
		all = append(all, rows...)
	}
	return all, records.Err()
}

// decodeLines decodes JSON objects, one a line.
func decodeLines(text []byte) ([]map[string]any, error) {
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return decodeRows([]byte("[" + string(bytes.Join(lines, []byte(","))) + "]"))
}

// Page is what the page index says of one page of a column. Min and Max are
// string or int64; nil where the index does not tell: a page of nulls, a column
// without bounds, a type that is neither.
type Page struct {
	Column   string // dotted path
	Begin    int64  // its first row in the file
	End      int64  // the row behind its last
	Nulls    int64
	AllNull  bool
	Min, Max any
}

// Pages returns what the file's page index says, by row group and column, and
// the columns that have no bounds in it.
func Pages(t testing.TB, path string) (pages []Page, unbounded []string) {
	t.Helper()
	f, err := file.OpenParquetFile(path, false)
	if err != nil {
		t.Fatalf("arrow-go: open %s: %v", path, err)
	}
	defer func() { _ = f.Close() }()
	var begin int64
	for group := range f.NumRowGroups() {
		index, err := f.GetPageIndexReader().RowGroup(group)
		if err != nil {
			t.Fatalf("arrow-go: read page index of %s: %v", path, err)
		}
		end := begin + f.RowGroup(group).NumRows()
		for column := range f.MetaData().Schema.NumColumns() {
			name := f.MetaData().Schema.Column(column).Path()
			found, err := columnPages(index, column, Page{Column: name, Begin: begin, End: end})
			if err != nil {
				t.Fatalf("arrow-go: read page index of %s in %s: %v", name, path, err)
			}
			if found == nil {
				unbounded = append(unbounded, name)
			}
			pages = append(pages, found...)
		}
		begin = end
	}
	return pages, unbounded
}

// columnPages are the pages of a column chunk, which is given as one page.
func columnPages(index *metadata.RowGroupPageIndexReader, column int, chunk Page) ([]Page, error) {
	bounds, err := index.GetColumnIndex(column)
	if err != nil || bounds == nil {
		return nil, err
	}
	offsets, err := index.GetOffsetIndex(column)
	if err != nil || offsets == nil {
		return nil, err
	}
	places := offsets.GetPageLocations()
	pages := make([]Page, len(places))
	for i, place := range places {
		pages[i] = Page{Column: chunk.Column, Begin: chunk.Begin + place.FirstRowIndex, End: chunk.End, AllNull: bounds.GetNullPages()[i]}
		if i > 0 {
			pages[i-1].End = pages[i].Begin
		}
		if bounds.IsSetNullCounts() {
			pages[i].Nulls = bounds.GetNullCounts()[i]
		}
		if pages[i].AllNull {
			continue
		}
		switch b := bounds.(type) {
		case *metadata.TypedColumnIndex[parquet.ByteArray]:
			pages[i].Min, pages[i].Max = string(b.MinValues()[i]), string(b.MaxValues()[i])
		case *metadata.TypedColumnIndex[int64]:
			pages[i].Min, pages[i].Max = b.MinValues()[i], b.MaxValues()[i]
		case *metadata.TypedColumnIndex[int32]:
			pages[i].Min, pages[i].Max = int64(b.MinValues()[i]), int64(b.MaxValues()[i])
		}
	}
	return pages, nil
}

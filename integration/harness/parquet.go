package harness

import (
	"bytes"
	"context"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
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

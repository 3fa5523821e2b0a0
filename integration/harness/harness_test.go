package harness_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/idtrail/idtrail/integration/harness"
)

type row struct {
	ID    int64             `parquet:"id"`
	Name  *string           `parquet:"name,optional"`
	At    int64             `parquet:"at,timestamp(millisecond)"`
	Score float64           `parquet:"score"`
	Tags  []string          `parquet:"tags,list"`
	Inner struct{ N int32 } `parquet:"inner"`
	Attrs map[string]string `parquet:"attrs"`
	OK    bool              `parquet:"ok"`
}

func writeRows(t *testing.T) string {
	t.Helper()
	name := "O'Brien, é"
	rows := []row{
		{
			ID: 1 << 53, Name: &name, Score: 1.5, Tags: []string{"a", "b"}, OK: true,
			At:    time.Date(2026, 3, 1, 12, 30, 0, 5e6, time.UTC).UnixMilli(),
			Attrs: map[string]string{"k": "v"},
		},
		{ID: -1, At: time.Date(1999, 12, 31, 23, 59, 59, 0, time.UTC).UnixMilli()},
	}
	rows[0].Inner.N = 7
	path := filepath.Join(t.TempDir(), "rows.parquet")
	err := parquet.WriteFile(path, rows, parquet.KeyValueMetadata("idtrail", "test"), parquet.Compression(&parquet.Zstd))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDuckDB(t *testing.T) {
	path := writeRows(t)
	rows := harness.DuckDB(t, "CREATE TABLE r AS FROM read_parquet("+harness.Quote(path)+"); SELECT * FROM r ORDER BY id DESC")
	if len(rows) != 2 {
		t.Fatalf("%d rows, want 2", len(rows))
	}
	wantRow(t, rows[0], map[string]any{"id": int64(1 << 53), "name": "O'Brien, é", "score": 1.5, "ok": true})
	wantRow(t, rows[1], map[string]any{"id": int64(-1), "name": nil, "score": int64(0), "ok": false})
	if got, want := rows[0]["at"], "2026-03-01 12:30:00.005+00"; got != want {
		t.Errorf("at = %v, want %v", got, want)
	}
	if tags, ok := rows[0]["tags"].([]any); !ok || len(tags) != 2 || tags[1] != "b" {
		t.Errorf("tags = %v", rows[0]["tags"])
	}
	if inner, ok := rows[0]["inner"].(map[string]any); !ok || inner["N"] != int64(7) {
		t.Errorf("inner = %v", rows[0]["inner"])
	}
	if attrs, ok := rows[0]["attrs"].(map[string]any); !ok || attrs["k"] != "v" {
		t.Errorf("attrs = %v", rows[0]["attrs"])
	}
	sum := harness.DuckDB(t, "SELECT count(*) AS n, sum(id) AS s FROM read_parquet("+harness.Quote(path)+")")
	wantRow(t, sum[0], map[string]any{"n": int64(2), "s": int64(1<<53 - 1)})
}

func TestDuckDBError(t *testing.T) {
	if got := harness.DuckDBError(t, "SELECT nonsense FROM nowhere"); !strings.Contains(got, "nowhere") {
		t.Errorf("error = %q, want DuckDB's", got)
	}
}

func TestReadParquet(t *testing.T) {
	p := harness.ReadParquet(t, writeRows(t))
	if len(p.Rows) != 2 || p.RowGroups != 1 || p.Metadata["idtrail"] != "test" || !strings.Contains(p.Schema, "name") {
		t.Fatalf("%d rows in %d groups, metadata %v, schema\n%s", len(p.Rows), p.RowGroups, p.Metadata, p.Schema)
	}
	wantRow(t, p.Rows[0], map[string]any{"id": int64(1 << 53), "name": "O'Brien, é", "score": 1.5, "ok": true})
	wantRow(t, p.Rows[1], map[string]any{"id": int64(-1), "name": nil, "ok": false})
}

func wantRow(t *testing.T, got, want map[string]any) {
	t.Helper()
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s = %v (%T), want %v (%T)", name, got[name], got[name], value, value)
		}
	}
}

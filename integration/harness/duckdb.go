package harness

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

//go:embed duckdb.mjs
var duckdbScript []byte

// DuckDB runs SQL in an empty DuckDB and returns the rows of the last
// statement. Files are read by read_parquet and its like; give it
// hive_types_autocast=false, as partition keys are text in Athena too.
//
// Integers come as int64, or json.Number if they do not fit; other numbers as
// float64, without a fraction as int64; lists as []any; structs and maps as
// map[string]any; times, decimals and all else as the text DuckDB prints, in
// UTC.
func DuckDB(t testing.TB, sql string) []map[string]any {
	t.Helper()
	rows, err := runDuckDB(t, sql)
	if err != nil {
		t.Fatalf("duckdb: %v\n%s", err, sql)
	}
	return rows
}

// DuckDBError runs SQL that must fail, and returns what DuckDB says.
func DuckDBError(t testing.TB, sql string) string {
	t.Helper()
	rows, err := runDuckDB(t, sql)
	if err == nil {
		t.Fatalf("duckdb: no error but %d rows\n%s", len(rows), sql)
	}
	return err.Error()
}

func runDuckDB(t testing.TB, sql string) ([]map[string]any, error) {
	t.Helper()
	home := tool(t, "IDTRAIL_DUCKDB")
	script := filepath.Join(t.TempDir(), "duckdb.mjs")
	if err := os.WriteFile(script, duckdbScript, 0o600); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(t.Context(), "node", script)
	cmd.Env = append(os.Environ(), "IDTRAIL_DUCKDB="+home)
	cmd.Stdin = strings.NewReader(sql)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, &duckdbError{cause: err, text: stderr.String()}
	}
	return decodeRows(out)
}

// duckdbError keeps what node says, and says only DuckDB's part of it.
type duckdbError struct {
	cause error
	text  string
}

func (e *duckdbError) Error() string {
	for line := range strings.Lines(e.text) {
		if strings.Contains(line, "Error:") {
			return strings.TrimSpace(line)
		}
	}
	return e.cause.Error() + ": " + e.text
}

func (e *duckdbError) Unwrap() error { return e.cause }

// decodeRows decodes an array of JSON objects.
func decodeRows(text []byte) ([]map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var rows []map[string]any
	if err := d.Decode(&rows); err != nil {
		return nil, err
	}
	for _, row := range rows {
		for name, v := range row {
			row[name] = number(v)
		}
	}
	return rows, nil
}

// number turns the JSON numbers in v into Go's.
func number(v any) any {
	switch v := v.(type) {
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
		if f, err := v.Float64(); err == nil && strings.ContainsAny(v.String(), ".eE") {
			return f
		}
	case []any:
		for i := range v {
			v[i] = number(v[i])
		}
	case map[string]any:
		for name := range v {
			v[name] = number(v[name])
		}
	}
	return v
}

// Quote is s as a SQL string.
func Quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

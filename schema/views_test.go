package schema_test

import (
	"strings"
	"testing"
	"time"

	"github.com/idtrail/idtrail/schema"
)

func TestViewsGolden(t *testing.T) {
	for _, dialect := range []schema.Dialect{schema.DialectAthena, schema.DialectDuckDB} {
		o := schema.ViewOptions{Dialect: dialect}
		if dialect == schema.DialectAthena {
			o.Database = "audit"
		}
		for _, view := range schema.Views(o) {
			golden(t, view.Name+"."+string(dialect)+".sql", view.SQL+"\n")
		}
	}
}

// The dialects differ by the functions of JSON and maps and by where tables are,
// and by nothing else: what tests see in DuckDB is what Athena is given.
func TestViewsAreOne(t *testing.T) {
	athena := schema.Views(schema.ViewOptions{Dialect: schema.DialectAthena, Database: "audit"})
	duckdb := schema.Views(schema.ViewOptions{Dialect: schema.DialectDuckDB})
	same := strings.NewReplacer(`"audit".`, "", "json_extract_scalar(", "json_extract_string(",
		`element_at("e"."unmapped", 'http_request.http_method')`, `"e"."unmapped"['http_request.http_method']`)
	for i, view := range athena {
		if got := same.Replace(view.SQL); got != duckdb[i].SQL {
			t.Errorf("%s differs:\n%s\n%s", view.Name, got, duckdb[i].SQL)
		}
	}
}

func TestViewsRefuseADialect(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("taken; want a panic")
		}
	}()
	schema.Views(schema.ViewOptions{Dialect: "mysql"})
}

func TestDuckDBTable(t *testing.T) {
	for partitions, want := range map[int]string{
		1: `CREATE OR REPLACE VIEW "drift" AS SELECT * FROM read_parquet('/o''lake/drift/**/*.parquet', hive_partitioning=true, hive_types_autocast=false, union_by_name=true)`,
		0: `CREATE OR REPLACE VIEW "drift" AS SELECT * FROM read_parquet('/o''lake/drift/**/*.parquet', hive_partitioning=false, hive_types_autocast=false, union_by_name=true)`,
	} {
		table := schema.WholeTableOf("drift", schema.Gap{})
		table.Partitions = make([]string, partitions)
		if got := schema.DuckDBTable(table, "/o'lake/"); got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
}

func TestDDLWithoutPartitions(t *testing.T) {
	got := schema.WholeTableOf("persons", struct {
		Note string `parquet:"note"`
	}{}).DDL(schema.DDLOptions{Location: "s3://b/lake"})
	want := "CREATE EXTERNAL TABLE IF NOT EXISTS `persons` (\n  `note` string\n)\nSTORED AS PARQUET\n" +
		"LOCATION 's3://b/lake/persons/'\nTBLPROPERTIES (\n  'classification' = 'parquet',\n  'parquet.compression' = 'ZSTD'\n)"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestDuckDBEmpty(t *testing.T) {
	got := schema.DuckDBEmpty(schema.TableOf("t", struct {
		N int64             `parquet:"n"`
		M map[string]string `parquet:"m,optional"`
		L []struct {
			F float64 `parquet:"f"`
		} `parquet:"l,list"`
		At time.Time `parquet:"at,timestamp(millisecond)"`
	}{}))
	want := `CREATE OR REPLACE VIEW "t" AS SELECT NULL::BIGINT AS "n", NULL::MAP(VARCHAR, VARCHAR) AS "m", ` +
		`NULL::STRUCT("f" DOUBLE)[] AS "l", NULL::TIMESTAMPTZ AS "at", NULL::VARCHAR AS "source", NULL::VARCHAR AS "dt" WHERE false`
	if got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

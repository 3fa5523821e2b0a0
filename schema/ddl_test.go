package schema_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"github.com/idtrail/idtrail/schema"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// parquetSchemas are the files' schemas as the Parquet library reads them off
// the same types, by table.
func parquetSchemas() map[string]*parquet.Schema {
	return map[string]*parquet.Schema{
		"events":    parquet.SchemaOf(schema.Event{}),
		"users":     parquet.SchemaOf(schema.User{}),
		"pools":     parquet.SchemaOf(schema.Setting{}),
		"snapshots": parquet.SchemaOf(schema.SnapshotRow{}),
		"rejected":  parquet.SchemaOf(schema.Reject{}),
		"gaps":      parquet.SchemaOf(schema.Gap{}),
	}
}

func TestParquetSchemaGolden(t *testing.T) {
	for name, s := range parquetSchemas() {
		golden(t, name+".parquet.txt", s.String()+"\n")
	}
}

func TestDDLGolden(t *testing.T) {
	for _, table := range schema.Tables() {
		golden(t, table.Name+".sql", table.DDL(schema.DDLOptions{
			Database: "audit",
			Location: "s3://bucket/lake",
			Sources:  []string{"acme", "trail"},
		})+"\n")
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s has changed; columns are only ever added (go test ./schema -update)\n%s", name, diff)
	}
}

// What a file has and a table lacks no query finds; what a table has of another
// type fails at the query.
func TestTablesAgreeWithParquet(t *testing.T) {
	schemas := parquetSchemas()
	for _, table := range schema.Tables() {
		s := schemas[table.Name]
		if s == nil {
			t.Fatalf("table %s has no Parquet schema", table.Name)
		}
		delete(schemas, table.Name)
		var want []string
		for _, f := range s.Fields() {
			want = append(want, fmt.Sprintf("`%s` %s", f.Name(), hiveType(t, table.Name+"."+f.Name(), f)))
		}
		var got []string
		for _, c := range table.Columns {
			got = append(got, fmt.Sprintf("`%s` %s", c.Name, c.TypeText()))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("table %s (-parquet +table)\n%s", table.Name, diff)
		}
	}
	if len(schemas) != 0 {
		t.Errorf("without a table: %v", schemas)
	}
}

// hiveType derives the table type from the Parquet node alone, and fails on
// whatever Athena reads wrongly or not at all.
func hiveType(t *testing.T, path string, n parquet.Node) string {
	t.Helper()
	name := path[strings.LastIndexByte(path, '.')+1:]
	if name != strings.ToLower(name) || len(name) > 255 || strings.ContainsAny(name, "-@ $") {
		t.Errorf("%s: not a name Athena keeps", path)
	}
	if n.Repeated() {
		t.Errorf("%s: a bare repeated column; use a LIST", path)
	}
	if n.Leaf() {
		return hiveScalar(t, path, n)
	}
	logical := ""
	if lt := n.Type().LogicalType(); lt != nil {
		logical = lt.String()
	}
	switch logical {
	case "LIST":
		return "array<" + hiveType(t, path+".element", child(t, path, n, "list", "element")) + ">"
	case "MAP":
		k := hiveType(t, path+".key", child(t, path, n, "key_value", "key"))
		v := hiveType(t, path+".value", child(t, path, n, "key_value", "value"))
		if k != "string" || v != "string" && v != "bigint" {
			t.Errorf("%s: a map of %s to %s", path, k, v)
		}
		return "map<" + k + "," + v + ">"
	case "":
		var fields []string
		for _, f := range n.Fields() {
			fields = append(fields, "`"+f.Name()+"`:"+hiveType(t, path+"."+f.Name(), f))
		}
		return "struct<" + strings.Join(fields, ",") + ">"
	default:
		t.Errorf("%s: group of type %s", path, logical)
		return "?"
	}
}

func child(t *testing.T, path string, n parquet.Node, names ...string) parquet.Node {
	t.Helper()
	for _, name := range names {
		var found parquet.Node
		for _, f := range n.Fields() {
			if f.Name() == name {
				found = f
			}
		}
		if found == nil {
			t.Fatalf("%s: no %s in %v", path, name, n)
		}
		n = found
	}
	return n
}

func hiveScalar(t *testing.T, path string, n parquet.Node) string {
	t.Helper()
	logical := ""
	if lt := n.Type().LogicalType(); lt != nil {
		logical = lt.String()
	}
	switch kind := n.Type().Kind(); {
	case kind == parquet.ByteArray && logical == "STRING":
		return "string"
	case kind == parquet.Boolean && logical == "":
		return "boolean"
	case kind == parquet.Double && logical == "":
		return "double"
	case kind == parquet.Int32 && (logical == "" || logical == "INT(32,true)"):
		return "int"
	case kind == parquet.Int64 && (logical == "" || logical == "INT(64,true)"):
		return "bigint"
	case kind == parquet.Int64 && logical == "TIMESTAMP(isAdjustedToUTC=true,unit=MILLIS)":
		return "timestamp"
	default:
		t.Errorf("%s: %v %s has no counterpart in a table", path, kind, logical)
		return "?"
	}
}

func TestTableOfRefuses(t *testing.T) {
	rows := map[string]any{
		"unsigned": struct {
			N uint32 `parquet:"n"`
		}{},
		"nanosecond time": struct {
			T time.Time `parquet:"t"`
		}{},
		"bare repeated": struct {
			L []string `parquet:"l"`
		}{},
		"upper case name": struct {
			N string `parquet:"userName"`
		}{},
		"name not given": struct{ N string }{},
		"embedded":       struct{ schema.Location }{},
		"name with a hyphen": struct {
			N string `parquet:"user-name"`
		}{},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("taken; want a panic")
				}
			}()
			schema.TableOf("t", row)
		})
	}
}

func TestDDLPlaces(t *testing.T) {
	table := schema.TableOf("drift", struct {
		Note string `parquet:"note"`
	}{}, "dt")
	got := table.DDL(schema.DDLOptions{Location: "s3://b/o'la\\ke/", FirstDay: "2026-01-02"})
	for _, want := range []string{
		"CREATE EXTERNAL TABLE IF NOT EXISTS `drift` (\n  `note` string\n)\nPARTITIONED BY (`dt` string)\n",
		`LOCATION 's3://b/o\'la\\ke/drift/'`,
		"'projection.dt.range' = '2026-01-02,NOW+1DAY'",
		`'storage.location.template' = 's3://b/o\'la\\ke/drift/dt=${dt}/'`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got\n%s\nwant in it\n%s", got, want)
		}
	}
	if got := schema.Tables()[0].DDL(schema.DDLOptions{}); !strings.Contains(got, "'projection.source.type' = 'injected'") {
		t.Errorf("events without sources:\n%s", got)
	}
}

func TestLeaves(t *testing.T) {
	byName := map[string]schema.Column{}
	for _, c := range schema.Tables()[0].Leaves() {
		byName[c.Name] = c
	}
	for name, want := range map[string]schema.Column{
		"time":                      {Name: "time", Type: "bigint"},
		"time_dt":                   {Name: "time_dt", Type: "timestamp"},
		"metadata.uid":              {Name: "metadata.uid", Type: "string"},
		"actor.user.uid":            {Name: "actor.user.uid", Type: "string", Optional: true},
		"cloud.provider":            {Name: "cloud.provider", Type: "string", Optional: true},
		"unmapped":                  {Name: "unmapped", Type: "map<string,string>", Optional: true},
		"src_endpoint.location.lat": {Name: "src_endpoint.location.lat", Type: "double", Optional: true},
	} {
		if diff := cmp.Diff(want, byName[name]); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
	if _, ok := byName["user"]; ok {
		t.Error("a struct is no leaf")
	}
}

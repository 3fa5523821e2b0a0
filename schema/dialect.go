package schema

import (
	"fmt"
	"strings"
	"text/template"
)

// Dialect is the SQL of one query engine.
type Dialect string

// The dialects views are written in. They differ in little: Athena's is Trino's.
const (
	DialectAthena Dialect = "athena"
	DialectDuckDB Dialect = "duckdb"
)

// words are how a dialect says what the other says otherwise, as formats.
type words struct{ json, at, matches, join, all, day, now string }

func (d Dialect) words() words {
	switch d {
	case DialectAthena:
		return words{
			json:    "json_extract_scalar(%s, '$.%s')",
			at:      "element_at(%s, %s)",
			matches: "regexp_like(%s, %s)",
			join:    "array_join(%s, ', ')",
			all:     "array_join(array_sort(array_agg(DISTINCT %s)), ', ')",
			day:     "date_format(current_date - INTERVAL '%d' DAY, '%%Y-%%m-%%d')",
			now:     "CAST(current_timestamp AS timestamp(3))",
		}
	case DialectDuckDB:
		return words{
			json:    "json_extract_string(%s, '$.%s')",
			at:      "%s[%s]",
			matches: "regexp_matches(%s, %s)",
			join:    "array_to_string(%s, ', ')",
			all:     "array_to_string(list_sort(list(DISTINCT %s)), ', ')",
			day:     "strftime(current_date - INTERVAL '%d' DAY, '%%Y-%%m-%%d')",
			now:     "current_timestamp",
		}
	default:
		panic(fmt.Sprintf("schema: no dialect %q", d))
	}
}

// Funcs are what templates of SQL call where the dialects differ, so that a
// query is written once; columns are given as SQL:
//
//	table NAME             a table or view, in its database
//	path NAME              a dotted path, quoted
//	text WORD              a string
//	json COLUMN PATH       a member of JSON text, as a string
//	at COLUMN KEY          the value of a map, null if there is none
//	matches COLUMN PATTERN whether a regular expression is found in it
//	join COLUMN            the elements of an array of strings, in one string
//	all COLUMN             an aggregate: its different values, in one string
//	day N                  the UTC day N days ago, as partition dt has it
//	now                    this instant, to compare with columns of times
//
// Sessions have to be in UTC: Athena's are.
func (o ViewOptions) Funcs() template.FuncMap {
	w := o.Dialect.words()
	return template.FuncMap{
		"table":   o.table,
		"path":    quotePath,
		"text":    literal,
		"json":    func(column, path string) string { return fmt.Sprintf(w.json, column, path) },
		"at":      func(column, key string) string { return fmt.Sprintf(w.at, column, literal(key)) },
		"matches": func(column, pattern string) string { return fmt.Sprintf(w.matches, column, literal(pattern)) },
		"join":    func(column string) string { return fmt.Sprintf(w.join, column) },
		"all":     func(column string) string { return fmt.Sprintf(w.all, column) },
		"day":     func(days int) string { return fmt.Sprintf(w.day, days) },
		"now":     func() string { return w.now },
	}
}

func (o ViewOptions) table(name string) string {
	if o.Database == "" {
		return quotePath(name)
	}
	return quotePath(o.Database) + "." + quotePath(name)
}

// quotePath quotes each part of a dotted path: several are reserved words.
func quotePath(path string) string {
	return `"` + strings.ReplaceAll(path, ".", `"."`) + `"`
}

// DuckDBTable returns the statement that makes a table of the lake at a
// directory or prefix readable in DuckDB. At least one object of it must be
// there; [DuckDBEmpty] is for tables that have none yet.
func DuckDBTable(t Table, lake string) string {
	glob := strings.TrimSuffix(lake, "/") + "/" + t.Name + "/**/*.parquet"
	return fmt.Sprintf("CREATE OR REPLACE VIEW %s AS SELECT * FROM read_parquet(%s, "+
		"hive_partitioning=%t, hive_types_autocast=false, union_by_name=true)", quotePath(t.Name), literal(glob), len(t.Partitions) > 0)
}

// DuckDBEmpty returns the statement that makes a table known to DuckDB of which
// the lake has no object yet.
func DuckDBEmpty(t Table) string {
	columns := make([]string, 0, len(t.Columns)+len(t.Partitions))
	for _, c := range t.Columns {
		columns = append(columns, fmt.Sprintf("NULL::%s AS %s", c.duckType(), quotePath(c.Name)))
	}
	for _, p := range t.Partitions {
		columns = append(columns, "NULL::VARCHAR AS "+quotePath(p))
	}
	return fmt.Sprintf("CREATE OR REPLACE VIEW %s AS SELECT %s WHERE false", quotePath(t.Name), strings.Join(columns, ", "))
}

// duckType is the column's type in DuckDB's words.
func (c Column) duckType() string {
	switch c.Type {
	case "string":
		return "VARCHAR"
	case "timestamp":
		return "TIMESTAMPTZ"
	case "array":
		return c.Fields[0].duckType() + "[]"
	case "map":
		return "MAP(" + c.Fields[0].duckType() + ", " + c.Fields[1].duckType() + ")"
	case "struct":
		fields := make([]string, len(c.Fields))
		for i, f := range c.Fields {
			fields[i] = quotePath(f.Name) + " " + f.duckType()
		}
		return "STRUCT(" + strings.Join(fields, ", ") + ")"
	default:
		return strings.ToUpper(c.Type)
	}
}

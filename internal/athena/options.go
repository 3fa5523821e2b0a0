package athena

import (
	"slices"

	"github.com/idtrail/idtrail/schema"
)

// Options say which lake is to be queried, and as what.
type Options struct {
	Dialect schema.Dialect
	// Database all of it goes to; "" leaves it to the session (not for an
	// [Installer]).
	Database string
	// Location of the lake: s3://bucket/prefix, or a directory in DuckDB's
	// dialect.
	Location string
	// Tables of the lake.
	Tables []schema.Table
	// Sources of the config. What others have left in the lake is not read.
	Sources []Source
	// FirstDay is the first day that is read; schema.DefaultFirstDay if "".
	FirstDay string
	// Version of idtrail, which tables and views are marked with.
	Version string
}

// Source is a source of the config, as far as its tables go.
type Source struct {
	Name string
	// Snapshots and Events say whether it can have rows in tables of snapshots,
	// of events.
	Snapshots, Events bool
}

// The kinds of [Statement] and [Change].
const (
	KindDatabase = "database"
	KindTable    = "table"
	KindView     = "view"
	KindQuery    = "query"
)

// Statement is one statement, without a semicolon at its end.
type Statement struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	// Title is a query's.
	Title string `json:"title,omitempty"`
	SQL   string `json:"sql"`
}

// Statements are all that make the lake queryable, in the order to be run in:
// tables, then views. Tables of which has says no are made known without an
// object; nil says yes. It counts in DuckDB only, whose tables need objects.
func (o Options) Statements(has func(table string) bool) []Statement {
	var all []Statement
	for _, t := range o.Tables {
		all = append(all, Statement{Kind: KindTable, Name: t.Name, SQL: o.table(t, has)})
	}
	for _, v := range schema.Views(o.views()) {
		all = append(all, Statement{Kind: KindView, Name: v.Name, SQL: v.SQL})
	}
	return all
}

func (o Options) table(t schema.Table, has func(table string) bool) string {
	switch {
	case o.Dialect == schema.DialectAthena:
		return t.DDL(o.ddl(t))
	case has != nil && !has(t.Name):
		return schema.DuckDBEmpty(t)
	default:
		return schema.DuckDBTable(t, o.Location)
	}
}

// Queries are the queries of these names, with what set says; nil is all of
// them. [ErrSetting].
func (o Options) Queries(queries []Query, set map[string]string) ([]Statement, error) {
	var all []Statement
	for _, q := range queries {
		sql, err := q.SQL(o.views(), set)
		if err != nil {
			return nil, err
		}
		all = append(all, Statement{Kind: KindQuery, Name: q.Name, Title: q.Title, SQL: sql})
	}
	return all, nil
}

func (o Options) views() schema.ViewOptions {
	d := schema.ViewOptions{Dialect: o.Dialect}
	if o.Dialect == schema.DialectAthena {
		d.Database = o.Database
	}
	return d
}

func (o Options) ddl(t schema.Table) schema.DDLOptions {
	return schema.DDLOptions{
		Database: o.Database, Location: o.Location, Sources: o.sourcesOf(t.Name), FirstDay: o.FirstDay, Version: o.Version,
	}
}

// sourcesOf are the sources that can have rows in a table: partitions that stay
// empty cost every query a look. All of them where none can: without any, a
// query would have to name one.
func (o Options) sourcesOf(table string) []string {
	var some, all []string
	for _, s := range o.Sources {
		all = append(all, s.Name)
		if s.in(table) {
			some = append(some, s.Name)
		}
	}
	if len(some) == 0 {
		some = all
	}
	slices.Sort(some)
	return some
}

func (s Source) in(table string) bool {
	switch table {
	case "users", "pools", "snapshots":
		return s.Snapshots
	case "events":
		return s.Events
	default:
		return true
	}
}

package schema

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// The table definitions are read off the same struct tags the Parquet library
// reads: this is the one place outside that library where reflection stands,
// because a second, written list of some two hundred columns would drift from
// the first, and a column that is in the files but not in the table is lost to
// every query without an error.

// Table is a table of the lake as a query engine sees it.
type Table struct {
	// Name of the table, and of the folder of the lake its objects are in.
	Name    string
	Columns []Column
	// Partitions are the keys in the objects' paths, outermost first; all are
	// strings.
	Partitions []string
}

// Column is a column of a [Table], or a field of one.
type Column struct {
	Name string
	// Type in Hive's words: string, int, bigint, double, boolean, timestamp,
	// struct, array or map.
	Type string
	// Optional says that it may be null.
	Optional bool
	// Fields of a struct; the element of an array; key and value of a map.
	Fields []Column
}

// Tables returns the tables every lake has.
func Tables() []Table {
	return []Table{
		TableOf("events", Event{}),
		TableOf("users", User{}),
		TableOf("pools", Setting{}),
		TableOf("snapshots", SnapshotRow{}),
		TableOf("rejected", Reject{}),
		TableOf("gaps", Gap{}),
	}
}

// TableOf returns the table of rows like row, a struct with parquet tags,
// partitioned by source and dt unless other keys are named. It panics on a type
// that Athena has no counterpart for, and on a name it would not find.
func TableOf(name string, row any, partitions ...string) Table {
	if len(partitions) == 0 {
		partitions = []string{"source", "dt"}
	}
	return Table{Name: name, Columns: fieldsOf(reflect.TypeOf(row)), Partitions: partitions}
}

// WholeTableOf is [TableOf] for a table that has no partitions: all of its
// objects lie in one folder.
func WholeTableOf(name string, row any) Table {
	return Table{Name: name, Columns: fieldsOf(reflect.TypeOf(row))}
}

// DDLOptions places a table.
type DDLOptions struct {
	// Database the table is created in; "" leaves it to the session.
	Database string
	// Location of the lake, s3://bucket/prefix. The table lies in the folder of
	// its name below it.
	Location string
	// Sources are the values partition source can take. A source that is not
	// among them is not read. Without any, every query has to name one.
	Sources []string
	// FirstDay is the first day that is read, 2006-01-02; DefaultFirstDay if "".
	FirstDay string
	// Version of idtrail that makes the table is kept as its property
	// [PropertyVersion], unless it is "".
	Version string
}

// PropertyVersion is the property of a table that says it is idtrail's.
const PropertyVersion = "idtrail.version"

// DefaultFirstDay lies before anything the lake can hold: events are filed at
// most ten years before the day they were landed.
const DefaultFirstDay = "2015-01-01"

// DDL returns the statement that creates the table in Athena. Partitions are
// projected, never registered: a day is there once its first object is, and
// nothing has to be repaired. Days end tomorrow, as the lake's do.
func (t Table) DDL(o DDLOptions) string {
	var b strings.Builder
	b.WriteString("CREATE EXTERNAL TABLE IF NOT EXISTS ")
	if o.Database != "" {
		b.WriteString(quote(o.Database) + ".")
	}
	b.WriteString(quote(t.Name) + " (\n")
	for i, c := range t.Columns {
		fmt.Fprintf(&b, "  %s %s%s\n", quote(c.Name), c.TypeText(), comma(i, len(t.Columns)))
	}
	keys := make([]string, len(t.Partitions))
	for i, p := range t.Partitions {
		keys[i] = quote(p) + " string"
	}
	b.WriteString(")\n")
	if len(keys) > 0 {
		fmt.Fprintf(&b, "PARTITIONED BY (%s)\n", strings.Join(keys, ", "))
	}
	fmt.Fprintf(&b, "STORED AS PARQUET\nLOCATION %s\nTBLPROPERTIES (\n", hiveLiteral(t.Location(o)))
	properties := t.Properties(o)
	for i, p := range properties {
		fmt.Fprintf(&b, "  %s = %s%s\n", hiveLiteral(p[0]), hiveLiteral(p[1]), comma(i, len(properties)))
	}
	b.WriteString(")")
	return b.String()
}

// Leaves returns the columns that hold values, by their dotted paths: what a
// query names. List elements and map entries stand with their column, whose
// Type is then the whole of it.
func (t Table) Leaves() []Column {
	var leaves []Column
	var walk func(path string, c Column)
	walk = func(path string, c Column) {
		if c.Type != "struct" {
			leaves = append(leaves, Column{Name: path + c.Name, Type: c.TypeText(), Optional: c.Optional})
			return
		}
		for _, f := range c.Fields {
			f.Optional = f.Optional || c.Optional
			walk(path+c.Name+".", f)
		}
	}
	for _, c := range t.Columns {
		walk("", c)
	}
	return leaves
}

// TypeText returns the column's whole type as it stands in a statement. Field
// names are quoted too: several are reserved words.
func (c Column) TypeText() string {
	switch c.Type {
	case "struct":
		fields := make([]string, len(c.Fields))
		for i, f := range c.Fields {
			fields[i] = quote(f.Name) + ":" + f.TypeText()
		}
		return "struct<" + strings.Join(fields, ",") + ">"
	case "array":
		return "array<" + c.Fields[0].TypeText() + ">"
	case "map":
		return "map<" + c.Fields[0].TypeText() + "," + c.Fields[1].TypeText() + ">"
	default:
		return c.Type
	}
}

// Location is the folder of the table's objects.
func (t Table) Location(o DDLOptions) string {
	return strings.TrimSuffix(o.Location, "/") + "/" + t.Name + "/"
}

// Properties are the table's, by name: the projection of its partitions for one.
func (t Table) Properties(o DDLOptions) [][2]string {
	properties := [][2]string{
		{"classification", "parquet"},
		{"parquet.compression", "ZSTD"},
	}
	if o.Version != "" {
		properties = append(properties, [2]string{PropertyVersion, o.Version})
	}
	if len(t.Partitions) == 0 {
		return properties
	}
	properties = append(properties, [2]string{"projection.enabled", "true"})
	var location strings.Builder
	location.WriteString(t.Location(o))
	for _, p := range t.Partitions {
		switch {
		case p == "dt":
			properties = append(properties, dayProjection(o.FirstDay)...)
		case p == "source" && len(o.Sources) > 0:
			properties = append(properties,
				[2]string{"projection.source.type", "enum"},
				[2]string{"projection.source.values", strings.Join(o.Sources, ",")})
		default:
			properties = append(properties, [2]string{"projection." + p + ".type", "injected"})
		}
		location.WriteString(p + "=${" + p + "}/")
	}
	return append(properties, [2]string{"storage.location.template", location.String()})
}

func dayProjection(first string) [][2]string {
	if first == "" {
		first = DefaultFirstDay
	}
	return [][2]string{
		{"projection.dt.type", "date"},
		{"projection.dt.format", "yyyy-MM-dd"},
		{"projection.dt.range", first + ",NOW+1DAY"},
		{"projection.dt.interval", "1"},
		{"projection.dt.interval.unit", "DAYS"},
	}
}

// fieldsOf returns the columns of a struct type. It takes no embedded struct:
// the Parquet library would read its nil pointers back as zeros, and "not
// known" as "no".
func fieldsOf(t reflect.Type) []Column {
	var columns []Column
	for f := range t.Fields() {
		name, options := parseTag(f.Tag.Get("parquet"))
		switch {
		case f.Anonymous:
			panic(fmt.Sprintf("schema: %v embeds %v; name its columns", t, f.Type))
		case name == "-" || !f.IsExported():
		default:
			c := columnOf(t, f.Type, options)
			c.Name = columnName(t, name)
			columns = append(columns, c)
		}
	}
	return columns
}

func columnOf(in, t reflect.Type, options []string) Column {
	optional := slices.Contains(options, "optional")
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == reflect.TypeFor[time.Time]() && slices.Contains(options, "timestamp(millisecond)"):
		return Column{Type: "timestamp", Optional: optional}
	case t.Kind() == reflect.Struct && t != reflect.TypeFor[time.Time]():
		return Column{Type: "struct", Optional: optional, Fields: fieldsOf(t)}
	case t.Kind() == reflect.Slice && slices.Contains(options, "list"):
		element := columnOf(in, t.Elem(), nil)
		element.Name = "element"
		return Column{Type: "array", Optional: optional, Fields: []Column{element}}
	case t.Kind() == reflect.Map:
		key, value := columnOf(in, t.Key(), nil), columnOf(in, t.Elem(), nil)
		key.Name, value.Name = "key", "value"
		return Column{Type: "map", Optional: optional, Fields: []Column{key, value}}
	default:
		return Column{Type: scalarOf(in, t), Optional: optional}
	}
}

// scalarOf knows only what Athena reads without a loss: no unsigned numbers, no
// UUIDs, no nanoseconds, no bare repeated columns.
func scalarOf(in, t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "string"
	case reflect.Int32:
		return "int"
	case reflect.Int64:
		return "bigint"
	case reflect.Float64:
		return "double"
	case reflect.Bool:
		return "boolean"
	default:
		panic(fmt.Sprintf("schema: %v has a column of type %v, which no table type fits", in, t))
	}
}

// columnName insists on names Athena keeps as they are. It folds case, so two
// names that differ by case only would be one column.
func columnName(in reflect.Type, name string) string {
	ok := name != "" && len(name) <= 255 && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_'
	})
	if !ok {
		panic(fmt.Sprintf("schema: %v has a column %q: names are lower-case letters, digits and _", in, name))
	}
	return name
}

func parseTag(tag string) (name string, options []string) {
	parts := strings.Split(tag, ",")
	return parts[0], parts[1:]
}

func quote(name string) string { return "`" + name + "`" }

func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// hiveLiteral is a string in the DDL of Athena, which is Hive's: there a backslash
// escapes, and two quotes would end one string and begin another, joined to it.
func hiveLiteral(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

func comma(i, n int) string {
	if i < n-1 {
		return ","
	}
	return ""
}

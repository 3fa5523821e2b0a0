package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/idtrail/idtrail/reconcile"
	"github.com/idtrail/idtrail/schema"
)

// rowTypes are the types whose fields are the columns of a table.
var rowTypes = map[string]reflect.Type{
	"events":    reflect.TypeFor[schema.Event](),
	"users":     reflect.TypeFor[schema.User](),
	"pools":     reflect.TypeFor[schema.Setting](),
	"snapshots": reflect.TypeFor[schema.SnapshotRow](),
	"rejected":  reflect.TypeFor[schema.Reject](),
	"gaps":      reflect.TypeFor[schema.Gap](),
	"drift":     reflect.TypeFor[reconcile.Drift](),
	"persons":   reflect.TypeFor[reconcile.Person](),
}

// column is one that holds values, with the struct and the field it is made of.
type column struct {
	// path has "[]" behind the name of a list of structs.
	path     string
	sqlType  string
	optional bool
	in       reflect.Type
	field    string
}

// columnsOf are the columns of rows of that type, in the order of the files.
func columnsOf(row reflect.Type) []column {
	var all []column
	table := schema.TableOf("", reflect.New(row).Elem().Interface())
	walkColumns(row, table.Columns, "", false, func(c column) { all = append(all, c) })
	return all
}

func walkColumns(t reflect.Type, columns []schema.Column, prefix string, optional bool, visit func(column)) {
	fields := columnFields(t)
	for i, c := range columns {
		f := fields[i]
		mayBeNull := optional || c.Optional
		inner, nested, suffix := structIn(f.Type), c.Fields, ""
		if c.Type == "array" {
			nested, suffix = c.Fields[0].Fields, "[]"
		}
		if inner != nil && c.Type != "timestamp" {
			walkColumns(inner, nested, prefix+c.Name+suffix+".", mayBeNull, visit)
			continue
		}
		visit(column{path: prefix + c.Name, sqlType: c.TypeText(), optional: mayBeNull, in: t, field: f.Name})
	}
}

// columnFields are the fields of a struct that are columns.
func columnFields(t reflect.Type) []reflect.StructField {
	var fields []reflect.StructField
	for f := range t.Fields() {
		if name, _, _ := strings.Cut(f.Tag.Get("parquet"), ","); name != "-" && name != "" {
			fields = append(fields, f)
		}
	}
	return fields
}

// structIn is the struct a field is, points to or lists; nil if it is none.
func structIn(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t == reflect.TypeFor[time.Time]() {
		return nil
	}
	return t
}

// values are the texts that a row has in each column; a list of structs may have
// several.
func values(row any) map[string][]string {
	all := map[string][]string{}
	addValues(all, "", reflect.ValueOf(row))
	return all
}

func addValues(into map[string][]string, prefix string, v reflect.Value) {
	for _, f := range columnFields(v.Type()) {
		name, _, _ := strings.Cut(f.Tag.Get("parquet"), ",")
		addValue(into, prefix+name, v.FieldByIndex(f.Index))
	}
}

func addValue(into map[string][]string, path string, v reflect.Value) {
	switch {
	case v.Kind() == reflect.Pointer && v.IsNil():
	case v.Kind() == reflect.Pointer:
		addValue(into, path, v.Elem())
	case v.Kind() == reflect.Slice && structIn(v.Type()) != nil:
		for i := range v.Len() {
			addValues(into, path+"[].", v.Index(i))
		}
	case structIn(v.Type()) != nil:
		addValues(into, path+".", v)
	default:
		if text := textOf(v); text != "" {
			into[path] = append(into[path], text)
		}
	}
}

// textOf is a value as it is shown; "" is nothing.
func textOf(v reflect.Value) string {
	if at, ok := reflect.TypeAssert[time.Time](v); ok {
		if at.IsZero() {
			return ""
		}
		return at.UTC().Format("2006-01-02 15:04:05.000")
	}
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		if v.Len() == 0 {
			return ""
		}
		text, err := json.Marshal(v.Interface())
		if err != nil {
			return ""
		}
		return string(text)
	default:
		return fmt.Sprint(v.Interface())
	}
}

package lake

import (
	"reflect"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"
)

// older knows the fields of a row type that a file has no column for, because
// an earlier version of the program wrote it. The Parquet library fills such a
// field with empty structs and lists, which in these rows means "asked, and
// there is none"; it has to be left "not known". (Like the table definitions,
// this follows the library's own reflection over the same tags.)
type older struct{ missing [][]int }

func olderThan[T any](file *parquet.Schema) older {
	var o older
	o.compare(reflect.TypeFor[T](), file, nil)
	return o
}

func (o *older) compare(t reflect.Type, node parquet.Node, path []int) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("parquet"), ",")
		if name == "-" || !f.IsExported() {
			continue
		}
		at := append(slices.Clip(path), i)
		column := child(node, name)
		if column == nil {
			o.missing = append(o.missing, at)
			continue
		}
		inner := f.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct && !column.Leaf() {
			o.compare(inner, column, at)
		}
	}
}

func child(node parquet.Node, name string) parquet.Node {
	for _, f := range node.Fields() {
		if f.Name() == name {
			return f
		}
	}
	return nil
}

// forget makes the missing fields of the row at p zero again.
func (o older) forget(p any) {
	for _, path := range o.missing {
		v := reflect.ValueOf(p).Elem()
		for n, i := range path {
			if v.Kind() == reflect.Pointer {
				if v.IsNil() {
					break
				}
				v = v.Elem()
			}
			if v = v.Field(i); n == len(path)-1 {
				v.SetZero()
			}
		}
	}
}

package loadtest

import (
	"fmt"
	"reflect"
	"time"
)

// Fill sets every field of what p points to, down to the last, each to another
// value: a row in which nothing can be lost unseen. The seed tells rows apart.
func Fill(p any, seed int) {
	f := filler{n: seed * 100_000}
	f.fill(reflect.ValueOf(p).Elem())
}

type filler struct{ n int }

func (f *filler) fill(v reflect.Value) {
	f.n++
	if v.Type() == reflect.TypeFor[time.Time]() {
		at := time.UnixMilli(1_700_000_000_000 + int64(f.n)*1001).UTC()
		v.Set(reflect.ValueOf(at))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("%d <ü> & \"日本\" \n", f.n))
	case reflect.Int32, reflect.Int64:
		v.SetInt(int64(f.n))
	case reflect.Float64:
		v.SetFloat(float64(f.n) + 0.25)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem())
	case reflect.Struct:
		for _, field := range v.Fields() {
			f.fill(field)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 3, 3))
		for i := range 3 {
			f.fill(v.Index(i))
		}
	case reflect.Map:
		f.fillMap(v)
	default:
		panic(fmt.Sprintf("loadtest: nothing to fill a %v with", v.Type()))
	}
}

func (f *filler) fillMap(v reflect.Value) {
	v.Set(reflect.MakeMap(v.Type()))
	for range 4 {
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		f.fill(key)
		f.fill(value)
		v.SetMapIndex(key, value)
	}
}

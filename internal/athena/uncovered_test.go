package athena_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/idtrail/idtrail/internal/athena"
	"github.com/idtrail/idtrail/internal/blob/blobtest"
	"github.com/idtrail/idtrail/schema"
)

func TestUncovered(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		keys []string
		edit func(o *athena.Options)
		want []string // table, source and the end of the key
	}{
		"nothing there": {},
		"all covered": {keys: []string{
			"events/source=logs/dt=2016-01-01/1.parquet", "events/source=logs/dt=2026-11-21/1.parquet", "drift/dt=2026-11-20/1.parquet",
			"users/source=users/dt=2026-11-20/snapshot=a/1.parquet", "persons/persons.parquet", "gaps/source=users/dt=2026-11-20/1.parquet",
			"raw/gone/000000000000.ndjson.zst", "events_json/source=gone/dt=2026-01-01/1.ndjson.gz", "flushes/lake/gone/0.json",
		}},
		"a source that is gone": {
			keys: []string{
				"events/source=gone/dt=2026-01-01/1.parquet", "events/source=gone/dt=2026-01-02/1.parquet", "events/source=logs/dt=2026-01-01/1.parquet",
				"users/source=gone/dt=2026-01-01/snapshot=a/1.parquet", "events/source=gone2/dt=2026-01-01/1.parquet",
			},
			want: []string{"events gone 1.parquet", "events gone2 1.parquet", "users gone 1.parquet"},
		},
		"users of a source of logs": {
			keys: []string{"users/source=logs/dt=2026-01-01/snapshot=a/1.parquet"},
			want: []string{"users logs 1.parquet"},
		},
		"days before the first": {
			keys: []string{"events/source=logs/dt=2025-12-31/1.parquet", "events/source=logs/dt=2026-01-01/1.parquet", "drift/dt=2025-01-01/1.parquet"},
			edit: func(o *athena.Options) { o.FirstDay = "2026-01-01" },
			want: []string{"drift  1.parquet", "events logs 1.parquet"},
		},
		"days to come": {
			keys: []string{"events/source=logs/dt=2026-11-21/1.parquet", "events/source=logs/dt=2026-11-22/late.parquet"},
			want: []string{"events logs late.parquet"},
		},
		"in DuckDB, which reads them all": {
			keys: []string{
				"events/source=gone/dt=2014-01-01/1.parquet", "events/source=gone/dt=2027-01-01/1.parquet", "events/readme.txt", "drift/zzz/1.parquet",
			},
			edit: func(o *athena.Options) { o.Dialect = schema.DialectDuckDB },
			want: []string{"drift  1.parquet", "events  readme.txt"},
		},
		"elsewhere": {
			keys: []string{
				"events/readme.txt", "events/year=2026/1.parquet", "events/source=logs/1.parquet", "events/source=logs/zzz/1.parquet",
				"gaps/source=logs/dt=2026-1-1/1.parquet", "drift/zzz/1.parquet",
			},
			want: []string{
				"drift  1.parquet", "events  1.parquet", "events  readme.txt", "events logs 1.parquet", "events logs 1.parquet", "gaps logs 1.parquet",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			store := blobtest.NewMemory()
			for _, key := range tt.keys {
				if _, err := store.PutNew(t.Context(), key, strings.NewReader("x")); err != nil {
					t.Fatal(err)
				}
			}
			o := options()
			if tt.edit != nil {
				tt.edit(&o)
			}
			strays, err := athena.Uncovered(t.Context(), store, o.Tables, o.Covers(), now)
			if err != nil {
				t.Fatal(err)
			}
			got := []string{}
			for _, s := range strays {
				got = append(got, fmt.Sprint(s.Table, " ", s.Source, " ", s.Key[strings.LastIndexByte(s.Key, '/')+1:]))
				if s.Reason == "" || s.Hint == "" {
					t.Errorf("%s: reason %q, hint %q", s.Key, s.Reason, s.Hint)
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, append([]string{}, tt.want...)) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestUncoveredError(t *testing.T) {
	broken, o := errors.New("broken"), options()
	store := &blobtest.Faulty{Store: blobtest.NewMemory(), Before: func(string, string) error { return broken }}
	if _, err := athena.Uncovered(t.Context(), store, o.Tables, o.Covers(), time.Unix(0, 0)); !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
}

package lake_test

import (
	"crypto/rand"
	"encoding/hex"
	"iter"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/load/lake"
	"github.com/idtrail/idtrail/load/loadtest"
)

// manyEvents is a batch of n events over so many days, with payloads of so many
// random bytes if not 0, made one at a time; peek is called now and then.
func manyEvents(n, days, payload int, peek func()) load.Batch {
	b := loadtest.Batch("acme", 1, 2, nil)
	begin := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	step := time.Duration(days) * 24 * time.Hour / time.Duration(n)
	b.Rows = func(yield func(load.Row, error) bool) {
		for i := range n {
			e := loadtest.Event(int64(i), begin.Add(step*time.Duration(i)))
			if payload > 0 {
				e.RawData = rand.Text() + hex.EncodeToString(noise(payload/2))
			}
			if i%(n/50) == 0 {
				peek()
			}
			if !yield(load.Row{Day: e.TimeDT.Format(time.DateOnly), Event: &e}, nil) {
				return
			}
		}
	}
	return b
}

// peakHeap returns a function that looks at what the heap holds, and the most it
// saw beyond what it held before.
func peakHeap() (peek func(), peak *uint64) {
	live := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := live()
	peak = new(uint64)
	return func() {
		if now := live(); now > before {
			*peak = max(*peak, now-before)
		}
	}, peak
}

func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

func dirStore(t testing.TB) blob.Store {
	t.Helper()
	store, err := blob.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// Memory does not grow with the rows, the days or the size of a payload.
func TestBoundedMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 100,000 rows")
	}
	for name, test := range map[string]struct{ rows, days, payload int }{
		"two days":       {100_000, 2, 0},
		"a long time":    {4_000, 400, 0},
		"large payloads": {500, 1, 128 << 10},
	} {
		for layout, newSink := range sinks() {
			t.Run(name+" "+layout, func(t *testing.T) {
				peek, peak := peakHeap()
				b := manyEvents(test.rows, test.days, test.payload, peek)
				c := mustFlush(t, newSink(benchOptions(t, dirStore(t))), b)
				if c.Events != int64(test.rows) || c.Objects < int64(test.days) {
					t.Errorf("counts %+v", c)
				}
				t.Logf("%d objects, %.1f MB, peak live heap %d MB", c.Objects, float64(c.Bytes)/1e6, *peak>>20)
				if *peak > 40<<20 {
					t.Errorf("peak live heap %d MB, want under 40", *peak>>20)
				}
			})
		}
	}
}

func BenchmarkFlush(b *testing.B) {
	const rows = 20_000
	for layout, newSink := range sinks() {
		b.Run(layout, func(b *testing.B) {
			events := slices.Collect(firsts(manyEvents(rows, 2, 0, func() {}).Rows))
			for b.Loop() {
				if _, err := flush(b.Context(), newSink(benchOptions(b, dirStore(b))), loadtest.Batch("acme", 1, 2, events)); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

func BenchmarkFind(b *testing.B) {
	const rows = 50_000
	for layout, newSink := range sinks() {
		b.Run(layout, func(b *testing.B) {
			store := dirStore(b)
			if _, err := flush(b.Context(), newSink(benchOptions(b, store)), manyEvents(rows, 2, 0, func() {})); err != nil {
				b.Fatal(err)
			}
			n := 0
			for b.Loop() {
				for _, err := range lake.Open(store).Find(b.Context(), lake.Query{User: "PERSON7@example.com"}) {
					if err != nil {
						b.Fatal(err)
					}
					n++
				}
			}
			b.ReportMetric(float64(n)/float64(b.N), "found")
		})
	}
}

func firsts[K, V any](seq iter.Seq2[K, V]) iter.Seq[K] {
	return func(yield func(K) bool) {
		for k := range seq {
			if !yield(k) {
				return
			}
		}
	}
}

func benchOptions(t testing.TB, store blob.Store) lake.Options {
	t.Helper()
	return lake.Options{Name: "lake", Store: store, TempDir: t.TempDir(), Writer: "1.2.3", Mapping: 1, Now: now}
}

package reconcile_test

import (
	"context"
	"fmt"
	"iter"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/idtrail/idtrail/reconcile"
	"github.com/idtrail/idtrail/schema"
)

// population makes n accounts of one side without keeping them: four of five
// have a partner, by each of the rules; one in fifty pairs differs.
func population(n int, left bool) iter.Seq2[schema.User, error] {
	return func(yield func(schema.User, error) bool) {
		for j := range n {
			i := j * 7919 % n // not in the order of ids
			l, c := person(i, i%4+i%4/3)
			email(fmt.Sprintf("first.last.%d@example.com", i), i%4 == 2 || i%10 < 3)(&l)
			email(fmt.Sprintf("first.last.%d@example.com", i), i%4 == 2 || i%10 < 3)(&c)
			if i%5 == 0 {
				c = cognito(id("x", i), groups())
			}
			if i%50 == 1 {
				l.GivenName = "Ada"
			}
			u := c
			if left {
				u = l
			}
			u.RawData = "" // the real one is dropped at once
			if !yield(u, nil) {
				return
			}
		}
	}
}

// peak is the most memory the process ever had, in MiB; resetPeak starts anew.
func peak(b *testing.B) float64 {
	b.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip("the peak is read from /proc")
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kib float64
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		b.Fatal(err)
	}
	return kib / 1024
}

func resetPeak() {
	runtime.GC()
	debug.FreeOSMemory()
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0)
}

func BenchmarkCompare100k(b *testing.B) { benchmarkCompare(b, 100_000, 120) }

func BenchmarkCompare1M(b *testing.B) { benchmarkCompare(b, 1_000_000, 256) }

func benchmarkCompare(b *testing.B, n int, limit float64) {
	for b.Loop() {
		resetPeak()
		l, r := side("acme"), side("pool")
		l.Users, r.Users = population(n, true), population(n, false)
		res, err := reconcile.Compare(context.Background(), l, r, reconcile.Options{TempDir: b.TempDir()})
		if err != nil {
			b.Fatal(err)
		}
		rows := int64(0)
		for _, err := range res.Rows() {
			if err != nil {
				b.Fatal(err)
			}
			rows++
		}
		if rows != res.Summary.Findings || rows < int64(n)/5 {
			b.Fatalf("%d rows, %d counted", rows, res.Summary.Findings)
		}
		b.ReportMetric(float64(rows), "findings")
		b.ReportMetric(float64(res.Summary.Linked), "pairs")
		if err := res.Close(); err != nil {
			b.Fatal(err)
		}
	}
	got := peak(b)
	b.ReportMetric(got, "peak-MiB")
	b.ReportMetric(float64(2*n)*float64(b.N)/b.Elapsed().Seconds(), "accounts/s")
	if got > limit {
		b.Errorf("peak of %.0f MiB, want at most %.0f", got, limit)
	}
}

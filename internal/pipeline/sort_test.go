package pipeline_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/idtrail/idtrail/internal/pipeline"
)

func TestSortSpills(t *testing.T) {
	for _, budget := range []int{1, 100, 5_000, 1 << 20} {
		t.Run(fmt.Sprint(budget), func(t *testing.T) {
			dir := t.TempDir()
			s := pipeline.NewSorter(dir, budget)
			rnd := rand.New(rand.NewPCG(1, 2))
			type item struct {
				key     pipeline.SortKey
				payload string
			}
			var want []item
			for i := range 500 {
				k := pipeline.SortKey{Day: rnd.Int32N(5) - 2, Snapshot: []string{"", "s1", "s10"}[rnd.IntN(3)], Millis: rnd.Int64N(100) - 50, Segment: int64(i / 10), Record: int32(i % 10)}
				it := item{k, fmt.Sprintf("%d %s", i, strings.Repeat("x", rnd.IntN(60)))}
				want = append(want, it)
				if err := s.Add(it.key, []byte(it.payload)); err != nil {
					t.Fatal(err)
				}
			}
			slices.SortFunc(want, func(a, b item) int {
				return cmp.Or(cmp.Compare(a.key.Day, b.key.Day), cmp.Compare(a.key.Snapshot, b.key.Snapshot),
					cmp.Compare(a.key.Millis, b.key.Millis), cmp.Compare(a.key.Segment, b.key.Segment), cmp.Compare(a.key.Record, b.key.Record))
			})
			n := 0
			for got, err := range s.All() {
				if err != nil {
					t.Fatal(err)
				}
				if got != want[n].payload {
					t.Fatalf("item %d: got %q, want %q", n, got, want[n].payload)
				}
				n++
			}
			if n != len(want) {
				t.Errorf("got %d items, want %d", n, len(want))
			}
			if spilled := s.Runs() > 0; spilled != (budget < 1<<20) {
				t.Errorf("%d temporary files with a budget of %d", s.Runs(), budget)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
				t.Errorf("files with a name while sorting: %v", left)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestSortSaysWhereItCannotSpill(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	s := pipeline.NewSorter(dir, 1)
	err := s.Add(pipeline.SortKey{}, []byte("a"))
	if err == nil {
		err = s.Add(pipeline.SortKey{}, []byte("b"))
	}
	wantError(t, err, os.ErrNotExist, dir)
}

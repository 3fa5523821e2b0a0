package pipeline

import "iter"

// Sorter opens the external sort to its tests.
type Sorter struct{ s sorter }

// SortKey is an item's key, as far as the tests vary it.
type SortKey struct {
	Day             int32
	Snapshot        string
	Millis, Segment int64
	Record          int32
}

// NewSorter makes a sorter that spills beyond budget bytes.
func NewSorter(dir string, budget int) *Sorter { return &Sorter{sorter{dir: dir, budget: budget}} }

// Add adds an item.
func (s *Sorter) Add(k SortKey, payload []byte) error {
	return s.s.add(sortKey{day: k.Day, snapshot: k.Snapshot, millis: k.Millis, segment: k.Segment, record: k.Record}, payload)
}

// All yields the payloads in order.
func (s *Sorter) All() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for it, err := range s.s.all() {
			if !yield(string(it.payload), err) {
				return
			}
		}
	}
}

// Runs is how many temporary files were written.
func (s *Sorter) Runs() int { return len(s.s.runs) }

// Close removes them.
func (s *Sorter) Close() error { return s.s.close() }

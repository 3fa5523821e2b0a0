package extracttest

import (
	"context"
	"sync"

	"github.com/idtrail/idtrail/extract"
)

// Ledger is an extract.Ledger in memory. The zero value knows nothing.
type Ledger struct {
	mu   sync.Mutex
	done map[string]extract.Input
}

var _ extract.Ledger = (*Ledger)(nil)

// Add notes inputs as finished, the last of one key counts.
func (l *Ledger) Add(inputs ...extract.Input) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.done == nil {
		l.done = map[string]extract.Input{}
	}
	for _, in := range inputs {
		l.done[in.Key] = in
	}
}

// Finished implements extract.Ledger.
func (l *Ledger) Finished(_ context.Context, key string) (extract.Input, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	in, ok := l.done[key]
	return in, ok, nil
}

package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"
)

// tally counts what was done, and what came of it.
type tally struct {
	began time.Time

	mu     sync.Mutex
	counts map[string]int
	steps  map[string]int // by name: how often the program was killed there
	most   map[string]time.Duration
}

func newTally() *tally {
	return &tally{began: time.Now(), counts: map[string]int{}, steps: map[string]int{}, most: map[string]time.Duration{}}
}

func (t *tally) add(what string, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[what] += n
}

// longest notes how long something took.
func (t *tally) longest(what string, d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.most[what] = max(t.most[what], d)
}

// step notes a step the program has, and with killed that it was killed there.
func (t *tally) step(name string, killed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.steps[name]
	if killed {
		n++
	}
	t.steps[name] = n
}

// stepOf is a step to be killed at: one of those that were tried least.
func (t *tally) stepOf(c *chance, known []string) string {
	t.mu.Lock()
	least := -1
	var best []string
	for _, name := range known {
		switch n := t.steps[name]; {
		case least < 0 || n < least:
			least, best = n, []string{name}
		case n == least:
			best = append(best, name)
		}
	}
	t.mu.Unlock()
	return pick(c, best)
}

// print is the summary.
func (t *tally) print(w io.Writer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(w, "\n%-46s %10s\n", "in "+time.Since(t.began).Round(time.Second).String(), "")
	for _, what := range slices.Sorted(maps.Keys(t.counts)) {
		fmt.Fprintf(w, "%-46s %10d\n", what, t.counts[what])
	}
	for _, what := range slices.Sorted(maps.Keys(t.most)) {
		fmt.Fprintf(w, "%-46s %10s\n", what, t.most[what].Round(time.Millisecond))
	}
	tried := 0
	for _, n := range t.steps {
		tried += min(n, 1)
	}
	fmt.Fprintf(w, "%-46s %10s\n", "steps the program was killed at", fmt.Sprintf("%d of %d", tried, len(t.steps)))
}

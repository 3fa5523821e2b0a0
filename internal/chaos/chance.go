package main

import (
	"math/rand/v2"
	"sync"
	"time"
)

// chance is a source of chance for several goroutines.
type chance struct {
	mu sync.Mutex
	r  *rand.Rand
}

func newChance(seed, more uint64) *chance {
	return &chance{r: rand.New(rand.NewPCG(seed, more))} //nolint:gosec // it has to be repeatable
}

// n is from 0 to below n.
func (c *chance) n(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.r.IntN(n)
}

// one in n times it is true.
func (c *chance) one(n int) bool { return c.n(n) == 0 }

// within is a span up to most.
func (c *chance) within(most time.Duration) time.Duration {
	return time.Duration(c.n(int(most/time.Microsecond)+1)) * time.Microsecond
}

func pick[T any](c *chance, from []T) T { return from[c.n(len(from))] }

package main

import (
	"maps"
	"sync"
	"time"
)

// truth is what the vendors have given, by source and the vendor's own id.
type truth struct {
	mu      sync.Mutex
	records map[string]map[string][]byte
	users   map[string]map[string]time.Time // and since when they are listed
}

func newTruth() *truth {
	return &truth{records: map[string]map[string][]byte{}, users: map[string]map[string]time.Time{}}
}

func (t *truth) record(source, id string, line []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.records[source] == nil {
		t.records[source] = map[string][]byte{}
	}
	t.records[source][id] = line
}

func (t *truth) user(source, id string, since time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.users[source] == nil {
		t.users[source] = map[string]time.Time{}
	}
	t.users[source][id] = since
}

func (t *truth) of(source string) map[string][]byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.records[source])
}

func (t *truth) usersOf(source string) map[string]time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.users[source])
}

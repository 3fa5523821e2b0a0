//go:build chaos

package main

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/blob/blobtest"
	"github.com/idtrail/idtrail/internal/pipeline"
)

// What internal/chaos tells the program it was built for. It is no part of a
// program that anybody else runs.
const (
	// killVar is NAME#N: the program ends, as by a power cut, when it comes to the
	// step of that name for the Nth time.
	killVar = "IDTRAIL_CHAOS_KILL"
	// stepsVar is a file that the name of each step is added to.
	stepsVar = "IDTRAIL_CHAOS_STEPS"
	// clockVar is how far the program's clock is off.
	clockVar = "IDTRAIL_CHAOS_CLOCK"
)

// steps counts what the program has come to, by name.
type steps struct {
	mu   sync.Mutex
	seen map[string]int
	name string
	n    int
	file *os.File
}

// theSteps are the program's: there is one of them, and it was built to be
// killed.
var theSteps = sync.OnceValue(func() *steps {
	s := &steps{seen: map[string]int{}}
	name, n, _ := strings.Cut(os.Getenv(killVar), "#")
	s.name = name
	s.n, _ = strconv.Atoi(n)
	if path := os.Getenv(stepsVar); path != "" {
		s.file, _ = os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	}
	return s
})

func (s *steps) at(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[name]++
	if s.file != nil {
		_, _ = s.file.WriteString(name + "\n")
	}
	if name == s.name && s.seen[name] == s.n {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // the signal is on its way
	}
}

// stepped makes a step of each call to a store, before and after it.
func stepped(store blob.Store, place string) blob.Store {
	hook := func(when string) func(op, key string) error {
		return func(op, key string) error {
			theSteps().at(when + " " + op + " " + place + " " + kindOf(key))
			return nil
		}
	}
	return &blobtest.Faulty{Store: store, Before: hook("before"), After: hook("after")}
}

// kindOf is what kind of object it is: its key without what is drawn or counted.
func kindOf(key string) string {
	first, _, _ := strings.Cut(key, "/")
	switch first {
	case "events", "events_json", "users", "users_json", "rejected", "gaps", "flushes", "manifests",
		"raw", "snapshots", "pools", "persons", "drift", "reports", "owner.json":
		return first
	}
	if strings.HasSuffix(key, ".ndjson.zst") {
		return "segment"
	}
	return "other"
}

func watch(p *pipeline.Pipeline) { p.Trace = func(step string) { theSteps().at("trace " + step) } }

var clockOff = sync.OnceValue(func() time.Duration {
	off, _ := time.ParseDuration(os.Getenv(clockVar))
	return off
})

func clock() time.Time { return time.Now().Add(clockOff()) }

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
	// stopVar is the same, but the program only stands still until it is woken.
	stopVar = "IDTRAIL_CHAOS_STOP"
	// stepsVar is a file that the name of each step is added to.
	stepsVar = "IDTRAIL_CHAOS_STEPS"
	// clockVar is how far the program's clock is off.
	clockVar = "IDTRAIL_CHAOS_CLOCK"
)

// steps counts what the program has come to, by name.
type steps struct {
	mu   sync.Mutex
	seen map[string]int
	kill place
	stop place
	file *os.File
}

// place is a step of a name, for the nth time.
type place struct {
	name string
	n    int
}

func placeOf(variable string) place {
	name, n, _ := strings.Cut(os.Getenv(variable), "#")
	nth, _ := strconv.Atoi(n)
	return place{name: name, n: nth}
}

// theSteps are the program's: there is one of them, and it was built to be
// killed.
var theSteps = sync.OnceValue(func() *steps {
	s := &steps{seen: map[string]int{}, kill: placeOf(killVar), stop: placeOf(stopVar)}
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
	switch (place{name: name, n: s.seen[name]}) {
	case s.kill:
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // the signal is on its way
	case s.stop:
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		// The signal reaches all threads, but not before this call is over.
		time.Sleep(100 * time.Millisecond)
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

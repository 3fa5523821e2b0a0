// Idtrail keeps a company's identity audit trail and user backup in a lake of
// its own. See README.md.
//
// This package holds the verbs, one file each, and in build.go the one table
// that names every source and sink. What a verb does lies in the packages it
// calls: here are flags, words for people and exit codes.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

// memoryLimit is what the garbage collector keeps the program under while it
// can; GOMEMLIMIT overrides it. What a run holds at a time is bounded well below
// it by the limits of the config.
const memoryLimit = 72 << 20

func main() {
	if _, set := os.LookupEnv("GOMEMLIMIT"); !set {
		debug.SetMemoryLimit(memoryLimit)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal ends the run in good order; with the handler gone, a
	// second one kills.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], system{
		Name: os.Args[0], In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.LookupEnv, Now: clock,
	}))
}

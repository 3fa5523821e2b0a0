//go:build !chaos

package main

import (
	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/pipeline"
)

// stepped and watch let the tests of `make chaos` end the program at a step;
// here they do nothing. See steps_chaos.go.
func stepped(store blob.Store, _ string) blob.Store { return store }

func watch(*pipeline.Pipeline) {}

//go:build !chaos

package main

import (
	"time"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/pipeline"
)

// stepped, watch and clock let `make chaos` end the program at a step and set its
// clock; here they do nothing. See steps_chaos.go.
func stepped(store blob.Store, _ string) blob.Store { return store }

func watch(*pipeline.Pipeline) {}

func clock() time.Time { return time.Now() }

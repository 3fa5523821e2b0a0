package blobtest_test

import (
	"testing"
	"time"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/blob/blobtest"
)

func TestMemory(t *testing.T) {
	blobtest.Run(t, func(*testing.T) blob.Store { return blobtest.NewMemory() })
}

func TestFaultyWithoutFaults(t *testing.T) {
	blobtest.Run(t, func(*testing.T) blob.Store { return &blobtest.Faulty{Store: blobtest.NewMemory()} })
}

func TestPacked(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store { return blobtest.NewPacked(t, time.Now) })
}

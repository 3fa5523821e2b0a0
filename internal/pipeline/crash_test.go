package pipeline_test

import (
	"os"
	"testing"

	"github.com/idtrail/idtrail/internal/pipeline/crashtest"
)

func TestMain(m *testing.M) {
	crashtest.Main(crashtest.Dirs)
	os.Exit(m.Run())
}

// TestCrash kills the line at every step, on files and real SQLite. In short
// mode it tries every thirteenth.
func TestCrash(t *testing.T) {
	every := int64(1)
	if testing.Short() {
		every = 13
	}
	crashtest.Test(t, crashtest.Stores{Open: crashtest.Dirs, Every: every})
}

// TestCrashOfVerbs kills what an operator does, at some steps; the integration
// tests kill it at every one.
func TestCrashOfVerbs(t *testing.T) {
	every := int64(11)
	if testing.Short() {
		every = 29
	}
	crashtest.TestVerbs(t, crashtest.Stores{Open: crashtest.Dirs, Every: every})
}

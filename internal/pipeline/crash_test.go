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

// TestCrash kills the line at every third step, on files and real SQLite; in
// short mode, at every thirteenth. The integration tests kill it at every one.
func TestCrash(t *testing.T) {
	every := int64(3)
	if testing.Short() {
		every = 13
	}
	crashtest.Test(t, crashtest.Stores{Open: crashtest.Dirs, Every: every})
}

// TestCrashOfVerbs kills what an operator does, at some steps; the integration
// tests kill it at every one.
func TestCrashOfVerbs(t *testing.T) {
	every := int64(19)
	if testing.Short() {
		every = 29
	}
	crashtest.TestVerbs(t, crashtest.Stores{Open: crashtest.Dirs, Every: every})
}

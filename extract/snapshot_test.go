package extract_test

import (
	"testing"
	"time"

	"github.com/idtrail/idtrail/extract"
)

// Three snapshots within one second bore two names once: the third that of the
// first.
func TestNameSnapshot(t *testing.T) {
	noon := time.Date(2026, 11, 20, 12, 0, 0, 5000, time.UTC)
	names := map[string]bool{}
	newest := ""
	for _, step := range []struct {
		after time.Duration
		want  string
	}{
		{0, "20261120T120000Z"},
		{100 * time.Millisecond, "20261120T120000Z-2"},
		{200 * time.Millisecond, "20261120T120000Z-3"},
		{time.Second, "20261120T120001Z"},
		{time.Second, "20261120T120001Z-2"},
		// The clock was set back.
		{0, "20261120T120000Z-1005000"},
		{time.Millisecond, "20261120T120000Z-2005000"},
		{-time.Hour, "20261120T110000Z-1005000"},
		{time.Second + time.Millisecond, "20261120T120001Z-3"},
		{2 * time.Second, "20261120T120002Z"},
	} {
		var id string
		id, newest = extract.NameSnapshot(noon.Add(step.after), newest)
		if id != step.want || names[id] {
			t.Errorf("after %s: got %s, want %s; given before: %v", step.after, id, step.want, names[id])
		}
		names[id] = true
	}
}

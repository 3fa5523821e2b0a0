package crashtest

import (
	"testing"

	"github.com/idtrail/idtrail/internal/blob"
	evidence "github.com/idtrail/idtrail/internal/verify"
)

// verifyEvidence checks that nothing that is there looks wrong, whatever a run
// left behind.
func verifyEvidence(t *testing.T, raw, lakeStore blob.Store) {
	t.Helper()
	r, err := evidence.Run(t.Context(), evidence.Options{Raw: raw, Lake: lakeStore, Deep: true, TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Findings {
		t.Errorf("verify: %s %s: %s", f.Class, f.Object, f.Detail)
	}
}

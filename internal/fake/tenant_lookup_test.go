package fake_test

import (
	"encoding/json"
	"testing"

	"github.com/idtrail/idtrail/internal/fake"
)

func TestTrailRecordsAreThoseOfTheFiles(t *testing.T) {
	tenant := fake.NewTenant(fake.TenantOptions{Trail: 300})
	counts, err := tenant.WriteTrail(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for text := range tenant.TrailRecords() {
		var rec struct {
			EventID string `json:"eventID"`
		}
		if err := json.Unmarshal(text, &rec); err != nil || rec.EventID == "" || seen[rec.EventID] {
			t.Fatalf("record %.100s: error %v, or its id is there twice", text, err)
		}
		seen[rec.EventID] = true
	}
	if len(seen) != counts.Events {
		t.Errorf("got %d records, want %d", len(seen), counts.Events)
	}
}

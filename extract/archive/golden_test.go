package archive_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/idtrail/idtrail/extract/archive"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden is a record as the golden files show it.
type golden struct {
	ID    string    `json:"id"`
	Time  time.Time `json:"time,omitzero"`
	Fault string    `json:"fault,omitempty"`
	Bytes string    `json:"bytes"`
}

func TestGolden(t *testing.T) {
	for _, name := range []string{"auth0_stream", "cloudtrail_lookup", "cloudtrail_trail", "cognito_users"} {
		t.Run(name, func(t *testing.T) {
			format := map[string]string{"auth0_stream": "auth0_logs", "cognito_users": "cognito_users"}[name]
			if format == "" {
				format = "cloudtrail"
			}
			var got strings.Builder
			out := json.NewEncoder(&got)
			out.SetEscapeHTML(false)
			src := source(t, archive.Options{Format: format, Path: filepath.Join("testdata", name+".json")})
			filtered := 0
			for p, err := range src.Pages(t.Context(), "") {
				if err != nil {
					t.Fatal(err)
				}
				filtered += p.Filtered
				for _, rec := range p.Records {
					if err := out.Encode(golden{rec.ID, rec.Time, rec.Fault, string(rec.Bytes)}); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := out.Encode(map[string]int{"filtered": filtered}); err != nil {
				t.Fatal(err)
			}
			compare(t, filepath.Join("testdata", name+".golden"), got.String())
		})
	}
}

func compare(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	same(t, path, got, string(want))
}

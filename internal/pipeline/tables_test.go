package pipeline_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/schema"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// The tables that are not schema's own; its tests hold the others.
func TestTablesGolden(t *testing.T) {
	for _, table := range pipeline.Tables()[len(schema.Tables()):] {
		path := filepath.Join("testdata", table.Name+".sql")
		got := table.DDL(schema.DDLOptions{Database: "audit", Location: "s3://bucket/lake"}) + "\n"
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s has changed; columns are only ever added (go test -update)\n%s", path, diff)
		}
	}
}

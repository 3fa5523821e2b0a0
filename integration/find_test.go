package integration_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/idtrail/idtrail/integration/harness"
)

// TestFindOnDemo asks find and DuckDB for the same people of the demo's company:
// both know the same events, of both systems, whatever names the person.
func TestFindOnDemo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	if out := harness.Idtrail(t, nil, "demo", "--dir", dir, "--users", "200", "--logs", "8000"); out.Code != 0 {
		t.Fatalf("demo: exit code %d\n%s", out.Code, out.Stderr)
	}
	lake := filepath.Join(dir, "lake")
	persons := harness.DuckDB(t, fmt.Sprintf(`
		SELECT person_key, list(user_id ORDER BY user_id) AS ids
		FROM read_parquet('%s/persons/persons.parquet') WHERE valid_to IS NULL
		GROUP BY person_key HAVING count(*) = 2 ORDER BY person_key LIMIT 6`, lake))
	if len(persons) < 6 {
		t.Fatalf("%d persons have an account in both systems, want 6", len(persons))
	}
	both := 0
	for _, p := range persons {
		ids, _ := p["ids"].([]any)
		want := eventsOf(t, lake, ids)
		for _, name := range []string{fmt.Sprint(ids[0]), fmt.Sprint(ids[1]), fmt.Sprint(p["person_key"])} {
			if got := foundBy(t, dir, name); !slices.Equal(slices.Sorted(maps.Keys(got)), want) {
				t.Errorf("%s: find has %d events, DuckDB %d", name, len(got), len(want))
			} else if sources := slices.Sorted(maps.Values(got)); len(slices.Compact(sources)) > 1 {
				both++
			}
		}
	}
	if both == 0 {
		t.Error("nobody did anything in both systems: the test shows nothing")
	}
}

// eventsOf are the events of accounts, by all they may be named by.
func eventsOf(t *testing.T, lake string, ids []any) []string {
	t.Helper()
	quoted := make([]string, len(ids))
	for i, id := range ids {
		quoted[i] = harness.Quote(fmt.Sprint(id))
	}
	in := "IN (" + strings.Join(quoted, ", ") + ")"
	var where []string
	for _, user := range []string{`"user"`, `actor."user"`, "user_result"} {
		names := fmt.Sprintf(`(SELECT lower(user_name) FROM read_parquet('%s/persons/persons.parquet') WHERE user_id %s
			UNION SELECT lower(email) FROM read_parquet('%[1]s/users/**/*.parquet') WHERE user_id %[2]s AND email_verified)`, lake, in)
		where = append(where, user+".uid "+in, user+".uid_alt "+in, fmt.Sprintf(
			"%s.uid IS NULL AND %[1]s.uid_alt IS NULL AND (lower(%[1]s.name) IN %[2]s OR lower(%[1]s.email_addr) IN %[2]s)", user, names))
	}
	var uids []string
	for _, row := range harness.DuckDB(t, fmt.Sprintf(
		`SELECT source || ' ' || metadata.uid AS uid FROM read_parquet('%s/events/**/*.parquet', hive_partitioning=true, hive_types_autocast=false)
		WHERE %s ORDER BY uid`, lake, strings.Join(where, " OR "))) {
		uids = append(uids, fmt.Sprint(row["uid"]))
	}
	return uids
}

// foundBy are the events find finds, with their sources.
func foundBy(t *testing.T, dir, name string) map[string]string {
	t.Helper()
	out := harness.Idtrail(t, nil, "-c", filepath.Join(dir, "idtrail.yaml"), "find", "--user", name, "--since", "2015-01-01", "--json")
	if out.Code != 0 {
		t.Fatalf("find %s: exit code %d\n%s", name, out.Code, out.Stderr)
	}
	got := map[string]string{}
	for line := range strings.Lines(out.Stdout) {
		var f struct {
			Source string
			Event  struct{ Metadata struct{ UID string } }
		}
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatal(err)
		}
		got[f.Source+" "+f.Event.Metadata.UID] = f.Source
	}
	return got
}

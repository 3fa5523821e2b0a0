package archive_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/extract/archive"
	"github.com/idtrail/idtrail/extract/extracttest"
)

// put adds an object to the bucket.
func (b *bucket) put(t *testing.T, key, content string) {
	t.Helper()
	if _, err := b.PutNew(t.Context(), key, strings.NewReader(content)); err != nil {
		t.Fatal(err)
	}
}

// TestGrowingPrefix fills a bucket the way vendors' streams do, in the folders
// of the hour and under names that do not sort as they came, and polls it in
// between: each record comes once, and no object is opened twice.
func TestGrowingPrefix(t *testing.T) {
	// envelope is what the stream puts around a record.
	streams := map[string]struct {
		format   string
		envelope func(record string) string
	}{
		"Auth0's log stream": {"auth0_logs", func(r string) string {
			return `{"log_id":` + field(t, r, "log_id") + `,"data":` + r + `}`
		}},
		"Cognito's authentication log": {"cognito_auth_events", func(r string) string { return r }},
		"the same through CloudWatch Logs": {"cognito_auth_events", func(r string) string {
			return `{"id":"3856","timestamp":1763546400000,"message":` + quoted(t, r) + `}`
		}},
	}
	for name, stream := range streams {
		t.Run(name, func(t *testing.T) { growPrefix(t, stream.format, stream.envelope) })
	}
}

func growPrefix(t *testing.T, format string, envelope func(string) string) {
	t.Helper()
	b, ledger := newBucket(t, nil), extracttest.Ledger{}
	opts := archive.Options{Format: format, Store: b, Prefix: "export/", Poll: true, Ledger: &ledger}
	var next extract.Cursor
	var got, want []string
	objects := 0
	for poll := range 30 {
		for range poll % 4 { // none at all every fourth time
			// Later objects sort before earlier ones, and late ones fall into
			// folders of hours long past.
			key := fmt.Sprintf("export/2026/11/%02d/%02d/%04x.json.gz", 19-objects%3, (objects*7)%24, 0xffff-objects*977%0xffff)
			var lines []string
			for n := range 1 + objects%5 {
				lines = append(lines, envelope(record(format, objects*10+n)))
				want = append(want, id(format, objects*10+n))
			}
			content := strings.Join(lines, "\n")
			if objects%2 == 0 {
				content = gz(content + "\n")
			}
			b.put(t, key, content)
			objects++
		}
		r := run(t, source(t, opts), next, &ledger)
		if r.err != nil {
			t.Fatal(r.err)
		}
		got, next = append(got, r.ids...), r.next
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" || len(want) < 100 {
		t.Errorf("%d records written, read (-want +got):\n%s", len(want), diff)
	}
	if opened := int(b.gets.Load()); opened != objects {
		t.Errorf("%d objects were opened %d times", objects, opened)
	}
}

func field(t *testing.T, record, name string) string {
	t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(record), &members); err != nil {
		t.Fatal(err)
	}
	return string(members[name])
}

func quoted(t *testing.T, record string) string {
	t.Helper()
	text, err := json.Marshal(record)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

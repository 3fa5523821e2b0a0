package transform_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/transform"
)

// TestCloudTrailVerbs: what an operation in no table is filed as.
func TestCloudTrailVerbs(t *testing.T) {
	tests := []struct {
		name, more string
		activity   int32
		word       string
	}{
		{"GetThing", ``, 2, "Read"},
		{"BatchGetThings", ``, 2, "Read"},
		{"getThing", ``, 2, "Read"},
		{"CreateThing", ``, 1, "Create"},
		{"BatchPutThings", ``, 1, "Create"},
		{"UpdateThing20200531", ``, 3, "Update"},
		{"DeleteThing", ``, 4, "Delete"},
		{"AdminDeleteThing", ``, 4, "Delete"},
		{"Stop", ``, 4, "Delete"},
		{"CreateThing", `,"readOnly":true`, 2, "Read"},
		{"CreateThing", `,"readOnly":"true"`, 2, "Read"},
		{"GetThing", `,"readOnly":false`, 2, "Read"},
		{"SettleAccounts", ``, 99, "SettleAccounts"}, // no Set
		{"Checkout", ``, 99, "Checkout"},             // no Check
		{"Frobnicate", ``, 99, "Frobnicate"},
		{"Batch", ``, 99, "Batch"},
		{"éclair", ``, 99, "éclair"},
	}
	for _, tt := range tests {
		line := fmt.Sprintf(`{"eventID":"1","eventSource":"x.amazonaws.com","eventName":%q%s}`, tt.name, tt.more)
		e := mapLine(t, schema.KindCloudTrail, []byte(line)).Events[0]
		if e.ClassUID != schema.ClassAPIActivity || e.ActivityID != tt.activity || e.ActivityName != tt.word {
			t.Errorf("%s%s: %d/%d %q, want %d/%d %q", tt.name, tt.more, e.ClassUID, e.ActivityID, e.ActivityName,
				schema.ClassAPIActivity, tt.activity, tt.word)
		}
	}
}

// TestCloudTrailSeverity: a failed attempt is worth a look and never an alarm.
func TestCloudTrailSeverity(t *testing.T) {
	tests := []struct {
		name, code string
		want       int32
	}{
		{"DeleteUserPool", "", 5},
		{"DeleteUserPool", "ResourceNotFoundException", 3},
		{"DescribeUserPool", "", 1},
		{"DescribeUserPool", "ResourceNotFoundException", 2},
		{"DescribeUserPool", "AccessDeniedException", 3},
		{"InitiateAuth", "NotAuthorizedException", 2},
	}
	for _, tt := range tests {
		line := fmt.Sprintf(`{"eventID":"1","eventSource":"cognito-idp.amazonaws.com","eventName":%q,"errorCode":%q}`, tt.name, tt.code)
		if e := mapLine(t, schema.KindCloudTrail, []byte(line)).Events[0]; e.SeverityID != tt.want {
			t.Errorf("%s %q: severity %d, want %d", tt.name, tt.code, e.SeverityID, tt.want)
		}
	}
}

// TestCloudTrailLarge: AWS writes events of up to 256 KiB.
func TestCloudTrailLarge(t *testing.T) {
	item := `{"key":"` + strings.Repeat("x", 80) + `"},`
	line := `{"eventID":"1","eventSource":"x.amazonaws.com","eventName":"PutThings","userAgent":"` + strings.Repeat("u", 70000) +
		`","requestParameters":{"items":[` + strings.Repeat(item, 2000) + `{}]}}`
	e := mapLine(t, schema.KindCloudTrail, []byte(line)).Events[0]
	if e.RawData != line {
		t.Errorf("raw_data has %d bytes, want the %d of the record", len(e.RawData), len(line))
	}
	if !strings.Contains(e.API.Request.Data, item) {
		t.Error("api.request.data lacks the parameters")
	}
}

// TestCloudTrailManyTargets: no record can make more events than AWS's own
// bound would by far.
func TestCloudTrailManyTargets(t *testing.T) {
	for _, tt := range []struct{ targets, events int }{{0, 1}, {1, 1}, {2, 2}, {60, 60}, {5000, 1}} {
		ids := strings.Repeat(`"eu-west-1:1",`, tt.targets)
		line := `{"eventID":"1","eventSource":"cognito-identity.amazonaws.com","eventName":"DeleteIdentities","requestParameters":{"identityIdsToDelete":[` +
			strings.TrimSuffix(ids, ",") + `]}}`
		got := mapLine(t, schema.KindCloudTrail, []byte(line))
		if len(got.Events) != tt.events {
			t.Errorf("%d targets: %d events, want %d", tt.targets, len(got.Events), tt.events)
		}
		seen := map[string]bool{}
		for _, e := range got.Events {
			if seen[e.Metadata.UID] {
				t.Errorf("%d targets: uid %s twice", tt.targets, e.Metadata.UID)
			}
			seen[e.Metadata.UID] = true
		}
	}
}

// TestCloudTrailManyResources: their number is bounded, the record is kept.
func TestCloudTrailManyResources(t *testing.T) {
	line := `{"eventID":"1","eventName":"GetThings","resources":[` + strings.TrimSuffix(strings.Repeat(`{"ARN":"arn:x"},`, 3000), ",") + `]}`
	e := mapLine(t, schema.KindCloudTrail, []byte(line)).Events[0]
	if n := len(e.Resources); n == 0 || n > 256 {
		t.Errorf("%d resources, want some and at most 256", n)
	}
}

// TestCloudTrailNoPanicDeep: nesting deeper than any stack is refused.
func TestCloudTrailNoPanicDeep(t *testing.T) {
	line := `{"eventID":"1","eventName":"x","requestParameters":` + strings.Repeat("[", 1<<20) + strings.Repeat("]", 1<<20) + `}`
	if got := mapLine(t, schema.KindCloudTrail, []byte(line)); got.Error == "" {
		t.Error("a record nested a million deep was mapped")
	}
}

func FuzzCloudTrail(f *testing.F) {
	fuzzKind(f, schema.KindCloudTrail)
}

// fuzzKind checks that any line of a kind is mapped or rejected, that the
// events of it are OCSF and that mapping it again gives the same.
func fuzzKind(f *testing.F, kind schema.Kind) {
	f.Helper()
	for _, line := range goldenLines(f, kind) {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		got := mapLine(t, kind, line)
		again := mapLine(t, kind, line)
		if a, b := encode(t, got), encode(t, again); !bytes.Equal(a, b) {
			t.Errorf("mapping again differs:\n%s\n%s", a, b)
		}
		if got.Error == "" {
			mapLine(t, kind, transform.Scrub(kind, line))
		}
	})
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// goldenLines are the golden records of a kind, compacted where they are JSON.
func goldenLines(tb testing.TB, kind schema.Kind) [][]byte {
	tb.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", string(kind), "*.in.json"))
	if err != nil || len(paths) == 0 {
		tb.Fatalf("no golden records of %s: %v", kind, err)
	}
	var lines [][]byte
	for _, path := range paths {
		record, err := os.ReadFile(path)
		if err != nil {
			tb.Fatal(err)
		}
		var line bytes.Buffer
		if json.Compact(&line, record) == nil {
			record = line.Bytes()
		}
		lines = append(lines, record)
	}
	return lines
}

func BenchmarkCloudTrail(b *testing.B) {
	benchmarkKind(b, schema.KindCloudTrail)
}

// benchmarkKind maps the golden records of a kind one after another.
func benchmarkKind(b *testing.B, kind schema.Kind) {
	b.Helper()
	lines := goldenLines(b, kind)
	m := goldenMapper()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		line := lines[i%len(lines)]
		if _, err := m.Map(kind, line, landed); err != nil {
			continue // some are there to be rejected
		}
		b.SetBytes(int64(len(line)))
	}
}

// TestAWSNoSecretLands: what is planted in the golden records is in no landed
// line and in nothing that comes of it. AWS hides most of its secrets, not all.
func TestAWSNoSecretLands(t *testing.T) {
	const planted = "planted-"
	found := 0
	for _, kind := range []schema.Kind{schema.KindCloudTrail, schema.KindCognitoUser} {
		for _, record := range goldenLines(t, kind) {
			if !bytes.Contains(record, []byte(planted)) {
				continue
			}
			found++
			line, kind := asLine(t, kind, record)
			if scrubbed := transform.Scrub(kind, line); bytes.Contains(scrubbed, []byte(planted)) {
				t.Errorf("landed: %s", scrubbed)
			}
			if out := encode(t, mapRecord(t, kind, record)); bytes.Contains(out, []byte(planted)) {
				t.Errorf("mapped: %s", out)
			}
		}
	}
	if found == 0 {
		t.Error("no golden record has a planted secret")
	}
}

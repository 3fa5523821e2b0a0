package transform_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/schema/ocsftest"
	"github.com/idtrail/idtrail/transform"
)

var update = flag.Bool("update", false, "write the golden files anew")

// landed is when the golden records were landed.
var landed = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// golden is what a golden file says of one record.
type golden struct {
	Events []schema.Event `json:"events"`
	Users  []schema.User  `json:"users"`
	Error  string         `json:"error"`
}

// goldenMapper maps the golden records: all its settings are set, so that each
// can show.
func goldenMapper() *transform.Mapper {
	return &transform.Mapper{
		SelfClients:   []string{"idtrailClient0000000000000000000"},
		PhoneRegion:   "DE",
		Attributes:    []string{"custom:department", "custom:tenant", "app_metadata.department", "user_metadata.theme"},
		LinkAttribute: "custom:auth0_sub",
	}
}

// TestGolden maps testdata/KIND/CASE.in.json, one record each, and compares the
// result with CASE.out.json. A record need not be JSON.
func TestGolden(t *testing.T) {
	for _, kind := range []schema.Kind{schema.KindAuth0Log, schema.KindAuth0User, schema.KindCloudTrail, schema.KindCognitoUser, schema.KindCognitoAuthEvent} {
		inputs, err := filepath.Glob(filepath.Join("testdata", string(kind), "*.in.json"))
		if err != nil {
			t.Fatal(err)
		}
		for _, input := range inputs {
			name := strings.TrimSuffix(input, ".in.json")
			t.Run(filepath.ToSlash(strings.TrimPrefix(name, "testdata"+string(filepath.Separator))), func(t *testing.T) {
				record, err := os.ReadFile(input)
				if err != nil {
					t.Fatal(err)
				}
				checkGolden(t, name+".out.json", mapRecord(t, kind, record))
			})
		}
	}
}

// mapRecord does what happens to a record between its source and its table:
// wrapped if it is no JSON, compacted, scrubbed, mapped.
func mapRecord(t *testing.T, kind schema.Kind, record []byte) golden {
	t.Helper()
	line, kind := asLine(t, kind, record)
	scrubbed := transform.Scrub(kind, bytes.Clone(line))
	if again := transform.Scrub(kind, bytes.Clone(scrubbed)); !bytes.Equal(again, scrubbed) {
		t.Errorf("Scrub of what was scrubbed changes it:\n%s\n%s", scrubbed, again)
	}
	got := mapLine(t, kind, scrubbed)
	if again := mapLine(t, kind, scrubbed); !reflect.DeepEqual(got, again) {
		t.Errorf("mapping again differs:\n%s", cmp.Diff(got, again))
	}
	return got
}

// asLine is the record as it is landed.
func asLine(t *testing.T, kind schema.Kind, record []byte) ([]byte, schema.Kind) {
	t.Helper()
	var line bytes.Buffer
	if err := json.Compact(&line, record); err == nil {
		return line.Bytes(), kind
	}
	body := schema.UnparsedBody{Reason: "no JSON value"}
	if utf8.Valid(record) {
		body.Text = string(record)
	} else {
		body.Base64 = record
	}
	wrapped, err := json.Marshal(schema.Unparsed{Unparsed: body})
	if err != nil {
		t.Fatal(err)
	}
	return wrapped, schema.KindUnparsed
}

// mapLine maps one landed line and checks what must hold for any result.
func mapLine(t *testing.T, kind schema.Kind, line []byte) golden {
	t.Helper()
	result, err := goldenMapper().Map(kind, line, landed)
	got := golden{Events: result.Events, Users: result.Users}
	if got.Events == nil {
		got.Events = []schema.Event{}
	}
	if got.Users == nil {
		got.Users = []schema.User{}
	}
	switch n := len(got.Events) + len(got.Users); {
	case err != nil && n > 0:
		t.Errorf("an error beside %d results: %v", n, err)
	case err != nil && !errors.Is(err, transform.ErrUnmappable):
		t.Errorf("error %q is not ErrUnmappable", err)
	case err == nil && n == 0:
		t.Error("neither a result nor an error")
	}
	if err != nil {
		got.Error = err.Error()
	}
	for i, e := range got.Events {
		for _, problem := range ocsftest.Validate(e) {
			t.Errorf("event %d is not OCSF: %s", i, problem)
		}
	}
	return got
}

func checkGolden(t *testing.T, path string, got golden) {
	t.Helper()
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(got); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, text.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text.String()); diff != "" {
		t.Errorf("%s (-want +got; -update writes it):\n%s", path, diff)
	}
}

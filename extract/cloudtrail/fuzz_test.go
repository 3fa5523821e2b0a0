package cloudtrail_test

import (
	"encoding/json"
	"testing"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/extract/cloudtrail"
)

// FuzzRawEvent: whatever stands in an item, it becomes one JSON object, and one
// that names itself wherever the item or its event does.
func FuzzRawEvent(f *testing.F) {
	for _, event := range []string{
		`{"eventID":"e1","eventTime":"2026-11-01T00:00:00Z"}`, `{"eventTime":"x"}`, `{"eventID":`, ``, `null`, `[]`, `"{}"`,
		"{\"eventID\":\"\xff\"}", `{"eventID":12}`, `{"CloudTrailEvent":"{}"}`,
	} {
		f.Add("id", event)
		f.Add("", event)
	}
	f.Fuzz(func(t *testing.T, id, event string) {
		raw := cloudtrail.RawEvent(id, event)
		if !json.Valid(raw.Bytes) || raw.Bytes[0] != '{' {
			t.Fatalf("record %q is no JSON object", raw.Bytes)
		}
		if raw.ID != raw.Kind.ID(raw.Bytes) {
			t.Errorf("record %q is named %q", raw.Bytes, raw.ID)
		}
	})
}

// FuzzCursor: a cursor that is taken is written so that it is taken again, as
// the same.
func FuzzCursor(f *testing.F) {
	for _, s := range []string{
		``, `{}`, `[]`, `{"regions":{"eu-west-1":{"sources":{"iam.amazonaws.com":{"to":"2026-11-01T00:00:00Z"}}}}}`,
		`{"regions":{"eu-west-1":null}}`, `{"since":"2026-11-01T00:00:00Z","key":"k","record":3,"behind":{"a":"2026-11-01T00:00:00Z"}}`,
		`{"record":-1}`, `{"upto":"9999-12-31T23:59:59-23:59"}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for name, roundTrip := range map[string]func(extract.Cursor) (extract.Cursor, error){
			"lookup": cloudtrail.RoundTripLookup, "trail": cloudtrail.RoundTripTrail,
		} {
			once, err := roundTrip(extract.Cursor(text))
			if err != nil {
				continue
			}
			if twice, err := roundTrip(once); err != nil || twice != once {
				t.Errorf("%s: %q is written as %q, then as %q (%v)", name, text, once, twice, err)
			}
		}
	})
}

// FuzzDigest: what is no JSON object is no digest, and says so.
func FuzzDigest(f *testing.F) {
	for _, s := range []string{
		`{"digestEndTime":"2026-11-01T00:00:00Z","logFiles":[{"s3Object":"a","hashValue":"00"}]}`,
		`{"digestEndTime":"x"}`, `{}`, `[]`, `{"logFiles":{}}`, ``, `{"previousDigestHashValue":null}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if fault := cloudtrail.ParseDigest(text); fault == "" && !json.Valid(text) {
			t.Errorf("%q is taken for a digest", text)
		}
	})
}

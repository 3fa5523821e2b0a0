package cognito_test

import (
	"encoding/json"
	"testing"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/extract/cognito"
)

// FuzzFactors: of an answer that is JSON comes JSON that says which factors are
// set, whatever the answer is.
func FuzzFactors(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"UserMFASettingList":["SOFTWARE_TOKEN_MFA"],"PreferredMfaSetting":"SOFTWARE_TOKEN_MFA"}`,
		`{"UserMFASettingList":null,"MFAOptions":[{"DeliveryMedium":"SMS"}]}`, `{"UserMFASettingList":"x"}`, `[]`, `"a"`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if !json.Valid(body) {
			return // answers that are none are asked for again
		}
		if out := cognito.FactorsIn(body); !json.Valid(out) {
			t.Errorf("%q gives %q", body, out)
		}
	})
}

// FuzzCursor: a cursor that is taken is written so that it is taken again, as
// the same.
func FuzzCursor(f *testing.F) {
	for _, s := range []string{
		``, `{}`, `[]`, `{"snapshot":"20261120T120000Z","started":"2026-11-20T12:00:00Z","shards":16,"done":["0","1"]}`,
		`{"snapshot":"s","started":"2026-11-20T12:00:00Z","shards":3}`, `{"snapshot":"s","started":"9999-12-31T23:59:59-23:59"}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		once, err := cognito.RoundTripCursor(extract.Cursor(text))
		if err != nil || text == "" {
			return
		}
		if twice, err := cognito.RoundTripCursor(once); err != nil || twice != once {
			t.Errorf("%q is written as %q, then as %q (%v)", text, once, twice, err)
		}
	})
}

package auth0_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/extract/auth0"
)

// FuzzSplit: what is a JSON array comes apart as encoding/json takes it apart,
// byte by byte; what is none may only come apart into pieces of itself.
func FuzzSplit(f *testing.F) {
	for _, s := range []string{
		`[]`, ` [ ] `, `[1]`, `[{"a":"],["},{"b":[1,{}]}]`, `["\"",null , true]`, `[{"a":1 "b"},2]`,
		`[1,,2]`, `{}`, ``, `[`, `]`, `[}{]`, `["\\","\\\""]`, "\xef\xbb\xbf[1]", "[\"\xff\"]", `[[],[]]`, `[1]]`, `[[1]`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := auth0.Split(body)
		var want []json.RawMessage
		if json.Unmarshal(body, &want) == nil && want != nil {
			if err != nil || len(got) != len(want) {
				t.Fatalf("got %d elements and error %v, want %d", len(got), err, len(want))
			}
			for i := range want {
				if !bytes.Equal(got[i], want[i]) {
					t.Errorf("element %d: got %q, want %q", i, got[i], want[i])
				}
			}
			return
		}
		for _, e := range got {
			if !bytes.Contains(body, e) {
				t.Errorf("element %q is not of the body", e)
			}
		}
	})
}

// FuzzCursor: a cursor that is taken is written so that it is taken again.
func FuzzCursor(f *testing.F) {
	for _, s := range []string{
		``, `{}`, `{"from":"90020260801000000` + "000000000000000000000000000000000000000" + `"}`,
		`{"from":"9","start":"8","drained_at":"2026-08-01T00:00:00Z"}`, `{"from":"x","drained_at":"9999-12-31T23:59:59+23:59"}`,
		`{"from":"90000000000000000"}`, `{"from":"90099991231235959"}`, `[]`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		once, err := auth0.RoundTripCursor(extract.Cursor(text))
		if err != nil || once == "" {
			return
		}
		twice, err := auth0.RoundTripCursor(once)
		if err != nil || twice != once {
			t.Errorf("%q is written as %q, then as %q (%v)", text, once, twice, err)
		}
	})
}

// FuzzUsersCursor: the same of the cursor of users.
func FuzzUsersCursor(f *testing.F) {
	for _, s := range []string{
		``, `{}`, `{"snapshot":"20261120T120000Z","started":"2026-11-20T12:00:00Z","phase":"done"}`,
		`{"snapshot":"s","started":"2026-11-20T12:00:00Z","phase":"file","job":"job_1","users":7}`,
		`{"snapshot":"s","started":"9999-12-31T23:59:59-23:59","phase":"done"}`, `{"phase":"file","job":"../x"}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		once, err := auth0.RoundTripUsersCursor(extract.Cursor(text))
		if err != nil || once == "" {
			return
		}
		if twice, err := auth0.RoundTripUsersCursor(once); err != nil || twice != once {
			t.Errorf("%q is written as %q, then as %q (%v)", text, once, twice, err)
		}
	})
}

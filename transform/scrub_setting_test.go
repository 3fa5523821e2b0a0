package transform_test

import (
	"strings"
	"testing"

	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/transform"
)

// TestScrubSettings: what a source puts in the place of a secret stays, what
// only looks like it does not, nor does any secret beside it.
func TestScrubSettings(t *testing.T) {
	const mark = "fingerprint:0123456789abcdef"
	tests := []struct {
		name, data string
		kept, cut  []string
	}{
		{"client", `{"ClientSecret":"` + mark + `"}`, []string{mark}, nil},
		{"provider", `{"ProviderDetails":{"client_secret":"` + mark + `","private_key":"` + mark + `"}}`, []string{mark + `\",`, mark + `\"}`}, nil},
		{"longer", `{"ClientSecret":"` + mark + `0"}`, nil, []string{mark}},
		{"shorter", `{"ClientSecret":"fingerprint:0123456789abcde"}`, nil, []string{"0123456789abcde"}},
		{"no hex", `{"ClientSecret":"fingerprint:0123456789abcdeX"}`, nil, []string{"0123456789abcde"}},
		{"behind something", `{"ClientSecret":"x` + mark + `"}`, nil, []string{mark}},
		{"beside", `{"ClientSecret":"` + mark + `","password":"hunter2hunter2"}`, []string{mark}, []string{"hunter2"}},
		{"units", `{"TokenValidityUnits":{"AccessToken":"hours","IdToken":"minutes","RefreshToken":"days"}}`, []string{"hours", "minutes", "days"}, nil},
		{"no unit", `{"AccessToken":"hours of work"}`, nil, []string{"hours"}},
		{"password is no span", `{"Password":"hours"}`, nil, []string{"hours"}},
	}
	for _, tt := range tests {
		line := `{"section":"client","id":"a","state":"ok","data":"` + strings.ReplaceAll(tt.data, `"`, `\"`) + `"}`
		got := string(transform.Scrub(schema.KindSetting, []byte(line)))
		for _, want := range tt.kept {
			if !strings.Contains(got, want) {
				t.Errorf("%s: %s is not kept in %s", tt.name, want, got)
			}
		}
		for _, not := range tt.cut {
			if strings.Contains(got, not) {
				t.Errorf("%s: %s is left in %s", tt.name, not, got)
			}
		}
	}
}

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
	const print = "fingerprint:0123456789abcdef"
	tests := []struct {
		name, data string
		kept, cut  []string
	}{
		{"client", `{"ClientSecret":"` + print + `"}`, []string{print}, nil},
		{"provider", `{"ProviderDetails":{"client_secret":"` + print + `","private_key":"` + print + `"}}`, []string{print + `\",`, print + `\"}`}, nil},
		{"longer", `{"ClientSecret":"` + print + `0"}`, nil, []string{print}},
		{"shorter", `{"ClientSecret":"fingerprint:0123456789abcde"}`, nil, []string{"0123456789abcde"}},
		{"no hex", `{"ClientSecret":"fingerprint:0123456789abcdeX"}`, nil, []string{"0123456789abcde"}},
		{"behind something", `{"ClientSecret":"x` + print + `"}`, nil, []string{print}},
		{"beside", `{"ClientSecret":"` + print + `","password":"hunter2hunter2"}`, []string{print}, []string{"hunter2"}},
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

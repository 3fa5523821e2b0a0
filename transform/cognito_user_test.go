package transform_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/transform"
)

// cognito maps one user of the given members beside an id.
func cognito(t *testing.T, m *transform.Mapper, members map[string]any) schema.User {
	t.Helper()
	members["sub"] = "id-1"
	line, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	result, err := m.Map(schema.KindCognitoUser, line, landed)
	if err != nil || len(result.Users) != 1 {
		t.Fatalf("Map = %d users, %v; want one", len(result.Users), err)
	}
	return result.Users[0]
}

// TestNormEmail: addresses of two people never become one.
func TestNormEmail(t *testing.T) {
	tests := map[string]string{
		"Ada@Example.COM":         "ada@example.com",
		" ada@example.com ":       "ada@example.com",
		"a.d.a+x@example.com":     "a.d.a+x@example.com",
		"ada@example.com.":        "ada@example.com",
		"ada@BÜCHER.example":      "ada@xn--bcher-kva.example",
		"ada@xn--bcher-kva.test":  "ada@xn--bcher-kva.test",
		"\"a@b\"@example.com":     "\"a@b\"@example.com",
		"JOS\u00c9@example.com":   "jos\u00e9@example.com",
		"JOSE\u0301@example.com":  "jos\u00e9@example.com",
		"ada@a_b.example":         "ada@a_b.example",
		"mi\u212ae@example.com":   "", // Kelvin sign
		"\u0130an@example.com":    "\u0130an@example.com",
		"ada":                     "",
		"@example.com":            "",
		"ada@":                    "",
		"ada@.":                   "",
		"a da@example.com":        "",
		"ada@exam ple.com":        "",
		"ada\u0000@example.com":   "",
		"ada@\u0000":              "",
		"ada@\u202eexample.com":   "",
		"ada\ufffd@example.com":   "",
		"":                        "",
		"\"quoted\"@EXAMPLE.com ": "\"quoted\"@example.com",
	}
	for raw, want := range tests {
		u := cognito(t, &transform.Mapper{}, map[string]any{"email": raw})
		if u.EmailNorm != want {
			t.Errorf("email_norm of %q = %q, want %q", raw, u.EmailNorm, want)
		}
	}
}

// TestNormPhone: no country is guessed.
func TestNormPhone(t *testing.T) {
	tests := []struct{ raw, region, want string }{
		{"+49 30 123456", "", "+4930123456"},
		{"+49 (0)30 123456", "", "+4930123456"},
		{"tel:+49-30-123456", "", "+4930123456"},
		{"030 123456", "", ""},
		{"030 123456", "DE", "+4930123456"},
		{"030 123456", "de", "+4930123456"},
		{"+1 206 555 0100", "DE", "+12065550100"},
		{"+1 206 555 0100 ext. 7", "", ""},
		{"+1 206 555 0100 x7", "", ""},
		{"+1 800 FLOWERS", "", ""},
		{"+49", "", ""},
		{"12", "DE", ""},
		{"+999123456789", "", ""},
		{"030 123456", "XX", ""},
		{"", "DE", ""},
		{"++--", "DE", ""},
	}
	for _, tt := range tests {
		u := cognito(t, &transform.Mapper{PhoneRegion: tt.region}, map[string]any{"phone_number": tt.raw})
		if u.PhoneE164 != tt.want {
			t.Errorf("phone_e164 of %q in %q = %q, want %q", tt.raw, tt.region, u.PhoneE164, tt.want)
		}
	}
}

func TestNormNames(t *testing.T) {
	tests := []struct{ name, given, family, want string }{
		{"Ada  Lovelace ", "", "", "Ada Lovelace"},
		{"Ada\tLovelace\u0007", "", "", "Ada Lovelace"},
		{"ada@example.com", "Ada", "Lovelace", "Ada Lovelace"},
		{"ADA@example.com", "", "", ""},
		{"other@example.org", "Ada", "", "Ada"},
		{"", "Ada", "Lovelace", "Ada Lovelace"},
		{"Jose\u0301", "", "", "Jos\u00e9"},
	}
	for _, tt := range tests {
		u := cognito(t, &transform.Mapper{}, map[string]any{
			"email": "ada@example.com", "name": tt.name, "given_name": tt.given, "family_name": tt.family,
		})
		if u.NameFormatted != tt.want {
			t.Errorf("name of %q %q %q = %q, want %q", tt.name, tt.given, tt.family, u.NameFormatted, tt.want)
		}
	}
	for raw, want := range map[string]string{"ADA": "ada", "Straße": "strasse", "\uff21da": "ada", "auth0_ABC|Def": "auth0_abc|def"} {
		if u := cognito(t, &transform.Mapper{}, map[string]any{"Username": raw}); u.UserNameNorm != want || u.UserName != raw {
			t.Errorf("user name %q, %q; want %q, %q", u.UserName, u.UserNameNorm, raw, want)
		}
	}
}

// TestCognitoDates: the ways the AWS tools write one.
func TestCognitoDates(t *testing.T) {
	at := time.Date(2024, 2, 29, 11, 0, 0, 123e6, time.UTC)
	tests := []struct {
		value any
		want  time.Time
	}{
		{"2024-02-29T11:00:00.123Z", at},
		{"2024-02-29T12:00:00.123000+01:00", at},
		{"2024-02-29 12:00:00.123000+01:00", at},
		{"2024-02-29T11:00:00Z", at.Truncate(time.Second)},
		{json.Number("1709204400.123"), at},
		{json.Number("1709204400123"), at},
		{json.Number("1709204400"), at.Truncate(time.Second)},
		{json.Number("1.709204400123E9"), at},
		{"1709204400123", at},
		{0, time.Time{}},
		{-5, time.Time{}},
		{json.Number("1e300"), time.Time{}},
		{"NaN", time.Time{}},
		{"yesterday", time.Time{}},
		{nil, time.Time{}},
		{[]int{1}, time.Time{}},
	}
	for _, tt := range tests {
		u := cognito(t, &transform.Mapper{}, map[string]any{"UserCreateDate": tt.value})
		switch {
		case u.CreatedAt == nil && !tt.want.IsZero():
			t.Errorf("%v: no date, want %v", tt.value, tt.want)
		case u.CreatedAt != nil && !u.CreatedAt.Equal(tt.want):
			t.Errorf("%v: %v, want %v", tt.value, u.CreatedAt, tt.want)
		}
	}
}

// TestCognitoUnknown: what was not fetched is not known; what was, and is
// empty, is none. JSON output does not tell the two apart.
func TestCognitoUnknown(t *testing.T) {
	bare := cognito(t, &transform.Mapper{}, map[string]any{})
	if bare.MFAEnabled != nil || bare.MFAFactors != nil || bare.Groups != nil || bare.EmailVerified != nil || bare.CreatedAt != nil {
		t.Errorf("a bare user says more than it knows: %+v", bare)
	}
	asked := cognito(t, &transform.Mapper{}, map[string]any{"UserMFASettingList": []string{}, "Groups": []string{}, "email_verified": "false"})
	if asked.MFAEnabled == nil || *asked.MFAEnabled || asked.MFAFactors == nil || asked.Groups == nil || asked.EmailVerified == nil || *asked.EmailVerified {
		t.Errorf("none is read as unknown: %+v", asked)
	}
}

func FuzzCognitoUser(f *testing.F) {
	fuzzKind(f, schema.KindCognitoUser)
}

func BenchmarkCognitoUser(b *testing.B) {
	benchmarkKind(b, schema.KindCognitoUser)
}

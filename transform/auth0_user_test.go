package transform_test

import (
	"slices"
	"testing"

	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/transform"
)

func auth0User(t *testing.T, m *transform.Mapper, more string) schema.User {
	t.Helper()
	result, err := m.Map(schema.KindAuth0User, []byte(`{"user_id":"auth0|1"`+more+`}`), landed)
	if err != nil || len(result.Users) != 1 {
		t.Fatalf("%s: %d users, error %v", more, len(result.Users), err)
	}
	return result.Users[0]
}

func TestAuth0UserState(t *testing.T) {
	tests := []struct {
		more, status string
		active       bool
	}{
		{``, schema.UserActive, true},
		{`,"blocked":null`, schema.UserActive, true},
		{`,"blocked":false`, schema.UserActive, true},
		{`,"blocked":"false"`, schema.UserActive, true},
		{`,"blocked":true`, schema.UserDisabled, false},
		{`,"blocked":"true"`, schema.UserDisabled, false},
		{`,"blocked":1`, schema.UserDisabled, false},
		{`,"blocked":"*****"`, schema.UserUnknown, true},
	}
	for _, tt := range tests {
		if u := auth0User(t, &transform.Mapper{}, tt.more); u.Status != tt.status || u.Active != tt.active {
			t.Errorf("%s: %s, active %t; want %s, %t", tt.more, u.Status, u.Active, tt.status, tt.active)
		}
	}
}

// What was not asked for is not known, and never "none".
func TestAuth0UserKnowsWhatItWasNotTold(t *testing.T) {
	u := auth0User(t, &transform.Mapper{}, ``)
	if u.MFAEnabled != nil || u.MFAFactors != nil || u.EmailVerified != nil || u.Roles != nil || u.Identities != nil || u.Organizations != nil {
		t.Errorf("a bare user: %+v", u)
	}
	u = auth0User(t, &transform.Mapper{}, `,"multifactor":[],"roles":[],"organizations":[],"identities":[]`)
	if u.MFAEnabled == nil || *u.MFAEnabled || u.MFAFactors == nil || u.Roles == nil || u.Identities == nil || u.Organizations == nil {
		t.Errorf("a user with empty lists: %+v", u)
	}
	u = auth0User(t, &transform.Mapper{}, `,"multifactor":["sms","duo","sms"]`)
	if !*u.MFAEnabled || !slices.Equal(u.MFAFactors, []string{"duo", "sms"}) {
		t.Errorf("factors = %q, enabled %t", u.MFAFactors, *u.MFAEnabled)
	}
}

// The same holds for what stands beside a user, whatever the user itself holds.
func TestAuth0UserBesideMemberships(t *testing.T) {
	tests := []struct {
		more                 string
		roles, organizations []string
	}{
		{``, nil, nil},
		{`,"roles":[]`, []string{}, nil},
		{`,"organizations":[]`, nil, []string{}},
		{`,"roles":null,"organizations":null`, nil, nil},
		{`,"roles":[{"id":"rol_1","name":"b"},{"id":"rol_0"}],"organizations":[{"id":"org_1","name":"o","roles":[{"id":"rol_1","name":"c"}]}]`, []string{"b", "rol_0"}, []string{"o"}},
	}
	for _, tt := range tests {
		line := `{"user":{"user_id":"auth0|1","roles":["attribute"],"organizations":["attribute"]}` + tt.more + `}`
		result, err := (&transform.Mapper{}).Map(schema.KindAuth0User, []byte(line), landed)
		if err != nil || len(result.Users) != 1 {
			t.Fatalf("%s: %d users, error %v", line, len(result.Users), err)
		}
		u := result.Users[0]
		if !slices.Equal(u.Roles, tt.roles) || (u.Roles == nil) != (tt.roles == nil) {
			t.Errorf("%s: roles %#v, want %#v", tt.more, u.Roles, tt.roles)
		}
		if !slices.Equal(u.Organizations, tt.organizations) || (u.Organizations == nil) != (tt.organizations == nil) {
			t.Errorf("%s: organizations %#v, want %#v", tt.more, u.Organizations, tt.organizations)
		}
	}
}

func TestAuth0UserNames(t *testing.T) {
	tests := []struct{ more, userName, formatted string }{
		{``, "auth0|1", ""},
		{`,"phone_number":"+4915112345678"`, "+4915112345678", ""},
		{`,"phone_number":"+4915112345678","email":"a@b.cd"`, "a@b.cd", ""},
		{`,"email":"a@b.cd","username":"ada","name":"A@B.cd"`, "ada", ""},
		{`,"email":"a@b.cd","name":"a@b.cd","given_name":"Ada"`, "a@b.cd", "Ada"},
		{`,"name":" Ada\t Lovelace "`, "auth0|1", "Ada Lovelace"},
	}
	for _, tt := range tests {
		if u := auth0User(t, &transform.Mapper{}, tt.more); u.UserName != tt.userName || u.NameFormatted != tt.formatted {
			t.Errorf("%s: %q, %q; want %q, %q", tt.more, u.UserName, u.NameFormatted, tt.userName, tt.formatted)
		}
	}
}

func TestAuth0UserChosen(t *testing.T) {
	m := &transform.Mapper{
		Attributes:    []string{"app_metadata.a", "app_metadata.b.c", "user_metadata.d.e", "custom:x", "app_metadata", "picture"},
		LinkAttribute: "app_metadata.cognito_sub",
	}
	u := auth0User(t, m, `,"picture":"p","custom:x":"no","app_metadata":{"a":[1,2.50],"b":{"c":true},"cognito_sub":" sub-1 ","z":"no"},"user_metadata":{"d.e":12345678901234567890}`)
	want := map[string]string{"app_metadata.a": "[1,2.50]", "app_metadata.b.c": "true", "user_metadata.d.e": "12345678901234567890"}
	if len(u.Attributes) != len(want) || u.LinkID != "sub-1" {
		t.Errorf("attributes %q, link %q", u.Attributes, u.LinkID)
	}
	for name, value := range want {
		if u.Attributes[name] != value {
			t.Errorf("attribute %s = %q, want %q", name, u.Attributes[name], value)
		}
	}
	if u := auth0User(t, &transform.Mapper{}, `,"app_metadata":{"a":1}`); u.Attributes != nil || u.LinkID != "" {
		t.Errorf("nothing was asked for: %q, %q", u.Attributes, u.LinkID)
	}
}

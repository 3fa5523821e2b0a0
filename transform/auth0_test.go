package transform_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/schema/ocsftest"
	"github.com/idtrail/idtrail/transform"
)

// The details the codes are tried with: none, all that is known at once, and
// odd ones. The published schemas leave details untyped for many codes.
var auth0Details = map[string]string{
	"none":   ``,
	"null":   `,"details":null,"user_id":null,"client_id":null,"scope":null,"auth0_client":null`,
	"text":   `,"details":"it failed","user_id":12345678901234567890,"scope":["a","b"]`,
	"list":   `,"details":["a",{"b":1}],"ip":"not an ip","hostname":"under_score.example.com","references":[],"location_info":"x"`,
	"masked": `,"details":{"request":"*****","error":"*****","prompts":"*****","session_id":"*****"},"ip":"*****","isMobile":"*****"`,
	"empty":  `,"details":{},"user_id":"","user_name":"","client_id":"","ip":"","connection":"db","location_info":{"latitude":38,"longitude":"x"}`,
	"rich": `,"user_id":"auth0|65aa","user_name":"ada@example.com","client_id":"client1","client_name":"Shop","connection":"db","connection_id":"con_1",
		"organization_id":"org_1","organization_name":"acme","ip":"203.0.113.7","hostname":"acme.eu.auth0.com","audience":"https://api","strategy":"samlp","strategy_type":"enterprise",
		"user_agent":"Chrome","isMobile":true,"location_info":{"country_code":"gb","city_name":"London","latitude":51.5,"longitude":-0.1,"continent_code":"EU"},
		"details":{"request":{"method":"patch","path":"/api/v2/users/auth0%7C65bb","query":{"a":[1,"b"]},"body":{"blocked":true,"Operations":[{"op":"replace","path":"active","value":"False"}]},
			"ip":"203.0.113.8","userAgent":"raw agent","auth":{"user":{"user_id":"google-oauth2|1","name":"Root","email":"root@example.com"},"credentials":{"jti":"j1","scopes":["a","b","c"]}}},
			"response":{"statusCode":200,"body":{"id":"x1"}},"error":{"message":"bad","code":"E1"},"prompts":[{"name":"mfa-otp"}],"session_id":"s1","transaction_id":"t1",
			"authenticator":{"type":"otp"},"riskAssessment":{"confidence":"low"},"accessedSecrets":["client_secret"],"invitation":{"roles":["rol_1"]},"ss_sso_event_name":"enable_connection",
			"authentication_method":"password","stats":[{"start_time":"2026-11-19T00:00:00Z","count":3}],"removedCount":2,"state":"active"}`,
}

// TestEveryAuth0Code maps every code of the table, and some of none, with all
// kinds of details: mapLine checks the events against the class definitions.
func TestEveryAuth0Code(t *testing.T) {
	rows := readTable(t, "tables/auth0_codes.csv")
	if len(rows) != 206 {
		t.Errorf("table has %d codes, want 206", len(rows))
	}
	for _, row := range append(rows, []string{"brand_new_failed"}, []string{""}, []string{"é b"}) {
		for name, details := range auth0Details {
			line := auth0Line(t, row[0], details)
			got := mapLine(t, schema.KindAuth0Log, line)
			if t.Failed() || got.Error != "" {
				t.Fatalf("code %q with %s details: %s: %s", row[0], name, got.Error, line)
			}
			if len(row) > 1 && name == "none" {
				checkAuth0Row(t, row, got.Events[0])
			}
		}
	}
}

func checkAuth0Row(t *testing.T, row []string, e schema.Event) {
	t.Helper()
	if row[12] == "invitation" { // without an organization it is an account change
		return
	}
	if want := jsonNumber(t, row[1]); e.ClassUID != want {
		t.Errorf("%s: class %d, want %d", row[0], e.ClassUID, want)
	}
	if want := jsonNumber(t, row[2]); e.ActivityID != want {
		t.Errorf("%s: activity %d, want %d", row[0], e.ActivityID, want)
	}
	if row[3] != "" && e.ActivityName != row[3] {
		t.Errorf("%s: activity %q, want %q", row[0], e.ActivityName, row[3])
	}
	if want := jsonNumber(t, row[5]); e.SeverityID != want {
		t.Errorf("%s: severity %d, want %d", row[0], e.SeverityID, want)
	}
	if want := map[string]int32{"success": 1, "failure": 2, "warning": 99}[row[4]]; e.StatusID != want {
		t.Errorf("%s: status %d, want %d", row[0], e.StatusID, want)
	}
}

func auth0Line(t *testing.T, code, more string) []byte {
	t.Helper()
	line, _ := asLine(t, schema.KindAuth0Log, []byte(`{"log_id":"900","date":"2026-11-19T08:30:00.123Z","type":"`+code+
		`","description":"d","tenant_name":"acme"`+more+`}`))
	return line
}

// TestAuth0Routes maps a call of every route.
func TestAuth0Routes(t *testing.T) {
	const (
		account, signIn, entity = schema.ClassAccountChange, schema.ClassAuthentication, schema.ClassEntityManagement
		access, group, api      = schema.ClassUserAccess, schema.ClassGroupManagement, schema.ClassAPIActivity
	)
	tests := []struct {
		call, body string
		class      int32
		activity   int32
		severity   int32
		name, what string // activity_name; user, group, entity or resource
	}{
		{"POST /api/v2/users", `{"email":"eve@example.com"}`, account, 1, 1, "Create", "eve@example.com"},
		{"PATCH /api/v2/users/auth0%7C1", `{"blocked":true,"name":"x"}`, account, 5, 3, "Disable", "auth0|1"},
		{"PATCH /api/v2/users/auth0|1", `{"blocked":false}`, account, 2, 2, "Enable", "auth0|1"},
		{"PATCH /api/v2/users/auth0%257C1", `{"password":"x"}`, account, 3, 3, "Password Change", "auth0|1"},
		{"PATCH /api/v2/users/auth0%7C1", `{"email":"a@b.cd"}`, account, 99, 2, "Email Change", "auth0|1"},
		{"PATCH /api/v2/users/auth0%7C1", `{"phone_number":"1"}`, account, 99, 2, "Phone Number Change", "auth0|1"},
		{"PATCH /api/v2/users/auth0%7C1", `{"username":"u"}`, account, 99, 2, "Username Change", "auth0|1"},
		{"PATCH /api/v2/users/auth0%7C1", `{"email_verified":true}`, account, 99, 2, "Email Verification", "auth0|1"},
		{"PATCH /api/v2/users/auth0%7C1", `{"app_metadata":{}}`, account, 99, 1, "Profile Update", "auth0|1"},
		{"DELETE /api/v2/users/auth0%7C1", ``, account, 6, 3, "Delete", "auth0|1"},
		{"DELETE /api/v2/users/a%2Fb", ``, account, 6, 3, "Delete", "a/b"},
		{"DELETE /api/v2/connections/con_1/users?email=a%40b.cd", ``, account, 6, 3, "Delete", "a@b.cd"},
		{"POST /api/v2/users/u1/identities", `{"user_id":7}`, account, 99, 3, "Account Linked", "u1"},
		{"DELETE /api/v2/users/u1/identities/google-oauth2/7", ``, account, 99, 3, "Account Unlinked", "u1"},
		{"DELETE /api/v2/user-blocks?identifier=a%40b.cd", ``, account, 2, 2, "Enable", "a@b.cd"},
		{"DELETE /api/v2/user-blocks/u1", ``, account, 2, 2, "Enable", "u1"},
		{"POST /api/v2/tickets/password-change", `{"user_id":"u1"}`, account, 4, 3, "Password Reset", "u1"},
		{"POST /api/v2/tickets/email-verification", `{"user_id":"u1"}`, account, 99, 1, "Email Verification Request", "u1"},
		{"POST /api/v2/jobs/verification-email", `{"user_id":"u1"}`, account, 99, 1, "Email Verification Request", "u1"},
		{"POST /api/v2/users/u1/authentication-methods", `{"type":"totp"}`, account, 10, 3, "MFA Factor Enable", "u1"},
		{"PUT /api/v2/users/u1/authentication-methods", `[]`, account, 99, 4, "MFA Factors Replaced", "u1"},
		{"PATCH /api/v2/users/u1/authentication-methods/m1", `{}`, account, 99, 2, "MFA Factor Update", "u1"},
		{"DELETE /api/v2/users/u1/authentication-methods", ``, account, 11, 4, "MFA Factor Disable", "u1"},
		{"DELETE /api/v2/users/u1/authentication-methods/m1", ``, account, 11, 4, "MFA Factor Disable", "u1"},
		{"DELETE /api/v2/users/u1/authenticators", ``, account, 11, 4, "MFA Factor Disable", "u1"},
		{"DELETE /api/v2/users/u1/multifactor/duo", ``, account, 11, 4, "MFA Factor Disable", "u1"},
		{"DELETE /api/v2/guardian/enrollments/dev_1", ``, account, 11, 4, "MFA Factor Disable", "enrollment:dev_1"},
		{"POST /api/v2/guardian/enrollments/ticket", `{"user_id":"u1"}`, account, 99, 2, "MFA Enrollment Ticket", "u1"},
		{"POST /api/v2/users/u1/recovery-code-regeneration", ``, account, 99, 3, "MFA Recovery Code Regenerated", "u1"},
		{"POST /api/v2/users/u1/multifactor/actions/invalidate-remember-browser", ``, account, 99, 2, "MFA Remembered Browsers Cleared", "u1"},
		{"POST /api/v2/users/u1/risk-assessments/clear", ``, account, 99, 2, "Risk Assessment Cleared", "u1"},
		{"DELETE /api/v2/users/u1/sessions", ``, signIn, 2, 2, "Logoff", "u1"},
		{"POST /api/v2/users/u1/revoke-access", ``, signIn, 2, 2, "Logoff", "u1"},
		{"DELETE /api/v2/users/u1/refresh-tokens", ``, signIn, 99, 2, "Token Revocation", "u1"},
		{"POST /api/v2/users/u1/roles", `{"roles":["r1"]}`, access, 1, 3, "Assign Privileges", "u1"},
		{"DELETE /api/v2/users/u1/roles", `{"roles":["r1"]}`, access, 2, 3, "Revoke Privileges", "u1"},
		{"POST /api/v2/users/u1/permissions", `{"permissions":[{"resource_server_identifier":"https://api","permission_name":"read:x"}]}`, access, 1, 3, "Assign Privileges", "u1"},
		{"DELETE /api/v2/users/u1/permissions", `{"permissions":"odd"}`, access, 2, 3, "Revoke Privileges", "u1"},
		{"POST /api/v2/roles/r1/users", `{"users":["u1"]}`, access, 1, 3, "Assign Privileges", "u1"},
		{"POST /api/v2/organizations/o1/members/u1/roles", `{"roles":["r1"]}`, access, 1, 3, "Assign Privileges", "u1"},
		{"DELETE /api/v2/organizations/o1/members/u1/roles", `{"roles":["r1"]}`, access, 2, 3, "Revoke Privileges", "u1"},
		{"POST /api/v2/organizations/o1/members", `{"members":["u1"]}`, group, 3, 2, "Add User", "o1"},
		{"DELETE /api/v2/organizations/o1/members", `{"members":["u1"]}`, group, 4, 2, "Remove User", "o1"},
		{"POST /api/v2/roles/r1/permissions", `{"permissions":[{"permission_name":"p"}]}`, group, 1, 4, "Assign Privileges", "r1"},
		{"DELETE /api/v2/roles/r1/permissions", `{}`, group, 2, 3, "Revoke Privileges", "r1"},
		{"POST /api/v2/groups/g1/roles", `{"roles":["r1"]}`, group, 1, 4, "Assign Privileges", "g1"},
		{"DELETE /api/v2/organizations/o1/groups/g1/roles", `{"roles":["r1"]}`, group, 2, 3, "Revoke Privileges", "g1"},
		{"POST /api/v2/roles/r1/groups", `{"groups":["g1"]}`, group, 1, 4, "Assign Privileges", "g1"},
		{"DELETE /api/v2/roles/r1/groups", `{"groups":["g1"]}`, group, 2, 3, "Revoke Privileges", "g1"},
		{"POST /api/v2/organizations", `{"name":"acme"}`, entity, 1, 2, "Create", "acme"},
		{"PATCH /api/v2/organizations/o1", `{}`, entity, 3, 2, "Update", "o1"},
		{"DELETE /api/v2/organizations/o1", ``, entity, 4, 3, "Delete", "o1"},
		{"POST /api/v2/organizations/o1/invitations", `{"invitee":{"email":"x@y.zz"}}`, entity, 1, 2, "Create", "x@y.zz"},
		{"DELETE /api/v2/organizations/o1/invitations/i1", ``, entity, 4, 2, "Delete", "i1"},
		{"POST /api/v2/roles", `{"name":"boss"}`, entity, 1, 3, "Create", "boss"},
		{"PATCH /api/v2/roles/r1", `{}`, entity, 3, 3, "Update", "r1"},
		{"DELETE /api/v2/roles/r1", ``, entity, 4, 3, "Delete", "r1"},
		{"DELETE /api/v2/groups/g1", ``, entity, 4, 3, "Delete", "g1"},
		{"PUT /api/v2/guardian/policies", `[]`, entity, 3, 4, "Update", "MFA policy"},
		{"PUT /api/v2/guardian/factors/sms", `{"enabled":true}`, entity, 8, 4, "Enable", "MFA factor sms"},
		{"PUT /api/v2/guardian/factors/sms", `{"enabled":false}`, entity, 9, 4, "Disable", "MFA factor sms"},
		{"PUT /api/v2/guardian/factors/sms/templates", `{}`, entity, 3, 3, "Update", "guardian/factors/sms/templates"},
		{"PATCH /api/v2/attack-protection/brute-force-protection", `{"enabled":false}`, entity, 9, 4, "Disable", "Attack protection brute-force-protection"},
		{"PATCH /api/v2/attack-protection/brute-force-protection", `{}`, entity, 3, 4, "Update", "Attack protection brute-force-protection"},
		{"PATCH /api/v2/risk-assessments/settings", `{"enabled":true}`, entity, 8, 4, "Enable", "Risk assessment"},
		{"DELETE /api/v2/network-acls/acl_1", ``, entity, 4, 4, "Delete", "acl_1"},
		{"POST /api/v2/self-service-profiles", `{"name":"p"}`, entity, 1, 3, "Create", "p"},
		{"POST /api/v2/keys/signing/rotate", ``, entity, 1, 4, "Create", "keys/signing/rotate"},
		{"POST /api/v2/connections/con_1/scim-configuration/tokens", ``, entity, 1, 4, "Create", "con_1"},
		{"POST /api/v2/jobs/users-exports", `{}`, api, 1, 4, "Create", "users-exports"},
		{"POST /api/v2/jobs/users-imports", `{}`, api, 1, 3, "Create", "users-imports"},
		{"PATCH /api/v2/tenants/settings", `{}`, api, 3, 4, "Update", "tenant settings"},
		{"DELETE /api/v2/log-streams/lst_1", ``, api, 4, 4, "Delete", "lst_1"},
		{"PATCH /api/v2/clients/c1", `{"name":"Shop"}`, api, 3, 3, "Update", "c1"},
		{"POST /api/v2/actions/actions/a1/deploy", ``, api, 1, 3, "Create", "a1"},
		{"POST /api/tenants/settings", `{}`, api, 1, 2, "Create", "settings"},
		{"DELETE /api/v2/grants/g1", ``, api, 4, 2, "Delete", "g1"},
		{"PUT https://acme.auth0.com/api/v2/branding/", `"odd"`, api, 3, 2, "Update", "branding"},
		{"PURGE /x", ``, api, 99, 1, "API Operation", ""},
	}
	for _, tt := range tests {
		t.Run(tt.call, func(t *testing.T) {
			e := mapLine(t, schema.KindAuth0Log, callLine(t, "sapi", tt.call, tt.body)).Events[0]
			if e.ClassUID != tt.class || e.ActivityID != tt.activity || e.SeverityID != tt.severity || e.ActivityName != tt.name {
				t.Errorf("got class %d, activity %d %q, severity %d; want %d, %d %q, %d",
					e.ClassUID, e.ActivityID, e.ActivityName, e.SeverityID, tt.class, tt.activity, tt.name, tt.severity)
			}
			if got := about(e); tt.what != "" && !slices.Contains(got, tt.what) {
				t.Errorf("event is about %q, want %q", got, tt.what)
			}
			if e.Actor == nil || e.Actor.User == nil || e.Actor.User.UID != "auth0|admin" {
				t.Errorf("actor = %+v, want auth0|admin", e.Actor)
			}
			failed := mapLine(t, schema.KindAuth0Log, callLine(t, "fapi", tt.call, tt.body)).Events[0]
			if failed.StatusID != schema.StatusFailure || failed.SeverityID < 2 || failed.SeverityID > max(2, e.SeverityID) {
				t.Errorf("failed call has status %d, severity %d", failed.StatusID, failed.SeverityID)
			}
		})
	}
}

// about is what the event is about: the names and ids of user, group, entity
// and resources.
func about(e schema.Event) []string {
	var out []string
	if e.User != nil {
		out = append(out, e.User.UID, e.User.Name)
	}
	if e.Group != nil {
		out = append(out, e.Group.UID)
	}
	if e.Entity != nil {
		out = append(out, e.Entity.UID, e.Entity.Name)
	}
	for _, r := range e.Resources {
		out = append(out, r.UID, r.Name)
	}
	return out
}

func callLine(t *testing.T, code, call, body string) []byte {
	t.Helper()
	method, path, _ := strings.Cut(call, " ")
	query := ""
	if p, q, ok := strings.Cut(path, "?"); ok {
		name, value, _ := strings.Cut(q, "=")
		path, query = p, `,"query":{"`+name+`":"`+strings.ReplaceAll(value, "%40", "@")+`"}`
	}
	if body != "" {
		body = `,"body":` + body
	}
	return auth0Line(t, code, `,"user_id":"auth0|admin","ip":"203.0.113.7","details":{"request":{"method":"`+
		strings.ToLower(method)+`","path":"`+path+`"`+query+body+`}}`)
}

func TestAuth0FanOut(t *testing.T) {
	line := callLine(t, "sapi", "POST /api/v2/roles/rol_1/users", `{"users":["auth0|1","auth0|2",3]}`)
	events := mapLine(t, schema.KindAuth0Log, line).Events
	if len(events) != 3 {
		t.Fatalf("%d events, want 3", len(events))
	}
	for i, e := range events {
		if want := fmt.Sprintf("900#%d", i+1); e.Metadata.UID != want {
			t.Errorf("uid = %q, want %q", e.Metadata.UID, want)
		}
		if want := []string{"auth0|1", "auth0|2", "3"}[i]; e.User.UID != want || len(e.Observables) == 0 {
			t.Errorf("user = %q, want %q", e.User.UID, want)
		}
		if e.Metadata.CorrelationUID != "900" || e.API.Request.UID != "900" || !slices.Equal(e.Privileges, []string{"rol_1"}) {
			t.Errorf("event %d: correlation %q, request %q, privileges %q", i, e.Metadata.CorrelationUID, e.API.Request.UID, e.Privileges)
		}
	}
}

// A call on very many targets must not make gigabytes of one record.
func TestAuth0FanOutIsBounded(t *testing.T) {
	for _, tt := range []struct{ targets, size, events int }{{1, 0, 1}, {2, 0, 2}, {5000, 0, 5000}, {5001, 0, 1}, {1000, 1 << 16, 1000}} {
		users := strings.TrimSuffix(strings.Repeat(`"auth0|1",`, tt.targets), ",")
		line := callLine(t, "sapi", "POST /api/v2/roles/rol_1/users", `{"users":[`+users+`],"x":"`+strings.Repeat("y", tt.size)+`"}`)
		result, err := goldenMapper().Map(schema.KindAuth0Log, line, landed)
		if err != nil || len(result.Events) != tt.events {
			t.Fatalf("%d targets: %d events, error %v", tt.targets, len(result.Events), err)
		}
		total := 0
		for _, e := range result.Events {
			total += len(e.RawData)
		}
		if total == 0 || total > 32<<20 {
			t.Errorf("%d targets: %d bytes of raw_data", tt.targets, total)
		}
		for _, problem := range ocsftest.Validate(result.Events[len(result.Events)-1]) {
			t.Errorf("%d targets: %s", tt.targets, problem)
		}
	}
}

func TestAuth0Fields(t *testing.T) {
	tests := []struct {
		name, code, more string
		check            func(e schema.Event) (got, want any)
	}{
		{"ids past 2^53", "s", `,"user_id":12345678901234567890`, func(e schema.Event) (any, any) { return e.User.UID, "12345678901234567890" }},
		{"scope as a list", "s", `,"scope":["openid","profile"]`, func(e schema.Event) (any, any) { return e.Unmapped["scope"], "openid profile" }},
		{"scope as text", "s", `,"scope":"openid"`, func(e schema.Event) (any, any) { return e.Unmapped["scope"], "openid" }},
		{"details as text", "limit_sul", `,"details":"five tries"`, func(e schema.Event) (any, any) { return e.Unmapped["details"], "five tries" }},
		{"wrong password", "fp", `,"user_name":"ada"`, func(e schema.Event) (any, any) { return e.StatusDetail, "INVALID_CREDENTIALS" }},
		{"unknown user", "fu", `,"user_name":"ada"`, func(e schema.Event) (any, any) { return e.StatusDetail, "USER_DOES_NOT_EXIST" }},
		{"e-mail", "s", `,"user_name":"ada@example.com"`, func(e schema.Event) (any, any) { return e.User.EmailAddr, "ada@example.com" }},
		{"no e-mail", "s", `,"user_name":"ada"`, func(e schema.Event) (any, any) { return e.User.EmailAddr, "" }},
		{"country", "s", `,"location_info":{"country_code":"de"}`, func(e schema.Event) (any, any) { return e.SrcEndpoint.Location.Country, "DE" }},
		{"country of three letters", "s", `,"location_info":{"country_code":"DEU"}`, func(e schema.Event) (any, any) { return e.SrcEndpoint.Location == nil, true }},
		{"mapped address", "s", `,"ip":"::ffff:203.0.113.7"`, func(e schema.Event) (any, any) { return e.SrcEndpoint.IP, "203.0.113.7" }},
		{"no address", "s", `,"ip":"unknown"`, func(e schema.Event) (any, any) { return e.SrcEndpoint.SvcName + e.Unmapped["ip"], "auth0unknown" }},
		{"mobile", "s", `,"is_mobile":true`, func(e schema.Event) (any, any) { return e.SrcEndpoint.Type, "Mobile" }},
		{"no MFA", "s", `,"details":{"prompts":[{"name":"login"}]}`, func(e schema.Event) (any, any) { return *e.IsMFA, false }},
		{"MFA by name", "s", `,"details":{"prompts":[{"name":"mfa-push"}]}`, func(e schema.Event) (any, any) { return *e.IsMFA, true }},
		{"MFA by amr", "s", `,"details":{"prompts":[{"performed_amr":["mfa"]}]}`, func(e schema.Event) (any, any) { return *e.IsMFA, true }},
		{"MFA not told", "s", ``, func(e schema.Event) (any, any) { return e.IsMFA == nil, true }},
		{"SAML", "s", `,"strategy":"samlp"`, func(e schema.Event) (any, any) { return e.AuthProtocol, "SAML" }},
		{"database", "s", `,"strategy":"auth0"`, func(e schema.Event) (any, any) { return e.AuthProtocol, "Auth0 database" }},
		{"new strategy", "s", `,"strategy":"vipps"`, func(e schema.Event) (any, any) { return e.AuthProtocol, "vipps" }},
		{"logout protocol", "slo", `,"details":{"protocol":"samlp"}`, func(e schema.Event) (any, any) { return *e.AuthProtocolID, int32(5) }},
		{"raw agent first", "sapi", `,"user_agent":"Chrome 1","details":{"request":{"userAgent":"Mozilla/5.0"}}`, func(e schema.Event) (any, any) {
			return e.HTTPRequest.UserAgent + "+" + e.Unmapped["user_agent"], "Mozilla/5.0+Chrome 1"
		}},
		{"no PATCH", "sapi", `,"details":{"request":{"method":"patch","path":"/api/v2/x"}}`, func(e schema.Event) (any, any) {
			return e.HTTPRequest.HTTPMethod + e.Unmapped["http_request.http_method"], "PATCH"
		}},
		{"client credentials", "seccft", `,"client_id":"c1","client_name":"Job"`, func(e schema.Event) (any, any) {
			return fmt.Sprint(e.User.UID, e.User.Type, *e.User.TypeID, e.Service.Name), "c1System3Job"
		}},
		{"own client", "seccft", `,"client_id":"idtrailClient0000000000000000000"`, func(e schema.Event) (any, any) { return e.Metadata.Labels, []string{"self"} }},
		{"own call", "sapi", `,"details":{"request":{"auth":{"subject":"idtrailClient0000000000000000000@clients"}}}`, func(e schema.Event) (any, any) {
			return fmt.Sprint(e.Metadata.Labels, e.Actor.User.Type), "[self]System"
		}},
		{"secrets read", "mgmt_api_read", `,"details":{"accessedSecrets":["client_secret"],"request":{"method":"get","path":"/api/v2/clients/c1"}}`, func(e schema.Event) (any, any) {
			return fmt.Sprint(e.Metadata.Labels, e.Resources[0].Type, e.Resources[0].UID), "[secret:client_secret]clientsc1"
		}},
		{"scopes are counted", "sapi", `,"details":{"request":{"auth":{"credentials":{"jti":"j","scopes":["a","b"]}}}}`, func(e schema.Event) (any, any) {
			return e.Unmapped["details.request.auth.credentials.scopes.count"] + e.Actor.Session.UID, "2j"
		}},
		{"error as an object", "f", `,"details":{"error":{"message":"no","oauthError":"access_denied"}}`, func(e schema.Event) (any, any) {
			return e.StatusDetail + e.StatusCode, "noaccess_denied"
		}},
		{"error as text", "f", `,"details":{"error":"no"}`, func(e schema.Event) (any, any) { return e.StatusDetail, "no" }},
		{"unknown code", "xyz_new", ``, func(e schema.Event) (any, any) {
			return e.ActivityName + e.TypeName, "Auth0 xyz_newAPI Activity: Other"
		}},
		{"unknown failure", "fxyz", ``, func(e schema.Event) (any, any) { return e.Status, "Failure" }},
		{"unknown success with f", "forms_xyz_succeeded", ``, func(e schema.Event) (any, any) { return e.Status, "Success" }},
		{"unknown outcome", "xyz", ``, func(e schema.Event) (any, any) { return e.Status, "Unknown" }},
		{"invited into an organization", "si", `,"organization_id":"org_1","user_id":"u","details":{"invitation":{"roles":["r"]}}`, func(e schema.Event) (any, any) {
			return fmt.Sprint(e.ClassUID, e.Group.UID, e.Privileges, e.User.UID), "3006org_1[r]u"
		}},
		{"invited", "si", `,"user_id":"u"`, func(e schema.Event) (any, any) { return e.ActivityName, "Invitation Accepted" }},
		{"SCIM create", "sscim", `,"details":{"request":{"method":"POST","path":"/scim/v2/connections/c/Users","body":{"userName":"a@b.cd"}}}`, func(e schema.Event) (any, any) {
			return e.TypeName + e.User.EmailAddr, "Account Change: Createa@b.cd"
		}},
		{"SCIM disable", "sscim", `,"details":{"request":{"method":"PATCH","path":"/scim/v2/Users/u%7C1","body":{"Operations":[{"op":"Replace","path":"active","value":"False"}]}}}`, func(e schema.Event) (any, any) {
			return e.TypeName + e.User.UID, "Account Change: Disableu|1"
		}},
		{"SCIM members", "sscim", `,"details":{"request":{"method":"PATCH","path":"/scim/v2/Groups/g1","body":{"Operations":[{"op":"add","path":"members","value":[{"value":"u1"}]}]}}}`, func(e schema.Event) (any, any) {
			return e.TypeName + e.User.UID + e.Group.UID, "Group Management: Add Useru1g1"
		}},
		{"SCIM group", "sscim", `,"details":{"request":{"method":"DELETE","path":"/scim/v2/Groups/g1"}}`, func(e schema.Event) (any, any) {
			return e.TypeName + e.Entity.UID, "Entity Management: Deleteg1"
		}},
		{"SSO step", "ss_sso_success", `,"connection_id":"con_1","details":{"ss_sso_event_name":"enable_connection"}`, func(e schema.Event) (any, any) {
			return e.TypeName + e.Entity.UID, "Entity Management: Enablecon_1"
		}},
		{"own factor", "my_account_authentication_method_succeeded", `,"user_id":"u","details":{"request":{"method":"DELETE"}}`, func(e schema.Event) (any, any) {
			return e.ActivityName + e.Actor.User.UID, "MFA Factor Disableu"
		}},
		{"MFA off for all", "sapi", `,"details":{"request":{"method":"put","path":"/api/v2/guardian/policies","body":[]}}`, func(e schema.Event) (any, any) {
			return e.StatusDetail, "MFA_POLICY_DISABLED"
		}},
		{"body as JSON text", "sapi", `,"details":{"request":{"method":"patch","path":"/api/v2/users/u","body":"{\"blocked\":true}"}}`, func(e schema.Event) (any, any) {
			return e.ActivityName, "Disable"
		}},
		{"masked body", "sapi", `,"details":{"request":{"method":"patch","path":"/api/v2/users/u","body":"*****"}}`, func(e schema.Event) (any, any) {
			return e.ActivityName, "Profile Update"
		}},
		{"changed fields", "sapi", `,"details":{"request":{"method":"patch","path":"/api/v2/users/u","body":{"name":"n","email":"e"}}}`, func(e schema.Event) (any, any) {
			return e.Metadata.Labels, []string{"field:name", "field:email"}
		}},
		{"rest", "s", `,"auth0_client":{"name":"x","env":{"node":"1.0"}},"security_context":{"ja3":"j"},"new":null`, func(e schema.Event) (any, any) {
			return fmt.Sprint(e.Unmapped), "map[auth0_client.env.node:1.0 auth0_client.name:x security_context.ja3:j]"
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := mapLine(t, schema.KindAuth0Log, auth0Line(t, tt.code, tt.more))
			if got.Error != "" {
				t.Fatal(got.Error)
			}
			if g, w := tt.check(got.Events[0]); fmt.Sprint(g) != fmt.Sprint(w) {
				t.Errorf("got %v, want %v", g, w)
			}
		})
	}
}

func TestAuth0Time(t *testing.T) {
	tests := []struct{ date, want, label string }{
		{`"2026-11-19T08:30:00.123Z"`, "2026-11-19T08:30:00.123Z", ""},
		{`"2026-11-19T08:30:00+02:00"`, "2026-11-19T06:30:00Z", ""},
		{`"yesterday"`, "2026-11-20T12:00:00Z", "time:landed"},
		{`{"$date":1}`, "2026-11-20T12:00:00Z", "time:landed"},
		{`null`, "2026-11-20T12:00:00Z", "time:landed"},
		{`"2099-01-01T00:00:00Z"`, "2099-01-01T00:00:00Z", "time:out_of_range"},
		{`"1999-01-01T00:00:00Z"`, "1999-01-01T00:00:00Z", "time:out_of_range"},
	}
	for _, tt := range tests {
		got := mapLine(t, schema.KindAuth0Log, []byte(`{"log_id":"1","type":"s","date":`+tt.date+`}`))
		e := got.Events[0]
		if at := e.TimeDT.Format(time.RFC3339Nano); at != tt.want || e.Time != e.TimeDT.UnixMilli() {
			t.Errorf("date %s: time_dt %s, time %d, want %s", tt.date, at, e.Time, tt.want)
		}
		if labels := strings.Join(e.Metadata.Labels, ","); labels != tt.label {
			t.Errorf("date %s: labels %q, want %q", tt.date, labels, tt.label)
		}
	}
}

func TestAuth0Unmappable(t *testing.T) {
	tests := []struct {
		kind       schema.Kind
		line, want string
	}{
		{schema.KindAuth0Log, `[]`, "no JSON object"},
		{schema.KindAuth0Log, `"s"`, "no JSON object"},
		{schema.KindAuth0Log, ``, "no JSON"},
		{schema.KindAuth0Log, `{"type":`, "no JSON"},
		{schema.KindAuth0Log, `{}`, "neither type nor log_id"},
		{schema.KindAuth0Log, `{"type":"","log_id":null,"_id":{}}`, "neither type nor log_id"},
		{schema.KindAuth0Log, strings.Repeat("[", 1<<20), "no JSON"},
		{schema.KindAuth0Log, `{"type":"s","x":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}`, "nested too deep"},
		{schema.KindAuth0Log, `{"idtrail_unparsed":{"reason":"cut off"}}`, "cut off"},
		{schema.KindUnparsed, `{"idtrail_unparsed":{"reason":"cut off","text":"{"}}`, "cut off"},
		{schema.KindUnparsed, `7`, "no reason"},
		{schema.KindAuth0User, `{"email":"a@b.cd"}`, "no user_id"},
		{schema.KindAuth0User, `{"user_id":" "}`, "no user_id"},
		{schema.KindAuth0User, `null`, "no JSON object"},
		{schema.KindAuth0User, `{"idtrail_unparsed":{"reason":"cut off"}}`, "cut off"},
		{"okta", `{}`, "kind"},
	}
	for _, tt := range tests {
		_, err := goldenMapper().Map(tt.kind, []byte(tt.line), landed)
		if !errors.Is(err, transform.ErrUnmappable) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s %.40s: error %v, want %q", tt.kind, tt.line, err, tt.want)
		}
	}
	got := mapLine(t, schema.KindAuth0Log, []byte(`{"type":"s"}`))
	if got.Error != "" || !strings.HasPrefix(got.Events[0].Metadata.UID, "sha256:") {
		t.Errorf("a record without an id: %+v", got)
	}
}

// Nothing of a secret comes through, whatever field it would go to.
func TestAuth0NoSecretComesThrough(t *testing.T) {
	const secret = "S3cr3tV4lue"
	inputs, err := filepath.Glob("testdata/auth0_*/secrets*.out.json")
	if err != nil || len(inputs) == 0 {
		t.Fatalf("no golden files of secrets: %v", err)
	}
	for _, path := range inputs {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		in, err := os.ReadFile(strings.TrimSuffix(path, ".out.json") + ".in.json")
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(in, []byte(secret)) || bytes.Contains(text, []byte(secret)) {
			t.Errorf("%s: a secret comes through, or none was there", path)
		}
	}
}

func FuzzAuth0Log(f *testing.F) {
	seedGolden(f, "testdata/auth0_log/*.in.json")
	for _, details := range auth0Details {
		f.Add([]byte(`{"log_id":"900","date":"2026-11-19T08:30:00.123Z","type":"sapi"` + details + `}`))
	}
	f.Fuzz(func(t *testing.T, line []byte) { mapLine(t, schema.KindAuth0Log, line) })
}

func FuzzAuth0User(f *testing.F) {
	seedGolden(f, "testdata/auth0_user/*.in.json")
	f.Fuzz(func(t *testing.T, line []byte) {
		got := mapLine(t, schema.KindAuth0User, line)
		if got.Error == "" && (len(got.Users) != 1 || got.Users[0].UserID == "") {
			t.Errorf("%d users, or one without an id", len(got.Users))
		}
	})
}

func seedGolden(f *testing.F, pattern string) {
	f.Helper()
	inputs, err := filepath.Glob(pattern)
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range inputs {
		seed, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(seed)
	}
}

func BenchmarkMapAuth0(b *testing.B) {
	m := goldenMapper()
	for _, name := range []string{"login", "sapi_block_user"} {
		line, err := os.ReadFile("testdata/auth0_log/" + name + ".in.json")
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(line)))
			for b.Loop() {
				if _, err := m.Map(schema.KindAuth0Log, line, landed); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

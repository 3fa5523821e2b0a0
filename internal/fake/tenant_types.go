package fake

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"time"
)

// logType is a code with how often it occurs and what its record is like.
type logType struct {
	code   string
	weight int
	fill   func(g *logMaker)
}

// logTypes are the codes a company sees every day.
var logTypes = []logType{
	{"s", 210, signIn},
	{"seacft", 140, exchange},
	{"ssa", 110, silent},
	{"sertft", 140, refresh},
	{"seccft", 60, machine},
	{"fp", 70, failed("Wrong email or password.")},
	{"fu", 25, failed("Wrong email or password.")},
	{"f", 20, failed("Access denied by an action.")},
	{"fsa", 15, silentFailed},
	{"slo", 50, signOut},
	{"sapi", 60, managementCall},
	{"mgmt_api_read", 6, secretRead},
	{"fapi", 2, managementFailed},
	{"scp", 8, plainEvent("Password changed")},
	{"scpr", 8, resetRequested},
	{"ss", 8, signUp},
	{"sv", 6, plainEvent("E-mail verified")},
	{"cls", 6, magicLink},
	{"gd_start_auth", 12, factorEvent("Second factor started")},
	{"gd_auth_succeed", 12, factorEvent("Second factor passed")},
	{"gd_auth_failed", 4, factorEvent("Second factor failed")},
	{"gd_send_sms", 5, factorEvent("Text message sent")},
	{"gd_send_pn", 5, factorEvent("Push notification sent")},
	{"gd_enrollment_complete", 3, factorEvent("Enrolled")},
	{"gd_unenroll", 2, factorEvent("Factor removed")},
	{"gd_recovery_succeed", 1, factorEvent("Recovery code used")},
	{"mfar", 6, plainEvent("Second factor required")},
	{"limit_wc", 3, lockout("brute force")},
	{"limit_mu", 1, lockout("many users, one address")},
	{"limit_sul", 1, lockout("too many sign-ins")},
	{"pwd_leak", 2, lockout("breached password")},
	{"signup_pwd_leak", 1, lockout("breached password")},
	{"ublkdu", 1, plainEvent("Block released")},
	{"organization_member_added", 3, member},
	{"sdu", 2, plainEvent("User deleted")},
	{"sce", 1, plainEvent("E-mail changed")},
	{"scu", 1, plainEvent("User name changed")},
	{"feccft", 3, machineFailed},
	{"fertft", 3, failed("Unknown or invalid refresh token.")},
	{"ferrt", 1, failed("Refresh token was used again.")},
	{"depnote", 2, tenantEvent("A feature in use goes away")},
	{"api_limit", 1, tenantEvent("Limit of the Management API hit")},
	{"w", 3, plainEvent("Possible user impersonation")},
	{"seotpft", 2, exchange},
	{"sepft", 3, exchange},
	{"sede", 1, exchange},
	{"passkey_challenge_started", 1, plainEvent("Passkey asked for")},
	{"kms_key_state_changed", 1, tenantEvent("Key rotated")},
	{"fui", 1, tenantEvent("Import of users failed")},
}

var logWeights = func() (sum int) {
	for _, t := range logTypes {
		sum += t.weight
	}
	return sum
}()

// pickType draws a code by its weight.
func pickType(r *rand.Rand) logType {
	n := r.IntN(logWeights)
	for _, t := range logTypes {
		if n -= t.weight; n < 0 {
			return t
		}
	}
	return logTypes[0]
}

func (g *logMaker) fill(t logType) {
	g.rec.Type = t.code
	t.fill(g)
}

func signIn(g *logMaker) {
	g.asUser()
	g.describe("Successful login")
	begin := g.t.Begin().UnixMilli() + int64(g.i)
	details := map[string]any{
		"prompts": []any{map[string]any{
			"name": "login", "initiatedAt": begin, "completedAt": begin + 900, "identity": g.rec.IdentityUser, "connection": g.rec.Connection,
			"stats": map[string]any{"loginsCount": 1 + g.i%90}, "elapsedTime": 900,
		}},
		"initiatedAt": begin, "completedAt": begin + 1200, "elapsedTime": 1200, "session_id": g.t.hash(32, "session", g.i),
		"stats": map[string]any{"loginsCount": 1 + g.i%90}, "actions": map[string]any{"executions": []string{g.t.hash(24, "action", g.i)}},
	}
	if g.i%6 == 0 {
		details["prompts"] = append(details["prompts"].([]any), map[string]any{ //nolint:forcetypeassert // made four lines above
			"name": "mfa", "performed_amr": []string{"mfa"}, "performed_acr": []string{"http://schemas.openid.net/pape/policies/2007/06/multi-factor"},
		})
	}
	g.rec.Details, g.rec.Auth0Client = details, map[string]any{"name": "auth0-spa-js", "version": "2.1.3"}
	if g.i%7 == 0 {
		g.rec.Organization, g.rec.OrgName = "org_nwCustomer"+fmt.Sprint(g.i%5), fmt.Sprintf("customer-%d", g.i%5)
	}
}

func exchange(g *logMaker) {
	g.asUser()
	g.describe("Authorization Code for Access Token")
	g.rec.Scope, g.rec.Audience = "openid profile email offline_access", "https://api.northwind.example/"
	g.rec.Details = map[string]any{"code": "*************" + g.t.hash(3, "code", g.i)}
	g.rec.References = map[string]string{"trace_id": g.t.hash(32, "trace", g.i)}
}

func refresh(g *logMaker) {
	g.asUser()
	g.describe("Refresh Token for Access Token")
	g.rec.Scope, g.rec.Audience = "openid profile", "https://api.northwind.example/"
}

func silent(g *logMaker) {
	g.asUser()
	g.describe("")
	g.rec.Details = map[string]any{"session_id": g.t.hash(32, "session", g.i)}
}

func silentFailed(g *logMaker) {
	g.asApp()
	g.describe("Login required")
	g.rec.Details = map[string]any{"error": map[string]any{"message": "Login required", "oauthError": "login_required", "type": "oauth-authorization"}}
}

func machine(g *logMaker) {
	g.rec.UserID, g.rec.UserName = "", ""
	g.rec.ClientID, g.rec.ClientName, g.rec.Hostname = apps[3].id, apps[3].name, TenantHost
	g.rec.Audience, g.rec.Scope = "https://"+TenantHost+"/api/v2/", "read:users read:logs"
	g.describe("Client Credentials for Access Token")
}

func machineFailed(g *logMaker) {
	machine(g)
	g.describe("Unauthorized")
	g.rec.Details = map[string]any{"error": map[string]any{"message": "Unauthorized", "oauthError": "access_denied"}}
}

func failed(reason string) func(g *logMaker) {
	return func(g *logMaker) {
		g.asUser()
		g.describe(reason)
		if g.rec.Type == "fu" {
			g.rec.UserID, g.rec.UserName, g.rec.IdentityUser = "", "nobody."+fmt.Sprint(g.i)+"@elsewhere.example", ""
		}
		g.rec.Details = map[string]any{"error": map[string]any{"message": reason}}
	}
}

func signOut(g *logMaker) {
	g.asUser()
	g.describe("User successfully logged out")
	g.rec.Details = map[string]any{"return_to": "https://portal.northwind.example/", "session_id": g.t.hash(32, "session", g.i)}
}

func signUp(g *logMaker) {
	g.asUser()
	g.describe("")
	g.rec.Details = map[string]any{"body": map[string]any{
		"email": g.user.email, "password": g.t.secret(secretPassword, g.i), "tenant": TenantName, "connection": DatabaseName,
	}}
}

func resetRequested(g *logMaker) {
	g.asUser()
	g.describe("Change password request")
	g.rec.Details = map[string]any{
		"email": g.user.email, "resetUrl": g.t.secretURL(secretReset, g.i),
		"body": map[string]any{"email": g.user.email, "connection": DatabaseName, "debug": true},
	}
}

func magicLink(g *logMaker) {
	g.asUser()
	g.rec.Strategy, g.rec.Connection, g.rec.StrategyType = "email", "email", "passwordless"
	g.describe("Link sent")
	g.rec.Details = map[string]any{"email": g.user.email, "link": g.t.secretURL(secretMagic, g.i)}
}

func plainEvent(description string) func(g *logMaker) {
	return func(g *logMaker) {
		g.asUser()
		g.describe(description)
		g.rec.Details = map[string]any{"email": g.user.email, "elapsedTime": g.i % 700}
	}
}

func tenantEvent(description string) func(g *logMaker) {
	return func(g *logMaker) {
		g.describe(description)
		g.rec.ClientID = pick(g.r, apps).id
		g.rec.Details = map[string]any{"response": "text", "stats": []any{map[string]any{"n": g.i % 10}}}
	}
}

func factorEvent(description string) func(g *logMaker) {
	return func(g *logMaker) {
		g.asUser()
		g.describe(description)
		g.rec.Details = map[string]any{
			"authenticator": map[string]any{"type": pick(g.r, []string{"push", "sms", "otp", "webauthn-roaming"})},
			"enrollment":    map[string]any{"id": "dev_" + g.t.hash(16, "device", g.user.index), "name": "phone"},
			"device_id":     "dev_" + g.t.hash(16, "device", g.user.index),
			"request":       map[string]any{"ip": g.rec.IP, "method": "POST", "path": "/api/verify-otp", "body": map[string]any{"code": "*****"}},
		}
	}
}

func lockout(reason string) func(g *logMaker) {
	return func(g *logMaker) {
		g.asUser()
		g.describe(reason)
		g.rec.Details = []map[string]any{{"identifier": g.user.email, "ip": g.rec.IP, "reason": reason}}
	}
}

func member(g *logMaker) {
	g.asUser()
	g.rec.Organization, g.rec.OrgName = "org_nwCustomer1", "customer-1"
	g.describe("Member added")
	g.rec.Details = map[string]any{"operation": "member_added", "member": map[string]any{"user_id": g.rec.UserID}}
}

// route is a call of the Management API.
type route struct {
	method, path string
	body, answer map[string]any
	status       int
}

// routes are what administrators do, about the user with this id.
func (g *logMaker) routes(id string) []route {
	at, n := "/api/v2/users/"+url.PathEscape(id), g.i
	list := []string{id, g.t.auth0ID((g.user.index+1)%len(g.t.cases), "")}
	return []route{
		{"POST", "/api/v2/users", map[string]any{"email": g.user.email, "connection": DatabaseName, "password": g.t.secret(secretPassword, n)}, map[string]any{"user_id": id, "email": g.user.email}, 201},
		{"PATCH", at, map[string]any{"blocked": true}, map[string]any{"user_id": id, "blocked": true}, 200},
		{"PATCH", at, map[string]any{"blocked": false}, map[string]any{"user_id": id, "blocked": false}, 200},
		{"PATCH", "/api/v2/users/" + id, map[string]any{"password": g.t.secret(secretPassword, n), "connection": DatabaseName}, map[string]any{"user_id": id}, 200},
		{"PATCH", at, map[string]any{"app_metadata": map[string]any{"department": "finance"}}, map[string]any{"user_id": id}, 200},
		{"PATCH", at, map[string]any{"email": "new." + g.user.email, "verify_email": true}, map[string]any{"user_id": id}, 200},
		{"DELETE", at, nil, nil, 204},
		{"POST", at + "/roles", map[string]any{"roles": []string{"rol_nwAdmins00000001"}}, nil, 204},
		{"DELETE", at + "/roles", map[string]any{"roles": []string{"rol_nwAdmins00000001"}}, nil, 204},
		{"POST", "/api/v2/roles/rol_nwAdmins00000001/users", map[string]any{"users": list}, nil, 200},
		{"POST", "/api/v2/organizations/org_nwCustomer1/members", map[string]any{"members": list}, nil, 204},
		{"DELETE", "/api/v2/organizations/org_nwCustomer1/members", map[string]any{"members": list[:1]}, nil, 204},
		{"POST", "/api/v2/roles", map[string]any{"name": "auditors"}, map[string]any{"id": "rol_nwAuditors000001", "name": "auditors"}, 200},
		{"POST", "/api/v2/tickets/password-change", map[string]any{"user_id": id}, map[string]any{"ticket": g.t.secretURL(secretTicket, n)}, 201},
		{"POST", at + "/recovery-code-regeneration", nil, map[string]any{"recovery_code": g.t.secret(secretRecovery, n)}, 200},
		{"DELETE", at + "/multifactor/google-authenticator", nil, nil, 204},
		{"DELETE", at + "/authentication-methods", nil, nil, 204},
		{"POST", "/api/v2/clients", map[string]any{"name": "New app"}, map[string]any{"client_id": "nwNew00000000000000000000000abcd", "client_secret": g.t.secret(secretClient, n)}, 201},
		{"PATCH", "/api/v2/connections/con_nwOther00000001", map[string]any{"options": map[string]any{"client_id": "g", "client_secret": g.t.secret(secretConnection, n)}}, map[string]any{"id": "con_nwOther00000001"}, 200},
		{"PATCH", "/api/v2/attack-protection/brute-force-protection", map[string]any{"enabled": false}, map[string]any{"enabled": false}, 200},
		{"PUT", "/api/v2/guardian/factors/sms", map[string]any{"enabled": true}, map[string]any{"enabled": true}, 200},
		{"POST", "/api/v2/jobs/users-exports", map[string]any{"format": "json"}, map[string]any{"id": "job_nw" + g.t.hash(12, "job", n), "status": "pending"}, 200},
		{"DELETE", "/api/v2/log-streams/lst_nw0000000000000001", nil, nil, 204},
		{"PATCH", "/api/v2/tenants/settings", map[string]any{"session_lifetime": 168}, map[string]any{"session_lifetime": 168}, 200},
		{"POST", "/api/v2/actions/actions", map[string]any{"name": "enrich", "code": "exports.onExecutePostLogin = async () => {};"}, map[string]any{"id": g.t.uuid("action", n)}, 201},
		{"POST", at + "/identities", map[string]any{"provider": "google-oauth2", "user_id": "10530"}, nil, 201},
		{"PUT", "/api/v2/something/new", map[string]any{"a": []int{1, 2}}, nil, 200},
	}
}

func managementCall(g *logMaker) {
	admin := g.t.person(g.user.index / 20 % len(g.t.cases))
	rt := pick(g.r, g.routes(g.userID(g.user)))
	g.call(admin, rt)
	g.describe(rt.method + " " + rt.path)
}

// call says that an administrator, or an application, made a call.
func (g *logMaker) call(admin person, rt route) {
	g.rec.ClientID, g.rec.ClientName, g.rec.Hostname = apps[0].id, "", TenantHost
	scopes := []string{"read:users", "update:users", "create:users", "delete:users", "update:users_app_metadata"}
	g.rec.Scope = scopes
	auth := map[string]any{
		"strategy":    "jwt",
		"user":        map[string]any{"user_id": g.userID(admin), "email": admin.email, "name": admin.given + " " + admin.family},
		"credentials": map[string]any{"scopes": scopes, "jti": g.t.hash(32, "jti", g.i)},
	}
	g.rec.UserID = g.userID(admin)
	if g.i%3 == 0 {
		// An application of its own has no user.
		g.rec.UserID = nil
		delete(auth, "user")
	}
	g.rec.Details = map[string]any{
		"request": map[string]any{
			"method": rt.method, "path": rt.path, "query": map[string]any{}, "body": rt.body, "ip": g.rec.IP,
			"userAgent": "Mozilla/5.0 (X11; Linux x86_64)", "channel": "https://manage.auth0.com/", "auth": auth,
		},
		"response": map[string]any{"statusCode": rt.status, "body": rt.answer},
	}
	g.rec.References = map[string]string{"correlation_id": g.t.hash(16, "correlation", g.i)}
}

func managementFailed(g *logMaker) {
	g.call(g.user, route{"PATCH", "/api/v2/users/" + g.userID(g.user), map[string]any{"email": "x"}, map[string]any{
		"statusCode": 400, "error": "Bad Request", "message": "Payload validation error", "errorCode": "invalid_body",
	}, 400})
	g.describe("Failed API operation")
}

func secretRead(g *logMaker) {
	g.call(g.user, route{"GET", "/api/v2/clients/" + apps[1].id, nil, map[string]any{
		"client_id": apps[1].id, "refresh_token": g.t.secret(secretRefresh, g.i),
	}, 200})
	details, _ := json.Marshal(g.rec.Details)
	g.rec.Details = json.RawMessage(append(details[:len(details)-1], `,"accessedSecrets":["client_secret"]}`...))
	g.describe("Read of a client with its secret at " + g.t.End().Format(time.DateOnly))
}

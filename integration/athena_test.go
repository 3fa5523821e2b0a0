package integration_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/idtrail/idtrail/integration/harness"
	"github.com/idtrail/idtrail/internal/athena"
	"github.com/idtrail/idtrail/schema"
)

// find is what the audit queries have to find in a lake: by the name of the
// query, the rows in any order, each as the values of its columns that [shown]
// names.
type find map[string][]string

// shown are the columns of each query that findings are compared by.
var shown = map[string]string{
	"admins_without_mfa":  "source user_name mfa",
	"changes":             "uid",
	"disabled_but_active": "disabled_in user_name seen_in sign_ins",
	"dormant_accounts":    "source user_name",
	"failed_logins":       "source user_name failures",
	"guess_then_success":  "user_name source ip failures from_same_address",
	"integrity":           "finding source detail n",
	"mfa_removed":         "uid concerns",
	"new_country":         "user_name country known_countries",
	"open_drift":          "type left_name right_name",
	"own_runs":            "source trace detail n",
	"password_spray":      "ip users_failed failures users_in names_in",
	"person_timeline":     "uid",
	"privileges_granted":  "uid to_whom what",
	"protection_off":      "uid finding",
	"secrets_accessed":    "uid finding",
}

// plants are the records of a company in the vendors' own forms: what goes on
// every day, and findings planted among it.
type plants struct {
	logs, trail, users, pool []string
	again                    []string // what a second source of logs has
	// gaps of the logs: files have none, so these lie in the lake beforehand.
	gaps []schema.Gap
	n    int
}

// ago is a time of one of the last days.
func ago(days int, clock string) string {
	return time.Now().UTC().AddDate(0, 0, -days).Format(time.DateOnly) + "T" + clock + "Z"
}

// log adds a record of a tenant, with more members, and returns its id.
func (p *plants) log(kind, when, user, ip string, more ...string) string {
	p.n++
	id := fmt.Sprintf("9002%052d", p.n)
	text := fmt.Sprintf(`{"log_id":%q,"date":%q,"type":%q,"ip":%q,"tenant_name":"acme","client_id":"app1","client_name":"Shop"`, id, when, kind, ip)
	if user != "" {
		text += fmt.Sprintf(`,"user_id":"auth0|%s","user_name":"%s@acme.example"`, user, user)
	}
	p.logs = append(p.logs, text+strings.Join(append([]string{""}, more...), ",")+"}")
	return id
}

// login is a sign-in from a country.
func (p *plants) login(when, user, ip, country string) string {
	return p.log("s", when, user, ip, fmt.Sprintf(`"location_info":{"country_code":%q}`, country))
}

// api is a call of the Management API by the administrator.
func (p *plants) api(when, method, path, body string) string {
	return p.log("sapi", when, "", "198.51.100.9", `"user_id":"auth0|root"`, `"details":{"request":{"method":"`+method+`","path":"`+path+`","body":`+body+
		`,"auth":{"user":{"user_id":"auth0|root","name":"Root","email":"root@acme.example"}}},"response":{"statusCode":200,"body":{}}}`)
}

// call is an API call in AWS.
func (p *plants) call(when, name, sub, more string) string {
	p.n++
	id := fmt.Sprintf("e0000000-0000-4000-8000-%012d", p.n)
	service := "cognito-idp"
	if operation, ok := strings.CutPrefix(name, "iam:"); ok {
		service, name = "iam", operation
	}
	identity := `{"type":"IAMUser","principalId":"AIDAOPS","arn":"arn:aws:iam::123456789012:user/ops","accountId":"123456789012","userName":"ops"}`
	if name == "InitiateAuth" {
		identity = `{"type":"Unknown","principalId":"Anonymous"}`
	}
	text := fmt.Sprintf(`{"eventVersion":"1.11","userIdentity":%s,"eventTime":%q,"eventSource":"%s.amazonaws.com","eventName":%q,"awsRegion":"eu-west-1",`+
		`"sourceIPAddress":"203.0.113.7","eventID":%q,"eventType":"AwsApiCall","recipientAccountId":"123456789012","eventCategory":"Management"`,
		identity, when, service, name, id)
	if sub != "" {
		text += fmt.Sprintf(`,"additionalEventData":{"sub":%q}`, sub)
	}
	if !strings.Contains(more, "userAgent") {
		text += `,"userAgent":"aws-cli/2.17.0"`
	}
	if more != "" {
		text += "," + more
	}
	p.trail = append(p.trail, text+"}")
	return id
}

// user is an account of the tenant; more is members of the export's line.
func (p *plants) user(name, roles, more string) {
	p.users = append(p.users, fmt.Sprintf(`{"user":{"user_id":"auth0|%[1]s","email":"%[1]s@acme.example","email_verified":true,"created_at":"2020-01-01T00:00:00Z",`+
		`"updated_at":"2020-01-01T00:00:00Z","identities":[{"connection":"db","user_id":%[1]q,"provider":"auth0","isSocial":false}]%[3]s},"roles":[%[2]s]}`,
		name, roles, more))
}

// twin is the account of the same person in the pool.
func (p *plants) twin(name, sub, groups, mfa string) {
	p.pool = append(p.pool, fmt.Sprintf(`{"user":{"Username":%[1]q,"Attributes":[{"Name":"sub","Value":%[2]q},{"Name":"email","Value":"%[1]s@acme.example"},`+
		`{"Name":"email_verified","Value":"true"}],"Enabled":true,"UserStatus":"CONFIRMED","UserCreateDate":1577836800,"UserLastModifiedDate":1577836800},`+
		`"groups":[%[3]s],"mfa":{"UserMFASettingList":[%[4]s]}}`, name, sub, groups, mfa))
}

const (
	adaSub  = "a0000000-0000-4000-8000-0000000000a1"
	rootSub = "a0000000-0000-4000-8000-0000000000f1"
	bobSub  = "a0000000-0000-4000-8000-0000000000b1"
)

// everyday is what goes on where nothing is wrong.
func everyday() *plants {
	p := &plants{}
	for days := 1; days <= 20; days += 3 {
		p.login(ago(days, "08:00:00"), "ada", "192.0.2.1", "GB")
		p.login(ago(days, "08:05:00"), "bob", "192.0.2.2", "DE")
		p.login(ago(days, "08:10:00"), "root", "192.0.2.3", "DE")
		p.call(ago(days, "09:00:00"), "InitiateAuth", adaSub, `"requestParameters":{"clientId":"c1"},"responseElements":{"authenticationResult":"HIDDEN_DUE_TO_SECURITY_REASONS"}`)
		p.call(ago(days, "09:05:00"), "InitiateAuth", bobSub, `"requestParameters":{"clientId":"c1"},"responseElements":{"authenticationResult":"HIDDEN_DUE_TO_SECURITY_REASONS"}`)
	}
	// A typing error or two, an own password changed, a token renewed, users read.
	p.log("fp", ago(4, "07:59:00"), "ada", "192.0.2.1")
	p.log("fp", ago(4, "07:59:30"), "ada", "192.0.2.1")
	// Names that were mistyped are hidden, and not all that succeeds is named:
	// nobody knows that it is one person.
	for n := range 6 {
		p.call(ago(4, fmt.Sprintf("07:5%d:00", n)), "InitiateAuth", "", `"errorCode":"UserNotFoundException","errorMessage":"User does not exist."`)
	}
	p.call(ago(4, "08:10:00"), "InitiateAuth", "", `"responseElements":{"authenticationResult":"HIDDEN_DUE_TO_SECURITY_REASONS"}`)
	p.log("scp", ago(4, "10:00:00"), "bob", "192.0.2.2")
	p.log("sertft", ago(4, "11:00:00"), "bob", "192.0.2.2")
	p.log("gd_enrollment_complete", ago(4, "11:30:00"), "bob", "192.0.2.2")
	p.call(ago(4, "12:00:00"), "ListUsers", "", `"readOnly":true`)
	recent := `,"last_login":"` + ago(1, "08:00:00") + `","multifactor":["guardian"]`
	p.user("ada", "", recent)
	p.user("bob", `{"id":"rol_1","name":"support"}`, recent)
	p.user("root", `{"id":"rol_2","name":"admins"}`, recent)
	p.twin("ada", adaSub, "", `"SOFTWARE_TOKEN_MFA"`)
	p.twin("bob", bobSub, `"support"`, `"SOFTWARE_TOKEN_MFA"`)
	p.twin("root", rootSub, `"admins"`, `"SOFTWARE_TOKEN_MFA"`)
	p.call(ago(4, "09:10:00"), "InitiateAuth", rootSub, `"requestParameters":{"clientId":"c1"},"responseElements":{"authenticationResult":"HIDDEN_DUE_TO_SECURITY_REASONS"}`)
	return p
}

// plant adds a finding for every query, and returns what each has to find.
func (p *plants) plant() find {
	f := find{}
	found := func(query string, values ...any) {
		row := make([]string, len(values))
		for i, v := range values {
			row[i] = fmt.Sprint(v)
		}
		f[query] = append(f[query], strings.Join(row, " | "))
	}
	changed := func(id string) string { found("changes", id); return id }

	// Twelve users from one address, one of whom it gets in as.
	for n := range 12 {
		p.log("fp", ago(3, fmt.Sprintf("01:00:%02d", n)), fmt.Sprintf("victim%d", n), "203.0.113.66")
	}
	p.login(ago(3, "01:01:00"), "victim7", "203.0.113.66", "DE")
	found("password_spray", "203.0.113.66", 12, 12, 1, "victim7@acme.example")
	// Six tries at ada in half an hour, on both systems, then in. The two of the
	// day before are none of them.
	for n := range 3 {
		p.log("fp", ago(2, fmt.Sprintf("02:%02d:00", 10*n)), "ada", "203.0.113.77")
		p.call(ago(2, fmt.Sprintf("02:%02d:30", 10*n)), "InitiateAuth", adaSub, `"errorCode":"NotAuthorizedException","errorMessage":"Incorrect username or password."`)
	}
	p.login(ago(2, "02:30:00"), "ada", "203.0.113.77", "GB")
	found("guess_then_success", "ada@acme.example", "logs", "203.0.113.77", 6, true)
	found("failed_logins", "logs", "ada@acme.example", 3)
	found("failed_logins", "trail", "ada", 3)
	// Bob signs in from afar.
	p.login(ago(1, "03:00:00"), "bob", "203.0.113.88", "BR")
	found("new_country", "bob@acme.example", "BR", "DE")

	// Factors.
	found("mfa_removed", p.log("gd_unenroll", ago(5, "10:00:00"), "ada", "192.0.2.1"), "user")
	found("mfa_removed", changed(p.api(ago(5, "10:01:00"), "delete", "/api/v2/users/auth0%7Cbob/authenticators", "{}")), "user")
	off := `"requestParameters":{"userPoolId":"eu-west-1_P","sMSMfaSettings":{"enabled":false},"softwareTokenMfaSettings":{"enabled":false}}`
	found("mfa_removed", changed(p.call(ago(5, "10:02:00"), "AdminSetUserMFAPreference", bobSub, off)), "user")
	found("mfa_removed", changed(p.api(ago(5, "10:03:00"), "put", "/api/v2/guardian/policies", "[]")), "everybody")
	id := changed(p.call(ago(5, "10:04:00"), "SetUserPoolMfaConfig", "", `"requestParameters":{"userPoolId":"eu-west-1_P","mfaConfiguration":"OFF"}`))
	found("mfa_removed", id, "everybody")
	found("protection_off", id, "disabled: MFA configuration")

	// Protection.
	for _, c := range []struct{ method, path, body, finding string }{
		{"patch", "/api/v2/attack-protection/brute-force-protection", `{"enabled":false}`, "disabled: Attack protection brute-force-protection"},
		{"patch", "/api/v2/attack-protection/breached-password-detection", `{"enabled":true}`, ""},
		{"delete", "/api/v2/log-streams/lst_1", "{}", "log stream stopped"},
		{"patch", "/api/v2/log-streams/lst_2", `{"status":"paused"}`, "log stream stopped"},
		{"patch", "/api/v2/log-streams/lst_2", `{"name":"renamed"}`, ""},
		{"patch", "/api/v2/actions/triggers/post-login/bindings", `{"bindings":[]}`, "triggers bound anew"},
		{"delete", "/api/v2/actions/actions/act_1", "{}", "action, rule or hook removed"},
		{"patch", "/api/v2/tenants/settings", `{"session_lifetime":720}`, "tenant settings changed"},
	} {
		id := changed(p.api(ago(6, fmt.Sprintf("10:00:%02d", p.n%60)), c.method, c.path, c.body))
		if c.finding != "" {
			found("protection_off", id, c.finding)
		}
	}
	found("protection_off", changed(p.call(ago(6, "11:00:00"), "UpdateUserPool", "", `"requestParameters":{"userPoolId":"eu-west-1_P","lambdaConfig":{}}`)), "settings of a pool or app replaced")
	found("protection_off", changed(p.call(ago(6, "11:01:00"), "SetLogDeliveryConfiguration", "", `"requestParameters":{"userPoolId":"eu-west-1_P","logConfigurations":[]}`)), "log delivery of a pool changed")

	// Privileges.
	found("privileges_granted", changed(p.api(ago(7, "10:00:00"), "post", "/api/v2/users/auth0%7Cbob/roles", `{"roles":["rol_2"]}`)), "bob@acme.example", "rol_2")
	found("privileges_granted", changed(p.call(ago(7, "10:01:00"), "AdminAddUserToGroup", bobSub, `"requestParameters":{"userPoolId":"eu-west-1_P","groupName":"admins"}`)), "bob", "admins")
	policy := `"requestParameters":{"userName":"eve","policyArn":"arn:aws:iam::aws:policy/AdministratorAccess"}`
	found("privileges_granted", changed(p.call(ago(7, "10:02:00"), "iam:AttachUserPolicy", "", policy)), "eve", "AdministratorAccess")
	changed(p.api(ago(7, "10:03:00"), "delete", "/api/v2/users/auth0%7Cbob/roles", `{"roles":["rol_2"]}`))

	// Secrets and exports, and idtrail's own.
	read := `"details":{"accessedSecrets":["client_secret"],"request":{"method":"get","path":"/api/v2/clients/app1"},"response":{"statusCode":200}}`
	found("secrets_accessed", p.log("mgmt_api_read", ago(7, "10:00:00"), "root", "198.51.100.9", read), "secret read")
	found("secrets_accessed", changed(p.api(ago(7, "10:01:00"), "post", "/api/v2/clients/app1/rotate-secret", "{}")), "client secret rotated or made")
	found("secrets_accessed", changed(p.api(ago(7, "10:02:00"), "post", "/api/v2/jobs/users-exports", `{"format":"json"}`)), "users exported")
	found("secrets_accessed", p.call(ago(7, "10:03:00"), "DescribeUserPoolClient", "", `"readOnly":true,"requestParameters":{"userPoolId":"eu-west-1_P","clientId":"c1"}`), "secret read")
	found("secrets_accessed", changed(p.call(ago(7, "10:04:00"), "iam:CreateAccessKey", "", `"requestParameters":{"userName":"eve"},"responseElements":{"accessKey":{"userName":"eve","accessKeyId":"AKIAEVE","status":"Active"}}`)), "access key made or changed")
	p.call(ago(7, "10:05:00"), "ListUserPoolClientSecrets", "", `"readOnly":true,"userAgent":"aws-sdk-go-v2 app/idtrail"`)
	found("own_runs", "trail", "call", "ListUserPoolClientSecrets", 1)

	// People.
	p.user("carl", "", `,"blocked":true,"last_login":"`+ago(9, "08:00:00")+`","multifactor":["guardian"]`)
	p.twin("carl", "a0000000-0000-4000-8000-0000000000c1", "", `"SOFTWARE_TOKEN_MFA"`)
	for _, clock := range []string{"08:00:00", "18:00:00"} {
		p.call(ago(9, clock), "InitiateAuth", "a0000000-0000-4000-8000-0000000000c1", `"responseElements":{"authenticationResult":"HIDDEN_DUE_TO_SECURITY_REASONS"}`)
	}
	found("disabled_but_active", "users", "carl@acme.example", "trail", 2)
	found("open_drift", "status", "carl@acme.example", "carl")
	p.user("dora", "", `,"last_login":"2021-05-05T00:00:00Z","multifactor":["guardian"]`)
	p.twin("dora", "a0000000-0000-4000-8000-0000000000d1", "", `"SOFTWARE_TOKEN_MFA"`)
	found("dormant_accounts", "users", "dora@acme.example")
	found("dormant_accounts", "pool", "dora")
	p.user("emil", `{"id":"rol_2","name":"Admins"}`, `,"last_login":"`+ago(1, "08:00:00")+`"`)
	p.twin("emil", "a0000000-0000-4000-8000-0000000000e1", `"owners"`, "")
	p.call(ago(2, "08:00:00"), "InitiateAuth", "a0000000-0000-4000-8000-0000000000e1", `"responseElements":{"authenticationResult":"HIDDEN_DUE_TO_SECURITY_REASONS"}`)
	found("admins_without_mfa", "users", "emil@acme.example", "not known")
	found("admins_without_mfa", "pool", "emil", "none")
	found("open_drift", "groups", "emil@acme.example", "emil") // his role, which the pool lacks
	found("open_drift", "groups", "emil@acme.example", "emil") // his group, which the tenant lacks

	// What makes the lake less than whole.
	p.logs = append(p.logs, `[1]`)
	found("integrity", "reject", "logs", "auth0 log: no JSON object: cannot be mapped", 1)
	twice := p.login(ago(10, "08:00:00"), "ada", "192.0.2.1", "GB")
	p.again = p.logs[len(p.logs)-1:]
	found("integrity", "duplicate", "again, logs", twice, 2)
	from := time.Now().UTC().AddDate(0, 0, -5).Truncate(time.Hour)
	lost := schema.Gap{Stream: "main", From: from, To: from.Add(time.Hour), Reason: "older than kept", DeclaredAt: from.Add(2 * time.Hour)}
	p.gaps = []schema.Gap{lost, lost} // a gap is shown once
	detail := fmt.Sprintf("%s to %s: older than kept", from.Format("2006-01-02 15:04:05+00"), from.Add(time.Hour).Format("2006-01-02 15:04:05+00"))
	found("integrity", "gap", "logs", detail, 1)
	return f
}

// lake runs all of it through the program, and returns the config's path.
func (p *plants) lake(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, lines := range map[string][]string{"logs": p.logs, "trail": p.trail, "users": p.users, "pool": p.pool, "again": p.again} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name, "1.ndjson"), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "idtrail.yaml")
	err := os.WriteFile(path, []byte(`
state: ./state
lake: ./lake
sources:
  - {name: logs, kind: archive, format: auth0_logs, path: ./logs}
  - {name: again, kind: archive, format: auth0_logs, path: ./again}
  - {name: trail, kind: archive, format: cloudtrail, path: ./trail}
  - {name: users, kind: archive, format: auth0_users, path: ./users}
  - {name: pool, kind: archive, format: cognito_users, path: ./pool}
reconcile:
  - {left: users, right: pool}
`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if out := harness.Idtrail(t, nil, "run", "-q", "-c", path); out.Code != 0 {
		t.Fatalf("run: exit code %d\n%s", out.Code, out.Stderr)
	}
	if len(p.gaps) > 0 {
		put(t, filepath.Join(dir, "lake"), "gaps/source=logs/dt="+ago(5, "")[:len(time.DateOnly)]+"/000000000001-000000000001.parquet", p.gaps...)
	}
	return path
}

// ask runs a query as the program prints it for DuckDB, and returns the rows as
// a [find] has them.
func ask(t *testing.T, config, query string, set ...string) []string {
	t.Helper()
	sql := printed(t, config, "--tables")
	args := []string{"--query", query}
	for _, s := range set {
		args = append(args, "--set", s)
	}
	rows := []string{}
	for _, row := range harness.DuckDB(t, sql+printed(t, config, args...)) {
		var values []string
		for column := range strings.FieldsSeq(shown[query]) {
			value, ok := row[column]
			if !ok {
				t.Fatalf("%s has no column %s: %v", query, column, row)
			}
			values = append(values, fmt.Sprint(value))
		}
		rows = append(rows, strings.Join(values, " | "))
	}
	slices.Sort(rows)
	return rows
}

func printed(t *testing.T, config string, args ...string) string {
	t.Helper()
	out := harness.Idtrail(t, nil, append([]string{"athena", "-c", config, "--dialect", "duckdb"}, args...)...)
	if out.Code != 0 {
		t.Fatalf("idtrail athena %v: exit code %d\n%s", args, out.Code, out.Stderr)
	}
	return out.Stdout
}

// snapshots are the rows of own_runs that every lake has.
func snapshots(t *testing.T, config string) []string {
	t.Helper()
	var rows []string
	for _, row := range harness.DuckDB(t, printed(t, config, "--tables")+`SELECT source, snapshot_id FROM snapshots`) {
		rows = append(rows, fmt.Sprint(row["source"], " | snapshot | ", row["snapshot_id"], " | 1"))
	}
	if len(rows) != 2 {
		t.Fatalf("got snapshots %v, want two", rows)
	}
	return rows
}

// sameRows compares sorted rows.
func sameRows(t *testing.T, what string, got, want []string) {
	t.Helper()
	if slices.Equal(got, want) {
		return
	}
	for _, row := range want {
		if !slices.Contains(got, row) {
			t.Errorf("%s: does not find %s", what, row)
		}
	}
	for _, row := range got {
		if !slices.Contains(want, row) {
			t.Errorf("%s: finds %s", what, row)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s: finds %d rows, want %d", what, len(got), len(want))
	}
}

// TestQueriesFindNothing runs every query over days on which nothing is wrong.
func TestQueriesFindNothing(t *testing.T) {
	config := everyday().lake(t)
	want := find{"own_runs": snapshots(t, config)}
	for _, q := range athena.Queries() {
		got := ask(t, config, q.Name)
		slices.Sort(want[q.Name])
		sameRows(t, q.Name, got, want[q.Name])
	}
}

// TestQueriesFindWhatIsPlanted runs every query over the same days with findings
// among them: each finds its own, and nothing else.
func TestQueriesFindWhatIsPlanted(t *testing.T) {
	p := everyday()
	want := p.plant()
	config := p.lake(t)
	want["own_runs"] = append(want["own_runs"], snapshots(t, config)...)
	for _, q := range athena.Queries() {
		t.Run(q.Name, func(t *testing.T) {
			if q.Name != "person_timeline" && len(want[q.Name]) == 0 {
				t.Fatal("nothing is planted for it")
			}
			got := ask(t, config, q.Name)
			slices.Sort(want[q.Name])
			sameRows(t, q.Name, got, want[q.Name])
		})
	}
	t.Run("timeline", func(t *testing.T) { timeline(t, p, config) })
	t.Run("parameters", func(t *testing.T) {
		if got := ask(t, config, "password_spray", "users=13"); len(got) != 0 {
			t.Errorf("13 users or more: got %v, want none", got)
		}
		if got := ask(t, config, "password_spray", "days=2"); len(got) != 0 {
			t.Errorf("in the last two days: got %v, want none", got)
		}
		if got := ask(t, config, "guess_then_success", "minutes=15"); len(got) != 0 {
			t.Errorf("within a quarter of an hour: got %v, want none", got)
		}
	})
}

// timeline asks for carl by any of his names: both accounts' events are his.
func timeline(t *testing.T, p *plants, config string) {
	var want []string
	for _, text := range append(slices.Clone(p.logs), p.trail...) {
		var r struct {
			ID  string `json:"eventID"`
			Log string `json:"log_id"`
		}
		if strings.Contains(text, "carl") || strings.Contains(text, "-0000000000c1") {
			if err := json.Unmarshal([]byte(text), &r); err != nil {
				t.Fatal(err)
			}
			want = append(want, r.ID+r.Log)
		}
	}
	slices.Sort(want)
	if len(want) < 2 {
		t.Fatalf("carl has %d events", len(want))
	}
	for _, name := range []string{"CARL@acme.example", "auth0|carl", "a0000000-0000-4000-8000-0000000000c1"} {
		sameRows(t, name, ask(t, config, "person_timeline", "user="+name), want)
	}
	if got := ask(t, config, "person_timeline", "user=o'brien' OR '1'='1"); len(got) != 0 {
		t.Errorf("a name that is no SQL: got %d rows, want none", len(got))
	}
}

// TestQueriesOnDemo runs every query over the demo's company, whose logs have all
// there is: those that must find something do.
func TestQueriesOnDemo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	if out := harness.Idtrail(t, nil, "demo", "--dir", dir, "--users", "200", "--logs", "8000"); out.Code != 0 {
		t.Fatalf("exit code %d\n%s\n%s", out.Code, out.Stdout, out.Stderr)
	}
	config := filepath.Join(dir, "idtrail.yaml")
	some := []string{
		"admins_without_mfa", "changes", "disabled_but_active", "dormant_accounts", "failed_logins", "mfa_removed",
		"open_drift", "own_runs", "privileges_granted", "protection_off", "secrets_accessed",
	}
	for _, q := range athena.Queries() {
		rows := ask(t, config, q.Name)
		if len(rows) == 0 && slices.Contains(some, q.Name) {
			t.Errorf("%s finds nothing", q.Name)
		}
		if columns := strings.Fields(shown[q.Name]); len(columns) == 1 && columns[0] == "uid" && len(slices.Compact(slices.Clone(rows))) != len(rows) {
			t.Errorf("%s finds events twice", q.Name)
		}
	}
}

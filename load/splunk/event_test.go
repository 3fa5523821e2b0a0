package splunk_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/idtrail/idtrail/load/loadtest"
	"github.com/idtrail/idtrail/load/splunk"
	"github.com/idtrail/idtrail/schema"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const token = "b7f1c3d0-secret-token"

func newSink(t testing.TB, change func(*splunk.Options)) *splunk.Sink {
	t.Helper()
	o := splunk.Options{Name: "hec", URL: "https://splunk.example:8088", Token: token}
	if change != nil {
		change(&o)
	}
	s, err := splunk.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// envelope is an envelope as a collector reads it.
type envelope struct {
	Time       json.Number       `json:"time"`
	Host       string            `json:"host"`
	Source     string            `json:"source"`
	Sourcetype string            `json:"sourcetype"`
	Index      string            `json:"index"`
	Event      map[string]any    `json:"event"`
	Fields     map[string]string `json:"fields"`
}

func read(t *testing.T, text []byte) envelope {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	var e envelope
	if err := d.Decode(&e); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return e
}

func envelopeOf(t *testing.T, s *splunk.Sink, e *schema.Event) envelope {
	t.Helper()
	text, _, err := s.Append(nil, e)
	if err != nil {
		t.Fatal(err)
	}
	return read(t, text)
}

// mapped returns the events that the mapping of a vendor's records gives.
func mapped(t *testing.T, name string) []*schema.Event {
	t.Helper()
	data, err := os.ReadFile("../../transform/testdata/" + name + ".out.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct{ Events []*schema.Event }
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	if len(golden.Events) == 0 {
		t.Fatalf("no events in %s", name)
	}
	return golden.Events
}

func gap() *schema.Event {
	at := time.Date(2026, 11, 19, 8, 30, 0, 0, time.UTC)
	return &schema.Event{
		Time: at.UnixMilli(), TimeDT: at, ClassUID: schema.ClassBase, ClassName: "Base Event", CategoryName: "Uncategorized",
		ActivityID: 99, ActivityName: "gap", TypeUID: 99, TypeName: "Base Event: Other", SeverityID: 4, Severity: "High",
		Message: "Records of source acme were lost.",
		Metadata: schema.Metadata{
			Version: schema.OCSFVersion, UID: "gap/acme/1", LogName: "idtrail", Product: schema.Product{Name: "idtrail", VendorName: "idtrail"},
		},
	}
}

func TestEnvelopesGolden(t *testing.T) {
	s := newSink(t, func(o *splunk.Options) { o.Index = "identity" })
	for _, name := range []string{
		"auth0_log/login", "auth0_log/login_failed", "auth0_log/mfa_push_rejected", "auth0_log/refresh_reuse", "auth0_log/logout",
		"cloudtrail/console_login_failed_root", "cloudtrail/assume_role_web_identity", "cloudtrail/initiate_auth_challenge",
		"auth0_log/sapi_block_user", "auth0_log/blocked_account", "auth0_log/mfa_removed", "cloudtrail/admin_delete_denied",
		"cloudtrail/iam_attach_admin", "auth0_log/sapi_role_users_fan_out", "auth0_log/sapi_role_permissions",
		"cloudtrail/add_user_to_group", "cloudtrail/create_group_role", "auth0_log/sapi_mfa_policy_off", "cloudtrail/pool_mfa_off",
		"cloudtrail/create_pool_client", "auth0_log/api_secret_read", "cloudtrail/list_users_self", "cognito_auth_event/sign_in_blocked",
	} {
		golden(t, s, strings.ReplaceAll(name, "/", "."), mapped(t, name)[0])
	}
	golden(t, s, "idtrail.gap", gap())
}

// golden compares an envelope, its ocsf part left out: schema tests that.
func golden(t *testing.T, s *splunk.Sink, name string, e *schema.Event) {
	t.Helper()
	text, _, err := s.Append(nil, e)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := bytes.Index(text, []byte(`"ocsf":{`)), bytes.LastIndex(text, []byte(`},"fields":`))
	if ocsf := text[begin+len(`"ocsf":`) : end]; !bytes.Equal(ocsf, e.AppendJSON(nil)) {
		t.Errorf("%s: ocsf is %s", name, ocsf)
	}
	short := slices.Concat(text[:begin], []byte(`"ocsf":"…"`), text[end:])
	var out bytes.Buffer
	if err := json.Indent(&out, short, "", "  "); err != nil {
		t.Fatalf("%s: %v in %s", name, err, text)
	}
	out.WriteByte('\n')
	file := filepath.Join("testdata", name+".json")
	if *update {
		if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), out.String()); diff != "" {
		t.Errorf("%s (go test ./load/splunk -update)\n%s", name, diff)
	}
}

// What the data models demand of every event, with the values they know.
var (
	authenticationFields = map[string]string{
		"action": "^(success|failure|pending|error)$", "app": ".", "dest": ".", "src": ".", "user": ".",
	}
	changeFields = map[string]string{
		"action":      "^(created|deleted|modified|read|acl_modified|cleared|started|stopped|restarted)$",
		"change_type": ".", "command": ".", "dest": ".", "dvc": ".", "object": ".", "object_category": ".", "object_id": ".",
		"src": ".", "src_user": ".", "status": "^(success|failure|unknown)$", "user": ".", "vendor_product": ".",
	}
)

// Every event that the mappings are tested with has what its data model
// demands.
func TestEveryEventHasWhatItsModelDemands(t *testing.T) {
	s := newSink(t, nil)
	seen := map[string]int{}
	for _, e := range everyEvent(t) {
		got := envelopeOf(t, s, e)
		seen[got.Sourcetype]++
		name := e.Metadata.UID
		wantDemands(t, name, got)
		wantKept(t, name, e, got)
	}
	for _, kind := range []string{splunk.SourcetypeAuthentication, splunk.SourcetypeChange, splunk.SourcetypeAPI} {
		if seen[kind] < 10 {
			t.Errorf("only %d events of %s", seen[kind], kind)
		}
	}
}

func wantDemands(t *testing.T, name string, got envelope) {
	t.Helper()
	demands := map[string]map[string]string{
		splunk.SourcetypeAuthentication: authenticationFields, splunk.SourcetypeChange: changeFields,
	}[got.Sourcetype]
	for field, pattern := range demands {
		value, _ := got.Event[field].(string)
		if !regexp.MustCompile(pattern).MatchString(value) {
			t.Errorf("%s: %s is %q, want %s", name, field, value, pattern)
		}
	}
	if got.Sourcetype != splunk.SourcetypeChange {
		return
	}
	if list, _ := got.Event["object_attrs"].([]any); len(list) == 0 {
		t.Errorf("%s: no object_attrs", name)
	}
	if got.Event["status"] == "failure" && got.Event["result"] == nil {
		t.Errorf("%s: a failure without result", name)
	}
}

// wantKept: nothing of the event is lost, and it can be found.
func wantKept(t *testing.T, name string, e *schema.Event, got envelope) {
	t.Helper()
	id := schema.EventID(e)
	if got.Event["event_id"] != id || got.Fields["event_id"] != id {
		t.Errorf("%s: event_id %v and %v, want %s", name, got.Event["event_id"], got.Fields["event_id"], id)
	}
	if got.Host == "" || got.Source == "" || got.Sourcetype == "" || got.Index != "" {
		t.Errorf("%s: envelope %+v", name, got)
	}
	want := map[string]any{}
	if err := json.Unmarshal(e.AppendJSON(nil), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.Event["ocsf"]); diff != "" {
		t.Errorf("%s: ocsf (-want +got)\n%s", name, diff)
	}
}

func TestSourcetypes(t *testing.T) {
	s := newSink(t, nil)
	tests := map[string]struct {
		class, activity int32
		product, want   string
	}{
		"sign-in":          {3002, 1, "Auth0", splunk.SourcetypeAuthentication},
		"account":          {3001, 1, "Auth0", splunk.SourcetypeChange},
		"entity":           {3004, 9, "Auth0", splunk.SourcetypeChange},
		"user access":      {3005, 1, "Auth0", splunk.SourcetypeChange},
		"group":            {3006, 1, "Auth0", splunk.SourcetypeChange},
		"call that makes":  {6003, 1, "Auth0", splunk.SourcetypeChange},
		"call that edits":  {6003, 3, "Auth0", splunk.SourcetypeChange},
		"call that drops":  {6003, 4, "Auth0", splunk.SourcetypeChange},
		"call that reads":  {6003, 2, "Auth0", splunk.SourcetypeAPI},
		"call not known":   {6003, 99, "Auth0", splunk.SourcetypeAPI},
		"notice":           {0, 99, "idtrail", splunk.SourcetypeSelf},
		"other base event": {0, 99, "Auth0", splunk.SourcetypeAPI},
		"unknown class":    {4001, 1, "Auth0", splunk.SourcetypeAPI},
	}
	for name, tt := range tests {
		e := schema.Event{ClassUID: tt.class, ActivityID: tt.activity, Metadata: schema.Metadata{Product: schema.Product{Name: tt.product}}}
		if got := envelopeOf(t, s, &e).Sourcetype; got != tt.want || !slices.Contains(splunk.Sourcetypes(), got) {
			t.Errorf("%s: got %s, want %s", name, got, tt.want)
		}
	}
}

// In a sign-in action is the outcome, in a change the verb.
func TestOutcomeAndVerb(t *testing.T) {
	s := newSink(t, nil)
	type want struct{ action, status, result string }
	tests := []struct {
		class, activity, status int32
		name                    string
		want                    want
	}{
		{3002, 1, 1, "Logon", want{action: "success"}},
		{3002, 1, 2, "Logon", want{action: "failure"}},
		{3002, 6, 99, "Preauth", want{action: "pending"}},
		{3002, 1, 0, "Logon", want{action: "pending"}},
		{3001, 1, 1, "Create", want{"created", "success", ""}},
		{3001, 1, 2, "Create", want{"created", "failure", "denied"}},
		{3001, 2, 1, "Enable", want{"modified", "success", ""}},
		{3001, 5, 1, "Disable", want{"modified", "success", ""}},
		{3001, 6, 1, "Delete", want{"deleted", "success", ""}},
		{3001, 7, 1, "Attach Policy", want{"acl_modified", "success", ""}},
		{3001, 9, 1, "Lock", want{"modified", "success", "lockout"}},
		{3001, 0, 0, "Unknown", want{"modified", "unknown", ""}},
		{3001, 99, 1, "Password Page View", want{"read", "success", ""}},
		{3004, 2, 1, "Read", want{"read", "success", ""}},
		{3004, 4, 1, "Delete", want{"deleted", "success", ""}},
		{3004, 9, 1, "Disable", want{"modified", "success", ""}},
		{3005, 2, 1, "Revoke Privileges", want{"acl_modified", "success", ""}},
		{3006, 1, 1, "Assign Privileges", want{"acl_modified", "success", ""}},
		{3006, 3, 1, "Add User", want{"modified", "success", ""}},
		{3006, 5, 1, "Delete", want{"deleted", "success", ""}},
		{3006, 6, 1, "Create", want{"created", "success", ""}},
		{6003, 1, 1, "Create", want{"created", "success", ""}},
		{6003, 3, 1, "Update", want{"modified", "success", ""}},
		{6003, 4, 2, "Delete", want{"deleted", "failure", "denied"}},
	}
	for _, tt := range tests {
		e := schema.Event{ClassUID: tt.class, ActivityID: tt.activity, ActivityName: tt.name, StatusID: tt.status, StatusDetail: "denied"}
		got := envelopeOf(t, s, &e).Event
		text := func(name string) string { v, _ := got[name].(string); return v }
		if g := (want{text("action"), text("status"), text("result")}); g != tt.want {
			t.Errorf("%d/%d status %d: got %+v, want %+v", tt.class, tt.activity, tt.status, g, tt.want)
		}
	}
}

// In a change of an account user is the account, src_user who changed it; in
// any other change user made it.
func TestWhoIsWho(t *testing.T) {
	s := newSink(t, nil)
	admin, target := &schema.UserObject{UID: "a", Name: "admin"}, &schema.UserObject{UID: "t", Name: "target"}
	tests := map[string]struct {
		e             schema.Event
		user, srcUser any
	}{
		"account":         {schema.Event{ClassUID: 3001, Actor: &schema.Actor{User: admin}, User: target}, "target", "admin"},
		"own account":     {schema.Event{ClassUID: 3001, User: target}, "target", "unknown"},
		"group member":    {schema.Event{ClassUID: 3006, Actor: &schema.Actor{User: admin}, User: target, Group: &schema.Group{Name: "g"}}, "target", "admin"},
		"group":           {schema.Event{ClassUID: 3006, Actor: &schema.Actor{User: admin}, Group: &schema.Group{Name: "g"}}, "admin", "admin"},
		"entity":          {schema.Event{ClassUID: 3004, Actor: &schema.Actor{User: admin}}, "admin", "admin"},
		"sign-in":         {schema.Event{ClassUID: 3002, User: target}, "target", nil},
		"sign-in, itself": {schema.Event{ClassUID: 3002, Actor: &schema.Actor{User: target}, User: target}, "target", nil},
		"role taken on":   {schema.Event{ClassUID: 3002, Actor: &schema.Actor{User: admin}, User: target}, "target", "admin"},
		"nobody known":    {schema.Event{ClassUID: 3002}, "unknown", nil},
	}
	for name, tt := range tests {
		got := envelopeOf(t, s, &tt.e).Event
		if got["user"] != tt.user || got["src_user"] != tt.srcUser {
			t.Errorf("%s: got user %v, src_user %v, want %v, %v", name, got["user"], got["src_user"], tt.user, tt.srcUser)
		}
	}
}

func TestTime(t *testing.T) {
	s := newSink(t, nil)
	for ms, want := range map[int64]string{
		1795179600123: "1795179600.123", 1795179600000: "1795179600.000", 1795179600007: "1795179600.007",
		0: "0.000", 1: "0.001", -1: "-0.001", -62135596800000: "-62135596800.000", math.MaxInt64: "9223372036854775.807",
		math.MinInt64: "-9223372036854775.808",
	} {
		e := schema.Event{Time: ms}
		if got := envelopeOf(t, s, &e).Time.String(); got != want {
			t.Errorf("%d: got %s, want %s", ms, got, want)
		}
	}
}

func TestHostSourceIndex(t *testing.T) {
	e := loadtest.Event(1, time.Unix(1795179600, 0))
	got := envelopeOf(t, newSink(t, nil), &e)
	if got.Host != "acme" || got.Source != "Auth0/acme" || got.Index != "" {
		t.Errorf("got host %q, source %q, index %q", got.Host, got.Source, got.Index)
	}
	got = envelopeOf(t, newSink(t, func(o *splunk.Options) { o.Host, o.Index = "h", "i" }), &e)
	if got.Host != "h" || got.Index != "i" {
		t.Errorf("got host %q, index %q, want those configured", got.Host, got.Index)
	}
	got = envelopeOf(t, newSink(t, nil), gap())
	if got.Host != "idtrail" || got.Source != "idtrail" {
		t.Errorf("a notice: got host %q, source %q", got.Host, got.Source)
	}
}

// The person an account belongs to, as labelled when the event is sent.
func TestPerson(t *testing.T) {
	e := schema.Event{ClassUID: 3002, Metadata: schema.Metadata{Labels: []string{"strategy:auth0", "person:p1"}}}
	if got := envelopeOf(t, newSink(t, nil), &e).Event["person"]; got != "p1" {
		t.Errorf("got %v, want p1", got)
	}
}

// An event of which every field is set, with quotes, line ends and brackets in
// every text.
func TestOddTexts(t *testing.T) {
	var e schema.Event
	loadtest.Fill(&e, 1)
	for _, class := range []int32{0, 3001, 3002, 3004, 3005, 3006, 6003} {
		e.ClassUID, e.ActivityID = class, 1
		got := envelopeOf(t, newSink(t, func(o *splunk.Options) { o.Index = "a\"\n" }), &e)
		wantDemands(t, "filled", got)
		if got.Index != "a\"\n" {
			t.Errorf("got index %q", got.Index)
		}
	}
}

func TestSlimmed(t *testing.T) {
	s := newSink(t, func(o *splunk.Options) { o.MaxRequest = 4000 })
	huge := strings.Repeat("x", 4000)
	tests := map[string]struct {
		e       schema.Event
		slimmed bool
		fails   bool
	}{
		"fits":         {schema.Event{RawData: huge[:1000]}, false, false},
		"raw record":   {schema.Event{RawData: huge, Unmapped: map[string]string{"a": "b"}}, true, false},
		"all of it":    {schema.Event{RawData: huge, Unmapped: map[string]string{"a": huge}, API: &schema.API{Request: &schema.Request{Data: huge}}}, true, false},
		"the settings": {schema.Event{Entity: &schema.ManagedEntity{Name: "n", Data: huge}}, true, false},
		"a name":       {schema.Event{User: &schema.UserObject{Name: huge}}, false, true},
	}
	for name, tt := range tests {
		before, _ := json.Marshal(&tt.e)
		text, mark, err := s.Append([]byte("before"), &tt.e)
		if (err != nil) != tt.fails || mark.Slimmed != tt.slimmed || mark.Skip || mark.TooOld {
			t.Errorf("%s: got %+v, %v", name, mark, err)
		}
		if after, _ := json.Marshal(&tt.e); !bytes.Equal(before, after) {
			t.Errorf("%s: the event, which others share, was changed", name)
		}
		if tt.fails {
			continue
		}
		text, ok := bytes.CutPrefix(text, []byte("before"))
		if !ok || len(text) > 4000 {
			t.Errorf("%s: got %d bytes", name, len(text))
		}
		got := read(t, text)
		if marked := got.Event["slimmed"] == true; marked != tt.slimmed {
			t.Errorf("%s: slimmed is %v", name, got.Event["slimmed"])
		}
		if got.Event["event_id"] != schema.EventID(&tt.e) {
			t.Errorf("%s: another event_id", name)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	s := newSink(b, nil)
	e := loadtest.Event(1, time.Unix(1795179600, 0))
	var room []byte
	b.ReportAllocs()
	for b.Loop() {
		room, _, _ = s.Append(room[:0], &e)
	}
	b.SetBytes(int64(len(room)))
}

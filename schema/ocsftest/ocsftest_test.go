package ocsftest_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/schema/ocsftest"
)

// login is a valid event with something of most kinds in it.
func login() schema.Event {
	at := time.Date(2026, 11, 19, 8, 30, 0, 123e6, time.UTC)
	five, one, ms := int32(5), int32(1), at.Add(-time.Hour).UnixMilli()
	created := at.Add(-time.Hour)
	return schema.Event{
		Time: at.UnixMilli(), TimeDT: at,
		ClassUID: schema.ClassAuthentication, ClassName: "Authentication",
		CategoryUID: 3, CategoryName: "Identity & Access Management",
		ActivityID: 1, ActivityName: "Logon", TypeUID: 300201, TypeName: "Authentication: Logon",
		SeverityID: 1, Severity: "Informational", StatusID: 1, Status: "Success",
		Metadata: schema.Metadata{
			Version: schema.OCSFVersion, UID: "900", Profiles: []string{"cloud", "datetime"},
			Labels:  []string{"strategy:auth0"},
			Product: schema.Product{Name: "Auth0", VendorName: "Auth0"},
		},
		Cloud: &schema.Cloud{Provider: "Auth0"},
		User:  &schema.UserObject{UID: "auth0|1", EmailAddr: "ada@example.com", TypeID: &one, Type: "User"},
		Actor: &schema.Actor{
			User:    &schema.UserObject{UID: "auth0|1"},
			Session: &schema.Session{UID: "s1", CreatedTime: &ms, CreatedTimeDT: &created},
		},
		Service:     &schema.Service{Name: "Shop"},
		SrcEndpoint: &schema.NetworkEndpoint{IP: "2001:db8::1", TypeID: &five, Type: "Mobile"},
		DstEndpoint: &schema.NetworkEndpoint{Hostname: "acme.eu.auth0.com"},
		HTTPRequest: &schema.HTTPRequest{HTTPMethod: "POST"},
		Observables: []schema.Observable{{Name: "src_endpoint.ip", TypeID: 2, Type: "IP Address", Value: "2001:db8::1"}},
		Unmapped:    map[string]string{"details.elapsedTime": "12"},
		RawData:     `{"log_id":"900"}`,
	}
}

// notice is a valid event about idtrail itself.
func notice() schema.Event {
	at := time.Date(2026, 11, 19, 8, 30, 0, 123e6, time.UTC)
	return schema.Event{
		Time: at.UnixMilli(), TimeDT: at,
		ClassUID: schema.ClassBase, ClassName: "Base Event", CategoryName: "Uncategorized",
		ActivityID: schema.ActivityOther, ActivityName: "gap", TypeUID: 99, TypeName: "Base Event: gap",
		SeverityID: 3, Severity: "Medium", Message: "3 hours of acme are lost",
		Metadata: schema.Metadata{
			Version: schema.OCSFVersion, UID: "gap:acme:1", LogName: "idtrail", Profiles: []string{"datetime"},
			Product: schema.Product{Name: "idtrail", VendorName: "idtrail"},
		},
		Unmapped: map[string]string{"reason": "retention"},
	}
}

func TestValidateAccepts(t *testing.T) {
	whole := login()
	whole.RawData = strings.Repeat("x", 256<<10)
	for name, event := range map[string]schema.Event{"login": login(), "a long record": whole, "one of our own": notice()} {
		if got := ocsftest.Validate(event); len(got) != 0 {
			t.Errorf("%s: Validate = %q, want no problems", name, got)
		}
	}
}

// TestValidateRejects breaks one rule at a time.
func TestValidateRejects(t *testing.T) {
	tests := map[string]struct {
		breakIt func(e map[string]any)
		want    string // one of the problems begins so
	}{
		"unknown class":                {set("class_uid", 3003), "class_uid: 3003 is no class"},
		"class missing":                {remove("class_uid"), "class_uid: "},
		"required attribute missing":   {remove("user"), "user: required"},
		"required member missing":      {remove("metadata.product"), "metadata.product: required"},
		"required by a profile":        {remove("cloud"), "cloud: required"},
		"required deep inside":         {remove("cloud.provider"), "cloud: must be an object"},
		"unknown attribute":            {set("colour", "red"), "colour: no such attribute"},
		"unknown nested attribute":     {set("actor.user.shoe", "9"), "actor.user.shoe: no such attribute"},
		"attribute of another class":   {set("privileges", []any{"x"}), "privileges: no such attribute"},
		"enum value":                   {set("severity_id", 42), "severity_id: 42 is not in its enum"},
		"enum of strings":              {set("http_request.http_method", "PATCH"), "http_request.http_method: PATCH is not"},
		"enum text differs":            {set("status", "Failure"), `status: is "Failure", but status_id 1`},
		"nested enum text differs":     {set("user.type", "Admin"), `user.type: is "Admin"`},
		"class name":                   {set("class_name", "Account Change"), "class_name: is"},
		"category":                     {set("category_uid", 6), "category_uid: 6 is not"},
		"99 without text":              {set("status_id", 99, "status", nil), "status: missing, but status_id is 99"},
		"activity Other by name":       {set("activity_id", 99, "type_uid", 300299, "type_name", nil, "activity_name", "Other"), "activity_name: is \"Other\""},
		"type_uid":                     {set("type_uid", 300202), "type_uid: is 300202"},
		"string for number":            {set("time", "1"), "time: is 1, not an integer"},
		"fraction for integer":         {set("severity_id", 1.5), "severity_id: is 1.5, not an integer"},
		"integer of 33 bits":           {set("timezone_offset", 1<<32), "timezone_offset: is 4294967296, out of 32 bits"},
		"number for string":            {set("message", 7), "message: is json.Number, not a string"},
		"string for boolean":           {set("is_mfa", "true"), "is_mfa: is string, not a boolean"},
		"string for float":             {set("src_endpoint.location", map[string]any{"city": "Bonn", "lat": "50"}), "src_endpoint.location.lat: is string"},
		"object for string":            {set("message", map[string]any{"a": 1}), "message: is map"},
		"string for object":            {set("user", "ada"), "user: must be an object of type user"},
		"empty object":                 {set("service", map[string]any{}), "service: must be an object"},
		"empty string":                 {set("message", ""), "message: is empty"},
		"null":                         {set("message", json.RawMessage("null")), "message: is <nil>, not a string"},
		"empty JSON":                   {set("api", map[string]any{"operation": "x", "request": map[string]any{"uid": "1", "data": ""}}), "api.request.data: is empty"},
		"long string":                  {set("message", strings.Repeat("x", 65536)), "message: is longer than 65535"},
		"ip":                           {set("src_endpoint.ip", "AWS Internal"), `src_endpoint.ip: "AWS Internal" does not match`},
		"hostname":                     {set("dst_endpoint.hostname", "a_b.example.com"), "dst_endpoint.hostname: "},
		"email":                        {set("user.email_addr", "ada"), `user.email_addr: "ada" does not match`},
		"datetime":                     {set("time_dt", "yesterday"), "time_dt: "},
		"port":                         {set("src_endpoint.port", 70000), "src_endpoint.port: is 70000, out of range"},
		"single value for array":       {set("metadata.labels", "a"), "metadata.labels: must be an array"},
		"empty array":                  {set("observables", []any{}), "observables: must be an array"},
		"wrong element":                {set("metadata.labels", []any{"a", 1}), "metadata.labels[1]: is json.Number"},
		"wrong element object":         {set("observables", []any{"x"}), "observables[0]: must be an object"},
		"element without required":     {set("observables", []any{map[string]any{"name": "user.uid"}}), "observables[0].type_id: required"},
		"at_least_one of the class":    {set("service", nil, "dst_endpoint", nil), "event: at_least_one of [service dst_endpoint]"},
		"at_least_one of an object":    {set("user", map[string]any{"email_addr": "a@b.co"}), "user: at_least_one"},
		"location alone":               {set("src_endpoint", map[string]any{"location": map[string]any{"city": "Bonn"}}), "src_endpoint: at_least_one"},
		"just_one, two given":          {set("auth_factors", []any{map[string]any{"factor_type_id": 1, "email_addr": "a@b.co", "phone_number": "1"}}), "auth_factors[0]: just_one"},
		"just_one, none given":         {set("auth_factors", []any{map[string]any{"factor_type_id": 1}}), "auth_factors[0]: just_one"},
		"profile not listed":           {set("metadata.profiles", []any{"datetime"}), "cloud: needs one of the profiles [cloud]"},
		"datetime not listed":          {set("metadata.profiles", []any{"cloud"}), "time_dt: needs one of the profiles [datetime]"},
		"datetime not listed, nested":  {set("metadata.profiles", []any{"cloud"}), "actor.session.created_time_dt: needs one"},
		"no profile listed":            {remove("metadata.profiles"), "time_dt: needs one"},
		"profile of no such class":     {set("metadata.profiles", []any{"cloud", "datetime", "load_balancer"}), `metadata.profiles[2]: "load_balancer" is no profile`},
		"profile twice":                {set("metadata.profiles", []any{"cloud", "datetime", "cloud"}), `metadata.profiles[2]: "cloud" is listed twice`},
		"time_dt is another time":      {set("time_dt", "2026-11-19T08:30:00.124Z"), "time_dt: is 2026"},
		"created_time_dt is another":   {set("actor.session.created_time", 5), "actor.session.created_time_dt: is"},
		"version":                      {set("metadata.version", "1.1.0"), "metadata.version: is 1.1.0"},
		"deprecated":                   {set("actor.invoked_by", "x"), "actor.invoked_by: deprecated since 1.2.0"},
		"observable of nothing":        {set("observables", []any{map[string]any{"name": "user.name", "type_id": 4}}), "observables[0]: names \"user.name\""},
		"observable of other value":    {set("src_endpoint.ip", "192.0.2.1"), "observables[0]: has another value"},
		"observable enum text differs": {set("observables", []any{map[string]any{"name": "user.uid", "type_id": 4, "type": "User"}}), "observables[0].type: is"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			event := decode(t, login())
			tt.breakIt(event)
			data, err := json.Marshal(event)
			if err != nil {
				t.Fatal(err)
			}
			got := ocsftest.ValidateJSON(data)
			if !slices.ContainsFunc(got, func(p string) bool { return strings.HasPrefix(p, tt.want) }) {
				t.Errorf("problems = %q, want one that begins with %q", got, tt.want)
			}
		})
	}
}

// TestValidateHostProfile: actor on IAM classes beside Authentication comes
// with the host profile only.
func TestValidateHostProfile(t *testing.T) {
	e := login()
	e.ClassUID, e.ClassName, e.TypeUID, e.TypeName = schema.ClassEntityManagement, "Entity Management", 300401, "Entity Management: Create"
	e.ActivityName, e.Service, e.DstEndpoint, e.User = "Create", nil, nil, nil
	e.Entity = &schema.ManagedEntity{Name: "x"}
	got := ocsftest.Validate(e)
	if len(got) != 1 || !strings.HasPrefix(got[0], "actor: needs one of the profiles [host]") {
		t.Errorf("without host: problems = %q, want the one about actor", got)
	}
	e.Metadata.Profiles = append(e.Metadata.Profiles, "host")
	if got := ocsftest.Validate(e); len(got) != 0 {
		t.Errorf("with host: problems = %q, want none", got)
	}
}

func TestValidateNoObject(t *testing.T) {
	for _, data := range []string{"", "[]", "null", "3", "{"} {
		if got := ocsftest.ValidateJSON([]byte(data)); len(got) == 0 {
			t.Errorf("ValidateJSON(%q) found nothing wrong", data)
		}
	}
}

func decode(t *testing.T, e schema.Event) map[string]any {
	t.Helper()
	data, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// set takes pairs of dotted path and value; nil removes.
func set(pairs ...any) func(map[string]any) {
	return func(m map[string]any) {
		for i := 0; i < len(pairs); i += 2 {
			put(m, strings.Split(pairs[i].(string), "."), pairs[i+1])
		}
	}
}

func remove(path string) func(map[string]any) { return set(path, nil) }

func put(m map[string]any, path []string, v any) {
	if len(path) > 1 {
		put(m[path[0]].(map[string]any), path[1:], v)
		return
	}
	if v == nil {
		delete(m, path[0])
		return
	}
	m[path[0]] = v
}

package shape_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/idtrail/idtrail/load/loadtest"
	"github.com/idtrail/idtrail/load/shape"
	"github.com/idtrail/idtrail/schema"
)

var key = []byte("0123456789abcdef0123456789abcdef")

func rules(with string, fields ...string) shape.Options {
	return shape.Options{Self: true, Redact: []shape.Rule{{Fields: fields, With: with, Key: key}}}
}

func redact(t testing.TB, o shape.Options, e schema.Event) *schema.Event {
	t.Helper()
	before := encode(t, &e)
	out, ok := mustNew(t, o).Apply(&e)
	if !ok {
		t.Fatal("the event was filtered")
	}
	if after := encode(t, &e); after != before {
		t.Errorf("the event handed in was changed (-before +after)\n%s", cmp.Diff(before, after))
	}
	if schema.EventID(&e) != schema.EventID(out) {
		t.Error("the event has another id")
	}
	return out
}

func encode(t testing.TB, e *schema.Event) string {
	t.Helper()
	data, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func login() schema.Event {
	at := int32(1)
	lat := 51.5
	user := func() *schema.UserObject {
		return &schema.UserObject{
			UID: "auth0|65aa11bb", Name: "Ada.L@Example.com", FullName: "Ada Lovelace", EmailAddr: "ada.l@example.com",
			Domain: "example.com", TypeID: &at, Type: "User",
		}
	}
	return schema.Event{
		ClassUID: schema.ClassAuthentication, SeverityID: 1,
		Message: "Login of ADA.L@EXAMPLE.COM (Ada Lovelace) from 203.0.113.7:443",
		Metadata: schema.Metadata{
			UID: "900", TenantUID: "acme", Product: schema.Product{Name: "Auth0"},
			Labels: []string{"strategy:auth0", "person:00112233445566778899aabbccddeeff"},
		},
		User: user(), Actor: &schema.Actor{User: user(), Session: &schema.Session{UID: "sess-123456", Issuer: "https://acme.eu.auth0.com"}},
		SrcEndpoint: &schema.NetworkEndpoint{
			IP: "203.0.113.7", Location: &schema.Location{City: "London", Country: "GB", Continent: "EU", Lat: &lat, Long: &lat},
		},
		HTTPRequest: &schema.HTTPRequest{
			UserAgent: "Mozilla/5.0 (X11) Chrome/131.0.0.0", URL: &schema.URL{Path: "/api/v2/users/auth0%7C65aa11bb", QueryString: "q=ada.l%40example.com"},
		},
		Observables: []schema.Observable{
			{Name: "src_endpoint.ip", TypeID: 2, Type: "IP Address", Value: "203.0.113.7"},
			{Name: "user.email_addr", TypeID: 5, Type: "Email Address", Value: "ada.l@example.com"},
			{Name: "user.name", TypeID: 4, Type: "User Name", Value: "Ada.L@Example.com"},
			{Name: "src_endpoint.location.country", TypeID: 14, Type: "Country", Value: "GB"},
		},
		Unmapped: map[string]string{
			"details.prompts":       `[{"identity":"65aa11bb","elapsedTime":12,"user_name":"ada.l@example.com"}]`,
			"details.invitee.email": "grace@example.org",
			"details.scope":         "openid",
			"phone_number":          "+44 20 7946 0018",
			"note":                  "call +442079460018, or grace@example.org from 2001:db8::7",
		},
		RawData: `{"user_name":"ada.l@example.com"}`,
	}
}

// TestWays shows what becomes of the values in each of the three ways.
func TestWays(t *testing.T) {
	all := []string{"email", "user_name", "user_id", "full_name", "phone", "ip", "session", "location"}
	t.Run("mask", func(t *testing.T) {
		e := redact(t, rules("mask", all...), login())
		for _, tt := range []struct{ name, got, want string }{
			{"email_addr", e.User.EmailAddr, "a***@example.com"},
			{"name", e.Actor.User.Name, "a***@example.com"},
			{"uid", e.User.UID, "***"},
			{"full_name", e.User.FullName, "***"},
			{"ip", e.SrcEndpoint.IP, "203.0.113.0/24"},
			{"session", e.Actor.Session.UID, "***"},
			{"issuer", e.Actor.Session.Issuer, "https://acme.eu.auth0.com"},
			{"city", e.SrcEndpoint.Location.City, "***"},
			{"country", e.SrcEndpoint.Location.Country, "GB"},
			{"message", e.Message, "Login of a***@example.com (***) from 203.0.113.0/24:443"},
			{"path", e.HTTPRequest.URL.Path, "/api/v2/users/***"},
			{"query", e.HTTPRequest.URL.QueryString, "q=a***@example.com"},
			{"browser", e.HTTPRequest.UserAgent, "Mozilla/5.0 (X11) Chrome/131.0.0.0"},
			{"prompts", e.Unmapped["details.prompts"], `[{"identity":"***","elapsedTime":12,"user_name":"a***@example.com"}]`},
			{"invitee", e.Unmapped["details.invitee.email"], "g***@example.org"},
			{"note", e.Unmapped["note"], "call ***, or g***@example.org from 2001:db8::/48"},
			{"phone", e.Unmapped["phone_number"], "***"},
			{"raw", e.RawData, ""},
			{"labels", strings.Join(e.Metadata.Labels, " "), "strategy:auth0"},
			{"observed ip", e.Observables[0].Value, "203.0.113.0/24"},
			{"observed country", e.Observables[3].Value, "GB"},
		} {
			if tt.got != tt.want {
				t.Errorf("%s: %q, want %q", tt.name, tt.got, tt.want)
			}
		}
		if l := e.SrcEndpoint.Location; l.Lat != nil || l.Long != nil {
			t.Error("the coordinates are there")
		}
	})
	t.Run("drop", func(t *testing.T) {
		e := redact(t, rules("drop", all...), login())
		if e.User != nil && (e.User.UID+e.User.Name+e.User.FullName+e.User.EmailAddr) != "" || e.Actor == nil || e.Actor.Session.UID != "" {
			t.Errorf("user %+v, actor %+v", e.User, e.Actor)
		}
		if e.SrcEndpoint != nil || len(e.Observables) != 0 {
			t.Errorf("endpoint %+v, observables %+v: want none", e.SrcEndpoint, e.Observables)
		}
		want := map[string]string{
			"details.prompts": `[{"elapsedTime":12}]`, "details.scope": "openid",
			"note": "call ***, or *** from ***",
		}
		if diff := cmp.Diff(want, e.Unmapped); diff != "" {
			t.Errorf("unmapped (-want +got)\n%s", diff)
		}
		if want := "Login of *** (***) from ***:443"; e.Message != want {
			t.Errorf("message %q, want %q", e.Message, want)
		}
	})
	t.Run("pseudonym", func(t *testing.T) {
		e := redact(t, rules("pseudonym", all...), login())
		mail := e.User.EmailAddr
		if !strings.HasPrefix(mail, "email:") || len(mail) != len("email:")+24 {
			t.Errorf("email_addr %q", mail)
		}
		if e.User.Name != mail || e.Actor.User.EmailAddr != mail || e.Observables[1].Value != mail || e.Observables[2].Value != mail {
			t.Errorf("the same address has several pseudonyms: %q, %q, %+v", mail, e.User.Name, e.Observables)
		}
		if want := fmt.Sprintf("Login of %s (%s) from %s:443", mail, e.User.FullName, e.SrcEndpoint.IP); e.Message != want {
			t.Errorf("message %q, want %q", e.Message, want)
		}
		if !strings.HasPrefix(e.User.UID, "user_id:") || e.HTTPRequest.URL.Path != "/api/v2/users/"+e.User.UID {
			t.Errorf("uid %q, path %q", e.User.UID, e.HTTPRequest.URL.Path)
		}
		if phone := e.Unmapped["phone_number"]; !strings.HasPrefix(phone, "phone:") || !strings.Contains(e.Unmapped["note"], "call "+phone+",") {
			t.Errorf("phone %q, note %q", phone, e.Unmapped["note"])
		}
		if l := e.Metadata.Labels; len(l) != 2 || !strings.HasPrefix(l[1], "person:") || strings.Contains(l[1], "0011") || len(l[1]) != len("person:")+24 {
			t.Errorf("labels %q", l)
		}
	})
}

// TestJoin: the same person has the same pseudonym wherever he comes from, and
// another with another key.
func TestJoin(t *testing.T) {
	name := func(key, s string) string {
		o := shape.Options{Redact: []shape.Rule{{Fields: []string{"user_name", "ip", "user_id"}, With: "pseudonym", Key: []byte(strings.Repeat(key, 16))}}}
		e := redact(t, o, schema.Event{User: &schema.UserObject{Name: s, UID: s}, SrcEndpoint: &schema.NetworkEndpoint{IP: s}})
		return e.User.Name
	}
	for _, tt := range []struct {
		a, b string
		same bool
	}{
		{"ada@example.com", "ADA@Example.COM", true},
		{"ada@example.com", " ada@example.com ", true},
		{"ada@bücher.example", "Ada@xn--bcher-kva.example", true},
		{"Ada", "ada", true},
		{"Straße", "STRAßE", true},
		{"203.0.113.7", "::ffff:203.0.113.7", true},
		{"2001:db8::1", "2001:DB8:0:0::1", true},
		{"+49 170 1234567", "+491701234567", true},
		{"ada@example.com", "ada@example.org", false},
		{"a.da@example.com", "ada@example.com", false},
		{"ada", "adb", false},
	} {
		a, b := name("k", tt.a), name("k", tt.b)
		if (a == b) != tt.same {
			t.Errorf("%q is %q, %q is %q: want the same: %v", tt.a, a, tt.b, b, tt.same)
		}
		if a == name("x", tt.a) {
			t.Errorf("%q has one pseudonym with two keys", tt.a)
		}
	}
}

// TestPaths: a rule for a path precedes that of its group. What it takes out is
// taken out elsewhere too: a value that stays beside it would void the rule.
func TestPaths(t *testing.T) {
	o := shape.Options{Redact: []shape.Rule{
		{Fields: []string{"email"}, With: "mask"},
		{Fields: []string{"actor.user.email_addr", "src_endpoint.location"}, With: "drop"},
	}}
	e := redact(t, o, login())
	if e.User.EmailAddr != "a***@example.com" || e.Actor.User.EmailAddr != "" || e.SrcEndpoint.Location != nil || e.User.UID != "auth0|65aa11bb" {
		t.Errorf("user %+v, actor %+v, location %+v", e.User, e.Actor.User, e.SrcEndpoint.Location)
	}
	in := login()
	in.Actor.User.UID = "auth0|anotherone"
	e = redact(t, rules("drop", "user.uid"), in)
	if e.User.UID != "" || e.Actor.User.UID != "auth0|anotherone" || strings.Contains(e.HTTPRequest.URL.Path, "65aa11bb") || len(e.Metadata.Labels) != 1 {
		t.Errorf("user %+v, actor %+v, path %q, labels %q", e.User, e.Actor.User, e.HTTPRequest.URL.Path, e.Metadata.Labels)
	}
	// The rule for an attribute precedes the one for the object it is in.
	o = shape.Options{Redact: []shape.Rule{
		{Fields: []string{"src_endpoint.ip"}, With: "mask"}, {Fields: []string{"src_endpoint"}, With: "drop"},
	}}
	if e = redact(t, o, login()); e.SrcEndpoint == nil || e.SrcEndpoint.IP != "203.0.113.0/24" || e.SrcEndpoint.Location != nil {
		t.Errorf("endpoint %+v", e.SrcEndpoint)
	}
}

func TestRaw(t *testing.T) {
	const raw = `{"ip":"203.0.113.7","user_agent":"Curl/8","geo":{"city":"Bonn","lat":50.7},"client_name":"Shop on Curl/8"}`
	for _, tt := range []struct{ fields, with, want string }{
		{"raw", "drop", ""},
		{"raw", "mask", "***"},
		{"email", "mask", ""},
		{"message", "mask", ""},
		{"unmapped", "drop", ""},
		{"src_endpoint.location.city", "drop", `{"ip":"203.0.113.7","user_agent":"Curl/8","geo":{"city":"***","lat":50.7},"client_name":"Shop on Curl/8"}`},
		{"user_agent", "mask", `{"ip":"203.0.113.7","user_agent":"***","geo":{"city":"Bonn","lat":50.7},"client_name":"Shop on ***"}`},
		{"location", "drop", `{"ip":"203.0.113.7","user_agent":"Curl/8","geo":{},"client_name":"Shop on Curl/8"}`},
	} {
		e := redact(t, rules(tt.with, tt.fields), schema.Event{
			RawData: raw, HTTPRequest: &schema.HTTPRequest{UserAgent: "Curl/8"},
			SrcEndpoint: &schema.NetworkEndpoint{IP: "203.0.113.7", Location: &schema.Location{City: "Bonn"}},
		})
		// A value on its own in a member is dropped with it in one case, starred in the other.
		got := e.RawData
		if got != tt.want && got != strings.Replace(tt.want, `"city":"***",`, "", 1) {
			t.Errorf("%s of %s: raw_data %q, want %q", tt.with, tt.fields, got, tt.want)
		}
	}
}

// TestNotice: what idtrail counted is no personal data.
func TestNotice(t *testing.T) {
	e := schema.Event{
		ClassUID: schema.ClassBase, Metadata: schema.Metadata{Product: schema.Product{Name: "idtrail"}, UID: "run/acme/1"},
		Unmapped: map[string]string{"source": "acme", "landed": "12"},
	}
	out := redact(t, rules("drop", "unmapped", "email", "user_name", "user_id", "full_name", "phone", "ip"), e)
	if diff := cmp.Diff(e.Unmapped, out.Unmapped); diff != "" {
		t.Errorf("unmapped (-want +got)\n%s", diff)
	}
}

// visited are the texts that redaction leaves alone, as Fill set them in an
// event: they say what kind of event it is, and which.
var untouched = []string{
	"class_name", "category_name", "activity_name", "type_name", "severity", "status",
	"metadata.version", "metadata.uid", "metadata.event_code", "metadata.original_time", "metadata.tenant_uid", "metadata.log_name",
	"metadata.log_provider", "metadata.log_version", "metadata.profiles", "metadata.product.name", "metadata.product.vendor_name",
	"metadata.product.version", "metadata.product.feature.name", "metadata.product.feature.uid",
	"cloud.provider", "cloud.region", "cloud.account.type", "api.operation", "api.version",
	"user.account.type", "user_result.account.type", "actor.user.account.type",
	"entity.type", "entity_result.type", "resource.type", "resource.region", "resources.type", "resources.region",
	"auth_protocol", "logon_type", "http_request.http_method", "observables.name", "observables.type",
}

// TestEveryAttribute: an attribute added to the schema is either redacted or
// named above.
func TestEveryAttribute(t *testing.T) {
	var e schema.Event
	loadtest.Fill(&e, 1)
	e.Unmapped = nil
	all := []string{"email", "user_name", "user_id", "full_name", "phone", "ip", "location", "user_agent", "session", "raw", "data"}
	fields := append(slices.Clone(all), "message", "status_code", "status_detail", "comment", "metadata", "privileges", "cloud", "api", "actor",
		"user", "user_result", "group", "policy", "entity", "entity_result", "resource", "resources", "service", "session.issuer",
		"src_endpoint", "dst_endpoint", "http_request")
	out := redact(t, rules("drop", fields...), e)
	left := map[string]bool{}
	texts("", reflect.ValueOf(out).Elem(), func(path, _ string) { left[path] = true })
	for path := range left {
		if !slices.Contains(untouched, path) && path != "observables.value" {
			t.Errorf("%s is not redacted", path)
		}
	}
	for _, path := range untouched {
		if !left[path] {
			t.Errorf("%s is redacted, or is no attribute", path)
		}
	}
}

// texts calls found for each text that is not empty.
func texts(path string, v reflect.Value, found func(path, s string)) {
	switch v.Kind() {
	case reflect.String:
		if v.String() != "" {
			found(path, v.String())
		}
	case reflect.Pointer:
		if !v.IsNil() {
			texts(path, v.Elem(), found)
		}
	case reflect.Slice:
		for i := range v.Len() {
			texts(path, v.Index(i), found)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			texts(path, k, found)
			texts(path, v.MapIndex(k), found)
		}
	case reflect.Struct:
		for f, value := range v.Fields() {
			if !f.IsExported() {
				continue
			}
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if f.Type.String() != "time.Time" {
				texts(strings.TrimPrefix(path+"."+name, "."), value, found)
			}
		}
	default:
	}
}

// TestConcurrent is for the race detector: one event goes to many sinks.
func TestConcurrent(t *testing.T) {
	e := login()
	want := encode(t, redact(t, rules("pseudonym", "email", "ip", "user_id"), e))
	s := mustNew(t, rules("pseudonym", "email", "ip", "user_id"))
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 50 {
				out, _ := s.Apply(&e)
				if data, err := json.Marshal(out); err != nil || string(data) != want {
					t.Errorf("got %s, %v, want %s", data, err, want)
					return
				}
			}
		})
	}
	group.Wait()
}

func BenchmarkApply(b *testing.B) {
	e := login()
	for name, o := range map[string]shape.Options{
		"nothing": {Self: true},
		"filter":  {Classes: []string{"authentication"}, MinSeverity: "informational"},
		"email":   rules("pseudonym", "email"),
		"all":     rules("pseudonym", "email", "user_name", "user_id", "full_name", "phone", "ip", "session", "location"),
	} {
		s := mustNew(b, o)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				s.Apply(&e)
			}
		})
	}
}

package transform_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/idtrail/idtrail/schema"
)

// What OCSF would refuse is left out or moved, whatever the record says;
// mapLine checks the events against the class definitions.
func TestEventsKeepToOCSF(t *testing.T) {
	tests := []struct {
		name, code, more string
		check            func(e schema.Event) bool
	}{
		{"actor with nothing but an IDP", "s", `,"connection":"db"`, func(e schema.Event) bool {
			return e.Actor == nil && e.Unmapped["actor.idp.name"] == "db"
		}},
		{"no user", "s", ``, func(e schema.Event) bool { return e.User.Account.UID == "acme" && e.User.Name == "" }},
		{"e-mail alone", "fu", `,"user_name":"a@b.cd"`, func(e schema.Event) bool { return e.User.Name == "a@b.cd" && e.User.EmailAddr == "a@b.cd" }},
		{"no service", "s", ``, func(e schema.Event) bool { return e.Service.Name == "Auth0" }},
		{"no host name", "s", `,"hostname":"a_b.example.com"`, func(e schema.Event) bool {
			return e.DstEndpoint.Hostname == "" && e.DstEndpoint.SvcName == "a_b.example.com"
		}},
		{"location without a place", "s", `,"location_info":{"latitude":1.5,"continent_code":"EU"}`, func(e schema.Event) bool { return e.SrcEndpoint.Location == nil }},
		{"address with a zone", "s", `,"ip":"fe80::1%eth0"`, func(e schema.Event) bool { return e.SrcEndpoint.IP == "fe80::1" }},
		{"address with a port", "s", `,"ip":"[2001:db8::1]:443"`, func(e schema.Event) bool { return e.SrcEndpoint.IP == "2001:db8::1" }},
		{"API call by nobody", "con", ``, func(e schema.Event) bool {
			return e.Actor.User.Name == "unknown" && e.SrcEndpoint.SvcName == "auth0" && e.API.Operation == "con"
		}},
		{"roles of nobody", "sapi", `,"details":{"request":{"method":"post","path":"/api/v2/users/u/roles"}}`, func(e schema.Event) bool {
			return len(e.Privileges) == 1 && e.Privileges[0] == "unknown"
		}},
		{"organization without an id", "organization_member_added", ``, func(e schema.Event) bool { return e.Group.Name == "unknown" }},
		{"entity without a name", "kms_key_state_changed", ``, func(e schema.Event) bool { return e.Entity.Name == "encryption key" }},
		{"profile host", "organization_member_added", ``, func(e schema.Event) bool { return strings.Contains(fmt.Sprint(e.Metadata.Profiles), "host") }},
		{"no profile host", "s", ``, func(e schema.Event) bool { return fmt.Sprint(e.Metadata.Profiles) == "[cloud datetime]" }},
		{"text too long", "s", `,"user_name":"` + strings.Repeat("ü", 40000) + `"`, func(e schema.Event) bool { return len(e.User.Name) == 65534 }},
		{"status code too large", "fapi", `,"details":{"response":{"statusCode":1e99}}`, func(e schema.Event) bool { return e.API.Response == nil }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := mapLine(t, schema.KindAuth0Log, auth0Line(t, tt.code, tt.more)).Events[0]
			if !tt.check(e) {
				text, err := json.MarshalIndent(e, "", " ")
				t.Errorf("event %.3000s (%v)", text, err)
			}
		})
	}
}

func TestUnmappedIsBounded(t *testing.T) {
	var more strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&more, `,"k%d":{"a":"%s"}`, i, strings.Repeat("x", 100))
	}
	deep := strings.Repeat(`{"d":`, 100) + "1" + strings.Repeat("}", 100)
	e := mapLine(t, schema.KindAuth0Log, auth0Line(t, "s", `,"a":"`+strings.Repeat("y", 1<<20)+`","deep":`+deep+more.String())).Events[0]
	if len(e.Unmapped) != 256 || len(e.Unmapped["a"]) != 8192 || e.Unmapped["deep.d.d.d.d.d.d.d.d"] == "" {
		t.Errorf("%d keys, a is %d bytes long", len(e.Unmapped), len(e.Unmapped["a"]))
	}
	if len(e.Metadata.Labels) != 1 || e.Metadata.Labels[0] != "unmapped:truncated" {
		t.Errorf("labels %q", e.Metadata.Labels)
	}
}

func TestCoordinatesAreFloats(t *testing.T) {
	e := mapLine(t, schema.KindAuth0Log, auth0Line(t, "s", `,"location_info":{"city_name":"X","latitude":38,"longitude":-9.5}`)).Events[0]
	text, err := json.Marshal(e.SrcEndpoint.Location)
	if want := `{"city":"X","lat":38.0,"long":-9.5}`; err != nil || string(text) != want {
		t.Errorf("got %s, %v, want %s", text, err, want)
	}
}

package schema_test

import (
	"strings"
	"testing"

	"github.com/idtrail/idtrail/schema"
)

func named(product, tenant, uid string) *schema.Event {
	return &schema.Event{Metadata: schema.Metadata{UID: uid, TenantUID: tenant, Product: schema.Product{Name: product}}}
}

// The ids are in the SIEMs of users: they may never change.
func TestEventID(t *testing.T) {
	tests := []struct{ product, tenant, uid, want string }{
		// printf 'Auth0\0acme\0900#1' | sha256sum | cut -c-32
		{"Auth0", "acme", "900#1", "508553a7618687f6a6ed8498029f26ea"},
		{"", "", "", "96a296d224f285c67bee93c30f8a3091"},
	}
	for _, tt := range tests {
		if got := schema.EventID(named(tt.product, tt.tenant, tt.uid)); got != tt.want {
			t.Errorf("EventID of %+v = %s, want %s", tt, got, tt.want)
		}
	}
}

func TestEventIDTellsApart(t *testing.T) {
	seen := map[string]*schema.Event{}
	for _, e := range []*schema.Event{
		named("a", "b", "c"), named("ab", "", "c"), named("a", "bc", ""), named("", "ab", "c"), named("a", "b", "c#1"),
		named("a", "b", strings.Repeat("c", 1000)), named("a", "b", strings.Repeat("c", 1001)),
	} {
		id := schema.EventID(e)
		if other := seen[id]; other != nil {
			t.Errorf("%+v and %+v have one id", e.Metadata, other.Metadata)
		}
		seen[id] = e
	}
}

func TestEventIDIsOfThreeThings(t *testing.T) {
	e := named("a", "b", "c")
	want := schema.EventID(e)
	e.Message, e.Time, e.Metadata.Labels, e.RawData = "m", 7, []string{"l"}, "{}"
	if got := schema.EventID(e); got != want {
		t.Errorf("EventID = %s after a change of other fields, want %s", got, want)
	}
}

package shape_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/idtrail/idtrail/load/shape"
	"github.com/idtrail/idtrail/schema"
)

func mustNew(t testing.TB, o shape.Options) *shape.Shape {
	t.Helper()
	s, err := shape.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestFilter(t *testing.T) {
	login := schema.Event{ClassUID: schema.ClassAuthentication, SeverityID: 1}
	call := schema.Event{ClassUID: schema.ClassAPIActivity, SeverityID: 3}
	locked := schema.Event{ClassUID: schema.ClassAccountChange, SeverityID: 4}
	self := schema.Event{ClassUID: schema.ClassAPIActivity, SeverityID: 1, Metadata: schema.Metadata{Labels: []string{"targets:1", "self"}}}
	unknown := schema.Event{ClassUID: schema.ClassAPIActivity}
	other := schema.Event{ClassUID: schema.ClassAPIActivity, SeverityID: 99}
	head := schema.Event{ClassUID: schema.ClassBase, SeverityID: 1, Metadata: schema.Metadata{Product: schema.Product{Name: "idtrail"}}}
	gap := head
	gap.SeverityID = 4
	foreign := schema.Event{ClassUID: schema.ClassBase, SeverityID: 4, Metadata: schema.Metadata{Product: schema.Product{Name: "other"}}}
	events := map[string]*schema.Event{
		"login": &login, "call": &call, "locked": &locked, "self": &self, "unknown": &unknown, "other": &other,
		"head": &head, "gap": &gap, "foreign": &foreign,
	}
	for _, tt := range []struct {
		name string
		o    shape.Options
		want string
	}{
		{"all", shape.Options{Self: true}, "login call locked self unknown other head gap foreign"},
		{"default", shape.Options{}, "login call locked unknown other head gap foreign"},
		{"one class", shape.Options{Classes: []string{"authentication"}}, "login head gap"},
		{"two classes", shape.Options{Classes: []string{"account_change", "api_activity"}}, "call locked unknown other head gap"},
		{"severity", shape.Options{MinSeverity: "medium"}, "call locked unknown other gap foreign"},
		{"least severity", shape.Options{MinSeverity: "informational", Self: true}, "login call locked self unknown other head gap foreign"},
		{"all three", shape.Options{Classes: []string{"api_activity"}, MinSeverity: "high"}, "unknown other gap"},
		{"fatal", shape.Options{MinSeverity: "fatal"}, "unknown other"},
	} {
		s := mustNew(t, tt.o)
		for name, e := range events {
			out, got := s.Apply(e)
			if want := strings.Contains(" "+tt.want+" ", " "+name+" "); got != want {
				t.Errorf("%s: %s is let through: %v, want %v", tt.name, name, got, want)
			}
			if got && out != e {
				t.Errorf("%s: %s was copied though nothing is redacted", tt.name, name)
			}
		}
	}
}

func TestOptions(t *testing.T) {
	key := []byte("0123456789abcdef")
	rule := func(with string, key []byte, fields ...string) shape.Options {
		return shape.Options{Redact: []shape.Rule{{Fields: fields, With: with, Key: key}}}
	}
	for name, o := range map[string]shape.Options{
		"class":            {Classes: []string{"logins"}},
		"base class":       {Classes: []string{"base"}},
		"severity":         {MinSeverity: "grave"},
		"unknown severity": {MinSeverity: "unknown"},
		"no fields":        rule("drop", nil),
		"no such field":    rule("drop", nil, "e-mail"),
		"no such path":     rule("drop", nil, "user.mail"),
		"the class":        rule("drop", nil, "class_name"),
		"the event's id":   rule("drop", nil, "metadata.uid"),
		"the tenant":       rule("mask", nil, "metadata.tenant_uid"),
		"half a name":      rule("drop", nil, "user.email"),
		"empty":            rule("drop", nil, ""),
		"no such way":      rule("hash", nil, "email"),
		"no way":           rule("", nil, "email"),
		"no key":           rule("pseudonym", nil, "email"),
		"short key":        rule("pseudonym", key[:15], "email"),
		"hash of a record": rule("pseudonym", key, "raw"),
		"hash of a map":    rule("pseudonym", key, "unmapped"),
		"hash of data":     rule("pseudonym", key, "api.request.data"),
		"twice in a rule":  rule("drop", nil, "email", "email"),
		"twice by []":      rule("drop", nil, "resources.uid", "resources[].uid"),
		"twice": {Redact: []shape.Rule{
			{Fields: []string{"email"}, With: "drop"}, {Fields: []string{"ip", "email"}, With: "mask"},
		}},
	} {
		_, err := shape.New(o)
		if !errors.Is(err, shape.ErrOptions) {
			t.Errorf("%s: error %v, want %v", name, err, shape.ErrOptions)
		}
		if err != nil && strings.Contains(err.Error(), string(key[:15])) {
			t.Errorf("%s: the key stands in %q", name, err)
		}
	}
	for _, field := range []string{
		"email", "user_name", "user_id", "full_name", "phone", "ip", "location", "user_agent", "session", "raw", "unmapped", "data",
		"raw_data", "user.email_addr", "actor.user", "resources[].uid", "resources[].data", "src_endpoint.location.lat", "metadata.labels", "message",
	} {
		mustNew(t, rule("drop", nil, field))
		mustNew(t, rule("mask", nil, field))
	}
	mustNew(t, rule("pseudonym", key, "email", "user.uid", "src_endpoint"))
}

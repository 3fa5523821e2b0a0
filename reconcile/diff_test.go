package reconcile_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/idtrail/idtrail/reconcile"
	"github.com/idtrail/idtrail/schema"
)

// diffPair compares one linked pair and returns what differs: field, values and
// severity.
func diffPair(t *testing.T, o reconcile.Options, left, right []mod) []string {
	t.Helper()
	l, c := auth0("auth0|1", left...), cognito("s1", append([]mod{linkID("auth0|1")}, right...)...)
	out := []string{}
	for _, d := range drifts(t, compare(t, side("acme", l), side("pool", c), o)) {
		if d.Rule != "K1" || d.LeftID != l.UserID || d.RightID != c.UserID || d.PersonKey != reconcile.PersonKey(l.UserID) {
			t.Errorf("row does not name its pair: %+v", d)
		}
		out = append(out, strings.Join([]string{string(d.Type), d.Field, d.LeftValue, d.RightValue, string(d.Severity)}, " ; "))
	}
	return out
}

type diffCase struct {
	name        string
	left, right []mod
	options     reconcile.Options
	want        []string
}

func TestDiff(t *testing.T) {
	cases := append(append(contactDiffs(), statusDiffs()...), memberDiffs()...)
	for _, c := range append(cases, optionDiffs()...) {
		t.Run(c.name, func(t *testing.T) {
			if c.want == nil {
				c.want = []string{}
			}
			if diff := cmp.Diff(c.want, diffPair(t, c.options, c.left, c.right)); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
		})
	}
}

func contactDiffs() []diffCase {
	unreadable := func(p string) mod { return func(u *schema.User) { u.Phone = p } }
	unknown := func(u *schema.User) { u.EmailVerified = nil }
	return []diffCase{
		{name: "the form of an address does not matter", left: []mod{email("Ada@X.io", true)}, right: []mod{email("ada@x.io", true)}},
		{
			name: "another address: whether it is verified says nothing",
			left: []mod{email("a@x.io", true)}, right: []mod{email("b@x.io", false)},
			want: []string{"attribute ; email ; a@x.io ; b@x.io ; medium"},
		},
		{
			name: "no address on one side", left: []mod{email("a@x.io", true)},
			want: []string{"attribute ; email ; a@x.io ;  ; medium"},
		},
		{
			name: "verified on one side", left: []mod{email("a@x.io", true)}, right: []mod{email("a@x.io", false)},
			want: []string{"attribute ; email_verified ; true ; false ; medium"},
		},
		{
			name: "nothing to be verified", left: []mod{func(u *schema.User) { u.EmailVerified, u.PhoneVerified = new(true), new(true) }},
			right: []mod{func(u *schema.User) { u.EmailVerified, u.PhoneVerified = new(false), new(false) }},
		},
		{name: "not known to be verified", left: []mod{email("a@x.io", true), unknown}, right: []mod{email("a@x.io", true)}},
		{
			name: "another number", left: []mod{phone("+491", true)}, right: []mod{phone("+492", true)},
			want: []string{"attribute ; phone ; +491 ; +492 ; medium"},
		},
		{name: "a number that cannot be read", left: []mod{unreadable("030 1")}, right: []mod{phone("+49301", true)}},
		{
			name: "a number that cannot be read, and none", left: []mod{unreadable("030 1")},
			want: []string{"attribute ; phone ; 030 1 ;  ; medium"},
		},
		{
			name: "names", left: []mod{func(u *schema.User) { u.NameFormatted, u.GivenName = "Ada L", "Ada" }},
			right: []mod{func(u *schema.User) { u.NameFormatted, u.FamilyName = "Ada B", "B" }},
			want: []string{
				"attribute ; family_name ;  ; B ; low", "attribute ; given_name ; Ada ;  ; low", "attribute ; name ; Ada L ; Ada B ; low",
			},
		},
	}
}

func statusDiffs() []diffCase {
	shut := func(u *schema.User) { u.Status, u.Active = schema.UserUnknown, false }
	open := func(u *schema.User) { u.Status, u.Active = schema.UserUnknown, true }
	activeOnly := reconcile.Options{Compare: []string{reconcile.FieldActive}}
	return []diffCase{
		{
			name: "disabled on the left", left: []mod{status(schema.UserDisabled)},
			want: []string{"status ; status ; disabled ; active ; high"},
		},
		{
			name: "disabled on the right", left: []mod{status(schema.UserPending)}, right: []mod{status(schema.UserDisabled)},
			want: []string{"status ; status ; pending ; disabled ; high"},
		},
		{name: "disabled on both", left: []mod{status(schema.UserDisabled)}, right: []mod{status(schema.UserDisabled)}},
		{
			name: "not yet confirmed", right: []mod{status(schema.UserPending)},
			want: []string{"status ; status ; active ; pending ; low"},
		},
		{
			name: "to be reset", right: []mod{status(schema.UserResetRequired)},
			want: []string{"status ; status ; active ; reset_required ; low"},
		},
		{name: "not known, but open", left: []mod{open}, right: []mod{status(schema.UserPending)}},
		{
			name: "not known, but shut", left: []mod{shut},
			want: []string{"status ; status ; disabled ; active ; high"},
		},
		{
			name: "only whether it is disabled", right: []mod{status(schema.UserDisabled)}, options: activeOnly,
			want: []string{"status ; status ; active ; disabled ; high"},
		},
		{name: "only whether it is disabled: pending is not", right: []mod{status(schema.UserPending)}, options: activeOnly},
		{name: "a second factor nobody asked for is not known to be missing", left: []mod{mfa(true)}},
		{name: "not known on the left", right: []mod{mfa(false)}},
		{
			name: "a second factor on one side", left: []mod{mfa(true)}, right: []mod{mfa(false)},
			want: []string{"mfa ; mfa_enabled ; true ; false ; medium"},
		},
		{name: "none on both", left: []mod{mfa(false)}, right: []mod{mfa(false)}},
	}
}

func memberDiffs() []diffCase {
	pairs := func(p ...string) (o reconcile.Options) {
		for i := 0; i < len(p); i += 2 {
			o.GroupMap = append(o.GroupMap, reconcile.GroupPair{Left: p[i], Right: p[i+1]})
		}
		return o
	}
	return []diffCase{
		{
			name: "roles here, groups there", left: []mod{roles("admin", "staff")}, right: []mod{groups("ops", "staff")},
			want: []string{"groups ; groups ;  ; ops ; medium", "groups ; groups ; admin ;  ; medium"},
		},
		{name: "not known on one side", left: []mod{roles("admin")}},
		{
			name: "known to have none", left: []mod{roles("admin")}, right: []mod{groups()},
			want: []string{"groups ; groups ; admin ;  ; medium"},
		},
		{name: "a pair", left: []mod{roles("admin")}, right: []mod{groups("Admins")}, options: pairs("admin", "Admins")},
		{
			name: "a pair takes the place of the same name", left: []mod{roles("admin")}, right: []mod{groups("admin")},
			options: pairs("admin", "Admins"),
			want:    []string{"groups ; groups ;  ; admin ; medium", "groups ; groups ; admin ;  ; medium"},
		},
		{
			name: "two roles, one group", left: []mod{roles("a")}, right: []mod{groups("x")}, options: pairs("a", "x", "b", "x"),
		},
		{
			name: "left out", left: []mod{roles("internal")}, right: []mod{groups("beta")}, options: pairs("internal", "", "", "beta"),
		},
		{name: "the pool's own group", left: []mod{roles()}, right: []mod{groups("eu-west-1_AbC123_Google")}},
		{name: "case matters", left: []mod{roles("Admin")}, right: []mod{groups("admin")}, want: []string{
			"groups ; groups ;  ; admin ; medium", "groups ; groups ; Admin ;  ; medium",
		}},
	}
}

func optionDiffs() []diffCase {
	attr := func(k, v string) mod {
		return func(u *schema.User) {
			if u.Attributes == nil {
				u.Attributes = map[string]string{}
			}
			u.Attributes[k] = v
		}
	}
	plan := reconcile.Options{Attributes: []reconcile.AttributePair{{Name: "plan", Left: "app_metadata.plan", Right: "custom:plan"}}}
	return []diffCase{
		{
			name: "attributes", options: plan,
			left: []mod{attr("app_metadata.plan", "gold")}, right: []mod{attr("custom:plan", "free"), attr("custom:other", "x")},
			want: []string{"attribute ; plan ; gold ; free ; low"},
		},
		{name: "attributes not kept on one side", options: plan, left: []mod{attr("app_metadata.plan", "gold")}},
		{
			name: "nothing is compared", options: reconcile.Options{Compare: []string{}},
			left: []mod{email("a@x.io", true), status(schema.UserDisabled), mfa(true), roles("a")}, right: []mod{mfa(false), groups()},
		},
		{
			name: "fields that are not compared unless asked for", options: reconcile.Options{Compare: []string{"locale", "organizations"}},
			left:  []mod{func(u *schema.User) { u.Locale, u.Nickname, u.Organizations = "de", "x", []string{"org"} }},
			right: []mod{func(u *schema.User) { u.Organizations = []string{} }},
			want:  []string{"attribute ; locale ; de ;  ; low", "groups ; organizations ; org ;  ; medium"},
		},
	}
}

// Whoever has none of the attributes that others have lacks them; where nobody
// has one, nobody was asked.
func TestAttributesKept(t *testing.T) {
	plan := func(u *schema.User) { u.Attributes = map[string]string{"plan": "gold"} }
	o := reconcile.Options{Attributes: []reconcile.AttributePair{{Left: "plan", Right: "plan"}}}
	left := []schema.User{auth0("auth0|1", linkID("s1"), plan), auth0("auth0|2", linkID("s2"), plan)}

	r := compare(t, side("acme", left...), side("pool", cognito("s1", plan), cognito("s2")), o)
	if diff := cmp.Diff([]string{"attribute ; auth0|2 ; s2 ; K1 ; plan ; gold ; "}, briefs(drifts(t, r))); diff != "" {
		t.Errorf("kept on both sides (-want +got):\n%s", diff)
	}
	r = compare(t, side("acme", left...), side("pool", cognito("s1"), cognito("s2")), o)
	if got := briefs(drifts(t, r)); len(got) != 0 {
		t.Errorf("kept on one side: got %v, want none", got)
	}
	want := []string{"pool: no account has an attribute to compare: attributes are not compared"}
	if diff := cmp.Diff(want, r.Summary.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

func TestScope(t *testing.T) {
	list := []schema.User{
		auth0("auth0|1", identity("auth0", "1"), email("a@x.io", false), roles("staff")),
		auth0("google-oauth2|2", identity("google-oauth2", "2"), email("b@y.io", false), roles()),
		auth0("samlp|3", identity("samlp", "3"), status(schema.UserDisabled)),
	}
	for _, c := range []struct {
		name   string
		filter reconcile.Filter
		want   string
	}{
		{"no filter", reconcile.Filter{}, "auth0|1 google-oauth2|2 samlp|3"},
		{"connections", reconcile.Filter{Connections: []string{"auth0", "samlp"}}, "auth0|1 samlp|3"},
		{"providers in any case", reconcile.Filter{Providers: []string{"SAMLP"}}, "samlp|3"},
		{"groups", reconcile.Filter{Groups: []string{"staff"}}, "auth0|1"},
		{"domains", reconcile.Filter{EmailDomains: []string{"Y.io"}}, "google-oauth2|2"},
		{"statuses", reconcile.Filter{Statuses: []string{"active"}}, "auth0|1 google-oauth2|2"},
		{"several lists", reconcile.Filter{Statuses: []string{"active"}, EmailDomains: []string{"x.io"}}, "auth0|1"},
		{"only these", reconcile.Filter{IncludeIDs: []string{"samlp|3"}}, "samlp|3"},
		{"these too", reconcile.Filter{Groups: []string{"staff"}, IncludeIDs: []string{"samlp|3"}}, "auth0|1 samlp|3"},
		{"not these", reconcile.Filter{IncludeIDs: []string{"samlp|3", "auth0|1"}, ExcludeIDs: []string{"auth0|1"}}, "samlp|3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := compare(t, side("acme", list...), side("pool"), reconcile.Options{Scope: reconcile.Scope{Left: c.filter}})
			var got []string
			for _, d := range drifts(t, r) {
				got = append(got, d.LeftID)
			}
			if got := strings.Join(got, " "); got != c.want {
				t.Errorf("missing: got %s, want %s", got, c.want)
			}
			s := r.Summary.Left
			if int(s.InScope) != len(got) || s.InScope+s.OutOfScope != 3 || s.Unlinked != 3 {
				t.Errorf("counts do not add up: %+v", s)
			}
		})
	}
}

func TestScopeOfCognito(t *testing.T) {
	native, federated := cognito("s1"), cognito("s2", external("Google_1"), identity("Google", "1"))
	r := compare(t, side("acme"), side("pool", native, federated),
		reconcile.Options{Scope: reconcile.Scope{Right: reconcile.Filter{Providers: []string{"cognito"}}}})
	if diff := cmp.Diff([]string{"missing_left ;  ; s1 ;  ;  ;  ; "}, briefs(drifts(t, r))); diff != "" {
		t.Errorf("native users only (-want +got):\n%s", diff)
	}
}

// A partner out of scope is a partner: nobody is missing, nothing is compared.
func TestOutOfScopePartner(t *testing.T) {
	r := compare(t, side("acme", auth0("auth0|1", email("a@x.io", true), status(schema.UserDisabled))),
		side("pool", cognito("s1", email("a@x.io", true))),
		reconcile.Options{Scope: reconcile.Scope{Left: reconcile.Filter{ExcludeIDs: []string{"auth0|1"}}}})
	if got := drifts(t, r); len(got) != 0 {
		t.Errorf("rows: got %v, want none", briefs(got))
	}
	if s := r.Summary; s.Linked != 1 || s.LinkedOutOfScope != 1 || s.Compared != 0 {
		t.Errorf("counts: %+v", s)
	}
}

func TestConfidence(t *testing.T) {
	late := side("pool", cognito("s1", linkID("auth0|1"), named("x")), cognito("s3", email("c@x.io", true)))
	late.Snapshot.Begin = begin.Add(time.Hour)
	young := begin.Add(30 * time.Minute)
	r := compare(t, side("acme", auth0("auth0|1", status(schema.UserDisabled), updated(young)),
		auth0("auth0|2", created(young)), auth0("auth0|3", email("c@x.io", false)), auth0("auth0|4", status(schema.UserDisabled))), late, reconcile.Options{})
	var got []string
	for _, d := range drifts(t, r) {
		got = append(got, strings.Join([]string{string(d.Type), d.LeftID + d.RightID, string(d.Severity), string(d.Confidence), d.Detail}, " ; "))
	}
	want := []string{
		"missing_left ; s3 ; medium ; low ; an account there has the same e-mail address: see its candidates",
		"missing_right ; auth0|2 ; medium ; strong ; ",
		"missing_right ; auth0|3 ; medium ; low ; an account there has the same e-mail address: see its candidates",
		"missing_right ; auth0|4 ; low ; strong ; ",
		"status ; auth0|1s1 ; high ; low ; changed after one of the snapshots began",
		"candidate ; auth0|3s3 ; low ; low ; same e-mail address, not verified on the left",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}

	early := side("pool")
	early.Snapshot.Begin = begin.Add(-time.Hour)
	r = compare(t, side("acme", auth0("auth0|2", created(begin.Add(-time.Minute)))), early, reconcile.Options{})
	if d := drifts(t, r)[0]; d.Confidence != reconcile.ConfidenceLow || d.Detail != "created after the other snapshot began" {
		t.Errorf("an account younger than the other snapshot: got %s, %q", d.Confidence, d.Detail)
	}
}

func TestRefused(t *testing.T) {
	good := func() (l, r reconcile.Side) { return side("acme"), side("pool") }
	for _, c := range []struct {
		name   string
		change func(l, r *reconcile.Side, o *reconcile.Options)
		want   error
	}{
		{"left incomplete", func(l, _ *reconcile.Side, _ *reconcile.Options) { l.Snapshot.Complete = false }, reconcile.ErrIncomplete},
		{"right incomplete", func(_, r *reconcile.Side, _ *reconcile.Options) { r.Snapshot.Complete = false }, reconcile.ErrIncomplete},
		{"no source", func(l, _ *reconcile.Side, _ *reconcile.Options) { l.Source = "" }, reconcile.ErrOptions},
		{"no users", func(l, _ *reconcile.Side, _ *reconcile.Options) { l.Users = nil }, reconcile.ErrOptions},
		{"one source", func(l, r *reconcile.Side, _ *reconcile.Options) { l.Source = r.Source }, reconcile.ErrOptions},
		{"no users' kind", func(l, _ *reconcile.Side, _ *reconcile.Options) { l.Kind = schema.KindCloudTrail }, reconcile.ErrOptions},
		{"field", func(_, _ *reconcile.Side, o *reconcile.Options) { o.Compare = []string{"mail"} }, reconcile.ErrOptions},
		{"group", func(_, _ *reconcile.Side, o *reconcile.Options) { o.GroupMap = make([]reconcile.GroupPair, 1) }, reconcile.ErrOptions},
		{"attribute", func(_, _ *reconcile.Side, o *reconcile.Options) {
			o.Attributes = []reconcile.AttributePair{{Left: "x"}}
		}, reconcile.ErrOptions},
		{"users cannot be read", func(l, _ *reconcile.Side, _ *reconcile.Options) { l.Users = failing(auth0("auth0|1")) }, errRead},
		{"no such directory", func(l, _ *reconcile.Side, o *reconcile.Options) {
			o.TempDir += "/none"
			reconcile.SetSpill(o, 1)
			l.Users = users(auth0("auth0|1"))
		}, os.ErrNotExist},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, r := good()
			o := reconcile.Options{TempDir: t.TempDir()}
			c.change(&l, &r, &o)
			res, err := reconcile.Compare(context.Background(), l, r, o)
			if !errors.Is(err, c.want) || res != nil {
				t.Errorf("got %v, want %v", err, c.want)
			}
			wantEmpty(t, o.TempDir)
		})
	}
}

func wantEmpty(t *testing.T, dir string) {
	t.Helper()
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		t.Errorf("left behind: %v", entries)
	}
}

// However a comparison ends, and at any time in between, no file of it has a
// name.
func TestNothingStaysBehind(t *testing.T) {
	var left []schema.User
	for i := range 3000 {
		left = append(left, auth0(id("auth0|", i), email(id("e", i)+"@x.io", true)))
	}
	o := reconcile.Options{TempDir: t.TempDir()}
	reconcile.SetSpill(&o, 4096)
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	stopped := errors.New("stopped")
	for n := range 4 {
		s := side("acme")
		s.Users = func(yield func(schema.User, error) bool) {
			for i, u := range left {
				if n == 3 && i == 100 {
					cancel(stopped)
				}
				if !yield(u, nil) {
					return
				}
			}
		}
		r, err := reconcile.Compare(ctx, s, side("pool"), o)
		if n == 3 {
			if !errors.Is(err, stopped) {
				t.Errorf("cancelled: got %v, want %v", err, stopped)
			}
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		wantEmpty(t, o.TempDir)
		for _, err := range r.Rows() {
			if err != nil {
				t.Error(err)
			}
			break
		}
		if err := errors.Join(r.Close(), r.Close()); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	wantEmpty(t, o.TempDir)
}

// A result that is closed has lost its rows, and says so.
func TestClosed(t *testing.T) {
	r := compare(t, side("acme", auth0("auth0|1")), side("pool"), reconcile.Options{})
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	var errs []error
	for _, err := range r.Rows() {
		errs = append(errs, err)
	}
	for _, err := range r.Persons(context.Background()) {
		errs = append(errs, err)
	}
	if len(errs) != 2 || errs[0] == nil || errs[1] == nil {
		t.Errorf("got %v, want two errors", errs)
	}
}

func TestOddSnapshots(t *testing.T) {
	l := side("acme",
		auth0("auth0|1", named("old"), updated(begin.Add(-time.Hour))), auth0("auth0|1", named("new")), auth0(""),
		auth0("auth0|2\x00"), auth0("auth0|2"), auth0("auth0|2\x00\x01"))
	l.Users = users(
		auth0("auth0|1", named("new"), updated(begin)), auth0("auth0|2\x00\x01"), auth0(""), auth0("auth0|2"),
		auth0("auth0|1", named("old"), updated(begin.Add(-time.Hour))), auth0("auth0|2\x00"))
	l.Snapshot.Counts = map[string]int64{"users": 9}
	r := compare(t, l, side("pool"), reconcile.Options{})
	var got []string
	for _, d := range drifts(t, r) {
		got = append(got, d.LeftName)
	}
	if diff := cmp.Diff([]string{"new", "auth0|2", "auth0|2\x00", "auth0|2\x00\x01"}, got); diff != "" {
		t.Errorf("accounts (-want +got):\n%s", diff)
	}
	want := []string{
		"acme: the snapshot holds 9 accounts, 6 could be read: some may be reported as missing wrongly",
		"acme: records without an id, left out: 1",
		"pool: the snapshot holds no account",
	}
	if diff := cmp.Diff(want, r.Summary.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	if s := r.Summary.Left; s.Users != 4 || s.Repeated != 1 || s.Unidentified != 1 {
		t.Errorf("counts: %+v", s)
	}
}

package reconcile_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/idtrail/idtrail/reconcile"
	"github.com/idtrail/idtrail/schema"
)

type matchCase struct {
	name        string
	left, right []schema.User
	options     reconcile.Options
	links       []string
	rows        []string
}

// Every case runs both ways round.
func TestMatch(t *testing.T) {
	for _, c := range matchCases() {
		t.Run(c.name, func(t *testing.T) {
			r := compare(t, side("acme", c.left...), side("pool", c.right...), c.options)
			if diff := cmp.Diff(c.links, links(t, r)); diff != "" {
				t.Errorf("links (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.rows, briefs(drifts(t, r))); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
			back := compare(t, side("pool", c.right...), side("acme", c.left...), c.options)
			if diff := cmp.Diff(mirrored(drifts(t, r)), sorted(drifts(t, back))); diff != "" {
				t.Errorf("sides swapped (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(links(t, r), links(t, back)); diff != "" {
				t.Errorf("links of sides swapped (-want +got):\n%s", diff)
			}
		})
	}
}

func matchCases() []matchCase {
	return append(append(explicitCases(), federationCases()...), append(socialCases(), contactCases()...)...)
}

func explicitCases() []matchCase {
	return []matchCase{
		{
			name:  "K1 from the pool",
			left:  []schema.User{auth0("auth0|1")},
			right: []schema.User{cognito("s1", linkID("auth0|1"))},
			links: []string{"auth0|1=s1 K1"}, rows: []string{},
		},
		{
			name:  "K1 from Auth0",
			left:  []schema.User{auth0("auth0|1", linkID("s1"))},
			right: []schema.User{cognito("s1")},
			links: []string{"auth0|1=s1 K1"}, rows: []string{},
		},
		{
			name:  "K1 is exact",
			left:  []schema.User{auth0("auth0|a")},
			right: []schema.User{cognito("s1", linkID("auth0|A"))},
			links: []string{},
			rows:  []string{"missing_left ;  ; s1 ;  ;  ;  ; ", "missing_right ; auth0|a ;  ;  ;  ;  ; "},
		},
		{
			name:  "two accounts name one target",
			left:  []schema.User{auth0("auth0|1")},
			right: []schema.User{cognito("s1", linkID("auth0|1")), cognito("s2", linkID("auth0|1"))},
			links: []string{},
			rows: []string{
				"missing_left ;  ; s1 ;  ;  ;  ; ", "missing_left ;  ; s2 ;  ;  ;  ; ", "missing_right ; auth0|1 ;  ;  ;  ;  ; ",
				"duplicate ;  ; s1 ; K1 ; link_id ;  ; auth0|1", "duplicate ;  ; s2 ; K1 ; link_id ;  ; auth0|1",
			},
		},
		{
			name:  "the two sides name different partners",
			left:  []schema.User{auth0("auth0|1", linkID("s1"))},
			right: []schema.User{cognito("s1"), cognito("s2", linkID("auth0|1"))},
			links: []string{},
			rows: []string{
				"missing_left ;  ; s1 ;  ;  ;  ; ", "missing_left ;  ; s2 ;  ;  ;  ; ", "missing_right ; auth0|1 ;  ;  ;  ;  ; ",
				"link_conflict ; auth0|1 ; s1 ; K1 ;  ;  ; ", "link_conflict ; auth0|1 ; s2 ; K1 ;  ;  ; ",
			},
		},
		{
			name:  "first link wins, a later differing one is a conflict",
			left:  []schema.User{auth0("auth0|1", email("a@x.io", true)), auth0("auth0|2")},
			right: []schema.User{cognito("s1", linkID("auth0|2"), email("a@x.io", true))},
			links: []string{"auth0|2=s1 K1"},
			rows: []string{
				"missing_right ; auth0|1 ;  ;  ;  ;  ; ",
				"attribute ; auth0|2 ; s1 ; K1 ; email ;  ; a@x.io",
				"link_conflict ; auth0|1 ; s1 ; K4 ;  ;  ; ",
			},
		},
		{
			name:  "deleted and created anew: the old link names nobody",
			left:  []schema.User{auth0("auth0|new", email("a@x.io", true))},
			right: []schema.User{cognito("s1", linkID("auth0|old"), identity("Auth0", "auth0|old"), email("a@x.io", true))},
			links: []string{"auth0|new=s1 K4"},
			rows: []string{
				"link_conflict ; auth0|new ; s1 ; K1 ; link_id ;  ; auth0|old",
				"link_conflict ; auth0|new ; s1 ; K2 ; identities ;  ; Auth0:auth0|old",
			},
		},
		{
			name:  "an equal user name is no link",
			left:  []schema.User{auth0("auth0|1", named("ada"))},
			right: []schema.User{cognito("s1", named("ada"))},
			links: []string{},
			rows:  []string{"missing_left ;  ; s1 ;  ;  ;  ; ", "missing_right ; auth0|1 ;  ;  ;  ;  ; "},
		},
	}
}

func federationCases() []matchCase {
	named0 := reconcile.Options{Auth0Providers: []string{"Acme"}}
	return []matchCase{
		{
			name:  "K2 by identity",
			left:  []schema.User{auth0("auth0|1"), auth0("auth0|2")},
			right: []schema.User{cognito("s1", external("x"), identity("AnyName", "auth0|1")), cognito("s2", identity("AnyName", "auth0|2"))},
			links: []string{"auth0|1=s1 K2", "auth0|2=s2 K2"}, rows: []string{},
		},
		{
			name:  "K2 of a lower-cased identity",
			left:  []schema.User{auth0("auth0|AbC")},
			right: []schema.User{cognito("s1", identity("Auth0", "auth0|abc"))},
			links: []string{"auth0|AbC=s1 K2-nocase"}, rows: []string{},
		},
		{
			name:  "K2 by the name of a federated user",
			left:  []schema.User{auth0("auth0|5fAB")},
			right: []schema.User{cognito("s1", external("my_idp_auth0|5fab"))},
			links: []string{"auth0|5fAB=s1 K2-nocase"}, rows: []string{},
		},
		{
			// Anyone who signs up by himself can choose this name.
			name:  "a native user's name proves nothing",
			left:  []schema.User{auth0("auth0|1"), auth0("auth0|2")},
			right: []schema.User{cognito("s1", named("Auth0_auth0|1")), cognito("s2", external("Auth0_auth0|2"))},
			links: []string{"auth0|2=s2 K2-nocase"},
			rows:  []string{"missing_left ;  ; s1 ;  ;  ;  ; ", "missing_right ; auth0|1 ;  ;  ;  ;  ; "},
		},
		{
			name:  "two ids that differ in case only are two",
			left:  []schema.User{auth0("auth0|A"), auth0("auth0|a")},
			right: []schema.User{cognito("s1", external("Auth0_auth0|a"))},
			links: []string{},
			rows: []string{
				"missing_left ;  ; s1 ;  ;  ;  ; ", "missing_right ; auth0|A ;  ;  ;  ;  ; ", "missing_right ; auth0|a ;  ;  ;  ;  ; ",
			},
		},
		{
			name:    "only the providers named are Auth0",
			left:    []schema.User{auth0("auth0|1"), auth0("auth0|2")},
			right:   []schema.User{cognito("s1", identity("acme", "auth0|1")), cognito("s2", identity("Other", "auth0|2"))},
			options: named0,
			links:   []string{"auth0|1=s1 K2"},
			rows:    []string{"missing_left ;  ; s2 ;  ;  ;  ; ", "missing_right ; auth0|2 ;  ;  ;  ;  ; "},
		},
		{
			name: "a linked native user and the profile made beside it",
			left: []schema.User{auth0("auth0|1")},
			right: []schema.User{
				cognito("s1", identity("Auth0", "auth0|1")), cognito("s2", external("Auth0_auth0|1"), identity("Auth0", "auth0|1")),
			},
			links: []string{},
			rows: []string{
				"missing_left ;  ; s1 ;  ;  ;  ; ", "missing_left ;  ; s2 ;  ;  ;  ; ", "missing_right ; auth0|1 ;  ;  ;  ;  ; ",
				"duplicate ;  ; s1 ; K2 ; identities ;  ; Auth0:auth0|1", "duplicate ;  ; s2 ; K2 ; identities ;  ; Auth0:auth0|1",
			},
		},
		{
			name:  "one account with two federated partners",
			left:  []schema.User{auth0("auth0|1"), auth0("auth0|2")},
			right: []schema.User{cognito("s1", identity("Auth0", "auth0|1"), identity("Auth0", "auth0|2"))},
			links: []string{},
			rows: []string{
				"missing_left ;  ; s1 ;  ;  ;  ; ", "missing_right ; auth0|1 ;  ;  ;  ;  ; ", "missing_right ; auth0|2 ;  ;  ;  ;  ; ",
				"link_conflict ; auth0|1 ; s1 ; K2 ;  ;  ; ", "link_conflict ; auth0|2 ; s1 ; K2 ;  ;  ; ",
			},
		},
	}
}

func socialCases() []matchCase {
	return []matchCase{
		{
			name: "K3 by both sides' names of the provider",
			left: []schema.User{
				auth0("google-oauth2|1", identity("google-oauth2", "1")), auth0("auth0|2", identity("auth0", "2"), identity("facebook", "2")),
				auth0("apple|3", identity("apple", "3")), auth0("amazon|A4", identity("amazon", "A4")),
			},
			right: []schema.User{
				cognito("s1", identity("Google", "1")), cognito("s2", identity("Facebook", "2")),
				cognito("s3", identity("SignInWithApple", "3")), cognito("s4", external("loginwithamazon_a4")),
			},
			links: []string{"amazon|A4=s4 K3-nocase", "apple|3=s3 K3", "auth0|2=s2 K3", "google-oauth2|1=s1 K3"}, rows: []string{},
		},
		{
			name:  "only names of federated users",
			left:  []schema.User{auth0("facebook|1"), auth0("facebook|2", identity("facebook", "2"), identity("facebook", "1"))},
			right: []schema.User{cognito("s1", external("Facebook_1")), cognito("s2", external("facebook_2"))},
			links: []string{"facebook|2=s2 K3-nocase"},
			rows: []string{
				"missing_left ;  ; s1 ;  ;  ;  ; ", "missing_right ; facebook|1 ;  ;  ;  ;  ; ",
				"duplicate ; facebook|1 ;  ; K3 ; identities ; facebook|1 ; ",
				"duplicate ; facebook|2 ;  ; K3 ; identities ; facebook:1, facebook:2 ; ",
			},
		},
		{
			name:  "the same id at different providers is not the same",
			left:  []schema.User{auth0("google-oauth2|1")},
			right: []schema.User{cognito("s1", identity("Facebook", "1"))},
			links: []string{},
			rows:  []string{"missing_left ;  ; s1 ;  ;  ;  ; ", "missing_right ; google-oauth2|1 ;  ;  ;  ;  ; "},
		},
		{
			name:    "providers are configured",
			left:    []schema.User{auth0("windowslive|1"), auth0("google-oauth2|2")},
			right:   []schema.User{cognito("s1", identity("Microsoft", "1")), cognito("s2", identity("Google", "2"))},
			options: reconcile.Options{Providers: map[string]string{"windowslive": "Microsoft", "google-oauth2": ""}},
			links:   []string{"windowslive|1=s1 K3"},
			rows:    []string{"missing_left ;  ; s2 ;  ;  ;  ; ", "missing_right ; google-oauth2|2 ;  ;  ;  ;  ; "},
		},
		{
			name:  "K3 through Auth0, after the accounts were linked there",
			left:  []schema.User{auth0("auth0|1", identity("auth0", "1"), identity("google-oauth2", "77"))},
			right: []schema.User{cognito("s1", identity("Auth0", "google-oauth2|77"))},
			links: []string{"auth0|1=s1 K3"},
			rows:  []string{"link_conflict ; auth0|1 ; s1 ; K2 ; identities ;  ; Auth0:google-oauth2|77"},
		},
		{
			// The id in an enterprise connection is what the enterprise says.
			name:  "an Auth0 identity cannot pass for a social one",
			left:  []schema.User{auth0("samlp|x", identity("samlp", "google|77"))},
			right: []schema.User{cognito("s1", identity("Google", "77"))},
			links: []string{},
			rows:  []string{"missing_left ;  ; s1 ;  ;  ;  ; ", "missing_right ; samlp|x ;  ;  ;  ;  ; "},
		},
		{
			name:  "an identity told twice is one",
			left:  []schema.User{auth0("auth0|1", identity("facebook", "9"), identity("facebook", "9"))},
			right: []schema.User{cognito("s1", identity("Facebook", "9"))},
			links: []string{"auth0|1=s1 K3"}, rows: []string{},
		},
		{
			name: "several by K3, one by K4",
			left: []schema.User{auth0("auth0|1", identity("facebook", "1"), identity("google-oauth2", "2"), email("a@x.io", true))},
			right: []schema.User{
				cognito("s1", identity("Facebook", "1"), email("a@x.io", true)), cognito("s2", identity("Google", "2")),
			},
			links: []string{"auth0|1=s1 K4"},
			rows: []string{
				"missing_left ;  ; s2 ;  ;  ;  ; ", "link_conflict ; auth0|1 ; s2 ; K3 ;  ;  ; ",
			},
		},
		{
			name: "each rule tells its conflicts",
			left: []schema.User{auth0("auth0|1", identity("facebook", "1"), email("a@x.io", true)), auth0("auth0|2")},
			right: []schema.User{
				cognito("s1", linkID("auth0|2"), identity("Facebook", "1"), email("a@x.io", true)),
			},
			links: []string{"auth0|2=s1 K1"},
			rows: []string{
				"missing_right ; auth0|1 ;  ;  ;  ;  ; ", "attribute ; auth0|2 ; s1 ; K1 ; email ;  ; a@x.io",
				"link_conflict ; auth0|1 ; s1 ; K3 ;  ;  ; ", "link_conflict ; auth0|1 ; s1 ; K4 ;  ;  ; ",
			},
		},
		{
			name: "two accounts share two identities",
			left: []schema.User{
				auth0("auth0|1", identity("facebook", "1"), identity("google-oauth2", "2")),
				auth0("auth0|2", identity("facebook", "1"), identity("google-oauth2", "2")),
			},
			links: []string{},
			rows: []string{
				"missing_right ; auth0|1 ;  ;  ;  ;  ; ", "missing_right ; auth0|2 ;  ;  ;  ;  ; ",
				"duplicate ; auth0|1 ;  ; K3 ; identities ; facebook:1, google-oauth2:2 ; ",
				"duplicate ; auth0|2 ;  ; K3 ; identities ; facebook:1, google-oauth2:2 ; ",
			},
		},
		{
			name: "a social account that belongs to somebody else already",
			left: []schema.User{auth0("auth0|1", identity("facebook", "9"))},
			right: []schema.User{
				cognito("s1", linkID("auth0|1")), cognito("s2", identity("Facebook", "9")),
			},
			links: []string{"auth0|1=s1 K1"},
			rows: []string{
				"missing_left ;  ; s2 ;  ;  ;  ; ",
				"link_conflict ; auth0|1 ; s2 ; K3 ;  ;  ; ",
			},
		},
	}
}

func contactCases() []matchCase {
	missing := []string{"missing_left ;  ; s1 ;  ;  ;  ; ", "missing_right ; auth0|1 ;  ;  ;  ;  ; "}
	candidate := "candidate ; auth0|1 ; s1 ;  ; email ; a@x.io ; a@x.io"
	return []matchCase{
		{
			name:  "K4",
			left:  []schema.User{auth0("auth0|1", email("A@x.io", true))},
			right: []schema.User{cognito("s1", email("a@x.io", true))},
			links: []string{"auth0|1=s1 K4"}, rows: []string{},
		},
		{
			// Someone registered the victim's address and never proved it.
			name:  "account takeover: not verified on the right",
			left:  []schema.User{auth0("auth0|1", email("a@x.io", true))},
			right: []schema.User{cognito("s1", email("a@x.io", false))},
			links: []string{}, rows: append(append([]string{}, missing...), candidate),
		},
		{
			name:  "account takeover: not verified on the left",
			left:  []schema.User{auth0("auth0|1", email("a@x.io", false))},
			right: []schema.User{cognito("s1", email("a@x.io", true))},
			links: []string{}, rows: append(append([]string{}, missing...), candidate),
		},
		{
			name:  "not known to be verified is not verified",
			left:  []schema.User{auth0("auth0|1", email("a@x.io", true), func(u *schema.User) { u.EmailVerified = nil })},
			right: []schema.User{cognito("s1", email("a@x.io", true))},
			links: []string{}, rows: append(append([]string{}, missing...), candidate),
		},
		{
			name:  "an unverified account beside does not disturb",
			left:  []schema.User{auth0("auth0|1", email("a@x.io", true))},
			right: []schema.User{cognito("s1", email("a@x.io", true)), cognito("s2", email("a@x.io", false))},
			links: []string{"auth0|1=s1 K4"},
			rows:  []string{"missing_left ;  ; s2 ;  ;  ;  ; ", "candidate ; auth0|1 ; s2 ;  ; email ; a@x.io ; a@x.io"},
		},
		{
			name:  "two verified accounts on one side",
			left:  []schema.User{auth0("auth0|1", email("a@x.io", true))},
			right: []schema.User{cognito("s1", email("a@x.io", true)), cognito("s2", email("a@x.io", true))},
			links: []string{},
			rows: []string{
				missing[0], "missing_left ;  ; s2 ;  ;  ;  ; ", missing[1],
				"duplicate ;  ; s1 ; K4 ; email ;  ; a@x.io", "duplicate ;  ; s2 ; K4 ; email ;  ; a@x.io",
				candidate, "candidate ; auth0|1 ; s2 ;  ; email ; a@x.io ; a@x.io",
			},
		},
		{
			// The second of each is not what remains when the first are linked.
			name: "accounts that are linked still count as candidates",
			left: []schema.User{auth0("auth0|1", email("a@x.io", true)), auth0("auth0|2", email("a@x.io", true))},
			right: []schema.User{
				cognito("s1", email("a@x.io", true), linkID("auth0|1")), cognito("s2", email("a@x.io", true)),
			},
			links: []string{"auth0|1=s1 K1"},
			rows: []string{
				"missing_left ;  ; s2 ;  ;  ;  ; ", "missing_right ; auth0|2 ;  ;  ;  ;  ; ",
				"duplicate ;  ; s1 ; K4 ; email ;  ; a@x.io", "duplicate ;  ; s2 ; K4 ; email ;  ; a@x.io",
				"duplicate ; auth0|1 ;  ; K4 ; email ; a@x.io ; ", "duplicate ; auth0|2 ;  ; K4 ; email ; a@x.io ; ",
				"candidate ; auth0|1 ; s2 ;  ; email ; a@x.io ; a@x.io",
				"candidate ; auth0|2 ; s1 ;  ; email ; a@x.io ; a@x.io", "candidate ; auth0|2 ; s2 ;  ; email ; a@x.io ; a@x.io",
			},
		},
		{
			name:  "K5",
			left:  []schema.User{auth0("sms|1", phone("+4930123456", true))},
			right: []schema.User{cognito("s1", phone("+4930123456", true))},
			links: []string{"sms|1=s1 K5"}, rows: []string{},
		},
		{
			name:  "a phone number not verified on both sides",
			left:  []schema.User{auth0("auth0|1", phone("+4930123456", true))},
			right: []schema.User{cognito("s1", phone("+4930123456", false))},
			links: []string{}, rows: missing,
		},
		{
			name: "the address goes before the number",
			left: []schema.User{
				auth0("auth0|1", email("a@x.io", true), phone("+4930123456", true)), auth0("auth0|2", email("b@x.io", true)),
			},
			right: []schema.User{
				cognito("s1", email("a@x.io", true)), cognito("s2", email("b@x.io", true), phone("+4930123456", true)),
			},
			links: []string{"auth0|1=s1 K4", "auth0|2=s2 K4"},
			rows: []string{
				"attribute ; auth0|1 ; s1 ; K4 ; phone ; +4930123456 ; ", "attribute ; auth0|2 ; s2 ; K4 ; phone ;  ; +4930123456",
				"link_conflict ; auth0|1 ; s2 ; K5 ;  ;  ; ",
			},
		},
	}
}

// A finding about one account of a pair is about the pair's person.
func TestPersonOfDuplicate(t *testing.T) {
	shared := email("a@x.io", true)
	r := compare(t, side("pool", cognito("s1", linkID("auth0|1"), shared), cognito("s2", shared)),
		side("acme", auth0("auth0|1", shared)), reconcile.Options{})
	var got []string
	for _, d := range drifts(t, r, reconcile.Duplicate, reconcile.Candidate, reconcile.LinkConflict) {
		got = append(got, string(d.Type)+" "+d.LeftID+" "+d.PersonKey)
	}
	one, two := reconcile.PersonKey("auth0|1"), reconcile.PersonKey("s2")
	want := []string{"duplicate s1 " + one, "duplicate s2 " + two, "candidate s2 " + one}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("persons (-want +got):\n%s", diff)
	}
}

// An address that many accounts share must not make a row of every pair.
func TestManyCandidates(t *testing.T) {
	var left, right []schema.User
	for i := range 100 {
		left = append(left, auth0(id("auth0|", i), email("shared@x.io", false)))
		right = append(right, cognito(id("s", i), email("shared@x.io", i == 0)))
	}
	r := compare(t, side("acme", left...), side("pool", right...), reconcile.Options{})
	rows := drifts(t, r, reconcile.Candidate)
	if len(rows) != 200 {
		t.Fatalf("candidates: got %d rows, want 200", len(rows))
	}
	if got, want := rows[199].Detail, "100 accounts of the other side have its e-mail address"; got != want {
		t.Errorf("detail: got %q, want %q", got, want)
	}
}

func TestSameKindOnBothSides(t *testing.T) {
	old := side("old", auth0("auth0|1", identity("auth0", "1"), social("github", "5")), auth0("auth0|2", linkID("auth0|9")))
	renewed := side("renewed", auth0("auth0|8", social("github", "5"), social("windowslive", "6")), auth0("auth0|9"))
	r := compare(t, old, renewed, reconcile.Options{})
	if diff := cmp.Diff([]string{"auth0|1=auth0|8 K3", "auth0|2=auth0|9 K1"}, links(t, r)); diff != "" {
		t.Errorf("tenants (-want +got):\n%s", diff)
	}
	if got := r.Summary.Left.Kind; got != schema.KindAuth0User {
		t.Errorf("kind told from the ids: got %q", got)
	}

	off := reconcile.Options{Providers: map[string]string{"google-oauth2": ""}}
	r = compare(t, side("old", auth0("auth0|1", social("google-oauth2", "5"))), side("renewed", auth0("auth0|8", social("google-oauth2", "5"))), off)
	if got := links(t, r); len(got) != 0 {
		t.Errorf("a provider switched off: got %v, want none", got)
	}

	r = compare(t, side("blue", cognito("b1", identity("Auth0", "auth0|1"))), side("green", cognito("g1", identity("Auth0", "auth0|1"))),
		reconcile.Options{})
	if diff := cmp.Diff([]string{"b1=g1 K3"}, links(t, r)); diff != "" {
		t.Errorf("pools (-want +got):\n%s", diff)
	}
}

func social(provider, id string) mod {
	return func(u *schema.User) {
		u.Identities = append(u.Identities, schema.Identity{Provider: provider, UserID: id, IsSocial: new(true)})
	}
}

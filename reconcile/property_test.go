package reconcile_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/idtrail/idtrail/reconcile"
	"github.com/idtrail/idtrail/schema"
)

func id(prefix string, i int) string { return fmt.Sprintf("%s%06d", prefix, i) }

// mirror is the finding that the sides swapped would give.
func mirror(d reconcile.Drift) reconcile.Drift {
	switch d.Type {
	case reconcile.MissingLeft:
		d.Type = reconcile.MissingRight
	case reconcile.MissingRight:
		d.Type = reconcile.MissingLeft
	case reconcile.Attribute, reconcile.Status, reconcile.Groups, reconcile.MFA,
		reconcile.Duplicate, reconcile.LinkConflict, reconcile.Candidate:
	}
	d.LeftSource, d.RightSource = d.RightSource, d.LeftSource
	d.LeftSnapshot, d.RightSnapshot = d.RightSnapshot, d.LeftSnapshot
	d.LeftID, d.RightID = d.RightID, d.LeftID
	d.LeftName, d.RightName = d.RightName, d.LeftName
	d.LeftValue, d.RightValue = d.RightValue, d.LeftValue
	d.Detail = strings.NewReplacer("the left", "the right", "the right", "the left").Replace(d.Detail)
	return d
}

func sorted(list []reconcile.Drift) []reconcile.Drift {
	slices.SortFunc(list, func(a, b reconcile.Drift) int { return strings.Compare(brief(a), brief(b)) })
	return list
}

func mirrored(list []reconcile.Drift) []reconcile.Drift {
	out := make([]reconcile.Drift, 0, len(list))
	for _, d := range list {
		out = append(out, mirror(d))
	}
	return sorted(out)
}

// messy makes accounts whose few keys collide in every way.
func messy(r *rand.Rand, n int) (left, right []schema.User) {
	pick := func(prefix string, n int) string { return prefix + fmt.Sprint(r.IntN(n)) }
	for i := range n {
		l, c := auth0(id("auth0|A", i)), cognito(id("s", i))
		for _, u := range []*schema.User{&l, &c} {
			maybe := func(m mod) {
				if r.IntN(4) == 0 {
					m(u)
				}
			}
			maybe(email(pick("e", n)+"@x.io", r.IntN(3) > 0))
			maybe(phone(pick("+49301000", n), r.IntN(3) > 0))
			maybe(status([]string{schema.UserDisabled, schema.UserPending, schema.UserUnknown}[r.IntN(3)]))
			maybe(mfa(r.IntN(2) == 0))
			maybe(groups(pick("g", 3)))
			maybe(named(pick("name", 9)))
		}
		if r.IntN(5) == 0 {
			linkID(id("s", r.IntN(n+2)))(&l)
		}
		if r.IntN(3) == 0 {
			identity([]string{"google-oauth2", "facebook"}[r.IntN(2)], pick("", n))(&l)
		}
		switch r.IntN(6) {
		case 0:
			linkID(id("auth0|A", r.IntN(n+2)))(&c)
		case 1:
			identity("Auth0", id("auth0|A", r.IntN(n)))(&c)
		case 2:
			external("Auth0_auth0|a" + id("", r.IntN(n)))(&c)
		case 3:
			identity([]string{"Google", "Facebook"}[r.IntN(2)], pick("", n))(&c)
		}
		left, right = append(left, l), append(right, c)
	}
	return left, right
}

func TestProperties(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 1))
		left, right := messy(r, 5+r.IntN(120))
		o := reconcile.Options{Scope: reconcile.Scope{Right: reconcile.Filter{ExcludeIDs: []string{id("s", 1)}}}}
		here := compare(t, side("acme", left...), side("pool", right...), o)
		want := drifts(t, here)

		back := o
		back.Scope.Left, back.Scope.Right = o.Scope.Right, o.Scope.Left
		swapped := compare(t, side("pool", right...), side("acme", left...), back)
		if diff := cmp.Diff(mirrored(want), sorted(drifts(t, swapped))); diff != "" {
			t.Fatalf("seed %d: sides swapped (-want +got):\n%s", seed, diff)
		}

		shuffle(r, left)
		shuffle(r, right)
		reconcile.SetSpill(&o, 300) // every store on disk, in many runs
		spilled := compare(t, side("acme", left...), side("pool", right...), o)
		if diff := cmp.Diff(want, drifts(t, spilled)); diff != "" {
			t.Fatalf("seed %d: other order, on disk (-want +got):\n%s", seed, diff)
		}
		if diff := cmp.Diff(here.Summary, spilled.Summary); diff != "" {
			t.Fatalf("seed %d: summary (-want +got):\n%s", seed, diff)
		}
		checkLinks(t, seed, here, left, right)
	}
}

func shuffle(r *rand.Rand, list []schema.User) {
	r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
}

// checkLinks: a link by address or number rests on verified ones, and every
// account is linked, missing or out of scope.
func checkLinks(t *testing.T, seed uint64, r *reconcile.Result, left, right []schema.User) {
	t.Helper()
	byID := map[string]schema.User{}
	for _, u := range slices.Concat(left, right) {
		byID[u.UserID] = u
	}
	for _, l := range links(t, r) {
		pair, rule, _ := strings.Cut(l, " ")
		a, b, _ := strings.Cut(pair, "=")
		l, c := byID[a], byID[b]
		if rule == "K4" && (l.EmailNorm != c.EmailNorm || !*l.EmailVerified || !*c.EmailVerified) ||
			rule == "K5" && (l.PhoneE164 != c.PhoneE164 || !*l.PhoneVerified || !*c.PhoneVerified) {
			t.Errorf("seed %d: %s linked to %s by %s without proof", seed, a, b, rule)
		}
	}
	s := r.Summary
	if got, want := s.Linked+s.Left.Unlinked, s.Left.Users; got != want {
		t.Errorf("seed %d: left linked + unlinked: got %d, want %d", seed, got, want)
	}
	if got, want := s.Linked+s.Right.Unlinked, s.Right.Users; got != want {
		t.Errorf("seed %d: right linked + unlinked: got %d, want %d", seed, got, want)
	}
	if got, want := s.Compared+s.LinkedOutOfScope, s.Linked; got != want {
		t.Errorf("seed %d: compared + out of scope: got %d, want %d", seed, got, want)
	}
}

// person makes an account on either side that K-rule k links.
func person(i, k int) (l, c schema.User) {
	l = auth0(id("auth0|", i), roles("staff"), mfa(true))
	c = cognito(id("s", i), groups("staff"), mfa(true))
	addr, number := id("p", i)+"@x.io", fmt.Sprintf("+49301%06d", i)
	switch k {
	case 0:
		linkID(l.UserID)(&c)
	case 1:
		identity("Auth0", l.UserID)(&c)
	case 2:
		identity("google-oauth2", id("", i))(&l)
		identity("Google", id("", i))(&c)
	case 3:
		email(addr, true)(&l)
		email(addr, true)(&c)
	default:
		phone(number, true)(&l)
		phone(number, true)(&c)
	}
	return l, c
}

// plant changes a pair and says what a report has to hold of it.
func plant(what int, l, c *schema.User, rule string) string {
	pair := func(kind, field, lv, rv string) string {
		return strings.Join([]string{kind, l.UserID, c.UserID, rule, field, lv, rv}, " ; ")
	}
	switch what {
	case 0:
		l.GivenName, c.GivenName = "Ada", "Adah"
		return pair("attribute", "given_name", "Ada", "Adah")
	case 1:
		status(schema.UserDisabled)(l)
		return pair("status", "status", "disabled", "active")
	case 2:
		status(schema.UserPending)(c)
		return pair("status", "status", "active", "pending")
	case 3:
		roles("staff", "admin")(l)
		return pair("groups", "groups", "admin", "")
	case 4:
		groups()(c)
		return pair("groups", "groups", "staff", "")
	case 5:
		mfa(false)(c)
		return pair("mfa", "mfa_enabled", "true", "false")
	}
	c.FamilyName = "Byron"
	return pair("attribute", "family_name", "", "Byron")
}

// Drift planted into a population is found, all of it and nothing else.
func TestPlantedDrift(t *testing.T) {
	rules := []string{"K1", "K2", "K3", "K4", "K5"}
	for seed := range uint64(10) {
		r := rand.New(rand.NewPCG(seed, 2))
		var left, right []schema.User
		want := []string{}
		for i := range 400 {
			k := r.IntN(5)
			l, c := person(i, k)
			switch what := r.IntN(30); {
			case what < 7:
				want = append(want, plant(what, &l, &c, rules[k]))
			case what == 7:
				want = append(want, "missing_right ; "+l.UserID+" ;  ;  ;  ;  ; ")
				c = cognito(id("x", i))
				want = append(want, "missing_left ;  ; "+c.UserID+" ;  ;  ;  ; ")
			}
			left, right = append(left, l), append(right, c)
		}
		shuffle(r, left)
		shuffle(r, right)
		got := briefs(drifts(t, compare(t, side("acme", left...), side("pool", right...), reconcile.Options{})))
		// An account made for a missing partner has none of the keys.
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("seed %d (-want +got):\n%s", seed, diff)
		}
	}
}

func TestDeterministicDate(t *testing.T) {
	later := side("pool")
	later.Snapshot.Begin = begin.Add(time.Hour)
	r := compare(t, side("acme", auth0("auth0|1")), later, reconcile.Options{})
	if got, want := r.Summary.ComparedAt, begin.Add(time.Hour); !got.Equal(want) {
		t.Errorf("compared at: got %s, want %s", got, want)
	}
}

package reconcile_test

import (
	"context"
	"errors"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/idtrail/idtrail/reconcile"
	"github.com/idtrail/idtrail/schema"
)

var begin = time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)

type mod func(*schema.User)

func with(u schema.User, mods []mod) schema.User {
	for _, m := range mods {
		m(&u)
	}
	return u
}

func auth0(id string, mods ...mod) schema.User {
	return with(schema.User{
		UserID: id, UserName: id, Active: true, Status: schema.UserActive, StatusRaw: "active",
		CreatedAt: new(begin.AddDate(-1, 0, 0)), UpdatedAt: new(begin.AddDate(0, -1, 0)),
	}, mods)
}

func cognito(id string, mods ...mod) schema.User {
	return with(schema.User{
		UserID: id, UserName: id, Active: true, Status: schema.UserActive, StatusRaw: "CONFIRMED",
		CreatedAt: new(begin.AddDate(-1, 0, 0)), UpdatedAt: new(begin.AddDate(0, -1, 0)),
	}, mods)
}

func email(addr string, verified bool) mod {
	return func(u *schema.User) {
		u.Email, u.EmailNorm, u.EmailVerified = addr, strings.ToLower(addr), new(verified)
	}
}

func phone(number string, verified bool) mod {
	return func(u *schema.User) { u.Phone, u.PhoneE164, u.PhoneVerified = number, number, new(verified) }
}

func linkID(id string) mod { return func(u *schema.User) { u.LinkID = id } }

func named(name string) mod { return func(u *schema.User) { u.UserName = name } }

func external(name string) mod {
	return func(u *schema.User) { u.UserName, u.StatusRaw = name, "EXTERNAL_PROVIDER" }
}

func identity(provider, id string) mod {
	return func(u *schema.User) {
		u.Identities = append(u.Identities, schema.Identity{Provider: provider, Connection: provider, UserID: id})
	}
}

func status(s string) mod {
	return func(u *schema.User) { u.Status, u.Active = s, s == schema.UserActive }
}

func roles(names ...string) mod {
	return func(u *schema.User) { u.Roles = append([]string{}, names...) }
}

func groups(names ...string) mod {
	return func(u *schema.User) { u.Groups = append([]string{}, names...) }
}

func mfa(on bool) mod { return func(u *schema.User) { u.MFAEnabled = new(on) } }

func created(t time.Time) mod { return func(u *schema.User) { u.CreatedAt = new(t) } }

func updated(t time.Time) mod { return func(u *schema.User) { u.UpdatedAt = new(t) } }

func users(list ...schema.User) iter.Seq2[schema.User, error] {
	return func(yield func(schema.User, error) bool) {
		for _, u := range list {
			if !yield(u, nil) {
				return
			}
		}
	}
}

func side(source string, list ...schema.User) reconcile.Side {
	return reconcile.Side{
		Source:   source,
		Snapshot: schema.Snapshot{ID: "20260301T030000Z", Begin: begin, End: begin.Add(time.Minute), Complete: true},
		Users:    users(list...),
		Kind:     map[string]schema.Kind{"acme": schema.KindAuth0User, "pool": schema.KindCognitoUser}[source],
	}
}

func compare(t *testing.T, left, right reconcile.Side, o reconcile.Options) *reconcile.Result {
	t.Helper()
	if o.TempDir == "" {
		o.TempDir = t.TempDir()
	}
	r, err := reconcile.Compare(context.Background(), left, right, o)
	if err != nil {
		t.Fatalf("Compare: %v", err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return r
}

func drifts(t *testing.T, r *reconcile.Result, types ...reconcile.Type) []reconcile.Drift {
	t.Helper()
	return all(t, r.Rows(types...))
}

func all[T any](t *testing.T, seq iter.Seq2[T, error]) []T {
	t.Helper()
	out := []T{}
	for v, err := range seq {
		if err != nil {
			t.Fatalf("row: %v", err)
		}
		out = append(out, v)
	}
	return out
}

// brief is a finding without what every test would have to repeat.
func brief(d reconcile.Drift) string {
	return strings.Join([]string{
		string(d.Type), d.LeftID, d.RightID, string(d.Rule), d.Field, d.LeftValue, d.RightValue,
	}, " ; ")
}

func briefs(list []reconcile.Drift) []string {
	out := make([]string, 0, len(list))
	for _, d := range list {
		out = append(out, brief(d))
	}
	return out
}

// links names the linked pairs, "left=right rule".
func links(t *testing.T, r *reconcile.Result) []string {
	t.Helper()
	byKey := map[string][]reconcile.Person{}
	var order []string
	for _, p := range all(t, r.Persons(context.Background())) {
		if p.LinkRule == "" {
			continue
		}
		if byKey[p.PersonKey] == nil {
			order = append(order, p.PersonKey)
		}
		byKey[p.PersonKey] = append(byKey[p.PersonKey], p)
	}
	out := []string{}
	for _, k := range order {
		pair := byKey[k]
		if len(pair) != 2 {
			t.Fatalf("person %s has %d linked accounts, want 2", k, len(pair))
		}
		out = append(out, pair[0].UserID+"="+pair[1].UserID+" "+string(pair[0].LinkRule))
	}
	return out
}

var errRead = errors.New("read failed")

func failing(list ...schema.User) iter.Seq2[schema.User, error] {
	return func(yield func(schema.User, error) bool) {
		for _, u := range list {
			if !yield(u, nil) {
				return
			}
		}
		yield(schema.User{}, errRead)
	}
}

package auth0

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/idtrail/idtrail/extract"
)

// ScopeNeed is what a scope of the Management API is for.
type ScopeNeed struct {
	// Scopes of which any is enough; the first is the one to grant.
	Scopes []string
	// For says what is read with it, Lacks what is lost without.
	For, Lacks string
}

// errNotGranted says that a scope is not among those of the token.
var errNotGranted = errors.New("not among the token's scopes")

// Check proves credentials and reachability with two calls, and says what the
// granted scopes leave unknown.
func (u *Users) Check(ctx context.Context) ([]extract.Finding, error) {
	host := u.client.base.Host
	if _, err := u.client.manager(ctx); err != nil {
		return []extract.Finding{{What: "token of " + host, Hint: err.Error()}}, fmt.Errorf("check %s: %w", host, err)
	}
	found := append([]extract.Finding{{What: "token of " + host, OK: true}}, u.scopeFindings()...)
	total, err := u.total(ctx)
	if err != nil {
		found = append(found, extract.Finding{What: "users of " + host, Hint: err.Error(), Err: err})
		return found, fmt.Errorf("check %s: %w", host, err)
	}
	f := extract.Finding{What: "users of " + host, OK: true}
	if total >= 0 {
		f.Hint, f.Volume = extract.Many(total, "user"), &extract.Volume{Records: total}
	}
	return append(found, f), nil
}

// Scopes are the permissions to grant the application, for the Management API,
// so that everything is read that is not skipped. The first is enough for users.
func (o UsersOptions) Scopes() []string {
	var all []string
	for _, need := range o.Needs() {
		all = append(all, need.Scopes[0])
	}
	return all
}

// Needs are the scopes that this source can use.
func (o UsersOptions) Needs() []ScopeNeed {
	all := []ScopeNeed{{[]string{"read:users"}, "the export of the users", "nothing can be read without it"}}
	if !o.SkipRoles {
		all = append(all,
			ScopeNeed{[]string{"read:roles"}, "the roles there are", "roles stay unknown"},
			ScopeNeed{[]string{"read:role_members", "read:users", "read:roles"}, "who has which role", "roles stay unknown"})
	}
	if !o.SkipOrganizations {
		all = append(all,
			ScopeNeed{[]string{"read:organizations"}, "the organizations there are", "organizations stay unknown"},
			ScopeNeed{[]string{"read:organization_members"}, "who is a member of which", "organizations stay unknown"},
			ScopeNeed{[]string{"read:organization_member_roles"}, "with which roles there", "roles within organizations stay unknown"})
	}
	if o.SkipSettings {
		return all
	}
	for _, s := range sections() {
		known := func(n ScopeNeed) bool { return n.Scopes[0] == s.scope }
		if !slices.ContainsFunc(all, known) {
			all = append(all, ScopeNeed{[]string{s.scope}, "settings: " + s.name, "settings of section " + s.name + " are not kept"})
		}
	}
	return all
}

// unwanted are scopes that bring secrets into the answers.
var unwanted = []string{"read:user_idp_tokens", "read:client_keys", "read:client_credentials"}

func (u *Users) scopeFindings() []extract.Finding {
	granted := u.client.scopes()
	var found []extract.Finding
	for _, need := range u.opts.Needs() {
		f := extract.Finding{What: "scope " + need.Scopes[0]}
		f.OK = slices.ContainsFunc(need.Scopes, func(s string) bool { return slices.Contains(granted, s) })
		if !f.OK {
			f.Err = &ScopeError{Scope: need.Scopes[0], Instead: need.Scopes[1:], err: errNotGranted}
			f.Hint = need.Lacks + "; grant it to the application, for the Management API"
		}
		found = append(found, f)
	}
	var tooMuch []string
	for _, s := range granted {
		if slices.Contains(unwanted, s) {
			tooMuch = append(tooMuch, s)
		}
	}
	if len(tooMuch) > 0 {
		found = append(found, extract.Finding{
			What: "no scope that shows secrets", Hint: "take " + strings.Join(tooMuch, ", ") + " from the application: nothing here needs it",
		})
	}
	return found
}

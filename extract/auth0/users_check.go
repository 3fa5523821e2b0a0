package auth0

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/idtrail/idtrail/extract"
)

// scopeNeed is what a scope is for; any of the scopes is enough.
type scopeNeed struct {
	scopes []string
	lacks  string
}

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
		found = append(found, extract.Finding{What: "users of " + host, Hint: err.Error()})
		return found, fmt.Errorf("check %s: %w", host, err)
	}
	hint := ""
	if total >= 0 {
		hint = extract.Many(total, "user")
	}
	return append(found, extract.Finding{What: "users of " + host, OK: true, Hint: hint}), nil
}

// Scopes are the permissions to grant the application, for the Management API,
// so that everything is read that is not skipped. The first is enough for users.
func (o UsersOptions) Scopes() []string {
	var all []string
	for _, need := range o.needs() {
		all = append(all, need.scopes[0])
	}
	return all
}

// needs are the scopes that this source can use.
func (o UsersOptions) needs() []scopeNeed {
	all := []scopeNeed{{[]string{"read:users"}, "nothing can be read without it"}}
	if !o.SkipRoles {
		all = append(all,
			scopeNeed{[]string{"read:roles"}, "roles stay unknown"},
			scopeNeed{[]string{"read:role_members", "read:users", "read:roles"}, "roles stay unknown"})
	}
	if !o.SkipOrganizations {
		all = append(all,
			scopeNeed{[]string{"read:organizations"}, "organizations stay unknown"},
			scopeNeed{[]string{"read:organization_members"}, "organizations stay unknown"},
			scopeNeed{[]string{"read:organization_member_roles"}, "roles within organizations stay unknown"})
	}
	if o.SkipSettings {
		return all
	}
	for _, s := range sections() {
		known := func(n scopeNeed) bool { return n.scopes[0] == s.scope }
		if !slices.ContainsFunc(all, known) {
			all = append(all, scopeNeed{[]string{s.scope}, "settings of section " + s.name + " are not kept"})
		}
	}
	return all
}

// unwanted are scopes that bring secrets into the answers.
var unwanted = []string{"read:user_idp_tokens", "read:client_keys", "read:client_credentials"}

func (u *Users) scopeFindings() []extract.Finding {
	granted := u.client.scopes()
	var found []extract.Finding
	for _, need := range u.opts.needs() {
		f := extract.Finding{What: "scope " + need.scopes[0]}
		f.OK = slices.ContainsFunc(need.scopes, func(s string) bool { return slices.Contains(granted, s) })
		if !f.OK {
			f.Hint = need.lacks + "; grant it to the application, for the Management API"
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

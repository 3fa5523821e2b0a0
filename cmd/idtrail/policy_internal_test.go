package main

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/idtrail/idtrail/internal/fake"
	"github.com/idtrail/idtrail/internal/policy"
)

// TestPolicyIsWhatIsCalled: what a check and a run call in AWS is what policy
// prints, no more and no less; and Auth0 answers all that the scopes it names
// allow.
func TestPolicyIsWhatIsCalled(t *testing.T) {
	t.Parallel()
	c := newCompany(t)
	p := parse[policy.Plan](t, c.idtrail(t, "policy", "--json"))
	var scopes []string
	for _, tenant := range p.Tenants {
		for _, s := range tenant.Scopes {
			scopes = append(scopes, s.Name)
		}
	}
	c.Auth0.SetScopes(scopes...)
	c.idtrail(t, "check", "--json")
	c.run(t)
	for _, call := range c.Auth0.Calls() {
		if call.Status == 403 {
			t.Errorf("%s %s is refused with the scopes %v", call.Method, call.Path, scopes)
		}
	}
	called := map[string]bool{}
	for _, call := range c.Cognito.Calls() {
		service := "cognito-idp:"
		if strings.Contains(call.Path, "IdentityPool") || call.Path == "GetPrincipalTagAttributeMap" {
			service = "cognito-identity:"
		}
		called[service+call.Path] = true
	}
	for _, call := range c.CloudTrail.Calls() {
		if call.Op != fake.GetCallerIdentity { // which nobody can be refused
			called["cloudtrail:"+call.Op] = true
		}
	}
	var printed []string
	for _, s := range p.Roles[0].Statements {
		for _, action := range s.Actions {
			if !strings.HasPrefix(action, "s3:") {
				printed = append(printed, action)
			}
		}
	}
	slices.Sort(printed)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(called)), slices.Compact(printed)); diff != "" {
		t.Errorf("(-called +printed)\n%s", diff)
	}
}

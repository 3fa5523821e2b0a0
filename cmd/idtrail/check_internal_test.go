package main

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/idtrail/idtrail/internal/demo"
	"github.com/idtrail/idtrail/internal/fake"
)

// TestCheckNamesWhatIsMissing refuses single calls: what a source can do
// without is a warning, what it cannot is a failure, and each says which right to
// give.
func TestCheckNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	c := newCompany(t)
	c.deny("DescribeUserPoolClient", "ListGroups", "DescribeIdentityPool")
	c.checks(t, exitDone, []checked{
		{Part: "source", Name: "pool", State: checkWarning, What: "groups", Hint: "cognito-idp:ListGroups"},
		{Part: "source", Name: "pool", State: checkWarning, What: "settings: client", Hint: "allow cognito-idp:DescribeUserPoolClient"},
		{Part: "source", Name: "pool", State: checkWarning, What: "settings: identity_pool", Hint: "allow cognito-identity:DescribeIdentityPool"},
	})
	c.deny("ListUsers")
	c.Auth0.SetFault(func(call fake.Call) *fake.Fault {
		if !strings.HasSuffix(call.Path, "/users") {
			return nil
		}
		return &fake.Fault{Status: http.StatusForbidden, Body: `{"statusCode":403,"errorCode":"insufficient_scope"}`}
	})
	c.CloudTrail.SetFault(func(fake.TrailCall) *fake.Fault { return denied() })
	c.checks(t, exitFailed, []checked{
		{Part: "source", Name: "users", State: checkFailed, What: "users of", Hint: "read:users"},
		{Part: "source", Name: "pool", State: checkFailed, What: "users", Hint: "allow cognito-idp:ListUsers"},
		{Part: "source", Name: "history", State: checkFailed, What: "LookupEvents", Hint: "grant cloudtrail:LookupEvents"},
	})
}

func denied() *fake.Fault {
	return &fake.Fault{Status: http.StatusBadRequest, Body: `{"__type":"AccessDeniedException","message":"no"}`}
}

// deny refuses these operations of Cognito, and no others.
func (c *company) deny(operations ...string) {
	c.Cognito.SetFault(func(call fake.Call) *fake.Fault {
		if slices.ContainsFunc(operations, func(o string) bool { return strings.HasSuffix(call.Path, o) }) {
			return denied()
		}
		return nil
	})
}

// checks runs check and wants these lines, by parts of their words, and no other
// that is not ok.
func (c *company) checks(t *testing.T, code int, want []checked) {
	t.Helper()
	var out, logs bytes.Buffer
	got := run(t.Context(), []string{"check", "--json", "-c", c.Config}, system{
		In: strings.NewReader(""), Out: &out, Err: &logs, Now: c.now,
		Env: func(name string) (string, bool) { return c.Secret, name == demo.SecretVar },
		AWS: new(c.AWS()),
	})
	if got != code {
		t.Errorf("exit code: got %d, want %d", got, code)
	}
	for _, line := range parse[checkResult](t, out.String()).Checks {
		i := slices.IndexFunc(want, func(w checked) bool {
			return line.Name == w.Name && line.State == w.State && strings.Contains(line.What, w.What) && strings.Contains(line.Hint, w.Hint)
		})
		switch {
		case i >= 0:
			want = slices.Delete(want, i, i+1)
		case line.State != checkOK:
			t.Errorf("got line %+v", line)
		}
	}
	for _, w := range want {
		t.Errorf("no line like %+v", w)
	}
}

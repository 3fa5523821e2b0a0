package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/idtrail/idtrail/extract/auth0"
	"github.com/idtrail/idtrail/internal/config"
	"github.com/idtrail/idtrail/internal/denial"
	"github.com/idtrail/idtrail/internal/policy"
	"github.com/idtrail/idtrail/internal/secret"
)

// missing is a right that a check found missing: one of IAM, or a scope.
type missing struct {
	// Role that lacks it; "" is whom idtrail runs as.
	Role     string `json:"role,omitempty"`
	Action   string `json:"action,omitempty"`
	Resource string `json:"resource,omitempty"`
	// Blocked says what stands in the way where no statement in the role's own policy
	// would help.
	Blocked string `json:"blocked,omitempty"`
	// Tenant and Scope are Auth0's.
	Tenant string `json:"tenant,omitempty"`
	Scope  string `json:"scope,omitempty"`

	// statement is the one of the plan that allows it.
	statement *policy.Statement
}

// missingRights are all of them, put together.
type missingRights struct {
	// Policies are what to add, by role.
	Policies []missingPolicy `json:"policies"`
	// Scopes are what to grant, by tenant.
	Scopes []missingScopes `json:"scopes"`
}

type missingPolicy struct {
	Role     string          `json:"role,omitempty"`
	Document policy.Document `json:"document"`

	statements []policy.Statement
}

type missingScopes struct {
	Tenant string   `json:"tenant"`
	Scopes []string `json:"scopes"`
}

// configForCheck reads the config, and keeps going where only a secret of it
// cannot be read.
func (a *app) configForCheck(ctx context.Context) (*config.Config, error) {
	c, err := a.loadConfig(ctx, config.Options{KeepGoing: true})
	if err == nil && ctx.Err() != nil {
		err = errInterrupted
	}
	return c, err
}

// unreadError ends a check as it ends any verb that needs the secrets.
func unreadError(unread *config.Error) error {
	code := exitUsage
	if errors.Is(unread, secret.ErrUnavailable) {
		code = exitFailed
	}
	return &exitError{code: code, err: unread}
}

// unread tells which secrets could not be read.
func (k *checker) unread(c *config.Config) {
	if c.Unread == nil {
		return
	}
	missing := k.missingOf(c.Unread)
	for i, p := range c.Unread.Problems {
		line := checked{Part: "config", State: checkFailed, What: fmt.Sprintf("line %d: %s: %s", p.Line, p.Key, p.Message), Hint: p.Hint}
		if i == 0 {
			line.Missing = missing
		}
		k.add(line)
	}
}

// readable says whether the secrets of a part could be read, and that it is not
// tried where they were not. Where says under which key of the config they stand.
func (k *checker) readable(part, name, where string) bool {
	unread := k.b.config.Unread
	if unread == nil {
		return true
	}
	below := func(p config.Problem) bool { return p.Key == where || strings.HasPrefix(p.Key, where+".") }
	if !slices.ContainsFunc(unread.Problems, below) {
		return true
	}
	k.add(checked{Part: part, Name: name, State: checkWarning, What: "not tried: its secret could not be read"})
	return false
}

// connectionOf is the name of the connection a source reads through; "" is none.
func connectionOf(s config.Source) string {
	switch {
	case s.Auth0Logs != nil:
		return s.Auth0Logs.Connection
	case s.Auth0Users != nil:
		return s.Auth0Users.Connection
	case s.CognitoUsers != nil:
		return s.CognitoUsers.Connection
	case s.CloudTrailLookup != nil:
		return s.CloudTrailLookup.Connection
	case s.CloudTrailTrail != nil:
		return s.CloudTrailTrail.Connection
	case s.Archive != nil:
		return s.Archive.Connection
	default:
		return ""
	}
}

// missingOf are the rights an error says are missing.
func (k *checker) missingOf(err error) []missing {
	var all []missing
	for _, d := range denial.All(err) {
		all = append(all, k.missingRight(d))
	}
	if scope, ok := errors.AsType[*auth0.ScopeError](err); ok {
		all = append(all, missing{Tenant: k.tenant, Scope: scope.Scope})
	}
	return all
}

// missingRight names the right as the plan does, where it has it.
func (k *checker) missingRight(d *denial.Error) missing {
	m := missing{Role: k.role, Action: d.Action, Resource: d.Resource}
	if d.Action == "sts:AssumeRole" {
		m.Role = "" // nobody has become that role
	}
	if d.Blocked() {
		m.Blocked = d.Advice()
		return m
	}
	role, _ := k.plan.Role(m.Role)
	if s, ok := role.Granting(d.Action, d.Resource, d.Prefix); ok {
		m.statement = &s
		if d.Resource == "" {
			m.Resource = strings.Join(s.Resources, " ")
		}
	}
	return m
}

// missing puts together what all lines lack.
func (k *checker) missing() missingRights {
	all := missingRights{Policies: []missingPolicy{}, Scopes: []missingScopes{}}
	for _, line := range k.lines {
		for _, m := range line.Missing {
			switch {
			case m.Scope != "":
				all.addScope(m)
			case m.Blocked == "":
				all.addStatement(m)
			}
		}
	}
	for i, p := range all.Policies {
		all.Policies[i].Document = policy.Document{Version: "2012-10-17"}
		for _, s := range p.statements {
			all.Policies[i].Document.Statement = append(all.Policies[i].Document.Statement, s.Document().Statement...)
		}
	}
	return all
}

func (r *missingRights) addScope(m missing) {
	i := slices.IndexFunc(r.Scopes, func(s missingScopes) bool { return s.Tenant == m.Tenant })
	if i < 0 {
		i = len(r.Scopes)
		r.Scopes = append(r.Scopes, missingScopes{Tenant: m.Tenant})
	}
	if !slices.Contains(r.Scopes[i].Scopes, m.Scope) {
		r.Scopes[i].Scopes = append(r.Scopes[i].Scopes, m.Scope)
	}
}

// addStatement adds the plan's statement cut down to the action, or one for what
// AWS has named and the plan does not know: a key that a bucket encrypts with.
func (r *missingRights) addStatement(m missing) {
	s := policy.Statement{Sid: "Missing", Actions: []string{m.Action}, Resources: []string{m.Resource}}
	if m.statement != nil {
		s = *m.statement
	}
	if len(s.Resources) == 0 || s.Resources[0] == "" {
		return // nobody said on what
	}
	i := slices.IndexFunc(r.Policies, func(p missingPolicy) bool { return p.Role == m.Role })
	if i < 0 {
		i = len(r.Policies)
		r.Policies = append(r.Policies, missingPolicy{Role: m.Role})
	}
	p := &r.Policies[i]
	same := func(t policy.Statement) bool { return t.Sid == s.Sid && slices.Equal(t.Resources, s.Resources) }
	if j := slices.IndexFunc(p.statements, same); j >= 0 {
		if !slices.Contains(p.statements[j].Actions, m.Action) {
			p.statements[j].Actions = append(slices.Clone(p.statements[j].Actions), m.Action)
		}
		return
	}
	for n := 2; slices.ContainsFunc(p.statements, func(t policy.Statement) bool { return t.Sid == s.Sid }); n++ {
		s.Sid = fmt.Sprintf("%s%d", strings.TrimRight(s.Sid, "0123456789"), n)
	}
	p.statements = append(p.statements, s)
}

// printMissing says what to add where, so that it can be copied.
func (k *checker) printMissing() error {
	all := k.missing()
	var b strings.Builder
	for _, p := range all.Policies {
		whose := "the role idtrail runs as"
		if p.Role != "" {
			whose = "role " + p.Role
		}
		fmt.Fprintf(&b, "\nMissing in IAM. Add to the policy of %s:\n\n%s", whose, p.Document.JSON())
	}
	for _, t := range all.Scopes {
		fmt.Fprintf(&b, "\nMissing in Auth0. Grant the application in %s, for the Management API:\n\n  %s\n", t.Tenant, strings.Join(t.Scopes, "\n  "))
	}
	if b.Len() == 0 {
		return nil
	}
	b.WriteString("\nAll that the config needs: idtrail policy\n")
	return k.a.printf("%s", printableText(b.String()))
}

// printableText is printable, but for the breaks of lines.
func printableText(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = printable(line)
	}
	return strings.Join(lines, "\n")
}

// Package policy says which rights a config needs, and no more: the statements of
// IAM for each role that takes part, the scopes of each Auth0 tenant, and what the
// tokens of receivers have to be good for.
//
// It is the one place where rights are written down: docs/PERMISSIONS.md, the
// roles of deploy/terraform and what check advises are held against it by tests.
// It calls nobody, and knows of an account only what the config says or its caller
// adds; what it cannot know is a * in an ARN, and said in a note.
package policy

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/idtrail/idtrail/extract/auth0"
	"github.com/idtrail/idtrail/internal/config"
)

// Options say what the rights are for, and what the config does not know.
type Options struct {
	// For are the verbs to be run, see [Verbs]; none is [DefaultVerbs].
	For []string
	// Account is the one whose credentials idtrail has; "" where nobody said.
	Account string
	// Region is the one the SDK finds; "" where nobody said.
	Region string
	// Principal is the ARN of the role or user idtrail runs as, which the roles it
	// assumes have to trust.
	Principal string
	// ConfigURL is where the config itself is read from, if that is in S3.
	ConfigURL string
	// Keys are ARNs of the KMS keys that what is read is encrypted with: a trail's, a
	// secret's.
	Keys []string
	// Catalog is where athena --install puts things.
	Catalog Catalog
}

// Catalog names what athena --install makes.
type Catalog struct {
	Database, Workgroup string
	// Output is where Athena puts results, s3://…; "" is not said.
	Output string
}

// Plan is all that a config needs.
type Plan struct {
	// For are the verbs it is for.
	For []string `json:"for"`
	// Roles begin with the one that idtrail runs as, whatever it needs; those it
	// assumes follow.
	Roles []Role `json:"roles"`
	// Tenants and Receivers are in the order of the config.
	Tenants   []Tenant   `json:"tenants"`
	Receivers []Receiver `json:"receivers"`
	// Notes say what could not be known, and what else to look at.
	Notes []string `json:"notes"`
}

// Role is somebody who has rights in AWS.
type Role struct {
	// ARN of a role that is assumed; "" is whom the SDK's own chain finds.
	ARN string `json:"arn,omitempty"`
	// ExternalID goes with it.
	ExternalID string `json:"external_id,omitempty"`
	// Used says what the role is for: connection prod, lake.
	Used []string `json:"used_by"`
	// Statements are what it may do.
	Statements []Statement `json:"statements"`
	// Documents are the same as policies that IAM takes, see [Split].
	Documents []Document `json:"documents"`
	// Trust lets Options.Principal assume the role; nil for the first role, and
	// where nobody said who that is.
	Trust *Document `json:"trust,omitempty"`
}

// Statement is one of a policy.
type Statement struct {
	Sid string `json:"sid"`
	// Why says what it is for.
	Why       string    `json:"why"`
	Actions   []string  `json:"actions"`
	Resources []string  `json:"resources"`
	Condition Condition `json:"condition,omitempty"`
}

// Condition are IAM's: operator, key, values.
type Condition map[string]map[string][]string

// Document is a policy as IAM takes it.
type Document struct {
	Version   string `json:"Version"`
	Statement []Rule `json:"Statement"`
}

// Rule is a statement as IAM takes it.
type Rule struct {
	Sid       string                      `json:"Sid"`
	Effect    string                      `json:"Effect"`
	Principal map[string]string           `json:"Principal,omitempty"`
	Action    Texts                       `json:"Action"`
	Resource  Texts                       `json:"Resource,omitempty"`
	Condition map[string]map[string]Texts `json:"Condition,omitempty"`
}

// Texts are a list that IAM takes as a plain text where there is one.
type Texts []string

// MarshalJSON writes one text without a list around it.
func (t Texts) MarshalJSON() ([]byte, error) {
	if len(t) == 1 {
		return json.Marshal(t[0])
	}
	return json.Marshal([]string(t))
}

// UnmarshalJSON reads both forms.
func (t *Texts) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*t = Texts{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(t))
}

// Tenant is an Auth0 tenant with the application that reads it.
type Tenant struct {
	Connection string  `json:"connection"`
	Domain     string  `json:"domain"`
	Scopes     []Scope `json:"scopes"`
}

// Scope is one to grant the application, for the Management API.
type Scope struct {
	Name string `json:"name"`
	For  string `json:"for"`
	// Without says what is lost without it; Required that nothing is read then.
	Without  string `json:"without"`
	Required bool   `json:"required"`
}

// Receiver is where a sink sends events.
type Receiver struct {
	Sink string `json:"sink"`
	Kind string `json:"kind"`
	// Needs says what its token, key or headers have to be good for.
	Needs string `json:"needs"`
}

// New works out what a config needs. The error is one of the options.
func New(c *config.Config, o Options) (*Plan, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if len(o.For) == 0 {
		o.For = DefaultVerbs()
	}
	b := &builder{config: c, opts: o, needs: needsOf(o.For)}
	b.places()
	b.sources()
	b.references()
	b.catalog()
	p := &Plan{For: o.For, Roles: b.finish(), Tenants: []Tenant{}, Receivers: []Receiver{}, Notes: b.told()}
	if b.needs.sources {
		p.Tenants = tenants(c)
	}
	if b.needs.sinks {
		p.Receivers = receivers(c)
	}
	return p, nil
}

// Role finds one by its ARN; "" is the first.
func (p *Plan) Role(arn string) (Role, bool) {
	i := slices.IndexFunc(p.Roles, func(r Role) bool { return r.ARN == arn })
	if i < 0 {
		return Role{}, false
	}
	return p.Roles[i], true
}

// Granting is the statement of a role that allows an action, cut down to it: the
// first whose resources hold this one, and whose condition the prefix of a list; else
// one of that resource, else any. ok is false where the config needs no such right.
func (r Role) Granting(action, resource, prefix string) (s Statement, ok bool) {
	best := 0
	for _, one := range r.Statements {
		if fit := one.fits(action, resource, prefix); fit > best {
			s, ok, best = one, true, fit
		}
	}
	s.Actions = []string{action}
	return s, ok
}

// fits says how well a statement fits a call; 0 is not at all.
func (s Statement) fits(action, resource, prefix string) int {
	if !slices.Contains(s.Actions, action) {
		return 0
	}
	if !slices.ContainsFunc(s.Resources, func(pattern string) bool { return matches(pattern, resource) }) {
		return 1
	}
	list, ok := prefixes(s.Condition)
	if ok && !slices.ContainsFunc(list, func(pattern string) bool { return matches(pattern, prefix) }) {
		return 2
	}
	return 3
}

// matches says whether an ARN, which may be a pattern itself, is one of those a
// pattern names.
func matches(pattern, arn string) bool {
	head, tail, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == arn
	}
	rest, ok := strings.CutPrefix(arn, head)
	if !ok {
		return false
	}
	if tail == "" {
		return true
	}
	for i := range len(rest) + 1 {
		if matches(tail, rest[i:]) {
			return true
		}
	}
	return false
}

// tenants are the scopes of what is read with each connection to Auth0.
func tenants(c *config.Config) []Tenant {
	all := []Tenant{}
	for _, s := range c.Sources {
		connection, needs := scopesOf(s)
		conn, ok := c.Connections[connection]
		if !ok || conn.Auth0 == nil {
			continue
		}
		i := slices.IndexFunc(all, func(t Tenant) bool { return t.Connection == connection })
		if i < 0 {
			i = len(all)
			all = append(all, Tenant{Connection: connection, Domain: conn.Auth0.Domain})
		}
		for n, need := range needs {
			all[i].add(Scope{Name: need.Scopes[0], For: need.For, Without: need.Lacks, Required: n == 0})
		}
	}
	return all
}

// add keeps each scope once.
func (t *Tenant) add(s Scope) {
	i := slices.IndexFunc(t.Scopes, func(known Scope) bool { return known.Name == s.Name })
	if i < 0 {
		t.Scopes = append(t.Scopes, s)
		return
	}
	t.Scopes[i].Required = t.Scopes[i].Required || s.Required
}

func scopesOf(s config.Source) (connection string, needs []auth0.ScopeNeed) {
	switch {
	case s.Auth0Logs != nil:
		return s.Auth0Logs.Connection, auth0.LogScopes()
	case s.Auth0Users != nil:
		o := s.Auth0Users
		return o.Connection, auth0.UsersOptions{
			SkipRoles: !o.Roles, SkipOrganizations: !o.Organizations, SkipSettings: !o.Settings,
		}.Needs()
	default:
		return "", nil
	}
}

func receivers(c *config.Config) []Receiver {
	all := []Receiver{}
	for _, s := range c.Sinks {
		r := Receiver{Sink: s.Name, Kind: s.Kind}
		switch {
		case s.Datadog != nil:
			r.Needs = "an API key of the organization; no application key"
			if s.Datadog.Health {
				r.Needs += ". It sends logs, a service check and metrics"
			}
		case s.SplunkHEC != nil:
			r.Needs = splunkNeeds(s.SplunkHEC)
		case s.OTLP != nil:
			r.Needs = "what the receiver asks for in headers, to post to /v1/logs"
		default:
			continue
		}
		all = append(all, r)
	}
	return all
}

func splunkNeeds(s *config.SplunkHEC) string {
	needs := "a token of the HTTP event collector, enabled"
	if s.Index == "" {
		needs += ", with a default index"
	} else {
		needs += ", with index " + s.Index + " among those it may write to"
	}
	if s.Ack {
		return needs + ", and with indexer acknowledgement"
	}
	return needs + ", and without indexer acknowledgement"
}

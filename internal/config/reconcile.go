package config

import (
	"fmt"
	"slices"
)

// Reconcile compares the users of two sources.
type Reconcile struct {
	// Left and Right name sources of users.
	Left  string `yaml:"left"`
	Right string `yaml:"right"`
	// Scope says who is expected on both sides.
	Scope Scope `yaml:"scope"`
	// Compare names the fields compared; nil is the default set, an empty list
	// none.
	Compare []string `yaml:"compare"`
	// GroupMap says which group or role on the left is which on the right. A
	// name in no pair goes with the same name.
	GroupMap []GroupPair `yaml:"group_map"`
	// Attributes are pairs of vendor attributes to compare, besides Compare.
	// Each has to be among the attributes its source keeps.
	Attributes []AttributePair `yaml:"attributes"`
	// Providers maps Auth0's names of social providers to Cognito's; an empty
	// value switches one off.
	Providers map[string]string `yaml:"providers"`
	// Auth0Providers are the names of the Cognito identity providers that are
	// this Auth0 tenant; nil lets them be told from their ids.
	Auth0Providers []string `yaml:"auth0_providers"`
}

// Scope is who is expected on both sides. The zero value is everybody.
type Scope struct {
	Left  Filter `yaml:"left"`
	Right Filter `yaml:"right"`
}

// Filter selects accounts: those that every list which is set names, and those
// IncludeIDs names; never those ExcludeIDs does.
type Filter struct {
	// Connections are Auth0 connections or Cognito identity providers; "" is an
	// account without one.
	Connections []string `yaml:"connections"`
	// Providers are kinds of identities: auth0, samlp, google-oauth2, Google,
	// and cognito for native Cognito users.
	Providers []string `yaml:"providers"`
	// Groups are names of groups, roles or organizations.
	Groups []string `yaml:"groups"`
	// EmailDomains are what stands behind the @.
	EmailDomains []string `yaml:"email_domains"`
	// Statuses are active, pending, reset_required, disabled, unknown.
	Statuses   []string `yaml:"statuses"`
	IncludeIDs []string `yaml:"include_ids"`
	ExcludeIDs []string `yaml:"exclude_ids"`
}

// GroupPair is a group (or role) on the left and its partner on the right; one
// side empty leaves the other's name out of the comparison.
type GroupPair struct {
	Left  string `yaml:"left"`
	Right string `yaml:"right"`
}

// AttributePair is an attribute on the left and its partner on the right. Name
// is what the report calls it; "" is Left.
type AttributePair struct {
	Name  string `yaml:"name"`
	Left  string `yaml:"left"`
	Right string `yaml:"right"`
}

// CompareFields are the fields that can be compared.
func CompareFields() []string {
	return []string{
		"email", "email_verified", "phone", "phone_verified", "name", "given_name", "family_name",
		"status", "groups", "mfa", "nickname", "locale", "zoneinfo", "active", "organizations",
	}
}

// Statuses are what the status of a user can be.
func Statuses() []string {
	return []string{"active", "pending", "reset_required", "disabled", "unknown"}
}

func (d *decoder) reconcile(to *Reconcile, v value) {
	d.mapping(v, table{
		"left":            d.text(&to.Left),
		"right":           d.text(&to.Right),
		"scope":           d.scope(&to.Scope),
		"compare":         d.choices(&to.Compare, CompareFields()),
		"group_map":       list(d, &to.GroupMap, d.groupPair),
		"attributes":      list(d, &to.Attributes, d.attributePair),
		"providers":       d.textMap(&to.Providers),
		"auth0_providers": d.texts(&to.Auth0Providers),
	})
}

func (d *decoder) groupPair(to *GroupPair, v value) {
	d.mapping(v, table{"left": d.text(&to.Left), "right": d.text(&to.Right)})
}

func (d *decoder) attributePair(to *AttributePair, v value) {
	d.mapping(v, table{"name": d.text(&to.Name), "left": d.text(&to.Left), "right": d.text(&to.Right)})
}

func (d *decoder) scope(to *Scope) func(value) {
	return func(v value) {
		d.mapping(v, table{"left": d.filter(&to.Left), "right": d.filter(&to.Right)})
	}
}

func (d *decoder) filter(to *Filter) func(value) {
	return func(v value) {
		d.mapping(v, table{
			"connections":   d.names(&to.Connections),
			"providers":     d.texts(&to.Providers),
			"groups":        d.texts(&to.Groups),
			"email_domains": d.texts(&to.EmailDomains),
			"statuses":      d.choices(&to.Statuses, Statuses()),
			"include_ids":   d.texts(&to.IncludeIDs),
			"exclude_ids":   d.texts(&to.ExcludeIDs),
		})
	}
}

func (d *decoder) checkReconcile(c *Config) {
	seen := map[[2]string]bool{}
	for i, r := range c.Reconcile {
		path := fmt.Sprintf("reconcile[%d]", i)
		d.checkSide(c, path+".left", r.Left)
		d.checkSide(c, path+".right", r.Right)
		switch {
		case r.Left == r.Right && r.Left != "":
			d.fail(path+".right", "is the same source as left; compare two")
		case seen[[2]string{r.Left, r.Right}] || seen[[2]string{r.Right, r.Left}]:
			d.fail(path, "compares %s and %s again; keep one of the two", r.Left, r.Right)
		}
		seen[[2]string{r.Left, r.Right}] = true
		d.checkPairs(c, path, r)
	}
}

func (d *decoder) checkSide(c *Config, path, name string) {
	s, ok := c.Source(name)
	switch {
	case name == "":
		d.fail(path, "is missing; name a source of users")
	case !ok:
		d.fail(path, "there is no source %q; %s", clip(name), suggest(name, sourceNames(c)))
	case !s.Users():
		d.fail(path, "%s gives events; name a source of users (kind or format: %s or %s)", name, KindAuth0Users, KindCognitoUsers)
	}
}

func (d *decoder) checkPairs(c *Config, path string, r Reconcile) {
	for i, pair := range r.GroupMap {
		if pair.Left == "" && pair.Right == "" {
			d.fail(fmt.Sprintf("%s.group_map[%d]", path, i), "names no group; write {left: …, right: …}")
		}
	}
	for i, pair := range r.Attributes {
		at := fmt.Sprintf("%s.attributes[%d]", path, i)
		if pair.Left == "" || pair.Right == "" {
			d.fail(at, "lacks a side; write {left: …, right: …}")
			continue
		}
		d.checkKept(c, at+".left", r.Left, pair.Left)
		d.checkKept(c, at+".right", r.Right, pair.Right)
	}
}

// checkKept refuses to compare what the source does not keep: it would never
// differ.
func (d *decoder) checkKept(c *Config, path, source, attribute string) {
	s, ok := c.Source(source)
	if ok && s.Users() && !slices.Contains(s.UserOptions().Attributes, attribute) {
		d.fail(path, "%s does not keep %q; add it to that source's attributes", source, clip(attribute))
	}
}

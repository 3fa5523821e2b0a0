package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/idtrail/idtrail/internal/config"
)

// builder gathers what a config needs, role by role.
type builder struct {
	config *config.Config
	opts   Options
	needs  needs
	roles  []*roleBuilder
	notes  []string
}

type roleBuilder struct {
	Role
	home home
}

// own is whom the SDK's own chain finds.
func (b *builder) own() *roleBuilder { return b.role("", "", "") }

// role is the one a place or connection goes by; with no ARN, the first.
func (b *builder) role(arn, externalID, used string) *roleBuilder {
	if len(b.roles) == 0 {
		b.roles = append(b.roles, &roleBuilder{home: home{account: cmp.Or(b.opts.Account, b.toldAccount())}})
	}
	i := slices.IndexFunc(b.roles, func(r *roleBuilder) bool { return r.ARN == arn && r.ExternalID == externalID })
	if i < 0 {
		i = len(b.roles)
		b.roles = append(b.roles, &roleBuilder{
			Role: Role{ARN: arn, ExternalID: externalID}, home: home{account: arnPart(arn, 4)},
		})
	}
	r := b.roles[i]
	if used != "" && !slices.Contains(r.Used, used) {
		r.Used = append(r.Used, used)
	}
	return r
}

// toldAccount is the account a source of the SDK's own chain says it reads.
func (b *builder) toldAccount() string {
	for _, s := range b.config.Sources {
		if s.CloudTrailLookup != nil && b.aws(s.CloudTrailLookup.Connection).RoleARN == "" && s.CloudTrailLookup.Account != "" {
			return s.CloudTrailLookup.Account
		}
	}
	return ""
}

// aws is a connection's; "" and what is none go by the SDK's own chain.
func (b *builder) aws(connection string) config.AWS {
	if c := b.config.Connections[connection].AWS; c != nil {
		return *c
	}
	return config.AWS{}
}

// in is where something of a role lies, in a region if one is known.
func (b *builder) in(r *roleBuilder, region string) home {
	h := r.home
	h.region = cmp.Or(region, b.opts.Region)
	h.partition = cmp.Or(arnPart(r.ARN, 1), partitionOf(h.region))
	return h
}

// allow adds a statement; what it lists is copied.
func (r *roleBuilder) allow(s Statement) {
	s.Actions, s.Resources = slices.Clone(s.Actions), slices.Clone(s.Resources)
	same := func(t Statement) bool {
		return t.Sid == s.Sid && slices.Equal(t.Actions, s.Actions) && equal(t.Condition, s.Condition)
	}
	// The same for several pools or secrets is one statement.
	if i := slices.IndexFunc(r.Statements, same); i >= 0 {
		for _, resource := range s.Resources {
			if !slices.Contains(r.Statements[i].Resources, resource) {
				r.Statements[i].Resources = append(r.Statements[i].Resources, resource)
			}
		}
		return
	}
	r.Statements = append(r.Statements, s)
}

// finish makes the roles whole: what one statement holds already is not said
// again, ids differ, and roles that are assumed may be.
func (b *builder) finish() []Role {
	var assumed []string
	for _, r := range b.roles[1:] {
		if len(r.Statements) > 0 && !slices.Contains(assumed, r.ARN) {
			assumed = append(assumed, r.ARN)
		}
	}
	if len(assumed) > 0 {
		b.own().allow(Statement{
			Sid: "AssumeRoles", Why: "the roles that connections and places name (role_arn)",
			Actions: []string{"sts:AssumeRole"}, Resources: assumed,
		})
	}
	roles := []Role{}
	for i, r := range b.roles {
		if i > 0 && len(r.Statements) == 0 {
			continue
		}
		r.Statements = number(reduce(r.Statements))
		b.noteWildcards(r.Role)
		r.Documents = Split(r.Statements)
		r.Trust = b.trust(r)
		roles = append(roles, r.Role)
	}
	return roles
}

// reduce leaves out actions that another statement allows on at least as much.
func reduce(all []Statement) []Statement {
	var kept []Statement
	for i, s := range all {
		s.Actions = slices.DeleteFunc(slices.Clone(s.Actions), func(action string) bool {
			for j, t := range all {
				if i != j && slices.Contains(t.Actions, action) && holds(t, s) && (j < i || !holds(s, t)) {
					return true
				}
			}
			return false
		})
		s.Resources = uncovered(all, i, s)
		if len(s.Actions) > 0 && len(s.Resources) > 0 {
			kept = append(kept, s)
		}
	}
	return kept
}

// uncovered are the resources of the i-th statement that no other allows its one
// action on.
func uncovered(all []Statement, i int, s Statement) []string {
	if len(s.Actions) != 1 {
		return s.Resources
	}
	return slices.DeleteFunc(slices.Clone(s.Resources), func(resource string) bool {
		one := Statement{Resources: []string{resource}, Condition: s.Condition}
		for j, t := range all {
			if j != i && slices.Contains(t.Actions, s.Actions[0]) && len(t.Actions) > 1 && holds(t, one) {
				return true
			}
		}
		return false
	})
}

// holds says whether what a allows is at least what b does.
func holds(a, b Statement) bool {
	for _, resource := range b.Resources {
		if !slices.ContainsFunc(a.Resources, func(pattern string) bool { return covers(pattern, resource) }) {
			return false
		}
	}
	if equal(a.Condition, b.Condition) || len(a.Condition) == 0 {
		return true
	}
	wide, ok := prefixes(a.Condition)
	narrow, too := prefixes(b.Condition)
	return ok && too && !slices.ContainsFunc(narrow, func(p string) bool {
		return !slices.ContainsFunc(wide, func(q string) bool { return covers(q, p) })
	})
}

// covers says whether all that a pattern names is named by another that has no
// wildcard but at its end.
func covers(wide, narrow string) bool {
	head, ok := strings.CutSuffix(wide, "*")
	return wide == narrow || ok && strings.HasPrefix(narrow, head)
}

// prefixes are those of a condition that has nothing else.
func prefixes(c Condition) ([]string, bool) {
	list, ok := c["StringLike"]["s3:prefix"]
	return list, ok && len(c) == 1 && len(c["StringLike"]) == 1
}

func equal(a, b Condition) bool { return fmt.Sprint(a) == fmt.Sprint(b) } // fmt sorts keys

// number makes the ids of statements differ.
func number(all []Statement) []Statement {
	seen := map[string]int{}
	for i := range all {
		seen[all[i].Sid]++
		if n := seen[all[i].Sid]; n > 1 {
			all[i].Sid += fmt.Sprint(n)
		}
	}
	return all
}

// trust is the policy by which a role lets itself be assumed.
func (b *builder) trust(r *roleBuilder) *Document {
	if r.ARN == "" || b.opts.Principal == "" {
		return nil
	}
	rule := Rule{
		Sid: "Idtrail", Effect: "Allow", Principal: map[string]string{"AWS": b.opts.Principal}, Action: Texts{"sts:AssumeRole"},
	}
	if r.ExternalID != "" {
		rule.Condition = map[string]map[string]Texts{"StringEquals": {"sts:ExternalId": {r.ExternalID}}}
	}
	return &Document{Version: policyVersion, Statement: []Rule{rule}}
}

// note adds something to be told, once.
func (b *builder) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(b.notes, text) {
		b.notes = append(b.notes, text)
	}
}

// noteWildcards says what of the ARNs was not known.
func (b *builder) noteWildcards(r Role) {
	region, account := false, false
	for _, s := range r.Statements {
		for _, arn := range s.Resources {
			if arnPart(arn, 2) == "s3" {
				continue
			}
			region, account = region || arnPart(arn, 3) == "*", account || arnPart(arn, 4) == "*"
		}
	}
	if account {
		b.note("The account is not in the config: * stands for it in ARNs. --account ID makes them exact.")
	}
	if region {
		b.note("The region of a secret, a parameter or a key is not in the config: * stands for it. --region NAME makes it exact.")
	}
	if r.ARN == "" {
		return
	}
	if r.ExternalID == "" {
		b.note("Role %s is assumed without an external id: with one, nobody who is trusted with something else can be made to use it.", r.ARN)
	}
	if b.opts.Principal == "" {
		b.note("The trust policy of role %s needs to know who idtrail runs as: --principal ARN.", r.ARN)
	}
}

func (b *builder) told() []string {
	if b.notes == nil {
		return []string{}
	}
	return b.notes
}

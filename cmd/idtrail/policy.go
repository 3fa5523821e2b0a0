package main

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/idtrail/idtrail/internal/config"
	"github.com/idtrail/idtrail/internal/policy"
)

// policyFlags are how policy was called.
type policyFlags struct {
	verbs              []string
	aws, trust         bool
	role               string
	part               int
	account, region    string
	principal          string
	keys               []string
	database, output   string
	workgroup          string
	partGiven, forRole bool
}

func (a *app) policyCommand() *cobra.Command {
	var f policyFlags
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Print the least rights the config needs, in IAM and Auth0",
		Long: `Policy prints what the config needs and no more: the statements of IAM for the
role that idtrail runs as and for each role it assumes (role_arn), with what
each is for; the scopes of the applications in Auth0, with what is lost without
each; and what the tokens of receivers have to be good for. It calls nobody and
needs no secret.

By default it is for the job, run and check. Others get less, or more, and a
role of their own:

  --for verify           an auditor, who proves that nothing was altered
  --for find             an analyst, who reads the lake, by Athena too
  --for status           an operator, who looks where everything stands
  --for prune,erase      who removes, which the job itself cannot
  --for replay           who maps again
  --for athena           who installs tables, views and queries

With --aws it prints a policy that AWS takes, and nothing else.`,
		Example: `  idtrail policy
  idtrail policy --aws --account 123456789012 > policy.json
  idtrail policy --aws --for verify > auditor.json
  idtrail policy --aws --role arn:aws:iam::210987654321:role/reader
  idtrail policy --for prune,erase --aws > retention.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.partGiven, f.forRole = cmd.Flags().Changed("part"), cmd.Flags().Changed("role")
			return a.policy(cmd.Context(), f)
		},
	}
	fs := cmd.Flags()
	fs.StringSliceVar(&f.verbs, "for", policy.DefaultVerbs(), "`verbs` to be run: "+strings.Join(policy.Verbs(), ", "))
	fs.BoolVar(&f.aws, "aws", false, "only the policy, as JSON that AWS takes")
	fs.StringVar(&f.role, "role", "", "the role of this `ARN`, which a connection or place assumes")
	fs.BoolVar(&f.trust, "trust", false, "only the trust policy of --role, as JSON that AWS takes")
	fs.IntVar(&f.part, "part", 1, "which policy, where one would be too long for AWS")
	fs.StringVar(&f.account, "account", "", "`id` of the account idtrail runs in, for exact ARNs")
	fs.StringVar(&f.region, "region", "", "`region` that the AWS SDK finds, where the config names none")
	fs.StringVar(&f.principal, "principal", "", "`ARN` of the role idtrail runs as, for trust policies")
	fs.StringSliceVar(&f.keys, "key", nil, "`ARNs` of KMS keys that a trail, an archive or secrets are encrypted with")
	fs.StringVar(&f.database, "database", "idtrail", "database of Glue, for --for athena")
	fs.StringVar(&f.workgroup, "workgroup", "primary", "workgroup of Athena, for --for athena")
	fs.StringVar(&f.output, "output", "", "where Athena puts results, for --for athena: s3://bucket/prefix")
	return cmd
}

func (a *app) policy(ctx context.Context, f policyFlags) error {
	if err := f.check(a.json); err != nil {
		return err
	}
	c, err := a.config(ctx, noSecrets)
	if err != nil {
		return err
	}
	p, err := policy.New(c, f.options(c))
	if err != nil {
		return &exitError{code: exitUsage, err: err, hint: "try: idtrail policy --help"}
	}
	if f.aws || f.trust {
		return a.printForAWS(p, f)
	}
	if f.forRole {
		role, err := f.chosen(p)
		if err != nil {
			return err
		}
		p.Roles, p.Tenants, p.Receivers = []policy.Role{role}, []policy.Tenant{}, []policy.Receiver{}
	}
	if a.json {
		return a.printJSON(p)
	}
	return a.printf("%s", a.policyText(p))
}

// chosen is the role that was named, else the one idtrail runs as.
func (f policyFlags) chosen(p *policy.Plan) (policy.Role, error) {
	if role, ok := p.Role(f.role); ok && (f.role != "" || !f.forRole) {
		return role, nil
	}
	var known []string
	for _, r := range p.Roles[1:] {
		known = append(known, r.ARN)
	}
	hint := "leave --role out: there is no role_arn that these verbs use"
	if len(known) > 0 {
		hint = "known: " + strings.Join(known, ", ")
	}
	return policy.Role{}, usage(hint, "the config needs no role %q for %s", printable(f.role), strings.Join(p.For, ", "))
}

// printForAWS prints one document of a role.
func (a *app) printForAWS(p *policy.Plan, f policyFlags) error {
	role, err := f.chosen(p)
	if err != nil {
		return err
	}
	if f.trust {
		return a.printf("%s", role.Trust.JSON())
	}
	n := len(role.Documents)
	switch {
	case len(role.Statements) == 0:
		return usage("idtrail policy prints what else is needed", "it needs nothing in AWS for %s", strings.Join(p.For, ", "))
	case n > 1 && !f.partGiven:
		return usage(fmt.Sprintf("print each with --part 1 to --part %d, and attach them all", n),
			"it is too long for one policy of AWS, which may have %s characters: there are %d", count(policy.MaxCharacters), n)
	case f.part < 1 || f.part > n:
		return usage(fmt.Sprintf("the last is --part %d", n), "--part %d is none", f.part)
	}
	for _, note := range p.Notes {
		a.log.Warn("policy", "note", note)
	}
	return a.printf("%s", role.Documents[f.part-1].JSON())
}

// policyWidth is that of lines, where no terminal says another.
const policyWidth = 100

// policyText shows a plan to a person.
func (a *app) policyText(p *policy.Plan) string {
	t := &policyWriter{width: a.outWidth()}
	if t.width <= 0 {
		t.width = policyWidth
	}
	for _, r := range p.Roles {
		t.role(p, r)
	}
	for _, tenant := range p.Tenants {
		t.tenant(tenant)
	}
	if len(p.Receivers) > 0 {
		t.heading("Receivers of events")
		for _, r := range p.Receivers {
			t.item(r.Sink, r.Kind+": "+r.Needs)
		}
	}
	if len(p.Notes) > 0 {
		t.heading("Not known from the config")
		for _, note := range p.Notes {
			t.line("- ", note)
		}
	}
	if t.b.Len() == 0 {
		return "Nothing: no right in AWS or Auth0, and no receiver, is needed for " + strings.Join(p.For, ", ") + ".\n"
	}
	return t.b.String()
}

// policyWriter writes paragraphs that fit the width.
type policyWriter struct {
	b     strings.Builder
	width int
}

func (t *policyWriter) heading(text string) {
	if t.b.Len() > 0 {
		t.b.WriteString("\n")
	}
	t.b.WriteString(wrap(printable(text), t.width, 0) + "\n")
}

// itemIndent is where what is said of a name begins.
const itemIndent = "    "

func (t *policyWriter) item(name, what string) {
	t.line("  ", name)
	t.line(itemIndent, what)
}

func (t *policyWriter) line(indent, text string) {
	t.b.WriteString(wrap(indent+printable(text), t.width, len(indent)) + "\n")
}

func (t *policyWriter) role(p *policy.Plan, r policy.Role) {
	if len(r.Statements) == 0 {
		return
	}
	command := "idtrail policy --aws"
	if !slices.Equal(p.For, policy.DefaultVerbs()) {
		command += " --for " + strings.Join(p.For, ",")
	}
	if r.ARN == "" {
		t.heading("IAM: the role idtrail runs as, for " + strings.Join(p.For, ", "))
	} else {
		command += " --role " + r.ARN
		t.heading("IAM: role " + r.ARN + ", for " + strings.Join(r.Used, ", "))
	}
	t.line("  ", "As JSON: "+command+parts(len(r.Documents)))
	if r.ARN != "" {
		t.line("  ", "Whom it trusts: idtrail policy --trust --role "+r.ARN+" --principal ARN")
	}
	for _, s := range r.Statements {
		t.item(s.Sid, s.Why)
		t.line(itemIndent, "allows "+strings.Join(s.Actions, ", "))
		for i, resource := range s.Resources {
			t.line(itemIndent, []string{"    on ", "   and "}[min(i, 1)]+resource)
		}
		for _, condition := range conditions(s.Condition) {
			t.line(itemIndent, " where "+condition)
		}
	}
}

func parts(n int) string {
	if n < 2 {
		return ""
	}
	return fmt.Sprintf(" --part 1 to %d: it is too long for one policy, which may have %s characters", n, count(policy.MaxCharacters))
}

// conditions are those of a statement, in words, in order.
func conditions(c policy.Condition) []string {
	var all []string
	for operator, keys := range c {
		is := " is "
		if strings.HasSuffix(operator, "StringLike") {
			is = " is like "
		}
		for key, values := range keys {
			all = append(all, key+is+strings.Join(values, " or "))
		}
	}
	slices.Sort(all)
	return all
}

func (t *policyWriter) tenant(tenant policy.Tenant) {
	t.heading("Auth0: the application of connection " + tenant.Connection + " in " + tenant.Domain + ", for the Management API")
	for _, s := range tenant.Scopes {
		without := "without it: " + s.Without
		if s.Required {
			without = "required: " + s.Without
		}
		t.item(s.Name, s.For+"; "+without)
	}
}

func (f policyFlags) options(c *config.Config) policy.Options {
	return policy.Options{
		For: f.verbs, Account: f.account, Region: f.region, Principal: f.principal, ConfigURL: c.File, Keys: f.keys,
		Catalog: policy.Catalog{Database: f.database, Workgroup: f.workgroup, Output: f.output},
	}
}

var workgroupName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)

func (f policyFlags) check(asJSON bool) error {
	switch {
	case asJSON && (f.aws || f.trust):
		return usage("leave one of them out: --aws is JSON already", "--json does not go with --aws or --trust")
	case f.aws && f.trust:
		return usage("call it twice", "--aws does not go with --trust: a role has both")
	case len(f.verbs) == 0:
		return usage("known: "+strings.Join(policy.Verbs(), ", "), "--for names no verb")
	case f.trust:
		return f.checkTrust()
	case f.partGiven && !f.aws:
		return usage("add --aws", "--part is for what AWS takes")
	default:
		return f.checkCatalog()
	}
}

func (f policyFlags) checkTrust() error {
	switch {
	case !f.forRole:
		return usage("name it: --role ARN", "--trust needs to know of which role")
	case f.principal == "":
		return usage("name the role idtrail runs as: --principal ARN", "a trust policy needs to know who may assume the role")
	case f.partGiven:
		return usage("add --aws", "--part is for what AWS takes")
	}
	return nil
}

// checkCatalog is for what athena is to install.
func (f policyFlags) checkCatalog() error {
	switch {
	case f.output != "" && !strings.HasPrefix(f.output, "s3://"):
		return usage("write s3://bucket/prefix", "--output %s is not in S3", printable(f.output))
	case !workgroupName.MatchString(f.workgroup):
		return usage("write letters, digits, dots, - and _", "--workgroup %q is no name for a workgroup", f.workgroup)
	case !databaseName.MatchString(f.database):
		return usage("write lower-case letters, digits and _", "--database %q is no name for a database", f.database)
	}
	return nil
}

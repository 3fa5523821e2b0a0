package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/idtrail/idtrail/schema"
)

// differ compares linked accounts and reports those without a partner.
type differ struct {
	o      *Options
	sides  [2]*store
	out    *findings
	fields map[string]bool
	groups groupMap
	sum    *Summary
	ahead  int // the side whose id names the person
}

func newDiffer(o *Options, sides [2]*store, out *findings, sum *Summary) *differ {
	d := &differ{o: o, sides: sides, out: out, sum: sum, fields: map[string]bool{}, ahead: leading(sides)}
	for _, f := range CompareFields() {
		d.fields[f] = o.compares(f)
	}
	d.groups = newGroupMap(o.GroupMap)
	return d
}

func (d *differ) diff(ctx context.Context) error {
	err := d.sides[0].each(ctx, func(i int32, u *schema.User) error {
		if !d.sides[0].linked(i) {
			return d.missing(0, i, u)
		}
		return d.linked(i, u)
	})
	if err == nil {
		err = d.sides[1].each(ctx, func(i int32, u *schema.User) error {
			if !d.sides[1].linked(i) {
				return d.missing(1, i, u)
			}
			return nil
		})
	}
	if err != nil {
		return fmt.Errorf("compare accounts: %w", err)
	}
	return nil
}

// missing reports an account that has no partner, if it should have one.
func (d *differ) missing(side int, i int32, u *schema.User) error {
	s, other := d.sides[side], d.sides[1-side]
	s.sum.Unlinked++
	if !s.inScope(i) {
		return nil
	}
	row := Drift{Type: MissingRight, Severity: SeverityMedium, Confidence: ConfidenceStrong, PersonKey: PersonKey(u.UserID)}
	if state(u) == schema.UserDisabled {
		row.Severity = SeverityLow
	}
	row.LeftID, row.LeftName = u.UserID, u.UserName
	if side == 1 {
		row.Type = MissingLeft
		row.LeftID, row.LeftName, row.RightID, row.RightName = "", "", u.UserID, u.UserName
	}
	row.Detail = missingDetail(s.flags[i], youngerThan(u.CreatedAt, other.Snapshot))
	if row.Detail != "" {
		row.Confidence = ConfidenceLow
	}
	if row.Detail == "" {
		row.Detail = lostDetail(s.flags[i])
	}
	return d.out.add(&row)
}

// missingDetail says why an account may have a partner all the same.
func missingDetail(flags uint8, young bool) string {
	switch {
	case young:
		return "created after the other snapshot began"
	case flags&flagShared != 0:
		return "shares a key with an account it could not be linked to"
	case flags&flagCandidate != 0:
		return "an account there has the same e-mail address: see its candidates"
	}
	return ""
}

func lostDetail(flags uint8) string {
	switch {
	case flags&flagLostK1 != 0:
		return "its link names an account that is not there"
	case flags&flagLostK2 != 0:
		return "its federated identity is not there"
	}
	return ""
}

// pairing is two linked accounts under comparison.
type pairing struct {
	*differ
	l, r *schema.User
	base Drift
	rows int
	err  error
}

// linked compares an account of the left with its partner.
func (d *differ) linked(i int32, l *schema.User) error {
	left, right := d.sides[0], d.sides[1]
	j := left.link[i]
	rule := left.rule[i].rule()
	d.sum.Linked++
	d.sum.LinkedByRule[rule]++
	if !left.inScope(i) || !right.inScope(j) {
		d.sum.LinkedOutOfScope++
		return nil
	}
	d.sum.Compared++
	r, err := right.at(j)
	if err != nil {
		return err
	}
	p := pairing{differ: d, l: l, r: &r, base: Drift{
		Confidence: rule.confidence(), Rule: rule, PersonKey: d.personKey(l, &r),
		LeftID: l.UserID, LeftName: l.UserName, RightID: r.UserID, RightName: r.UserName,
	}}
	if d.moved(l, &r) {
		p.base.Confidence = ConfidenceLow
		p.base.Detail = "changed after one of the snapshots began"
	}
	p.lost(left.flags[i], right.flags[j])
	p.contacts()
	p.names()
	p.attributes()
	p.status()
	p.memberships()
	p.mfa()
	if p.rows == 0 {
		d.sum.Equal++
	}
	return p.err
}

func (d *differ) personKey(l, r *schema.User) string {
	if d.ahead == 1 {
		return PersonKey(r.UserID)
	}
	return PersonKey(l.UserID)
}

// moved says whether one of the accounts changed when only one of the snapshots
// could see it.
func (d *differ) moved(l, r *schema.User) bool {
	first := d.sides[0].Snapshot
	if d.sides[1].Snapshot.Begin.Before(first.Begin) {
		first = d.sides[1].Snapshot
	}
	return youngerThan(l.UpdatedAt, first) || youngerThan(r.UpdatedAt, first)
}

func (p *pairing) row(t Type, s Severity, field, left, right string) {
	d := p.base
	d.Type, d.Severity, d.Field, d.LeftValue, d.RightValue = t, s, field, left, right
	p.add(&d)
}

func (p *pairing) add(d *Drift) {
	p.rows++
	if p.err == nil {
		p.err = p.out.add(d)
	}
}

// lost reports that an account names a partner which is not there, and so was
// linked by a weaker rule: its old partner was deleted, perhaps created anew.
func (p *pairing) lost(left, right uint8) {
	for _, c := range []struct {
		flag  uint8
		rule  Rule
		field string
	}{{flagLostK1, RuleExplicit, "link_id"}, {flagLostK2, RuleFederation, "identities"}} {
		if (left|right)&c.flag == 0 || c.rule == RuleFederation && p.base.Rule <= RuleFederationNoCase {
			continue // what is as strong has linked them
		}
		d := p.base
		d.Type, d.Severity, d.Field, d.Rule = LinkConflict, SeverityMedium, c.field, c.rule
		d.Detail = "names an account that is not there; linked by " + string(p.base.Rule)
		if left&c.flag != 0 {
			d.LeftValue = keyValue(c.field, p.l)
		}
		if right&c.flag != 0 {
			d.RightValue = keyValue(c.field, p.r)
		}
		p.add(&d)
	}
}

// contacts compares addresses and numbers. Whether they are verified says
// something only while they are the same.
func (p *pairing) contacts() {
	if p.l.EmailNorm != p.r.EmailNorm {
		p.attribute(FieldEmail, SeverityMedium, p.l.EmailNorm, p.r.EmailNorm)
	} else if p.l.EmailNorm != "" {
		p.flag(FieldEmailVerified, p.l.EmailVerified, p.r.EmailVerified)
	}
	left, right := cmp.Or(p.l.PhoneE164, p.l.Phone), cmp.Or(p.r.PhoneE164, p.r.Phone)
	readable := (p.l.PhoneE164 != "") == (p.l.Phone != "") && (p.r.PhoneE164 != "") == (p.r.Phone != "")
	switch {
	case left == right && left != "":
		p.flag(FieldPhoneVerified, p.l.PhoneVerified, p.r.PhoneVerified)
	case left != right && (readable || left == "" || right == ""):
		p.attribute(FieldPhone, SeverityMedium, left, right)
	}
}

func (p *pairing) attribute(field string, s Severity, left, right string) {
	if p.fields[field] && left != right {
		p.row(Attribute, s, field, left, right)
	}
}

func (p *pairing) flag(field string, left, right *bool) {
	if left != nil && right != nil {
		p.attribute(field, SeverityMedium, strconv.FormatBool(*left), strconv.FormatBool(*right))
	}
}

func (p *pairing) names() {
	p.attribute(FieldName, SeverityLow, p.l.NameFormatted, p.r.NameFormatted)
	p.attribute(FieldGivenName, SeverityLow, p.l.GivenName, p.r.GivenName)
	p.attribute(FieldFamilyName, SeverityLow, p.l.FamilyName, p.r.FamilyName)
	p.attribute(FieldNickname, SeverityLow, p.l.Nickname, p.r.Nickname)
	p.attribute(FieldLocale, SeverityLow, p.l.Locale, p.r.Locale)
	p.attribute(FieldZoneinfo, SeverityLow, p.l.Zoneinfo, p.r.Zoneinfo)
}

// attributes compares the vendors' own attributes. An account without any may
// have none set; a side without any does not keep them.
func (p *pairing) attributes() {
	if p.sides[0].withAttrs == 0 || p.sides[1].withAttrs == 0 {
		return
	}
	for _, a := range p.o.Attributes {
		if left, right := p.l.Attributes[a.Left], p.r.Attributes[a.Right]; left != right {
			p.row(Attribute, SeverityLow, cmp.Or(a.Name, a.Left), left, right)
		}
	}
}

// status compares whether and how the accounts may be used. That one is
// disabled and the other is not is what a leaver's account looks like; the other
// differences are steps a person has still to take.
func (p *pairing) status() {
	left, right := state(p.l), state(p.r)
	off := (left == schema.UserDisabled) != (right == schema.UserDisabled)
	switch {
	case off && (p.fields[FieldStatus] || p.fields[FieldActive]):
		p.row(Status, SeverityHigh, FieldStatus, left, right)
	case !off && left != right && p.fields[FieldStatus] && left != schema.UserUnknown && right != schema.UserUnknown:
		p.row(Status, SeverityLow, FieldStatus, left, right)
	}
}

// state is an account's status; one whose status is not known may still be known
// to be shut.
func state(u *schema.User) string {
	switch u.Status {
	case schema.UserActive, schema.UserPending, schema.UserResetRequired, schema.UserDisabled:
		return u.Status
	}
	if !u.Active {
		return schema.UserDisabled
	}
	return schema.UserUnknown
}

// mfa compares what is known on both sides; not known is not "none".
func (p *pairing) mfa() {
	left, right := p.l.MFAEnabled, p.r.MFAEnabled
	if p.fields[FieldMFA] && left != nil && right != nil && *left != *right {
		p.row(MFA, SeverityMedium, "mfa_enabled", strconv.FormatBool(*left), strconv.FormatBool(*right))
	}
}

func (p *pairing) memberships() {
	if p.fields[FieldGroups] {
		p.sets(FieldGroups, groupsOf(p.l), groupsOf(p.r), p.groups)
	}
	if p.fields[FieldOrganizations] {
		p.sets(FieldOrganizations, p.l.Organizations, p.r.Organizations, groupMap{})
	}
}

func (p *pairing) sets(field string, left, right []string, m groupMap) {
	if left == nil || right == nil {
		return
	}
	onLeft, onRight := m.differ(left, right)
	for _, g := range onLeft {
		p.row(Groups, SeverityMedium, field, g, "")
	}
	for _, g := range onRight {
		p.row(Groups, SeverityMedium, field, "", g)
	}
}

// groupsOf takes groups and roles together; nil if neither is known. Groups a
// pool makes for itself are left out.
func groupsOf(u *schema.User) []string {
	if u.Groups == nil && u.Roles == nil {
		return nil
	}
	all := map[string]bool{}
	for _, g := range slices.Concat(u.Groups, u.Roles) {
		if !poolGroup.MatchString(g) {
			all[g] = true
		}
	}
	return slices.AppendSeq([]string{}, maps.Keys(all))
}

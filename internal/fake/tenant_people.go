package fake

import (
	"fmt"
	"strings"
	"time"
)

// personCase says what a person's accounts are like on the two sides: Auth0
// left, Cognito right.
type personCase uint8

const (
	caseEqual          personCase = iota // linked by verified e-mail
	caseExplicit                         // linked by LinkAttribute (and e-mail)
	caseFederated                        // linked by a federated identity
	caseSocial                           // linked by a Google account
	casePhone                            // linked by verified phone, no e-mail
	caseSpelling                         // equal once case and Unicode are normalised
	caseBlockedBoth                      // blocked and disabled
	caseMFABoth                          // second factor known and the same
	caseOutOfScope                       // of a connection that has no business in the pool
	caseMissingLeft                      // only in the pool
	caseMissingRight                     // only in Auth0
	caseName                             // another display name
	caseFamily                           // another family name
	casePhoneDiffers                     // another number
	caseEmail                            // linked by identity, another e-mail
	caseEmailVerified                    // linked by identity, verified on one side
	caseBlocked                          // blocked in Auth0 only
	caseDisabled                         // disabled in the pool only
	casePending                          // never confirmed in the pool
	caseReset                            // has to reset the password in the pool
	caseRoleLeft                         // a role the pool lacks
	caseRoleRight                        // a group Auth0 lacks
	caseMFALeft                          // second factor in Auth0 only
	caseMFARight                         // second factor in the pool only
	caseDuplicateLeft                    // two Auth0 accounts, one in the pool
	caseDuplicateRight                   // one Auth0 account, two in the pool
	caseConflict                         // federation says one, e-mail another
	caseCandidate                        // same e-mail, verified on one side only
	caseCount
)

// caseSpec is how often a case is dealt, and what reconcile finds in it.
type caseSpec struct {
	perMille int
	drift    map[string]int
}

// caseSpecs are indexed by case; caseEqual takes the rest. The drift is what
// the matching rules say for the accounts made below, side effects included.
var caseSpecs = [caseCount]caseSpec{
	caseExplicit:       {50, nil},
	caseFederated:      {40, nil},
	caseSocial:         {50, nil},
	casePhone:          {15, nil},
	caseSpelling:       {20, nil},
	caseBlockedBoth:    {10, nil},
	caseMFABoth:        {50, nil},
	caseOutOfScope:     {30, nil},
	caseMissingLeft:    {18, map[string]int{"missing_left": 1}},
	caseMissingRight:   {22, map[string]int{"missing_right": 1}},
	caseName:           {12, map[string]int{"attribute": 1}},
	caseFamily:         {6, map[string]int{"attribute": 1}},
	casePhoneDiffers:   {8, map[string]int{"attribute": 1}},
	caseEmail:          {8, map[string]int{"attribute": 1}},
	caseEmailVerified:  {5, map[string]int{"attribute": 1}},
	caseBlocked:        {7, map[string]int{"status": 1}},
	caseDisabled:       {7, map[string]int{"status": 1}},
	casePending:        {5, map[string]int{"status": 1}},
	caseReset:          {3, map[string]int{"status": 1}},
	caseRoleLeft:       {8, map[string]int{"groups": 1}},
	caseRoleRight:      {8, map[string]int{"groups": 1}},
	caseMFALeft:        {5, map[string]int{"mfa": 1}},
	caseMFARight:       {5, map[string]int{"mfa": 1}},
	caseDuplicateLeft:  {4, map[string]int{"duplicate": 2, "missing_right": 1, "candidate": 1}},
	caseDuplicateRight: {4, map[string]int{"duplicate": 2, "missing_left": 1, "candidate": 1}},
	caseConflict:       {3, map[string]int{"link_conflict": 1, "attribute": 1, "missing_right": 1}},
	caseCandidate:      {6, map[string]int{"candidate": 1, "missing_left": 1, "missing_right": 1}},
}

// deal gives every person a case: each case at least one, as long as there are
// persons, at places the seed decides.
func (t *Tenant) deal() []personCase {
	cases := make([]personCase, t.opts.Users)
	order := t.draw(streamCases, 0).Perm(t.opts.Users)
	for c, spec := range caseSpecs {
		if spec.perMille == 0 {
			continue
		}
		for range max(1, t.opts.Users*spec.perMille/1000) {
			if len(order) == 0 {
				return cases
			}
			cases[order[0]], order = personCase(c), order[1:]
		}
	}
	return cases
}

// Drift counts what reconcile has to find, by type, when Auth0 is the left
// side, Cognito the right one, and the scope is [Tenant.InScope] on the left.
func (t *Tenant) Drift() map[string]int {
	sum := map[string]int{}
	for _, c := range t.cases {
		for kind, n := range caseSpecs[c].drift {
			sum[kind] += n
		}
	}
	return sum
}

// person is what both sides' accounts are made from.
type person struct {
	index         int
	kind          personCase
	given, family string
	email         string
	phone         string
	created       time.Time
	role          string
	locale        string
}

var (
	givenNames = []string{
		"Anna", "Ben", "Chloé", "Daniel", "Emine", "Felix", "Greta", "Hugo", "Ines", "Jakub", "Katarína", "Liam",
		"Märta", "Noah", "Olga", "Pelle", "Quirin", "Rosa", "Søren", "Tomás", "Ute", "Víctor", "Wanda", "Xenia", "Yuki", "Zoë",
	}
	familyNames = []string{
		"Adler", "Bauer", "Côté", "Dubois", "Eriksson", "Fischer", "García", "Hansen", "Ivanov", "Jensen", "Kowalski",
		"Lindqvist", "Müller", "Novák", "O'Brien", "Petrov", "Quist", "Rossi", "Schröder", "Tanaka", "Ueda", "Virtanen",
		"Weiß", "Xu", "Yılmaz", "Zimmermann",
	}
	roles   = []string{"admins", "support", "finance", "engineering", "sales"}
	locales = []string{"en", "de", "fr", "sv", "ja"}
	// phonePrefixes are ranges set aside for fiction in the United Kingdom, a
	// thousand numbers each.
	phonePrefixes = []string{
		"+44113496", "+44114496", "+44115496", "+44116496", "+44117496", "+44118496", "+44121496", "+44131496",
		"+44141496", "+44151496", "+44161496", "+44207946", "+44191498",
	}
)

// phone is the n-th number, "" when there are no more.
func phone(n int) string {
	if n/1000 >= len(phonePrefixes) {
		return ""
	}
	return fmt.Sprintf("%s0%03d", phonePrefixes[n/1000], n%1000)
}

func (t *Tenant) person(i int) person {
	r := t.draw(streamPerson, i)
	p := person{index: i, kind: t.cases[i], given: pick(r, givenNames), family: pick(r, familyNames)}
	p.role, p.locale = pick(r, roles), pick(r, locales)
	p.email = fmt.Sprintf("%s.%s.%d@northwind.example", plain(p.given), plain(p.family), i)
	switch p.kind {
	case caseDuplicateLeft, caseDuplicateRight: // a shared number would be a second finding
	case casePhone, casePhoneDiffers:
		p.phone = phone(2 * i)
	default:
		if i%5 < 2 {
			p.phone = phone(2 * i)
		}
	}
	p.created = t.Begin().AddDate(0, -1-r.IntN(48), -r.IntN(28)).Add(time.Duration(r.IntN(86400)) * time.Second)
	return p
}

// plain is a name as it stands in an address.
func plain(name string) string {
	return strings.Map(func(c rune) rune {
		if c < 'a' || c > 'z' {
			return -1
		}
		return c
	}, strings.ToLower(name))
}

// The ids of a person's accounts; suffix tells several apart.
func (t *Tenant) auth0ID(i int, suffix string) string {
	return "auth0|" + t.hash(24, "auth0", i, suffix)
}

func (t *Tenant) googleID(i int) string {
	r := t.draw(streamPerson, -1-i)
	return fmt.Sprintf("1%020d", r.Uint64N(1e18))
}

func (t *Tenant) sub(i int, suffix string) string { return t.uuid("cognito", i, suffix) }

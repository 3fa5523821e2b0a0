package reconcile

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/idtrail/idtrail/schema"
)

// maxCandidatePairs is how many pairs of accounts with one e-mail address are
// listed one by one. Beyond it, each account is listed by itself: a thousand
// accounts with one address on either side would make a million pairs.
const maxCandidatePairs = 16

// edge is a pair of accounts that a rule would link.
type edge struct{ left, right int32 }

// matcher links the accounts of two stores.
type matcher struct {
	sides [2]*store
	out   *findings
	// cand is, under the rule being applied, each account's first candidate;
	// more are the edges that have no room there.
	cand  [2][]int32
	more  []edge
	group group
	// told are the conflicts of an exact rule: its second look, without regard
	// to case, sees them again.
	told      map[edge]bool
	conflicts []conflict
}

// group is all accounts with one key: places in the stores, ascending.
type group struct {
	step     step
	toward   toward
	members  [2][]int32
	verified [2]int
}

// match sorts the keys of all accounts and applies the rules to them.
func (m *matcher) match(ctx context.Context, o *Options) error {
	m.told = map[edge]bool{}
	keys := newSpool(o.TempDir, o.spill)
	if err := m.collect(ctx, keys, o); err != nil {
		return fmt.Errorf("collect keys: %w", joinClose(err, keys))
	}
	for side := range m.cand {
		m.cand[side] = slices.Repeat([]int32{noLink}, m.sides[side].len())
	}
	var last []byte
	n := 0
	err := keys.each(func(rec []byte) error {
		if n++; n%4096 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if bytes.Equal(rec, last) {
			return nil // an account may have the same key twice
		}
		if !bytes.Equal(rec[:18], last[:min(18, len(last))]) {
			if err := m.closeGroup(step(rec[0])); err != nil {
				return err
			}
		}
		last = append(last[:0], rec...)
		m.group.add(rec)
		return nil
	})
	if err == nil {
		err = m.closeGroup(stepEnd)
	}
	if err == nil {
		err = m.report()
	}
	if err != nil {
		return fmt.Errorf("match accounts: %w", err)
	}
	return nil
}

func (m *matcher) collect(ctx context.Context, keys *spool, o *Options) error {
	var rec []byte
	for side, s := range m.sides {
		k := newKeyer(o, s, m.sides[1-side], side)
		err := s.each(ctx, func(i int32, u *schema.User) error {
			var err error
			k.each(u, func(key key) {
				if err == nil {
					rec = appendKeyRecord(rec[:0], key, side, i)
					err = keys.add(rec)
				}
			})
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func joinClose(err error, s *spool) error {
	if closeErr := s.close(); closeErr != nil {
		return fmt.Errorf("%w (and %w)", err, closeErr)
	}
	return err
}

func (g *group) add(rec []byte) {
	g.step, g.toward = step(rec[0]), toward(rec[1])
	side := rec[18]
	g.members[side] = append(g.members[side], int32(binary.BigEndian.Uint32(rec[19:]))) //nolint:gosec // written from an int32
	g.verified[side] += int(rec[keyRecordLen-1])
}

// closeGroup deals with a group that is complete, and with its rule, if the
// next group is of another.
func (m *matcher) closeGroup(next step) error {
	if err := m.judge(); err != nil {
		return err
	}
	done := m.group.step
	m.group = group{step: next, members: [2][]int32{m.group.members[0][:0], m.group.members[1][:0]}}
	if done != next && done != 0 && done != stepEmail {
		m.settle(done)
	}
	return nil
}

// judge decides what the accounts of one group are to each other.
func (m *matcher) judge() error {
	g := &m.group
	left, right := g.members[0], g.members[1]
	if g.step == stepEmail {
		return m.candidates()
	}
	if err := m.duplicates(); err != nil {
		return err
	}
	switch {
	case len(left) == 1 && len(right) == 1:
		m.addEdge(edge{left[0], right[0]})
	case len(left) > 0 && len(right) > 0:
		m.mark(0, left, flagShared)
		m.mark(1, right, flagShared)
	default:
		m.lost()
	}
	return nil
}

func (m *matcher) mark(side int, members []int32, flag uint8) {
	for _, i := range members {
		m.sides[side].flags[i] |= flag
	}
}

// lost remembers claims that name nobody. The second look, without regard to
// case, may still find whom the first missed.
func (m *matcher) lost() {
	flag := map[step]uint8{stepK1: flagLostK1, stepK2: flagLostK2}[m.group.step]
	switch m.group.toward {
	case towardRight:
		m.mark(0, m.group.members[0], flag)
	case towardLeft:
		m.mark(1, m.group.members[1], flag)
	case towardNone:
	}
}

// addEdge notes a pair under the present rule.
func (m *matcher) addEdge(e edge) {
	left, right := &m.cand[0][e.left], &m.cand[1][e.right]
	if *left == e.right {
		return
	}
	if *left == noLink {
		*left = e.right
	} else {
		m.sides[0].flags[e.left] |= flagSeveral
		m.more = append(m.more, e)
	}
	if *right == noLink {
		*right = e.left
	} else if *right != e.left {
		m.sides[1].flags[e.right] |= flagSeveral
	}
}

// settle applies a rule whose pairs are all known: first the links, then what
// contradicts them.
func (m *matcher) settle(done step) {
	rule := done.rule()
	if rule != RuleFederationNoCase && rule != RuleSocialNoCase {
		m.told = map[edge]bool{}
	}
	var odd []edge
	for i, j := range m.cand[0] {
		if e := (edge{int32(i), j}); j != noLink && !m.link(e, done) {
			odd = append(odd, e)
		}
	}
	for _, e := range append(odd, m.more...) {
		if m.sides[0].link[e.left] == e.right || m.told[e] {
			continue
		}
		m.told[e] = true
		m.conflicts = append(m.conflicts, conflict{e, rule})
	}
	m.reset()
}

// link links a pair that may be linked; it says whether the pair is linked now.
func (m *matcher) link(e edge, by step) bool {
	l, r := m.sides[0], m.sides[1]
	if l.link[e.left] == e.right {
		return true
	}
	if (l.flags[e.left]|r.flags[e.right])&flagSeveral != 0 || l.linked(e.left) || r.linked(e.right) {
		return false
	}
	l.link[e.left], r.link[e.right] = e.right, e.left
	l.rule[e.left], r.rule[e.right] = by, by
	return true
}

func (m *matcher) reset() {
	m.more = m.more[:0]
	for side, s := range m.sides {
		for i := range m.cand[side] {
			m.cand[side][i] = noLink
			s.flags[i] &^= flagSeveral
		}
	}
}

// conflict is a pair that could not be linked by a rule.
type conflict struct {
	edge
	rule Rule
}

// report adds the conflicts, but for those a later rule has settled.
func (m *matcher) report() error {
	l, r := m.sides[0], m.sides[1]
	for _, c := range m.conflicts {
		l.flags[c.left] |= flagShared
		r.flags[c.right] |= flagShared
		if l.link[c.left] == c.right || !l.inScope(c.left) && !r.inScope(c.right) {
			continue
		}
		d := Drift{Type: LinkConflict, Severity: SeverityMedium, Confidence: c.rule.confidence(), Rule: c.rule}
		if d.Confidence == ConfidenceExact {
			d.Severity = SeverityHigh
		}
		d.Detail = conflictDetail(l.linked(c.left), r.linked(c.right))
		if err := m.out.pair(&d, c.edge); err != nil {
			return err
		}
	}
	return nil
}

func conflictDetail(left, right bool) string {
	switch {
	case left && right:
		return "both are linked to other accounts"
	case left:
		return "the left one is linked to another account"
	case right:
		return "the right one is linked to another account"
	}
	return "one of several accounts the same rule would link"
}

// duplicates reports accounts of one side that share a key of which every
// person should have his own.
func (m *matcher) duplicates() error {
	g := &m.group
	rule := g.step.rule()
	if rule == RuleFederationNoCase || rule == RuleSocialNoCase {
		return nil // the exact keys tell the same
	}
	for side, members := range g.members {
		if len(members) < 2 {
			continue
		}
		for _, i := range members {
			if err := m.duplicate(side, i, rule); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *matcher) duplicate(side int, i int32, rule Rule) error {
	s := m.sides[side]
	if !s.inScope(i) {
		return nil
	}
	d := Drift{Type: Duplicate, Severity: SeverityMedium, Confidence: rule.confidence(), Rule: rule}
	d.Field = sharedField(rule)
	d.Detail = fmt.Sprintf("one of %d accounts with the same %s", len(m.group.members[side]), sharedWords(rule))
	return m.out.single(&d, side, i)
}

func sharedField(r Rule) string {
	switch r {
	case RuleExplicit:
		return "link_id"
	case RuleEmail:
		return FieldEmail
	case RulePhone:
		return FieldPhone
	case RuleFederation, RuleFederationNoCase, RuleSocial, RuleSocialNoCase:
	}
	return "identities"
}

func sharedWords(r Rule) string {
	switch r {
	case RuleExplicit:
		return "account named as their partner"
	case RuleFederation:
		return "federated Auth0 identity"
	case RuleEmail:
		return "verified e-mail address"
	case RulePhone:
		return "verified phone number"
	case RuleSocial, RuleFederationNoCase, RuleSocialNoCase:
	}
	return "social identity"
}

// candidates reports accounts that only an e-mail address connects.
func (m *matcher) candidates() error {
	g := &m.group
	left, right := g.members[0], g.members[1]
	if len(left) == 0 || len(right) == 0 {
		return nil
	}
	m.markCandidates()
	if len(left)*len(right) > maxCandidatePairs {
		return m.manyCandidates()
	}
	for _, i := range left {
		for _, j := range right {
			if err := m.candidate(edge{i, j}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *matcher) markCandidates() {
	for side, members := range m.group.members {
		for _, i := range members {
			if !m.sides[side].linked(i) {
				m.sides[side].flags[i] |= flagCandidate
			}
		}
	}
}

// lonely says whether an account wants a partner.
func (s *store) lonely(i int32) bool { return s.inScope(i) && !s.linked(i) }

func (m *matcher) candidate(e edge) error {
	l, r := m.sides[0], m.sides[1]
	if l.link[e.left] == e.right || !l.lonely(e.left) && !r.lonely(e.right) {
		return nil
	}
	return m.out.candidate(e, m.group.verified == [2]int{1, 1})
}

func (m *matcher) manyCandidates() error {
	for side, members := range m.group.members {
		for _, i := range members {
			if !m.sides[side].lonely(i) {
				continue
			}
			d := Drift{Type: Candidate, Severity: SeverityLow, Confidence: ConfidenceLow, Field: FieldEmail}
			d.Detail = fmt.Sprintf("%d accounts of the other side have its e-mail address", len(m.group.members[1-side]))
			if err := m.out.single(&d, side, i); err != nil {
				return err
			}
		}
	}
	return nil
}

package reconcile

import (
	"regexp"
	"slices"
)

// poolGroup is the name of the group a pool makes for the users of an identity
// provider: <pool id>_<provider>.
var poolGroup = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]+_[0-9A-Za-z]+_.`)

// groupMap says which names on one side go with which on the other. The zero
// value goes by the same name.
type groupMap struct {
	// partners, by side and name; a name with no partner is left out.
	partners [2]map[string][]string
}

func newGroupMap(pairs []GroupPair) groupMap {
	m := groupMap{partners: [2]map[string][]string{{}, {}}}
	for _, p := range pairs {
		m.note(0, p.Left, p.Right)
		m.note(1, p.Right, p.Left)
	}
	return m
}

func (m *groupMap) note(side int, name, partner string) {
	if name == "" {
		return
	}
	list := m.partners[side][name]
	if partner != "" {
		list = append(list, partner)
	}
	m.partners[side][name] = list
}

// differ returns the names on each side of which the other has no partner,
// sorted.
func (m *groupMap) differ(left, right []string) (onLeft, onRight []string) {
	return m.lacking(0, left, right), m.lacking(1, right, left)
}

func (m *groupMap) lacking(side int, names, others []string) []string {
	var out []string
	for _, n := range names {
		if partners, left := m.of(side, n); !left && !slices.ContainsFunc(partners, func(p string) bool {
			return slices.Contains(others, p)
		}) {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}

// of returns the partners of a name, or that the name is left out. The same
// name is a partner only if no pair gives it another.
func (m *groupMap) of(side int, name string) (partners []string, out bool) {
	if list, ok := m.partners[side][name]; ok {
		return list, len(list) == 0
	}
	if _, taken := m.partners[1-side][name]; taken {
		return nil, false
	}
	return []string{name}, false
}

package reconcile

import (
	"slices"
	"strings"

	"github.com/idtrail/idtrail/schema"
)

// filter is a Filter made ready for many accounts.
type filter struct {
	Filter
	include, exclude map[string]bool
	// open says that no list but ExcludeIDs is set; onlyIDs that IncludeIDs is
	// the only other one.
	open, onlyIDs bool
}

func newFilter(f Filter) filter {
	lists := len(f.Connections) + len(f.Providers) + len(f.Groups) + len(f.EmailDomains) + len(f.Statuses)
	return filter{
		Filter:  f,
		include: set(f.IncludeIDs),
		exclude: set(f.ExcludeIDs),
		open:    lists == 0 && len(f.IncludeIDs) == 0,
		onlyIDs: lists == 0 && len(f.IncludeIDs) > 0,
	}
}

func (f *filter) has(u *schema.User) bool {
	switch {
	case f.exclude[u.UserID]:
		return false
	case f.open || f.include[u.UserID]:
		return true
	case f.onlyIDs:
		return false
	}
	return f.inConnections(u) && f.inProviders(u) && f.inGroups(u) && f.inDomains(u) &&
		(len(f.Statuses) == 0 || slices.Contains(f.Statuses, state(u)))
}

func (f *filter) inConnections(u *schema.User) bool {
	if len(f.Connections) == 0 || slices.Contains(f.Connections, u.Connection) {
		return true
	}
	return slices.ContainsFunc(u.Identities, func(id schema.Identity) bool {
		return id.Connection != "" && slices.Contains(f.Connections, id.Connection)
	})
}

func (f *filter) inProviders(u *schema.User) bool {
	if len(f.Providers) == 0 {
		return true
	}
	return slices.ContainsFunc(providersOf(u), func(p string) bool { return containsFold(f.Providers, p) })
}

// providersOf names the kinds of an account's identities; where the record
// lists none, by its id or its status.
func providersOf(u *schema.User) []string {
	var names []string
	for _, id := range u.Identities {
		names = append(names, id.Provider)
	}
	if strategy, _, ok := strings.Cut(u.UserID, "|"); ok && len(names) == 0 {
		return []string{strategy}
	}
	if !strings.Contains(u.UserID, "|") && !isExternal(u) {
		names = append(names, "cognito")
	}
	if len(names) == 0 && u.Connection != "" {
		names = append(names, u.Connection)
	}
	return names
}

func (f *filter) inGroups(u *schema.User) bool {
	if len(f.Groups) == 0 {
		return true
	}
	named := func(g string) bool { return slices.Contains(f.Groups, g) }
	return slices.ContainsFunc(u.Groups, named) || slices.ContainsFunc(u.Roles, named) ||
		slices.ContainsFunc(u.Organizations, named)
}

func (f *filter) inDomains(u *schema.User) bool {
	if len(f.EmailDomains) == 0 {
		return true
	}
	at := strings.LastIndexByte(u.EmailNorm, '@')
	return at >= 0 && containsFold(f.EmailDomains, u.EmailNorm[at+1:])
}

func set(list []string) map[string]bool {
	m := make(map[string]bool, len(list))
	for _, s := range list {
		m[s] = true
	}
	return m
}

func containsFold(list []string, s string) bool {
	return slices.ContainsFunc(list, func(l string) bool { return strings.EqualFold(l, s) })
}

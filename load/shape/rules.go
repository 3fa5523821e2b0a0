package shape

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/idtrail/idtrail/schema"
)

// minKey is the shortest key of pseudonyms, in bytes.
const minKey = 16

// redactor applies rules to events. It is not changed once it is made.
type redactor struct {
	byGroup map[group]*rule
	// byPlace holds the rules for paths; they precede.
	byPlace map[place]*rule
	// known are all places, by path, with their groups.
	known map[string]known
	// person is the rule of the label that says whose event it is.
	person *rule
	// dropRaw: raw_data is to be left out.
	dropRaw bool
}

type known struct {
	place place
	group group
}

// newRedactor returns nil where there is nothing to redact.
func newRedactor(rules []Rule) (*redactor, error) {
	if len(rules) == 0 {
		return nil, nil //nolint:nilnil // nothing to do is no error
	}
	r := &redactor{byGroup: map[group]*rule{}, byPlace: map[place]*rule{}, known: places()}
	named := map[string]bool{}
	for i, o := range rules {
		if err := r.add(o, named); err != nil {
			return nil, fmt.Errorf("redaction rule %d: %w", i+1, err)
		}
	}
	r.person = r.byGroup[groupUserID]
	for _, path := range []string{"user.uid", "actor.user.uid", "user_result.uid"} {
		if own := r.byPlace[r.known[path].place]; own != nil {
			r.person = own
		}
	}
	return r, nil
}

// places are all attributes that can be redacted. An empty event that has every
// object shows them.
func places() map[string]known {
	all := map[string]known{}
	visitor{do: func(p place, g group, _ *string) { all[p.path()] = known{p, g} }}.event(whole())
	for _, in := range []string{"src_endpoint.location", "dst_endpoint.location"} {
		for _, name := range []string{"lat", "long"} {
			p := place{in, name}
			all[p.path()] = known{p, groupLocation}
		}
	}
	return all
}

func (r *redactor) add(o Rule, named map[string]bool) error {
	switch {
	case o.With != WithDrop && o.With != WithMask && o.With != WithPseudonym:
		return fmt.Errorf("%q is none of %s, %s, %s: %w", o.With, WithDrop, WithMask, WithPseudonym, ErrOptions)
	case o.With == WithPseudonym && len(o.Key) < minKey:
		return fmt.Errorf("the key of pseudonyms has %d bytes, it needs %d: %w", len(o.Key), minKey, ErrOptions)
	case len(o.Fields) == 0:
		return fmt.Errorf("it names no fields: %w", ErrOptions)
	}
	rule := &rule{with: o.With, key: bytes.Clone(o.Key)}
	for _, field := range o.Fields {
		field = strings.ReplaceAll(field, "[]", "")
		if named[field] {
			return fmt.Errorf("%q is named twice: %w", field, ErrOptions)
		}
		named[field] = true
		if err := r.addField(rule, field); err != nil {
			return err
		}
	}
	return nil
}

func (r *redactor) addField(rule *rule, field string) error {
	g := group(field)
	if field == "raw_data" {
		g = groupRaw
	}
	if slices.Contains(groups, g) {
		r.byGroup[g] = rule
		return r.cover(rule, field, g)
	}
	found := false
	for path, k := range r.known {
		if path != field && !strings.HasPrefix(path, field+".") {
			continue
		}
		found = true
		r.byPlace[k.place] = narrower(r.byPlace[k.place], rule, path == field)
		if err := r.cover(rule, path, k.group); err != nil {
			return err
		}
	}
	if !found {
		return fmt.Errorf("%q is no group and no attribute that can be redacted: %w", field, ErrOptions)
	}
	return nil
}

// narrower keeps the rule for an attribute itself before one for the object it
// is in.
func narrower(have, rule *rule, itself bool) *rule {
	if have != nil && !itself {
		return have
	}
	return rule
}

// cover checks that the rule makes sense for a group, and notes what it means
// for raw_data.
func (r *redactor) cover(rule *rule, field string, g group) error {
	switch g { //nolint:exhaustive // all others are single values
	case groupRaw, groupUnmapped, groupData:
		if rule.with == WithPseudonym {
			return fmt.Errorf("%q has no pseudonym, it is many values: %w", field, ErrOptions)
		}
	}
	if g != groupRaw && g != groupLocation && g != groupUserAgent {
		r.dropRaw = true
	}
	return nil
}

// of returns the rule for an attribute, nil if there is none.
func (r *redactor) of(p place, g group) *rule {
	if len(r.byPlace) > 0 {
		if own := r.byPlace[p]; own != nil {
			return own
		}
	}
	return r.byGroup[g]
}

// any returns the first rule for one of the groups, and which that is.
func (r *redactor) any(groups []group) (*rule, group) {
	for _, g := range groups {
		if rule := r.byGroup[g]; rule != nil {
			return rule, g
		}
	}
	return nil, ""
}

// observed is what an observable's value is.
func (r *redactor) observed(o schema.Observable) known {
	if k, ok := r.known[strings.ReplaceAll(o.Name, "[]", "")]; ok {
		return k
	}
	return known{group: observableTypes[o.TypeID]}
}

// observableTypes are the type_id values of observables.
var observableTypes = map[int32]group{
	2: groupIP, 4: groupUserName, 5: groupEmail, 14: groupLocation, 16: groupUserAgent, 19: groupSession,
}

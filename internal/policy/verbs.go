package policy

import (
	"fmt"
	"slices"
	"strings"
)

// access is what is done in a place; each holds the ones before.
type access int

const (
	none access = iota
	read
	write
	remove
)

// needs are what verbs need.
type needs struct {
	raw, lake, manifests, state access
	// sources are read, events sent to sinks, references of the config fetched.
	sources, sinks, secrets bool
	// probe removes what check --write wrote, and looks at locks.
	probe bool
	// catalog installs tables and views.
	catalog bool
}

// Verb is a verb that needs rights.
type Verb struct {
	Name  string
	needs needs
}

// verbs are the one table of who needs what. docs/PERMISSIONS.md shows it.
func verbs() []Verb {
	keeps := needs{raw: write, lake: write, manifests: write, state: write, secrets: true}
	runs := keeps
	runs.sources, runs.sinks = true, true
	checks := runs
	checks.probe = true
	backfills := runs
	replays := keeps
	replays.lake = remove
	prunes := replays
	prunes.raw = remove
	return []Verb{
		{"run", runs},
		{"serve", runs},
		{"check", checks},
		{"backfill", backfills},
		{"replay", replays},
		{"prune", prunes},
		{"erase", replays}, // it replaces segments, and removes none
		{"state", keeps},
		{"status", needs{state: read}},
		{"find", needs{lake: read}},
		{"reconcile", needs{raw: read, lake: read, state: read}},
		{"verify", needs{raw: read, lake: read, manifests: read}},
		{"athena", needs{lake: read, catalog: true}},
	}
}

// Verbs are the names [Options.For] takes.
func Verbs() []string {
	all := verbs()
	names := make([]string, len(all))
	for i, v := range all {
		names[i] = v.Name
	}
	return names
}

// DefaultVerbs are those of the job that idtrail is set up for. What they may do is
// enough to look at it with status, find, reconcile and verify, too.
func DefaultVerbs() []string { return []string{"run", "check"} }

// needsOf is what all of these verbs need together.
func needsOf(names []string) needs {
	var all needs
	for _, v := range verbs() {
		if !slices.Contains(names, v.Name) {
			continue
		}
		n := v.needs
		all.raw, all.lake = max(all.raw, n.raw), max(all.lake, n.lake)
		all.manifests, all.state = max(all.manifests, n.manifests), max(all.state, n.state)
		all.sources, all.sinks = all.sources || n.sources, all.sinks || n.sinks
		all.secrets, all.probe = all.secrets || n.secrets, all.probe || n.probe
		all.catalog = all.catalog || n.catalog
	}
	return all
}

// check refuses what would make no policy, or another than was meant.
func (o Options) check() error {
	for _, name := range o.For {
		if !slices.Contains(Verbs(), name) {
			return fmt.Errorf("no rights are known for %q: name one of %s", clip(name), strings.Join(Verbs(), ", "))
		}
	}
	if o.Account != "" && !accountForm.MatchString(o.Account) {
		return fmt.Errorf("%q is no account: write its 12 digits", clip(o.Account))
	}
	if o.Region != "" && !regionForm.MatchString(o.Region) {
		return fmt.Errorf("%q is no region: write one like eu-west-1", clip(o.Region))
	}
	if o.Principal != "" && !principalForm.MatchString(o.Principal) {
		return fmt.Errorf("%q is nobody who can assume a role: write the ARN of a role or user", clip(o.Principal))
	}
	for _, key := range o.Keys {
		if !keyForm.MatchString(key) {
			return fmt.Errorf("%q is no KMS key: write the ARN of the key itself, not of an alias", clip(key))
		}
	}
	return nil
}

// clip bounds what a message repeats.
func clip(text string) string {
	const most = 100
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}

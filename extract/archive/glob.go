package archive

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// glob is a pattern of slash-separated names. In a name, * stands for any
// characters, ? for one, [a-z] for one of a set, [!a-z] or [^a-z] for one that
// is not of it; ** as a whole name stands for any number of names, none
// included; {a,b} stands for either, also across names and nested; a backslash
// takes the meaning off the character behind it.
//
// A name that begins with a dot is matched only by a pattern whose name begins
// with one.
type glob struct {
	alternatives [][]string
}

const maxAlternatives = 1000

func newGlob(pattern string) (*glob, error) {
	all, err := expand(pattern)
	if err != nil {
		return nil, fmt.Errorf("pattern %q: %w", pattern, err)
	}
	g := &glob{}
	for _, p := range all {
		names := strings.Split(strings.ReplaceAll(p, "[!", "[^"), "/")
		for _, name := range names {
			if _, err := path.Match(name, ""); err != nil {
				return nil, fmt.Errorf("pattern %q: %q is not well formed", pattern, name)
			}
		}
		g.alternatives = append(g.alternatives, names)
	}
	return g, nil
}

// isPattern says whether s has a character with a meaning.
func isPattern(s string) bool { return strings.ContainsAny(s, `*?[{\`) }

// splitPattern parts a pattern into its leading names without a meaning and the
// rest.
func splitPattern(pattern string) (base, rest string) {
	names := strings.Split(pattern, "/")
	n := 0
	for n < len(names)-1 && !isPattern(names[n]) {
		n++
	}
	// A brace may reach across slashes, a name behind it is then none.
	return strings.Join(names[:n], "/"), strings.Join(names[n:], "/")
}

// expand writes the braces out.
func expand(p string) ([]string, error) {
	open := strings.IndexByte(mask(p), '{')
	if open < 0 {
		return []string{p}, nil
	}
	parts, end := alternatives(mask(p), p, open)
	if end < 0 {
		return nil, fmt.Errorf("a { is not closed")
	}
	var all []string
	for _, part := range parts {
		more, err := expand(p[:open] + part + p[end+1:])
		if err != nil {
			return nil, err
		}
		if all = append(all, more...); len(all) > maxAlternatives {
			return nil, fmt.Errorf("more than %d alternatives", maxAlternatives)
		}
	}
	return all, nil
}

// mask hides what stands behind a backslash.
func mask(p string) string {
	b := []byte(p)
	for i := 0; i < len(b)-1; i++ {
		if b[i] == '\\' {
			b[i+1] = '_'
			i++
		}
	}
	return string(b)
}

// alternatives cuts out what stands between the commas of the brace at open.
func alternatives(masked, p string, open int) (parts []string, end int) {
	depth, from := 0, open+1
	for i := open; i < len(masked); i++ {
		switch masked[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return append(parts, p[from:i]), i
			}
		case ',':
			if depth == 1 {
				parts, from = append(parts, p[from:i]), i+1
			}
		}
	}
	return nil, -1
}

func (g *glob) match(name string) bool {
	names := strings.Split(name, "/")
	for _, alt := range g.alternatives {
		if matchNames(alt, names) {
			return true
		}
	}
	return false
}

// matchNames goes back to the last ** only, as is usual for *: it never takes
// longer than pattern times name.
func matchNames(pattern, names []string) bool {
	p, n, star, from := 0, 0, -1, 0
	for n < len(names) {
		switch {
		case p < len(pattern) && pattern[p] == "**":
			star, from = p, n
			p++
		case p < len(pattern) && matchName(pattern[p], names[n]):
			p++
			n++
		case star >= 0 && !hidden(names[from]):
			from++
			p, n = star+1, from
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == "**" {
		p++
	}
	return p == len(pattern)
}

func matchName(pattern, name string) bool {
	if hidden(name) && !hidden(pattern) {
		return false
	}
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}

func hidden(name string) bool { return strings.HasPrefix(name, ".") }

// depth is how many names the pattern has at most, -1 if there is no limit.
func (g *glob) depth() int {
	deepest := 0
	for _, alt := range g.alternatives {
		if slices.Contains(alt, "**") {
			return -1
		}
		deepest = max(deepest, len(alt))
	}
	return deepest
}

// namesHidden says whether it can match a name that begins with a dot.
func (g *glob) namesHidden() bool {
	return slices.ContainsFunc(g.alternatives, func(alt []string) bool {
		return slices.ContainsFunc(alt, hidden)
	})
}

package shape

import (
	"bytes"
	"cmp"
	"encoding/json"
	"strings"

	"github.com/tidwall/gjson"
)

// maxDepth bounds how deep JSON is walked: what lies deeper is left out.
const maxDepth = 64

// node is a value in JSON, with the names it stands under.
type node struct {
	parent, name string
	// inherited is what a member without a meaning of its own is: part of a
	// location, an element of a list of addresses.
	inherited []group
	depth     int
}

// groups are what the value is, by its name.
func (n node) groups() []group {
	if g := groupsOf(n.parent, n.name); g != nil {
		return g
	}
	return n.inherited
}

// member is the node of a member. pair is what the object's own Name says its
// Value is: {"Name":"email","Value":…}.
func (n node) member(name, pair string) node {
	m := node{parent: n.name, name: name, depth: n.depth + 1}
	if lower := plainName(name); pair != "" && (lower == "value" || lower == "values") {
		m.parent, m.name = n.parent, pair
	}
	if g := n.groups(); len(g) == 1 && g[0] == groupLocation {
		m.inherited = g
	}
	return m
}

// element is the node of a list's element.
func (n node) element() node {
	return node{parent: n.parent, name: n.name, inherited: n.inherited, depth: n.depth + 1}
}

// pairName is the name a {"Name":…,"Value":…} object gives its value.
func pairName(v gjson.Result) string {
	if !strings.Contains(v.Raw, `alue`) {
		return ""
	}
	for _, name := range []string{"Name", "name", "Key", "key", "AttributeName", "attributeName"} {
		if n := v.Get(name); n.Type == gjson.String {
			return n.Str
		}
	}
	return ""
}

// parse returns the JSON object or list that s is.
func parse(s string) (gjson.Result, bool) {
	trimmed := strings.TrimSpace(s)
	if trimmed == "" || trimmed[0] != '{' && trimmed[0] != '[' || !gjson.Valid(trimmed) {
		return gjson.Result{}, false
	}
	return gjson.Parse(trimmed), true
}

// gatherData notes the values that JSON, or a text under a name, holds by their
// names.
func (p *pass) gatherData(parent, name, s string) {
	p.gatherText(node{parent: parent, name: name}, s)
}

func (p *pass) gatherText(n node, s string) {
	if v, ok := parse(s); ok && n.depth < maxDepth {
		p.gatherJSON(n, v)
		return
	}
	if rule, g := p.any(n.groups()); rule != nil {
		p.note(rule, g, n.name, s)
	}
}

func (p *pass) gatherJSON(n node, v gjson.Result) {
	if n.depth >= maxDepth {
		return
	}
	switch {
	case v.IsObject():
		pair := pairName(v)
		v.ForEach(func(key, value gjson.Result) bool {
			p.gatherJSON(n.member(key.Str, pair), value)
			return true
		})
	case v.IsArray():
		v.ForEach(func(_, value gjson.Result) bool {
			p.gatherJSON(n.element(), value)
			return true
		})
	case v.Type == gjson.String:
		p.gatherText(n, v.Str)
	case v.Type == gjson.Number:
		if rule, g := p.any(n.groups()); rule != nil && g != groupLocation && len(v.Raw) > 3 {
			p.note(rule, g, n.name, v.Raw)
		}
	}
}

// data redacts a text that may be JSON and stands under a name: "" if it is to
// be left out.
func (p *pass) data(parent, name, s string) string {
	return p.dataText(node{parent: parent, name: name}, s)
}

func (p *pass) dataText(n node, s string) string {
	if v, ok := parse(s); ok {
		return string(p.json(nil, n, v))
	}
	rule, g := p.any(n.groups())
	if rule == nil {
		return p.text(s, plainName(n.name) == "useragent")
	}
	if nobody[folded(strings.TrimSpace(s))] {
		return s
	}
	return p.replace(rule, g, n.name, s)
}

// json appends the redacted value; nothing if it is to be left out.
func (p *pass) json(dst []byte, n node, v gjson.Result) []byte {
	switch {
	case n.depth >= maxDepth:
		return quote(dst, stars)
	case v.IsObject():
		return p.object(dst, n, v)
	case v.IsArray():
		return p.array(dst, n, v)
	case v.Type == gjson.String:
		s := p.dataText(n, v.Str)
		if s == v.Str {
			return append(dst, v.Raw...)
		}
		if s == "" {
			return dst
		}
		return quote(dst, s)
	case v.Type == gjson.Number:
		return p.number(dst, n, v.Raw)
	}
	return append(dst, v.Raw...)
}

func (p *pass) number(dst []byte, n node, raw string) []byte {
	var s string
	if rule, g := p.any(n.groups()); rule != nil {
		s = p.replace(rule, g, n.name, raw)
	} else {
		s = p.text(raw, false)
	}
	switch s {
	case raw:
		return append(dst, raw...)
	case "":
		return dst
	}
	return quote(dst, s)
}

func (p *pass) object(dst []byte, n node, v gjson.Result) []byte {
	pair := pairName(v)
	dst = append(dst, '{')
	first := true
	v.ForEach(func(key, value gjson.Result) bool {
		begin := len(dst)
		if !first {
			dst = append(dst, ',')
		}
		if clean := p.text(key.Str, false); clean != key.Str {
			dst = quote(dst, cmp.Or(clean, stars))
		} else {
			dst = append(dst, key.Raw...)
		}
		dst = append(dst, ':')
		behind := len(dst)
		if dst = p.json(dst, n.member(key.Str, pair), value); len(dst) == behind {
			dst = dst[:begin] // left out
			return true
		}
		first = false
		return true
	})
	return append(dst, '}')
}

func (p *pass) array(dst []byte, n node, v gjson.Result) []byte {
	dst = append(dst, '[')
	first := true
	v.ForEach(func(_, value gjson.Result) bool {
		begin := len(dst)
		if !first {
			dst = append(dst, ',')
		}
		behind := len(dst)
		if dst = p.json(dst, n.element(), value); len(dst) == behind {
			dst = dst[:begin]
			return true
		}
		first = false
		return true
	})
	return append(dst, ']')
}

// quote appends s as a JSON string.
func quote(dst []byte, s string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return append(dst, `"`+stars+`"`...)
	}
	return append(dst, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
}

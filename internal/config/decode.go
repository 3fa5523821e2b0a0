package config

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// place is where something stands in the file.
type place struct{ line, column int }

func placeOf(n ast.Node) place {
	if n == nil || n.GetToken() == nil || n.GetToken().Position == nil {
		return place{}
	}
	p := n.GetToken().Position
	return place{p.Line, p.Column}
}

// value is a node of the file and the path of keys to it.
type value struct {
	node ast.Node
	path string
}

// table says for every key of a mapping where its value goes.
type table map[string]func(value)

// decoder fills settings from the file's nodes. It goes on after a problem, so
// that all of them are found at once.
type decoder struct {
	refs     resolver
	problems []Problem
	warnings []Problem
	// broken is the number of problems of the decoding itself: what they stand
	// on has no value, and no check of it says anything.
	broken int
	// meant holds the paths that unknown keys were probably meant to be.
	meant map[string]bool
	// places holds where each path of keys stands, for checks across keys.
	places  map[string]place
	anchors map[string]ast.Node
	// references are those where a secret may stand, and causes why some of them
	// could not be read.
	references []Reference
	causes     []error
	// left are the problems of those that somebody keeps going without.
	left []Problem
}

func newDecoder(refs resolver) *decoder {
	return &decoder{
		refs: refs, meant: map[string]bool{}, places: map[string]place{}, anchors: map[string]ast.Node{},
	}
}

// fail notes a problem at a path; its place is that of the nearest path known.
func (d *decoder) fail(path, format string, args ...any) {
	if d.meant[path] || slices.ContainsFunc(d.problems[:d.broken], func(p Problem) bool { return covers(p.Key, path) }) {
		return
	}
	d.problems = append(d.problems, d.problem(path, format, args...))
}

// covers says whether path is key or lies below it.
func covers(key, path string) bool {
	rest, ok := strings.CutPrefix(path, key)
	return key == "" || ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

func (d *decoder) warn(path, format string, args ...any) {
	d.warnings = append(d.warnings, d.problem(path, format, args...))
}

// problem splits what is wrong from what to do at the first "; ".
func (d *decoder) problem(path, format string, args ...any) Problem {
	message, hint, _ := strings.Cut(fmt.Sprintf(format, args...), "; ")
	at := d.placeOf(path)
	return Problem{Line: at.line, Column: at.column, Key: path, Message: message, Hint: hint}
}

func (d *decoder) placeOf(path string) place {
	for path != "" {
		if at, ok := d.places[path]; ok {
			return at
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return d.places[""]
}

// has says whether a path was given a value in the file.
func (d *decoder) has(path string) bool {
	_, ok := d.places[path]
	return ok
}

// mapping hands the values of a mapping to the table. A null counts as not
// given: that is what is left when everything under a key is commented out.
func (d *decoder) mapping(v value, t table) {
	d.each(v, func(key string, at place, member value) {
		take, ok := t[key]
		if !ok {
			d.places[member.path] = at
			d.unknownKey(member.path, key, slices.Collect(maps.Keys(t)))
			return
		}
		if _, null := d.resolve(member).(*ast.NullNode); null {
			return
		}
		d.places[member.path] = at
		take(member)
	})
}

func (d *decoder) unknownKey(path, written string, known []string) {
	at := d.places[path]
	if best := nearest(written, known); best != "" {
		d.meant[strings.TrimSuffix(path, written)+best] = true
	}
	d.problems = append(d.problems, Problem{
		Line: at.line, Column: at.column, Key: path,
		Message: fmt.Sprintf("unknown key %q", clip(written)), Hint: suggest(written, known),
	})
}

// each calls do for every member of a mapping.
func (d *decoder) each(v value, do func(key string, at place, member value)) {
	m, ok := d.resolve(v).(ast.MapNode)
	if !ok {
		d.wrong(v, "a mapping (key: value)")
		return
	}
	for it := m.MapRange(); it.Next(); {
		key := it.Key()
		name := key.GetToken().Value
		member := value{it.Value(), join(v.path, name)}
		if key.IsMergeKey() {
			d.problems = append(d.problems, Problem{
				Line: placeOf(key).line, Column: placeOf(key).column, Key: member.path,
				Message: "merge keys (<<) are not supported", Hint: "repeat the keys",
			})
			continue
		}
		do(name, placeOf(key), member)
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// items calls do for every element of a sequence.
func (d *decoder) items(v value, do func(value)) {
	s, ok := d.resolve(v).(*ast.SequenceNode)
	if !ok {
		d.wrong(v, "a list")
		return
	}
	for i, n := range s.Values {
		item := value{n, fmt.Sprintf("%s[%d]", v.path, i)}
		d.places[item.path] = d.itemPlace(n)
		do(item)
	}
}

// itemPlace is where an element begins: a mapping's own token is its first
// colon, or its brace.
func (d *decoder) itemPlace(n ast.Node) place {
	m, ok := n.(*ast.MappingNode)
	if ok && !m.IsFlowStyle && len(m.Values) > 0 {
		return placeOf(m.Values[0].Key)
	}
	return placeOf(n)
}

// resolve follows anchors and aliases to what they stand for.
func (d *decoder) resolve(v value) ast.Node {
	switch n := v.node.(type) {
	case *ast.AnchorNode:
		target := d.resolve(value{n.Value, v.path})
		d.anchors[n.Name.GetToken().Value] = target
		return target
	case *ast.AliasNode:
		return d.anchors[n.Value.GetToken().Value]
	case *ast.MappingKeyNode:
		return n.Value
	default:
		return n
	}
}

// wrong notes that a value is of the wrong type.
func (d *decoder) wrong(v value, want string) {
	d.places[v.path] = placeOf(v.node)
	d.fail(v.path, "must be %s, but is %s", want, typeName(d.resolve(v)))
}

func typeName(n ast.Node) string {
	switch n := n.(type) {
	case nil:
		return "an alias of nothing"
	case *ast.StringNode, *ast.LiteralNode:
		return "text"
	case *ast.IntegerNode:
		return "a number"
	case *ast.FloatNode:
		return "a number with a fraction"
	case *ast.BoolNode:
		return "true or false"
	case *ast.NullNode:
		return "empty"
	case *ast.SequenceNode:
		return "a list"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.TagNode:
		return "a value with a tag (" + clip(n.GetToken().Value) + ")"
	default:
		return "a " + n.Type().YAMLName()
	}
}

// scalar returns the text of a text value, expanded. The second result is what
// may be quoted in a message: the text as it stands in the file.
func (d *decoder) scalar(v value, want string) (text, shown string, ok bool) {
	raw, ok := d.rawText(v, want)
	if !ok {
		return "", "", false
	}
	text, err := d.refs.expand(raw)
	if err != nil {
		d.fail(v.path, "%v", err)
		return "", "", false
	}
	return text, strconv.Quote(clip(raw)), true
}

func (d *decoder) rawText(v value, want string) (string, bool) {
	switch n := d.resolve(v).(type) {
	case *ast.StringNode:
		d.places[v.path] = placeOf(v.node)
		return n.Value, true
	case *ast.LiteralNode:
		return strings.TrimSpace(n.Value.Value), true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		if want == "text" {
			want = "text (in quotes)"
		}
		d.wrong(v, want)
	default:
		d.wrong(v, want)
	}
	return "", false
}

// The functions below say how a value of one type is taken.

func (d *decoder) text(to *string) func(value) {
	return func(v value) {
		if text, _, ok := d.scalar(v, "text"); ok {
			*to = text
		}
	}
}

// credential is text that is no secret, but that only those who call the vendor
// need: for others its references stay unread.
func (d *decoder) credential(to *string) func(value) {
	return func(v value) {
		raw, ok := d.rawText(v, "text")
		if !ok {
			return
		}
		d.references = append(d.references, references(raw, v.path)...)
		if d.refs.skipSecrets && reference.MatchString(raw) {
			*to = raw
			return
		}
		text, err := d.refs.credential(raw)
		if err != nil {
			if d.unread(v, raw, err) {
				*to = raw
			}
			return
		}
		*to = text
	}
}

// unread notes that a reference could not be read, and says whether to keep going
// all the same, with the reference itself in the place of what it names.
func (d *decoder) unread(v value, raw string, err error) bool {
	d.causes = append(d.causes, err)
	if d.refs.keepGoing && !errors.Is(err, errLiteral) && len(references(raw, v.path)) > 0 {
		d.left = append(d.left, d.problem(v.path, "%v", err))
		return true
	}
	d.fail(v.path, "%v", err)
	return false
}

func (d *decoder) choice(to *string, known ...string) func(value) {
	return func(v value) {
		text, shown, ok := d.scalar(v, "text")
		if !ok {
			return
		}
		if !slices.Contains(known, text) {
			d.fail(v.path, "%s is unknown; %s", shown, suggest(text, known))
			return
		}
		*to = text
	}
}

func (d *decoder) secret(to *Secret) func(value) {
	return func(v value) {
		raw, ok := d.rawText(v, "a reference")
		if !ok {
			return
		}
		secret, err := d.refs.secret(raw)
		if err != nil {
			if !d.unread(v, raw, err) {
				return
			}
			secret = NewSecret(raw)
		}
		d.references = append(d.references, references(raw, v.path)...)
		*to = secret
	}
}

// path of objects or files: a path, made absolute, or an s3:// URL.
func (d *decoder) path(to *string) func(value) {
	return func(v value) {
		text, shown, ok := d.scalar(v, "text")
		if !ok {
			return
		}
		switch {
		case text == "":
			d.fail(v.path, "is empty; name a path")
		case isS3(text):
			*to = text
		case strings.Contains(text, "://"):
			d.fail(v.path, "%s is neither a path nor s3://bucket/prefix", shown)
		case strings.HasPrefix(text, "~"):
			d.fail(v.path, `%s: ~ is not expanded; write "${env:HOME}/…"`, shown)
		case filepath.IsAbs(text):
			*to = filepath.Clean(text)
		default:
			*to = filepath.Join(d.refs.dir, text)
		}
	}
}

// folder is a path, without a slash at its end.
func (d *decoder) folder(to *string) func(value) {
	return func(v value) {
		d.path(to)(v)
		if isS3(*to) {
			*to = strings.TrimRight(*to, "/")
		}
	}
}

func (d *decoder) span(to *time.Duration) func(value) {
	return func(v value) {
		text, shown, ok := d.scalar(v, "a span of time with its unit, as in 90s or 7d")
		if !ok {
			return
		}
		span, err := ParseSpan(text)
		if err != nil {
			d.fail(v.path, "%s %v", shown, err)
			return
		}
		*to = span
	}
}

func (d *decoder) since(to *Since) func(value) {
	return func(v value) {
		text, shown, ok := d.scalar(v, "a span (7d) or a time")
		if !ok {
			return
		}
		since, err := ParseSince(text)
		if err != nil {
			d.fail(v.path, "%s %v", shown, err)
			return
		}
		*to = since
	}
}

func (d *decoder) size(to *int64) func(value) {
	return func(v value) {
		if n, ok := d.resolve(v).(*ast.IntegerNode); ok {
			v.node = &ast.StringNode{BaseNode: n.BaseNode, Token: n.Token, Value: n.Token.Value}
		}
		text, shown, ok := d.scalar(v, "a size, as in 256MiB")
		if !ok {
			return
		}
		size, err := ParseSize(text)
		if err != nil {
			d.fail(v.path, "%s %v", shown, err)
			return
		}
		*to = size
	}
}

func (d *decoder) integer(to *int) func(value) {
	return func(v value) {
		n, ok := d.resolve(v).(*ast.IntegerNode)
		if !ok {
			d.wrong(v, "a whole number")
			return
		}
		d.places[v.path] = placeOf(n)
		i, err := strconv.ParseInt(n.Token.Value, 10, 32)
		if err != nil {
			d.fail(v.path, "is no decimal number of at most 9 digits")
			return
		}
		*to = int(i)
	}
}

func (d *decoder) number(to *float64) func(value) {
	return func(v value) {
		n := d.resolve(v)
		switch n.(type) {
		case *ast.IntegerNode, *ast.FloatNode:
		default:
			d.wrong(v, "a number")
			return
		}
		d.places[v.path] = placeOf(n)
		f, err := strconv.ParseFloat(n.GetToken().Value, 64)
		if err != nil {
			d.fail(v.path, "is no decimal number")
			return
		}
		*to = f
	}
}

func (d *decoder) flag(to *bool) func(value) {
	return func(v value) {
		n, ok := d.resolve(v).(*ast.BoolNode)
		if !ok {
			d.wrong(v, "true or false")
			return
		}
		*to = n.Value
	}
}

// texts takes a list of texts, none of them empty or there twice.
func (d *decoder) texts(to *[]string) func(value) {
	return d.strings(to, func(item value, text, _ string) bool {
		if text == "" {
			d.fail(item.path, "is empty; leave it out")
		}
		return text != ""
	})
}

// names takes a list of texts in which "" stands for none.
func (d *decoder) names(to *[]string) func(value) {
	return d.strings(to, func(value, string, string) bool { return true })
}

// choices takes a list of known words.
func (d *decoder) choices(to *[]string, known []string) func(value) {
	return d.strings(to, func(item value, text, shown string) bool {
		ok := slices.Contains(known, text)
		if !ok {
			d.fail(item.path, "%s is unknown; %s", shown, suggest(text, known))
		}
		return ok
	})
}

func (d *decoder) strings(to *[]string, good func(item value, text, shown string) bool) func(value) {
	return func(v value) {
		list := []string{}
		d.items(v, func(item value) {
			text, shown, ok := d.scalar(item, "text")
			if !ok || !good(item, text, shown) {
				return
			}
			if slices.Contains(list, text) {
				d.fail(item.path, "%s stands here twice; keep one", shown)
				return
			}
			list = append(list, text)
		})
		*to = list
	}
}

func (d *decoder) textMap(to *map[string]string) func(value) {
	return func(v value) {
		m := map[string]string{}
		d.each(v, func(key string, at place, member value) {
			d.places[member.path] = at
			if text, _, ok := d.scalar(member, "text"); ok {
				m[key] = text
			}
		})
		*to = m
	}
}

// clip shortens what a message quotes.
func clip(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

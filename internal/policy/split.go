package policy

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode"
)

// policyVersion is that of IAM's language.
const policyVersion = "2012-10-17"

// MaxCharacters is what a managed policy may have, white space not counted:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
const MaxCharacters = 6144

// Split puts statements into as few policies as IAM takes, in their order. One that
// is too long by itself is divided by its resources.
func Split(all []Statement) []Document {
	docs := []Document{{Version: policyVersion, Statement: []Rule{}}}
	for _, s := range all {
		for _, rule := range divide(s.rule()) {
			last := &docs[len(docs)-1]
			longer := Document{Version: policyVersion, Statement: append(slices.Clip(last.Statement), rule)}
			if len(last.Statement) > 0 && longer.Characters() > MaxCharacters {
				docs = append(docs, Document{Version: policyVersion, Statement: []Rule{rule}})
				continue
			}
			*last = longer
		}
	}
	return docs
}

// divide makes several rules of one whose resources are too many.
func divide(r Rule) []Rule {
	if len(r.Resource) < 2 || (Document{Version: policyVersion, Statement: []Rule{r}}).Characters() <= MaxCharacters {
		return []Rule{r}
	}
	half := len(r.Resource) / 2
	a, b := r, r
	a.Resource, b.Resource = r.Resource[:half], r.Resource[half:]
	a.Sid, b.Sid = r.Sid+"a", r.Sid+"b"
	return append(divide(a), divide(b)...)
}

// Characters are those of a policy that IAM counts.
func (d Document) Characters() int {
	text, err := json.Marshal(d)
	if err != nil {
		panic(err) // texts, and lists and maps of them
	}
	n := 0
	for _, r := range string(text) {
		if !unicode.IsSpace(r) {
			n++
		}
	}
	return n
}

// JSON is the policy as text, indented, with a line break at its end.
func (d Document) JSON() string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(d); err != nil {
		panic(err) // texts, and lists and maps of them
	}
	return b.String()
}

// Document is a policy of this statement alone.
func (s Statement) Document() Document {
	return Document{Version: policyVersion, Statement: []Rule{s.rule()}}
}

func (s Statement) rule() Rule {
	r := Rule{Sid: s.Sid, Effect: "Allow", Action: Texts(s.Actions), Resource: Texts(s.Resources)}
	for operator, keys := range s.Condition {
		for key, values := range keys {
			if r.Condition == nil {
				r.Condition = map[string]map[string]Texts{}
			}
			if r.Condition[operator] == nil {
				r.Condition[operator] = map[string]Texts{}
			}
			r.Condition[operator][key] = Texts(values)
		}
	}
	return r
}

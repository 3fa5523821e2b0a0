package shape

import (
	"net/netip"
	"strings"
)

// findForms adds what is known by its form, and by the name before it, in a
// text that is unescaped.
func (p *pass) findForms(l level, versions bool, spans []span) []span {
	if rule := p.byGroup[groupEmail]; rule != nil {
		findEmails(l.text, func(start, end int) {
			spans = l.add(spans, start, end, p.replace(rule, groupEmail, "", l.text[start:end]))
		})
	}
	if rule := p.byGroup[groupIP]; rule != nil {
		findIPs(l.text, versions, func(start, end int, a netip.Addr) {
			spans = l.add(spans, start, end, p.replace(rule, groupIP, "", normalIP(a)))
		})
	}
	if rule := p.byGroup[groupPhone]; rule != nil {
		findPhones(l.text, func(start, end int) {
			spans = l.add(spans, start, end, p.replace(rule, groupPhone, "", l.text[start:end]))
		})
	}
	return p.findPairs(l, spans)
}

// findPairs adds the value of each name=value, as forms and URLs have them, and
// of each "name":"value", as JSON has it that was cut off.
func (p *pass) findPairs(l level, spans []span) []span {
	s := l.text
	for i := 0; i < len(s); i++ {
		k := strings.IndexAny(s[i:], "=:")
		if k < 0 {
			break
		}
		i += k
		name, quoted := nameBefore(s[:i])
		if name == "" || s[i] == ':' && !quoted {
			continue
		}
		rule, g := p.any(groupsOf("", name))
		if rule == nil {
			continue
		}
		start, end := valueAt(s, i+1)
		if value := s[start:end]; !nobody[value] {
			spans = l.add(spans, start, end, p.replace(rule, g, name, value))
			i = end - 1
		}
	}
	return spans
}

// maxName bounds the names looked at.
const maxName = 64

// nameBefore is the name that s ends with, and whether it is in quotes.
func nameBefore(s string) (name string, quoted bool) {
	s = strings.TrimRight(s, " ")
	if n := len(s); n > 0 && (s[n-1] == '"' || s[n-1] == '\'') {
		s, quoted = s[:n-1], true
	}
	start := len(s)
	for start > 0 && len(s)-start < maxName && isNameByte(s[start-1]) {
		start--
	}
	return s[start:], quoted
}

func isNameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '_' || c == '-'
}

// valueAt is where the value behind a name begins and ends.
func valueAt(s string, i int) (start, end int) {
	for i < len(s) && s[i] == ' ' {
		i++
	}
	if i < len(s) && (s[i] == '"' || s[i] == '\'') {
		if n := strings.IndexByte(s[i+1:], s[i]); n >= 0 {
			return i + 1, i + 1 + n
		}
		return i + 1, len(s)
	}
	if n := strings.IndexAny(s[i:], "&;,\t\n \"'<>{}[]()"); n >= 0 {
		return i, i + n
	}
	return i, len(s)
}

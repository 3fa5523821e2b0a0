package shape

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// stars stand where a value was taken out of a text, or masked.
const stars = "***"

// rule is a [Rule] that was checked.
type rule struct {
	with string
	key  []byte
}

// replace returns what stands in the place of a value of the group, in an
// attribute of that name: "" if it is to be left out.
func (r *rule) replace(g group, name, value string) string {
	switch r.with {
	case WithDrop:
		return ""
	case WithMask:
		return mask(g, name, value)
	default:
		return r.pseudonym(g, value)
	}
}

// pseudonym is the keyed hash of a value's normal form, with its kind before
// it. What a value is goes by its form first: the e-mail address somebody signs
// in with as user name has the pseudonym of the e-mail address.
func (r *rule) pseudonym(g group, value string) string {
	kind, normal := normalise(g, value)
	if kind == "" {
		kind = "text"
	}
	mac := hmac.New(sha256.New, r.key)
	_, _ = mac.Write([]byte(kind + "\x00" + normal)) // never fails
	return kind + ":" + hex.EncodeToString(mac.Sum(nil)[:pseudonymBytes])
}

// pseudonymBytes are kept of a hash: among a billion values, two have the same
// by a chance of one in 10^11.
const pseudonymBytes = 12

// normalise returns what kind of value it is, and its one form.
func normalise(g group, value string) (kind, normal string) {
	value = strings.TrimSpace(strings.ToValidUTF8(value, "\uFFFD"))
	switch g { //nolint:exhaustive // the others are what they are
	case groupUserName, groupUserID, groupEmail, groupPhone, groupIP, groupFullName:
		if isEmail(value) {
			return string(groupEmail), normalEmail(value)
		}
		if addr, err := netip.ParseAddr(value); err == nil {
			return string(groupIP), normalIP(addr)
		}
		if isPhone(value) {
			return string(groupPhone), digits(value)
		}
	}
	switch g { //nolint:exhaustive // the others are compared as they are
	case groupUserName, groupFullName, groupEmail:
		return string(g), strings.Join(strings.Fields(folded(norm.NFKC.String(value))), " ")
	case groupPhone:
		return string(g), digits(value)
	}
	return string(g), value
}

// normalEmail is the address in lower case, its domain in ASCII.
func normalEmail(s string) string {
	at := strings.LastIndexByte(s, '@')
	local, domain := folded(norm.NFC.String(s[:at])), folded(s[at+1:])
	if ascii, err := idna.Lookup.ToASCII(domain); err == nil {
		domain = ascii
	}
	return local + "@" + domain
}

func normalIP(a netip.Addr) string { return a.Unmap().WithZone("").String() }

func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
}

// folded is s as it is compared: without case.
func folded(s string) string { return strings.Map(fold, s) }

// fold is one letter for all that differ from r by case only.
func fold(r rune) rune {
	if r < utf8.RuneSelf {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}
	return unicode.ToLower(unicode.ToUpper(r))
}

// mask keeps the shape of a value, and names nobody.
func mask(g group, name, value string) string {
	value = strings.TrimSpace(value)
	if name = plainName(name); g == groupLocation && (strings.HasPrefix(name, "country") || strings.HasPrefix(name, "continent")) {
		return value
	}
	if isEmail(value) {
		return maskEmail(folded(value))
	}
	if addr, err := netip.ParseAddr(value); err == nil {
		return maskIP(addr)
	}
	return stars
}

// maskEmail is a***@example.com. A local part of one or two letters shows none.
func maskEmail(s string) string {
	at := strings.LastIndexByte(s, '@')
	local, domain := s[:at], s[at+1:]
	for _, r := range domain {
		if !isWord(r) && r != '.' && r != '-' {
			return stars
		}
	}
	first, _ := utf8.DecodeRuneInString(local)
	if utf8.RuneCountInString(local) < 3 || !isWord(first) {
		return stars + "@" + domain
	}
	return string(first) + stars + "@" + domain
}

// The networks an address is masked to.
const (
	maskBits4 = 24
	maskBits6 = 48
)

func maskIP(a netip.Addr) string {
	a = a.Unmap().WithZone("")
	bits := maskBits6
	if a.Is4() {
		bits = maskBits4
	}
	network, err := a.Prefix(bits)
	if err != nil {
		return stars
	}
	return network.String()
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) }

package transform

import (
	"strings"
	"unicode"

	"github.com/nyaruka/phonenumbers"
	"golang.org/x/net/idna"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// The functions of this file give the *_norm and *_e164 columns of a user,
// which accounts are matched by. Two values that could belong to two people
// must never become one: where that is in doubt, the result is empty.

// normName is s in NFC, without control characters, runs of white space as one
// space.
func normName(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && !unicode.IsSpace(r) {
			return -1
		}
		return r
	}, norm.NFC.String(strings.ToValidUTF8(s, "\uFFFD")))
	return strings.Join(strings.Fields(s), " ")
}

// displayName is a person's name: name, unless that merely repeats an e-mail
// address; else given and family name.
func displayName(name, given, family, email string) string {
	n := normName(name)
	if n != "" && !strings.EqualFold(n, strings.TrimSpace(email)) && normEmail(n) == "" {
		return n
	}
	return normName(given + " " + family)
}

// normUserName is s case-folded and in NFKC.
func normUserName(s string) string {
	s = norm.NFKC.String(strings.ToValidUTF8(strings.TrimSpace(s), "\uFFFD"))
	return norm.NFKC.String(cases.Fold().String(s))
}

// normEmail is the address in lower case with the domain in its ASCII form, ""
// when it is none. Dots and +tags stay: whether they matter is up to the domain.
func normEmail(s string) string {
	s = strings.TrimSpace(s)
	at := strings.LastIndexByte(s, '@')
	if at <= 0 || at == len(s)-1 || strings.ContainsFunc(s, noAddress) {
		return ""
	}
	domain := normDomain(s[at+1:])
	if domain == "" {
		return ""
	}
	return strings.Map(lower, norm.NFC.String(s[:at])) + "@" + domain
}

// noAddress also refuses what Unicode holds to be another way to write an ASCII
// character, as the Kelvin sign is of K: to a mail server they are two mailboxes.
func noAddress(r rune) bool {
	if unicode.IsSpace(r) || unicode.IsControl(r) || r == unicode.ReplacementChar {
		return true
	}
	return r > unicode.MaxASCII && norm.NFC.String(string(r))[0] <= unicode.MaxASCII
}

func normDomain(s string) string {
	s = strings.TrimSuffix(s, ".")
	if ascii, err := idna.Lookup.ToASCII(s); err == nil {
		return strings.ToLower(ascii)
	}
	// Host names with an underscore and the like are no valid IDNA and yet in use.
	if strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII }) {
		return ""
	}
	return strings.ToLower(s)
}

// lower is lower case that never makes ASCII of what was not: a Turkish dotted
// capital I becoming an i would let one mailbox pass for another.
func lower(r rune) rune {
	l := unicode.ToLower(r)
	if r > unicode.MaxASCII && l <= unicode.MaxASCII {
		return r
	}
	return l
}

// normPhone is raw as E.164, "" when that cannot be told for sure: no country
// code and no region (ISO 3166-1 alpha-2) to read it by, an extension, letters.
func normPhone(raw, region string) string {
	raw = strings.TrimPrefix(strings.TrimSpace(raw), "tel:")
	if raw == "" || len(raw) > 64 || strings.ContainsFunc(raw, unicode.IsLetter) {
		return ""
	}
	international := strings.HasPrefix(raw, "+")
	if !international && region == "" {
		return ""
	}
	n, err := phonenumbers.Parse(raw, strings.ToUpper(region))
	if err != nil || n.GetExtension() != "" {
		return ""
	}
	// A number with its country code stands for itself even when it is of a
	// range newer than our tables; one without is our reading and must be valid.
	if !phonenumbers.IsValidNumber(n) && (!international || !phonenumbers.IsPossibleNumber(n)) {
		return ""
	}
	return phonenumbers.Format(n, phonenumbers.E164)
}

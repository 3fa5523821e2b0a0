package shape

import (
	"net/netip"
	"strings"
	"unicode/utf8"
)

// isEmail says whether all of s is an e-mail address.
func isEmail(s string) bool {
	start, end := emailAt(s, strings.LastIndexByte(s, '@'))
	return end > 0 && start == 0 && end == len(s)
}

// localMarks may stand in the local part beside letters and digits. RFC 5321
// allows more that, in a text, is rather what stands before an address: the / of
// a path, the | of an Auth0 id, the = and & of a URL.
const localMarks = "._+-'*~!#$^"

// emailAt returns where the address around the @ at i begins and ends; end is 0
// if there is none.
func emailAt(s string, i int) (start, end int) {
	if i <= 0 {
		return 0, 0
	}
	start, end = localStart(s, i), domainEnd(s, i+1)
	domain := s[i+1 : end]
	dot := strings.LastIndexByte(domain, '.')
	if start == i || dot < 1 || len(domain)-dot < 3 {
		return 0, 0
	}
	return start, end
}

// localStart is where the local part begins that ends at i.
func localStart(s string, i int) int {
	start := i
	for start > 0 {
		r, n := utf8.DecodeLastRuneInString(s[:start])
		if !isWord(r) && !strings.ContainsRune(localMarks, r) {
			break
		}
		start -= n
	}
	// What is no letter before the first one is a quote, or ends a sentence.
	for start < i && s[start] != '_' && s[start] != '*' && strings.IndexByte(localMarks, s[start]) >= 0 {
		start++
	}
	return start
}

// domainEnd is where the domain ends that begins at i.
func domainEnd(s string, i int) int {
	end := i
	for end < len(s) {
		r, n := utf8.DecodeRuneInString(s[end:])
		if !isWord(r) && r != '-' && r != '.' && r != '_' {
			break
		}
		end += n
	}
	return i + len(strings.TrimRight(s[i:end], ".-_"))
}

// findEmails calls found for each address in s.
func findEmails(s string, found func(start, end int)) {
	for i := 0; i < len(s); {
		at := strings.IndexByte(s[i:], '@')
		if at < 0 {
			return
		}
		start, end := emailAt(s, i+at)
		if end == 0 {
			i += at + 1
			continue
		}
		found(start, end)
		i = end
	}
}

// findIPs calls found for each IP address in s. A browser's version may look
// like one: Chrome/131.0.0.0. Where s names a browser, versions, all behind a
// name and a slash are taken for such.
func findIPs(s string, versions bool, found func(start, end int, a netip.Addr)) {
	for i := 0; i < len(s); {
		end := i
		for end < len(s) && isAddrByte(s[end]) {
			end++
		}
		run := s[i:end]
		version := at(s, i-1) == '/' && isNameByte(at(s, i-2)) && (versions || strings.HasSuffix(run, ".0.0.0"))
		if !version && (strings.Count(run, ":") > 1 || strings.Count(run, ".") > 2) {
			ipIn(s, i, end, found)
		}
		i = end + 1
	}
}

func isAddrByte(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F' || c == ':' || c == '.'
}

// ipIn looks for addresses in the run [start, end) of the bytes addresses are
// made of: the longest that begins at the earliest place.
func ipIn(s string, start, end int, found func(start, end int, a netip.Addr)) {
	const longest = len("0000:0000:0000:0000:0000:ffff:255.255.255.255")
	for i := start; i < end; {
		n := 0
		for e := min(end, i+longest); e-i >= len("::1"); e-- {
			a, err := netip.ParseAddr(s[i:e])
			if err == nil && (a.Is4() && !isDigit(at(s, i-1)) && !isDigit(at(s, e)) || i <= start+1 && e >= end-1 && apart(s, i, e)) {
				found(i, e, a)
				n = e - i
				break
			}
		}
		i += max(n, 1)
	}
}

// apart says whether s[i:e] is no part of a longer word: "ce::b" of
// "resource::bucket" is no address.
func apart(s string, i, e int) bool {
	before, _ := utf8.DecodeLastRuneInString(s[:i])
	after, _ := utf8.DecodeRuneInString(s[e:])
	return !isWord(before) && !isWord(after) && before != '_' && after != '_'
}

// at is the byte at i, 0 outside of s.
func at(s string, i int) byte {
	if i < 0 || i >= len(s) {
		return 0
	}
	return s[i]
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// isPhone says whether all of s is an international phone number.
func isPhone(s string) bool {
	end := phoneAt(s, 0)
	return end > 0 && end == len(s)
}

// The digits of an E.164 number.
const minDigits, maxDigits = 8, 15

// maxPhone is how long one is with all that people write between the digits.
const maxPhone = 40

// phoneAt returns where the number that begins with the + at i ends, 0 if none
// does.
func phoneAt(s string, i int) int {
	if i >= len(s) || s[i] != '+' {
		return 0
	}
	n, end := 0, 0
	for k := i + 1; k < min(len(s), i+maxPhone) && n < maxDigits; k++ {
		switch c := s[k]; {
		case '0' <= c && c <= '9':
			n++
			end = k + 1
		case c == '+' && n < minDigits: // a space, in a form
		case strings.IndexByte(" ()-./", c) < 0:
			k = len(s) // the end of it
		}
	}
	if n < minDigits {
		return 0
	}
	return end
}

// findPhones calls found for each international phone number in s.
func findPhones(s string, found func(start, end int)) {
	for i := 0; i < len(s); {
		plus := strings.IndexByte(s[i:], '+')
		if plus < 0 {
			return
		}
		i += plus
		if end := phoneAt(s, i); end > 0 {
			found(i, end)
			i = end
			continue
		}
		i++
	}
}

package shape

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// level is a text as it reads after some rounds of unescaping, without case,
// and where each of its bytes comes from.
type level struct {
	text string
	// from has, for each byte and the end, where it begins in the original; nil
	// where each byte stands at its own place.
	from []int32
}

// origin is where byte i comes from.
func (l level) origin(i int) int {
	if l.from == nil {
		return i
	}
	return int(l.from[i])
}

// maxLevels bounds the rounds: what is escaped more often is no text any more.
const maxLevels = 8

// levels returns s without case, then unescaped once, twice, and so on until
// nothing is left to unescape. A value is found at the level at which it reads
// as itself.
func levels(s string) []level {
	l := foldLevel(s)
	all := []level{l}
	for len(all) < maxLevels && strings.ContainsAny(l.text, `\%`) {
		next := l.unescape()
		if next.text == l.text {
			break
		}
		all = append(all, next)
		l = next
	}
	return all
}

// foldLevel is level 0.
func foldLevel(s string) level {
	ascii := true
	for i := range len(s) {
		ascii = ascii && s[i] < utf8.RuneSelf
	}
	if ascii {
		return level{text: strings.ToLower(s)}
	}
	var w writer
	for i, r := range s {
		w.rune(fold(r), i)
	}
	return w.level(len(s))
}

// writer makes a level.
type writer struct {
	text []byte
	from []int32
}

func (w *writer) rune(r rune, from int) {
	n := len(w.text)
	w.text = utf8.AppendRune(w.text, r)
	for range len(w.text) - n {
		w.from = append(w.from, int32(from)) //nolint:gosec // no text of an event has 2 GiB
	}
}

func (w *writer) level(end int) level {
	return level{text: string(w.text), from: append(w.from, int32(end))} //nolint:gosec // as above
}

// unescape undoes one round of JSON's and of URLs' escapes, mixed as they come.
func (l level) unescape() level {
	var w writer
	for i := 0; i < len(l.text); {
		r, n := escape(l.text[i:])
		w.rune(fold(r), l.origin(i))
		i += n
	}
	return w.level(l.origin(len(l.text)))
}

// escape reads the character that s begins with, escaped or not, and says how
// many bytes it takes.
func escape(s string) (r rune, n int) {
	switch s[0] {
	case '\\':
		return backslash(s)
	case '%':
		return percent(s)
	}
	return utf8.DecodeRuneInString(s)
}

func backslash(s string) (rune, int) {
	if len(s) < 2 {
		return '\\', 1
	}
	switch s[1] {
	case '"', '\\', '/', '\'':
		return rune(s[1]), 2
	case 'u':
		return unicodeEscape(s)
	}
	if i := strings.IndexByte("nrtbf", s[1]); i >= 0 {
		return rune("\n\r\t\b\f"[i]), 2
	}
	return '\\', 1
}

// unicodeEscape reads \u00fc, and the two of a surrogate pair.
func unicodeEscape(s string) (rune, int) {
	const size = len(`\u0000`)
	first, ok := hex4(s)
	if !ok {
		return '\\', 1
	}
	if !utf16.IsSurrogate(first) {
		return first, size
	}
	if second, ok := hex4(s[size:]); ok {
		if r := utf16.DecodeRune(first, second); r != utf8.RuneError {
			return r, 2 * size
		}
	}
	return utf8.RuneError, size
}

func hex4(s string) (rune, bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	v, err := strconv.ParseUint(s[2:6], 16, 16)
	return rune(v), err == nil
}

// percent reads %C3%BC: all bytes of one character.
func percent(s string) (rune, int) {
	var char [utf8.UTFMax]byte
	for k := range len(char) {
		b, ok := hex2(s[3*k:])
		if !ok {
			break
		}
		char[k] = b
		if utf8.FullRune(char[:k+1]) {
			if r, n := utf8.DecodeRune(char[:k+1]); r != utf8.RuneError && n == k+1 {
				return r, 3 * n
			}
			break
		}
	}
	return '%', 1
}

func hex2(s string) (byte, bool) {
	if len(s) < 3 || s[0] != '%' {
		return 0, false
	}
	v, err := strconv.ParseUint(s[1:3], 16, 8)
	return byte(v), err == nil
}

// span is a piece of a text that is to be replaced; without anything to put in
// its place it is to be left out.
type span struct {
	start, end int
	with       string
}

// add adds what stands at [start, end) of the level.
func (l level) add(spans []span, start, end int, with string) []span {
	return append(spans, span{l.origin(start), l.origin(end), with})
}

// splice replaces the spans. Where they overlap, all of what they cover goes,
// and the one that begins first, or is longer, says what takes its place. A text
// of which all is to be left out becomes "".
func splice(s string, spans []span) string {
	if len(spans) == 0 {
		return s
	}
	slices.SortStableFunc(spans, func(a, b span) int {
		return cmp.Or(a.start-b.start, b.end-a.end)
	})
	if p := spans[0]; p.with == "" && p.start == 0 && p.end == len(s) {
		return ""
	}
	var b strings.Builder
	done := 0
	for _, p := range spans {
		if p.start >= done {
			b.WriteString(s[done:p.start])
			b.WriteString(cmp.Or(p.with, stars))
		}
		done = max(done, p.end)
	}
	b.WriteString(s[done:])
	return b.String()
}

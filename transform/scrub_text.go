package transform

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// text finds the secrets of a text: by name in the JSON it is or holds, and by
// their looks in whatever else it is.
func (s *scrubber) text(text []byte) []edit {
	var edits []edit
	whole := false
	if s.nesting <= maxNesting {
		edits, whole = s.values(text)
	}
	if whole {
		return edits
	}
	edits = findJWTs(edits, text)
	edits = findCredentials(edits, text)
	edits = findURLPasswords(edits, text)
	edits = findPrivateKeys(edits, text)
	return s.settings(edits, text)
}

// values finds the secrets of the JSON values within a text. whole tells that
// the text is one value and nothing else, so that there is no more to look at.
func (s *scrubber) values(text []byte) (edits []edit, whole bool) {
	at, opening := blanks(text), "{["
	if bytes.IndexByte(text, '\\') >= 0 {
		opening = "{[\"" // a string may hold JSON, escaped
	}
	for first := true; ; first = false {
		if !first || at == len(text) || text[at] != '"' {
			i := bytes.IndexAny(text[at:], opening)
			if i < 0 {
				return edits, false
			}
			first = first && i == 0
			at += i
		}
		found, n, ok := s.json(text[at:])
		for _, e := range found {
			edits = append(edits, edit{at + e.from, at + e.to, e.with})
		}
		at += n
		if first && ok && at+blanks(text[at:]) == len(text) {
			return edits, true
		}
	}
}

// blanks is how many blanks begin the text.
func blanks(text []byte) int { return len(text) - len(bytes.TrimLeft(text, " \t\r\n")) }

// findJWTs finds signed, unsigned and encrypted tokens in their compact form.
func findJWTs(edits []edit, text []byte) []edit {
	for at := 0; ; {
		i := bytes.Index(text[at:], []byte("eyJ"))
		if i < 0 {
			return edits
		}
		from := at + i
		to := from
		for to < len(text) && (isTokenByte(text[to]) || text[to] == '.') {
			to++
		}
		if to-from >= 16 && bytes.IndexByte(text[from:to], '.') > 0 && startsWord(text, from) {
			edits = append(edits, edit{from, to, marker})
		}
		at = to
	}
}

// startsWord says whether no word goes on at that place; %3D, of an encoded
// URL, ends one.
func startsWord(text []byte, at int) bool {
	return at == 0 || !isTokenByte(text[at-1]) || at >= 3 && text[at-3] == '%'
}

func isTokenByte(c byte) bool { return isAlnum(c) || c == '_' || c == '-' }

// findCredentials finds the values of Bearer and Basic.
func findCredentials(edits []edit, text []byte) []edit {
	for at := 0; ; {
		i := bytes.IndexByte(text[at:], ' ')
		if i < 0 {
			return edits
		}
		word := text[:at+i]
		at += i + 1
		if !endsWith(word, "bearer") && !endsWith(word, "basic") && !endsWith(word, "dpop") {
			continue
		}
		to := at
		for to < len(text) && (isTokenByte(text[to]) || bytes.IndexByte([]byte("._~+/="), text[to]) >= 0) {
			to++
		}
		if looksRandom(text[at:to]) {
			edits = append(edits, edit{at, to, marker})
		}
	}
}

func endsWith(text []byte, word string) bool {
	if len(text) < len(word) || !bytes.EqualFold(text[len(text)-len(word):], []byte(word)) {
		return false
	}
	return startsWord(text, len(text)-len(word))
}

// looksRandom tells a credential from a word: "Bearer authentication" is prose.
func looksRandom(value []byte) bool {
	return len(value) >= 8 && (len(value) >= 20 || bytes.ContainsAny(value, "0123456789="))
}

// findURLPasswords finds the password of https://user:password@host.
func findURLPasswords(edits []edit, text []byte) []edit {
	for at := 0; ; {
		i := bytes.Index(text[at:], []byte("://"))
		if i < 0 {
			return edits
		}
		from := at + i + 3
		to := from
		for to < len(text) && bytes.IndexByte([]byte("/?# \t\r\n\"'<>\\"), text[to]) < 0 {
			to++
		}
		host := bytes.LastIndexByte(text[from:to], '@')
		colon := bytes.IndexByte(text[from:to], ':')
		if colon >= 0 && host > colon+1 && string(text[from+colon+1:from+host]) != marker {
			edits = append(edits, edit{from + colon + 1, from + host, marker})
		}
		at = from
	}
}

// findPrivateKeys finds PEM blocks of private keys, cut off ones too.
func findPrivateKeys(edits []edit, text []byte) []edit {
	const begin, end, mark = "-----BEGIN ", "-----END ", "PRIVATE KEY-----"
	for at := 0; ; {
		i := bytes.Index(text[at:], []byte(begin))
		if i < 0 {
			return edits
		}
		from := at + i
		at = from + len(begin)
		title := bytes.Index(text[at:], []byte("-----"))
		if title < 0 || title > 64 || !bytes.HasSuffix(text[at:at+title+5], []byte(mark)) {
			continue
		}
		at += title + 5
		to := len(text)
		if j := bytes.Index(text[at:], []byte(end)); j >= 0 {
			to = at + j
		}
		if body := bytes.TrimSpace(text[at:to]); len(body) > 0 && string(body) != marker {
			edits = append(edits, edit{at, to, marker})
		}
		at = to
	}
}

// settings finds values behind a secret name: name=value of a query, a
// fragment, a form or a log line, also percent-encoded in another URL; and
// "name": "value" of JSON that is cut off or stands within prose.
func (s *scrubber) settings(edits []edit, text []byte) []edit {
	for i := 0; i < len(text); i++ {
		sep := separator{from: i, to: i + 1, colon: text[i] == ':'}
		switch text[i] {
		case '=', ':':
		case '\\':
			if bytes.HasPrefix(text[i:], []byte(`\u003d`)) || bytes.HasPrefix(text[i:], []byte(`\u003D`)) {
				sep.to = i + len(`\u003d`)
			} else {
				continue
			}
		case '%':
			sep.to = i + encodedEqual(text[i:])
		default:
			continue
		}
		if sep.to == i {
			continue
		}
		if e, found := s.setting(text, sep); found {
			edits = append(edits, e)
			i = max(i, e.to-1)
		}
	}
	return edits
}

// separator is where a name ends and its value begins.
type separator struct {
	from, to int
	colon    bool
}

// encodedEqual returns the length of %3D, however often it was encoded again,
// at the text's beginning.
func encodedEqual(text []byte) int {
	i := 1
	for bytes.HasPrefix(text[i:], []byte("25")) {
		i += 2
	}
	if bytes.HasPrefix(text[i:], []byte("3D")) || bytes.HasPrefix(text[i:], []byte("3d")) {
		return i + 2
	}
	return 0
}

func (s *scrubber) setting(text []byte, sep separator) (edit, bool) {
	name, quote := nameBefore(text[:sep.from])
	class, header := s.classOfSetting(name)
	if class == notSecret {
		return edit{}, false
	}
	// An unquoted name before a colon may as well be a word of prose.
	if sep.colon && quote == "" && (class == secretCode || !prose(text, sep.to)) {
		return edit{}, false
	}
	if sep.colon && quote != "" {
		if from, to, ok := containerAfter(text, sep.to, class); ok {
			return edit{from, to, quote + marker + quote}, true
		}
	}
	from, to, bare := valueAfter(text, sep, header)
	value := text[from:to]
	if bare && isWordOrNumber(value) {
		// A JSON number becomes a string, quoted as its name is.
		return edit{from, to, quote + marker + quote}, isDigits(value) && !keepsNumber(class, value)
	}
	return edit{from, to, marker}, !keepsString(class, value)
}

// classOfSetting says what a name in a text promises, and whether it is one of a
// header.
func (s *scrubber) classOfSetting(name []byte) (class secretClass, header bool) {
	if len(name) == 0 || len(name) > 64 {
		return notSecret, false
	}
	var buf [64]byte
	plain := plainName(name, buf[:0])
	if s.secretBody && string(plain) == "body" {
		return secretWhole, false
	}
	header = bytes.HasSuffix(plain, []byte("authorization")) || bytes.HasSuffix(plain, []byte("cookie"))
	return classOf(plain), header
}

// containerAfter returns where the list behind a secret name stands, or, where
// all below it is secret, the object; to its end, if the text has that.
func containerAfter(text []byte, at int, class secretClass) (from, to int, ok bool) {
	at += len(text[at:]) - len(bytes.TrimLeft(text[at:], " \t"))
	if at == len(text) || bytes.HasPrefix(text[at:], []byte(marker)) {
		return 0, 0, false
	}
	if text[at] != '[' && (text[at] != '{' || class != secretWhole) {
		return 0, 0, false
	}
	return at, at + containerLength(text[at:]), true
}

// containerLength is how long the container that begins the text is, by its
// brackets alone.
func containerLength(text []byte) int {
	depth := 0
	for i, c := range text {
		switch c {
		case '[', '{':
			depth++
		case ']', '}':
			depth--
		}
		if depth == 0 {
			return i + 1
		}
	}
	return len(text)
}

// prose says whether a value behind an unquoted name and a colon begins there:
// "password: x" does, the scope "password:reset" does not.
func prose(text []byte, at int) bool {
	return at < len(text) && bytes.IndexByte([]byte(" \t\"'\\"), text[at]) >= 0
}

// nameBefore returns the name that ends the text, and the quote it stands in
// with the backslashes before it, if it does.
func nameBefore(text []byte) (name []byte, quote string) {
	text = bytes.TrimRight(text, " \t")
	end := len(text)
	if bytes.HasSuffix(text, []byte(`"`)) || bytes.HasSuffix(text, []byte("'")) {
		end = len(bytes.TrimRight(text[:end-1], `\`))
		quote = string(text[end:])
	} else if bytes.HasSuffix(text, []byte("]")) { // name[member]=value of a form
		end--
	}
	from := end
	for from > 0 && end-from <= 64 && (isTokenByte(text[from-1]) || text[from-1] == '.') {
		from--
	}
	return behindEscape(text[:from], text[from:end]), quote
}

// behindEscape cuts off the end of an escape that a name's first letters are:
// of "%3Ftoken", of "%2526token" and of "\u0026token".
func behindEscape(before, name []byte) []byte {
	switch {
	case bytes.HasSuffix(before, []byte("%")):
		for bytes.HasPrefix(name, []byte("25")) {
			name = name[2:]
		}
		return name[min(2, len(name)):]
	case bytes.HasSuffix(before, []byte(`\`)) && bytes.HasPrefix(name, []byte("u")):
		return name[min(5, len(name)):]
	}
	return name
}

// valueAfter returns where the value behind a separator stands; bare tells that
// it is not quoted. The value of a header goes to the end of the line.
func valueAfter(text []byte, sep separator, header bool) (from, to int, bare bool) {
	from = len(text) - len(bytes.TrimLeft(text[sep.to:], " \t"))
	quote := len(text) - len(bytes.TrimLeft(text[from:], `\`))
	if quote < len(text) && (text[quote] == '"' || text[quote] == '\'') {
		return quote + 1, closing(text, quote, quote-from), false
	}
	if bytes.HasPrefix(text[from:], []byte(marker)) {
		return from, from + len(marker), false
	}
	ends := " \t\r\n&;,#\"'<>(){}[]\\"
	if header {
		ends = "\r\n\"'\\"
	}
	encoded := text[sep.from] == '%'
	for to = from; to < len(text) && bytes.IndexByte([]byte(ends), text[to]) < 0; to++ {
		if encoded && encodedEnd(text[to:]) {
			break
		}
	}
	return from, to, true
}

// closing returns where the quote at that place, with so many backslashes
// before it, is closed.
func closing(text []byte, quote, slashes int) int {
	for i := quote + 1; i < len(text); i++ {
		if text[i] != text[quote] {
			continue
		}
		n := 0
		for text[i-1-n] == '\\' {
			n++
		}
		if n <= slashes {
			return max(quote+1, i-n)
		}
	}
	return len(text)
}

// encodedEnd says whether an encoded "&", "#" or quote begins the text.
func encodedEnd(text []byte) bool {
	if text[0] != '%' {
		return false
	}
	text = text[1:]
	for bytes.HasPrefix(text, []byte("25")) {
		text = text[2:]
	}
	return bytes.HasPrefix(text, []byte("26")) || bytes.HasPrefix(text, []byte("23")) ||
		bytes.HasPrefix(text, []byte("22"))
}

func isWordOrNumber(value []byte) bool {
	switch string(value) {
	case "true", "false", "null":
		return true
	}
	return isDigits(value)
}

func isDigits(value []byte) bool { return len(value) > 0 && all(string(value), isNumberByte) }

// unescape returns the text of a JSON string's inside, and for each of its
// bytes, and for its end, where the inside has it.
func unescape(raw []byte) (text []byte, offsets []int) {
	text, offsets = make([]byte, 0, len(raw)), make([]int, 0, len(raw)+1)
	for i := 0; i < len(raw); {
		from, n := i, len(text)
		if raw[i] != '\\' || i+1 == len(raw) {
			text = append(text, raw[i])
			i++
		} else {
			text, i = unescapeOne(text, raw, i+1)
		}
		for range len(text) - n {
			offsets = append(offsets, from)
		}
	}
	return text, append(offsets, len(raw))
}

// unescapeOne reads the escape whose letter stands at raw[i].
func unescapeOne(text, raw []byte, i int) ([]byte, int) {
	if raw[i] != 'u' {
		if j := bytes.IndexByte([]byte("bfnrt"), raw[i]); j >= 0 {
			return append(text, "\b\f\n\r\t"[j]), i + 1
		}
		return append(text, raw[i]), i + 1
	}
	r, ok := hex4(raw, i+1)
	if !ok {
		return append(text, 'u'), i + 1
	}
	i += 5
	if utf16.IsSurrogate(r) && i+1 < len(raw) && raw[i] == '\\' && raw[i+1] == 'u' {
		if low, ok := hex4(raw, i+2); ok && utf16.DecodeRune(r, low) != utf8.RuneError {
			return utf8.AppendRune(text, utf16.DecodeRune(r, low)), i + 6
		}
	}
	return utf8.AppendRune(text, r), i
}

func hex4(raw []byte, i int) (r rune, ok bool) {
	if i+4 > len(raw) {
		return 0, false
	}
	for _, c := range raw[i : i+4] {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

// escape writes a replacement into a JSON string.
func escape(with string) string {
	if bytes.IndexByte([]byte(with), '"') < 0 && bytes.IndexByte([]byte(with), '\\') < 0 {
		return with
	}
	var out []byte
	for i := range len(with) {
		if with[i] == '"' || with[i] == '\\' {
			out = append(out, '\\')
		}
		out = append(out, with[i])
	}
	return string(out)
}

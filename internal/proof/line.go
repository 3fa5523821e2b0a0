package proof

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// none stands for an empty value.
const none = "-"

// ErrMalformed says that a text is not of the form this package writes.
var ErrMalformed = errors.New("malformed note")

// line writes words, separated by spaces, as one line.
func line(b *strings.Builder, words ...any) {
	for i, w := range words {
		if i > 0 {
			b.WriteByte(' ')
		}
		switch w := w.(type) {
		case string:
			b.WriteString(escape(w))
		case time.Time:
			b.WriteString(w.UTC().Format(time.RFC3339Nano))
		default:
			fmt.Fprint(b, w)
		}
	}
	b.WriteByte('\n')
}

// escape makes one word of any text: spaces, control characters, "%" and what
// is no ASCII are written as %XX, an empty text as "-", and "-" itself escaped.
func escape(s string) string {
	if s == "" {
		return none
	}
	if s == none {
		return "%2D"
	}
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func unescape(s string) (string, error) {
	if s == none {
		return "", nil
	}
	if !strings.Contains(s, "%") {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if i+3 > len(s) {
			return "", fmt.Errorf("%w: %q ends within an escape", ErrMalformed, s)
		}
		c, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
		if err != nil {
			return "", fmt.Errorf("%w: %q has no escape behind %%", ErrMalformed, s)
		}
		b.WriteByte(byte(c))
		i += 2
	}
	return b.String(), nil
}

// words reads the words of one line, in their order; the first that does not fit
// stands in err.
type words struct {
	rest []string
	err  error
}

func wordsOf(s string) *words { return &words{rest: strings.Split(s, " ")} }

func (w *words) next() string {
	if len(w.rest) == 0 {
		w.fail("too few words")
		return ""
	}
	word := w.rest[0]
	w.rest = w.rest[1:]
	return word
}

func (w *words) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
	}
}

func (w *words) text() string {
	s, err := unescape(w.next())
	if err != nil && w.err == nil {
		w.err = err
	}
	return s
}

func (w *words) int() int64 {
	word := w.next()
	n, err := strconv.ParseInt(word, 10, 64)
	if err != nil || strconv.FormatInt(n, 10) != word {
		w.fail("%q is no number", word)
	}
	return n
}

func (w *words) time() time.Time {
	word := w.next()
	t, err := time.Parse(time.RFC3339Nano, word)
	if err != nil {
		w.fail("%q is no time", word)
	}
	return t.UTC()
}

// hash reads a SHA-256 in hex, or "" where none is allowed.
func (w *words) hash() string {
	s := w.text()
	if s != "" && !isHash(s) {
		w.fail("%q is no SHA-256", s)
	}
	return s
}

func isHash(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}

func (w *words) end() error {
	if len(w.rest) > 0 {
		w.fail("too many words")
	}
	return w.err
}

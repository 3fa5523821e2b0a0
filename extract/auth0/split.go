package auth0

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// errNotArray says that an answer is no whole JSON array: cut off, empty, an
// object, a web page. It is a reason to ask again, never the end of the log.
var errNotArray = errors.New("answer is not a whole JSON array")

// split cuts a page into its elements, each as it stands in the body. It only
// follows strings and brackets, so that one element that is no valid JSON does
// not take its neighbours with it; but a body that does not close is an error.
func split(body []byte) ([][]byte, error) {
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")))
	if len(body) < 2 || body[0] != '[' || body[len(body)-1] != ']' {
		return nil, fmt.Errorf("%w: %s", errNotArray, looksLike(body))
	}
	inner := body[1 : len(body)-1]
	if len(bytes.TrimSpace(inner)) == 0 {
		return nil, nil
	}
	return elements(inner)
}

func elements(inner []byte) ([][]byte, error) {
	var out [][]byte
	s := scanner{}
	begin := 0
	for i, c := range inner {
		s.step(c)
		if s.depth < 0 {
			return nil, fmt.Errorf("%w: brackets do not match", errNotArray)
		}
		if c == ',' && s.depth == 0 && !s.inString {
			out = append(out, bytes.TrimSpace(inner[begin:i]))
			begin = i + 1
		}
	}
	if s.depth != 0 || s.inString {
		return nil, fmt.Errorf("%w: it ends too early", errNotArray)
	}
	return append(out, bytes.TrimSpace(inner[begin:])), nil
}

// scanner follows strings and nesting.
type scanner struct {
	depth    int
	inString bool
	escaped  bool
}

func (s *scanner) step(c byte) {
	switch {
	case s.escaped:
		s.escaped = false
	case s.inString:
		s.escaped = c == '\\'
		s.inString = c != '"'
	case c == '"':
		s.inString = true
	case c == '{' || c == '[':
		s.depth++
	case c == '}' || c == ']':
		s.depth--
	}
}

// looksLike describes a body without quoting it.
func looksLike(body []byte) string {
	switch {
	case len(body) == 0:
		return "it is empty"
	case body[0] == '<':
		return "it looks like a web page"
	case body[0] == '{':
		return "it is an object"
	case body[0] == '[':
		return "it ends too early"
	default:
		return "it is something else"
	}
}

// fault says why an element is no JSON value; "" where it is one.
func fault(element []byte) string {
	if json.Valid(element) {
		return ""
	}
	return "not a JSON value"
}

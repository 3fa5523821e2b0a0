package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a file. It never quotes a secret.
type Problem struct {
	// Line and Column count from 1; 0 if the problem has no place.
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
	// Key is the path of the key: sources[0].kind.
	Key string `json:"key,omitempty"`
	// Message says what is wrong, Hint what to do about it.
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

func (p Problem) String() string {
	s := p.Message
	if p.Key != "" {
		s = p.Key + ": " + s
	}
	if p.Hint != "" {
		s += "; " + p.Hint
	}
	return s
}

// Error is everything that is wrong with a file, in the order of its lines.
type Error struct {
	File     string    `json:"file"`
	Problems []Problem `json:"problems"`

	causes []error
}

// Unwrap returns what was the matter with references that could not be read.
func (e *Error) Unwrap() []error { return e.causes }

func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = e.at(p) + p.String()
	}
	return strings.Join(lines, "\n")
}

func (e *Error) at(p Problem) string {
	if p.Line == 0 {
		return e.File + ": "
	}
	return fmt.Sprintf("%s:%d:%d: ", e.File, p.Line, p.Column)
}

func byPlace(a, b Problem) int {
	return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
}

func newError(file string, problems []Problem, causes ...error) error {
	if len(problems) == 0 {
		return nil
	}
	slices.SortStableFunc(problems, byPlace)
	return &Error{File: file, Problems: problems, causes: causes}
}

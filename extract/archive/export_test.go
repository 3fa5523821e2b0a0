package archive

import (
	"errors"
	"io"
	"time"

	"github.com/idtrail/idtrail/extract"
)

// The inside view of the tests: the splitter with bounds of any size, and what
// is too detailed to see through Pages.

type Piece struct {
	Bytes  []byte
	Fault  string
	Length int64
	Tail   bool
}

type Split struct {
	Pieces           []Piece
	Skipped          []byte
	Order            []byte // pieces and what was skipped, as they came
	Unclosed, CutOff bool
	Budget           int64 // what is left of it
}

// SplitAll splits r; longest and cut are the bounds if they are not 0.
func SplitAll(r io.Reader, longest, cut int) (Split, error) {
	s := newSplitter(r)
	if longest > 0 {
		s.max, s.cut, s.budget = longest, cut, 4*int64(longest)
	}
	var out Split
	s.skipped = func(b []byte) {
		out.Skipped = append(out.Skipped, b...)
		out.Order = append(out.Order, b...)
	}
	for {
		p, err := s.next()
		if errors.Is(err, io.EOF) {
			out.Unclosed, out.CutOff, out.Budget = s.unclosed, s.cutOff, s.budget
			return out, nil
		}
		if err != nil {
			return out, err
		}
		out.Pieces = append(out.Pieces, Piece{p.bytes, p.fault, p.length, p.tail})
		out.Order = append(out.Order, p.bytes...)
	}
}

func MatchGlob(pattern, name string) (bool, error) {
	g, err := newGlob(pattern)
	if err != nil {
		return false, err
	}
	return g.match(name), nil
}

func KeyDate(key string) time.Time { return keyDate(key) }

func CheckCursor(c extract.Cursor) (extract.Cursor, error) {
	parsed, err := parseCursor(c)
	if err != nil {
		return "", err
	}
	return parsed.encode()
}

package records

import (
	"errors"
	"io"
)

// The inside view of the tests: the splitter with bounds of any size.

type Split struct {
	Pieces           []Piece
	Skipped          []byte
	Order            []byte // pieces and what was skipped, as they came
	Unclosed, CutOff bool
	Budget           int64 // what is left of it
}

// SplitAll splits r; longest and cut are the bounds if they are not 0.
func SplitAll(r io.Reader, longest, cut int) (Split, error) {
	s := NewSplitter(r)
	if longest > 0 {
		s.max, s.cut, s.budget = longest, cut, 4*int64(longest)
	}
	var out Split
	s.skipped = func(b []byte) {
		out.Skipped = append(out.Skipped, b...)
		out.Order = append(out.Order, b...)
	}
	for {
		p, err := s.Next()
		if errors.Is(err, io.EOF) {
			out.Unclosed, out.CutOff, out.Budget = s.unclosed, s.cutOff, s.budget
			return out, nil
		}
		if err != nil {
			return out, err
		}
		out.Pieces = append(out.Pieces, p)
		out.Order = append(out.Order, p.Bytes...)
	}
}

package lake

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// explain wraps an error with the sink and the source, and with what to do
// where that can be told. A store's own errors say so themselves.
func (s *Sink) explain(doing, source string, err error) error {
	if hint := s.hint(err); hint != "" {
		return fmt.Errorf("%s %s to sink %s in %s: %w (%s)", doing, source, s.o.Name, s.o.Store.URL(), err, hint)
	}
	return fmt.Errorf("%s %s to sink %s: %w", doing, source, s.o.Name, err)
}

func (s *Sink) hint(err error) string {
	switch {
	case errors.Is(err, context.Canceled):
		return ""
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "the disk is full: free some space; nothing is half-written, the next run goes on from here"
	case errors.Is(err, fs.ErrPermission):
		return "make the directory writable for this user"
	default:
		return ""
	}
}

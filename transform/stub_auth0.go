package transform

import (
	"fmt"
	"time"
)

func (m *Mapper) auth0Log(_ []byte, _ time.Time) (Result, error) {
	return Result{}, fmt.Errorf("auth0 log: %w", ErrUnmappable)
}

func (m *Mapper) auth0User(_ []byte) (Result, error) {
	return Result{}, fmt.Errorf("auth0 user: %w", ErrUnmappable)
}

func unparsed(_ []byte) (Result, error) {
	return Result{}, fmt.Errorf("unparsed: %w", ErrUnmappable)
}

package transform

import (
	"fmt"
	"time"

	"github.com/idtrail/idtrail/schema"
)

func (m *Mapper) cloudTrail(_ []byte, _ time.Time) (Result, error) {
	return Result{}, fmt.Errorf("cloudtrail: %w", ErrUnmappable)
}

func (m *Mapper) cognitoUser(_ []byte) (Result, error) {
	return Result{}, fmt.Errorf("cognito user: %w", ErrUnmappable)
}

var _ = schema.OCSFVersion

package transform

import "fmt"

func (m *Mapper) cognitoUser(_ []byte) (Result, error) {
	return Result{}, fmt.Errorf("cognito user: %w", ErrUnmappable)
}

package cognito

import "github.com/idtrail/idtrail/extract"

// FactorsIn takes the factors out of an answer of AdminGetUser.
var FactorsIn = factorsIn

// RoundTripCursor reads a cursor and writes it again.
func RoundTripCursor(text extract.Cursor) (extract.Cursor, error) {
	c, err := parseCursor(text)
	if err != nil {
		return "", err
	}
	_ = c.snapshot()
	return c.text(), nil
}

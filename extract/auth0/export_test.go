package auth0

import "github.com/idtrail/idtrail/extract"

// Split and RoundTripCursor are the decoders, for fuzzing.
var Split = split

// RoundTripCursor reads a cursor and writes it again.
func RoundTripCursor(text extract.Cursor) (extract.Cursor, error) {
	c, err := parseCursor(text)
	if err != nil || text == "" {
		return "", err
	}
	_ = c.overlapFrom(defaultOverlap)
	_ = c.covered()
	return extract.Cursor(c.String()), nil
}

// RoundTripUsersCursor reads a cursor of users and writes it again.
func RoundTripUsersCursor(text extract.Cursor) (extract.Cursor, error) {
	c, err := parseUsersCursor(text)
	if err != nil || text == "" {
		return "", err
	}
	return extract.Cursor(c.String()), nil
}

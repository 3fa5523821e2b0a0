package archive

import (
	"time"

	"github.com/idtrail/idtrail/extract"
)

// The inside view of the tests: what is too detailed to see through Pages.

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

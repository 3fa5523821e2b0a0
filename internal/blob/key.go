package blob

import (
	"errors"
	"fmt"
	"strings"
)

// ErrKey says that a key cannot name an object that idtrail writes.
var ErrKey = errors.New("not a usable object key")

// CheckKey refuses with ErrKey what would mean different things to a bucket
// and to a directory: absolute keys, empty elements, "." and "..", NUL.
func CheckKey(key string) error {
	if strings.IndexByte(key, 0) >= 0 {
		return fmt.Errorf("%w: %q contains a NUL byte", ErrKey, key)
	}
	for element := range strings.SplitSeq(key, "/") {
		switch element {
		case "":
			return fmt.Errorf("%w: %q has an empty element", ErrKey, key)
		case ".", "..":
			return fmt.Errorf("%w: %q has a %q element", ErrKey, key, element)
		}
	}
	return nil
}

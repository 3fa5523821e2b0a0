// Package tempfile makes temporary files that leave nothing behind, however the
// process ends. It is not for files that are to have a name in the end: those are
// made beside it, and renamed or linked.
package tempfile

import (
	"errors"
	"fmt"
	"os"
)

// New opens a file without a name in dir (the system's own folder if that is
// empty), which only its owner can read; it is gone once it is closed. Its Name
// is of no use, and nothing is to be removed by it.
//
// Where files cannot be made without a name, it has one of the form
// "idtrail-purpose-…" for a moment.
func New(dir, purpose string) (*os.File, error) {
	if f, err := openNameless(dir); err == nil {
		return f, nil
	}
	f, err := os.CreateTemp(dir, "idtrail-"+purpose+"-*")
	if err != nil {
		return nil, fmt.Errorf("make temporary file: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("unname temporary file: %w", err), f.Close())
	}
	return f, nil
}

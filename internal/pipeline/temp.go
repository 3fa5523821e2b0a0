package pipeline

import (
	"errors"
	"fmt"
	"os"
)

// tempFile opens a temporary file without a name: nothing is left of it however
// the process ends.
func tempFile(dir, pattern string) (*os.File, error) {
	if f, err := openNameless(dir); err == nil {
		return f, nil
	}
	// Not every system, or file system, makes files without a name.
	f, err := os.CreateTemp(dir, pattern)
	if err != nil {
		return nil, fmt.Errorf("make temporary file: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("unname temporary file: %w", err), f.Close())
	}
	return f, nil
}

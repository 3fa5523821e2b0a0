//go:build unix

package state

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"syscall"
)

// takeLock holds an exclusive lock until the file is closed or the process
// ends, however it ends.
func takeLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = ErrHeld
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func uriPath(path string) string { return (&url.URL{Path: path}).EscapedPath() }

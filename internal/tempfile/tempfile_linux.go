package tempfile

import (
	"os"
	"syscall"
)

// openNameless makes a file that never has a name: open(2), O_TMPFILE.
func openNameless(dir string) (*os.File, error) {
	const tmpfile = 0o20000000
	if dir == "" {
		dir = os.TempDir()
	}
	return os.OpenFile(dir, os.O_RDWR|os.O_EXCL|tmpfile|syscall.O_DIRECTORY, 0o600)
}

//go:build unix

package archive

import (
	"io/fs"
	"syscall"
)

// inode tells two files of one name, size and time apart.
func inode(info fs.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Ino) //nolint:unconvert // its type differs between systems
	}
	return 0
}

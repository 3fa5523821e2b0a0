package state

import (
	"fmt"
	"syscall"
)

// Magic numbers of statfs(2) for file systems that live on another machine.
const (
	nfsMagic  = 0x6969
	smbMagic  = 0x517B
	cifsMagic = 0xFF534D42
	smb2Magic = 0xFE534D42
	cephMagic = 0x00C36400
	afsMagic  = 0x5346414F
)

// refuseNetwork refuses a folder on a network file system (EFS is NFS): locks
// and shared memory of SQLite's WAL do not hold there, https://sqlite.org/wal.html.
func refuseNetwork(dir string) error {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return fmt.Errorf("look at state folder %s: %w", dir, err)
	}
	switch uint32(st.Type) { //nolint:gosec // the magic numbers are 32 bits wide
	case nfsMagic, smbMagic, cifsMagic, smb2Magic, cephMagic, afsMagic:
		return fmt.Errorf("%w: %s is on a network file system", ErrNetwork, dir)
	}
	return nil
}

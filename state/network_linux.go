package state

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
)

// Magic numbers of statfs(2) for file systems that live on other machines.
const (
	nfsMagic    = 0x6969 // EFS and FSx for OpenZFS and ONTAP too
	smbMagic    = 0x517B
	cifsMagic   = 0xFF534D42
	smb2Magic   = 0xFE534D42
	cephMagic   = 0x00C36400
	afsMagic    = 0x5346414F
	lustreMagic = 0x0BD00BD3
	gpfsMagic   = 0x47504653
	codaMagic   = 0x73757245
	fuseMagic   = 0x65735546
)

// remoteFUSE are programs that show what lies elsewhere as files. FUSE itself
// also serves local disks, so the program decides.
var remoteFUSE = []string{
	"alluxio", "blobfuse", "blobfuse2", "ceph", "ceph-fuse", "curlftpfs", "davfs", "davfs2", "gcsfuse", "geesefs", "glusterfs",
	"goofys", "juicefs", "mount-s3", "mountpoint-s3", "objectivefs", "ossfs", "rclone", "s3backer", "s3fs", "s3ql", "seaweedfs",
	"sshfs", "weed", "yas3fs",
}

// refuseNetwork refuses a folder on a network file system: locks and shared
// memory of SQLite's WAL do not hold there, https://sqlite.org/wal.html.
func refuseNetwork(dir string) error {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return fmt.Errorf("look at state folder %s: %w", dir, err)
	}
	magic := uint32(st.Type) //nolint:gosec // the magic numbers are 32 bits wide
	var program string
	if magic == fuseMagic {
		var err error
		if program, err = fuseProgram(dir); err != nil {
			return fmt.Errorf("look at state folder %s: %w", dir, err)
		}
	}
	if name := networkName(magic, program); name != "" {
		return fmt.Errorf("%w: %s is on %s; use a folder on a local disk, or keep the state in a bucket (state: s3://…)", ErrNetwork, dir, name)
	}
	return nil
}

// networkName names a network file system; "" for a local one.
func networkName(magic uint32, program string) string {
	switch magic {
	case nfsMagic:
		return "NFS"
	case smbMagic, cifsMagic, smb2Magic:
		return "SMB"
	case cephMagic:
		return "CephFS"
	case afsMagic:
		return "AFS"
	case lustreMagic:
		return "Lustre"
	case gpfsMagic:
		return "GPFS"
	case codaMagic:
		return "Coda"
	case fuseMagic:
		if slices.Contains(remoteFUSE, strings.ToLower(program)) {
			return program
		}
	}
	return ""
}

// fuseProgram is the program that serves the file system a folder lies on, as
// far as it tells.
func fuseProgram(dir string) (string, error) {
	var st syscall.Stat_t
	if err := syscall.Stat(dir, &st); err != nil {
		return "", err
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	program, ok := programOf(string(mounts), deviceName(uint64(st.Dev))) //nolint:unconvert // not everywhere of that type
	if !ok {
		return "", errors.New("its file system is not among the mounts")
	}
	return program, nil
}

// deviceName is major:minor, as gnu_dev_major(3) has them.
func deviceName(dev uint64) string {
	major := (dev>>8)&0xfff | (dev>>32)&^0xfff
	minor := dev&0xff | (dev>>12)&^0xff
	return fmt.Sprintf("%d:%d", major, minor&0xffffffff)
}

// programOf finds the device in the text of proc_pid_mountinfo(5): the type is
// fuse.PROGRAM, or the mount's source names it.
func programOf(mounts, device string) (program string, ok bool) {
	for line := range strings.Lines(mounts) {
		mount, rest, cut := strings.Cut(line, " - ")
		fields, details := strings.Fields(mount), strings.Fields(rest)
		if !cut || len(fields) < 3 || fields[2] != device || len(details) < 2 {
			continue
		}
		if _, program, ok := strings.Cut(details[0], "."); ok {
			return program, true
		}
		return details[1], true
	}
	return "", false
}

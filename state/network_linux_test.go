package state_test

import (
	"os"
	"syscall"
	"testing"

	"github.com/idtrail/idtrail/state"
)

func TestNetworkFileSystemsAreKnown(t *testing.T) {
	const fuse = 0x65735546
	tests := []struct {
		magic   uint32
		program string
		remote  bool
	}{
		{0x6969, "", true}, // NFS of any version, so EFS
		{0x517B, "", true},
		{0xFF534D42, "", true},
		{0xFE534D42, "", true},
		{0x00C36400, "", true},
		{0x5346414F, "", true},
		{0x0BD00BD3, "", true},
		{fuse, "s3fs", true},
		{fuse, "mountpoint-s3", true},
		{fuse, "goofys", true},
		{fuse, "gcsfuse", true},
		{fuse, "sshfs", true},
		{fuse, "rclone", true},
		{fuse, "ntfs-3g", false},
		{fuse, "gocryptfs", false},
		{fuse, "/dev/sdb1", false},
		{0xEF53, "", false},     // ext4
		{0x58465342, "", false}, // xfs
		{0x9123683E, "", false}, // btrfs
		{0x794C7630, "", false}, // overlayfs
		{0x01021994, "", false}, // tmpfs
		{0x2FC12FC1, "", false}, // zfs
	}
	for _, tt := range tests {
		if got := state.NetworkName(tt.magic, tt.program); (got != "") != tt.remote {
			t.Errorf("%#x %q: got %q, want remote: %v", tt.magic, tt.program, got, tt.remote)
		}
	}
}

func TestProgramsOfMounts(t *testing.T) {
	const mounts = `22 28 0:20 / /proc rw,nosuid shared:5 - proc proc rw
28 1 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw
90 28 0:51 / /mnt/my\040bucket rw,nosuid,nodev shared:60 - fuse.s3fs s3fs rw,user_id=0
91 28 0:52 / /mnt/b rw,nosuid - fuse mountpoint-s3 rw,user_id=0
92 28 0:53 / /mnt/c rw - fuseblk /dev/sdb1 rw
broken
`
	for device, want := range map[string]string{"0:51": "s3fs", "0:52": "mountpoint-s3", "0:53": "/dev/sdb1", "0:5": "", "0:20": "proc"} {
		if got, ok := state.ProgramOf(mounts, device); got != want || ok != (want != "") {
			t.Errorf("%s: got %q %v, want %q", device, got, ok, want)
		}
	}
}

// The kernel's table knows the device that a folder states.
func TestTheMountOfAFolderIsFound(t *testing.T) {
	var st syscall.Stat_t
	if err := syscall.Stat("/proc", &st); err != nil {
		t.Fatal(err)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Skip("no table of mounts here")
	}
	if got, ok := state.ProgramOf(string(mounts), state.DeviceName(st.Dev)); !ok || got != "proc" {
		t.Errorf("/proc is on %q, %v, want proc", got, ok)
	}
	if got := state.DeviceName(syscallDev(259, 300)); got != "259:300" {
		t.Errorf("got %s, want 259:300", got)
	}
}

// syscallDev packs a device as makedev(3) does.
func syscallDev(major, minor uint64) uint64 {
	return minor&0xff | major&0xfff<<8 | minor&^0xff<<12 | major&^0xfff<<32
}

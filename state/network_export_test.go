//go:build linux

package state

// NetworkName names a network file system.
var NetworkName = networkName

// ProgramOf finds the program that serves a FUSE mount.
var ProgramOf = programOf

// DeviceName is a device as the kernel's tables name it.
var DeviceName = deviceName

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// tempLeftover is when a temporary file that still has a name can no longer be
// one that is being made: they lose it at once.
const tempLeftover = 24 * time.Hour

// makeTempDir makes the directory for temporary files, and removes what runs left
// there that were killed in the moment between making a file and taking its name
// away.
func makeTempDir(dir string, now time.Time) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make directory for temporary files: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("look for old temporary files: %w", err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "idtrail-") || !e.Type().IsRegular() {
			continue
		}
		if info, err := e.Info(); err == nil && now.Sub(info.ModTime()) > tempLeftover {
			_ = os.Remove(filepath.Join(dir, e.Name())) // it takes no room to speak of
		}
	}
	return nil
}

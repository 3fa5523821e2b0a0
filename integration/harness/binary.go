package harness

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"testing"
)

// Run is what one run of idtrail left behind.
type Run struct {
	Code           int
	Stdout, Stderr string
}

// Idtrail runs the binary named in IDTRAIL_BINARY. Of this process's environment
// it is given what finds files only.
func Idtrail(t testing.TB, env []string, args ...string) Run {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), tool(t, "IDTRAIL_BINARY"), args...)
	cmd.Dir = t.TempDir()
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + cmd.Dir, "TMPDIR=" + os.TempDir()}, env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("run idtrail: %v", err)
	}
	return Run{Code: cmd.ProcessState.ExitCode(), Stdout: stdout.String(), Stderr: stderr.String()}
}

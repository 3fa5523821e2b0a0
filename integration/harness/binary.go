package harness

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Run is what one run of idtrail left behind.
type Run struct {
	Code           int
	Stdout, Stderr string
	// MaxRSS is the most memory it had, in bytes.
	MaxRSS int64
}

// Idtrail runs the binary named in IDTRAIL_BINARY. Of this process's environment
// it is given what finds files only.
func Idtrail(t testing.TB, env []string, args ...string) Run {
	t.Helper()
	cmd := idtrail(t, env, args)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("run idtrail: %v", err)
	}
	r := Run{Code: cmd.ProcessState.ExitCode(), Stdout: stdout.String(), Stderr: stderr.String()}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		r.MaxRSS = usage.Maxrss << 10 // Linux counts in KiB
	}
	return r
}

func idtrail(t testing.TB, env, args []string) *exec.Cmd {
	t.Helper()
	return program(t, "IDTRAIL_BINARY", env, args)
}

// program is the one that a variable of this process's environment names.
func program(t testing.TB, variable string, env, args []string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), tool(t, variable), args...)
	cmd.Dir = t.TempDir()
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + cmd.Dir, "TMPDIR=" + os.TempDir()}, env...)
	return cmd
}

// KillIdtrail runs idtrail as [Idtrail] does, and kills it (SIGKILL) once due
// says so, which is asked all the time. One that ends before that fails the test.
func KillIdtrail(t testing.TB, due func() bool, env []string, args ...string) {
	t.Helper()
	cmd := idtrail(t, env, args)
	p := &process{cmd: cmd, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.output, &p.output
	if err := cmd.Start(); err != nil {
		t.Fatalf("start idtrail: %v", err)
	}
	var ended sync.WaitGroup
	ended.Go(func() {
		_ = cmd.Wait() // it is killed in the end
		close(p.done)
	})
	defer p.stop(t)
	deadline := time.After(killTimeout)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !due() {
		select {
		case <-p.done:
			t.Fatalf("idtrail ended before it was killed:\n%s", p.output.String())
		case <-deadline:
			t.Fatalf("idtrail was not to be killed within %s:\n%s", killTimeout, p.output.String())
		case <-tick.C:
		}
	}
}

// killTimeout is how long a test waits for what it wants to kill idtrail at.
const killTimeout = time.Minute

package harness

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Chaos runs the binary named in IDTRAIL_CHAOS_BINARY, built with the tag chaos,
// as [Idtrail] does.
func Chaos(t testing.TB, env []string, args ...string) Run {
	t.Helper()
	p := StartChaos(t, env, args...)
	return p.Wait(t)
}

// Running is a process under way. It is killed when the test ends.
type Running struct {
	cmd            *exec.Cmd
	stdout, stderr bytes.Buffer
	done           chan error
}

// StartChaos starts it and does not wait.
func StartChaos(t testing.TB, env []string, args ...string) *Running {
	t.Helper()
	p := &Running{cmd: program(t, "IDTRAIL_CHAOS_BINARY", env, args), done: make(chan error, 1)}
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start idtrail: %v", err)
	}
	go func() { p.done <- p.cmd.Wait() }() // ends with the process
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	return p
}

// Signal sends the process a signal.
func (p *Running) Signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// Wait returns what the process left.
func (p *Running) Wait(t testing.TB) Run {
	t.Helper()
	select {
	case err := <-p.done:
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatalf("run idtrail: %v", err)
		}
	case <-time.After(killTimeout):
		t.Fatalf("idtrail does not end: %s", p.stderr.String())
	}
	return Run{Code: p.cmd.ProcessState.ExitCode(), Stdout: p.stdout.String(), Stderr: p.stderr.String()}
}

// WaitStopped waits until the process stands still.
func (p *Running) WaitStopped(t testing.TB) {
	t.Helper()
	deadline := time.After(killTimeout)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !stopped(p.cmd.Process.Pid) {
		select {
		case err := <-p.done:
			t.Fatalf("idtrail ended before it stood still: %v: %s", err, p.stderr.String())
		case <-deadline:
			t.Fatalf("idtrail does not stand still")
		case <-tick.C:
		}
	}
}

// stopped reads the state of a process behind its name in /proc/PID/stat.
func stopped(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	return strings.HasPrefix(rest, "T")
}

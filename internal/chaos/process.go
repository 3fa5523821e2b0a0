package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// process is the program while it runs, and what it left.
type process struct {
	cmd      *exec.Cmd
	out, err bytes.Buffer
	done     chan struct{}
	began    time.Time
	took     time.Duration
	code     int // -1 where it was killed
	steps    string
}

// start runs the program on a host of the world.
func (w *world) start(ctx context.Context, h host, env []string, args ...string) (*process, error) {
	p := &process{done: make(chan struct{}), began: time.Now(), steps: w.path(fmt.Sprintf("steps-%d", w.started.Add(1)))}
	p.cmd = exec.CommandContext(ctx, w.binary, append([]string{"-c", h.config, "--log-format", "json"}, args...)...) //nolint:gosec // the program
	p.cmd.Env = append(append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + w.dir, stepsVar + "=" + p.steps}, w.env...), env...)
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.Dir = &p.out, &p.err, w.dir
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { // ends with the process, which every caller waits for
		defer close(p.done)
		_ = p.cmd.Wait() // what it says is in the state of the process
		p.took, p.code = time.Since(p.began), p.cmd.ProcessState.ExitCode()
	}()
	return p, nil
}

// What steps_chaos.go of the program reads.
const (
	killVar  = "IDTRAIL_CHAOS_KILL"
	stepsVar = "IDTRAIL_CHAOS_STEPS"
	clockVar = "IDTRAIL_CHAOS_CLOCK"
)

func (p *process) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) } // it may have ended

// wait for its end, or kill it.
func (p *process) wait(most time.Duration) (ended bool) {
	select {
	case <-p.done:
		return true
	case <-time.After(most):
		p.signal(syscall.SIGCONT)
		p.signal(syscall.SIGKILL)
		<-p.done
		return false
	}
}

func (p *process) killed() bool {
	s, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	// Before it listens to SIGTERM, that kills it.
	return ok && s.Signaled() && (s.Signal() == syscall.SIGKILL || s.Signal() == syscall.SIGTERM)
}

// sane says what no end of the program may be, whatever was done to it.
func (p *process) sane() error {
	text := p.err.String()
	for _, bad := range []string{"panic:", "fatal error:", "DATA RACE", "goroutine "} {
		if strings.Contains(text, bad) {
			return fmt.Errorf("%s: %s", bad, text)
		}
	}
	switch {
	case p.killed():
		return nil
	case p.code == 0, p.code == 1, p.code == 3, p.code == 4, p.code == 130:
		return nil
	}
	return fmt.Errorf("it ended with %d: %s", p.code, text)
}

// last are its last words.
func (p *process) last() string {
	text := p.err.String()
	if len(text) > 3000 {
		text = "… " + text[len(text)-3000:]
	}
	return text
}

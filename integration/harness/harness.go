// Package harness starts the real programs that idtrail is tested against: an
// S3 server (versitygw), a SQL reader of the lake (DuckDB), receivers of what is
// sent to a SIEM (an OpenTelemetry Collector, and Prism serving Datadog's own
// description of its API), and reads Parquet with another library than the one
// that writes it.
//
// The programs come from `make integration`, which sets IDTRAIL_INTEGRATION=1
// and names them in IDTRAIL_VERSITYGW and the like. Under it, a program that is
// missing fails the test; without it, the test is skipped.
package harness

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// startTimeout is when a server that does not answer is given up.
const startTimeout = 20 * time.Second

// tool is the path that the environment variable names.
func tool(t testing.TB, variable string) string {
	t.Helper()
	path := os.Getenv(variable)
	_, err := os.Stat(path)
	if err == nil {
		return path
	}
	if os.Getenv("IDTRAIL_INTEGRATION") != "1" {
		t.Skipf("needs `make integration`, which sets %s", variable)
	}
	t.Fatalf("IDTRAIL_INTEGRATION=1, but %s=%q: %v", variable, path, err)
	return ""
}

// process is a server that runs until the test ends.
type process struct {
	cmd    *exec.Cmd
	output buffer
	done   chan struct{} // closed once it has ended
}

// start starts a server that listens on address, and waits until it does.
func start(t testing.TB, address string, cmd *exec.Cmd) error {
	t.Helper()
	_, err := startProcess(t, cmd, address)
	return err
}

// startProcess starts a server, and waits until it listens on every address.
func startProcess(t testing.TB, cmd *exec.Cmd, addresses ...string) (*process, error) {
	t.Helper()
	p := &process{cmd: cmd, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.output, &p.output
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	t.Cleanup(func() { p.stop(t) })
	var ended sync.WaitGroup
	ended.Go(func() {
		_ = cmd.Wait() // it is killed in the end
		close(p.done)
	})
	for _, address := range addresses {
		if err := p.waitFor(address); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// waitFor waits until the server accepts connections.
func (p *process) waitFor(address string) error {
	return p.await("answer on "+address, func() bool {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		return err == nil && conn.Close() == nil
	})
}

// await waits until the server does what it is asked about.
func (p *process) await(does string, done func() bool) error {
	deadline := time.After(startTimeout)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-p.done:
			return fmt.Errorf("%s ended: %s", p.cmd.Path, p.output.String())
		case <-deadline:
			return fmt.Errorf("%s does not %s: %s", p.cmd.Path, does, p.output.String())
		case <-tick.C:
		}
	}
	return nil
}

// end asks the server to end by itself, and waits until it has.
func (p *process) end() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("end %s: %w", p.cmd.Path, err)
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(startTimeout):
		return fmt.Errorf("%s does not end: %s", p.cmd.Path, p.output.String())
	}
}

// stop kills the server and shows what it said if the test failed.
func (p *process) stop(t testing.TB) {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.done
	if t.Failed() && p.output.String() != "" {
		t.Logf("%s said:\n%s", p.cmd.Path, p.output.String())
	}
}

// freePort returns an address on loopback that was free just now.
func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// buffer collects what a process says, also while it is read.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

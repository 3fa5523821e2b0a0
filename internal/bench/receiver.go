package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/idtrail/idtrail/internal/fake"
)

// takenPath answers how many events were taken.
const takenPath = "/taken"

// receiver is a receiver of a kind, on a free port that it writes to out, until
// in ends.
func receiver(ctx context.Context, kind string, in io.Reader, out io.Writer) error {
	handler, taken, err := ownReceiver(kind)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/", handler)
	mux.HandleFunc(takenPath, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, taken()) })
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }() // ends with Close, below
	fmt.Fprintln(out, "http://"+listener.Addr().String())
	_, err = io.Copy(io.Discard, in)
	err = errors.Join(err, server.Close())
	if e := <-served; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	return err
}

// ownReceiver decompresses, parses and counts, and keeps nothing.
func ownReceiver(kind string) (handler http.Handler, taken func() int, err error) {
	switch kind {
	case kindHEC:
		s := fake.NewHEC(fake.HECOptions{Discard: true})
		return s, s.Taken, nil
	case kindDatadog:
		s := fake.NewDatadog(fake.DatadogOptions{Forget: true})
		return s, s.Taken, nil
	case kindOTLP:
		s := fake.NewOTLP(fake.OTLPOptions{CountOnly: true})
		return s, func() int { return int(s.Kept()) }, nil
	}
	return nil, nil, fmt.Errorf("no receiver of kind %s", kind)
}

// child is a receiver in a process of its own.
type child struct {
	kind, url string
	cmd       *exec.Cmd
	stdin     io.Closer
}

func startChild(ctx context.Context, kind string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "-receive", kind) //nolint:gosec // this program
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &child{kind: kind, cmd: cmd, stdin: stdin}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("receiver of %s did not start: %w", kind, err), c.close())
	}
	c.url = strings.TrimSpace(line)
	return c, nil
}

// taken asks how many events it took.
func (c *child) taken(ctx context.Context) (n int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+takenPath, http.NoBody)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	_, err = fmt.Fscan(resp.Body, &n)
	return n, errors.Join(err, resp.Body.Close())
}

// close ends the process and waits for it.
func (c *child) close() error { return errors.Join(c.stdin.Close(), c.cmd.Wait()) }

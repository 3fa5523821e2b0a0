package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// collector is an OpenTelemetry Collector with the receivers of the integration
// tests. It decodes what it is sent, makes records of its own of it and writes
// them as JSON, but not to a disk.
type collector struct {
	urls map[string]string // by the kind of sink
	cmd  *exec.Cmd
}

// startCollector starts the binary with a config that takes addresses and a
// folder from the environment.
func startCollector(ctx context.Context, binary, config, place string) (*collector, error) {
	out := filepath.Join(place, "otelcol")
	if err := discard(out, "hec", "hec_ack", "datadog", "datadog_metrics", "otlp"); err != nil {
		return nil, err
	}
	c := &collector{urls: map[string]string{}}
	env := []string{"PATH=" + os.Getenv("PATH"), "OUT=" + out, "HEC_TOKEN=token"}
	var addresses []string
	for _, receiver := range []struct{ variable, kind string }{
		{"HEC", kindHEC}, {"HEC_ACK", ""}, {"DATADOG", kindDatadog}, {"OTLP", kindOTLP}, {"OTLP_GRPC", ""}, {"READY", ""},
	} {
		address, err := freeAddress(ctx)
		if err != nil {
			return nil, err
		}
		env, addresses = append(env, receiver.variable+"="+address), append(addresses, address)
		if receiver.kind != "" {
			c.urls[receiver.kind] = "http://" + address
		}
	}
	c.cmd = exec.CommandContext(ctx, binary, "--config", config) //nolint:gosec // what a flag names
	c.cmd.Env, c.cmd.Stderr = env, os.Stderr
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the collector: %w", err)
	}
	for _, address := range addresses {
		if err := answers(ctx, address); err != nil {
			return nil, errors.Join(fmt.Errorf("the collector does not answer: %w", err), c.close())
		}
	}
	return c, nil
}

// discard makes files that keep nothing.
func discard(dir string, names ...string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, name := range names {
		if err := os.Symlink(os.DevNull, filepath.Join(dir, name+".jsonl")); err != nil {
			return err
		}
	}
	return nil
}

// freeAddress is one nobody listens at for now.
func freeAddress(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// answers waits until somebody listens there.
func answers(ctx context.Context, address string) error {
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		if time.Now().After(deadline) {
			return err
		}
	}
}

// close ends the process and waits for it.
func (c *collector) close() error {
	if err := c.cmd.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	return c.cmd.Wait()
}

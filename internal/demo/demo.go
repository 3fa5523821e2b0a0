// Package demo sets up a company to try idtrail on: an Auth0 tenant served on
// loopback, files of users and of CloudTrail, and a config that reads them. It
// needs no account and no network.
//
// It only sets the stage; the run over it is the ordinary one.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"text/template"
	"time"

	_ "embed"

	"github.com/idtrail/idtrail/internal/fake"
)

// SecretVar is the environment variable the config takes the client secret
// from.
const SecretVar = "IDTRAIL_DEMO_SECRET" //nolint:gosec // the name of a variable

// marker says that a folder was made by a demo, and may be made anew.
const marker = ".idtrail-demo"

//go:embed idtrail.yaml.tmpl
var configText string

// Options of a demo.
type Options struct {
	// Dir is made, or made anew if an earlier demo made it; any other folder
	// that is not empty is refused.
	Dir string
	// Users a side (2,000), Logs (50,000) and Trail events (6,000), over Days (5)
	// that end at End.
	Users, Logs, Trail, Days int
	End                      time.Time
	Seed                     uint64
}

// Site is a company that is up. It is to be closed.
type Site struct {
	// Tenant knows what was planted.
	Tenant *fake.Tenant
	// Config is the path of the config, Secret what SecretVar has to hold.
	Config string
	Secret string
	// Auth0 counts the calls made to it.
	Auth0 *fake.Auth0

	server *http.Server
	served chan error
}

// ErrNotOurs says that the folder holds something no demo made.
var ErrNotOurs = errors.New("is not empty, and no demo made it")

// Start writes the files, starts the server and writes the config.
func Start(ctx context.Context, o Options) (*Site, error) {
	if err := makeAnew(o.Dir); err != nil {
		return nil, err
	}
	tenant := fake.NewTenant(fake.TenantOptions{
		Seed: o.Seed, Users: or(o.Users, 2000), Logs: or(o.Logs, 50_000), Trail: or(o.Trail, 6000), Days: or(o.Days, 5), End: o.End,
	})
	if err := writeFiles(tenant, filepath.Join(o.Dir, "archive"), o.End); err != nil {
		return nil, err
	}
	s := &Site{Tenant: tenant, Config: filepath.Join(o.Dir, "idtrail.yaml"), Secret: "demo secret", served: make(chan error, 1)}
	address, err := s.serve(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.writeConfig(address); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func or(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

// makeAnew makes the folder, empty but for the marker.
func makeAnew(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("look at %s: %w", dir, err)
	}
	_, markErr := os.Stat(filepath.Join(dir, marker))
	if len(entries) > 0 && markErr != nil {
		return fmt.Errorf("%s %w", dir, ErrNotOurs)
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("clear %s: %w", dir, err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make %s: %w", dir, err)
	}
	return os.WriteFile(filepath.Join(dir, marker), nil, 0o600)
}

// writeFiles writes what a company would have exported.
func writeFiles(t *fake.Tenant, dir string, end time.Time) error {
	day := end.UTC().Format(time.DateOnly)
	files := []struct {
		name  string
		write func(io.Writer) (int, error)
	}{
		{"auth0/users-" + day + ".ndjson", t.WriteAuth0Users},
		{"cognito/users-" + day + ".json", t.WriteCognitoUsers},
	}
	for _, f := range files {
		if err := writeFile(filepath.Join(dir, f.name), f.write); err != nil {
			return err
		}
	}
	if _, err := t.WriteTrail(filepath.Join(dir, "cloudtrail")); err != nil {
		return fmt.Errorf("write trail: %w", err)
	}
	return nil
}

func writeFile(path string, write func(io.Writer) (int, error)) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make %s: %w", filepath.Dir(path), err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = write(f)
	return errors.Join(err, f.Close())
}

func (s *Site) serve(ctx context.Context) (address string, err error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("serve the demo tenant: %w", err)
	}
	s.Auth0 = fake.NewAuth0(fake.Auth0Options{ClientID: "demo", ClientSecret: s.Secret}, s.Tenant.Logs())
	s.server = &http.Server{Handler: s.Auth0, ReadHeaderTimeout: 10 * time.Second}
	// The server lives until Close, which waits for it.
	go func() { s.served <- s.server.Serve(listener) }()
	return listener.Addr().String(), nil
}

func (s *Site) writeConfig(address string) error {
	t, err := template.New("config").Parse(configText)
	if err != nil {
		return fmt.Errorf("read the demo's config: %w", err)
	}
	return writeFile(s.Config, func(w io.Writer) (int, error) {
		return 0, t.Execute(w, map[string]any{"Address": address, "SecretVar": SecretVar, "Scope": s.Tenant.InScope()})
	})
}

// Close stops the server; the files stay.
func (s *Site) Close() error {
	err := s.server.Close()
	if served := <-s.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// Package demo sets up a company to try idtrail on: an Auth0 tenant, a Cognito
// user pool and an account's CloudTrail, served on loopback, a trail's files, a
// collector of events as Splunk has it, and a config that reads and feeds them. It
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
	"slices"
	"strings"
	"text/template"
	"time"

	_ "embed"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/idtrail/idtrail/internal/fake"
)

// SecretVar is the environment variable the config takes the client secret, and
// the collector's token, from.
const SecretVar = "IDTRAIL_DEMO_SECRET" //nolint:gosec // the name of a variable

// marker says that a folder was made by a demo, and may be made anew.
const marker = ".idtrail-demo"

// keyFile holds the demo's signing key, beside its config.
const keyFile = "idtrail.key"

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
	// SigningKey signs what a run leaves as proof, and PublicKey verifies it;
	// both or neither.
	SigningKey, PublicKey string
}

// Site is a company that is up. It is to be closed.
type Site struct {
	// Tenant knows what was planted.
	Tenant *fake.Tenant
	// Config is the path of the config, Secret what SecretVar has to hold.
	Config string
	Secret string
	// Auth0, Cognito and CloudTrail count the calls made to them.
	Auth0      *fake.Auth0
	Cognito    *fake.Cognito
	CloudTrail *fake.CloudTrail
	// HEC counts the events it is sent, and keeps none.
	HEC *fake.HEC

	publicKey string
	// aws is where AWS is served.
	aws     string
	servers []*http.Server
	served  chan error
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
	if _, err := tenant.WriteTrail(filepath.Join(o.Dir, "archive", "cloudtrail")); err != nil {
		return nil, fmt.Errorf("write trail: %w", err)
	}
	s := &Site{Tenant: tenant, Config: filepath.Join(o.Dir, "idtrail.yaml"), Secret: "demo-secret", served: make(chan error)}
	if o.SigningKey != "" {
		key := func(w io.Writer) (int, error) { return io.WriteString(w, o.SigningKey+"\n") }
		if err := writeFile(filepath.Join(o.Dir, keyFile), key); err != nil {
			return nil, fmt.Errorf("write signing key: %w", err)
		}
		s.publicKey = o.PublicKey
	}
	if err := s.open(ctx); err != nil {
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

// open serves the company and writes the config.
func (s *Site) open(ctx context.Context) error {
	s.Auth0 = fake.NewAuth0(fake.Auth0Options{
		ClientID: "demo", ClientSecret: s.Secret, Scopes: fake.DirectoryScopes(), Directory: s.Tenant.Directory(),
	}, s.Tenant.Logs())
	auth0, err := s.serve(ctx, s.Auth0)
	if err != nil {
		return err
	}
	users, now := s.Tenant.CognitoList(), s.clock()
	s.Cognito = fake.NewCognito(fake.CognitoOptions{Users: users, Settings: s.Tenant.CognitoSettings(), Now: now})
	s.CloudTrail = fake.NewCloudTrail(fake.CloudTrailOptions{Now: now})
	s.CloudTrail.Add(time.Time{}, slices.Collect(s.Tenant.TrailRecords())...)
	if s.aws, err = s.serve(ctx, http.HandlerFunc(s.serveAWS)); err != nil {
		return err
	}
	s.HEC = fake.NewHEC(fake.HECOptions{Tokens: map[string]fake.HECToken{s.Secret: {}}, Discard: true})
	hec, err := s.serve(ctx, s.HEC)
	if err != nil {
		return err
	}
	return s.writeConfig(auth0, hec, groupsOf(users))
}

// clock is the company's time: it goes on from the end of its history.
func (s *Site) clock() func() time.Time {
	end, begun := s.Tenant.End().Add(time.Minute), time.Now()
	return func() time.Time { return end.Add(time.Since(begun)) }
}

func groupsOf(users *fake.CognitoList) []string {
	var all []string
	for i := range users.Len() {
		all = append(all, users.At(i).Groups...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// serveAWS tells AWS's services apart as they tell themselves.
func (s *Site) serveAWS(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.Header.Get("X-Amz-Target"), "AWSCognito") {
		s.Cognito.ServeHTTP(w, r)
		return
	}
	s.CloudTrail.ServeHTTP(w, r)
}

// AWS reaches the company's AWS, whatever the environment says.
func (s *Site) AWS() aws.Config {
	return aws.Config{
		Region: fake.Region, BaseEndpoint: aws.String("http://" + s.aws), AppID: "idtrail",
		Credentials: credentials.NewStaticCredentialsProvider("AKIADEMO", "demo", ""),
	}
}

// serve serves on an address of its own until Close.
func (s *Site) serve(ctx context.Context, h http.Handler) (address string, err error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("serve the demo's company: %w", err)
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	s.servers = append(s.servers, server)
	// The server lives until Close, which waits for it.
	go func() { s.served <- server.Serve(listener) }()
	return listener.Addr().String(), nil
}

func (s *Site) writeConfig(address, hec string, groups []string) error {
	t, err := template.New("config").Parse(configText)
	if err != nil {
		return fmt.Errorf("read the demo's config: %w", err)
	}
	return writeFile(s.Config, func(w io.Writer) (int, error) {
		return 0, t.Execute(w, map[string]any{
			"Address": address, "HEC": hec, "SecretVar": SecretVar, "Scope": s.Tenant.InScope(), "Region": fake.Region, "Account": fake.AccountID,
			"Pool": fake.PoolID, "IdentityPool": fake.IdentityPoolID, "Groups": groups,
			"KeyFile": keyFile, "PublicKey": s.publicKey,
		})
	})
}

// Close stops the servers; the files stay.
func (s *Site) Close() error {
	var all error
	for _, server := range s.servers {
		err := server.Close()
		if served := <-s.served; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		all = errors.Join(all, err)
	}
	return all
}

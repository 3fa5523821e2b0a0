package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/idtrail/idtrail/internal/fake"
)

// kind says where a world keeps its state, its raw and its lake.
type kind string

const (
	local  kind = "all in folders"
	small  kind = "all on a small disk"
	bucket kind = "lake in S3"
	shared kind = "lake and state in S3"
)

// inS3 says whether the lake is in S3.
func (k kind) inS3() bool { return k == bucket || k == shared }

// host is a machine the program runs on: a config, and a disk of its own where
// the state is shared.
type host struct{ name, config string }

// world is a company, a store, receivers, and the hosts that run the program.
type world struct {
	*chaos
	kind   kind
	name   string
	dir    string
	chance *chance
	truth  *truth
	tenant *fake.Tenant
	logs   int // of the tenant that were used
	minted atomic.Int64
	users  *crowd

	auth0   *fake.Auth0
	cognito *fake.Cognito
	pool    *fake.CognitoList
	trail   *fake.CloudTrail
	files   *fake.TrailWriter
	hec     *fake.HEC
	acks    *fake.HEC
	datadog *fake.Datadog
	store   *objectStore
	mounted bool

	// rough says that everything fails now and then.
	rough atomic.Bool
	trap  trap
	// sent is what receivers were sent, for what may be there twice.
	sent map[string]*sent

	hosts   []host
	env     []string
	started atomic.Int64
	// damaged says that a state may be beyond repair.
	damaged bool
	servers []*http.Server
	serving sync.WaitGroup
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (c *chaos) newWorld(ctx context.Context, k kind, name string) (_ *world, err error) {
	var lane, n uint64
	_, _ = fmt.Sscanf(name, "%d-%d", &lane, &n)
	w := &world{chaos: c, kind: k, name: name, truth: newTruth(), chance: newChance(c.seed, lane<<32+n), sent: map[string]*sent{}}
	if w.dir, err = os.MkdirTemp("", "idtrail-chaos-"+name+"-*"); err != nil {
		return nil, err
	}
	if err := w.open(ctx); err != nil {
		return nil, errors.Join(err, w.close(false))
	}
	c.tally.add("worlds: "+string(k), 1)
	return w, nil
}

// smallDisk is the size of a small disk.
const smallDisk = 96 << 20

func (w *world) open(ctx context.Context) (err error) {
	if w.kind == small {
		if err := syscall.Mount("tmpfs", w.dir, "tmpfs", 0, fmt.Sprintf("size=%d", smallDisk)); err != nil {
			w.say("%s: no right to mount a small disk (%v): full disks are not tried", w.name, err)
		}
		w.mounted = err == nil
	}
	w.tenant = fake.NewTenant(fake.TenantOptions{Seed: uint64(w.chance.n(1 << 30)), Users: 120, Logs: 20_000, Days: 1, Trail: 1}) //nolint:gosec // never negative
	w.users = &crowd{}
	if w.kind.inS3() {
		if w.store, err = startS3(ctx, w.s3, w.dir, newChance(w.seed, 99)); err != nil {
			return err
		}
	}
	if err := w.serve(ctx); err != nil {
		return err
	}
	for _, name := range []string{"in/old", "in/files"} {
		if err := os.MkdirAll(w.path(name), 0o700); err != nil {
			return err
		}
	}
	keygen := exec.CommandContext(ctx, w.binary, "keygen", "--name", "chaos", "-o", w.path("key")) //nolint:gosec // the program
	public, err := keygen.Output()
	if err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	return w.writeConfigs(strings.TrimSpace(string(public)))
}

// serve opens vendors and receivers.
func (w *world) serve(ctx context.Context) error {
	w.auth0 = fake.NewAuth0(fake.Auth0Options{
		ClientID: "client", ClientSecret: secret, Scopes: fake.DirectoryScopes(),
		Directory: &fake.Directory{Users: w.users.all}, Fault: w.vendorFault,
	}, nil)
	w.pool = fake.NewCognitoList()
	w.cognito = fake.NewCognito(fake.CognitoOptions{Users: w.pool, Fault: w.cognitoFault})
	w.trail = fake.NewCloudTrail(fake.CloudTrailOptions{Fault: w.trailFault})
	if w.store != nil {
		w.files = &fake.TrailWriter{Bucket: "trail", Account: fake.AccountID, Region: fake.Region, Put: func(o fake.TrailObject) error {
			return w.store.put(ctx, "trail", o.Key, o.Body)
		}}
	}
	w.hec = fake.NewHEC(fake.HECOptions{Tokens: map[string]fake.HECToken{secret: {}}, Fault: w.hecFault("hec")})
	w.acks = fake.NewHEC(fake.HECOptions{Tokens: map[string]fake.HECToken{secret: {Ack: true}}, AckPolls: 1, Fault: w.hecFault("acks")})
	w.datadog = fake.NewDatadog(fake.DatadogOptions{APIKey: secret, Lost: w.datadogLost, Fault: w.datadogAnswerLost})
	var urls [6]string
	for i, h := range []http.Handler{w.auth0, w.cognito, w.trail, w.counted("hec", w.hec), w.counted("acks", w.acks), w.counted("dd", w.datadog)} {
		address, err := w.listen(ctx, &w.trap, h)
		if err != nil {
			return err
		}
		urls[i] = "http://" + address
	}
	w.env = []string{
		"AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER=" + urls[1], "AWS_ENDPOINT_URL_COGNITO_IDENTITY=" + urls[1],
		"AWS_ENDPOINT_URL_CLOUDTRAIL=" + urls[2], "AWS_ENDPOINT_URL_STS=" + urls[2],
		"AWS_ACCESS_KEY_ID=" + s3Access, "AWS_SECRET_ACCESS_KEY=" + s3Secret, "AWS_REGION=" + fake.Region,
		"AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull,
		"CHAOS_SECRET=" + secret, "CHAOS_AUTH0=" + urls[0], "CHAOS_HEC=" + urls[3], "CHAOS_ACKS=" + urls[4], "CHAOS_DD=" + urls[5],
	}
	if w.store != nil {
		w.env = append(w.env, w.store.awsEnv()...)
	}
	return nil
}

// secret of every door.
const secret = "hunter2-chaos"

func (w *world) listen(ctx context.Context, t *trap, h http.Handler) (address string, err error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := &http.Server{Handler: t.before(h), ReadHeaderTimeout: 10 * time.Second, ErrorLog: nil}
	w.servers = append(w.servers, server)
	w.serving.Go(func() { _ = server.Serve(listener) }) // ends with close
	return listener.Addr().String(), nil
}

// where the program puts things, as it is told and as they lie on this disk.
func (w *world) places() (state, lake, rawDir, lakeDir string) {
	switch w.kind {
	case shared:
		state, lake = "s3://state/states", "s3://lake/lake"
	case bucket:
		state, lake = "./state", "s3://lake/lake"
	default:
		return "./state", "./lake", w.path("lake/raw"), w.path("lake")
	}
	lakeDir = filepath.Join(w.store.root, "lake", "lake")
	return state, lake, filepath.Join(lakeDir, "raw"), lakeDir
}

const configText = `state: %[1]s
%[2]slake: %[3]s
signing_key: "${file:%[4]s}"
verify_keys: [%[5]q]
connections:
  acme: {auth0: "${env:CHAOS_AUTH0}", client_id: client, client_secret: "${env:CHAOS_SECRET}"}
  cloud: {aws: {region: %[6]s}}
sources:
  - {name: acme, kind: auth0_logs, connection: acme, since: 1d, rate: 1000}
  - {name: acme_users, kind: auth0_users, connection: acme, rate: 1000, settings: false, roles: false, organizations: false}
  - {name: pool, kind: cognito_users, connection: cloud, user_pool_id: %[7]s, rate: 30, settings: false, groups: false, shards: 1}
  - {name: history, kind: cloudtrail_lookup, connection: cloud, regions: [%[6]s], since: 2h, event_sources: [cognito-idp], rate: 2}
  - {name: old, kind: archive, format: auth0_logs, path: ./in/old}
  - {name: files, kind: archive, format: cloudtrail, path: ./in/files, event_sources: [all]}
%[8]ssinks:
  - {name: lake, kind: parquet, every: 0s}
  - {name: json, kind: json, every: 0s}
  - {name: hec, kind: splunk_hec, url: "%[9]s", token: "${env:CHAOS_SECRET}", start: start, filter: {self: true}, timeout: 5s}
  - {name: acks, kind: splunk_hec, url: "%[10]s", token: "${env:CHAOS_SECRET}", ack: on, ack_wait: 8s, start: start, filter: {self: true}, timeout: 5s}
  - {name: dd, kind: datadog, url: "%[11]s", api_key: "${env:CHAOS_SECRET}", start: start, filter: {self: true}, timeout: 5s}
reconcile:
  - {left: acme_users, right: pool}
jobs:
  all: {sources: [acme, acme_users, pool, history, old, files%[12]s], reconcile: true}
limits: {segment_records: 150, sources: 4}
`

// value of a variable of the program's environment.
func (w *world) value(name string) string {
	for _, pair := range w.env {
		if v, ok := strings.CutPrefix(pair, name+"="); ok {
			return v
		}
	}
	return ""
}

func (w *world) writeConfigs(public string) error {
	names := []string{"a"}
	if w.kind == shared {
		names = append(names, "b")
	}
	state, lake, _, _ := w.places()
	for _, name := range names {
		cache, trail, also := "", "", ""
		if w.kind == shared {
			cache = "state_cache: ./cache-" + name + "\n"
		}
		if w.store != nil {
			trail, also = "  - {name: trail, kind: cloudtrail_trail, connection: cloud, bucket: trail, since: 2d, digests: false, event_sources: [all]}\n", ", trail"
		}
		text := fmt.Sprintf(configText, state, cache, lake, w.path("key"), public, fake.Region, fake.PoolID, trail,
			w.value("CHAOS_HEC"), w.value("CHAOS_ACKS"), w.value("CHAOS_DD"), also)
		text = strings.ReplaceAll(text, `"${env:CHAOS_AUTH0}"`, fmt.Sprintf("%q", w.value("CHAOS_AUTH0")))
		h := host{name: name, config: w.path(name + ".yaml")}
		if err := os.WriteFile(h.config, []byte(text), 0o600); err != nil {
			return err
		}
		w.hosts = append(w.hosts, h)
	}
	return nil
}

// close ends the world, and keeps a copy of its folder if told to.
func (w *world) close(keep bool) (err error) {
	for _, s := range w.servers {
		err = errors.Join(err, s.Close())
	}
	w.serving.Wait()
	if w.store != nil {
		w.store.close()
	}
	if keep {
		kept := filepath.Join(w.keep, fmt.Sprintf("%d-%s", w.seed, w.name))
		err = errors.Join(err, os.MkdirAll(kept, 0o700), os.CopyFS(kept, os.DirFS(w.dir)))
		w.say("%s: its folder is kept in %s", w.name, kept)
	}
	if w.mounted {
		err = errors.Join(err, syscall.Unmount(w.dir, syscall.MNT_DETACH))
	}
	return errors.Join(err, os.RemoveAll(w.dir))
}

// trap kills a process when one of the servers is asked the nth time from now.
type trap struct {
	mu    sync.Mutex
	left  int
	after bool
	kill  func()
}

func (t *trap) set(n int, after bool, kill func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.left, t.after, t.kill = n, after, kill
}

func (t *trap) due() (kill func(), after bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.left == 0 {
		return nil, false
	}
	if t.left--; t.left > 0 {
		return nil, false
	}
	return t.kill, t.after
}

// before a handler stands the trap: the process dies when its request is there,
// or when it is done.
func (t *trap) before(h http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		kill, after := t.due()
		if kill != nil && !after {
			kill()
			panic(http.ErrAbortHandler)
		}
		if kill != nil {
			h.ServeHTTP(&discard{header: http.Header{}}, r)
			kill()
			panic(http.ErrAbortHandler)
		}
		h.ServeHTTP(rw, r)
	})
}

// discard is an answer nobody gets.
type discard struct {
	header http.Header
	body   bytes.Buffer
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return d.body.Write(p) }
func (d *discard) WriteHeader(int)             {}

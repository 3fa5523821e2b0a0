package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/idtrail/idtrail/internal/fake"
)

// planted is the secret of the fake tenant. No script's output may hold it.
const planted = "planted-5ecret-9d2c"

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"idtrail": main})
}

// TestScript runs testdata/script: what users see, and the exit codes. Beside
// testscript's own commands there are
//
//	exits CODE idtrail ARGS…    run it and want that exit code
//	tenant VERB ARGS…           see [tenantOf]
//	disk DIR full|readonly      put a disk there that takes next to nothing
//	receiver NAME VERB ARGS…    see [receiver]
//	cloud VERB ARGS…            see [cloudOf]
//	aws STATUS CODE             REFUSER_URL, which is all of AWS, refuses so
//	documented NAME             see [operationsFile]
//	hook VERB ARGS…             see [hook]
//
// the condition [disk], and in the environment AUTH0_URL, a tenant on this
// machine with the right AUTH0_CLIENT_ID and AUTH0_CLIENT_SECRET,
// AUTH0_ALIAS, the same under another name, AUTH0_NARROW, one that may not be read; AUTH0_CLOSED, where nothing listens;
// CATALOG_URL, Glue and Athena with nothing in them; CLOUD_URL, an account of AWS
// with a user pool and CloudTrail;
// HEC_URL, DD_URL and OTLP_URL, receivers of events, with the SPLUNK_TOKEN,
// DD_API_KEY and OTLP_TOKEN they want; HOOK_URL, where anything may be posted,
// with a secret in it, and HOOK_HOST without.
func TestScript(t *testing.T) {
	t.Parallel()
	ops := readOperations(t)
	t.Cleanup(func() { ops.write(t) })
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setUp,
		Condition:           condition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "tenant": tenantOf, "disk": disk, "receiver": receiver, "hook": hook, "cloud": cloudOf, "aws": awsOf, "documented": ops.documented,
		},
	})
}

// tenant is the Auth0 tenant of a script.
type tenant struct {
	*fake.Auth0
	later  atomic.Int64 // its clock is ahead by that
	called chan string  // paths called, as far as someone waits
}

// tenantLogs are how many records a tenant has, over the day before now.
const tenantLogs = 250

func setUp(env *testscript.Env) error {
	x := &tenant{called: make(chan string, 1)}
	people := fake.NewTenant(fake.TenantOptions{Users: 100, Logs: tenantLogs, Days: 1, End: time.Now()})
	x.Auth0 = fake.NewAuth0(fake.Auth0Options{
		ClientID: "client", ClientSecret: planted, Retention: 48 * time.Hour, Directory: people.Directory(),
		Now: func() time.Time { return time.Now().Add(time.Duration(x.later.Load())) },
	}, people.Logs())
	setUpCloud(env, people)
	server := httptest.NewServer(x)
	env.Defer(server.CloseClientConnections)
	catalog := httptest.NewServer(fake.NewCatalog(fake.CatalogOptions{Running: 1}))
	env.Defer(catalog.Close)
	env.Setenv("CATALOG_URL", catalog.URL)
	closed := httptest.NewServer(nil)
	closed.Close()
	env.Values[tenant{}] = x
	setUpReceivers(env)
	setUpRefuser(env)
	setUpHooks(env)
	env.Setenv("AUTH0_URL", server.URL)
	env.Setenv("AUTH0_ALIAS", strings.Replace(server.URL, "127.0.0.1", "localhost", 1))
	env.Setenv("AUTH0_CLOSED", closed.URL)
	env.Setenv("AUTH0_CLIENT_ID", "client")
	env.Setenv("AUTH0_CLIENT_SECRET", planted)
	// Nothing of the machine's own settings gets in.
	env.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	env.Setenv("AWS_CONFIG_FILE", env.WorkDir+"/none")
	env.Setenv("AWS_SHARED_CREDENTIALS_FILE", env.WorkDir+"/none")
	return nil
}

func (x *tenant) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case x.called <- r.URL.Path:
	default:
	}
	x.Auth0.ServeHTTP(w, r)
}

// tenantOf speaks with the script's tenant:
//
//	tenant later 48h        its clock moves on
//	tenant hang PATH        calls of the path are not answered from now on
//	tenant answer           they are again
//	tenant await PATH       wait until the path is called
//	tenant calls PATH N     want that the path was called so often
//	tenant scopes SCOPE…    the application is granted these, and no others
func tenantOf(ts *testscript.TestScript, _ bool, args []string) {
	x, _ := ts.Value(tenant{}).(*tenant)
	switch verb := strings.Join(args[:1], ""); {
	case verb == "later" && len(args) == 2:
		d, err := time.ParseDuration(args[1])
		ts.Check(err)
		x.later.Add(int64(d))
	case verb == "hang" && len(args) == 2:
		x.SetFault(func(c fake.Call) *fake.Fault {
			if c.Path == args[1] {
				return &fake.Fault{Hang: true}
			}
			return nil
		})
	case verb == "answer" && len(args) == 1:
		x.SetFault(nil)
	case verb == "await" && len(args) == 2:
		for path := range x.called {
			if path == args[1] {
				return
			}
		}
	case verb == "calls" && len(args) == 3:
		if got := strconv.Itoa(x.Count(args[1])); got != args[2] {
			ts.Fatalf("calls of %s: got %s, want %s", args[1], got, args[2])
		}
	case verb == "scopes":
		x.SetScopes(args[1:]...)
	default:
		ts.Fatalf("usage: tenant later|hang|answer|await|calls|scopes ARGS…")
	}
}

// condition [disk] says whether this process may mount one.
func condition(name string) (bool, error) {
	if name == "disk" {
		return os.Geteuid() == 0 && exec.Command("unshare", "--mount", "true").Run() == nil, nil
	}
	return false, fmt.Errorf("unknown condition %s", name)
}

func disk(ts *testscript.TestScript, neg bool, args []string) {
	options := map[string]string{"full": "size=32k", "readonly": "ro"}
	if neg || len(args) != 2 || options[args[1]] == "" {
		ts.Fatalf("usage: disk DIR full|readonly")
	}
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o700))
	ts.Check(ts.Exec("mount", "-t", "tmpfs", "-o", options[args[1]], "tmpfs", dir))
	ts.Defer(func() { _ = exec.Command("umount", dir).Run() })
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND ARGS…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	switch err := ts.Exec(args[1], args[2:]...); {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("run %s: %v", args[1], err)
	}
	if got != want {
		ts.Fatalf("exit code: got %d, want %d", got, want)
	}
	if strings.Contains(ts.ReadFile("stdout")+ts.ReadFile("stderr"), planted) {
		ts.Fatalf("the secret shows")
	}
}

package main

import (
	"errors"
	"net/http/httptest"
	"os/exec"
	"strconv"
	"strings"
	"testing"

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
//
// and in the environment AUTH0_URL, a tenant on this machine, with the right
// AUTH0_CLIENT_ID and AUTH0_CLIENT_SECRET.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setUp,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

func setUp(env *testscript.Env) error {
	tenant := fake.NewAuth0(fake.Auth0Options{ClientID: "client", ClientSecret: planted}, nil)
	server := httptest.NewServer(tenant)
	env.Defer(server.Close)
	env.Setenv("AUTH0_URL", server.URL)
	env.Setenv("AUTH0_CLIENT_ID", "client")
	env.Setenv("AUTH0_CLIENT_SECRET", planted)
	// Nothing of the machine's own settings gets in.
	env.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	env.Setenv("AWS_CONFIG_FILE", env.WorkDir+"/none")
	env.Setenv("AWS_SHARED_CREDENTIALS_FILE", env.WorkDir+"/none")
	return nil
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

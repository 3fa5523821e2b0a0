package main

import (
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/idtrail/idtrail/internal/fake"
)

// cloud is a script's account of AWS: a user pool and CloudTrail, held to a policy.
type cloud struct{ guard *fake.Guard }

// setUpCloud serves it.
func setUpCloud(env *testscript.Env, people *fake.Tenant) {
	pool := fake.NewCognito(fake.CognitoOptions{Users: people.CognitoList(), Settings: people.CognitoSettings()})
	trail := fake.NewCloudTrail(fake.CloudTrailOptions{})
	x := &cloud{guard: fake.NewGuard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("X-Amz-Target"), "Cognito") {
			pool.ServeHTTP(w, r)
			return
		}
		trail.ServeHTTP(w, r)
	}))}
	server := httptest.NewServer(x.guard)
	env.Defer(server.Close)
	env.Values[cloud{}] = x
	env.Setenv("CLOUD_URL", server.URL)
}

// cloudOf says what the script's account allows:
//
//	cloud allow FILE SID…    what the policy in the file does, but for these statements
func cloudOf(ts *testscript.TestScript, neg bool, args []string) {
	x, _ := ts.Value(cloud{}).(*cloud)
	if neg || len(args) < 2 || args[0] != "allow" {
		ts.Fatalf("usage: cloud allow FILE SID…")
	}
	ts.Check(x.guard.Allow([]byte(ts.ReadFile(args[1])), args[2:]...))
}

package integration_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/idtrail/idtrail/integration/harness"
)

// TestCheckOfProofs: check tries what leases and locks stand on, and leaves
// nothing behind.
func TestCheckOfProofs(t *testing.T) {
	t.Parallel()
	server := harness.S3(t)
	lake, states, locked := server.Bucket(t), server.Bucket(t), server.LockedBucket(t)
	s := newSite(t)
	check := func(manifests string) harness.Run {
		t.Helper()
		s.writeFile(t, "idtrail.yaml", []byte(fmt.Sprintf(`
state: s3://%s/state
state_cache: ./cache
lake: s3://%s/lake
manifests: {url: s3://%s/notes, lock: {mode: governance, days: 1}}
sources: [{name: old, kind: archive, format: auth0_logs, path: ./in/old}]
`, states, lake, manifests)))
		return harness.Idtrail(t, server.Env(), "check", "--write", "-c", s.path("idtrail.yaml"))
	}
	good := check(locked)
	for _, want := range []string{
		"state        s3://" + states + "/state can be listed and written, and replaced only where it is unchanged",
		"manifests    s3://" + locked + "/notes can be listed, takes locks and may be written: ",
	} {
		if good.Code != 0 || !strings.Contains(good.Stdout, want) {
			t.Errorf("exit code %d, want 0 and %q in\n%s\n%s", good.Code, want, good.Stdout, good.Stderr)
		}
	}
	for _, bucket := range []string{lake, states, locked} {
		for name := range files(t, server.Path(bucket, "")) {
			t.Errorf("check left %s", name)
		}
	}
	bad := check(lake + "-notes")
	if bad.Code != 1 || !strings.Contains(bad.Stdout, "failed  manifests") {
		t.Errorf("without a bucket: exit code %d\n%s", bad.Code, bad.Stdout)
	}
	plain := server.Bucket(t)
	if bad := check(plain); bad.Code != 1 || !strings.Contains(bad.Stdout, "bucket "+plain+" has no Object Lock: enable it there") {
		t.Errorf("without Object Lock: exit code %d\n%s", bad.Code, bad.Stdout)
	}
}

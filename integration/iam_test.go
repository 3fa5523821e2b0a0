package integration_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/idtrail/idtrail/integration/harness"
)

// permission is a statement of a policy.
type permission struct {
	Sid       string `json:"Sid"`
	Effect    string `json:"Effect"`
	Action    any    `json:"Action"`
	Resource  any    `json:"Resource"`
	Condition any    `json:"Condition,omitempty"`
}

// statements are those of a policy.
func statements(t *testing.T, text string) []permission {
	t.Helper()
	var policy struct{ Statement []permission }
	if err := json.Unmarshal([]byte(text), &policy); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return policy.Statement
}

var (
	jsonBlock = regexp.MustCompile("(?s)```json\n(.*?)```")
	whoRow    = regexp.MustCompile(`(?m)^\| ([^|]+) \| [^|]+ \| ([A-Z][A-Za-z, ]+) \|$`)
)

// permissions are the policies of the page, by name, and who gets which. The
// page's buckets become those of the test.
func permissions(t *testing.T, buckets map[string]string) (policies map[string][]permission, who map[string]string) {
	t.Helper()
	page, err := os.ReadFile("../docs/PERMISSIONS.md")
	if err != nil {
		t.Fatal(err)
	}
	policies, who = map[string][]permission{}, map[string]string{}
	for _, block := range jsonBlock.FindAllStringSubmatch(string(page), -1) {
		text := block[1]
		for name, bucket := range buckets {
			text = strings.ReplaceAll(text, ":::"+name, ":::"+bucket)
		}
		policy := statements(t, text)
		policies[strings.TrimSuffix(policy[len(policy)-1].Sid, "ReadWrite")] = policy
	}
	for _, row := range whoRow.FindAllStringSubmatch(string(page), -1) {
		who[row[1]] = row[2]
	}
	return policies, who
}

// TestPermissions gives everybody exactly what docs/PERMISSIONS.md says, and
// everything works; with any statement on objects left out, something does not.
func TestPermissions(t *testing.T) {
	t.Parallel()
	server := harness.S3With(t, harness.Options{IAM: true})
	lake, raw, proofs, state := server.Bucket(t), server.Bucket(t), server.Bucket(t), server.Bucket(t)
	policies, who := permissions(t, map[string]string{
		"acme-idtrail": lake, "acme-evidence": raw, "acme-proofs": proofs, "acme-state": state,
	})
	s := newSite(t)
	public := strings.TrimSpace(harness.Idtrail(t, nil, "keygen", "-o", s.path("idtrail.key")).Stdout)
	s.config(t, "s3://"+raw+"/raw", "s3://"+lake+"/lake", "./in/trail")
	text, err := os.ReadFile(s.path("idtrail.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	s.writeFile(t, "idtrail.yaml", []byte(strings.Replace(string(text), "state: ./state", fmt.Sprintf(`
state: s3://%s/state
state_cache: ./cache
manifests: s3://%s/notes
signing_key: "${file:idtrail.key}"
verify_keys: [%q]
retention: {lake: 30d}`, state, proofs, public), 1)))
	end := time.Now().UTC().Truncate(24 * time.Hour)
	day := func(back int) string { return end.AddDate(0, 0, -back).Format(time.DateOnly) }
	evidence := fmt.Sprintf("--lake s3://%s/lake --raw s3://%s/raw --manifests s3://%s/notes --key %s", lake, raw, proofs, public)
	// In the order of the page: who comes later finds what was done before.
	rows := []struct {
		who   string
		verbs []string
	}{
		{"the job", []string{
			"check", "run", "run", "status", "find --user auth0|1 --since 60d", "reconcile report",
			"backfill live --from " + day(2) + " --to " + day(1),
		}},
		{"the job, with replays", []string{"replay"}},
		{"retention and erasure", []string{"prune --yes", "erase --user " + s.someone(t) + " --yes"}},
		{"an auditor", []string{"verify --deep " + evidence}},
		{"an operator who looks", []string{"status", "state show"}},
		{"an analyst", []string{"find --user auth0|1 --since 60d"}},
	}
	for i, row := range rows {
		var all []permission
		for name := range strings.SplitSeq(who[row.who], ", ") {
			if policies[name] == nil {
				t.Fatalf("%s is to have %s, which the page does not say", row.who, name)
			}
			all = append(all, policies[name]...)
		}
		if len(all) == 0 {
			t.Fatalf("the page does not say what %s may do", row.who)
		}
		for j, without := range all {
			if !needed(row.who, without.Sid) {
				continue
			}
			less := append(append([]permission{}, all[:j]...), all[j+1:]...)
			if failures := s.asWho(t, server, fmt.Sprintf("w%d-%d", i, j), less, row.verbs); len(failures) == 0 {
				t.Errorf("%s: everything works without %s", row.who, without.Sid)
			}
		}
		for _, failure := range s.asWho(t, server, fmt.Sprintf("u%d", i), all, row.verbs) {
			t.Errorf("%s: %s", row.who, failure)
		}
	}
	s.wantVerified(t, server, evidence)
}

// needed says whether a statement is one without which something of a row has to
// fail. Who lists nothing may be lucky; segments young as these are not pruned;
// and a replay that changes nothing removes nothing.
func needed(who, sid string) bool {
	switch {
	case strings.HasSuffix(sid, "List"), sid == "RawRemove", sid == "LakeRemove" && who == "the job, with replays":
		return false
	default:
		return true
	}
}

// asWho runs verbs as a user who may do what the statements say, and returns what
// failed.
func (s *site) asWho(t *testing.T, server *harness.Server, name string, may []permission, verbs []string) (failures []string) {
	t.Helper()
	statements := make([]string, len(may))
	for i, p := range may {
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		statements[i] = string(text)
	}
	env := append(asUser(t, server, name, statements...), "AUTH0_SECRET="+clientSecret)
	for _, verb := range verbs {
		args := strings.Fields(verb)
		if !strings.Contains(verb, "--lake ") {
			args = append(args, "-c", s.path("idtrail.yaml"))
		}
		if out := harness.Idtrail(t, env, args...); out.Code != 0 {
			failures = append(failures, fmt.Sprintf("%s: exit code %d\n%s\n%s", verb, out.Code, out.Stdout, out.Stderr))
		}
	}
	return failures
}

// someone is the id of a person with records.
func (s *site) someone(t *testing.T) string {
	t.Helper()
	for i := range s.tenant.Logs().Len() {
		var rec struct {
			UserID string `json:"user_id"`
		}
		if err := json.Unmarshal(s.tenant.Logs().Log(i), &rec); err == nil && len(rec.UserID) > 10 {
			return rec.UserID
		}
	}
	t.Fatal("nobody is in the log")
	return ""
}

// wantVerified wants that all of it is proven in the end.
func (s *site) wantVerified(t *testing.T, server *harness.Server, evidence string) {
	t.Helper()
	out := harness.Idtrail(t, server.Env(), strings.Fields("verify --json "+evidence)...)
	var report struct {
		OK      bool `json:"ok"`
		Sources []struct {
			Source  string `json:"source"`
			Changes []struct {
				Kind string `json:"kind"`
			} `json:"changes"`
		} `json:"sources"`
	}
	if err := json.Unmarshal([]byte(out.Stdout), &report); err != nil || !report.OK {
		t.Fatalf("verify: %v\n%s\n%s", err, out.Stdout, out.Stderr)
	}
	kinds := map[string]int{}
	for _, source := range report.Sources {
		for _, c := range source.Changes {
			kinds[c.Kind]++
		}
	}
	if kinds["prune"] == 0 || kinds["erase"] == 0 {
		t.Errorf("changes are %v, want prunes and erasures among them", kinds)
	}
}

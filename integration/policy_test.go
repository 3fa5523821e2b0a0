package integration_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/idtrail/idtrail/integration/harness"
	"github.com/idtrail/idtrail/internal/blob"
)

// policySite is a site whose places are in S3, and whose trail is.
type policySite struct {
	*site
	server *harness.Server
	trail  string // the bucket of files
}

// newPolicySite has its places where the text of the config says: BUCKET-1 and so
// on are buckets.
func newPolicySite(t *testing.T, places string) *policySite {
	t.Helper()
	server := harness.S3With(t, harness.Options{IAM: true})
	p := &policySite{site: newSite(t), server: server, trail: server.Bucket(t)}
	for n := 1; strings.Contains(places, fmt.Sprintf("BUCKET-%d", n)); n++ {
		places = strings.ReplaceAll(places, fmt.Sprintf("BUCKET-%d", n), server.Bucket(t))
	}
	p.upload(t)
	public := strings.TrimSpace(harness.Idtrail(t, nil, "keygen", "-o", p.path("idtrail.key")).Stdout)
	p.config(t, "s3://none/raw", "s3://none/lake", "s3://"+p.trail+"/logs/")
	text, err := os.ReadFile(p.path("idtrail.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "raw: s3://none/raw\n")
	p.writeFile(t, "idtrail.yaml", fmt.Appendf(nil, "%s\nstate_cache: ./cache\nsigning_key: \"${file:idtrail.key}\"\nverify_keys: [%q]\n%s",
		strings.TrimSpace(places), public, rest))
	return p
}

// upload puts the files of CloudTrail into their bucket, beside something that no
// source reads.
func (p *policySite) upload(t *testing.T) {
	t.Helper()
	store := p.server.Store(t, blob.S3Options{Bucket: p.trail})
	put := func(key string, content []byte) {
		if _, err := store.PutNew(t.Context(), key, strings.NewReader(string(content))); err != nil {
			t.Fatal(err)
		}
	}
	put("private/letter", []byte("not for idtrail"))
	err := filepath.WalkDir(p.path("in/trail"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err == nil {
			put("logs/"+strings.TrimPrefix(path, p.path("in/trail")+"/"), content)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// printed is what `idtrail policy` prints for a user, to the letter. It needs no
// credentials and no secret.
func (p *policySite) printed(t *testing.T, verbs string) string {
	t.Helper()
	out := harness.Idtrail(t, nil, "policy", "--aws", "-q", "--for", verbs, "-c", p.path("idtrail.yaml"))
	if out.Code != 0 {
		t.Fatalf("policy --for %s: exit code %d\n%s", verbs, out.Code, out.Stderr)
	}
	return out.Stdout
}

// as makes a user with a policy, and returns what calls the program as that user.
// White space goes: this IAM counts it, where AWS does not.
func (p *policySite) as(t *testing.T, name, policy string) func(args ...string) harness.Run {
	t.Helper()
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(policy)); err != nil {
		t.Fatal(err)
	}
	who, err := p.server.User(t, name, compact.String()).Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	env := append(p.server.Env(), "AWS_ACCESS_KEY_ID="+who.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+who.SecretAccessKey, "AUTH0_SECRET="+clientSecret)
	return func(args ...string) harness.Run {
		t.Helper()
		return harness.Idtrail(t, env, append(args, "-c", p.path("idtrail.yaml"))...)
	}
}

// without is a policy without one statement of it.
func without(t *testing.T, policy, sid string) string {
	t.Helper()
	rest := slices.DeleteFunc(statements(t, policy), func(p permission) bool { return p.Sid == sid })
	text, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": rest})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestPolicyOfJob gives a user what policy prints, exactly as it is printed, and all
// of the job works; without any one statement something fails, and check names it
// with the statement to add.
func TestPolicyOfJob(t *testing.T) {
	t.Parallel()
	for name, places := range map[string]string{
		"one bucket":   "state: s3://BUCKET-1/state\nlake: s3://BUCKET-1/lake",
		"four buckets": "state: s3://BUCKET-1/state\nlake: s3://BUCKET-2\nraw: s3://BUCKET-3/a/raw\nmanifests: s3://BUCKET-4/notes",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPolicySite(t, places)
			policy := p.printed(t, "run,check")
			for i, s := range statements(t, policy) {
				t.Run("without "+s.Sid, func(t *testing.T) {
					p.wantNamed(t, p.as(t, fmt.Sprintf("less%d", i), without(t, policy, s.Sid)), s)
				})
			}
			job := p.as(t, "job", policy)
			for _, verb := range []string{
				"check", "check --write", "run", "run", "status", "find --user auth0|1 --since 60d", "verify --deep", "reconcile report", "check --write",
			} {
				out := job(strings.Fields(verb)...)
				if out.Code != 0 {
					t.Errorf("%s: exit code %d\n%s\n%s", verb, out.Code, out.Stdout, out.Stderr)
				}
				if strings.HasPrefix(verb, "check") && (strings.Contains(out.Stdout, "failed ") || strings.Contains(out.Stdout, "Missing in IAM")) {
					t.Errorf("%s says\n%s", verb, out.Stdout)
				}
			}
			p.wantNothingLeft(t)
		})
	}
}

// wantNamed wants check --write to name the statement that a user lacks, by its id,
// and each of its actions that was tried.
func (p *policySite) wantNamed(t *testing.T, idtrail func(...string) harness.Run, s permission) {
	t.Helper()
	out := idtrail("check", "--write", "--json")
	var res struct {
		Missing struct {
			Policies []struct {
				Document struct{ Statement []permission } `json:"document"`
			} `json:"policies"`
		} `json:"missing"`
	}
	if err := json.Unmarshal([]byte(out.Stdout), &res); err != nil {
		t.Fatalf("%v in\n%s\n%s", err, out.Stdout, out.Stderr)
	}
	// That nothing can be removed is a warning: a run needs no right to.
	if want := map[bool]int{true: 0, false: 1}[s.Sid == "RemoveProbe"]; out.Code != want {
		t.Errorf("exit code %d, want %d\n%s", out.Code, want, out.Stdout)
	}
	if len(res.Missing.Policies) != 1 {
		t.Fatalf("missing %+v in\n%s", res.Missing, out.Stdout)
	}
	for _, named := range res.Missing.Policies[0].Document.Statement {
		if named.Sid == s.Sid {
			if fmt.Sprint(named.Resource) != fmt.Sprint(s.Resource) || fmt.Sprint(named.Condition) != fmt.Sprint(s.Condition) {
				t.Errorf("named %+v, want %+v", named, s)
			}
			return
		}
	}
	t.Errorf("%s is not named in\n%s", s.Sid, out.Stdout)
}

// wantNothingLeft wants none of what check wrote: it writes nothing that it could
// not remove.
func (p *policySite) wantNothingLeft(t *testing.T) {
	t.Helper()
	var left []string
	err := filepath.WalkDir(p.server.Root, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.Contains(path, "/_check/") {
			left = append(left, path)
		}
		return err
	})
	if err != nil || len(left) > 0 {
		t.Errorf("checks left %q, %v", left, err)
	}
}

// TestPolicyOfOthers gives others what policy prints for them: enough for their
// verbs, and too little for those of the job.
func TestPolicyOfOthers(t *testing.T) {
	t.Parallel()
	p := newPolicySite(t, "state: s3://BUCKET-1/state\nlake: s3://BUCKET-2/lake\nraw: s3://BUCKET-3/raw\nretention: {lake: 30d}")
	job := p.as(t, "job", p.printed(t, "run,check"))
	if out := job("run"); out.Code != 0 {
		t.Fatalf("run: exit code %d\n%s\n%s", out.Code, out.Stdout, out.Stderr)
	}
	for i, tt := range []struct {
		verbs       string
		may, mayNot []string
	}{
		{"verify", []string{"verify --deep"}, []string{"run", "status", "replay", "prune --yes"}},
		{"find", []string{"find --user auth0|1 --since 60d"}, []string{"verify --deep", "status", "run"}},
		{"status", []string{"status", "state show"}, []string{"find --user auth0|1 --since 60d", "run"}},
		{"reconcile", []string{"reconcile report"}, []string{"run", "replay"}},
		{"replay", []string{"replay", "status"}, []string{"run"}}, // it reads no files of the trail
		{"prune,erase", []string{"prune --yes", "erase --user " + p.someone(t) + " --yes"}, nil},
		{"state", []string{"state show", "state set live --cursor {\"from\":\"" + strings.Repeat("9", 56) + "\"} --reason tried --yes"}, nil},
	} {
		who := p.as(t, fmt.Sprintf("other%d", i), p.printed(t, tt.verbs))
		for _, verb := range tt.may {
			if out := who(strings.Fields(verb)...); out.Code != 0 {
				t.Errorf("for %s, %s: exit code %d\n%s\n%s", tt.verbs, verb, out.Code, out.Stdout, out.Stderr)
			}
		}
		for _, verb := range tt.mayNot {
			if out := who(strings.Fields(verb)...); out.Code == 0 {
				t.Errorf("for %s, %s works, too\n%s", tt.verbs, verb, out.Stdout)
			}
		}
	}
}

package policy_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/idtrail/idtrail/internal/config"
	"github.com/idtrail/idtrail/internal/policy"
)

var update = flag.Bool("update", false, "write the golden files")

// parse reads a config without its secrets, as the verb does.
func parse(t *testing.T, text string) *config.Config {
	t.Helper()
	c, err := config.Parse([]byte(text), "idtrail.yaml", config.Options{
		Dir: "/etc/idtrail", Env: func(name string) (string, bool) { return "/home/idtrail", name == "HOME" }, SkipSecrets: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func plan(t *testing.T, text string, o policy.Options) *policy.Plan {
	t.Helper()
	p, err := policy.New(parse(t, text), o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// golden compares with a file of testdata.
func golden(t *testing.T, name string, v any) {
	t.Helper()
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", name+".json")
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("%s (-want +got); to accept: go test ./internal/policy -update\n%s", path, diff)
	}
}

const archive = "{name: old, kind: archive, format: auth0_logs, path: ./in}"

// configs are those of the golden files, testdata/NAME.yaml.
func configs(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) < 6 {
		t.Fatalf("configs %v, %v", files, err)
	}
	texts := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[strings.TrimSuffix(filepath.Base(file), ".yaml")] = string(text)
	}
	return texts
}

// optionsIn are those that a golden config names in its first line, behind
// "# policy".
func optionsIn(t *testing.T, text string) policy.Options {
	t.Helper()
	line, _, _ := strings.Cut(text, "\n")
	o := policy.Options{Catalog: policy.Catalog{Database: "idtrail", Workgroup: "primary"}}
	for word := range strings.FieldsSeq(strings.TrimPrefix(line, "# policy")) {
		name, value, _ := strings.Cut(strings.TrimPrefix(word, "--"), "=")
		switch name {
		case "for":
			o.For = strings.Split(value, ",")
		case "account":
			o.Account = value
		case "region":
			o.Region = value
		case "principal":
			o.Principal = value
		case "key":
			o.Keys = append(o.Keys, value)
		case "output":
			o.Catalog.Output = value
		case "config":
			o.ConfigURL = value
		default:
			t.Fatalf("unknown option %s", word)
		}
	}
	return o
}

func TestGolden(t *testing.T) {
	for name, text := range configs(t) {
		t.Run(name, func(t *testing.T) {
			p := plan(t, text, optionsIn(t, text))
			golden(t, name, p)
			for _, r := range p.Roles {
				valid(t, r)
			}
		})
	}
}

var (
	sidForm    = regexp.MustCompile(`^[A-Za-z0-9]+$`)
	actionForm = regexp.MustCompile(`^[a-z0-9-]+:[A-Za-z]+$`)
	arnForm    = regexp.MustCompile(`^(\*|arn:aws(-cn|-us-gov)?:[a-z0-9-]+:[a-z0-9-]*\*?:(\d{12}|\*)?:\S+)$`)
)

// valid holds a role's documents against IAM's grammar:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
func valid(t *testing.T, r policy.Role) {
	t.Helper()
	allowed := 0
	for _, doc := range r.Documents {
		if n := doc.Characters(); n > policy.MaxCharacters {
			t.Errorf("%d characters", n)
		}
		seen := map[string]bool{}
		for _, s := range doc.Statement {
			if seen[s.Sid] || !sidForm.MatchString(s.Sid) {
				t.Errorf("Sid %q is there twice, or none", s.Sid)
			}
			seen[s.Sid] = true
			allowed += len(s.Action) * len(s.Resource)
			if s.Effect != "Allow" || len(s.Action) == 0 || len(s.Resource) == 0 || s.Principal != nil {
				t.Errorf("not a statement of a role: %+v", s)
			}
			for _, a := range s.Action {
				if !actionForm.MatchString(a) {
					t.Errorf("%q is no action", a)
				}
			}
			for _, a := range s.Resource {
				if !arnForm.MatchString(a) {
					t.Errorf("%q is no ARN", a)
				}
			}
		}
	}
	want := 0
	for _, s := range r.Statements {
		want += len(s.Actions) * len(s.Resources)
		if s.Why == "" {
			t.Errorf("%s does not say why", s.Sid)
		}
	}
	if allowed != want {
		t.Errorf("the documents allow %d actions on resources, the statements %d", allowed, want)
	}
}

// TestVerbs: who removes nothing may remove nothing but what check wrote and old
// copies of the state; who reads may write nothing.
func TestVerbs(t *testing.T) {
	text := configs(t)["places"]
	for _, verb := range policy.Verbs() {
		p := plan(t, text, policy.Options{For: []string{verb}})
		var writes, removes []string
		for _, s := range p.Roles[0].Statements {
			for _, action := range s.Actions {
				switch action {
				case "s3:PutObject":
					writes = append(writes, s.Sid)
				case "s3:DeleteObject":
					removes = append(removes, s.Sid)
				}
			}
		}
		all := "RawReadWrite LakeReadWrite ManifestsReadWrite StateReadWrite"
		want := map[string][2]string{
			"run": {all, "StateReadWrite"}, "serve": {all, "StateReadWrite"}, "backfill": {all, "StateReadWrite"},
			"state": {all, "StateReadWrite"}, "check": {all, "StateReadWrite RemoveProbe"},
			"replay": {all, "LakeRemove StateReadWrite"}, "erase": {all, "LakeRemove StateReadWrite"},
			"prune": {all, "RawRemove LakeRemove StateReadWrite"},
		}[verb]
		if got := [2]string{strings.Join(writes, " "), strings.Join(removes, " ")}; got != want {
			t.Errorf("%s writes and removes by %q, want %q", verb, got, want)
		}
	}
}

// TestSplit: what is too long is several policies, which allow the same.
func TestSplit(t *testing.T) {
	var pools []string
	for i := range 120 {
		pools = append(pools, fmt.Sprintf("{name: p%d, kind: cognito_users, user_pool_id: eu-west-1_Ab1Cd2E%02d, settings: false}", i, i))
	}
	text := "state: ./s\nlake: ./l\nsources: [" + strings.Join(pools, ", ") + "]\n"
	p := plan(t, text, policy.Options{Account: "123456789012"})
	r := p.Roles[0]
	if len(r.Statements) != 1 || len(r.Documents) < 2 {
		t.Fatalf("%d statements in %d documents, want one in several", len(r.Statements), len(r.Documents))
	}
	valid(t, r)
	var got []string
	for _, doc := range r.Documents {
		for _, s := range doc.Statement {
			got = append(got, s.Resource...)
		}
	}
	if diff := cmp.Diff(r.Statements[0].Resources, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestCharacters does not count what IAM does not.
func TestCharacters(t *testing.T) {
	p := plan(t, configs(t)["places"], policy.Options{})
	doc := p.Roles[0].Documents[0]
	if got, want := doc.Characters(), len(strings.Join(strings.Fields(doc.JSON()), "")); got != want {
		t.Errorf("got %d, want %d", got, want)
	}
}

func TestRefusedOptions(t *testing.T) {
	c := parse(t, "state: ./s\nlake: ./l\nsources: ["+archive+"]\n")
	for _, o := range []policy.Options{
		{For: []string{"run", "fly"}},
		{Account: "12345"},
		{Region: "Europe"},
		{Principal: "*"},
		{Principal: "arn:aws:iam::123456789012:role/x\n"},
		{Keys: []string{"alias/x"}},
		{Keys: []string{"arn:aws:kms:eu-west-1:123456789012:alias/x"}},
	} {
		if p, err := policy.New(c, o); err == nil {
			t.Errorf("%+v: got %+v, want an error", o, p)
		}
	}
}

// TestNothing: who keeps all on disk and reads files needs no right.
func TestNothing(t *testing.T) {
	p := plan(t, "state: ./s\nlake: ./l\nsources: ["+archive+"]\n", policy.Options{})
	want := &policy.Plan{
		For:       policy.DefaultVerbs(),
		Roles:     []policy.Role{{Documents: []policy.Document{{Version: "2012-10-17", Statement: []policy.Rule{}}}}},
		Tenants:   []policy.Tenant{},
		Receivers: []policy.Receiver{},
		Notes:     []string{},
	}
	if diff := cmp.Diff(want, p); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestOddNames: what in the name of an object would be a wildcard is none.
func TestOddNames(t *testing.T) {
	p := plan(t, "state: ./s\nlake: 's3://acme-lake/a$*?b'\nsources: ["+archive+"]\n", policy.Options{For: []string{"find"}})
	want := []string{"arn:aws:s3:::acme-lake/a${$}${*}${?}b/*"}
	if diff := cmp.Diff(want, p.Roles[0].Statements[1].Resources); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestGranting finds the statement for what AWS has named.
func TestGranting(t *testing.T) {
	p := plan(t, configs(t)["places"], policy.Options{})
	one := plan(t, configs(t)["single"], policy.Options{})
	for prefix, sid := range map[string]string{"lake/": "LakeList", "lake/raw/": "LakeList", "state/": "StateList"} {
		if s, ok := one.Roles[0].Granting("s3:ListBucket", "arn:aws:s3:::acme-idtrail", prefix); !ok || s.Sid != sid {
			t.Errorf("list %s: got %+v, want %s", prefix, s, sid)
		}
	}
	for _, tt := range []struct{ action, resource, prefix, sid string }{
		{"s3:PutObject", "arn:aws:s3:::acme-evidence/raw/acme/000000000001.ndjson.zst", "", "RawReadWrite"},
		{"s3:PutObject", "arn:aws:s3:::acme-state/state/*", "", "StateReadWrite"},
		{"s3:PutObject", "", "", "RawReadWrite"},
		{"s3:DeleteObject", "arn:aws:s3:::acme-idtrail/lake/_check/X", "", "RemoveProbe"},
		{"s3:ListBucket", "arn:aws:s3:::acme-proofs", "notes/", "ManifestsList"},
		{"ec2:RunInstances", "*", "", ""},
	} {
		s, ok := p.Roles[0].Granting(tt.action, tt.resource, tt.prefix)
		if ok != (tt.sid != "") || s.Sid != tt.sid || !slices.Equal(s.Actions, []string{tt.action}) {
			t.Errorf("%s on %q: got %+v, %v, want %s", tt.action, tt.resource, s, ok, tt.sid)
		}
	}
}

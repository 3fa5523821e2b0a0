package deploy_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/idtrail/idtrail/internal/serve"
)

// These tests need no terraform: they read the text for what names what, and
// compare it with the program. terraform itself, with the provider's schema, is
// make deploy-check, which plans the module, too (terraform/tests).

// module is the text of the module, without comments.
func module(t *testing.T) string {
	t.Helper()
	names, err := filepath.Glob("terraform/*.tf")
	if err != nil || len(names) < 8 {
		t.Fatalf("files %v, %v", names, err)
	}
	text := ""
	for _, name := range names {
		text += read(t, name)
	}
	return regexp.MustCompile(`(?m)^\s*#.*$`).ReplaceAllString(text, "")
}

func found(text, pattern string) []string {
	set := map[string]bool{}
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		set[strings.Join(m[1:], ".")] = true
	}
	return slices.Sorted(maps.Keys(set))
}

// All that is declared is used, and the other way round.
func TestNamesOfModule(t *testing.T) {
	text := module(t)
	if diff := cmp.Diff(found(text, `(?m)^variable "(\w+)"`), found(text, `\bvar\.(\w+)`)); diff != "" {
		t.Errorf("variables (-declared +used)\n%s", diff)
	}
	locals := ""
	for _, block := range regexp.MustCompile(`(?ms)^locals \{\n(.*?)^\}`).FindAllStringSubmatch(text, -1) {
		locals += block[1]
	}
	if diff := cmp.Diff(found(locals, `(?m)^  (\w+)\s+= `), found(text, `\blocal\.(\w+)`)); diff != "" {
		t.Errorf("locals (-declared +used)\n%s", diff)
	}
	declared := found(text, `(?m)^resource "(\w+)" "(\w+)"`)
	for _, used := range found(text, `[^.\w"](aws_\w+)\.(\w+)`) {
		if !slices.Contains(declared, used) {
			t.Errorf("there is no %s", used)
		}
	}
	for _, kind := range []string{"variable", "output"} {
		for _, block := range regexp.MustCompile(`(?ms)^`+kind+` "(\w+)" \{\n(.*?)^\}`).FindAllStringSubmatch(text, -1) {
			if !strings.HasPrefix(block[2], "  description ") {
				t.Errorf("%s %s is not described", kind, block[1])
			}
		}
	}
}

// statement of an IAM policy; Action is a text or a list of them.
type statement struct {
	Sid              string
	Action, Resource any
}

func (s statement) actions() []string {
	if one, ok := s.Action.(string); ok {
		return []string{one}
	}
	var all []string
	for _, a := range s.Action.([]any) {
		all = append(all, a.(string))
	}
	return all
}

// documented are the statements of the policies a document shows.
func documented(t *testing.T, path string) []statement {
	t.Helper()
	var all []statement
	for _, block := range regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(read(t, path), -1) {
		var policy struct{ Statement []statement }
		if err := json.Unmarshal([]byte(block[1]), &policy); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		all = append(all, policy.Statement...)
	}
	return all
}

// The module gives the rights the documents name, by the same statements.
func TestStatements(t *testing.T) {
	text := module(t)
	given := map[string][]string{}
	for _, m := range regexp.MustCompile(`(?s)sid\s*=\s*"(\w+)",?\s+actions\s*=\s*\[([^\]]*)\]`).FindAllStringSubmatch(text, -1) {
		given[m[1]] = found(m[2], `"([^"]+)"`)
	}
	for _, place := range []string{"Raw", "Lake", "Manifests", "State"} { // of ${title(name)} in roles.tf
		given[place+"List"] = []string{"s3:ListBucket"}
		given["Read"+place+"List"] = []string{"s3:ListBucket"}
		given["Read"+place] = []string{"s3:GetObject"}
		given[place+"ReadWrite"] = found(regexp.MustCompile(`write_actions = concat\(\[([^\]]*)\]`).FindString(text), `"([^"]+)"`)
	}
	given["StateReadWrite"] = append([]string{"s3:DeleteObject"}, given["StateReadWrite"]...)
	all := documented(t, "../docs/PERMISSIONS.md")
	for _, s := range documented(t, "../docs/SOURCES.md") {
		if s.Sid != "ListArchive" && s.Sid != "ReadArchive" { // read_buckets has them among those of trails
			all = append(all, s)
		}
	}
	if len(all) < 20 {
		t.Fatalf("%d statements are documented, which is too few", len(all))
	}
	folders := found(regexp.MustCompile(`(?s)lake_folders = \[.*?\]`).FindString(text), `"([^"]+)"`)
	for _, s := range all {
		if s.Sid == "LakeRemove" {
			if diff := cmp.Diff(foldersOf(s), folders); diff != "" {
				t.Errorf("folders of the lake (-documented +given)\n%s", diff)
			}
		}
		want := slices.Sorted(slices.Values(s.actions()))
		if diff := cmp.Diff(want, given[s.Sid]); diff != "" {
			t.Errorf("%s (-documented +given)\n%s", s.Sid, diff)
		}
	}
}

// foldersOf are those that a statement names below a place.
func foldersOf(s statement) []string {
	list, _ := s.Resource.([]any)
	folders := make([]string, len(list))
	for i, arn := range list {
		text, _ := arn.(string)
		folders[i] = filepath.Base(filepath.Dir(text))
	}
	return folders
}

// Who may list a place, or use the key, may do it as far as policy says.
func TestConditions(t *testing.T) {
	text := module(t)
	for form, want := range map[string]int{
		`sid        = "(?:Read)?\$\{title\(name\)\}List"\s+actions    = \["s3:ListBucket"\]\s+resources  = \[[^]]+\]+\s+conditions = \[\{ test = "StringLike", variable = "s3:prefix", values = \["\$\{p\.prefix\}/\*"\] \}\]`: 2,
		`sid = "(?:Read)?Key", actions = \[[^]]+\], resources = \[var\.kms_key_arn\], conditions = local\.by_s3`:                                                                                                               2,
		`for_each = try\(statement\.value\.conditions, \[\]\)`: 2,
	} {
		if got := len(regexp.MustCompile(form).FindAllString(text, -1)); got != want {
			t.Errorf("%d of %s, want %d", got, form, want)
		}
	}
}

// The example's jobs and times are those of its config, in EventBridge's words.
func TestSchedulesOfExample(t *testing.T) {
	text := read(t, "terraform/examples/complete/main.tf")
	for job, schedule := range jobs(configs(t)["terraform"]) {
		s, err := serve.ParseSchedule(schedule, time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		want, err := s.EventBridge()
		if err != nil {
			t.Fatal(err)
		}
		m := regexp.MustCompile(`(?m)^    ` + job + ` = \{\n      schedules\s+= \[(.*)\]$`).FindStringSubmatch(text)
		if m == nil {
			t.Errorf("the example has no job %s", job)
			continue
		}
		if diff := cmp.Diff(want, found(m[1], `"([^"]+)"`)); diff != "" {
			t.Errorf("%s (-config +example)\n%s", job, diff)
		}
	}
}

// The example gives every variable that its config refers to.
func TestSecretsOfExample(t *testing.T) {
	want := found(read(t, "terraform/examples/complete/idtrail.yaml"), `\$\{env:(\w+)\}`)
	block := regexp.MustCompile(`(?s)\n  secrets = \{(.*?)\n  \}`).FindString(read(t, "terraform/examples/complete/main.tf"))
	if diff := cmp.Diff(want, found(block, `(?m)^    (\w+)\s+= `)); diff != "" {
		t.Errorf("(-config +example)\n%s", diff)
	}
}

func TestTaskFitsImage(t *testing.T) {
	text := module(t)
	for _, want := range []string{
		`home = "` + home + `"`, `user                   = "65532:65532"`, "readonlyRootFilesystem = true", "stopTimeout = 30",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the task lacks %s", want)
		}
	}
}

// --- merge-lifecycle.sh -----------------------------------------------------

// fakeAWS answers from files: get from is.json, or with fail.txt as an error;
// put writes its arguments and what it was given.
const fakeAWS = `#!/usr/bin/env bash
cd "$(dirname "$0")"
case $2 in
get-bucket-lifecycle-configuration)
  if [[ -f fail.txt ]]; then cat fail.txt >&2; exit 254; fi
  cat is.json ;;
put-bucket-lifecycle-configuration)
  echo "$@" >args.txt
  for last; do :; done
  cat "${last#file://}" >put.json ;;
*) exit 9 ;;
esac
`

const ourRules = `{"Rules": [{"ID": "idtrail-raw", "Status": "Enabled", "Filter": {"Prefix": "raw/"}, "NoncurrentVersionExpiration": {"NoncurrentDays": 30}}]}`

func TestMergeLifecycle(t *testing.T) {
	for _, tool := range []string{"bash", "jq", "diff"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	const theirs = `{"ID": "logs", "Status": "Enabled", "Filter": {"And": {"Prefix": "l/", "Tags": [{"Key": "a", "Value": "b"}]}}, "Expiration": {"Days": 7}}`
	const none = "An error occurred (NoSuchLifecycleConfiguration) when calling the GetBucketLifecycleConfiguration operation"
	ours := strings.TrimSuffix(strings.TrimPrefix(ourRules, `{"Rules": [`), "]}")
	tests := map[string]struct {
		is, fail, in string
		args         []string
		code         int
		put          string // what is written; "" is nothing
	}{
		"none yet":        {fail: none, put: ourRules},
		"beside theirs":   {is: `{"Rules": [` + theirs + `]}`, put: `{"Rules": [` + theirs + `, ` + ours + `]}`},
		"without an id":   {is: `{"Rules": [{"Status": "Enabled", "Prefix": "x"}]}`, put: `{"Rules": [{"Status": "Enabled", "Filter": {"Prefix": "x"}}, ` + ours + `]}`},
		"ours were older": {is: `{"Rules": [{"ID": "idtrail-gone"}, ` + theirs + `]}`, put: `{"Rules": [` + theirs + `, ` + ours + `]}`},
		"nothing differs": {is: `{"Rules": [` + ours + `, ` + theirs + `]}`},
		"not told to":     {is: `{"Rules": [` + theirs + `]}`, args: []string{"acme"}, code: 3},
		"denied":          {fail: "An error occurred (AccessDenied)", code: 1},
		"odd answer":      {is: `{}`, code: 1},
		"empty answer":    {is: ``, code: 1},
		"not ours":        {is: `{"Rules": []}`, in: `{"Rules": [` + theirs + `]}`, code: 2},
		"no rules":        {is: `{"Rules": []}`, in: `{"Rules": []}`, code: 2},
		"no JSON":         {is: `{"Rules": []}`, in: `Error`, code: 2},
		"no bucket":       {is: `{"Rules": []}`, args: []string{"--yes"}, code: 2},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if tt.args == nil {
				tt.args = []string{"--yes", "acme"}
			}
			if tt.in == "" {
				tt.in = ourRules
			}
			put(t, dir, map[string]string{"aws": fakeAWS, "is.json": tt.is, "fail.txt": tt.fail})
			code, out := merge(t, dir, tt.in, tt.args)
			if code != tt.code {
				t.Errorf("exit code %d, want %d: %s", code, tt.code, out)
			}
			written, err := os.ReadFile(filepath.Join(dir, "put.json"))
			if (err == nil) != (tt.put != "") {
				t.Fatalf("written %v: %s\n%s", err == nil, written, out)
			}
			if tt.put == "" {
				return
			}
			if diff := cmp.Diff(decoded(t, tt.put), decoded(t, string(written))); diff != "" {
				t.Errorf("written (-want +got)\n%s", diff)
			}
		})
	}
}

// The least size of what moves to other classes is part of the configuration.
func TestMergeLifecycleKeepsSize(t *testing.T) {
	if _, err := exec.LookPath("jq"); err != nil {
		t.Skip("jq is not installed")
	}
	dir := t.TempDir()
	put(t, dir, map[string]string{"aws": fakeAWS, "is.json": `{"TransitionDefaultMinimumObjectSize": "varies_by_storage_class", "Rules": []}`})
	if code, out := merge(t, dir, ourRules, []string{"--yes", "acme"}); code != 0 {
		t.Fatalf("exit code %d: %s", code, out)
	}
	if args := read(t, filepath.Join(dir, "args.txt")); !strings.Contains(args, "--bucket acme --transition-default-minimum-object-size varies_by_storage_class ") {
		t.Errorf("called with %s", args)
	}
}

func put(t *testing.T, dir string, texts map[string]string) {
	t.Helper()
	for name, text := range texts {
		if name == "fail.txt" && text == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
}

func merge(t *testing.T, dir, in string, args []string) (int, string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", append([]string{"terraform/merge-lifecycle.sh"}, args...)...)
	cmd.Env = append(os.Environ(), "PATH="+dir+string(os.PathListSeparator)+os.Getenv("PATH"), "TMPDIR="+t.TempDir())
	cmd.Stdin = strings.NewReader(in)
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(fmt.Errorf("run: %w", err))
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

func decoded(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

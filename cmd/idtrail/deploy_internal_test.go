package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Where the files of deploy/ call the program, by the ends of their names: each
// match is a command line behind the program's name, or a list of its words.
var deployCalls = map[string][]*regexp.Regexp{
	"Dockerfile":    {regexp.MustCompile(`(?m)(?:^|\s)CMD \[(.*)\]$`)},
	".service":      {regexp.MustCompile(`(?m)^Exec\w+=\S*idtrail (.*)$`)},
	"cron/idtrail":  {regexp.MustCompile(`(?m)^\S.* idtrail idtrail ([^>|\n]*)`)},
	"cronjobs.yaml": {regexp.MustCompile(`(?m)^ *args: \[(.*)\]$`)},
	"serve.yaml":    {regexp.MustCompile(`(?m)^ *args: \[(.*)\]$`)},
	".tf":           {regexp.MustCompile(`(?m)\bargs\s+= \[(.*?)\]`), regexp.MustCompile(`coalesce\(each\.value\.args, \[(.*?)\]\)`)},
	".sysusers":     {regexp.MustCompile(`\bidtrail ([a-z]+)\n`)},
	".md":           {regexp.MustCompile("`idtrail ((?:[a-z]+ ?[^`]*))`"), regexp.MustCompile(`(?m)^docker run .* idtrail ([a-z].*)$`)},
}

// TestDeployCallsExist: every verb and flag that deploy/ names is one of ours.
func TestDeployCallsExist(t *testing.T) {
	calls := map[string][]string{}
	for _, dir := range []string{"Dockerfile", "README.md", "cron", "systemd", "kubernetes", "terraform"} {
		err := filepath.WalkDir(filepath.Join("../../deploy", dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := os.ReadFile(path)
			for end, forms := range deployCalls {
				for _, form := range forms {
					if !strings.HasSuffix(path, end) {
						continue
					}
					for _, m := range form.FindAllStringSubmatch(string(text), -1) {
						calls[end] = append(calls[end], m[1])
					}
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for end, forms := range deployCalls {
		if len(calls[end]) < len(forms) {
			t.Errorf("no call is found in %s: the form of it has changed", end)
		}
		for _, call := range calls[end] {
			if err := unknownIn(call); err != nil {
				t.Errorf("%s: idtrail %s: %v", end, call, err)
			}
		}
	}
}

// unknownIn says what of a command line the program does not know.
func unknownIn(call string) error {
	words := strings.Fields(strings.NewReplacer(`"`, "", ",", " ").Replace(call))
	if words[0] == "/usr/bin/idtrail" {
		words = words[1:]
	}
	a := &app{system: system{Name: "idtrail"}}
	cmd, rest, err := a.root().Find(words)
	if err != nil {
		return err
	}
	if !cmd.HasParent() && words[0] != "--help" {
		return usage("", "%s is no verb", words[0])
	}
	cmd.InitDefaultHelpFlag()
	return cmd.ParseFlags(rest)
}

// TestAlarmCountsRuns: the line that Terraform's alarm on silence counts is one
// that a run, called as there, writes at its end.
func TestAlarmCountsRuns(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../deploy/terraform/alarms.tf")
	if err != nil {
		t.Fatal(err)
	}
	pattern := regexp.MustCompile(`pattern\s+= "\{ \$\.msg = \\"(.*)\\" \}"`).FindSubmatch(text)
	if pattern == nil {
		t.Fatal("the alarm counts something else")
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "in"), 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "idtrail.yaml")
	const config = "state: state\nlake: lake\nsources: [{name: a, kind: archive, format: auth0_logs, path: in}]\n"
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, log bytes.Buffer
	code := run(t.Context(), []string{"run", "--log-format", "json", "-c", file}, system{
		Name: "idtrail", Out: &out, Err: &log, Env: func(string) (string, bool) { return "", false }, Now: time.Now,
	})
	if code != exitDone {
		t.Fatalf("exit code %d: %s", code, log.String())
	}
	n := 0
	for line := range strings.Lines(log.String()) {
		var entry struct{ Msg string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == string(pattern[1]) {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%q is logged %d times in\n%s", pattern[1], n, log.String())
	}
}

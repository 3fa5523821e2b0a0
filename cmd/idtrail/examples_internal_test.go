package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// shellWord is a word of a command line: plain, or in quotes.
var shellWord = regexp.MustCompile(`^(?:'([^']*)'|"([^"]*)"|([^\s'"|<>&]+))`)

// exampleArgs are the arguments of a line of an example, without what the shell
// does with it and without the remark behind it, which two spaces set off.
func exampleArgs(line string) (args []string, ok bool) {
	line, ok = strings.CutPrefix(strings.TrimSpace(line), "idtrail")
	if !ok || line != "" && line[0] != ' ' {
		return nil, false
	}
	for strings.HasPrefix(line, " ") && !strings.HasPrefix(line, "  ") {
		word := shellWord.FindStringSubmatch(line[1:])
		if word == nil {
			break
		}
		args = append(args, word[1]+word[2]+word[3])
		line = line[1+len(word[0]):]
	}
	return args, true
}

// TestExamplesAreUnderstood: each line that a verb's help shows is one that the
// verb understands: its flags are there, their values fit, and its arguments are
// as many as it takes.
func TestExamplesAreUnderstood(t *testing.T) {
	for _, verb := range allVerbs() {
		lines := 0
		for line := range strings.Lines(verb.Example) {
			line = strings.TrimPrefix(strings.TrimSpace(line), "source <(") // of completion
			args, ok := exampleArgs(strings.TrimSuffix(line, ")"))
			if !ok {
				continue
			}
			lines++
			if err := understood(allVerbs()[0], verb, args); err != nil {
				t.Errorf("%s: %s: %v", verb.CommandPath(), line, err)
			}
		}
		if lines == 0 {
			t.Errorf("%s: no line of its example calls it", verb.CommandPath())
		}
	}
}

func understood(root, shownBy *cobra.Command, args []string) error {
	verb, rest, err := root.Find(args)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(verb.CommandPath(), shownBy.CommandPath()) {
		return fmt.Errorf("it shows %s", verb.CommandPath())
	}
	if err := verb.ParseFlags(rest); err != nil {
		return err
	}
	if err := verb.ValidateRequiredFlags(); err != nil {
		return err
	}
	return verb.ValidateArgs(verb.Flags().Args())
}

// tried are the examples that can be run without an account, in this order.
var tried = []string{
	"version", "version --json", "completion bash", "completion fish",
	"keygen --name acme-audit",
	"run", "run nightly --strict",
	"status", "status --max-age 30m", "status --json",
	"find --user jane@example.com", "find --user jane@example.com --since 7d",
	"find --user auth0|5f7c8ec7 --since 2026-11-01 --until 2026-11-08",
	"find --user jane@example.com --since 24h --json",
	"reconcile report", "reconcile report --format html --output drift.html",
	"reconcile report --left acme_users --right pool --format csv",
	"verify", "verify --report 2026-01-01..2026-03-31 -o evidence.html",
	"athena --list", "athena --query password_spray --set users=20 --set days=7", "athena --dialect duckdb --tables",
	"replay --dry-run", "replay --rejected", "replay --source acme --from 2026-01-01 --to 2026-02-01",
	"prune --dry-run",
	"erase --user auth0|5f7c8ec7 --user jane@example.com --dry-run",
	"erase --user jane@example.com --reason request 4711 --yes",
	"state show", "state show acme --json",
	"serve --print-schedules",
	"check", "check --write",
}

// TestExamplesWork runs them, as help shows them, where a lake is.
func TestExamplesWork(t *testing.T) {
	shown := map[string][]string{}
	for _, verb := range allVerbs() {
		for line := range strings.Lines(verb.Example) {
			args, _ := exampleArgs(strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(line), "source <("), ")"))
			shown[strings.Join(args, " ")] = args
		}
	}
	t.Chdir(exampleLake(t))
	for _, example := range tried {
		args, ok := shown[example]
		if !ok {
			t.Errorf("no help shows %q", example)
			continue
		}
		var out, errs bytes.Buffer
		code := run(context.Background(), args, system{
			Name: "idtrail", In: strings.NewReader(""), Out: &out, Err: &errs, Now: time.Now,
			Env: func(string) (string, bool) { return "", false },
		})
		if code != exitDone || out.Len() == 0 && !strings.Contains(example, "--output") && !strings.Contains(example, "--json") {
			t.Errorf("idtrail %s: exit code %d\n%s%s", example, code, out.String(), errs.String())
		}
	}
}

// exampleLake is a directory with a config as the examples have it.
func exampleLake(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	now := time.Now().UTC()
	for name, text := range map[string]string{
		"idtrail.yaml": `state: state
lake: lake
retention: {lake: 365d}
sources:
  - {name: acme, kind: archive, format: auth0_logs, path: log}
  - {name: acme_users, kind: archive, format: auth0_users, path: auth0}
  - {name: pool, kind: archive, format: cognito_users, path: cognito}
reconcile:
  - {left: acme_users, right: pool}
jobs:
  audit: {sources: [acme], schedule: "*/5 * * * *"}
  nightly: {sources: [acme_users, pool], reconcile: true, schedule: "0 2 * * *"}
`,
		"log/a.json": fmt.Sprintf(`{"log_id":"90020261120090000000000000000000000001","date":%q,"type":"s","user_id":"auth0|5f7c8ec7","user_name":"jane@example.com","ip":"192.0.2.1","description":"Welcome"}
`, now.Add(-time.Hour).Format(time.RFC3339)),
		"auth0/a.ndjson": `{"user_id":"auth0|5f7c8ec7","email":"jane@example.com","email_verified":true,"name":"Jane","created_at":"2025-01-01T00:00:00Z"}
`,
		"cognito/a.json": `{"Users":[{"Username":"jane","Attributes":[{"Name":"sub","Value":"3b1f"},{"Name":"email","Value":"jane@example.com"},{"Name":"email_verified","Value":"true"},{"Name":"name","Value":"Jane D"}],"Enabled":true,"UserStatus":"CONFIRMED"}]}
`,
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

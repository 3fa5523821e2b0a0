package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/idtrail/idtrail/internal/config"
)

// answers are what init asks for; each has a flag.
type answers struct {
	lake, state  string
	auth0        string
	auth0Logs    string
	cloudTrail   string
	auth0Users   string
	cognitoUsers string
}

// question is one of them.
type question struct {
	flag, ask, usage string
	answer           *string
}

func (w *answers) questions() []question {
	return []question{
		{"lake", "Where should the lake be: a directory or s3://bucket/prefix?", "`place` of the lake: a directory or s3://bucket/prefix", &w.lake},
		{"state", "Where should the state be: a directory on a local disk?", "`directory` of the state, on a local disk", &w.state},
		{"auth0", "Auth0 tenant to read the log of, like acme.eu.auth0.com (empty: none)?", "Auth0 `tenant` to read the log of", &w.auth0},
		{"auth0-logs", "Files of Auth0 logs: a directory, a glob or s3://… (empty: none)?", "`files` of Auth0 logs: a directory, a glob or s3://…", &w.auth0Logs},
		{"cloudtrail", "Files of CloudTrail (empty: none)?", "`files` of CloudTrail", &w.cloudTrail},
		{"auth0-users", "Files of exported Auth0 users (empty: none)?", "`files` of exported Auth0 users", &w.auth0Users},
		{"cognito-users", "Files of exported Cognito users (empty: none)?", "`files` of exported Cognito users", &w.cognitoUsers},
	}
}

func (a *app) initCommand() *cobra.Command {
	w := &answers{lake: "./data/lake", state: "./data/state"}
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Write a config, after a few questions or from flags",
		Long: `Init writes a commented config (to -c, default ./idtrail.yaml) and makes ./data
beside it. On a terminal it asks for what no flag says; else it takes flags and
defaults. It never overwrites a file. Secrets are not asked for: the config
names the environment variables that hold them.`,
		Example: `  idtrail init
  idtrail init --auth0 acme.eu.auth0.com --lake s3://my-bucket/lake
  idtrail init --cloudtrail './trail/**/*.json.gz' -c /etc/idtrail/idtrail.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.initialise(cmd.Context(), w, cmd.Flags().Changed)
		},
	}
	for _, q := range w.questions() {
		cmd.Flags().StringVar(q.answer, q.flag, *q.answer, q.usage)
	}
	return cmd
}

func (a *app) initialise(ctx context.Context, w *answers, given func(flag string) bool) error {
	path := a.configPath
	if path == "" {
		path = config.DefaultFile
	}
	if strings.HasPrefix(path, "s3://") {
		return usage("write it here, and copy it there", "init writes files, not %s", path)
	}
	if _, err := os.Lstat(path); err == nil {
		return usage("edit it, or name another with -c", "%s exists already, and is left as it is", path)
	}
	if err := a.ask(ctx, w, given); err != nil {
		return err
	}
	text, err := w.file()
	if err != nil {
		return err
	}
	if err := checkText(text, path); err != nil {
		return err
	}
	if err := writeConfig(path, text); err != nil {
		return err
	}
	return a.tellNext(path, w)
}

// ask asks for what no flag said. Off a terminal there is nobody to ask.
func (a *app) ask(ctx context.Context, w *answers, given func(flag string) bool) error {
	f, ok := a.In.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	lines := bufio.NewReader(a.In)
	for _, q := range w.questions() {
		if given(q.flag) {
			continue
		}
		answer, err := a.askOne(lines, q)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return err
		}
		*q.answer = answer
	}
	return nil
}

func (a *app) askOne(lines *bufio.Reader, q question) (string, error) {
	if *q.answer == "" {
		fmt.Fprintf(a.Err, "%s ", q.ask)
	} else {
		fmt.Fprintf(a.Err, "%s [%s] ", q.ask, *q.answer)
	}
	line, err := lines.ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read answer: %w", err)
	}
	if line = strings.TrimSpace(line); line != "" {
		return line, nil
	}
	return *q.answer, nil
}

// checkText refuses answers that would make a config that does not work.
func checkText(text, path string) error {
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("find the directory of %s: %w", path, err)
	}
	o := config.Options{Dir: dir, SkipSecrets: true, Env: func(string) (string, bool) { return "-", true }}
	if _, err := config.Parse([]byte(text), path, o); err != nil {
		return withHint(fmt.Errorf("the answers make no good config: %w", err), "nothing was written; try again")
	}
	return nil
}

// writeConfig creates the file and the data directory beside it.
func writeConfig(path, text string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // the directory of a config is no secret
		return fmt.Errorf("make directory of config: %w", err)
	}
	data := filepath.Join(dir, "data")
	if err := os.MkdirAll(data, 0o700); err != nil {
		return fmt.Errorf("make data directory: %w", err)
	}
	// It will hold personal data, and must not be committed by accident.
	if err := create(filepath.Join(data, ".gitignore"), "*\n"); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("write .gitignore: %w", err)
	}
	if err := create(path, text); err != nil {
		return fmt.Errorf("write config: %w", err)
	}
	return nil
}

// create writes a new file, and leaves none that is half written.
func create(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

func (a *app) tellNext(path string, w *answers) error {
	if a.json {
		return a.printJSON(map[string]any{"config": path, "environment": w.environment()})
	}
	if err := a.printf("Wrote %s. Next:\n\n", path); err != nil {
		return err
	}
	for _, name := range w.environment() {
		if err := a.printf("  export %s=…\n", name); err != nil {
			return err
		}
	}
	flag := ""
	if a.configPath != "" {
		flag = " -c " + path
	}
	return a.printf("  idtrail check%s\n  idtrail run%s\n", flag, flag)
}

func (w *answers) environment() []string {
	if w.auth0 == "" {
		return []string{}
	}
	return []string{"AUTH0_CLIENT_ID", "AUTH0_CLIENT_SECRET"}
}

// file is the text of the config.
func (w *answers) file() (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "# Config of idtrail. Relative paths count from this file. Every other key, with\n"+
		"# its default, is in idtrail.example.yaml; an unknown key is an error.\n\n"+
		"# What was read and delivered: one SQLite file a source, on a local disk.\nstate: %s\n\n"+
		"# The tables; raw records, the evidence, go to raw/ in it.\nlake: %s\n\n",
		strconv.Quote(w.state), strconv.Quote(w.lake))
	if w.auth0 != "" {
		fmt.Fprintf(&b, "connections:\n  auth0:\n    auth0: %s\n"+
			"    # A machine-to-machine application with the scope read:logs of the\n    # Management API.\n"+
			"    client_id: \"${env:AUTH0_CLIENT_ID}\"\n    client_secret: \"${env:AUTH0_CLIENT_SECRET}\"\n\n",
			strconv.Quote(w.auth0))
	}
	sources := w.sources()
	if sources == "" {
		return "", usage("name one, as in: idtrail init --auth0 acme.eu.auth0.com", "there is nothing to read")
	}
	b.WriteString("# A name is for good: a renamed source begins anew.\nsources:\n" + sources)
	b.WriteString("\n# Few large files are fast to query: a source is flushed once in this time.\n" +
		"sinks:\n  - name: lake\n    kind: parquet\n    every: 1h\n")
	if w.auth0Users != "" && w.cognitoUsers != "" {
		b.WriteString("\n# Compare the users of both sides; scope says who is expected on both.\n" +
			"reconcile:\n  - left: auth0_users\n    right: cognito_users\n")
	}
	return b.String(), nil
}

func (w *answers) sources() string {
	var b strings.Builder
	if w.auth0 != "" {
		b.WriteString("  - name: auth0\n    kind: auth0_logs\n    connection: auth0\n" +
			"    # Where the first run begins; Auth0 keeps 1 to 30 days, by plan.\n    since: 30d\n")
	}
	for _, archive := range []struct{ name, format, path, extra string }{
		{"auth0_logs", config.FormatAuth0Logs, w.auth0Logs, ""},
		{
			"cloudtrail", config.FormatCloudTrail, w.cloudTrail,
			"    # The services to keep; [all] keeps everything.\n" +
				"    event_sources: [cognito-idp, cognito-identity, signin, sts, iam]\n",
		},
		{"auth0_users", config.FormatAuth0Users, w.auth0Users, "    # Each file is a complete snapshot.\n    snapshot: file\n"},
		{"cognito_users", config.FormatCognitoUsers, w.cognitoUsers, "    snapshot: file\n"},
	} {
		if archive.path == "" {
			continue
		}
		fmt.Fprintf(&b, "  - name: %s\n    kind: archive\n    format: %s\n    path: %s\n"+
			"    # Look for new files in every run.\n    poll: true\n%s",
			archive.name, archive.format, strconv.Quote(archive.path), archive.extra)
	}
	return b.String()
}

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/idtrail/idtrail/internal/config"
)

// question is one that init asks; all but those that lead to others have a flag.
type question struct {
	flag, ask, usage string
	answer           *string
	// when says whether it is asked at all, after what was answered so far; nil
	// is always.
	when func() bool
}

func (w *answers) questions() []question {
	auth0 := func() bool { return w.auth0 != "" }
	region := func() bool { return w.trail != "" && w.region() == "" }
	files := func() bool { return strings.HasPrefix(strings.ToLower(w.files), "y") }
	siem := func() bool { return strings.HasPrefix(strings.ToLower(w.siem), "y") }
	return []question{
		{"lake", "Where should the lake be: a directory or s3://bucket/prefix?", "`place` of the lake: a directory or s3://bucket/prefix", &w.lake, nil},
		{"state", "Where should the state be: a directory on a local disk?", "`directory` of the state, on a local disk", &w.state, nil},
		{"auth0", "Auth0 tenant to read, like acme.eu.auth0.com (empty: none)?", "Auth0 `tenant` to read, like acme.eu.auth0.com", &w.auth0, nil},
		{"auth0-read", "Read its log, its users or both?", "`what` to read of the tenant: log, users or both", &w.auth0Read, auth0},
		{"cognito", "Cognito user pool to read, by its id like eu-west-1_Ab1Cd2Ef3 (empty: none)?", "`id` of a Cognito user pool to read", &w.pool, nil},
		{
			"trail", "CloudTrail: the bucket of a trail, or history for the account's last 90 days (empty: none)?",
			"`bucket` of a CloudTrail trail, or history for the account's last 90 days", &w.trail, nil,
		},
		{"aws-region", "AWS region (empty: what the AWS SDK finds)?", "AWS `region`; default that of the user pool, else what the AWS SDK finds", &w.awsRegion, region},
		{"", "Are there files to read, too: exports, or archives of logs?", "", &w.files, w.noFiles},
		{"auth0-logs", "Files of Auth0 logs: a directory, a glob or s3://… (empty: none)?", "`files` of Auth0 logs: a directory, a glob or s3://…", &w.auth0Logs, files},
		{"cloudtrail", "Files of CloudTrail (empty: none)?", "`files` of CloudTrail", &w.cloudTrail, files},
		{"auth0-users", "Files of exported Auth0 users (empty: none)?", "`files` of exported Auth0 users", &w.auth0Users, files},
		{"cognito-users", "Files of exported Cognito users (empty: none)?", "`files` of exported Cognito users", &w.cognitoUsers, files},
		{"", "Are events to be sent on, to Datadog, Splunk or an OpenTelemetry collector?", "", &w.siem, w.noSIEM},
		{"datadog", "Datadog site to send events to, like datadoghq.eu (empty: none)?", "Datadog `site` to send events to, like datadoghq.eu", &w.datadog, siem},
		{"splunk", "Splunk HTTP event collector, like https://splunk.example.com:8088 (empty: none)?", "`URL` of a Splunk HTTP event collector to send events to", &w.splunk, siem},
		{"otlp", "OpenTelemetry collector, like https://otel.example.com:4318 (empty: none)?", "`URL` of an OpenTelemetry collector to send events to, over HTTP", &w.otlp, siem},
	}
}

func (a *app) initCommand() *cobra.Command {
	w := &answers{lake: "./data/lake", state: "./data/state", auth0Read: readBoth, files: "no", siem: "no"}
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Write a config, after a few questions or from flags",
		Long: `Init writes a commented config (to -c, default ./idtrail.yaml) and makes ./data
beside it. On a terminal it asks for what no flag says; else it takes flags and
defaults. It never overwrites a file. Secrets are not asked for: the config
names the environment variables that hold Auth0's and those of the receivers of
events, and those of AWS are found as the AWS SDK does, by environment, profile
or role.

With events and users it makes two jobs, for two lines of cron: audit, without
the users, to run often, and nightly, with them and the comparison.`,
		Example: `  idtrail init
  idtrail init --auth0 acme.auth0.com --cognito eu-west-1_Ab1Cd2Ef3 --trail logs
  idtrail init --auth0 acme.auth0.com --auth0-read log --lake s3://acme/lake
  idtrail init --trail history --aws-region eu-west-1 --datadog datadoghq.eu
  idtrail init --cloudtrail './trail/**/*.json.gz' -c /etc/idtrail/idtrail.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.initialise(cmd.Context(), w, cmd.Flags().Changed)
		},
	}
	for _, q := range w.questions() {
		if q.flag != "" {
			cmd.Flags().StringVar(q.answer, q.flag, *q.answer, q.usage)
		}
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
	if err := checkText(text, path); err != nil { //nolint:contextcheck // nothing is fetched where secrets are skipped
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
		if q.flag != "" && given(q.flag) || q.when != nil && !q.when() {
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
	sources := w.sources()
	if a.json {
		jobs := []string{config.DefaultJob}
		if hasJobs(sources) {
			jobs = []string{jobOften, jobNightly}
		}
		return a.printJSON(map[string]any{"config": path, "environment": w.environment(), "jobs": jobs})
	}
	flag := ""
	if a.configPath != "" {
		flag = " -c " + path
	}
	var next strings.Builder
	fmt.Fprintf(&next, "Wrote %s. Next:\n\n", path)
	for _, name := range w.environment() {
		fmt.Fprintf(&next, "  export %s=…\n", name)
	}
	fmt.Fprintf(&next, "  idtrail policy%s     what to allow and grant\n  idtrail check%s\n  idtrail run%s\n", flag, flag, flag)
	if hasJobs(sources) {
		fmt.Fprintf(&next, "\nThen, by cron:\n\n  idtrail run %s%s     every five minutes\n  idtrail run %s%s   once a night, with the users\n",
			jobOften, flag, jobNightly, flag)
	}
	return a.printf("%s", next.String())
}

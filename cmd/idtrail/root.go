package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/spf13/cobra"

	"github.com/idtrail/idtrail/internal/config"
	"github.com/idtrail/idtrail/internal/secret"
	"github.com/idtrail/idtrail/internal/telemetry"
)

// system is what the program takes from the machine.
type system struct {
	// Name is what the program was called by.
	Name     string
	In       io.Reader
	Out, Err io.Writer
	Env      func(string) (string, bool)
	Now      func() time.Time
	// AWS takes the place of what the environment and the config say; nil but
	// in the demo.
	AWS *aws.Config
}

// app is what the verbs share.
type app struct {
	system
	// term is Err, shared by logs and the progress line.
	term *console
	log  *slog.Logger
	// tel sends traces and metrics; nil where nothing asks for them.
	tel *telemetry.Telemetry
	// dir is the working directory.
	dir string

	// The global flags.
	configPath string
	json       bool
	quiet      bool
	logLevel   string
	logFormat  string

	// begun says that the command line was understood.
	begun bool
}

// run is the whole program: it returns the exit code.
func run(ctx context.Context, args []string, sys system) int {
	a := &app{system: sys, term: newConsole(sys.Err, sys.Now)}
	root := a.root() //nolint:contextcheck // the verbs take the context of their command
	root.SetArgs(args)
	root.SetIn(sys.In)
	root.SetOut(sys.Out)
	root.SetErr(sys.Err)
	cmd, err := root.ExecuteContextC(ctx)
	a.term.clear()
	if err != nil && !a.begun && exitCode(err) == exitFailed {
		err = usage("try: "+cmd.CommandPath()+" --help", "%w", err)
	}
	if err != nil && ctx.Err() != nil && exitCode(err) == exitFailed {
		err = &exitError{code: exitInterrupted, err: err, hint: hintOf(ctx.Err())}
	}
	report(sys.Err, err, a.json || !a.begun && asksJSON(args))
	return exitCode(err)
}

// asksJSON looks for --json where the flags could not be read.
func asksJSON(args []string) bool {
	if end := slices.Index(args, "--"); end >= 0 {
		args = args[:end]
	}
	return slices.Contains(args, "--json") || slices.Contains(args, "--json=true")
}

// helpWidth is that of a terminal nobody has made wider.
const helpWidth = 80

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "idtrail",
		Short: "Keeps the identity audit trail and the users in a lake of your own",
		Long: `Idtrail pulls identity logs and users, keeps them as they were in segments that
can be proven, writes them as one schema to a lake of Parquet and JSON, and
compares the users of two systems.

` + exitHelp,
		Example: `  idtrail demo                 see all of it on a made-up company
  idtrail init                 write a config
  idtrail check                try what it names
  idtrail run                  extract, land, deliver, reconcile
  idtrail serve                the same on schedules, as a service
  idtrail status               where everything stands
  idtrail find --user jane@example.com
                               what a person did
  idtrail reconcile report     how the users of two systems differ`,
		Args:              knownVerb,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRunE: func(*cobra.Command, []string) error { return a.begin() },
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage("try: "+cmd.CommandPath()+" --help", "%w", err)
	})
	root.SetHelpCommand(helpCommand())
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages |", fmt.Sprintf(".FlagUsagesWrapped %d |", helpWidth)))
	f := root.PersistentFlags()
	f.StringVarP(&a.configPath, "config", "c", "", "config `file` or s3://bucket/key (default $IDTRAIL_CONFIG, $IDTRAIL_CONFIG_YAML, ./idtrail.yaml)")
	f.BoolVar(&a.json, "json", false, "results and errors as JSON")
	f.BoolVarP(&a.quiet, "quiet", "q", false, "no progress, and logs of warnings only")
	f.StringVar(&a.logLevel, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&a.logFormat, "log-format", "auto", "text, json, or auto: text on a terminal")
	root.AddCommand(
		a.initCommand(),
		a.checkCommand(),
		a.policyCommand(),
		a.runCommand(),
		a.serveCommand(),
		a.statusCommand(),
		a.findCommand(),
		a.reconcileCommand(),
		a.athenaCommand(),
		a.verifyCommand(),
		a.backfillCommand(),
		a.replayCommand(),
		a.pruneCommand(),
		a.eraseCommand(),
		a.stateCommand(),
		a.keygenCommand(),
		a.demoCommand(),
		a.versionCommand(),
		a.completionCommand(),
	)
	return root
}

// begin is called once the command line is understood.
func (a *app) begin() error {
	var level slog.Level
	if err := level.UnmarshalText([]byte(a.logLevel)); err != nil {
		return usage("write debug, info, warn or error", "--log-level %s is unknown", a.logLevel)
	}
	if a.quiet {
		level = max(level, slog.LevelWarn)
		a.term.silence()
	}
	handler, err := a.handler(level)
	if err != nil {
		return err
	}
	a.log = slog.New(handler)
	a.begun = true
	a.dir, err = os.Getwd()
	if err != nil {
		return fmt.Errorf("find the working directory: %w", err)
	}
	return nil
}

func (a *app) handler(level slog.Level) (slog.Handler, error) {
	format := a.logFormat
	if format == "auto" && a.term.terminal {
		format = "text"
	}
	o := &slog.HandlerOptions{Level: level}
	switch format {
	case "text":
		return slog.NewTextHandler(a.term, o), nil
	case "json", "auto":
		return slog.NewJSONHandler(a.term, o), nil
	default:
		return nil, usage("write auto, text or json", "--log-format %s is unknown", a.logFormat)
	}
}

// config reads the config file. Verbs that only read the lake need no secrets,
// and must not fail for want of them.
func (a *app) config(ctx context.Context, secrets secretUse) (*config.Config, error) {
	return a.loadConfig(ctx, config.Options{SkipSecrets: secrets == noSecrets})
}

// loadConfig reads the config file with what the machine has.
func (a *app) loadConfig(ctx context.Context, o config.Options) (*config.Config, error) {
	o.Path, o.Dir, o.Env, o.ReadS3, o.Fetch = a.configPath, a.dir, a.Env, readS3, vaults()
	c, err := config.Load(ctx, o)
	switch {
	case err == nil:
	case errors.Is(err, secret.ErrUnavailable), ctx.Err() != nil:
		// The config may be good: the next try tells.
		return nil, &exitError{code: exitFailed, err: err}
	case exitCode(err) == exitFailed:
		return nil, &exitError{code: exitUsage, err: err}
	default:
		return nil, err
	}
	for _, w := range c.Warnings {
		a.log.Warn("config", "file", c.File, "line", w.Line, "key", w.Key, "problem", w.Message, "hint", w.Hint)
	}
	return c, nil
}

// secretUse says whether a verb needs what the secrets of the config hold.
type secretUse bool

const (
	withSecrets secretUse = true
	noSecrets   secretUse = false
)

// group is a verb that only has others below it.
func group(use, short, long string, verbs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Long: long, Args: cobra.ArbitraryArgs}
	names, examples := make([]string, len(verbs)), make([]string, len(verbs))
	for i, v := range verbs {
		names[i], examples[i] = v.Name(), v.Example
	}
	cmd.Example = strings.Join(examples, "\n")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		known := "known: " + strings.Join(names, ", ")
		if len(args) > 0 {
			return usage(known, "%s %s is unknown", cmd.CommandPath(), args[0])
		}
		return usage(known, "%s alone does nothing", cmd.CommandPath())
	}
	cmd.AddCommand(verbs...)
	return cmd
}

// errInterrupted is for verbs that stop in good order when told to.
var errInterrupted = &exitError{
	code: exitInterrupted, err: errors.New("interrupted"), hint: "run it again: it goes on where it stopped",
}

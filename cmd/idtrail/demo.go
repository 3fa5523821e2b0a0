package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/idtrail/idtrail/internal/config"
	"github.com/idtrail/idtrail/internal/demo"
	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/internal/proof"
	"github.com/idtrail/idtrail/internal/verify"
	"github.com/idtrail/idtrail/reconcile"
	"github.com/idtrail/idtrail/schema"
)

// demoFlags are how demo was called.
type demoFlags struct {
	dir         string
	users, logs int
}

func (a *app) demoCommand() *cobra.Command {
	var f demoFlags
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run the whole line on a made-up company; needs no account",
		Long: `Demo serves an Auth0 tenant, a Cognito user pool and CloudTrail on loopback and
writes files of a trail, runs once over all of it, and shows what came of it:
counts, the drift between the two sets of users, and what to try next.
Everything stays in one folder, which the next demo makes anew.`,
		Example: `  idtrail demo
  idtrail demo --dir /tmp/northwind --logs 5000`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.demo(cmd.Context(), f) },
	}
	cmd.Flags().StringVar(&f.dir, "dir", filepath.Join("data", "demo"), "the `folder` to work in")
	cmd.Flags().IntVar(&f.users, "users", 2000, "users a side")
	cmd.Flags().IntVar(&f.logs, "logs", 50_000, "Auth0 log records; CloudTrail events are an eighth of it")
	return cmd
}

// The least a demo is made of: below, some kinds of drift do not occur.
const (
	demoMinUsers = 100
	demoMinLogs  = 1
)

func (a *app) demo(ctx context.Context, f demoFlags) error {
	if f.users < demoMinUsers || f.logs < demoMinLogs {
		return usage(fmt.Sprintf("write at least --users %d and --logs %d", demoMinUsers, demoMinLogs), "--users %d or --logs %d is too few", f.users, f.logs)
	}
	private, public, err := proof.GenerateKey("northwind-demo")
	if err != nil {
		return err
	}
	var site *demo.Site
	a.term.during(func() string { return "making up a company in " + f.dir }, func() {
		site, err = demo.Start(ctx, demo.Options{Dir: f.dir, Users: f.users, Logs: f.logs, Trail: max(100, f.logs*3/25), End: a.Now().UTC().Truncate(time.Minute), SigningKey: private, PublicKey: public})
	})
	if errors.Is(err, demo.ErrNotOurs) {
		return withHint(err, "name another folder with --dir")
	}
	if err != nil {
		return err
	}
	err = a.demoOn(ctx, site)
	return errors.Join(err, site.Close())
}

func (a *app) demoOn(ctx context.Context, site *demo.Site) error {
	c, err := config.Load(ctx, config.Options{Path: site.Config, Dir: a.dir, Env: func(name string) (string, bool) {
		return site.Secret, name == demo.SecretVar
	}})
	if err != nil {
		return err
	}
	b := a.builder(c)
	b.ownAWS = new(site.AWS())
	res, err := a.runJob(ctx, b, task{Job: config.Job{Sources: sourceNames(c), Reconcile: true}})
	if err != nil {
		return err
	}
	if a.json || ctx.Err() != nil {
		return a.conclude(ctx, res, false)
	}
	shown := res
	shown.Reconciled = nil // its table follows
	if err := a.printRun(shown); err != nil {
		return err
	}
	if err := verdict(res, false); err != nil {
		return err
	}
	return a.demoShow(ctx, b, site, res)
}

func sourceNames(c *config.Config) []string {
	names := make([]string, len(c.Sources))
	for i, s := range c.Sources {
		names[i] = s.Name
	}
	return names
}

// demoShow prints the drift, and what to try.
func (a *app) demoShow(ctx context.Context, b *builder, site *demo.Site, res runResult) error {
	p, err := b.reader(ctx)
	if err != nil {
		return err
	}
	if err := a.printf("\n"); err != nil {
		return err
	}
	pair := b.pairs(ctx)[0]
	if err := a.demoDrift(ctx, p, pair); err != nil {
		return err
	}
	if err := a.demoVerify(ctx, b, p); err != nil {
		return err
	}
	who, err := someone(ctx, p, pair)
	if err != nil {
		return err
	}
	return a.printf(demoTry, a.Name, site.Config, res.Ended.Sub(res.Started).Round(10*time.Millisecond),
		b.config.Lake.URL, b.config.Raw.URL, b.config.State.URL, htmlReport(b, res), who)
}

// demoVerify proves what the run left, with the demo's public key.
func (a *app) demoVerify(ctx context.Context, b *builder, p *pipeline.Pipeline) error {
	keys, err := proof.NewVerifier(b.config.VerifyKeys...)
	if err != nil {
		return err
	}
	var r verify.Report
	a.term.during(func() string { return "verifying" }, func() {
		r, err = verify.Run(ctx, verify.Options{Raw: p.Raw, Lake: p.Lake, Keys: keys, HaveKeys: true, TempDir: b.config.Limits.TempDir, Now: a.Now})
	})
	if err != nil {
		return err
	}
	if !r.OK() {
		return errors.Join(a.printVerified(r), exitQuietly(exitFailed, many(int64(len(r.Findings)), "finding")))
	}
	text, _, _ := strings.Cut(verdictOf(r), "\n\n") // without the heads
	return a.printf("\nVerified:\n  %s\n", strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n  "))
}

const demoTry = `
All of that took %[3]v, and lies in
  lake    %[4]s
  raw     %[5]s
  state   %[6]s
  report  %[7]s

Try next:
  %[1]s -c %[2]s find --user %[8]s --since 30d
  %[1]s -c %[2]s status
  %[1]s -c %[2]s verify --deep
  %[1]s -c %[2]s reconcile report --rows 50
  duckdb -c "SELECT dt, class_name, status, count(*) AS n
             FROM read_parquet('%[4]s/events/**/*.parquet', hive_partitioning=true, hive_types_autocast=false)
             GROUP BY ALL ORDER BY ALL"
`

// demoDriftRows are shown of each type: enough to see what it is about.
const demoDriftRows = 3

func (a *app) demoDrift(ctx context.Context, p *pipeline.Pipeline, pair pipeline.Reconcile) error {
	cmp, err := p.Compare(ctx, pair)
	if err != nil {
		return err
	}
	err = reconcile.WriteTable(a.Out, cmp.Summary, cmp.Rows(), reconcile.TableOptions{Width: a.outWidth(), Rows: demoDriftRows})
	return errors.Join(err, cmp.Close())
}

// someone is a person to look for, quoted for a shell: of those in the left
// snapshot, the one who signed in last.
func someone(ctx context.Context, p *pipeline.Pipeline, pair pipeline.Reconcile) (string, error) {
	snap, err := p.Snapshot(ctx, pair.Left.Name)
	if err != nil {
		return "", err
	}
	var last schema.User
	for user, err := range p.Users(ctx, pair.Left, snap) {
		if err != nil {
			return "", err
		}
		if user.Email != "" && user.LastLoginAt != nil && (last.LastLoginAt == nil || user.LastLoginAt.After(*last.LastLoginAt)) {
			last = user
		}
	}
	return shellQuote(last.Email), nil
}

func htmlReport(b *builder, res runResult) string {
	for _, r := range res.Reconciled {
		for _, key := range r.Objects {
			if strings.HasSuffix(key, ".html") {
				return b.config.Lake.URL + "/" + key
			}
		}
	}
	return "none"
}

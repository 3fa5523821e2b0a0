package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/idtrail/idtrail/internal/config"
	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/reconcile"
)

// reportFlags are how reconcile report was called.
type reportFlags struct {
	left, right string
	format      string
	output      string
	rows        int
}

func (a *app) reconcileCommand() *cobra.Command {
	var f reportFlags
	report := &cobra.Command{
		Use:   "report",
		Short: "Show how the users of two sources differ",
		Long: `Report compares the newest complete snapshots of the sources that the config
reconciles, and shows the drift: accounts missing on either side, differing
attributes, status, groups and factors, duplicates, conflicting links, and
candidates that only look alike. It reads what was landed, asks no vendor and
changes nothing.`,
		Example: `  idtrail reconcile report
  idtrail reconcile report --format html --output drift.html
  idtrail reconcile report --left acme_users --right pool --format csv`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.reconcileReport(cmd.Context(), f) },
	}
	report.Flags().StringVar(&f.left, "left", "", "only the comparison with this left source")
	report.Flags().StringVar(&f.right, "right", "", "only the comparison with this right source")
	report.Flags().StringVar(&f.format, "format", "table", "table, csv, json or html")
	report.Flags().StringVarP(&f.output, "output", "o", "", "write to this `file`, made with mode 0600")
	report.Flags().IntVar(&f.rows, "rows", 20, "rows shown of each type in a table; -1 for all")
	return group("reconcile", "Compare the users of two systems", report)
}

func (a *app) reconcileReport(ctx context.Context, f reportFlags) error {
	if a.json {
		f.format = "json"
	}
	c, err := a.config(ctx, noSecrets)
	if err != nil {
		return err
	}
	pairs, err := a.selectPairs(ctx, c, f)
	if err != nil {
		return err
	}
	p, err := a.builder(c).pipeline(ctx)
	if err != nil {
		return err
	}
	out, done, err := a.reportFile(f.output)
	if err != nil {
		return err
	}
	for _, pair := range pairs {
		if err = a.reportPair(ctx, p, pair, f, out); err != nil {
			break
		}
	}
	return errors.Join(err, done())
}

// selectPairs are the comparisons asked for. Only tables can follow each other.
func (a *app) selectPairs(ctx context.Context, c *config.Config, f reportFlags) ([]pipeline.Reconcile, error) {
	var pairs []pipeline.Reconcile
	for _, pair := range a.builder(c).pairs(ctx) {
		if (f.left == "" || pair.Left.Name == f.left) && (f.right == "" || pair.Right.Name == f.right) {
			pairs = append(pairs, pair)
		}
	}
	switch {
	case len(pairs) == 0:
		return nil, usage("name two sources of users under reconcile: in "+c.File, "the config reconciles no such sources")
	case len(pairs) > 1 && f.format != "table":
		return nil, usage("choose one with --left and --right", "the config makes %d comparisons, and %s holds one", len(pairs), f.format)
	default:
		return pairs, nil
	}
}

func (a *app) reportPair(ctx context.Context, p *pipeline.Pipeline, pair pipeline.Reconcile, f reportFlags, out io.Writer) error {
	res, err := p.Compare(ctx, pair)
	if errors.Is(err, pipeline.ErrNoSnapshot) {
		return withHint(err, "run the sources first: idtrail run")
	}
	if err != nil {
		return err
	}
	err = a.writeReport(out, res, f)
	return errors.Join(err, res.Close())
}

func (a *app) writeReport(out io.Writer, res *reconcile.Result, f reportFlags) error {
	switch f.format {
	case "table":
		return reconcile.WriteTable(out, res.Summary, res.Rows(), reconcile.TableOptions{Width: a.outWidth(), Rows: f.rows})
	case "csv":
		return reconcile.WriteCSV(out, res.Rows())
	case "json":
		return reconcile.WriteJSON(out, res.Summary, res.Rows())
	case "html":
		return reconcile.WriteHTML(out, res.Summary, res.Rows(), reconcile.HTMLOptions{})
	default:
		return usage("write table, csv, json or html", "--format %s is unknown", f.format)
	}
}

// outWidth is the width of the terminal results go to, 0 if there is none.
func (a *app) outWidth() int {
	f, ok := a.Out.(*os.File)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// reportFile is stdout, or the file asked for.
func (a *app) reportFile(path string) (out io.Writer, done func() error, err error) {
	if path == "" {
		return a.Out, func() error { return nil }, nil
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("write report: %w", err)
	}
	return file, file.Close, nil
}

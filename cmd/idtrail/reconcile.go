package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

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
	return group("reconcile", "Compare the users of two systems", `Run compares users, where a job of the config says reconcile: true: it matches
the accounts of two systems, finds what differs, and writes tables drift and
persons. The verbs below show what came of it, and compare nothing themselves.`, report)
}

func (a *app) reconcileReport(ctx context.Context, f reportFlags) error {
	if a.json {
		f.format = "json"
	}
	if !slices.Contains([]string{"table", "csv", "json", "html"}, f.format) {
		return usage("write table, csv, json or html", "--format %s is unknown", printable(f.format))
	}
	if f.rows == 0 {
		return usage("write a number, or -1 for all", "--rows 0 shows nothing")
	}
	c, err := a.config(ctx, noSecrets)
	if err != nil {
		return err
	}
	pairs, err := a.selectPairs(ctx, c, f)
	if err != nil {
		return err
	}
	p, err := a.builder(c).reader(ctx)
	if err != nil {
		return err
	}
	return a.reportTo(f.output, func(out io.Writer) error {
		for i, pair := range pairs {
			if i > 0 {
				if _, err := fmt.Fprintln(out); err != nil {
					return err
				}
			}
			if err := a.reportPair(ctx, p, pair, f, out); err != nil {
				return err
			}
		}
		return nil
	})
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
	var res *reconcile.Result
	var err error
	doing := "comparing " + pair.Left.Name + " with " + pair.Right.Name
	a.term.during(func() string { return doing }, func() { res, err = p.Compare(ctx, pair) })
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
		return reconcile.WriteTable(out, res.Summary, res.Rows(), reconcile.TableOptions{Width: a.tableWidth(), Rows: f.rows})
	case "csv":
		return reconcile.WriteCSV(out, res.Rows())
	case "json":
		return reconcile.WriteJSON(out, res.Summary, res.Rows())
	default:
		return reconcile.WriteHTML(out, res.Summary, res.Rows(), reconcile.HTMLOptions{})
	}
}

// uncut is a width that no table needs: where there is no terminal, a reader or
// a program wants all of it.
const uncut = 10_000

func (a *app) tableWidth() int { return cmp.Or(a.outWidth(), uncut) }

// outWidth is the width of the terminal results go to, 0 if there is none.
func (a *app) outWidth() int { return terminalWidth(a.Out) }

// terminalWidth is that of the terminal w is, 0 if it is none.
func terminalWidth(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// reportTo writes to stdout, or to the file asked for: to all of it, or what was
// there before stays.
func (a *app) reportTo(path string, write func(io.Writer) error) error {
	if path == "" {
		return write(a.Out)
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return writeTo(path, os.O_WRONLY, write) // a pipe or device
	}
	part := path + ".part"
	if err := writeTo(part, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, write); err != nil {
		if rm := os.Remove(part); !errors.Is(rm, fs.ErrNotExist) {
			err = errors.Join(err, rm)
		}
		return err
	}
	if err := os.Rename(part, path); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

func writeTo(path string, flag int, write func(io.Writer) error) error {
	file, err := os.OpenFile(path, flag, 0o600)
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	err = write(file)
	if closed := file.Close(); closed != nil {
		err = errors.Join(err, fmt.Errorf("write report: %w", closed))
	}
	return err
}

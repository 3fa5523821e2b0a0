package main

import (
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/idtrail/idtrail/internal/verify"
)

// evidenceFlags say which evidence report is written, and where.
type evidenceFlags struct {
	period  string
	outputs []string
}

func (f *evidenceFlags) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.period, "report", "", "the `period` of an evidence report, days first..last: 2026-01-01..2026-03-31, 2026-01-01.. (default: all)")
	cmd.Flags().StringArrayVarP(&f.outputs, "output", "o", nil, "write an evidence report to this `file`, .html or .json; may be repeated")
}

// formats are how an evidence report may be written, by the end of its name.
func evidenceFormats() map[string]func(io.Writer, verify.EvidenceOptions, verify.Report) error {
	return map[string]func(io.Writer, verify.EvidenceOptions, verify.Report) error{
		".html": verify.WriteHTML, ".json": verify.WriteJSON,
	}
}

// options checks the flags before anything is read, which may take hours.
func (f *evidenceFlags) options() (o verify.EvidenceOptions, err error) {
	o.Version = readVersions().Version
	for _, name := range f.outputs {
		if evidenceFormats()[filepath.Ext(name)] == nil {
			return o, usage("write a name that ends in .html or .json", "-o %s: an evidence report is a page or JSON", printable(name))
		}
	}
	if f.period == "" {
		return o, nil
	}
	if len(f.outputs) == 0 {
		return o, usage("add -o evidence.html, or -o evidence.json, or both", "--report has nowhere to go")
	}
	from, to, ok := strings.Cut(f.period, "..")
	if !ok {
		return o, usage("write first..last, as in 2026-01-01..2026-03-31", "--report %q is no period", f.period)
	}
	if from != "" {
		if o.From, err = instant("--report", from); err != nil {
			return o, err
		}
	}
	if to == "" {
		return o, nil
	}
	if o.To, err = instant("--report", to); err != nil {
		return o, err
	}
	if _, err := time.Parse(time.DateOnly, to); err == nil {
		o.To = o.To.AddDate(0, 0, 1) // the last day is part of it
	}
	if !o.From.Before(o.To) {
		return o, usage("swap them", "--report %s ends before it begins", f.period)
	}
	return o, nil
}

// write writes the reports asked for, each whole or not at all.
func (f *evidenceFlags) write(a *app, o verify.EvidenceOptions, r verify.Report) error {
	for _, name := range slices.Compact(f.outputs) {
		write := evidenceFormats()[filepath.Ext(name)]
		if err := a.reportTo(name, func(w io.Writer) error { return write(w, o, r) }); err != nil {
			return err
		}
	}
	return nil
}

package reconcile

import (
	"bufio"
	"crypto/sha256"
	_ "embed" // the page and its style
	"encoding/base64"
	"html/template"
	"io"
	"iter"
)

//go:embed report.tmpl
var reportPage string

//go:embed report.css
var reportStyle string

// HTMLOptions say how [WriteHTML] shows the findings.
type HTMLOptions struct {
	// Rows shown of each type; default 1000, all when negative. Browsers are
	// slow with more.
	Rows int
}

const defaultHTMLRows = 1000

// WriteHTML writes one page that stands alone: nothing is loaded, no script
// runs, and what the rows hold is shown as text, invisible characters spelled
// out. Rows come by type, as [Result.Rows] hands them out.
func WriteHTML(w io.Writer, sum Summary, rows iter.Seq2[Drift, error], o HTMLOptions) error {
	if o.Rows == 0 {
		o.Rows = defaultHTMLRows
	}
	tmpl, err := template.New("report").Funcs(template.FuncMap{"visible": visible, "thousands": thousands}).Parse(reportPage)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	p := &page{w: out, tmpl: tmpl, o: o, sum: &sum}
	if err := p.write(rows); err != nil {
		return err
	}
	return out.Flush()
}

// page writes its parts as the rows come, so that it needs no memory for them.
type page struct {
	w    io.Writer
	tmpl *template.Template
	o    HTMLOptions
	sum  *Summary

	kind        Type
	columns     []column
	seen, shown int64
}

type pageType struct {
	Type    Type
	Count   int64
	Heading string
	Titles  []string
}

type pageCell struct{ Title, Value string }

func (p *page) write(rows iter.Seq2[Drift, error]) error {
	hash := sha256.Sum256([]byte(reportStyle))
	err := p.tmpl.ExecuteTemplate(p.w, "head", map[string]any{
		"Summary": p.sum, "Facts": facts(p.sum), "Types": p.types(),
		"Style": template.CSS(reportStyle), //nolint:gosec // our own file
		"Hash":  base64.StdEncoding.EncodeToString(hash[:]),
	})
	if err != nil {
		return err
	}
	for d, err := range rows {
		if err != nil {
			return err
		}
		if err := p.add(&d); err != nil {
			return err
		}
	}
	if err := p.end(); err != nil {
		return err
	}
	return p.tmpl.ExecuteTemplate(p.w, "foot", nil)
}

func (p *page) types() []pageType {
	var list []pageType
	for _, t := range Types() {
		list = append(list, p.describe(t))
	}
	return list
}

func (p *page) describe(t Type) pageType {
	d := pageType{Type: t, Count: p.sum.ByType[t], Heading: heading(t, p.sum)}
	for _, c := range columnsFor(t) {
		d.Titles = append(d.Titles, c.title)
	}
	return d
}

func (p *page) add(d *Drift) error {
	if d.Type != p.kind {
		if err := p.end(); err != nil {
			return err
		}
		p.kind, p.columns, p.seen, p.shown = d.Type, columnsFor(d.Type), 0, 0
		if err := p.tmpl.ExecuteTemplate(p.w, "type", p.describe(d.Type)); err != nil {
			return err
		}
	}
	if p.seen++; p.o.Rows >= 0 && p.shown >= int64(p.o.Rows) {
		return nil
	}
	p.shown++
	cells := make([]pageCell, len(p.columns))
	for i, c := range p.columns {
		cells[i] = pageCell{c.title, visible(c.value(d))}
	}
	return p.tmpl.ExecuteTemplate(p.w, "row", map[string]any{"Severity": d.Severity, "Cells": cells})
}

func (p *page) end() error {
	if p.seen == 0 {
		return nil
	}
	return p.tmpl.ExecuteTemplate(p.w, "end", p.seen-p.shown)
}

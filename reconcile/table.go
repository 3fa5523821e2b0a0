package reconcile

import (
	"bufio"
	"fmt"
	"io"
	"iter"
	"strings"
)

// TableOptions say how [WriteTable] shows the findings.
type TableOptions struct {
	// Width of the terminal in columns; default 100, at least 60.
	Width int
	// Rows shown of each type; default 20, all when negative.
	Rows int
}

const (
	defaultTableRows  = 20
	defaultTableWidth = 100
	minTableWidth     = 60
	// layoutRows are looked at to find the widths of the columns.
	layoutRows = 200
	indent     = "  "
)

// WriteTable writes the summary and the first rows of each type for people: at
// a terminal, in a mail. Rows come by type, as [Result.Rows] hands them out.
// Nothing in them can move the cursor, or be drawn where it does not stand.
func WriteTable(w io.Writer, sum Summary, rows iter.Seq2[Drift, error], o TableOptions) error {
	if o.Width == 0 {
		o.Width = defaultTableWidth
	}
	o.Width = max(o.Width, minTableWidth)
	if o.Rows == 0 {
		o.Rows = defaultTableRows
	}
	t := &table{w: bufio.NewWriter(w), o: o, sum: &sum}
	t.head()
	for d, err := range rows {
		if err != nil {
			return err
		}
		if err := t.add(&d); err != nil {
			return err
		}
	}
	t.end()
	return t.w.Flush()
}

// table lays out one type of findings after another.
type table struct {
	w   *bufio.Writer
	o   TableOptions
	sum *Summary

	kind    Type
	columns []column
	held    [][]string // rows whose layout is not known yet
	widths  []int
	seen    int64
	shown   int
}

func (t *table) head() {
	s := t.sum
	fmt.Fprintf(t.w, "%s and %s, compared %s\n\n", visible(s.Left.Source), visible(s.Right.Source),
		s.ComparedAt.UTC().Format("2006-01-02 15:04:05 MST"))
	for _, f := range facts(s) {
		t.fact(fmt.Sprintf("%s%-9s ", indent, f[0]), visible(f[1]))
	}
	for _, kind := range Types() {
		if n := s.ByType[kind]; n > 0 {
			t.fact(fmt.Sprintf("%s%9s %-13s ", indent, thousands(n), kind), visible(heading(kind, s)))
		}
	}
	for _, warning := range s.Warnings {
		t.fact(indent+"! ", visible(warning))
	}
}

// fact writes a text behind its head, and what does not fit the width below it.
func (t *table) fact(head, text string) {
	line, used := head, columnsOf(head)
	margin := used
	for i, word := range strings.Fields(text) {
		n := columnsOf(word)
		switch {
		case i == 0:
		case used+1+n > t.o.Width:
			fmt.Fprintln(t.w, line)
			line, used = strings.Repeat(" ", margin), margin
		default:
			line, used = line+" ", used+1
		}
		line, used = line+word, used+n
	}
	fmt.Fprintln(t.w, line)
}

func (t *table) add(d *Drift) error {
	if d.Type != t.kind {
		t.end()
		t.kind, t.columns, t.widths, t.seen, t.shown = d.Type, columnsFor(d.Type), nil, 0, 0
	}
	t.seen++
	if t.o.Rows >= 0 && t.shown >= t.o.Rows {
		return nil
	}
	t.shown++
	row := make([]string, len(t.columns))
	for i, c := range t.columns {
		row[i] = visible(c.value(d))
	}
	if t.widths != nil {
		return t.line(row)
	}
	if t.held = append(t.held, row); len(t.held) >= layoutRows {
		t.layout()
	}
	return nil
}

// end finishes the type at hand.
func (t *table) end() {
	if t.seen == 0 {
		return
	}
	if t.widths == nil {
		t.layout()
	}
	if more := t.seen - int64(t.shown); more > 0 {
		fmt.Fprintf(t.w, "%s… %s more\n", indent, thousands(more))
	}
}

// layout finds the widths, narrows the widest columns until all fit, and writes
// what was held back.
func (t *table) layout() {
	used := t.measure()
	for total := sum(used); total > t.o.Width-len(indent); total-- {
		widest := 0
		for i, n := range used {
			if n > used[widest] {
				widest = i
			}
		}
		used[widest]--
	}
	t.widths = used
	fmt.Fprintf(t.w, "\n%s (%s)\n", visible(string(t.kind)), thousands(t.sum.ByType[t.kind]))
	titles := make([]string, len(t.columns))
	for i, c := range t.columns {
		titles[i] = strings.ToUpper(c.title)
	}
	_ = t.line(titles) // Flush returns the error
	for _, row := range t.held {
		_ = t.line(row)
	}
	t.held = nil
}

// measure returns the width of each column, a gap included; 0 for one that is
// empty throughout and need not be seen.
func (t *table) measure() []int {
	widths := make([]int, len(t.columns))
	for i, c := range t.columns {
		if c.always {
			widths[i] = len(c.title) + 2
		}
	}
	for _, row := range t.held {
		for i, v := range row {
			if v != "" {
				widths[i] = max(widths[i], columnsOf(v)+2, len(t.columns[i].title)+2)
			}
		}
	}
	return widths
}

func sum(list []int) int {
	n := 0
	for _, v := range list {
		n += v
	}
	return n
}

func (t *table) line(row []string) error {
	var b strings.Builder
	for i, v := range row {
		if n := t.widths[i]; n > 2 {
			b.WriteString(fit(v, n-2) + "  ")
		}
	}
	_, err := fmt.Fprintf(t.w, "%s%s\n", indent, strings.TrimRight(b.String(), " "))
	return err
}

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// printJSON writes a result as indented JSON.
func (a *app) printJSON(v any) error {
	e := json.NewEncoder(a.Out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	return nil
}

// printf writes a result for people.
func (a *app) printf(format string, args ...any) error {
	if _, err := fmt.Fprintf(a.Out, format, args...); err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	return nil
}

// printTable writes rows in columns, each as wide as its widest cell; columns of
// numbers to the right. On a terminal they move closer where they do not fit, and
// the last cell goes on below where that does not help. What came from outside
// cannot move the cursor.
func (a *app) printTable(rows [][]string) error {
	columns, gap := columnsOf(rows), columnGap
	if width := a.outWidth(); width > 0 && tableWidth(columns, gap) > width && tableWidth(columns, " ") <= width {
		gap = " "
	}
	var text strings.Builder
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			if i > 0 {
				line.WriteString(gap)
			}
			columns[i].write(&line, printable(cell))
		}
		text.WriteString(wrap(strings.TrimRight(line.String(), " "), a.outWidth(), lastColumn(columns, gap)) + "\n")
	}
	return a.printf("%s", text.String())
}

// lastColumn is where the last column begins.
func lastColumn(columns []column, gap string) int {
	at := 0
	for _, c := range columns[:max(0, len(columns)-1)] {
		at += c.width + len(gap)
	}
	return at
}

// tableWidth is that of the widest row.
func tableWidth(columns []column, gap string) int {
	if len(columns) == 0 {
		return 0
	}
	return lastColumn(columns, gap) + columns[len(columns)-1].width
}

// printTables writes tables with a line between them; those that have but a
// heading are left out.
func (a *app) printTables(tables ...[][]string) error {
	between := ""
	for _, rows := range tables {
		if len(rows) < 2 {
			continue
		}
		if err := errors.Join(a.printf("%s", between), a.printTable(rows)); err != nil {
			return err
		}
		between = "\n"
	}
	return nil
}

// columnGap stands between two columns.
const columnGap = "  "

// column says how the cells of a column are set.
type column struct {
	width int
	right bool
}

// columnsOf measures a table, whose first row is its heading.
func columnsOf(rows [][]string) []column {
	var columns []column
	for n, row := range rows {
		for i, cell := range row {
			if i == len(columns) {
				columns = append(columns, column{right: len(rows) > 1})
			}
			c := &columns[i]
			c.width = max(c.width, utf8.RuneCountInString(printable(cell)))
			if n > 0 && strings.Trim(cell, "0123456789,") != "" {
				c.right = false
			}
		}
	}
	return columns
}

func (c column) write(line *strings.Builder, cell string) {
	pad := strings.Repeat(" ", c.width-utf8.RuneCountInString(cell))
	if c.right {
		line.WriteString(pad + cell)
		return
	}
	line.WriteString(cell + pad)
}

// printable replaces what would move the cursor, change the terminal, or turn
// the direction of the text around.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp) {
			return ' '
		}
		return r
	}, s)
}

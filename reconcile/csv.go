package reconcile

import (
	"bufio"
	"io"
	"iter"
	"strings"
	"time"
	"unicode/utf8"
)

// csvColumn is a column of the CSV file, named as in the other formats.
type csvColumn struct {
	name  string
	value func(d *Drift) string
}

func csvColumns() []csvColumn {
	return []csvColumn{
		{"compared_at", func(d *Drift) string { return d.ComparedAt.UTC().Format(time.RFC3339Nano) }},
		{"left_source", func(d *Drift) string { return d.LeftSource }},
		{"left_snapshot", func(d *Drift) string { return d.LeftSnapshot }},
		{"right_source", func(d *Drift) string { return d.RightSource }},
		{"right_snapshot", func(d *Drift) string { return d.RightSnapshot }},
		{"type", func(d *Drift) string { return string(d.Type) }},
		{"severity", func(d *Drift) string { return string(d.Severity) }},
		{"confidence", func(d *Drift) string { return string(d.Confidence) }},
		{"person_key", func(d *Drift) string { return d.PersonKey }},
		{"left_id", func(d *Drift) string { return d.LeftID }},
		{"left_name", func(d *Drift) string { return d.LeftName }},
		{"right_id", func(d *Drift) string { return d.RightID }},
		{"right_name", func(d *Drift) string { return d.RightName }},
		{"rule", func(d *Drift) string { return string(d.Rule) }},
		{"field", func(d *Drift) string { return d.Field }},
		{"left_value", func(d *Drift) string { return d.LeftValue }},
		{"right_value", func(d *Drift) string { return d.RightValue }},
		{"detail", func(d *Drift) string { return d.Detail }},
	}
}

// WriteCSV writes the findings as CSV (RFC 4180, UTF-8, with a header). A value
// a spreadsheet would take for a formula has an apostrophe before it, phone
// numbers too: whoever reads the file by program uses JSON or Parquet.
func WriteCSV(w io.Writer, rows iter.Seq2[Drift, error]) error {
	out := bufio.NewWriter(w)
	columns := csvColumns()
	values := make([]string, len(columns))
	for i, c := range columns {
		values[i] = c.name
	}
	if err := WriteRecord(out, values); err != nil {
		return err
	}
	for d, err := range rows {
		if err != nil {
			return err
		}
		for i, c := range columns {
			values[i] = c.value(&d)
		}
		if err := WriteRecord(out, values); err != nil {
			return err
		}
	}
	return out.Flush()
}

// WriteRecord writes one line of CSV as [WriteCSV] does, for other tables. It does
// by itself what encoding/csv cannot: end lines with CR LF and yet leave line ends
// inside a value as they are.
func WriteRecord(w io.Writer, values []string) error {
	quoted := make([]string, len(values))
	for i, v := range values {
		v = disarm(v)
		if strings.ContainsAny(v, "\",\r\n") || strings.HasPrefix(v, " ") || strings.HasSuffix(v, " ") {
			v = `"` + strings.ReplaceAll(v, `"`, `""`) + `"`
		}
		quoted[i] = v
	}
	_, err := io.WriteString(w, strings.Join(quoted, ",")+"\r\n")
	return err
}

// disarm keeps a spreadsheet from running a value. Programs skip blanks, and
// take full-width signs for the plain ones.
func disarm(v string) string {
	v = strings.ToValidUTF8(strings.ReplaceAll(v, "\x00", "�"), "�")
	first, _ := utf8.DecodeRuneInString(strings.TrimLeft(v, " \u00a0\u3000\ufeff\u200b"))
	if strings.ContainsRune("=+-@\t\r\n＝＋－＠", first) && v != "" {
		return "'" + v
	}
	return v
}

package reconcile

import (
	"bufio"
	"encoding/json"
	"io"
	"iter"
)

// WriteJSON writes one document: {"summary": …, "rows": […]}, a row a line. When
// an error ends it, the document is cut off and no JSON.
func WriteJSON(w io.Writer, sum Summary, rows iter.Seq2[Drift, error]) error {
	out := bufio.NewWriter(w)
	if err := writeValue(out, `{"summary":`, sum); err != nil {
		return err
	}
	separator := ",\n\"rows\":[\n"
	for d, err := range rows {
		if err != nil {
			return err
		}
		if err := writeValue(out, separator, d); err != nil {
			return err
		}
		separator = ",\n"
	}
	end := "\n]}\n"
	if separator != ",\n" {
		end = ",\n\"rows\":[]}\n"
	}
	if _, err := out.WriteString(end); err != nil {
		return err
	}
	return out.Flush()
}

func writeValue(w *bufio.Writer, before string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	if _, err := w.WriteString(before); err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}

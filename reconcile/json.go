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
	head, err := json.Marshal(sum)
	if err != nil {
		return err
	}
	out.WriteString("{\"summary\":")
	out.Write(head)
	out.WriteString(",\n\"rows\":[")
	separator := "\n"
	for d, err := range rows {
		if err != nil {
			return err
		}
		row, err := json.Marshal(d)
		if err != nil {
			return err
		}
		out.WriteString(separator)
		if _, err := out.Write(row); err != nil {
			return err
		}
		separator = ",\n"
	}
	out.WriteString("\n]}\n")
	return out.Flush()
}

// Schemadoc writes docs/SCHEMA.md: every column of the lake with its type, its
// meaning, the field of the vendor's record it comes from, and an example.
//
// Nothing of that is written down twice. Types are those of the Parquet files;
// meanings are the comments on the fields of the Go types; sources and examples
// are found by mapping the records of transform/testdata: see trace.go. What
// people wrote around the tables is in schema.md.tmpl.
//
// It is no part of the program. A test fails where the file is stale; make docs
// writes it anew.
package main

import (
	_ "embed" // the text around the tables
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

//go:embed schema.md.tmpl
var page string

func main() {
	root := flag.String("root", ".", "the repository")
	flag.Parse()
	text, err := write(*root)
	if err == nil {
		err = os.WriteFile(filepath.Join(*root, "docs", "SCHEMA.md"), []byte(text), 0o644) //nolint:gosec // a document
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "schemadoc:", err)
		os.Exit(1)
	}
}

// write returns the document.
func write(root string) (string, error) {
	comments, err := readComments(filepath.Join(root, "schema"), filepath.Join(root, "reconcile"))
	if err != nil {
		return "", err
	}
	t, err := traceAll(filepath.Join(root, "transform", "testdata"))
	if err != nil {
		return "", err
	}
	tmpl, err := template.New("schema.md").Funcs(template.FuncMap{
		"columns": func(table string) (string, error) { return columnTable(table, comments, t) },
	}).Parse(page)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	if err := tmpl.Execute(&b, nil); err != nil {
		return "", err
	}
	return b.String(), nil
}

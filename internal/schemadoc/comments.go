package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
)

// comments are what the fields of types mean, by "Type.Field".
type comments map[string]string

// readComments reads the comments on the fields of all structs of the packages
// in those folders.
func readComments(dirs ...string) (comments, error) {
	all := comments{}
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
			if err != nil {
				return nil, err
			}
			all.read(f)
		}
	}
	return all, nil
}

func (c comments) read(f *ast.File) {
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		if s, ok := spec.Type.(*ast.StructType); ok {
			for _, field := range s.Fields.List {
				for _, name := range field.Names {
					c[spec.Name.Name+"."+name.Name] = strings.Join(strings.Fields(field.Doc.Text()), " ")
				}
			}
		}
		return false
	})
}

// meaning is what the field means: its comment without the subject, which is the
// column.
func (c comments) meaning(in reflect.Type, field string) (string, error) {
	text, ok := strings.CutPrefix(c[in.Name()+"."+field], field+" ")
	if !ok {
		return "", fmt.Errorf("%s.%s: the comment on it is to begin with its name", in.Name(), field)
	}
	for _, verb := range []string{"is ", "are "} {
		text = strings.TrimPrefix(text, verb)
	}
	return docLink.ReplaceAllString(strings.TrimSuffix(text, "."), "`$1`"), nil
}

// docLink is a link to a type or function in a comment.
var docLink = regexp.MustCompile(`\[([A-Z][A-Za-z.]*)\]`)

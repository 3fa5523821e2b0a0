package config

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// The environment variables that name the file, or are it.
const (
	EnvFile = "IDTRAIL_CONFIG"
	EnvText = "IDTRAIL_CONFIG_YAML"
	// DefaultFile is looked for in the working directory.
	DefaultFile = "idtrail.yaml"
)

// maxFile bounds a config file.
const maxFile = 1 << 20

// ErrNotFound says that there is no file in any of the places.
var ErrNotFound = errors.New("no config found")

// Options of [Load].
type Options struct {
	// Path is the file, or the s3:// URL, that was asked for; "" looks at the
	// environment and then for [DefaultFile].
	Path string
	// Dir is the working directory, absolute.
	Dir string
	// Env looks up an environment variable, as [os.LookupEnv] does.
	Env func(name string) (string, bool)
	// ReadS3 reads an object; nil refuses s3:// URLs.
	ReadS3 func(ctx context.Context, url string) ([]byte, error)
	// Fetch reads what references of vaults name, by their scheme; those of a
	// scheme that has none are problems. It is called at every reference.
	Fetch map[string]Fetch
	// SkipSecrets leaves every [Secret] empty and does not look for the
	// variables, files and entries of vaults they name: for those who only read the
	// lake.
	SkipSecrets bool
	// KeepGoing makes references that cannot be read no problem of the file: they
	// are in [Config.Unread], and what they stand for holds the reference itself,
	// which is good for nothing.
	KeepGoing bool
}

// Load finds, reads and checks the file. Where it is wrong, the error is an
// [*Error] that lists every problem; where there is none, [ErrNotFound].
//
// Relative paths in the file count from its directory; those of a file in S3,
// or of the environment's text, from the working directory.
func Load(ctx context.Context, o Options) (*Config, error) {
	path := o.Path
	if named, ok := o.Env(EnvFile); path == "" && ok {
		path = named
	}
	if text, ok := o.Env(EnvText); path == "" && ok && text != "" {
		return parseIn(ctx, []byte(text), "$"+EnvText, o)
	}
	if path == "" {
		path = DefaultFile
		if _, err := os.Stat(filepath.Join(o.Dir, path)); errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("%w: neither -c nor $%s nor $%s is given, and %s has no %s",
				ErrNotFound, EnvFile, EnvText, o.Dir, path)
		}
	}
	if isS3(path) {
		return loadS3(ctx, path, o)
	}
	return loadFile(ctx, path, o)
}

func loadS3(ctx context.Context, url string, o Options) (*Config, error) {
	if o.ReadS3 == nil {
		return nil, fmt.Errorf("read config %s: s3 is not supported here", url)
	}
	text, err := o.ReadS3(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("read config: %w", err)
	}
	return parseIn(ctx, text, url, o)
}

func loadFile(ctx context.Context, path string, o Options) (*Config, error) {
	full := path
	if !filepath.IsAbs(full) {
		full = filepath.Join(o.Dir, full)
	}
	f, err := os.Open(full)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w: there is no file %s", ErrNotFound, path)
	}
	if err != nil {
		return nil, fmt.Errorf("read config: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	text, err := readBounded(f, maxFile)
	if err != nil {
		return nil, fmt.Errorf("read config %s: %w", path, err)
	}
	o.Dir = filepath.Dir(full)
	return parseIn(ctx, text, path, o)
}

func readBounded(r io.Reader, most int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("is larger than %d bytes", most)
	}
	return text, err
}

// Parse reads and checks the text of a file. Name is what messages call it;
// relative paths count from o.Dir. It never gives up waiting for o.Fetch.
func Parse(text []byte, name string, o Options) (*Config, error) {
	return parseIn(context.Background(), text, name, o)
}

func parseIn(ctx context.Context, text []byte, name string, o Options) (*Config, error) {
	d := newDecoder(newResolver(ctx, o))
	body, problem := parse(text)
	if problem != nil {
		return nil, newError(name, []Problem{*problem})
	}
	c := &Config{File: name, Dir: o.Dir}
	c.again = func(ctx context.Context, fetch map[string]Fetch) (*Config, error) {
		o.Fetch = fetch
		return parseIn(ctx, text, name, o)
	}
	d.config(c, body)
	d.broken = len(d.problems)
	d.check(c)
	slices.SortStableFunc(d.warnings, byPlace)
	c.Warnings, c.References = d.warnings, d.references
	if err := newError(name, append(d.problems, d.left...), d.causes...); err != nil {
		if len(d.problems) > 0 {
			return nil, err
		}
		errors.As(err, &c.Unread)
	}
	return c, nil
}

// Again reads what the references of the config name anew, by fetch in place of
// Options.Fetch: secrets are replaced in their time. The text is the one of
// before, whatever became of the file.
func (c *Config) Again(ctx context.Context, fetch map[string]Fetch) (*Config, error) {
	return c.again(ctx, fetch)
}

// parse returns the one document of a YAML text. It passes on no line of the
// text: it may hold what should not be shown.
func parse(text []byte) (ast.Node, *Problem) {
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(text) {
		return nil, &Problem{Message: "is not UTF-8 text", Hint: "save the file as UTF-8"}
	}
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, syntaxProblem(err)
	}
	var body ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.NullType {
			continue
		}
		if body != nil {
			at := placeOf(doc.Body)
			return nil, &Problem{
				Line: at.line, Column: at.column,
				Message: "a second document begins here", Hint: "keep one document in the file",
			}
		}
		body = doc.Body
	}
	if body == nil {
		return nil, &Problem{Message: "is empty", Hint: "write one with: idtrail init"}
	}
	return body, nil
}

func syntaxProblem(err error) *Problem {
	p := &Problem{
		Message: "is not valid YAML",
		Hint:    `check indents and colons, and put values with ${…}, ": " or # in quotes`,
	}
	var at yaml.Error
	if !errors.As(err, &at) {
		return p
	}
	p.Message += ": " + clip(at.GetMessage())
	if errors.As(err, new(*yaml.DuplicateKeyError)) || strings.Contains(at.GetMessage(), "already defined") {
		p.Hint = "keep one of the two"
	}
	if t := at.GetToken(); t != nil && t.Position != nil {
		p.Line, p.Column = t.Position.Line, t.Position.Column
	}
	return p
}

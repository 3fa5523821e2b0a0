package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// reference is ${scheme:what}. "$${" writes "${" itself.
var reference = regexp.MustCompile(`\$?\$\{([^}]*)\}`)

// maxReferenced bounds a file a reference names: a secret is small.
const maxReferenced = 64 << 10

// resolver reads what references name.
type resolver struct {
	env func(string) (string, bool)
	dir string
	// skipSecrets leaves secrets empty, and what they name unread.
	skipSecrets bool
}

// expand replaces the references in text.
func (r resolver) expand(text string) (string, error) {
	var errs []error
	out := reference.ReplaceAllStringFunc(text, func(m string) string {
		if strings.HasPrefix(m, "$$") {
			return m[1:]
		}
		value, err := r.read(m[len("${") : len(m)-len("}")])
		errs = append(errs, err)
		return value
	})
	return out, errors.Join(errs...)
}

// secret reads the one reference that text has to be.
func (r resolver) secret(text string) (Secret, error) {
	m := reference.FindString(text)
	if m == "" || m != text || strings.HasPrefix(m, "$$") {
		return Secret{}, errLiteral
	}
	if r.skipSecrets {
		return Secret{}, checkScheme(text[len("${") : len(text)-len("}")])
	}
	value, err := r.read(text[len("${") : len(text)-len("}")])
	if err == nil && value == "" {
		err = fmt.Errorf("%s is empty", text)
	}
	return NewSecret(value), err
}

var errLiteral = errors.New("is a secret and must not stand in the file; " +
	`put it into the environment and write "${env:NAME}", or into a file and write "${file:/path}"`)

func (r resolver) read(ref string) (string, error) {
	if err := checkScheme(ref); err != nil {
		return "", err
	}
	scheme, what, _ := strings.Cut(ref, ":")
	if scheme == "file" {
		return r.file(what)
	}
	value, ok := r.env(what)
	if !ok {
		return "", fmt.Errorf("the environment variable %s is not set", what)
	}
	return value, nil
}

func checkScheme(ref string) error {
	scheme, what, _ := strings.Cut(ref, ":")
	switch scheme {
	case "secretsmanager", "ssm":
		return fmt.Errorf("${%s:…} is not supported by this version; use ${env:NAME} or ${file:/path}", scheme)
	case "env", "file":
		if what == "" {
			return fmt.Errorf("${%s:} names nothing", scheme)
		}
		return nil
	default:
		return errors.New("is no reference; write ${env:NAME} or ${file:/path}, and $${ for a plain ${")
	}
}

// file reads a file, without the line break at its end.
func (r resolver) file(path string) (string, error) {
	if !filepath.IsAbs(path) {
		path = filepath.Join(r.dir, path)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("read the file of a reference: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	text, err := readBounded(f, maxReferenced)
	if err != nil {
		return "", fmt.Errorf("read the file of a reference: %s: %w", path, err)
	}
	return strings.TrimRight(string(text), "\r\n"), nil
}

package config

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
)

// reference is ${scheme:what}. "$${" writes "${" itself.
var reference = regexp.MustCompile(`\$?\$\{([^}]*)\}`)

// maxReferenced bounds a file a reference names: a secret is small.
const maxReferenced = 64 << 10

// maxShown bounds what a message repeats of a reference: ARNs are long.
const maxShown = 200

// The schemes of references. Those of vaults cost a call of AWS's, and may stand
// only where a secret may.
const (
	SchemeEnv            = "env"
	SchemeFile           = "file"
	SchemeSecretsManager = "secretsmanager"
	SchemeSSM            = "ssm"
)

// Reference is one that stands in a file where a secret may.
type Reference struct {
	// Scheme is one of the Scheme constants, Name what stands after its colon.
	Scheme, Name string
	// Key is the path of the key it is the value of: connections.acme.client_secret.
	Key string
}

// Fetch reads what a reference of a vault names, from what stands after its
// scheme's colon. Errors hold nothing of the value; what is to be done about them
// stands after a "; ".
type Fetch func(ctx context.Context, name string) (string, error)

// resolver reads what references name.
type resolver struct {
	env func(string) (string, bool)
	dir string
	// fetch asks the vault of a scheme, and is nil for those there is no way to.
	fetch func(scheme, name string) (string, error)
	// skipSecrets leaves secrets empty, and what they name unread.
	skipSecrets bool
	// keepGoing takes what cannot be read for no problem of the file.
	keepGoing bool
}

func newResolver(ctx context.Context, o Options) resolver {
	return resolver{env: o.Env, dir: o.Dir, skipSecrets: o.SkipSecrets, keepGoing: o.KeepGoing, fetch: func(scheme, name string) (string, error) {
		fetch, ok := o.Fetch[scheme]
		if !ok {
			return "", errors.New("cannot be fetched here; use ${env:NAME} or ${file:/path}")
		}
		return fetch(ctx, name)
	}}
}

// expand replaces the references in text that everybody needs, and may be shown.
func (r resolver) expand(text string) (string, error) {
	return r.replace(text, func(ref string) (string, error) {
		scheme, _, _ := strings.Cut(ref, ":")
		if scheme == SchemeSecretsManager || scheme == SchemeSSM {
			return "", fmt.Errorf("${%s:…} may stand only where a secret or a client_id may; write it out, or use ${env:NAME}", scheme)
		}
		return r.read(ref)
	})
}

// credential replaces the references in text that only those who call the vendor
// need.
func (r resolver) credential(text string) (string, error) { return r.replace(text, r.read) }

func (r resolver) replace(text string, read func(ref string) (string, error)) (string, error) {
	var errs []error
	out := reference.ReplaceAllStringFunc(text, func(m string) string {
		if strings.HasPrefix(m, "$$") {
			return m[1:]
		}
		value, err := read(inner(m))
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
		return Secret{}, checkScheme(inner(text))
	}
	value, err := r.read(inner(text))
	if err == nil && value == "" {
		err = fmt.Errorf("%s is empty; give it a value where idtrail is started", text)
	}
	return NewSecret(value), err
}

// inner is what stands between "${" and "}".
func inner(ref string) string { return ref[len("${") : len(ref)-len("}")] }

// references are those of a text.
func references(text, key string) []Reference {
	var refs []Reference
	for _, m := range reference.FindAllString(text, -1) {
		if scheme, name, ok := strings.Cut(strings.TrimSuffix(m, "}"), ":"); ok && !strings.HasPrefix(m, "$$") {
			refs = append(refs, Reference{Scheme: strings.TrimPrefix(scheme, "${"), Name: name, Key: key})
		}
	}
	return refs
}

var errLiteral = errors.New("is a secret and must not stand in the file; " +
	`put it into the environment and write "${env:NAME}", or into a file and write "${file:/path}"`)

func (r resolver) read(ref string) (string, error) {
	if err := checkScheme(ref); err != nil {
		return "", err
	}
	scheme, what, _ := strings.Cut(ref, ":")
	switch scheme {
	case SchemeFile:
		return r.file(what)
	case SchemeSecretsManager, SchemeSSM:
		value, err := r.fetch(scheme, what)
		if err != nil {
			return "", fmt.Errorf("${%s}: %w", ref[:min(len(ref), maxShown)], err)
		}
		return value, nil
	}
	value, ok := r.env(what)
	if !ok {
		return "", fmt.Errorf("the environment variable %s is not set; set it where idtrail is started", what)
	}
	return value, nil
}

func checkScheme(ref string) error {
	scheme, what, _ := strings.Cut(ref, ":")
	switch scheme {
	case SchemeEnv, SchemeFile, SchemeSecretsManager, SchemeSSM:
		if what == "" {
			return fmt.Errorf("${%s:} names nothing", scheme)
		}
		return nil
	default:
		return errors.New("is no reference; write ${env:NAME}, ${file:/path}, ${secretsmanager:NAME#KEY} or ${ssm:/NAME}, and $${ for a plain ${")
	}
}

// file reads a file, without the line break at its end.
func (r resolver) file(path string) (string, error) {
	if !filepath.IsAbs(path) {
		path = filepath.Join(r.dir, path)
	}
	// Opening a pipe that nobody writes to would wait for ever, whatever is told.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", fmt.Errorf("read the file of a reference: %w; make it there, readable for the user idtrail runs as, or correct its name", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	text, err := readBounded(f, maxReferenced)
	if err != nil {
		return "", fmt.Errorf("read the file of a reference: %s: %w", path, err)
	}
	return strings.TrimRight(string(text), "\r\n"), nil
}

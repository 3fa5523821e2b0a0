package main

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/idtrail/idtrail/extract/auth0"
	"github.com/idtrail/idtrail/extract/cognito"
	"github.com/idtrail/idtrail/internal/config"
	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/internal/segment"
	"github.com/idtrail/idtrail/load/stream"
	"github.com/idtrail/idtrail/state"
)

// The exit codes. They are an API: cron jobs and ECS rules look at them.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitPartly      = 3
	exitHeld        = 4
	exitInterrupted = 130
)

const exitHelp = `Exit codes: 0 done, 1 failed, 2 wrong usage or config, 3 partly done (a gap was
declared, or a source or sink failed), 4 every source is held by another run,
130 interrupted.`

// exitError is an error that knows its exit code.
type exitError struct {
	code int
	err  error
	// hint says what to do about it.
	hint string
	// quiet errors set the exit code and say nothing more: what they would say
	// was said.
	quiet bool
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// usage is an error of how the program was called.
func usage(hint, format string, args ...any) error {
	return &exitError{code: exitUsage, err: fmt.Errorf(format, args...), hint: hint}
}

// withHint adds what to do to an error.
func withHint(err error, hint string) error {
	return &exitError{code: exitCode(err), err: err, hint: hint}
}

// exitQuietly ends with a code after everything was said.
func exitQuietly(code int, why string) error {
	return &exitError{code: code, err: errors.New(why), quiet: true}
}

// exitCode says with what an error ends the program.
func exitCode(err error) int {
	var coded *exitError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &coded):
		return coded.code
	case errors.As(err, new(*config.Error)), errors.Is(err, config.ErrNotFound), errors.Is(err, pipeline.ErrNoBackfill):
		return exitUsage
	case errors.Is(err, state.ErrHeld):
		return exitHeld
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	default:
		return exitFailed
	}
}

// failure is an error as --json shows it.
type failure struct {
	Error    string           `json:"error"`
	Hint     string           `json:"hint,omitempty"`
	Code     int              `json:"code"`
	File     string           `json:"file,omitempty"`
	Problems []config.Problem `json:"problems,omitempty"`
}

// report tells people, or with asJSON a program, why the program ends.
func report(w io.Writer, err error, asJSON bool) {
	var coded *exitError
	quiet := errors.As(err, &coded) && coded.quiet
	if err == nil || quiet && !asJSON {
		return
	}
	f := failure{Error: err.Error(), Code: exitCode(err), Hint: hintOf(err)}
	var file *config.Error
	if errors.As(err, &file) {
		f.File, f.Problems = file.File, file.Problems
	}
	if asJSON {
		_ = json.NewEncoder(w).Encode(f) // there is nobody left to tell
		return
	}
	fmt.Fprint(w, legible(f.text(file), terminalWidth(w)))
}

// legible is a text of several lines as a terminal may be given it: a line that
// does not fit goes on below, and what came from outside moves no cursor.
func legible(text string, width int) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		line = printable(strings.TrimSuffix(line, "\n"))
		indent := len(line) - len(strings.TrimLeft(line, " ")) + len("  ")
		b.WriteString(wrap(line, width, indent) + "\n")
	}
	return b.String()
}

func (f failure) text(file *config.Error) string {
	if file != nil && len(file.Problems) > 1 {
		return fmt.Sprintf("idtrail: the config has %d problems:\n%s\n", len(file.Problems), indent(f.Error))
	}
	if f.Hint == "" {
		return "idtrail: " + f.Error + "\n"
	}
	return "idtrail: " + f.Error + "\n" + indent(f.Hint) + "\n"
}

// hintOf is what to do about an error, "" where it says so itself or nobody can.
func hintOf(err error) string {
	var coded *exitError
	switch {
	case errors.As(err, &coded):
		return coded.hint
	case errors.Is(err, config.ErrNotFound):
		return "write one with: idtrail init"
	case errors.Is(err, context.Canceled):
		return "run it again: it goes on where it stopped"
	default:
		return cmp.Or(stateHint(err), receiverHint(err), vendorHint(err), networkHint(err), fileHint(err))
	}
}

// stateHint is what to do about what idtrail itself keeps.
func stateHint(err error) string {
	switch {
	case errors.Is(err, state.ErrHeld):
		return "nothing was changed; wait until it is done, and call again"
	case errors.Is(err, state.ErrLost):
		return "another run goes on with this source, and nothing is lost; if it comes often, this machine sleeps or its network fails"
	case errors.Is(err, state.ErrNewer), errors.Is(err, segment.ErrNewer):
		return "a newer idtrail wrote it, and nothing was changed: use that version, or a later one"
	case errors.Is(err, segment.ErrDamaged):
		return "nothing is built on it: put back what was there, from a version of the bucket or a copy; idtrail verify shows what else is wrong"
	default:
		return ""
	}
}

// receiverHint is what to do about a receiver of events.
func receiverHint(err error) string {
	switch {
	case errors.Is(err, stream.ErrDenied):
		return "nothing is lost, and this sink alone has stopped: mend the config or the receiver, and try it with idtrail check"
	case errors.Is(err, stream.ErrRefused):
		return "nothing is rejected for that: is it the right receiver, and is what it is told of the form it takes?"
	case errors.Is(err, stream.ErrUnavailable):
		return "nothing is lost: the next run goes on where this one stopped"
	default:
		return ""
	}
}

// vendorHint is what to do about a vendor who refuses.
func vendorHint(err error) string {
	switch {
	case errors.Is(err, auth0.ErrCredentials):
		return "nothing is lost while the tenant keeps its log: put the right id and secret where the config points, and try them with idtrail check"
	case errors.Is(err, auth0.ErrScope):
		return "allow it in Auth0's dashboard, where the application and the Management API meet, and try it with idtrail check"
	case errors.Is(err, cognito.ErrCredentials), errors.Is(err, cognito.ErrDenied):
		return "docs/SOURCES.md has the rights that are needed; idtrail check tries them"
	default:
		return ""
	}
}

// networkHint is what to do where there was no connection, or none to be
// trusted.
func networkHint(err error) string {
	op, _ := errors.AsType[*net.OpError](err)
	switch {
	case op != nil && op.Op == "proxyconnect":
		return "the proxy that HTTPS_PROXY or HTTP_PROXY names does not answer: correct it, or name the host in NO_PROXY"
	case errors.As(err, new(x509.UnknownAuthorityError)):
		return "this machine does not know who signed the certificate: name the authority's with ca_file of the connection or sink, or SSL_CERT_FILE"
	case errors.As(err, new(x509.HostnameError)):
		return "the certificate is for another host: is the address right, and does nothing stand between?"
	case errors.As(err, new(x509.CertificateInvalidError)):
		return "if the certificate is good, this machine's clock is wrong"
	case op != nil, errors.As(err, new(*net.DNSError)):
		return "is the address right, and can this machine reach it? idtrail check tries it"
	default:
		return ""
	}
}

// fileHint is what to do where the system refused a file, unless the error says
// so itself.
func fileHint(err error) string {
	for _, told := range []string{"idtrail runs as", "free space", "mounted read-only"} {
		if strings.Contains(err.Error(), told) {
			return ""
		}
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("idtrail runs as user %d: give that user the right to it, or run it as another", os.Geteuid())
	case errors.Is(err, syscall.ENOSPC):
		return "free space on that file system; nothing is lost, and the next run goes on"
	case errors.Is(err, syscall.EROFS):
		return "the file system is mounted read-only: mount it writable, or name another place"
	default:
		return ""
	}
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(text, "\n", "\n  ")
}

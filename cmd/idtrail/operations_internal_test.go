package main

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/idtrail/idtrail/internal/fake"
)

// refuser is an AWS that refuses every call in the same way.
type refuserKey struct{}

type refuser struct {
	status atomic.Int64
	code   atomic.Value
}

// ServeHTTP answers in the form of the service that is called.
func (r *refuser) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	code, _ := r.code.Load().(string)
	form := `<Error><Code>%s</Code><Message>no</Message><RequestId>4442587FB7D0A2F9</RequestId></Error>`
	switch {
	case req.Header.Get("X-Amz-Target") != "":
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		form = `{"__type":%q,"message":"no"}`
	case strings.HasPrefix(req.Header.Get("Content-Type"), "application/x-www-form-urlencoded"):
		form = "<ErrorResponse>" + form + "</ErrorResponse>"
	}
	w.WriteHeader(int(r.status.Load()))
	fmt.Fprintf(w, form, code)
}

func setUpRefuser(env *testscript.Env) {
	r := &refuser{}
	r.status.Store(http.StatusForbidden)
	r.code.Store("AccessDenied")
	server := httptest.NewServer(r)
	env.Defer(server.Close)
	env.Values[refuserKey{}] = r
	env.Setenv("REFUSER_URL", server.URL)
	narrow := httptest.NewServer(fake.NewAuth0(fake.Auth0Options{ClientID: "client", ClientSecret: planted, Scopes: []string{"read:users"}}, nil))
	env.Defer(narrow.Close)
	env.Setenv("AUTH0_NARROW", narrow.URL)
}

// awsOf sets how AWS refuses: aws STATUS CODE.
func awsOf(ts *testscript.TestScript, _ bool, args []string) {
	r, _ := ts.Value(refuserKey{}).(*refuser)
	var status int64
	if len(args) != 2 {
		ts.Fatalf("usage: aws STATUS CODE")
	}
	_, err := fmt.Sscan(args[0], &status)
	ts.Check(err)
	r.status.Store(status)
	r.code.Store(args[1])
}

// operationsFile tells people what can fail, and shows what it then looks like in
// blocks with a name. Scripts provoke each: `documented NAME` wants every line of
// the block, in its order, in what the last command wrote to stderr or stdout;
// " … " in a line is whatever may be there. With -update a block that is empty
// becomes what was written of errors.
const operationsFile = "../../docs/OPERATIONS.md"

var updateOperations = flag.Bool("update", false, "write the messages of docs/OPERATIONS.md anew")

// messageBlock is a block of that file: its name, and what it shows.
var messageBlock = regexp.MustCompile("(?s)```text ([a-z0-9-]+)\n(.*?)```\n")

// operations is the file, for scripts that run side by side.
type operations struct {
	mu   sync.Mutex
	text string
}

func readOperations(t *testing.T) *operations {
	t.Helper()
	text, err := os.ReadFile(operationsFile)
	if err != nil {
		t.Fatal(err)
	}
	return &operations{text: string(text)}
}

func (o *operations) documented(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: documented NAME")
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	written := publicForm(ts, ts.ReadFile("stderr")+ts.ReadFile("stdout"))
	found := false
	o.text = messageBlock.ReplaceAllStringFunc(o.text, func(block string) string {
		b := messageBlock.FindStringSubmatch(block)
		if b[1] != args[0] {
			return block
		}
		found = true
		if *updateOperations && b[2] == "" {
			b[2] = faults(written)
		}
		rest := written
		for line := range strings.Lines(b[2]) {
			for part := range strings.SplitSeq(strings.TrimRight(line, "\n"), " … ") {
				var ok bool
				if _, rest, ok = strings.Cut(rest, part); !ok || part == "" {
					ts.Fatalf("docs/OPERATIONS.md, %s: %q was not written, or not there, in\n%s", args[0], part, written)
				}
			}
		}
		if b[2] == "" {
			ts.Fatalf("docs/OPERATIONS.md, %s: the block is empty", args[0])
		}
		return "```text " + b[1] + "\n" + b[2] + "```\n"
	})
	if !found {
		ts.Fatalf("docs/OPERATIONS.md has no block %s", args[0])
	}
}

// publicForm has the names of the document in the place of this machine's.
func publicForm(ts *testscript.TestScript, s string) string {
	for variable, name := range map[string]string{
		"AUTH0_URL": "acme.eu.auth0.com", "AUTH0_CLOSED": "acme.eu.auth0.com", "AUTH0_NARROW": "acme.eu.auth0.com", "HEC_URL": "splunk.acme.example",
		"DD_URL": "http-intake.logs.datadoghq.eu", "OTLP_URL": "otel.acme.example",
	} {
		if url := ts.Getenv(variable); url != "" {
			s = strings.ReplaceAll(s, url, "https://"+name)
			s = strings.ReplaceAll(s, strings.TrimPrefix(url, "http://"), name)
		}
	}
	s = strings.ReplaceAll(s, ts.Getenv("WORK"), "/srv")
	s = regexp.MustCompile(`\bon [a-zA-Z0-9.-]+ /srv`).ReplaceAllString(s, "on host-a /srv")
	s = regexp.MustCompile(`local:[a-z0-9]{26}`).ReplaceAllString(s, "local:6u65…")
	s = regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+Z`).ReplaceAllString(s, "2026-11-20T09:00:00Z")
	s = regexp.MustCompile(`since \d{4}-\d\d-\d\d\)`).ReplaceAllString(s, "since 2026-11-01)")
	s = regexp.MustCompile(`\d+s ago\)`).ReplaceAllString(s, "42s ago)") // on a slow machine it is more than 0
	return s
}

// faults are the lines that tell of a fault, without their time.
func faults(written string) string {
	var b strings.Builder
	said := false
	for line := range strings.Lines(written) {
		said = strings.HasPrefix(line, "idtrail: ") || said && strings.HasPrefix(line, "  ")
		level := strings.Index(line, "level=ERROR")
		if level < 0 {
			level = strings.Index(line, "level=WARN")
		}
		switch {
		case level >= 0:
			b.WriteString(line[level:])
		case said, strings.HasPrefix(line, "failed "), strings.HasPrefix(line, "altered "), strings.HasPrefix(line, "missing "), strings.Contains(line, "held by another run"):
			b.WriteString(line)
		}
	}
	return b.String()
}

// write keeps what -update has changed.
func (o *operations) write(t *testing.T) {
	t.Helper()
	if !*updateOperations {
		return
	}
	if err := os.WriteFile(operationsFile, []byte(o.text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestOperationsAreProvoked: nothing is shown in docs/OPERATIONS.md that no script
// provokes, and no script asks for what is not shown.
func TestOperationsAreProvoked(t *testing.T) {
	provoked := map[string]bool{}
	scripts, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, script := range scripts {
		text, err := os.ReadFile(script)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^(?:\[.*\] )?documented ([a-z0-9-]+)$`).FindAllStringSubmatch(string(text), -1) {
			provoked[m[1]] = true
		}
	}
	shown := 0
	for _, block := range messageBlock.FindAllStringSubmatch(readOperations(t).text, -1) {
		shown++
		if !provoked[block[1]] {
			t.Errorf("no script provokes %s", block[1])
		}
	}
	if shown < 20 {
		t.Errorf("found %d messages, which is too few", shown)
	}
}

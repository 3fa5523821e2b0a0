package extracttest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/extract/extracttest"
	"github.com/idtrail/idtrail/schema"
)

// toy is a source of nine pages of two records; its cursor is the page's
// number. flaw is the rule it breaks.
type toy struct {
	flaw  string
	users bool
	url   string // if set, every page calls it
}

func (s toy) Name() string { return "toy" }

func (s toy) Start(time.Time) extract.Cursor { return "" }

var errToy = errors.New("the toy broke")

func (s toy) Pages(ctx context.Context, from extract.Cursor) iter.Seq2[extract.Page, error] {
	return func(yield func(extract.Page, error) bool) {
		n, _ := strconv.Atoi(string(from))
		shared := make([]byte, 0, 100)
		for ; n < 9; n++ {
			if err := s.call(ctx); err != nil {
				yield(extract.Page{}, err)
				return
			}
			p := s.page(n)
			if s.flaw == "memory" {
				shared = append(shared[:0], p.Records[0].Bytes...)
				p.Records[0].Bytes = shared
			}
			if !s.give(yield, p, n) {
				return
			}
		}
	}
}

// call fails as a source's call would, if the context or the flaw says so.
func (s toy) call(ctx context.Context) error {
	if s.flaw == "goroutine" {
		go func() { <-make(chan int) }()
	}
	if s.url != "" {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, http.NoBody)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		if s.flaw != "body" {
			return resp.Body.Close()
		}
	}
	if err := ctx.Err(); err != nil && s.flaw != "cancel" {
		return err
	}
	return nil
}

func (s toy) page(n int) extract.Page {
	p := extract.Page{Next: extract.Cursor(strconv.Itoa(n + 1))}
	for i := range 2 {
		p.Records = append(p.Records, s.record(2*n+i))
	}
	p.Done = []extract.Input{{Key: strconv.Itoa(n), SHA256: strings.Repeat("ab", 32), Records: 2}}
	if s.users {
		begin := time.Date(2026, 11, 19, 0, 0, n/3, 0, time.UTC)
		p.Snapshot = &schema.Snapshot{ID: begin.Format("20060102T150405Z"), Begin: begin}
		if n%3 == 2 {
			p.Snapshot.Complete, p.Snapshot.End, p.Snapshot.Counts = true, begin, map[string]int64{"users": 6}
		}
	}
	s.spoil(&p, n)
	return p
}

func (s toy) record(n int) schema.Raw {
	b := fmt.Appendf(nil, `{"log_id":"%d"}`, n)
	return schema.Raw{Kind: schema.KindAuth0Log, ID: strconv.Itoa(n), Bytes: b}
}

func (s toy) spoil(p *extract.Page, n int) {
	switch {
	case s.flaw == "id":
		p.Records[0].ID = "x" + p.Records[0].ID
	case s.flaw == "json":
		p.Records[0].Bytes = []byte(`{"log_id":"` + p.Records[0].ID + `"`)
	case s.flaw == "twice" && n == 4:
		p.Records[1] = p.Records[0]
	case s.flaw == "empty next" && n == 8:
		p.Next = ""
	case s.flaw == "back" && n == 4:
		p.Next = "3"
	case s.flaw == "ahead" && n == 4:
		p.Next = "6"
	case s.flaw == "done twice" && n == 4:
		p.Done[0].Key = "3"
	case s.flaw == "complete early" && n == 4:
		p.Snapshot.Complete, p.Snapshot.End, p.Snapshot.Counts = true, p.Snapshot.Begin, map[string]int64{"users": 4}
	case s.flaw == "begin moves" && n == 4:
		p.Snapshot.Begin = p.Snapshot.Begin.Add(time.Millisecond)
	case s.flaw == "never complete" && n == 8:
		*p.Snapshot = schema.Snapshot{ID: p.Snapshot.ID, Begin: p.Snapshot.Begin}
	}
}

func (s toy) give(yield func(extract.Page, error) bool, p extract.Page, n int) bool {
	switch {
	case s.flaw == "page with error" && n == 4:
		return yield(p, errToy) && false
	case s.flaw == "behind error" && n == 4:
		return yield(extract.Page{}, errToy) && yield(p, nil)
	case s.flaw == "fails" && n == 4:
		return yield(extract.Page{}, errToy) && false
	}
	return yield(p, nil)
}

// TestFlawed is run by TestRunFindsFlaws in a process of its own.
func TestFlawed(t *testing.T) {
	flaw := os.Getenv("EXTRACTTEST_FLAW")
	if flaw == "" {
		t.Skip("it is meant to fail")
	}
	src := toy{flaw: flaw, users: strings.Contains(flaw, "complete") || flaw == "begin moves"}
	h := extracttest.Harness{New: func(*testing.T, extract.Ledger) extract.Source { return src }}
	switch flaw {
	case "page with error", "behind error":
		h.New = func(*testing.T, extract.Ledger) extract.Source { return toy{} }
		h.Failing = func(*testing.T, extract.Ledger) extract.Source { return src }
	case "wanted":
		h.Want = []string{"0", "1"}
	case "open":
		h.Open = func() int { return 1 }
	case "body":
		src.url = serve(t)
	}
	extracttest.Run(t, h)
}

// serve answers with more than a connection holds, so that a body that is not
// closed keeps it.
func serve(t *testing.T) string {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err := json.NewEncoder(w).Encode(strings.Repeat("x", 1<<20)); err != nil {
			return
		}
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

func TestRunFindsFlaws(t *testing.T) {
	for flaw, want := range map[string]string{
		"id":              "got id",
		"json":            "is no JSON value",
		"twice":           "comes twice",
		"empty next":      "Next is empty",
		"back":            "resume behind a page",
		"ahead":           "resume behind a page",
		"done twice":      "is done twice",
		"cancel":          "cancelled behind",
		"memory":          "its memory was used again",
		"goroutine":       "goroutines left behind",
		"body":            "goroutines left behind",
		"page with error": "page that is not empty",
		"behind error":    "came behind the error",
		"complete early":  "goes on behind its end",
		"begin moves":     "began",
		"never complete":  "is not complete",
		"wanted":          "ids of the whole",
		"open":            "left open after the reading",
	} {
		if testing.Short() && (flaw == "goroutine" || flaw == "body") {
			continue // they take the kit's patience
		}
		t.Run(flaw, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestFlawed$", "-test.failfast")
			cmd.Env = append(os.Environ(), "EXTRACTTEST_FLAW="+flaw)
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), want) {
				t.Errorf("the kit did not say %q (%v):\n%.3000s", want, err, out)
			}
		})
	}
}

func TestRun(t *testing.T) {
	for name, src := range map[string]toy{"logs": {}, "users": {users: true}, "http": {url: serve(t)}} {
		t.Run(name, func(t *testing.T) {
			extracttest.Run(t, extracttest.Harness{
				New:     func(*testing.T, extract.Ledger) extract.Source { return src },
				Failing: func(*testing.T, extract.Ledger) extract.Source { return toy{flaw: "fails"} },
				ErrWant: errToy,
			})
		})
	}
}

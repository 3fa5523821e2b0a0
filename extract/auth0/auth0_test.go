package auth0_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/extract/auth0"
	"github.com/idtrail/idtrail/internal/fake"
	"github.com/idtrail/idtrail/schema"
)

// secret is what no error may ever show.
const secret = "s3cr3t-never-shown"

// tenant is a server in this process and a source that reads it.
type tenant struct {
	*fake.Auth0
	opts auth0.Options
}

// newTenant answers with these records. The rate is out of the way, the clock
// is time.Now: a bubble's in most tests.
func newTenant(records [][]byte, opts fake.Auth0Options) *tenant {
	opts.ClientID, opts.ClientSecret = "app", secret
	server := fake.NewAuth0(opts, fake.LogList(records...))
	return &tenant{Auth0: server, opts: auth0.Options{
		Name: "acme", Domain: "acme.eu.auth0.com", ClientID: "app", ClientSecret: secret,
		Rate: 1e6, Burst: 1e6, Transport: fake.Transport(server), Now: time.Now,
	}}
}

func (x *tenant) logs(t *testing.T) *auth0.Logs {
	t.Helper()
	src, err := auth0.NewLogs(x.opts)
	if err != nil {
		t.Fatalf("NewLogs: %v", err)
	}
	return src
}

// read ranges over the source from a cursor.
func (x *tenant) read(t *testing.T, from extract.Cursor) (pages []extract.Page, err error) {
	t.Helper()
	for p, e := range x.logs(t).Pages(t.Context(), from) {
		if e != nil {
			err = e
			break
		}
		pages = append(pages, p)
	}
	return pages, err
}

func (x *tenant) mustRead(t *testing.T, from extract.Cursor) []extract.Page {
	t.Helper()
	pages, err := x.read(t, from)
	if err != nil {
		t.Fatalf("reading from %q: %v", from, err)
	}
	return pages
}

// record is a small log record whose id was made at that instant.
func record(at time.Time, n int) []byte {
	id := auth0.SyntheticID(at)[:17] + fmt.Sprintf("%039d", n+1)
	return fmt.Appendf(nil, `{"_id":%q,"log_id":%q,"type":"s","date":%q}`, id, id, at.UTC().Format(time.RFC3339Nano))
}

// series makes n records, a minute apart, the last a minute before end.
func series(n int, end time.Time) [][]byte {
	var out [][]byte
	for i := range n {
		out = append(out, record(end.Add(time.Duration(i-n)*time.Minute), i))
	}
	return out
}

func idsOf(records [][]byte) []string {
	var ids []string
	for _, r := range records {
		ids = append(ids, schema.KindAuth0Log.ID(r))
	}
	return ids
}

func idsIn(pages []extract.Page) []string {
	var ids []string
	for _, p := range pages {
		for _, r := range p.Records {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

func next(pages []extract.Page) extract.Cursor { return pages[len(pages)-1].Next }

func gapsIn(pages []extract.Page) []schema.Gap {
	var gaps []schema.Gap
	for _, p := range pages {
		gaps = append(gaps, p.Gaps...)
	}
	return gaps
}

func sameIDs(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got %d ids, want %d:\n got %.400v\nwant %.400v", len(got), len(want), got, want)
	}
}

func hidesSecret(t *testing.T, err error) {
	t.Helper()
	if err != nil && strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), secret) {
		t.Errorf("error shows a secret: %v", err)
	}
}

// A server that caps pages at 50 although 100 are asked for sends only short
// pages; none of them is the end.
func TestShortPagesDoNotEnd(t *testing.T) {
	for _, maxTake := range []int{1, 50, 100} {
		t.Run(fmt.Sprint(maxTake), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				all := series(230, time.Now())
				x := newTenant(all, fake.Auth0Options{MaxTake: maxTake})
				pages := x.mustRead(t, x.logs(t).Start(time.Now().AddDate(0, 0, -1)))
				sameIDs(t, idsIn(pages), idsOf(all))
				if got, want := x.Count(fake.LogsPath), (230+maxTake-1)/maxTake+1; got != want {
					t.Errorf("got %d calls, want %d: a call a page and the empty one", got, want)
				}
				for _, c := range x.Calls() {
					if c.Path == fake.LogsPath && (c.Query.Get("take") != "100" || c.Telemetry || c.Agent != "idtrail") {
						t.Errorf("call %+v: want take 100, no telemetry, our own agent", c)
					}
				}
			})
		})
	}
}

func TestStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := series(60, time.Now())
		x := newTenant(all, fake.Auth0Options{})
		pages := x.mustRead(t, x.logs(t).Start(time.Now().Add(-30*time.Minute)))
		sameIDs(t, idsIn(pages), idsOf(all[30:]))
		if gaps := gapsIn(pages); gaps != nil {
			t.Errorf("a first run declares gaps: %v", gaps)
		}
		// The overlap of the second run must not go before the start either.
		pages = x.mustRead(t, next(pages))
		sameIDs(t, idsIn(pages), idsOf(all[50-1:]))
		pages = x.mustRead(t, "")
		sameIDs(t, idsIn(pages), idsOf(all))
	})
}

// A record that appears below the cursor within the overlap is found, and the
// cursor stays where it was.
func TestLateRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := series(60, time.Now())
		x := newTenant(all, fake.Auth0Options{MaxTake: 3})
		first := x.mustRead(t, "")
		within := record(time.Now().Add(-8*time.Minute), 7)
		below := record(time.Now().Add(-20*time.Minute), 8)
		x.Insert(within, below)
		second := x.mustRead(t, next(first))
		got := idsIn(second)
		if !slices.Contains(got, schema.KindAuth0Log.ID(within)) {
			t.Errorf("the late record is not among %v", got)
		}
		if slices.Contains(got, schema.KindAuth0Log.ID(below)) {
			t.Errorf("a record far below the overlap was read again")
		}
		for _, p := range second {
			if a, b := position(t, p.Next), position(t, next(first)); a != b {
				t.Errorf("an overlap page moved the cursor from %s to %s", b, a)
			}
		}
	})
}

// A tenant that writes a record a second never answers empty: a run ends behind
// the instant it began at, and the next one goes on there.
func TestBusyTenantEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var all [][]byte
		for i := range 600 {
			all = append(all, record(begin.Add(time.Duration(i-300)*time.Second), i))
		}
		x := newTenant(all, fake.Auth0Options{})
		x.opts.Rate, x.opts.Burst = 0.5, 1
		first := x.mustRead(t, "")
		if n := x.Count(fake.LogsPath); n > 6 {
			t.Errorf("the first run made %d calls: it followed the tail", n)
		}
		time.Sleep(10 * time.Minute)
		second := x.mustRead(t, next(first))
		got := append(idsIn(first), idsIn(second)...)
		slices.Sort(got)
		sameIDs(t, slices.Compact(got), idsOf(all))
	})
}

func TestGaps(t *testing.T) {
	const day = 24 * time.Hour
	fresh := []time.Duration{time.Hour, time.Minute}
	tests := []struct {
		name string
		// read before and after being away for so long
		away, retention, told time.Duration
		// age of the last record at the first reading
		age time.Duration
		// come are the ages of records that come meanwhile
		come []time.Duration
		// until is how long ago the gap ends, 0 for no gap
		until time.Duration
	}{
		{name: "within retention", away: 3 * day, retention: 5 * day, told: 5 * day, come: fresh},
		{name: "within retention, not told", away: 3 * day, retention: 5 * day, come: fresh},
		{name: "beyond retention", away: 7 * day, retention: 5 * day, told: 5 * day, come: fresh, until: 5 * day},
		{name: "beyond retention, not told", away: 7 * day, retention: 5 * day, come: fresh, until: day},
		{name: "beyond retention, not told, older records", away: 7 * day, retention: 5 * day, come: []time.Duration{4 * day, 2 * day}, until: 4 * day},
		{name: "beyond retention, quiet", away: 7 * day, retention: 5 * day, told: 5 * day, until: 5 * day},
		{name: "plan keeps more than told", away: 7 * day, retention: 30 * day, told: 5 * day, come: fresh},
		{name: "one-day plan, away two hours", away: 2 * time.Hour, retention: day, told: day, come: fresh},
		{name: "quiet before", age: 4 * day, away: 3 * day, retention: 5 * day, told: 5 * day, come: fresh},
		{name: "quiet before, not told", age: 4 * day, away: 3 * day, retention: 5 * day, come: fresh, until: day},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := newTenant(series(120, time.Now().Add(-tt.age)), fake.Auth0Options{Retention: tt.retention})
				x.opts.Retention = tt.told
				drained := time.Now()
				first := x.mustRead(t, "")
				time.Sleep(tt.away)
				for i, age := range tt.come {
					x.Insert(record(time.Now().Add(-age), i))
				}
				second := x.mustRead(t, next(first))
				gaps := gapsIn(second)
				if got := len(gaps) == 1; got != (tt.until != 0) {
					t.Fatalf("got gaps %v, want one: %v", gaps, tt.until != 0)
				}
				if len(gaps) == 1 && (!gaps[0].From.Equal(drained) || !gaps[0].To.Equal(time.Now().Add(-tt.until)) || gaps[0].Source != "acme") {
					t.Errorf("got %+v, want it from %v until %v", gaps[0], drained, time.Now().Add(-tt.until))
				}
				if again := gapsIn(x.mustRead(t, next(second))); again != nil {
					t.Errorf("the next run declares %v again", again)
				}
			})
		})
	}
}

// The cursor's own record may be gone on a quiet tenant without anything being
// lost: it was drained an hour ago.
func TestQuietTenantHasNoGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTenant(series(10, time.Now()), fake.Auth0Options{Retention: 24 * time.Hour})
		x.opts.Retention = 24 * time.Hour
		from := next(x.mustRead(t, ""))
		for range 40 {
			time.Sleep(time.Hour)
			pages := x.mustRead(t, from)
			if gaps := gapsIn(pages); gaps != nil {
				t.Fatalf("got gaps %v", gaps)
			}
			from = next(pages)
		}
	})
}

// A run that was cut off before it ever came to the end declares no gap: it has
// a coverage start, no promise to keep.
func TestUndrainedRunHasNoGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTenant(series(300, time.Now()), fake.Auth0Options{Retention: 24 * time.Hour})
		var from extract.Cursor
		for p, err := range x.logs(t).Pages(t.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
			from = p.Next
			break
		}
		time.Sleep(5 * 24 * time.Hour)
		if gaps := gapsIn(x.mustRead(t, from)); gaps != nil {
			t.Errorf("got gaps %v", gaps)
		}
	})
}

// Each of these is a record the vendor or a proxy has sent or might send. None
// may stop the page or change a neighbour.
func TestOddRecords(t *testing.T) {
	odd := []string{
		`{"log_id":"%s","type":"s","scope":["a",1,null]}`,
		`{"log_id":"%s","type":"s","user_id":90071992547409931}`,
		`{"log_id":"%s","type":"s","details":"text"}`,
		`{"log_id":"%s","type":"s","details":[1,{"a":[]}]}`,
		`{"log_id":"%s","type":"s","details":null}`,
		`{"log_id":"%s","type":7,"date":{"$date":"x"}}`,
		`{"log_id":"%s","type":"s","date":"yesterday"}`,
		"{\"log_id\":\"%s\",\"type\":\"s\",\"user_name\":\"\xff\xfe\"}",
		`{"log_id":"%s","type":"s","description":"]},{[\"\\"}`,
		`{"log_id":"%s","log_id":"again"}`,
		"{ \"log_id\" : \"%s\" ,\n\t\"type\":\"s\" }",
		`{"log_id":"%s","type":"s","big":"` + strings.Repeat("x", 300<<10) + `"}`,
	}
	synctest.Test(t, func(t *testing.T) {
		var all [][]byte
		for i, format := range odd {
			id := auth0.SyntheticID(time.Now().Add(-time.Hour))[:17] + fmt.Sprintf("%039d", i+1)
			all = append(all, []byte(strings.Replace(format, "%s", id, 1)))
		}
		x := newTenant(all, fake.Auth0Options{MaxTake: 5})
		var got [][]byte
		for _, p := range x.mustRead(t, "") {
			for _, r := range p.Records {
				if r.Kind != schema.KindAuth0Log || r.Fault != "" || r.ID == "" {
					t.Errorf("got kind %q, id %q, fault %q of %.80q", r.Kind, r.ID, r.Fault, r.Bytes)
				}
				got = append(got, r.Bytes)
			}
		}
		if !slices.EqualFunc(got, all, slices.Equal) {
			t.Errorf("got %d records, want the %d as they were sent", len(got), len(all))
		}
	})
}

// What no id can be read from is handed on with what stands beside it.
func TestElementsWithoutID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good := record(time.Now().Add(-time.Minute), 1)
		body := fmt.Sprintf(`[{"type":"s"},null,"text",{"a":1 "b":2},%s,{"log_id":""}]`, good)
		x := newTenant(nil, fake.Auth0Options{
			Fault: fake.OnCalls(fake.LogsPath, &fake.Fault{Status: http.StatusOK, Body: body}, 1),
		})
		pages := x.mustRead(t, "")
		if len(pages) != 2 || len(pages[0].Records) != 6 {
			t.Fatalf("got %d pages, want two, the first with 6 records", len(pages))
		}
		for i, r := range pages[0].Records {
			if got, want := r.Fault != "", i == 3; got != want {
				t.Errorf("record %d: got fault %q", i, r.Fault)
			}
		}
		if got, want := position(t, next(pages)), schema.KindAuth0Log.ID(good); got != want {
			t.Errorf("got cursor %s, want %s", got, want)
		}
	})
}

// Without any id on a page, only Auth0's own link says where to go on.
func TestLinkWhereNoIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := auth0.SyntheticID(time.Now().Add(-time.Hour))
		fault := &fake.Fault{Status: http.StatusOK, Body: `[{"type":"s"}]`, Header: http.Header{
			"Link": {`<https://acme.eu.auth0.com/api/v2/logs?from=` + at + `&take=100>; rel="next"`},
		}}
		x := newTenant(series(3, time.Now()), fake.Auth0Options{Fault: fake.OnCalls(fake.LogsPath, fault, 1)})
		if got := len(idsIn(x.mustRead(t, ""))); got != 4 {
			t.Errorf("got %d records, want 4", got)
		}
		if got := x.Calls()[2].Query.Get("from"); got != at {
			t.Errorf("second call goes on at %q, want %q", got, at)
		}
	})
}

// A link that points before the last record is followed: the server has more.
func TestLinkBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := series(10, time.Now())
		ids := idsOf(all)
		page := append(append([]byte("["), all[0]...), ',')
		page = append(append(page, all[5]...), ']')
		fault := &fake.Fault{Status: http.StatusOK, Body: string(page), Header: http.Header{
			"Link": {`</x>; rel="prev", <https://acme.eu.auth0.com/api/v2/logs?take=100&from=` + ids[0] + `>; rel="next"`},
		}}
		x := newTenant(all, fake.Auth0Options{Fault: fake.OnCalls(fake.LogsPath, fault, 1)})
		got := idsIn(x.mustRead(t, ""))
		slices.Sort(got)
		sameIDs(t, slices.Compact(got), ids)
	})
}

// position reads what an operator would: the id in the cursor.
func position(t *testing.T, c extract.Cursor) string {
	t.Helper()
	_, rest, ok := strings.Cut(string(c), `"from":"`)
	id, _, ok2 := strings.Cut(rest, `"`)
	if !ok || !ok2 {
		t.Fatalf("cursor %q has no from", c)
	}
	return id
}

// A server that sends the same page for ever is found out at once.
func TestStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		page := "[" + string(record(time.Now().Add(-time.Hour), 1)) + "]"
		same := &fake.Fault{Status: http.StatusOK, Body: page}
		x := newTenant(nil, fake.Auth0Options{Fault: func(c fake.Call) *fake.Fault {
			if c.Path == fake.LogsPath {
				return same
			}
			return nil
		}})
		pages, err := x.read(t, "")
		if err == nil || !strings.Contains(err.Error(), "does not advance") || len(pages) != 1 {
			t.Errorf("got %d pages and error %v, want one page and that paging does not advance", len(pages), err)
		}
	})
}

func TestCursorErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTenant(series(3, time.Now()), fake.Auth0Options{})
		far := auth0.SyntheticID(time.Now().AddDate(1, 0, 0))
		for _, c := range []string{"{", "5", "{}", `{"from":""}`, `{"from":"a b"}`, `{"from":7}`, `{"from":"` + far + `"}`, `{"from":"9","start":"\n"}`} {
			if pages, err := x.read(t, extract.Cursor(c)); err == nil || len(pages) != 0 {
				t.Errorf("cursor %s: got %d pages and no error", c, len(pages))
			}
		}
		// An id of another form is a position still; it just has no time.
		if got := idsIn(x.mustRead(t, `{"from":"12345"}`)); len(got) != 3 {
			t.Errorf("cursor of another form: got %d records, want 3", len(got))
		}
	})
}

func TestOptions(t *testing.T) {
	good := auth0.Options{Name: "a", Domain: "acme.eu.auth0.com", ClientID: "c", ClientSecret: secret, Now: time.Now}
	tests := []struct {
		name   string
		change func(o *auth0.Options)
		ok     bool
		id     string
	}{
		{"host", func(*auth0.Options) {}, true, "auth0:acme.eu.auth0.com"},
		{"url", func(o *auth0.Options) { o.Domain = "https://Acme.EU.auth0.com/" }, true, "auth0:acme.eu.auth0.com"},
		{"http on loopback", func(o *auth0.Options) { o.Domain = "http://127.0.0.1:8080" }, true, "auth0:127.0.0.1:8080"},
		{"http on localhost", func(o *auth0.Options) { o.Domain = "http://localhost:8080" }, true, "auth0:localhost:8080"},
		{"http elsewhere", func(o *auth0.Options) { o.Domain = "http://acme.eu.auth0.com" }, false, ""},
		{"other scheme", func(o *auth0.Options) { o.Domain = "ftp://127.0.0.1" }, false, ""},
		{"no domain", func(o *auth0.Options) { o.Domain = "" }, false, ""},
		{"password in domain", func(o *auth0.Options) { o.Domain = "https://user:" + secret + "@acme.eu.auth0.com" }, false, ""},
		{"path in domain", func(o *auth0.Options) { o.Domain = "https://acme.eu.auth0.com/api/v2" }, false, ""},
		{"no secret", func(o *auth0.Options) { o.ClientSecret = "" }, false, ""},
		{"no id", func(o *auth0.Options) { o.ClientID = "" }, false, ""},
		{"secret and key", func(o *auth0.Options) { o.PrivateKey = "x" }, false, ""},
		{"bad key", func(o *auth0.Options) { o.PrivateKey, o.ClientSecret = secret, "" }, false, ""},
		{"negative rate", func(o *auth0.Options) { o.Rate = -1 }, false, ""},
		{"no clock", func(o *auth0.Options) { o.Now = nil }, false, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := good
			tt.change(&o)
			src, err := auth0.NewLogs(o)
			hidesSecret(t, err)
			if (err == nil) != tt.ok {
				t.Fatalf("got error %v, want ok: %v", err, tt.ok)
			}
			if tt.ok && src.Identity() != tt.id {
				t.Errorf("got identity %s, want %s", src.Identity(), tt.id)
			}
		})
	}
}

func TestCancelledBeforehand(t *testing.T) {
	x := newTenant(nil, fake.Auth0Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range x.logs(t).Pages(ctx, "") {
		if err == nil {
			t.Error("got a page after the context was cancelled")
		}
	}
	if n := len(x.Calls()); n != 0 {
		t.Errorf("got %d calls", n)
	}
}

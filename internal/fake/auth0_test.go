package fake_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/idtrail/idtrail/internal/fake"
	"github.com/idtrail/idtrail/schema"
)

const host = "https://acme.eu.auth0.com"

// clock is a server's clock that tests move.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

// tester is a client without a network.
type tester struct {
	t      *testing.T
	server *fake.Auth0
	clock  *clock
	bearer string
}

func newTester(t *testing.T, opts fake.Auth0Options, records ...[]byte) *tester {
	t.Helper()
	c := &clock{at: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	opts.Now = c.now
	x := &tester{t: t, server: fake.NewAuth0(opts, fake.LogList(records...)), clock: c}
	x.login()
	return x
}

func (x *tester) do(r *http.Request) (*http.Response, string, error) {
	x.t.Helper()
	res, err := fake.Transport(x.server).RoundTrip(r)
	if err != nil {
		return nil, "", err
	}
	body, err := io.ReadAll(res.Body)
	return res, string(body), err
}

func (x *tester) post(form url.Values, basic ...string) (int, map[string]any) {
	x.t.Helper()
	r := httptest.NewRequestWithContext(x.t.Context(), http.MethodPost, host+fake.TokenPath, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if len(basic) == 2 {
		r.SetBasicAuth(basic[0], basic[1])
	}
	res, body, err := x.do(r)
	if err != nil {
		x.t.Fatal(err)
	}
	var answer map[string]any
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		x.t.Fatalf("token answer %s: %v", body, err)
	}
	return res.StatusCode, answer
}

func grant(more ...string) url.Values {
	form := url.Values{"grant_type": {"client_credentials"}, "audience": {host + "/api/v2/"}}
	for i := 0; i+1 < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	return form
}

func (x *tester) login() {
	x.t.Helper()
	_, answer := x.post(grant(), "client", "secret")
	x.bearer, _ = answer["access_token"].(string)
}

// get calls the Management API and returns status, records and next position.
func (x *tester) get(query string) (status int, ids []string, res *http.Response) {
	x.t.Helper()
	r := httptest.NewRequestWithContext(x.t.Context(), http.MethodGet, host+fake.LogsPath+query, nil)
	r.Header.Set("Authorization", "Bearer "+x.bearer)
	res, body, err := x.do(r)
	if err != nil {
		x.t.Fatal(err)
	}
	var list []json.RawMessage
	_ = json.Unmarshal([]byte(body), &list)
	for _, rec := range list {
		ids = append(ids, schema.KindAuth0Log.ID(rec))
	}
	return res.StatusCode, ids, res
}

func logAt(at time.Time, n int) []byte {
	id := fake.SyntheticLogID(at)[:17] + fmt.Sprintf("%039d", n+1)
	return fmt.Appendf(nil, `{"log_id":%q,"type":"s","date":%q}`, id, at.Format(time.RFC3339))
}

// hourly are n records an hour apart, the last an hour before the clock.
func hourly(n int) (out [][]byte) {
	end := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for i := range n {
		out = append(out, logAt(end.Add(time.Duration(i-n)*time.Hour), i))
	}
	return out
}

func TestToken(t *testing.T) {
	x := newTester(t, fake.Auth0Options{})
	tests := []struct {
		name   string
		form   url.Values
		basic  []string
		status int
		code   string
	}{
		{"basic", grant(), []string{"client", "secret"}, 200, ""},
		{"form", grant("client_id", "client", "client_secret", "secret"), nil, 200, ""},
		{"wrong secret", grant("client_id", "client", "client_secret", "x"), nil, 401, "access_denied"},
		{"wrong basic", grant(), []string{"client", "x"}, 401, "access_denied"},
		{"nothing", grant(), nil, 401, "access_denied"},
		{"wrong audience", grant("audience", "https://other/"), []string{"client", "secret"}, 403, "access_denied"},
		{"wrong grant", grant("grant_type", "password"), []string{"client", "secret"}, 403, "unauthorized_client"},
	}
	for _, tt := range tests {
		status, answer := x.post(tt.form, tt.basic...)
		code, _ := answer["error"].(string)
		if status != tt.status || code != tt.code {
			t.Errorf("%s: got %d %v, want %d %s", tt.name, status, answer, tt.status, tt.code)
		}
		if tt.status == 200 && (answer["scope"] != "read:logs read:users" || answer["expires_in"] != 86400.0) {
			t.Errorf("%s: got %v", tt.name, answer)
		}
	}
	if n := x.server.Count(fake.TokenPath); n != len(tests)+1 {
		t.Errorf("got %d token calls, want %d", n, len(tests)+1)
	}
}

func TestTokenEnds(t *testing.T) {
	x := newTester(t, fake.Auth0Options{TokenLifetime: time.Hour}, hourly(3)...)
	if status, _, _ := x.get("?take=1"); status != 200 {
		t.Fatalf("got %d", status)
	}
	x.clock.at = x.clock.at.Add(time.Hour)
	if status, _, _ := x.get("?take=1"); status != 401 {
		t.Errorf("expired token: got %d, want 401", status)
	}
	x.login()
	x.server.Revoke()
	if status, _, _ := x.get("?take=1"); status != 401 {
		t.Errorf("revoked token: got %d, want 401", status)
	}
}

func TestCheckpoint(t *testing.T) {
	all := hourly(120)
	x := newTester(t, fake.Auth0Options{MaxTake: 50}, all...)
	from, got := "", 0
	for calls := 0; ; calls++ {
		_, ids, res := x.get("?take=100&from=" + from)
		link := res.Header.Get("Link")
		if len(ids) == 0 {
			// At the end the position is the one just asked for.
			if !strings.Contains(link, "from="+from+"&") || !strings.HasPrefix(link, "<"+host) || calls != 3 {
				t.Errorf("got link %s after %d calls", link, calls)
			}
			break
		}
		if len(ids) > 50 || ids[0] <= from {
			t.Fatalf("got %d ids from %s on, behind %s", len(ids), ids[0], from)
		}
		got, from = got+len(ids), ids[len(ids)-1]
		if !strings.Contains(link, "from="+from) {
			t.Errorf("got link %s, want %s in it", link, from)
		}
	}
	if got != len(all) {
		t.Errorf("got %d records, want %d", got, len(all))
	}
	late := logAt(x.clock.at.Add(-30*time.Minute-5*time.Hour), 9)
	x.server.Insert(late)
	if _, ids, _ := x.get("?take=1&from=" + fake.SyntheticLogID(x.clock.at.Add(-6*time.Hour+time.Second))); len(ids) != 1 || ids[0] != schema.KindAuth0Log.ID(late) {
		t.Errorf("got %v, want the late record", ids)
	}
}

func TestRetentionAndFuture(t *testing.T) {
	x := newTester(t, fake.Auth0Options{Retention: 5 * time.Hour}, append(hourly(10), logAt(time.Date(2026, 5, 1, 12, 30, 0, 0, time.UTC), 99))...)
	if _, ids, _ := x.get("?take=100&from=" + fake.SyntheticLogID(x.clock.at.AddDate(0, 0, -9))); len(ids) != 5 {
		t.Errorf("got %d records, want the 5 kept", len(ids))
	}
	x.clock.at = x.clock.at.Add(time.Hour)
	if _, ids, _ := x.get("?take=100"); len(ids) != 5 {
		t.Errorf("an hour later: got %d records, want 5: one gone, one come", len(ids))
	}
}

func TestSearch(t *testing.T) {
	x := newTester(t, fake.Auth0Options{}, hourly(1500)...)
	_, newest, _ := x.get("?per_page=10")
	if len(newest) != 10 || newest[0] <= newest[9] {
		t.Errorf("got %v, want the newest first", newest)
	}
	if status, ids, _ := x.get("?per_page=100&page=9&sort=date:1"); status != 200 || len(ids) != 100 {
		t.Errorf("tenth page: got %d and %d records", status, len(ids))
	}
	for _, query := range []string{"?per_page=100&page=10", "?per_page=101", "?page=-1", "?take=101", "?take=x", "?q=type:s"} {
		if status, _, _ := x.get(query); status != 400 {
			t.Errorf("%s: got %d, want 400", query, status)
		}
	}
	if status, _, _ := x.get("/" + newest[0]); status != 200 {
		t.Errorf("one record: got %d", status)
	}
	if status, _, _ := x.get("/900"); status != 404 {
		t.Errorf("no record: got %d", status)
	}
}

func TestScope(t *testing.T) {
	x := newTester(t, fake.Auth0Options{Scopes: []string{"read:users"}})
	if status, _, _ := x.get("?take=1"); status != 403 {
		t.Errorf("got %d, want 403", status)
	}
}

func TestBucket(t *testing.T) {
	x := newTester(t, fake.Auth0Options{Burst: 3, PerSecond: 0.5}, hourly(3)...)
	for i, want := range []int{200, 200, 200, 429} {
		status, _, res := x.get("?take=1")
		if status != want || res.Header.Get("X-RateLimit-Limit") != "3" || res.Header.Get("X-RateLimit-Remaining") != strconv.Itoa(max(2-i, 0)) {
			t.Errorf("call %d: got %d with %v, want %d", i, status, res.Header, want)
		}
	}
	_, _, res := x.get("?take=1")
	reset, err := strconv.ParseInt(res.Header.Get("X-RateLimit-Reset"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	x.clock.at = time.Unix(reset, 0)
	if status, _, _ := x.get("?take=1"); status != 200 {
		t.Errorf("after the reset: got %d", status)
	}
}

func TestFaults(t *testing.T) {
	x := newTester(t, fake.Auth0Options{}, hourly(30)...)
	request := func() (*http.Response, string, error) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, host+fake.LogsPath+"?take=100", nil)
		r.Header.Set("Authorization", "Bearer "+x.bearer)
		return x.do(r)
	}
	x.server.SetFault(fake.OnCalls(fake.LogsPath, &fake.Fault{Drop: true}, 1))
	if _, _, err := request(); err == nil {
		t.Error("dropped: got an answer")
	}
	x.server.SetFault(fake.OnCalls(fake.LogsPath, &fake.Fault{Truncate: 100}, 2))
	if res, body, err := request(); err == nil || res == nil || len(body) != 100 {
		t.Errorf("truncated: got %d bytes and error %v", len(body), err)
	}
	x.server.SetFault(fake.OnCalls(fake.LogsPath, fake.TooMany(time.Minute, true), 3))
	res, _, err := request()
	if err != nil || res.StatusCode != http.StatusTooManyRequests || res.Header.Get("Retry-After") != "60" ||
		res.Header.Get("X-RateLimit-Reset") != strconv.FormatInt(x.clock.at.Unix()+60, 10) {
		t.Errorf("429: got %v and error %v", res, err)
	}
	calls := x.server.Calls()
	if last := calls[len(calls)-1]; last.Status != 429 || last.PathN != 3 || last.N != 4 || calls[1].Status != 0 {
		t.Errorf("got calls %+v", calls)
	}
}

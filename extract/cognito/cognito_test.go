package cognito_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/tidwall/gjson"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/extract/cognito"
	"github.com/idtrail/idtrail/extract/extracttest"
	"github.com/idtrail/idtrail/internal/fake"
	"github.com/idtrail/idtrail/schema"
)

// pool is a server in this process and the options of a source that reads it.
type pool struct {
	*fake.Cognito
	opts cognito.Options
}

// newPool serves users and nothing else unless told otherwise. Rates are out of
// the way.
func newPool(server fake.CognitoOptions) *pool {
	p := &pool{Cognito: fake.NewCognito(server)}
	p.opts = cognito.Options{
		Name: "pool", UserPoolID: fake.PoolID, AWS: config(p.Cognito), Now: time.Now,
		Rate: 1e6, SettingsRate: 1e6, MFARate: 1e6, SkipSettings: true,
	}
	return p
}

func config(h http.Handler) aws.Config {
	return aws.Config{
		Region: fake.Region, Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "never-shown-key", ""),
		HTTPClient: &http.Client{Transport: fake.Transport(h)},
	}
}

func (p *pool) source(t *testing.T) *cognito.Source {
	t.Helper()
	src, err := cognito.New(p.opts)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return src
}

func (p *pool) read(t *testing.T, from extract.Cursor) (pages []extract.Page, err error) {
	t.Helper()
	for page, e := range p.source(t).Pages(t.Context(), from) {
		if e != nil {
			return pages, e
		}
		pages = append(pages, page)
	}
	return pages, nil
}

func (p *pool) mustRead(t *testing.T, from extract.Cursor) []extract.Page {
	t.Helper()
	pages, err := p.read(t, from)
	if err != nil {
		t.Fatalf("reading from %q: %v", from, err)
	}
	return pages
}

// user is a user of ListUsers.
func user(n int, more string) []byte {
	sub := subOf(n)
	return fmt.Appendf(nil, `{"Username":"user%d","Attributes":[{"Name":"sub","Value":%q}],"Enabled":true,"UserStatus":"CONFIRMED","UserCreateDate":1700000000.5%s}`, n, sub, more)
}

// subOf spreads users over all shards.
func subOf(n int) string {
	return fmt.Sprintf("%08x-0000-4000-8000-%012x", uint32(n)*2654435761, n)
}

func users(n int) *fake.CognitoList {
	list := fake.NewCognitoList()
	for i := range n {
		more := `,"Groups":["all"]`
		if i%10 == 0 {
			more = `,"Groups":["all","admin"],"UserMFASettingList":["SOFTWARE_TOKEN_MFA"]`
		}
		list.Add(user(i, more), time.Time{})
	}
	return list
}

func subs(n int) []string {
	var out []string
	for i := range n {
		out = append(out, subOf(i))
	}
	return out
}

// idsIn are the ids of all users, in order.
func idsIn(pages []extract.Page) []string {
	var ids []string
	for _, p := range pages {
		for _, r := range p.Records {
			if r.Kind == schema.KindCognitoUser {
				ids = append(ids, r.ID)
			}
		}
	}
	slices.Sort(ids)
	return ids
}

func sameIDs(t *testing.T, got, want []string) {
	t.Helper()
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %d users, want %d:\n got %.300v\nwant %.300v", len(got), len(want), got, want)
	}
}

func last(pages []extract.Page) *schema.Snapshot { return pages[len(pages)-1].Snapshot }

// line finds the line of a user.
func line(t *testing.T, pages []extract.Page, id string) gjson.Result {
	t.Helper()
	for _, p := range pages {
		for _, r := range p.Records {
			if r.ID == id {
				return gjson.ParseBytes(r.Bytes)
			}
		}
	}
	t.Fatalf("no record %s", id)
	return gjson.Result{}
}

func TestContract(t *testing.T) {
	begin := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	tenant := fake.NewTenant(fake.TenantOptions{Users: 20})
	make1 := func(fault func(fake.Call) *fake.Fault) extract.Source {
		p := newPool(fake.CognitoOptions{
			Users: users(60), Settings: tenant.CognitoSettings(), Pages: []int{3, 0, 2}, Now: func() time.Time { return begin }, Fault: fault,
		})
		p.opts.Now = func() time.Time { return begin }
		p.opts.SkipSettings, p.opts.IdentityPoolIDs, p.opts.Shards = false, []string{fake.IdentityPoolID}, 16
		return p.source(t)
	}
	extracttest.Run(t, extracttest.Harness{
		New:     func(*testing.T, extract.Ledger) extract.Source { return make1(nil) },
		Repeats: true,
		Failing: func(*testing.T, extract.Ledger) extract.Source {
			return make1(fake.OnCalls("ListUsers", fake.CognitoFault(400, "AccessDeniedException"), 20))
		},
		ErrWant: cognito.ErrDenied,
		Stalled: func(*testing.T) (extract.Source, <-chan struct{}) {
			stuck := make(chan struct{})
			return make1(func(c fake.Call) *fake.Fault {
				if c.Path == "ListUsers" && c.PathN == 15 {
					close(stuck)
					return &fake.Fault{Hang: true}
				}
				return nil
			}), stuck
		},
	})
}

// Every size of shard gives every user once, with groups and second factors
// where they were asked for, and the user's own text as it was sent.
func TestUsers(t *testing.T) {
	for _, shards := range []int{0, 1, 16, 256} {
		for _, sizes := range [][]int{nil, {1, 0, 60}, {0, 0, 7}} {
			t.Run(fmt.Sprint(shards, sizes), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					const n = 500
					p := newPool(fake.CognitoOptions{Users: users(n), Pages: sizes})
					p.opts.Shards, p.opts.MFA = shards, []string{"admin", "no such group"}
					pages := p.mustRead(t, "")
					sameIDs(t, idsIn(pages), subs(n))
					admin, other := line(t, pages, subOf(10)), line(t, pages, subOf(11))
					if got := admin.Get("groups").Raw + admin.Get("mfa").Raw; got != `["admin","all"]{"UserMFASettingList":["SOFTWARE_TOKEN_MFA"],"PreferredMfaSetting":"SOFTWARE_TOKEN_MFA"}` {
						t.Errorf("got groups and mfa %s", got)
					}
					if got := other.Get("groups").Raw; got != `["all"]` || other.Get("mfa").Exists() {
						t.Errorf("got %s", other.Raw)
					}
					s := last(pages)
					if !s.Complete || s.Counts["users"] != n || s.Counts["groups"] != 2 || s.Counts["memberships"] != n+n/10 || s.Counts["mfa_asked"] != n/10 {
						t.Errorf("got snapshot %+v", s)
					}
					if got := p.Count("AdminGetUser"); got != n/10 {
						t.Errorf("got %d calls of AdminGetUser, want %d", got, n/10)
					}
				})
			})
		}
	}
}

func TestSkipGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(fake.CognitoOptions{Users: users(5)})
		p.opts.SkipGroups = true
		pages := p.mustRead(t, "")
		if got := line(t, pages, subOf(1)).Get("groups").Raw; got != "null" {
			t.Errorf("got groups %s, want null", got)
		}
		if n := p.Count("ListGroups") + p.Count("ListUsersInGroup"); n != 0 {
			t.Errorf("%d calls about groups", n)
		}
	})
}

// The user stands in the line byte by byte as the vendor sent it, whatever it
// holds.
func TestVerbatim(t *testing.T) {
	odd := []string{
		`{"Username":"a","Attributes":[{"Name":"sub","Value":"` + subOf(1) + `"}],"Enabled":true,"UserCreateDate":1.7E9,"New":{"a":[1,null,9007199254740993]}}`,
		"{ \"Attributes\" : [ {\"Value\":\"" + subOf(2) + "\",\"Name\":\"sub\"} ], \"Username\":\"\\u00e9\\/\", \"UserCreateDate\":\"2024-01-01T00:00:00Z\"}",
		`{"Username":"b","Attributes":"none"}`,
		`{"Username":7}`,
		`{}`,
	}
	synctest.Test(t, func(t *testing.T) {
		p := newPool(fake.CognitoOptions{Fault: fake.OnCalls("ListUsers", &fake.Fault{Status: 200, Body: `{"Users":[` + strings.Join(odd, ",") + `]}`}, 1)})
		p.opts.Shards = 1
		pages := p.mustRead(t, "")
		var got []string
		for _, page := range pages {
			for _, r := range page.Records {
				got = append(got, gjson.GetBytes(r.Bytes, "user").Raw)
				if r.ID != r.Kind.ID(r.Bytes) {
					t.Errorf("got id %q of %s", r.ID, r.Bytes)
				}
			}
		}
		if !slices.Equal(got, odd) {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(odd, "\n"))
		}
	})
}

// Each of these happens to single calls, and costs nothing but time.
func TestFaults(t *testing.T) {
	faults := map[string]*fake.Fault{
		"500":           {Status: 500},
		"503":           {Status: 503, Body: "<html>"},
		"coded 500":     fake.CognitoFault(500, "InternalErrorException"),
		"throttled":     fake.CognitoFault(400, "TooManyRequestsException"),
		"429":           {Status: 429},
		"limit":         fake.CognitoFault(400, "LimitExceededException"),
		"dropped":       {Drop: true},
		"cut":           {Truncate: 100},
		"hangs":         {Hang: true},
		"slow":          {Slow: time.Hour},
		"empty 200":     {Status: 200},
		"half 200":      {Status: 200, Body: `{"Users":[{"Username":`},
		"page 200":      {Status: 200, Body: `<html>`},
		"list 200":      {Status: 200, Body: `[]`},
		"expired token": fake.CognitoFault(400, "InvalidParameterException"),
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const n = 300
				p := newPool(fake.CognitoOptions{Users: users(n), Pages: []int{20}})
				p.opts.Shards, p.opts.MFA = 1, []string{"admin"}
				p.SetFault(func(c fake.Call) *fake.Fault {
					// A first page has no token that could have expired.
					if name == "expired token" && (c.PathN == 6 || c.Path != "ListUsers") {
						return nil
					}
					if n := c.PathN; n == 2 || n == 5 || n == 6 {
						return fault
					}
					return nil
				})
				pages := p.mustRead(t, "")
				sameIDs(t, idsIn(pages), subs(n))
				s := last(pages)
				if s.Counts["users"] != n || s.Counts["memberships"] != n+n/10 || s.Counts["mfa_asked"] != n/10 {
					t.Errorf("got counts %v", s.Counts)
				}
			})
		})
	}
}

// What does not pass is one clear error after ten attempts, or at once.
func TestErrors(t *testing.T) {
	tests := []struct {
		name  string
		fault *fake.Fault
		want  error
		calls int
	}{
		{"500 for ever", &fake.Fault{Status: 500}, nil, 10},
		{"cut for ever", &fake.Fault{Truncate: 5}, nil, 10},
		{"hangs for ever", &fake.Fault{Hang: true}, nil, 10},
		{"expired", fake.CognitoFault(400, "ExpiredTokenException"), cognito.ErrCredentials, 1},
		{"unknown key", fake.CognitoFault(400, "UnrecognizedClientException"), cognito.ErrCredentials, 1},
		{"wrong secret", fake.CognitoFault(400, "InvalidSignatureException"), cognito.ErrCredentials, 1},
		{"denied", fake.CognitoFault(400, "AccessDeniedException"), cognito.ErrDenied, 1},
		{"no pool", fake.CognitoFault(400, "ResourceNotFoundException"), nil, 1},
		{"wrong parameter", fake.CognitoFault(400, "InvalidParameterException"), nil, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPool(fake.CognitoOptions{Users: users(3), Fault: func(c fake.Call) *fake.Fault {
					if c.Path == "ListUsers" {
						return tt.fault
					}
					return nil
				}})
				p.opts.Shards, p.opts.SkipGroups = 1, true
				_, err := p.read(t, "")
				if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
					t.Errorf("got error %v, want %v", err, tt.want)
				}
				if got := p.Count("ListUsers"); got != tt.calls {
					t.Errorf("got %d calls, want %d", got, tt.calls)
				}
				if text := fmt.Sprintf("%v %+v", err, err); strings.Contains(text, "never-shown") || !strings.Contains(text, fake.PoolID) || !strings.Contains(text, "ListUsers") {
					t.Errorf("got error %s", text)
				}
			})
		})
	}
}

// A list that is never at its end is found out: by a token that comes again, at
// once or after others, or by pages without end that bring nothing.
func TestStuck(t *testing.T) {
	for _, op := range []string{"ListUsers", "ListUsersInGroup", "ListGroups"} {
		for _, tokens := range [][]string{{"same"}, {"a", "b", "c"}} {
			synctest.Test(t, func(t *testing.T) {
				p := newPool(fake.CognitoOptions{Users: users(3), Fault: func(c fake.Call) *fake.Fault {
					if c.Path != op {
						return nil
					}
					next := tokens[c.PathN%len(tokens)]
					return &fake.Fault{Status: 200, Body: `{"Groups":[{"GroupName":"all"}],"Users":[` + string(user(1, "")) + `],"PaginationToken":"` + next + `","NextToken":"` + next + `"}`}
				}})
				if _, err := p.read(t, ""); !errors.Is(err, cognito.ErrStuck) || p.Count(op) > 8 {
					t.Errorf("%s: got error %v after %d calls, want ErrStuck", op, err, p.Count(op))
				}
			})
		}
	}
	synctest.Test(t, func(t *testing.T) {
		p := newPool(fake.CognitoOptions{Users: users(100), Pages: []int{0}})
		p.opts.SkipGroups, p.opts.Shards = true, 1
		if _, err := p.read(t, ""); !errors.Is(err, cognito.ErrStuck) {
			t.Errorf("empty pages without end: got error %v, want ErrStuck", err)
		}
	})
}

// Minutes of throttling delay, and no more; a quarter of an hour of it ends the
// run, which the next one goes on with.
func TestThrottled(t *testing.T) {
	for _, span := range []time.Duration{5 * time.Minute, 12 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			const n = 700
			p := newPool(fake.CognitoOptions{Users: users(n), Quotas: fake.CognitoQuotas(), Fault: func(fake.Call) *fake.Fault {
				if at := time.Since(begin); at > 500*time.Millisecond && at < span {
					return fake.CognitoFault(400, "TooManyRequestsException")
				}
				return nil
			}})
			p.opts.Rate = 0
			sameIDs(t, idsIn(p.mustRead(t, "")), subs(n))
			if took := time.Since(begin); took < span || took > span+time.Minute {
				t.Errorf("took %v, want little more than %v", took, span)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		p := newPool(fake.CognitoOptions{Users: users(700), Pages: []int{1}})
		p.opts.Rate, p.opts.Shards, p.opts.SkipGroups = 0, 16, true
		var from extract.Cursor
		var got []extract.Page
		for page, err := range p.source(t).Pages(t.Context(), "") {
			if err != nil {
				if !errors.Is(err, cognito.ErrThrottled) {
					t.Fatalf("got error %v, want ErrThrottled", err)
				}
				break
			}
			got, from = append(got, page), page.Next
			if len(got) == 300 {
				p.SetFault(func(fake.Call) *fake.Fault { return fake.CognitoFault(400, "TooManyRequestsException") })
			}
		}
		if took := time.Since(begin); took < 15*time.Minute || took > 17*time.Minute {
			t.Errorf("gave up after %v, want 15 minutes", took)
		}
		p.SetFault(nil)
		rest := p.mustRead(t, from)
		ids := slices.Compact(slices.Sorted(slices.Values(append(idsIn(got), idsIn(rest)...))))
		sameIDs(t, ids, subs(700))
		if last(rest).ID != got[0].Snapshot.ID || last(rest).Counts["users"] != 700 {
			t.Errorf("got snapshot %+v, want %s gone on with", last(rest), got[0].Snapshot.ID)
		}
	})
}

// The rate is reached whatever the latency, and never passed, retries included;
// a quota of three times the rate is never met.
func TestRate(t *testing.T) {
	for _, latency := range []time.Duration{0, 300 * time.Millisecond, 900 * time.Millisecond} {
		t.Run(latency.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPool(fake.CognitoOptions{
					Users: fake.CognitoCrowd(30_000), Quotas: fake.CognitoQuotas(), Latency: latency,
					Fault: fake.OnCalls("ListUsers", &fake.Fault{Status: 500}, 100, 101, 102),
				})
				p.opts.Rate, p.opts.Shards = 0, 16
				p.opts.SkipGroups = true
				pages := p.mustRead(t, "")
				if n := last(pages).Counts["users"]; n != 30_000 {
					t.Errorf("got %d users", n)
				}
				checkRate(t, p, 10)
			})
		})
	}
}

// checkRate looks at every span of the calls of lists of users.
func checkRate(t *testing.T, p *pool, perSecond float64) {
	t.Helper()
	var at []time.Time
	for _, c := range p.Calls() {
		if c.Code == "TooManyRequestsException" {
			t.Errorf("call %d was throttled", c.N)
		}
		if c.Path == "ListUsers" || c.Path == "ListUsersInGroup" {
			at = append(at, c.At)
		}
	}
	for i := range at {
		// The limiter rounds to nanoseconds, down.
		j, _ := slices.BinarySearchFunc(at, at[i].Add(time.Second-time.Microsecond), time.Time.Compare)
		if n := j - i; float64(n) > perSecond {
			t.Fatalf("%d calls within a second behind %v", n, at[i].Sub(at[0]))
		}
	}
	got := float64(len(at)-1) / at[len(at)-1].Sub(at[0]).Seconds()
	if got < 0.98*perSecond {
		t.Errorf("%d calls at %.3f a second, want %v", len(at), got, perSecond)
	}
}

// A token that is older than an hour is not taken any more: the shard is read
// again.
func TestSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(fake.CognitoOptions{Users: users(300), Pages: []int{20}})
		p.opts.Shards = 1
		var pages []extract.Page
		for page, err := range p.source(t).Pages(t.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
			pages = append(pages, page)
			if n := len(pages); n == 4 || n == 9 {
				time.Sleep(2 * time.Hour)
			}
		}
		sameIDs(t, idsIn(pages), subs(300))
		refused := 0
		for _, c := range p.Calls() {
			if c.Code == "InvalidParameterException" {
				refused++
			}
		}
		if refused != 2 {
			t.Errorf("%d tokens were refused, want 2", refused)
		}
	})
}

// Users that move while they are listed are neither lost nor doubled: who was in
// a group and did not come is looked up.
func TestUsersMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 300
		list := users(n)
		list.Add(user(n, `,"Groups":["all"]`), time.Now().Add(time.Hour))
		p := newPool(fake.CognitoOptions{Users: list, Pages: []int{20}})
		p.opts.Shards = 1
		var pages []extract.Page
		for page, err := range p.source(t).Pages(t.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
			pages = append(pages, page)
			if len(pages) == 4 {
				p.Change(func() {
					list.Move(subOf(3), 290.5)  // read, comes again
					list.Move(subOf(250), -0.5) // unread, moves to where was read
					list.Remove(subOf(260))     // gone before it is read
				})
			}
		}
		want := slices.DeleteFunc(subs(n), func(s string) bool { return s == subOf(260) })
		sameIDs(t, idsIn(pages), want)
	})
}

// A snapshot that is cut off behind any page is gone on with, and the two parts
// are the whole; one that is older than six hours is not.
func TestResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 80
		p := newPool(fake.CognitoOptions{Users: users(n), Pages: []int{5}})
		p.opts.Shards = 16
		whole := p.mustRead(t, "")
		for stop := 1; stop < len(whole); stop++ {
			var part []extract.Page
			for page, err := range p.source(t).Pages(t.Context(), "") {
				if err != nil {
					t.Fatal(err)
				}
				if part = append(part, page); len(part) == stop {
					break
				}
			}
			begun := part[0].Snapshot.ID
			time.Sleep(5 * time.Hour)
			rest := p.mustRead(t, part[stop-1].Next)
			ids := slices.Compact(slices.Sorted(slices.Values(append(idsIn(part), idsIn(rest)...))))
			sameIDs(t, ids, subs(n))
			if s := last(rest); s.ID != begun || !s.Complete || s.Counts["users"] != n {
				t.Fatalf("stopped behind page %d: got snapshot %+v, want %s complete", stop, s, begun)
			}
			if stop%8 != 0 {
				continue
			}
			time.Sleep(time.Hour)
			if s := last(p.mustRead(t, part[stop-1].Next)); s.ID == begun || s.Counts["users"] != n {
				t.Fatalf("six hours on: got snapshot %+v, want a new one", s)
			}
		}
		// A complete one is followed by another, not within the second.
		next := whole[len(whole)-1].Next
		time.Sleep(time.Second)
		if s := last(p.mustRead(t, next)); s.ID == whole[0].Snapshot.ID || !s.Complete {
			t.Errorf("got %+v, want another snapshot", s)
		}
	})
}

// A clock that was ahead once had a snapshot bear the name of an older one when
// its time came.
func TestClockSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(fake.CognitoOptions{Users: users(3)})
		ahead := time.Now().Add(time.Hour)
		p.opts.Now = func() time.Time { return ahead }
		pages := p.mustRead(t, "")
		first := pages[0].Snapshot.ID
		p.opts.Now = time.Now
		pages = p.mustRead(t, pages[len(pages)-1].Next)
		time.Sleep(time.Until(ahead))
		if pages = p.mustRead(t, pages[len(pages)-1].Next); pages[0].Snapshot.ID != first+"-2" {
			t.Errorf("got snapshot %s in the second of %s", pages[0].Snapshot.ID, first)
		}
	})
}

// A resumed run reads only the shards that are not done.
func TestResumeReadsTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(fake.CognitoOptions{Users: users(400)})
		p.opts.Shards, p.opts.SkipGroups, p.opts.Rate = 16, true, 0
		begun := time.Now().UTC().Truncate(time.Second)
		cur := fmt.Sprintf(`{"snapshot":%q,"started":%q,"settings":true,"shards":16,"done":["0","1","2","3","4","5","6","7","8","9","a","b","c","e"],"counts":{"users":350}}`,
			begun.Format("20060102T150405Z"), begun.Format(time.RFC3339))
		p.mustRead(t, extract.Cursor(cur))
		var filters []string
		for _, c := range p.Calls() {
			filters = append(filters, c.Path+gjson.GetBytes(c.Input, "Filter").Str)
		}
		slices.Sort(filters)
		if got := strings.Join(slices.Compact(filters), "\n"); got != "ListUserssub ^= \"d\"\nListUserssub ^= \"f\"" {
			t.Errorf("got calls\n%s", got)
		}
	})
}

func TestCursorErrors(t *testing.T) {
	p := newPool(fake.CognitoOptions{})
	for _, c := range []extract.Cursor{"{", "5", "{}", `{"snapshot":"x"}`, `{"snapshot":"x","started":"2026-01-01T00:00:00Z","shards":3}`} {
		if _, err := p.read(t, c); err == nil {
			t.Errorf("cursor %s is taken", c)
		}
	}
	if n := p.Count(""); n != 0 {
		t.Errorf("%d calls", n)
	}
}

func TestCancel(t *testing.T) {
	for name, fault := range map[string]*fake.Fault{
		"hang": {Hang: true}, "backoff": {Status: 500}, "throttled": fake.CognitoFault(400, "TooManyRequestsException"), "slow": {Slow: time.Hour},
	} {
		for _, op := range []string{"DescribeUserPool", "ListGroups", "ListUsersInGroup", "ListUsers", "AdminGetUser", "GetUserPoolMfaConfig"} {
			t.Run(name+" "+op, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					tenant := fake.NewTenant(fake.TenantOptions{Users: 100})
					p := newPool(fake.CognitoOptions{Users: users(100), Settings: tenant.CognitoSettings(), Fault: func(c fake.Call) *fake.Fault {
						if c.Path == op {
							return fault
						}
						return nil
					}})
					p.opts.MFA, p.opts.SkipSettings = []string{"admin"}, false
					ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
					defer cancel()
					begin := time.Now()
					var err error
					for _, e := range p.source(t).Pages(ctx, "") {
						err = e
					}
					if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != 700*time.Millisecond {
						t.Errorf("got %v after %v, want the context's end", err, time.Since(begin))
					}
				})
			})
		}
	}
}

func TestOptions(t *testing.T) {
	good := newPool(fake.CognitoOptions{}).opts
	tests := map[string]func(*cognito.Options){
		"no pool":        func(o *cognito.Options) { o.UserPoolID = "" },
		"odd pool":       func(o *cognito.Options) { o.UserPoolID = "eu-west-1 x" },
		"shards":         func(o *cognito.Options) { o.Shards = 4 },
		"rate":           func(o *cognito.Options) { o.Rate = -1 },
		"no clock":       func(o *cognito.Options) { o.Now = nil },
		"mfa, no groups": func(o *cognito.Options) { o.MFA, o.SkipGroups = []string{"a"}, true },
		"identity pool":  func(o *cognito.Options) { o.IdentityPoolIDs = []string{"x"} },
		"no region":      func(o *cognito.Options) { o.UserPoolID, o.AWS.Region = "local_abc", "" },
		"plain http":     func(o *cognito.Options) { o.AWS.BaseEndpoint = aws.String("http://example.com") },
	}
	for name, change := range tests {
		o := good
		change(&o)
		if _, err := cognito.New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	src, err := cognito.New(good)
	if err != nil || src.Identity() != "cognito:eu-west-1/"+fake.PoolID {
		t.Errorf("got %v, identity %v", err, src.Identity())
	}
	good.AWS.Region = "us-east-1"
	src, err = cognito.New(good)
	if err != nil || src.Identity() != "cognito:eu-west-1/"+fake.PoolID {
		t.Errorf("another region configured: got %v, identity %v", err, src.Identity())
	}
}

func TestAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(fake.CognitoOptions{Users: users(1)})
		p.mustRead(t, "")
		for _, c := range p.Calls() {
			if !strings.Contains(c.Agent, "app/idtrail") {
				t.Errorf("%s: agent %s", c.Path, c.Agent)
			}
		}
	})
}

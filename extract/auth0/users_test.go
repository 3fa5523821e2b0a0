package auth0_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/extract/auth0"
	"github.com/idtrail/idtrail/extract/extracttest"
	"github.com/idtrail/idtrail/internal/fake"
	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/transform"
)

// people is a server with users in this process and a source that reads it.
type people struct {
	*fake.Auth0
	opts auth0.UsersOptions
	logs bytes.Buffer
}

func newPeople(dir *fake.Directory, opts fake.Auth0Options) *people {
	opts.ClientID, opts.ClientSecret, opts.Directory = "app", secret, dir
	if opts.Scopes == nil {
		opts.Scopes = fake.DirectoryScopes()
	}
	x := &people{Auth0: fake.NewAuth0(opts, nil)}
	x.opts = auth0.UsersOptions{
		Name: "acme_users", Domain: "acme.eu.auth0.com", ClientID: "app", ClientSecret: secret,
		Rate: 1e6, Burst: 1e6, Transport: fake.Transport(x.Auth0), Now: time.Now,
		Logger: slog.New(slog.NewTextHandler(&x.logs, nil)),
	}
	return x
}

func (x *people) source(t testing.TB) *auth0.Users {
	t.Helper()
	src, err := auth0.NewUsers(x.opts)
	if err != nil {
		t.Fatalf("NewUsers: %v", err)
	}
	return src
}

func (x *people) read(t *testing.T, from extract.Cursor) (pages []extract.Page, err error) {
	t.Helper()
	for p, e := range x.source(t).Pages(t.Context(), from) {
		if e != nil {
			hidesSecret(t, e)
			if strings.Contains(e.Error(), "sIgn4ture") {
				t.Errorf("error shows a link: %v", e)
			}
			return pages, e
		}
		pages = append(pages, p)
	}
	return pages, nil
}

func (x *people) mustRead(t *testing.T, from extract.Cursor) []extract.Page {
	t.Helper()
	pages, err := x.read(t, from)
	if err != nil {
		t.Fatalf("reading from %q: %v", from, err)
	}
	if last := pages[len(pages)-1].Snapshot; last == nil || !last.Complete {
		t.Fatalf("the reading ends without a complete snapshot: %+v", last)
	}
	return pages
}

// crowd is n small users; each third has role 1, all have role 2, each fourth is
// in an organization, there with role 1 if it is even.
func crowd(n int) *fake.Directory {
	return &fake.Directory{
		Users: func(yield func([]byte) bool) {
			for i := range n {
				if !yield(fmt.Appendf(nil, `{"user_id":"auth0|%08d","email":"u%d@example.com","logins_count":9007199254740993,"nick":1}`, i, i)) {
					return
				}
			}
		},
		Roles: []fake.Role{
			{ID: "rol_2", Name: "all", Members: ids{n, 1, ""}},
			{ID: "rol_1", Name: "third", Members: ids{n, 3, ""}},
			{ID: "rol_0", Name: "nobody"},
		},
		Organizations: []fake.Organization{{ID: "org_1", Name: "fourth", Members: ids{n, 4, "rol_1"}}},
	}
}

// ids are every step-th of n users; a role is had by every second of them.
type ids struct {
	n, step int
	role    string
}

func (m ids) Len() int { return (m.n + m.step - 1) / m.step }

func (m ids) Member(i int) (string, []string) {
	var roles []string
	if m.role != "" && i%2 == 0 {
		roles = []string{m.role}
	}
	return fmt.Sprintf("auth0|%08d", i*m.step), roles
}

func crowdIDs(n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("auth0|%08d", i))
	}
	return all
}

// usersIn returns the records of users by kind, in order.
func usersIn(pages []extract.Page) (users, settings []schema.Raw) {
	for _, p := range pages {
		for _, r := range p.Records {
			if r.Kind == schema.KindSetting {
				settings = append(settings, r)
			} else {
				users = append(users, r)
			}
		}
	}
	return users, settings
}

func rawIDs(records []schema.Raw) []string {
	var all []string
	for _, r := range records {
		all = append(all, r.ID)
	}
	return all
}

func stateOf(t *testing.T, pages []extract.Page, section string) string {
	t.Helper()
	_, settings := usersIn(pages)
	for _, r := range settings {
		var s schema.Setting
		if err := json.Unmarshal(r.Bytes, &s); err != nil {
			t.Fatal(err)
		}
		if s.Section == section && s.ID == "" {
			return s.State
		}
	}
	return ""
}

func lastSnapshot(pages []extract.Page) *schema.Snapshot { return pages[len(pages)-1].Snapshot }

func TestUsersContract(t *testing.T) {
	begin := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	x := newPeople(crowd(1200), fake.Auth0Options{})
	x.opts.Now, x.opts.Every = func() time.Time { return begin }, time.Hour
	want := crowdIDs(1200)
	want = append(want,
		"tenant/", "brute_force_protection/", "suspicious_ip_throttling/", "breached_password_detection/", "guardian_factor/",
		"log_stream/", "connection/", "client/", "resource_server/", "role/rol_0", "role/rol_1", "role/rol_2",
		"organization/org_1", "role_members/", "organization_members/", "organization_member_roles/",
	)
	make1 := func(fault func(fake.Call) *fake.Fault) func(*testing.T, extract.Ledger) extract.Source {
		return func(t *testing.T, _ extract.Ledger) extract.Source {
			y := x
			if fault != nil {
				y = newPeople(crowd(1200), fake.Auth0Options{Fault: fault})
				y.opts.Now = x.opts.Now
			}
			return y.source(t)
		}
	}
	extracttest.Run(t, extracttest.Harness{
		New:     make1(nil),
		Want:    want,
		Failing: make1(fake.OnCalls(fake.RolesPath+"/rol_1/users", &fake.Fault{Status: 401, Body: `{}`}, 1, 2)),
		ErrWant: auth0.ErrCredentials,
		Stalled: func(t *testing.T) (extract.Source, <-chan struct{}) {
			stuck := make(chan struct{})
			return make1(func(c fake.Call) *fake.Fault {
				if c.Path != fake.ExportFilePath {
					return nil
				}
				close(stuck)
				return &fake.Fault{Hang: true}
			})(t, nil), stuck
		},
	})
}

// Every user of the tenant arrives as it was exported, beside exactly the roles
// and organizations it has.
func TestUsersOfATenant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := fake.NewTenant(fake.TenantOptions{Users: 1500}).Directory()
		for _, opts := range []fake.Auth0Options{
			{MaxTake: 7}, {MaxTake: 50, ByPage: false, Export: fake.ExportOptions{Plain: true}}, {Export: fake.ExportOptions{Header: true, Takes: 10 * time.Minute}},
		} {
			x := newPeople(dir, opts)
			users, settings := usersIn(x.mustRead(t, ""))
			want := wantedUsers(dir)
			if len(users) != len(want) {
				t.Fatalf("got %d users, want %d", len(users), len(want))
			}
			for i, r := range users {
				if got := compact(t, r.Bytes); got != want[i] {
					t.Fatalf("user %d: got\n%s\nwant\n%s", i, got, want[i])
				}
			}
			if n := len(settings); n != 1+1+1+1+2+1+4+4+1+6+5+3 {
				t.Errorf("got %d settings: %v", n, rawIDs(settings))
			}
		}
	})
}

func wantedUsers(dir *fake.Directory) []string {
	roles, orgs := map[string][]string{}, map[string][]string{}
	byID := map[string]string{}
	for _, r := range slices.SortedFunc(slices.Values(dir.Roles), func(a, b fake.Role) int { return strings.Compare(a.ID, b.ID) }) {
		byID[r.ID] = fmt.Sprintf(`{"id":%q,"name":%q}`, r.ID, r.Name)
		for i := range r.Members.Len() {
			user, _ := r.Members.Member(i)
			roles[user] = append(roles[user], byID[r.ID])
		}
	}
	for _, o := range dir.Organizations {
		for i := range o.Members.Len() {
			user, held := o.Members.Member(i)
			var list []string
			for _, id := range slices.Sorted(slices.Values(held)) {
				list = append(list, byID[id])
			}
			orgs[user] = append(orgs[user], fmt.Sprintf(`{"id":%q,"name":%q,"roles":[%s]}`, o.ID, o.Name, strings.Join(list, ",")))
		}
	}
	var all []string
	for line := range dir.Users {
		id := gjson.GetBytes(line, "user_id").Str
		all = append(all, fmt.Sprintf(`{"user":%s,"roles":[%s],"organizations":[%s]}`,
			exported(line), strings.Join(roles[id], ","), strings.Join(orgs[id], ",")))
	}
	return all
}

// exported leaves of a user what an export holds.
func exported(line []byte) string {
	var members []string
	gjson.ParseBytes(line).ForEach(func(k, v gjson.Result) bool {
		if k.Str != "locale" && k.Str != "roles" {
			members = append(members, k.Raw+":"+withoutToken(v.Raw))
		}
		return true
	})
	return "{" + strings.Join(members, ",") + "}"
}

// withoutToken drops tokens, and sorts the members of what had one.
func withoutToken(text string) string {
	if !strings.Contains(text, "token") {
		return text
	}
	var list []map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &list) != nil {
		return text
	}
	for _, m := range list {
		delete(m, "access_token")
	}
	out, _ := json.Marshal(list)
	return string(out)
}

func compact(t *testing.T, text []byte) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, text); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return b.String()
}

func TestUsersCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newPeople(crowd(1201), fake.Auth0Options{})
		snap := lastSnapshot(x.mustRead(t, ""))
		want := map[string]int64{
			"users": 1201, "settings": 16, "roles": 3, "role_members": 1201 + 401,
			"organizations": 1, "organization_members": 301,
		}
		if diff := cmp.Diff(want, snap.Counts); diff != "" {
			t.Errorf("counts (-want +got):\n%s", diff)
		}
		if x.logs.Len() > 0 {
			t.Errorf("warned: %s", &x.logs)
		}
		for _, c := range x.Calls() {
			if c.Status != http.StatusOK && c.Status != http.StatusNotFound || c.Agent != "idtrail" || c.Telemetry {
				t.Errorf("call %s %s: status %d, agent %q, telemetry %v", c.Method, c.Path, c.Status, c.Agent, c.Telemetry)
			}
		}
	})
}

// Lists end where no token comes: not on short pages, nor on empty ones.
func TestUsersListsEnd(t *testing.T) {
	for _, n := range []int{0, 1, 7, 14, 15} {
		for _, opts := range []fake.Auth0Options{{MaxTake: 7}, {ByPage: true}} {
			synctest.Test(t, func(t *testing.T) {
				x := newPeople(crowd(n), opts)
				users, _ := usersIn(x.mustRead(t, ""))
				sameIDs(t, rawIDs(users), crowdIDs(n))
				for i, r := range users {
					if got, want := gjson.GetBytes(r.Bytes, "roles.#").Int(), int64(1+b2i(i%3 == 0)); got != want {
						t.Errorf("user %d of %d, %+v: %d roles, want %d: %s", i, n, opts, got, want, r.Bytes)
					}
				}
			})
		}
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Nobody may page past 1,000 entries; what lies beyond is not "nothing".
func TestUsersPastTheLastPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newPeople(crowd(1500), fake.Auth0Options{ByPage: true})
		if pages, err := x.read(t, ""); err == nil || !strings.Contains(err.Error(), "invalid_paging") {
			t.Errorf("got %d pages and error %v, want invalid_paging", len(pages), err)
		}
	})
}

func TestUsersDownloadFaults(t *testing.T) {
	gone := func(status int) *fake.Fault { return &fake.Fault{Status: status, Body: "<Error/>"} }
	tests := []struct {
		name  string
		fault *fake.Fault
		calls []int
		fails bool
	}{
		{"link expired", gone(403), []int{1}, false},
		{"link gone", gone(404), []int{1, 2}, false},
		{"server error", gone(503), []int{1, 2, 3}, false},
		{"dropped", &fake.Fault{Drop: true}, []int{1, 2, 3}, false},
		{"answers nothing", &fake.Fault{Hang: true}, []int{1, 2}, false},
		{"never there", gone(403), []int{1, 2, 3, 4, 5, 6, 7, 8, 9}, true},
		{"cut at the first byte", &fake.Fault{Truncate: 1}, []int{1, 2}, false},
		{"cut in the header", &fake.Fault{Truncate: 7}, []int{1}, false},
		{"cut early", &fake.Fault{Truncate: 900}, []int{1, 2}, false},
		{"cut late", &fake.Fault{Truncate: 15000}, []int{1, 3}, false},
		{"cut at the same place for ever", &fake.Fault{Truncate: 15000}, []int{1, 2, 3, 4, 5, 6, 7, 8, 9}, true},
	}
	for _, tt := range tests {
		for _, export := range []fake.ExportOptions{{}, {Plain: true}, {Header: true}} {
			t.Run(fmt.Sprintf("%s %+v", tt.name, export), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					x := newPeople(crowd(5000), fake.Auth0Options{Export: export, Fault: fake.OnCalls(fake.ExportFilePath, tt.fault, tt.calls...)})
					pages, err := x.read(t, "")
					if tt.fails {
						if err == nil || lastSnapshot(pages).Complete {
							t.Fatalf("got no error")
						}
						return
					}
					if err != nil {
						t.Fatal(err)
					}
					users, _ := usersIn(pages)
					sameIDs(t, rawIDs(users), crowdIDs(5000))
					if got := x.Count(fake.JobPath(1)); got != x.Count(fake.ExportFilePath) {
						t.Errorf("%d links for %d downloads: each needs a fresh one", got, x.Count(fake.ExportFilePath))
					}
				})
			})
		}
	}
}

// The end of a file is cut at every byte near its end: none of them is taken
// for the whole.
func TestUsersCutAtTheEnd(t *testing.T) {
	var whole bytes.Buffer
	for line := range crowd(3).Users {
		whole.Write(bytes.TrimSuffix(line, []byte(`,"nick":1}`)))
		whole.WriteByte('}')
		whole.WriteByte('\n')
	}
	for cut := 1; cut < 40; cut++ {
		synctest.Test(t, func(t *testing.T) {
			x := newPeople(crowd(3), fake.Auth0Options{
				Export: fake.ExportOptions{Plain: true},
				Fault:  fake.OnCalls(fake.ExportFilePath, &fake.Fault{Status: 200, Body: whole.String()[:whole.Len()-cut]}, 1),
			})
			pages := x.mustRead(t, "")
			users, _ := usersIn(pages)
			if len(users) != 3 {
				t.Errorf("cut %d bytes before the end: got %d users", cut, len(users))
			}
		})
	}
}

// A link is used up a minute after it was given, by the server's clock.
func TestUsersLinkExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newPeople(crowd(600), fake.Auth0Options{Now: time.Now})
		slow := 0
		x.opts.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == fake.ExportFilePath {
				if slow++; slow < 3 {
					time.Sleep(2 * time.Minute) // on the way
				}
			}
			return fake.Transport(x.Auth0).RoundTrip(r)
		})
		x.opts.Timeout = 5 * time.Minute
		users, _ := usersIn(x.mustRead(t, ""))
		sameIDs(t, rawIDs(users), crowdIDs(600))
		if n := x.Count(fake.ExportFilePath); n != 3 {
			t.Errorf("got %d downloads, want 3", n)
		}
	})
}

type roundTrip func(r *http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A long export is waited for, by what the job says of itself, without haste.
func TestUsersExportTakesLong(t *testing.T) {
	for _, left := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			x := newPeople(crowd(10), fake.Auth0Options{Export: fake.ExportOptions{Takes: 2 * time.Hour, LeftSeconds: left}})
			x.mustRead(t, "")
			took, polls := time.Since(begin), x.Count(fake.JobPath(1))
			if took < 2*time.Hour || took > 2*time.Hour+time.Minute || polls > 500 {
				t.Errorf("took %v and %d polls", took, polls)
			}
		})
	}
}

func TestUsersExportFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newPeople(crowd(10), fake.Auth0Options{Export: fake.ExportOptions{Takes: time.Hour, Fails: "The tenant is\nbusy"}})
		pages, err := x.read(t, "")
		if !errors.Is(err, auth0.ErrExport) || !strings.Contains(err.Error(), "The tenant is busy") {
			t.Fatalf("got error %v, want that the export failed and why", err)
		}
		// The next run does not go on with it for ever.
		again, err := x.read(t, next(pages))
		if !errors.Is(err, auth0.ErrExport) || x.Count(fake.ExportsPath) != 2 || again[0].Snapshot.ID == pages[0].Snapshot.ID {
			t.Errorf("got error %v after %d exports, want another snapshot", err, x.Count(fake.ExportsPath))
		}
	})
}

func TestUsersResume(t *testing.T) {
	tests := []struct {
		name  string
		away  time.Duration
		again bool
	}{{"soon", time.Minute, false}, {"within six hours", 6*time.Hour - time.Minute, false}, {"later", 6*time.Hour + time.Minute, true}}
	const n = 950
	dir := crowd(n)
	for i := range 120 {
		dir.Connections = append(dir.Connections, fmt.Appendf(nil, `{"id":"con_%d"}`, i))
	}
	for i, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			opts := fake.Auth0Options{MaxTake: 50, ByPage: i == 0}
			x := newPeople(dir, opts)
			whole := x.mustRead(t, "")
			for i := range whole[:len(whole)-1] {
				x := newPeople(dir, opts)
				part := x.mustRead(t, "")[:i+1]
				time.Sleep(tt.away)
				rest := x.mustRead(t, next(part))
				if again := rest[0].Snapshot.ID != part[0].Snapshot.ID; again != tt.again {
					t.Fatalf("%s: another snapshot: %v", tt.name, again)
				}
				all := append(part, rest...)
				if tt.again {
					all = rest
				}
				users, settings := usersIn(all)
				sameIDs(t, rawIDs(users), crowdIDs(n))
				if len(settings) != 15+120 {
					t.Errorf("%s behind page %d: %d settings", tt.name, i, len(settings))
				}
				if got := lastSnapshot(rest).Counts; !maps.Equal(got, lastSnapshot(whole).Counts) {
					t.Errorf("%s behind page %d: counts %v", tt.name, i, got)
				}
			}
		})
	}
}

// Where a job is gone, or its file is another, what was read of it belongs to no
// snapshot that is complete.
func TestUsersExportIsAnother(t *testing.T) {
	t.Run("gone", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			x := newPeople(crowd(1100), fake.Auth0Options{Fault: fake.OnCalls(fake.JobPath(1), &fake.Fault{Status: 404}, 2)})
			part := x.mustRead(t, "")
			rest := x.mustRead(t, part[len(part)-2].Next)
			if rest[0].Snapshot.ID == part[0].Snapshot.ID {
				t.Error("a snapshot goes on without its export")
			}
		})
	})
	for name, change := range map[string]func(i int) int{"changed": func(i int) int { return i + 1 }, "shorter": func(i int) int { return i }} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir, moved := crowd(1100), false
				plain := dir.Users
				dir.Users = func(yield func([]byte) bool) {
					i := 0
					for line := range plain {
						if moved && name == "shorter" && i >= 700 {
							return
						}
						if moved {
							line = bytes.Replace(line, fmt.Appendf(nil, "u%d@", i), fmt.Appendf(nil, "u%d@", change(i)), 1)
						}
						if i++; !yield(line) {
							return
						}
					}
				}
				x := newPeople(dir, fake.Auth0Options{})
				part := x.mustRead(t, "")
				time.Sleep(time.Second)
				moved = true
				rest := x.mustRead(t, part[len(part)-2].Next)
				if rest[0].Snapshot.ID == part[0].Snapshot.ID || len(rest[0].Records) == 0 {
					t.Error("a snapshot goes on with another file")
				}
			})
		})
	}
}

// A snapshot that begins in the second of the one before it has another name,
// and none begins while the last one is good.
func TestUsersEvery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newPeople(crowd(3), fake.Auth0Options{})
		first := x.mustRead(t, "")
		second := x.mustRead(t, next(first))
		third := x.mustRead(t, next(second))
		if a, b, c := first[0].Snapshot.ID, second[0].Snapshot.ID, third[0].Snapshot.ID; b != a+"-2" || c != a+"-3" {
			t.Errorf("got snapshots %s, %s and %s", a, b, c)
		}
		x.opts.Every = time.Hour
		time.Sleep(59 * time.Minute)
		if pages, err := x.read(t, next(second)); err != nil || len(pages) != 0 {
			t.Errorf("got %d pages, error %v while the snapshot is good", len(pages), err)
		}
		time.Sleep(2 * time.Minute)
		x.mustRead(t, next(second))
	})
}

// A clock that was ahead once left a tenant without snapshots until its time came,
// and had one bear the name of an older one then.
func TestUsersClockSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newPeople(crowd(3), fake.Auth0Options{})
		x.opts.Every = time.Minute
		ahead := time.Now().Add(time.Hour)
		x.opts.Now = func() time.Time { return ahead }
		pages := x.mustRead(t, "")
		first := pages[0].Snapshot.ID
		x.opts.Now = time.Now
		pages = x.mustRead(t, next(pages))
		time.Sleep(time.Hour)
		if pages = x.mustRead(t, next(pages)); pages[0].Snapshot.ID != first+"-2" {
			t.Errorf("got snapshot %s in the second of %s", pages[0].Snapshot.ID, first)
		}
	})
}

// What may not be read, or is switched off, is not known: never empty.
func TestUsersScopes(t *testing.T) {
	without := func(scopes ...string) []string {
		return slices.DeleteFunc(fake.DirectoryScopes(), func(s string) bool { return slices.Contains(scopes, s) })
	}
	type states struct{ roles, orgs, memberRoles string }
	tests := []struct {
		name   string
		scopes []string
		change func(o *auth0.UsersOptions)
		want   states
		fault  func(fake.Call) *fake.Fault
	}{
		{name: "all", scopes: without(), want: states{"ok", "ok", "ok"}},
		{name: "no roles", scopes: without("read:roles"), want: states{"denied", "ok", "ok"}},
		{name: "no organizations", scopes: without("read:organizations"), want: states{"ok", "denied", "denied"}},
		{name: "no members", scopes: without("read:organization_members"), want: states{"ok", "denied", "denied"}},
		{name: "no roles of members", scopes: without("read:organization_member_roles"), want: states{"ok", "ok", "denied"}},
		{name: "users only", scopes: []string{"read:users"}, want: states{"denied", "denied", "denied"}},
		{name: "roles off", scopes: without(), change: func(o *auth0.UsersOptions) { o.SkipRoles = true }, want: states{"denied", "ok", "ok"}},
		{name: "organizations off", scopes: without(), change: func(o *auth0.UsersOptions) { o.SkipOrganizations = true }, want: states{"ok", "denied", "denied"}},
		{name: "settings off", scopes: without(), change: func(o *auth0.UsersOptions) { o.SkipSettings = true }, want: states{"ok", "ok", "ok"}},
		{
			name: "role members refused", scopes: without(), want: states{"denied", "ok", "ok"},
			fault: fake.OnCalls(fake.RolesPath+"/rol_2/users", &fake.Fault{Status: 403, Body: `{"errorCode":"insufficient_scope"}`}, 1),
		},
		{
			name: "roles of members left out", scopes: without(), want: states{"ok", "ok", "denied"},
			fault: fake.OnCalls(fake.OrganizationsPath+"/org_1/members", &fake.Fault{Status: 200, Body: `{"members":[{"user_id":"auth0|00000000"}]}`}, 1),
		},
		{
			name: "no organizations in this plan", scopes: without(), want: states{"ok", "unsupported", "unsupported"},
			fault: fake.OnCalls(fake.OrganizationsPath, &fake.Fault{Status: 404}, 1, 2),
		},
		{
			name: "a role was deleted meanwhile", scopes: without(), want: states{"ok", "ok", "ok"},
			fault: fake.OnCalls(fake.RolesPath+"/rol_0/users", &fake.Fault{Status: 404}, 1),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := newPeople(crowd(10), fake.Auth0Options{Scopes: tt.scopes, Fault: tt.fault})
				if tt.change != nil {
					tt.change(&x.opts)
				}
				pages := x.mustRead(t, "")
				got := states{stateOf(t, pages, "role_members"), stateOf(t, pages, "organization_members"), stateOf(t, pages, "organization_member_roles")}
				if got != tt.want {
					t.Errorf("got %v, want %v", got, tt.want)
				}
				users, settings := usersIn(pages)
				if len(users) != 10 {
					t.Fatalf("got %d users", len(users))
				}
				for _, r := range users {
					checkKnown(t, r.Bytes, "roles", tt.want.roles == "ok")
					checkKnown(t, r.Bytes, "organizations", tt.want.orgs == "ok")
				}
				checkKnown(t, users[0].Bytes, "organizations.0.roles", tt.want.memberRoles == "ok")
				if x.opts.SkipSettings != (len(settings) == 3) {
					t.Errorf("got %d settings", len(settings))
				}
			})
		})
	}
	t.Run("not even users", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			x := newPeople(crowd(10), fake.Auth0Options{Scopes: []string{"read:logs"}})
			if _, err := x.read(t, ""); !errors.Is(err, auth0.ErrScope) || !strings.Contains(err.Error(), "read:users") {
				t.Errorf("got error %v, want that read:users is missing", err)
			}
		})
	})
}

func checkKnown(t *testing.T, line []byte, path string, want bool) {
	t.Helper()
	if v := gjson.GetBytes(line, path); v.Exists() != want || want && !v.IsArray() {
		t.Errorf("%s: %s exists: %v, want %v", line, path, v.Exists(), want)
	}
}

func TestUsersRateLimit(t *testing.T) {
	for _, retryAfter := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			x := newPeople(crowd(10), fake.Auth0Options{Fault: fake.OnCalls(fake.RolesPath+"/rol_1/users", fake.TooMany(time.Minute, retryAfter), 1)})
			x.mustRead(t, "")
			if took := time.Since(begin); took < 59*time.Second || took > 2*time.Minute {
				t.Errorf("took %v, want a minute", took)
			}
		})
	}
	// A tenant that allows only 2 calls a second is never asked for more.
	synctest.Test(t, func(t *testing.T) {
		x := newPeople(crowd(2000), fake.Auth0Options{Burst: 2, PerSecond: 2})
		x.opts.Rate, x.opts.Burst = 2, 1
		x.mustRead(t, "")
		for _, c := range x.Calls() {
			if c.Status == http.StatusTooManyRequests {
				t.Errorf("call %d of %s came too early", c.N, c.Path)
			}
		}
	})
}

// Where the tenant's quota is not the limit, the rate that was set is used.
func TestUsersRateIsReached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		x := newPeople(crowd(20000), fake.Auth0Options{Burst: 30, PerSecond: 15})
		x.opts.Rate, x.opts.Burst = 5, 1
		x.mustRead(t, "")
		api := 0
		for _, c := range x.Calls() {
			api += b2i(c.Path != fake.ExportFilePath)
		}
		if per := float64(api) / time.Since(begin).Seconds(); per < 0.98*5 || per > 1.02*5 {
			t.Errorf("%d calls in %v: %.2f a second, want 5", api, time.Since(begin), per)
		}
	})
}

// Answers that say 200 and are none are asked for again, and are never the end.
func TestUsersEmptyAnswers(t *testing.T) {
	for _, path := range []string{fake.RolesPath, fake.RolesPath + "/rol_1/users", fake.OrganizationsPath + "/org_1/members", fake.JobPath(1), fake.UsersPath, fake.ExportsPath} {
		for _, body := range []string{"", "{}", "null", "<html>", `{"start":0`, `"x"`} {
			synctest.Test(t, func(t *testing.T) {
				x := newPeople(crowd(120), fake.Auth0Options{Fault: fake.OnCalls(path, &fake.Fault{Status: 200, Body: body}, 1)})
				pages := x.mustRead(t, "")
				users, _ := usersIn(pages)
				sameIDs(t, rawIDs(users), crowdIDs(120))
				if got := lastSnapshot(pages).Counts; got["role_members"] != 160 || got["organization_members"] != 30 {
					t.Errorf("%s answers %q: counts %v", path, body, got)
				}
			})
		}
	}
}

// An empty file is the end of everybody only if the tenant has nobody.
func TestUsersEmptyFile(t *testing.T) {
	tests := []struct {
		name  string
		users int
		total *fake.Fault
		err   error
	}{
		{"no users", 0, nil, nil},
		{"users", 5, nil, auth0.ErrExport},
		{"users, not counted", 5, &fake.Fault{Status: 200, Body: `[{"user_id":"a"}]`}, auth0.ErrExport},
	}
	for _, tt := range tests {
		for _, export := range []fake.ExportOptions{{}, {Plain: true}} {
			synctest.Test(t, func(t *testing.T) {
				x := newPeople(crowd(tt.users), fake.Auth0Options{Export: export, Fault: func(c fake.Call) *fake.Fault {
					switch {
					case c.Path == fake.UsersPath:
						return tt.total
					case c.Path == fake.ExportFilePath && tt.users > 0:
						return &fake.Fault{Status: 200, Header: http.Header{"X": {"1"}}}
					}
					return nil
				}})
				pages, err := x.read(t, "")
				if !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
					t.Errorf("%s: got %d pages and error %v, want %v", tt.name, len(pages), err, tt.err)
				}
			})
		}
	}
}

// A total that does not fit is told, and nothing else.
func TestUsersTotalWarns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, f := range []*fake.Fault{{Status: 200, Body: `{"start":0,"total":77,"users":[]}`}, {Status: 503}} {
			x := newPeople(crowd(10), fake.Auth0Options{Fault: func(c fake.Call) *fake.Fault {
				if c.Path == fake.UsersPath {
					return f
				}
				return nil
			}})
			x.mustRead(t, "")
			if warned := strings.Contains(x.logs.String(), "counted=77"); warned != (f.Status == 200) {
				t.Errorf("status %d: warned: %s", f.Status, &x.logs)
			}
		}
	})
}

// A server that leads in circles is found out.
func TestUsersStuck(t *testing.T) {
	for _, circle := range []int{1, 2, 5} {
		synctest.Test(t, func(t *testing.T) {
			x := newPeople(crowd(10), fake.Auth0Options{Fault: func(c fake.Call) *fake.Fault {
				if c.Path != fake.RolesPath+"/rol_1/users" {
					return nil
				}
				return &fake.Fault{Status: 200, Body: fmt.Sprintf(`{"users":[{"user_id":"a"}],"next":"t%d"}`, c.PathN%circle)}
			}})
			if _, err := x.read(t, ""); !errors.Is(err, auth0.ErrStuck) || x.Count(fake.RolesPath+"/rol_1/users") > 4*circle+4 {
				t.Errorf("circle of %d: error %v after %d calls", circle, err, x.Count(fake.RolesPath+"/rol_1/users"))
			}
		})
	}
}

// What is no user is handed on, and takes nobody with it.
func TestUsersOddLines(t *testing.T) {
	lines := []string{
		`{"user_id":"auth0|1","identities":[{"user_id":90071992547409931}],"app_metadata":{"n":1.50,"n":2}}`,
		`{"user_id":"auth0|2"`, `[1]`, `null`, "\xff", "", "   ", `{"user_id":12345678901234567890}`, `{"email":"a@b.cd"}`,
		`{"user_id":"auth0|` + strings.Repeat("x", 200<<10) + `"}`,
		`{"user_id":"` + strings.Repeat("y", 17<<20) + `"}`,
		`{"user_id":"auth0|last"}`,
	}
	synctest.Test(t, func(t *testing.T) {
		x := newPeople(&fake.Directory{Users: func(yield func([]byte) bool) {
			for _, l := range lines {
				if !yield([]byte(l)) {
					return
				}
			}
		}}, fake.Auth0Options{})
		users, _ := usersIn(x.mustRead(t, ""))
		want := []string{"auth0|1", "", "", "", "", "12345678901234567890", "", "auth0|" + strings.Repeat("x", 200<<10), "", "auth0|last"}
		if got := rawIDs(users); !slices.Equal(got, want) {
			t.Fatalf("got %d users: %.300q", len(got), got)
		}
		for i, faulty := range []bool{false, true, false, false, true, false, false, false, true, false} {
			if got := users[i].Fault != ""; got != faulty {
				t.Errorf("record %d, %.60s: fault %q", i, users[i].Bytes, users[i].Fault)
			}
		}
		if want := `{"user":` + lines[0] + `,"roles":[],"organizations":[]}`; string(users[0].Bytes) != want {
			t.Errorf("got %s, want %s", users[0].Bytes, want)
		}
		if len(users[8].Bytes) > 1<<20 {
			t.Errorf("%d bytes of a line without end were kept", len(users[8].Bytes))
		}
	})
}

// Nothing secret is landed, even by an application that may read too much.
func TestUsersSecrets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenant := fake.NewTenant(fake.TenantOptions{Users: 300})
		x := newPeople(tenant.Directory(), fake.Auth0Options{Scopes: append(fake.DirectoryScopes(), "read:client_keys", "read:user_idp_tokens")})
		marks := map[string]int{}
		for _, p := range x.mustRead(t, "") {
			for _, r := range p.Records {
				landed := transform.Scrub(r.Kind, r.Bytes)
				for _, s := range tenant.Secrets() {
					if bytes.Contains(landed, []byte(s)) {
						t.Errorf("a secret is left in %s", landed)
					}
					if r.Kind == schema.KindSetting && bytes.Contains(r.Bytes, []byte(s)) {
						t.Errorf("a secret of a setting was handed on: %s", r.Bytes)
					}
				}
				if r.Kind == schema.KindSetting && !bytes.Equal(landed, r.Bytes) {
					t.Errorf("a setting was scrubbed:\n%s\n%s", r.Bytes, landed)
				}
				for word := range strings.SplitSeq(string(landed), `\"`) {
					if strings.HasPrefix(word, "fingerprint:") {
						marks[word]++
					}
				}
			}
		}
		if len(marks) < 8 {
			t.Errorf("only %d secrets show by their fingerprints: %v", len(marks), marks)
		}
	})
}

func TestUsersCheck(t *testing.T) {
	tests := []struct {
		name   string
		scopes []string
		bad    []string
		err    error
	}{
		{"all", fake.DirectoryScopes(), nil, nil},
		{"too many", append(fake.DirectoryScopes(), "read:client_keys"), []string{"no scope that shows secrets"}, nil},
		{"no organizations", slices.DeleteFunc(fake.DirectoryScopes(), func(s string) bool { return strings.HasPrefix(s, "read:organization") }), []string{"scope read:organizations", "scope read:organization_members", "scope read:organization_member_roles"}, nil},
		{"logs only", []string{"read:logs", "read:roles"}, nil, auth0.ErrScope},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			x := newPeople(crowd(12), fake.Auth0Options{Scopes: tt.scopes})
			found, err := x.source(t).Check(t.Context())
			if !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
				t.Fatalf("%s: error %v, want %v", tt.name, err, tt.err)
			}
			var bad []string
			for _, f := range found {
				if !f.OK {
					bad = append(bad, f.What)
				}
			}
			if err == nil && (!slices.Equal(bad, tt.bad) || found[len(found)-1].Hint != "12 users") {
				t.Errorf("%s: %q, want %q; %+v", tt.name, bad, tt.bad, found[len(found)-1])
			}
			if n := x.Count(fake.ExportsPath); n != 0 {
				t.Errorf("%s: a check began %d exports", tt.name, n)
			}
		})
	}
}

func TestUsersScopesNeeded(t *testing.T) {
	all := auth0.UsersOptions{}.Scopes()
	for _, s := range all {
		if s != "read:logs" && !slices.Contains(fake.DirectoryScopes(), s) {
			t.Errorf("%s is asked for and nothing needs it", s)
		}
	}
	if len(all) != len(fake.DirectoryScopes())-1 {
		t.Errorf("got %q", all)
	}
	least := auth0.UsersOptions{SkipRoles: true, SkipOrganizations: true, SkipSettings: true}.Scopes()
	if !slices.Equal(least, []string{"read:users"}) {
		t.Errorf("got %q", least)
	}
}

func TestUsersCursorErrors(t *testing.T) {
	x := newPeople(crowd(1), fake.Auth0Options{})
	for _, c := range []extract.Cursor{"{", "5", "{}", `{"snapshot":"a","started":"2026-01-01T00:00:00Z","phase":"users"}`, `{"snapshot":"a","started":"2026-01-01T00:00:00Z","phase":"users","job":"a b"}`, `{"snapshot":"a","started":"2026-01-01T00:00:00Z","phase":"users","job":"a","users":-1}`} {
		if pages, err := x.read(t, c); err == nil || len(pages) > 0 {
			t.Errorf("cursor %s: %d pages, no error", c, len(pages))
		}
	}
	if n := len(x.Calls()); n != 0 {
		t.Errorf("got %d calls", n)
	}
}

func TestUsersOptions(t *testing.T) {
	good := auth0.UsersOptions{Name: "a", Domain: "Acme.eu.auth0.com", ClientID: "c", ClientSecret: secret, Now: time.Now}
	for name, change := range map[string]func(o *auth0.UsersOptions){
		"no clock": func(o *auth0.UsersOptions) { o.Now = nil }, "negative rate": func(o *auth0.UsersOptions) { o.Rate = -1 },
		"negative every": func(o *auth0.UsersOptions) { o.Every = -1 }, "no domain": func(o *auth0.UsersOptions) { o.Domain = "" },
	} {
		o := good
		change(&o)
		_, err := auth0.NewUsers(o)
		hidesSecret(t, err)
		if err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	src, err := auth0.NewUsers(good)
	if err != nil || src.Identity() != "auth0:acme.eu.auth0.com/users" || src.Name() != "a" {
		t.Errorf("got %v, error %v", src, err)
	}
}

// A link that would show the users to the network is not followed.
func TestUsersPlainLink(t *testing.T) {
	for _, link := range []string{"http://files.example/x?sIgn4ture", "ftp://files.example/sIgn4ture", "/sIgn4ture", "https://u:p@files.example/sIgn4ture", "://sIgn4ture"} {
		synctest.Test(t, func(t *testing.T) {
			x := newPeople(crowd(1), fake.Auth0Options{Fault: func(c fake.Call) *fake.Fault {
				if c.Path == fake.JobPath(1) {
					return &fake.Fault{Status: 200, Body: fmt.Sprintf(`{"id":"job","status":"completed","location":%q}`, link)}
				}
				return nil
			}})
			if _, err := x.read(t, ""); err == nil || x.Count(fake.ExportFilePath) > 0 {
				t.Errorf("%s: error %v", link, err)
			}
		})
	}
}

// A file that is not compressed and whose length nobody tells could end anywhere.
func TestUsersFileWithoutAnEnd(t *testing.T) {
	for _, plain := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			x := newPeople(crowd(20), fake.Auth0Options{Export: fake.ExportOptions{Plain: plain}})
			x.opts.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
				res, err := fake.Transport(x.Auth0).RoundTrip(r)
				if err == nil && r.URL.Path == fake.ExportFilePath {
					res.ContentLength = -1
				}
				return res, err
			})
			if _, err := x.read(t, ""); (err != nil) != plain {
				t.Errorf("plain %v: error %v", plain, err)
			}
		})
	}
}

// A file shorter than it was said to be is not whole, whoever says so.
func TestUsersFileTooShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newPeople(crowd(20), fake.Auth0Options{Export: fake.ExportOptions{Plain: true}})
		short := 2
		x.opts.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			res, err := fake.Transport(x.Auth0).RoundTrip(r)
			if err == nil && r.URL.Path == fake.ExportFilePath && short > 0 {
				short--
				res.ContentLength += 100
			}
			return res, err
		})
		users, _ := usersIn(x.mustRead(t, ""))
		sameIDs(t, rawIDs(users), crowdIDs(20))
		if n := x.Count(fake.ExportFilePath); n != 3 {
			t.Errorf("got %d downloads, want 3", n)
		}
	})
}

// A member that comes twice, because the list moved, is a member once.
func TestUsersMemberTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		id := crowdIDs(1)[0]
		dir := crowd(1)
		dir.Roles[0].Members = fake.MemberList{{User: id}, {User: id}}
		dir.Organizations = []fake.Organization{
			{ID: "org_1", Name: "a", Members: fake.MemberList{{User: id}, {User: id, Roles: []string{"rol_1"}}, {User: id}}},
			{ID: "org_2", Name: "b", Members: fake.MemberList{{User: id, Roles: []string{"rol_2", "rol_1"}}}},
		}
		users, _ := usersIn(newPeople(dir, fake.Auth0Options{}).mustRead(t, ""))
		for path, want := range map[string]string{
			"roles.#.id": `["rol_1","rol_2"]`, "organizations.#.id": `["org_1","org_2"]`,
			"organizations.1.roles.#.id": `["rol_1","rol_2"]`,
		} {
			if got := gjson.GetBytes(users[0].Bytes, path).Raw; got != want {
				t.Errorf("%s is %s, want %s: %s", path, got, want, users[0].Bytes)
			}
		}
	})
}

// The same over sockets, where connections really break.
func TestUsersOverNetwork(t *testing.T) {
	for _, export := range []fake.ExportOptions{{}, {Plain: true}, {Header: true}} {
		for _, fault := range []*fake.Fault{{}, {Drop: true}, {Truncate: 1}, {Truncate: 6000}, {Hang: true}, {Status: 403}} {
			t.Run(fmt.Sprintf("%+v %+v", export, *fault), func(t *testing.T) {
				t.Parallel()
				x := newPeople(crowd(3000), fake.Auth0Options{Export: export, Fault: fake.OnCalls(fake.ExportFilePath, fault, 1)})
				server := httptest.NewServer(x.Auth0)
				defer server.Close()
				x.opts.Domain, x.opts.Transport, x.opts.Timeout = server.URL, &http.Transport{}, 2*time.Second
				users, _ := usersIn(x.mustRead(t, ""))
				sameIDs(t, rawIDs(users), crowdIDs(3000))
			})
		}
	}
}

// A job may be unknown for a moment after it was made, and no longer.
func TestUsersJobUnknown(t *testing.T) {
	for n, fails := range map[int]bool{1: false, 3: false, 50: true} {
		synctest.Test(t, func(t *testing.T) {
			x := newPeople(crowd(5), fake.Auth0Options{Fault: func(c fake.Call) *fake.Fault {
				if c.Path == fake.JobPath(1) && c.PathN <= n {
					return &fake.Fault{Status: 404}
				}
				return nil
			}})
			if pages, err := x.read(t, ""); (err != nil) != fails {
				t.Errorf("unknown %d times: %d pages and error %v", n, len(pages), err)
			}
		})
	}
}

// Settings that cannot be read say so, and cost nobody a user.
func TestUsersSettingsFail(t *testing.T) {
	for status, state := range map[int]string{500: schema.SettingUnsupported, 400: schema.SettingUnsupported, 404: schema.SettingUnsupported, 403: schema.SettingDenied} {
		synctest.Test(t, func(t *testing.T) {
			x := newPeople(crowd(5), fake.Auth0Options{Fault: func(c fake.Call) *fake.Fault {
				if c.Path == fake.ConnectionsPath || c.Path == "/api/v2/tenants/settings" {
					return &fake.Fault{Status: status}
				}
				return nil
			}})
			pages := x.mustRead(t, "")
			for _, section := range []string{"connection", "tenant"} {
				if got := stateOf(t, pages, section); got != state {
					t.Errorf("status %d: %s is %q, want %q", status, section, got, state)
				}
			}
		})
	}
}

// A link may lead on, but not out of https, and tells nobody where it came from.
func TestUsersRedirect(t *testing.T) {
	for target, fails := range map[string]bool{"https://files.example/x": false, "http://files.example/x": true, "https://acme.eu.auth0.com/loop": true} {
		synctest.Test(t, func(t *testing.T) {
			x := newPeople(crowd(5), fake.Auth0Options{Export: fake.ExportOptions{Plain: true}})
			x.opts.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
				moved := r.URL.Path == fake.ExportFilePath || r.URL.Path == "/loop"
				if !moved && r.URL.Path != "/x" {
					return fake.Transport(x.Auth0).RoundTrip(r)
				}
				if r.Header.Get("Referer") != "" || r.Header.Get("Authorization") != "" {
					t.Errorf("%s was asked with %v", r.URL.Path, r.Header)
				}
				return fake.Transport(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					if moved {
						w.Header().Set("Location", target)
						w.WriteHeader(http.StatusFound)
						return
					}
					_, _ = w.Write([]byte("{\"user_id\":\"auth0|00000000\"}\n"))
				})).RoundTrip(r)
			})
			pages, err := x.read(t, "")
			if (err != nil) != fails {
				t.Errorf("%s: %d pages and error %v", target, len(pages), err)
			}
		})
	}
}

// overNetwork serves a crowd on a socket: its file is never whole in memory.
func overNetwork(tb testing.TB, n int) *people {
	tb.Helper()
	x := newPeople(crowd(n), fake.Auth0Options{})
	server := httptest.NewServer(x.Auth0)
	tb.Cleanup(server.Close)
	x.opts.Domain, x.opts.Transport = server.URL, &http.Transport{}
	return x
}

func drain(ctx context.Context, tb testing.TB, pages iter.Seq2[extract.Page, error]) (users int, peak uint64) {
	tb.Helper()
	var m runtime.MemStats
	for p, err := range pages {
		if err != nil {
			tb.Fatal(err)
		}
		users += len(p.Records)
		runtime.ReadMemStats(&m)
		peak = max(peak, m.HeapInuse)
		if ctx.Err() != nil {
			tb.Fatal(ctx.Err())
		}
	}
	return users, peak
}

func TestUsersMany(t *testing.T) {
	if testing.Short() {
		t.Skip("reads 100,000 users")
	}
	const n = 100_000
	x := overNetwork(t, n)
	runtime.GC()
	users, peak := drain(t.Context(), t, x.source(t).Pages(t.Context(), ""))
	if users < n || peak > 64<<20 {
		t.Errorf("%d users, %d MiB", users, peak>>20)
	}
}

// BenchmarkUsersMillion reads a million users with two million memberships, over
// a socket; heap-MiB is the most memory the source and the server used together.
func BenchmarkUsersMillion(b *testing.B) {
	for b.Loop() {
		x := overNetwork(b, 1_000_000)
		users, peak := drain(b.Context(), b, x.source(b).Pages(b.Context(), ""))
		b.ReportMetric(float64(peak>>20), "heap-MiB")
		b.ReportMetric(float64(users), "records")
	}
}

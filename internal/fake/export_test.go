package fake_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/idtrail/idtrail/internal/fake"
)

// office is a tenant's server with a clock that a test moves.
type office struct {
	*fake.Auth0
	url, token string
	now        time.Time
}

func newOffice(t *testing.T, opts fake.Auth0Options) *office {
	t.Helper()
	o := &office{now: time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)}
	opts.Now = func() time.Time { return o.now }
	if opts.Directory == nil {
		opts.Directory = fake.NewTenant(fake.TenantOptions{Users: 300}).Directory()
	}
	if opts.Scopes == nil {
		opts.Scopes = fake.DirectoryScopes()
	}
	o.Auth0 = fake.NewAuth0(opts, nil)
	server := httptest.NewServer(o.Auth0)
	t.Cleanup(server.Close)
	o.url = server.URL
	o.signIn(t)
	return o
}

func (o *office) signIn(t *testing.T) {
	t.Helper()
	res, err := http.PostForm(o.url+fake.TokenPath, url.Values{
		"grant_type": {"client_credentials"}, "client_id": {"client"}, "client_secret": {"secret"}, "audience": {o.url + "/api/v2/"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, _ := io.ReadAll(res.Body)
	o.token = gjson.GetBytes(body, "access_token").Str
}

// call sends a request, with the token where bearer is set.
func (o *office) call(t *testing.T, method, target, body string, bearer bool) (int, []byte) {
	t.Helper()
	if strings.HasPrefix(target, "/") {
		target = o.url + target
	}
	req, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if bearer {
		req.Header.Set("Authorization", "Bearer "+o.token)
	}
	req.Header.Set("Accept-Encoding", "identity")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, text
}

func (o *office) get(t *testing.T, path string) (int, gjson.Result) {
	t.Helper()
	status, body := o.call(t, http.MethodGet, path, "", true)
	return status, gjson.ParseBytes(body)
}

func TestExport(t *testing.T) {
	o := newOffice(t, fake.Auth0Options{Export: fake.ExportOptions{Takes: time.Minute, LeftSeconds: true}})
	status, body := o.call(t, http.MethodPost, fake.ExportsPath, `{"format":"json","fields":[{"name":"user_id"},{"name":"identities"},{"name":"email","export_as":"mail"}]}`, true)
	job := gjson.GetBytes(body, "id").Str
	if status != http.StatusOK || gjson.GetBytes(body, "status").Str != "pending" || fake.JobPath(1) != "/api/v2/jobs/"+job {
		t.Fatalf("got %d %s", status, body)
	}
	o.now = o.now.Add(30 * time.Second)
	if _, j := o.get(t, fake.JobPath(1)); j.Get("status").Str != "pending" || j.Get("time_left_seconds").Int() != 30 {
		t.Errorf("half way: %s", j)
	}
	o.now = o.now.Add(30 * time.Second)
	_, j := o.get(t, fake.JobPath(1))
	link := j.Get("location").Str
	if status, body := o.call(t, http.MethodGet, link, "", true); status != http.StatusBadRequest {
		t.Errorf("with a token: %d %s", status, body)
	}
	if status, _ := o.call(t, http.MethodGet, strings.Replace(link, "Expires=1", "Expires=2", 1), "", false); status != http.StatusForbidden {
		t.Errorf("with another expiry: %d", status)
	}
	status, file := o.call(t, http.MethodGet, link, "", false)
	lines := unzip(t, file)
	if status != http.StatusOK || len(lines) < 250 {
		t.Fatalf("status %d, %d lines", status, len(lines))
	}
	for _, l := range lines {
		if !json.Valid(l) || gjson.GetBytes(l, "mail").Exists() == gjson.GetBytes(l, "email").Exists() && len(gjson.ParseBytes(l).Map()) > 2 || bytes.Contains(l, []byte("access_token")) {
			t.Fatalf("line %s", l)
		}
	}
	o.now = o.now.Add(61 * time.Second)
	if status, _ := o.call(t, http.MethodGet, link, "", false); status != http.StatusForbidden {
		t.Errorf("a minute later: %d", status)
	}
	o.now = o.now.Add(23 * time.Hour)
	o.signIn(t)
	if status, _ := o.get(t, fake.JobPath(1)); status != http.StatusOK {
		t.Errorf("within a day: %d", status)
	}
	o.now = o.now.Add(time.Hour)
	o.signIn(t)
	if status, _ := o.get(t, fake.JobPath(1)); status != http.StatusNotFound {
		t.Errorf("a day later: %d", status)
	}
}

func unzip(t *testing.T, file []byte) [][]byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Split(bytes.TrimSpace(text), []byte("\n"))
}

// Without fields, an export has a few, under names for people.
func TestExportDefaults(t *testing.T) {
	o := newOffice(t, fake.Auth0Options{})
	o.call(t, http.MethodPost, fake.ExportsPath, `{"format":"json"}`, true)
	_, j := o.get(t, fake.JobPath(1))
	_, file := o.call(t, http.MethodGet, j.Get("location").Str, "", false)
	if l := unzip(t, file)[0]; !gjson.GetBytes(l, "Id").Exists() || gjson.GetBytes(l, "user_id").Exists() {
		t.Errorf("got %s", l)
	}
	o = newOffice(t, fake.Auth0Options{Export: fake.ExportOptions{Fails: "why"}})
	o.call(t, http.MethodPost, fake.ExportsPath, `{"format":"json"}`, true)
	if _, j := o.get(t, fake.JobPath(1)); j.Get("status").Str != "failed" || j.Get("status_details").Str != "why" {
		t.Errorf("got %s", j)
	}
}

// A full last page has a token, and an empty page behind it.
func TestDirectoryTokens(t *testing.T) {
	o := newOffice(t, fake.Auth0Options{})
	_, page := o.get(t, fake.RolesPath+"?take=6")
	if page.Get("roles.#").Int() != 6 || page.Get("next").Str == "" {
		t.Fatalf("got %s", page)
	}
	_, page = o.get(t, fake.RolesPath+"?take=6&from="+url.QueryEscape(page.Get("next").Str))
	if page.Get("roles.#").Int() != 0 || page.Get("next").Exists() {
		t.Errorf("got %s", page)
	}
	if _, page = o.get(t, fake.RolesPath+"?per_page=4&page=1&include_totals=true"); page.Get("roles.#").Int() != 2 || page.Get("total").Int() != 6 {
		t.Errorf("got %s", page)
	}
	if status, page := o.get(t, fake.UsersPath+"?per_page=100&page=10"); status != http.StatusBadRequest || page.Get("errorCode").Str != "invalid_paging" {
		t.Errorf("past 1,000: %d %s", status, page)
	}
}

func TestDirectoryScopes(t *testing.T) {
	paths := map[string]string{
		fake.RolesPath: "read:roles", fake.OrganizationsPath: "read:organizations",
		fake.OrganizationsPath + "/org_nwCustomer0/members":                     "read:organization_members",
		fake.OrganizationsPath + "/org_nwCustomer0/members?fields=roles&take=5": "read:organization_member_roles",
		fake.ConnectionsPath: "read:connections", fake.ClientsPath: "read:clients",
		"/api/v2/tenants/settings": "read:tenant_settings", "/api/v2/guardian/factors": "read:guardian_factors",
	}
	for path, scope := range paths {
		o := newOffice(t, fake.Auth0Options{})
		if status, body := o.get(t, path); status != http.StatusOK {
			t.Errorf("%s: %d %s", path, status, body)
		}
		less := slices.DeleteFunc(fake.DirectoryScopes(), func(s string) bool { return s == scope })
		o = newOffice(t, fake.Auth0Options{Scopes: less})
		if status, body := o.get(t, path); status != http.StatusForbidden || body.Get("errorCode").Str != "insufficient_scope" {
			t.Errorf("%s without %s: %d %s", path, scope, status, body)
		}
	}
}

// Secrets of applications are for those who ask for the keys.
func TestDirectoryClientSecrets(t *testing.T) {
	o := newOffice(t, fake.Auth0Options{})
	if _, list := o.get(t, fake.ClientsPath+"?take=10"); list.Get("clients.0.client_secret").Exists() || list.Get("clients.#").Int() != 4 {
		t.Errorf("got %s", list)
	}
	o = newOffice(t, fake.Auth0Options{Scopes: []string{"read:client_keys"}})
	if _, list := o.get(t, fake.ClientsPath+"?take=10"); !list.Get("clients.0.client_secret").Exists() {
		t.Errorf("got %s", list)
	}
}

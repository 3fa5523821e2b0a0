package fake

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// The paths of users and what belongs to them.
const (
	UsersPath         = "/api/v2/users"
	RolesPath         = "/api/v2/roles"
	OrganizationsPath = "/api/v2/organizations"
	ConnectionsPath   = "/api/v2/connections"
	ClientsPath       = "/api/v2/clients"
)

// Directory is who and what a tenant holds. Its users are made when they are
// asked for, always the same.
type Directory struct {
	// Users are the lines an export of every field writes.
	Users         iter.Seq[[]byte]
	Roles         []Role
	Organizations []Organization
	// Connections, Clients and ResourceServers are as the API lists them; of
	// clients, secrets are shown to scope read:client_keys only.
	Connections, Clients, ResourceServers []json.RawMessage
	// Settings are single answers by their path below /api/v2/.
	Settings map[string]json.RawMessage
}

// Role is a role of the tenant and who has it.
type Role struct {
	ID, Name, Description string
	Members               Members
}

// Organization is an organization and who is in it.
type Organization struct {
	ID, Name, DisplayName string
	Members               Members
}

// Members are users, each with the ids of the roles it has there.
type Members interface {
	Len() int
	Member(i int) (user string, roles []string)
}

// MemberList holds members as they are given.
type MemberList []Member

// Member is one of a [MemberList].
type Member struct {
	User  string
	Roles []string
}

// Len is how many there are.
func (l MemberList) Len() int { return len(l) }

// Member is the i-th.
func (l MemberList) Member(i int) (string, []string) { return l[i].User, l[i].Roles }

// endpoint answers a path: its segments, "*" for any. Any of the scopes is enough.
type endpoint struct {
	path   string
	scopes []string
	answer func(q query) answer
}

// query is a call of an endpoint.
type query struct {
	r      *http.Request
	scopes []string
	// arg is what "*" stands for.
	arg string
}

// directory answers what is not about logs.
func (a *Auth0) directory(r *http.Request, scopes []string) answer {
	path := strings.TrimPrefix(r.URL.Path, "/api/v2/")
	for _, e := range a.endpoints() {
		arg, ok := match(e.path, r.Method+" "+path)
		if !ok {
			continue
		}
		if !slices.ContainsFunc(e.scopes, func(s string) bool { return slices.Contains(scopes, s) }) {
			return insufficient(e.scopes...)
		}
		return e.answer(query{r, scopes, arg})
	}
	return apiError(http.StatusNotFound, "Not Found", "")
}

func insufficient(scopes ...string) answer {
	return apiError(http.StatusForbidden, "Insufficient scope; expected any of: "+strings.Join(scopes, ","), "insufficient_scope")
}

func match(pattern, path string) (arg string, ok bool) {
	want, got := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return "", false
	}
	for i := range want {
		switch want[i] {
		case "*":
			arg = got[i]
		case got[i]:
		default:
			return "", false
		}
	}
	return arg, true
}

func (a *Auth0) endpoints() []endpoint {
	d := a.opts.Directory
	all := []endpoint{
		{"POST jobs/users-exports", []string{"read:users"}, a.createExport},
		{"GET jobs/*", []string{"create:users", "read:users"}, a.readJob},
		{"GET users", []string{"read:users"}, a.searchUsers},
		{"GET roles", []string{"read:roles"}, a.rows("roles", len(d.Roles), d.role)},
		{"GET roles/*/users", []string{"read:users", "read:roles", "read:role_members"}, a.roleUsers},
		{"GET organizations", []string{"read:organizations", "read:organizations_summary"}, a.rows("organizations", len(d.Organizations), d.organization)},
		{"GET organizations/*/members", []string{"read:organization_members"}, a.members},
		{"GET organizations/*/members/*/roles", []string{"read:organization_member_roles"}, a.memberRoles},
		{"GET connections", []string{"read:connections"}, a.rows("connections", len(d.Connections), d.plain(d.Connections))},
		{"GET clients", []string{"read:clients", "read:client_keys", "read:client_summary"}, a.rows("clients", len(d.Clients), d.client)},
		{"GET resource-servers", []string{"read:resource_servers"}, a.rows("resource_servers", len(d.ResourceServers), d.plain(d.ResourceServers))},
	}
	for path, scope := range settingScopes() {
		if body, ok := d.Settings[path]; ok {
			all = append(all, endpoint{"GET " + path, []string{scope}, func(query) answer {
				return answer{status: http.StatusOK, header: jsonHeader(), body: body}
			}})
		}
	}
	return all
}

func settingScopes() map[string]string {
	return map[string]string{ //nolint:gosec // names of scopes
		"tenants/settings":                              "read:tenant_settings",
		"attack-protection/brute-force-protection":      "read:attack_protection",
		"attack-protection/suspicious-ip-throttling":    "read:attack_protection",
		"attack-protection/breached-password-detection": "read:attack_protection",
		"guardian/factors":                              "read:guardian_factors",
		"log-streams":                                   "read:log_streams",
	}
}

// row makes the i-th entry of a list.
type row func(q query, i int) any

func (d *Directory) role(_ query, i int) any {
	r := d.Roles[i]
	return map[string]any{"id": r.ID, "name": r.Name, "description": r.Description}
}

func (d *Directory) organization(_ query, i int) any {
	o := d.Organizations[i]
	return map[string]any{"id": o.ID, "name": o.Name, "display_name": o.DisplayName}
}

func (d *Directory) plain(list []json.RawMessage) row {
	return func(_ query, i int) any { return list[i] }
}

func (d *Directory) client(q query, i int) any {
	if slices.Contains(q.scopes, "read:client_keys") {
		return d.Clients[i]
	}
	kept := map[string]json.RawMessage{}
	for name, value := range gjson.ParseBytes(d.Clients[i]).Map() {
		if name != "client_secret" && name != "signing_keys" {
			kept[name] = json.RawMessage(value.Raw)
		}
	}
	return kept
}

func (a *Auth0) roleUsers(q query) answer {
	for _, r := range a.opts.Directory.Roles {
		if r.ID == q.arg {
			return a.rows("users", lenOf(r.Members), func(_ query, i int) any {
				user, _ := r.Members.Member(i)
				return map[string]any{"user_id": user, "name": user, "email": "", "picture": ""}
			})(q)
		}
	}
	return apiError(http.StatusNotFound, "The role does not exist.", "inexistent_role")
}

func lenOf(m Members) int {
	if m == nil {
		return 0
	}
	return m.Len()
}

// members lists an organization's, with their roles only where they are asked
// for by fields.
func (a *Auth0) members(q query) answer {
	withRoles := slices.Contains(strings.Split(q.r.URL.Query().Get("fields"), ","), "roles")
	if withRoles && !slices.Contains(q.scopes, "read:organization_member_roles") {
		return insufficient("read:organization_member_roles")
	}
	o, ok := a.organizationOf(q.arg)
	if !ok {
		return apiError(http.StatusNotFound, "No organization found by that id", "inexistent_organization")
	}
	return a.rows("members", lenOf(o.Members), func(_ query, i int) any {
		user, roles := o.Members.Member(i)
		m := map[string]any{"user_id": user}
		if withRoles {
			m["roles"] = a.rolesOf(roles)
		}
		return m
	})(q)
}

func (a *Auth0) organizationOf(id string) (Organization, bool) {
	i := slices.IndexFunc(a.opts.Directory.Organizations, func(o Organization) bool { return o.ID == id })
	if i < 0 {
		return Organization{}, false
	}
	return a.opts.Directory.Organizations[i], true
}

func (a *Auth0) rolesOf(ids []string) []map[string]string {
	list := []map[string]string{}
	for _, r := range a.opts.Directory.Roles {
		if slices.Contains(ids, r.ID) {
			list = append(list, map[string]string{"id": r.ID, "name": r.Name})
		}
	}
	return list
}

func (a *Auth0) memberRoles(q query) answer {
	parts := strings.Split(q.r.URL.Path, "/")
	o, _ := a.organizationOf(parts[len(parts)-4])
	for i := range lenOf(o.Members) {
		user, roles := o.Members.Member(i)
		if user == parts[len(parts)-2] {
			list := a.rolesOf(roles)
			return a.rows("roles", len(list), func(_ query, i int) any { return list[i] })(q)
		}
	}
	return apiError(http.StatusNotFound, "The member does not exist.", "inexistent_member")
}

// rows answers a list, by tokens where take is asked for, else by pages. A page
// that is full has a token, even if nothing comes behind it.
func (a *Auth0) rows(name string, n int, one row) func(q query) answer {
	return func(q query) answer {
		form := q.r.URL.Query()
		if a.opts.ByPage || !form.Has("take") && !form.Has("from") {
			return a.pageOfRows(q, name, n, one)
		}
		take, err := strconv.Atoi(form.Get("take"))
		from, ok := position(form.Get("from"))
		if err != nil || take < 1 || take > 100 || !ok {
			return apiError(http.StatusBadRequest, "Query validation error", "invalid_query_string")
		}
		to := min(from+min(take, a.opts.MaxTake), n)
		out := map[string]any{name: entries(q, one, from, to)}
		if to-from == min(take, a.opts.MaxTake) {
			out["next"] = base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "1700000000000,%d", to))
		}
		return listAnswer(out)
	}
}

func position(token string) (int, bool) {
	if token == "" {
		return 0, true
	}
	text, err := base64.StdEncoding.DecodeString(token)
	_, number, ok := strings.Cut(string(text), ",")
	n, err2 := strconv.Atoi(number)
	return n, err == nil && err2 == nil && ok
}

func entries(q query, one row, from, to int) []any {
	list := []any{}
	for i := from; i < to; i++ {
		list = append(list, one(q, i))
	}
	return list
}

func listAnswer(list any) answer {
	body, _ := json.Marshal(list)
	return answer{status: http.StatusOK, header: jsonHeader(), body: body}
}

func (a *Auth0) pageOfRows(q query, name string, n int, one row) answer {
	form := q.r.URL.Query()
	number, per, ok := paging(form)
	if !ok {
		return apiError(http.StatusBadRequest, "Query validation error", "invalid_query_string")
	}
	if (number+1)*per > 1000 {
		return apiError(http.StatusBadRequest, "You can only page through the first 1000 records.", "invalid_paging")
	}
	from, to := min(number*per, n), min((number+1)*per, n)
	list := entries(q, one, from, to)
	if form.Get("include_totals") != "true" {
		return listAnswer(list)
	}
	return listAnswer(map[string]any{"start": number * per, "limit": per, "total": n, name: list})
}

// searchUsers answers the first users of the tenant; it searches for nothing.
func (a *Auth0) searchUsers(q query) answer {
	var first []json.RawMessage
	total := 0
	for line := range a.users() {
		if total < 1000 {
			first = append(first, slices.Clone(line))
		}
		total++
	}
	return a.pageOfRows(q, "users", total, func(_ query, i int) any { return first[i] })
}

func (a *Auth0) users() iter.Seq[[]byte] {
	if a.opts.Directory.Users == nil {
		return func(func([]byte) bool) {}
	}
	return a.opts.Directory.Users
}

package shape

import (
	"strings"

	"github.com/idtrail/idtrail/schema"
)

// group is what the values of some attributes have in common.
type group string

// The groups a rule may name; text is any other attribute that may hold such
// values among others.
const (
	groupEmail     group = "email"
	groupUserName  group = "user_name"
	groupUserID    group = "user_id"
	groupFullName  group = "full_name"
	groupPhone     group = "phone"
	groupIP        group = "ip"
	groupLocation  group = "location"
	groupUserAgent group = "user_agent"
	groupSession   group = "session"
	groupRaw       group = "raw"
	groupUnmapped  group = "unmapped"
	groupData      group = "data"
	groupText      group = ""
)

var groups = []group{
	groupEmail, groupUserName, groupUserID, groupFullName, groupPhone, groupIP, groupLocation, groupUserAgent, groupSession,
	groupRaw, groupUnmapped, groupData,
}

// place is an attribute: the object it is in, and its name there. It is in two
// parts so that none has to be put together for each event.
type place struct{ in, name string }

func (p place) path() string {
	if p.in == "" {
		return p.name
	}
	return p.in + "." + p.name
}

// visitor calls do for every text of an event that redaction may change, but
// for unmapped. What is not visited says what kind of event it is, and which.
type visitor struct {
	do func(p place, g group, s *string)
}

func (v visitor) event(e *schema.Event) {
	v.do(place{"", "status_code"}, groupText, &e.StatusCode)
	v.do(place{"", "status_detail"}, groupText, &e.StatusDetail)
	v.do(place{"", "message"}, groupText, &e.Message)
	v.do(place{"", "comment"}, groupText, &e.Comment)
	v.do(place{"", "raw_data"}, groupRaw, &e.RawData)
	v.do(place{"metadata", "correlation_uid"}, groupText, &e.Metadata.CorrelationUID)
	v.list(place{"metadata", "labels"}, e.Metadata.Labels)
	v.list(place{"", "privileges"}, e.Privileges)
	if e.Cloud != nil {
		v.account("cloud.account", e.Cloud.Account)
	}
	v.api(e.API)
	v.actor(e.Actor)
	v.user("user", "user.account", e.User)
	v.user("user_result", "user_result.account", e.UserResult)
	v.group("group", e.Group)
	v.policy("policy", e.Policy)
	v.entity("entity", e.Entity)
	v.entity("entity_result", e.EntityResult)
	if e.Resource != nil {
		v.resource("resource", e.Resource)
	}
	for i := range e.Resources {
		v.resource("resources", &e.Resources[i])
	}
	v.service("service", e.Service)
	v.session("session", e.Session)
	v.endpoint("src_endpoint", "src_endpoint.location", e.SrcEndpoint)
	v.endpoint("dst_endpoint", "dst_endpoint.location", e.DstEndpoint)
	v.http(e.HTTPRequest)
}

func (v visitor) list(p place, list []string) {
	for i := range list {
		v.do(p, groupText, &list[i])
	}
}

func (v visitor) account(in string, a *schema.Account) {
	if a != nil {
		v.do(place{in, "uid"}, groupText, &a.UID)
		v.do(place{in, "name"}, groupText, &a.Name)
	}
}

func (v visitor) api(a *schema.API) {
	if a == nil {
		return
	}
	v.service("api.service", a.Service)
	if r := a.Request; r != nil {
		v.do(place{"api.request", "uid"}, groupText, &r.UID)
		v.list(place{"api.request", "flags"}, r.Flags)
		v.do(place{"api.request", "data"}, groupData, &r.Data)
	}
	if r := a.Response; r != nil {
		v.do(place{"api.response", "error"}, groupText, &r.Error)
		v.do(place{"api.response", "error_message"}, groupText, &r.ErrorMessage)
		v.do(place{"api.response", "message"}, groupText, &r.Message)
		v.do(place{"api.response", "data"}, groupData, &r.Data)
	}
}

func (v visitor) service(in string, s *schema.Service) {
	if s != nil {
		v.do(place{in, "name"}, groupText, &s.Name)
		v.do(place{in, "uid"}, groupText, &s.UID)
		v.do(place{in, "version"}, groupText, &s.Version)
	}
}

func (v visitor) actor(a *schema.Actor) {
	if a == nil {
		return
	}
	v.user("actor.user", "actor.user.account", a.User)
	v.session("actor.session", a.Session)
	if a.IDP != nil {
		v.do(place{"actor.idp", "name"}, groupText, &a.IDP.Name)
		v.do(place{"actor.idp", "uid"}, groupText, &a.IDP.UID)
	}
	v.do(place{"actor", "app_name"}, groupText, &a.AppName)
	v.do(place{"actor", "app_uid"}, groupText, &a.AppUID)
}

func (v visitor) user(in, account string, u *schema.UserObject) {
	if u == nil {
		return
	}
	v.do(place{in, "uid"}, groupUserID, &u.UID)
	v.do(place{in, "uid_alt"}, groupUserID, &u.UIDAlt)
	v.do(place{in, "name"}, groupUserName, &u.Name)
	v.do(place{in, "full_name"}, groupFullName, &u.FullName)
	v.do(place{in, "email_addr"}, groupEmail, &u.EmailAddr)
	v.do(place{in, "domain"}, groupText, &u.Domain)
	v.do(place{in, "type"}, groupText, &u.Type)
	v.do(place{in, "credential_uid"}, groupUserID, &u.CredentialUID)
	v.account(account, u.Account)
	if u.Org != nil {
		v.do(place{in, "org.uid"}, groupText, &u.Org.UID)
		v.do(place{in, "org.name"}, groupText, &u.Org.Name)
	}
	for i := range u.Groups {
		g := &u.Groups[i]
		v.do(place{in, "groups.uid"}, groupText, &g.UID)
		v.do(place{in, "groups.name"}, groupText, &g.Name)
		v.do(place{in, "groups.type"}, groupText, &g.Type)
		v.list(place{in, "groups.privileges"}, g.Privileges)
	}
}

func (v visitor) group(in string, g *schema.Group) {
	if g != nil {
		v.do(place{in, "uid"}, groupText, &g.UID)
		v.do(place{in, "name"}, groupText, &g.Name)
		v.do(place{in, "type"}, groupText, &g.Type)
		v.list(place{in, "privileges"}, g.Privileges)
	}
}

func (v visitor) policy(in string, p *schema.Policy) {
	if p != nil {
		v.do(place{in, "uid"}, groupText, &p.UID)
		v.do(place{in, "name"}, groupText, &p.Name)
	}
}

func (v visitor) entity(in string, m *schema.ManagedEntity) {
	if m == nil {
		return
	}
	uid, name := naming(m.Type)
	v.do(place{in, "uid"}, uid, &m.UID)
	v.do(place{in, "name"}, name, &m.Name)
	v.do(place{in, "data"}, groupData, &m.Data)
	if m.Org != nil {
		v.do(place{in, "org.uid"}, groupText, &m.Org.UID)
		v.do(place{in, "org.name"}, groupText, &m.Org.Name)
	}
	if m.Policy != nil {
		v.do(place{in, "policy.uid"}, groupText, &m.Policy.UID)
		v.do(place{in, "policy.name"}, groupText, &m.Policy.Name)
	}
	if g := m.Group; g != nil {
		v.do(place{in, "group.uid"}, groupText, &g.UID)
		v.do(place{in, "group.name"}, groupText, &g.Name)
		v.do(place{in, "group.type"}, groupText, &g.Type)
		v.list(place{in, "group.privileges"}, g.Privileges)
	}
}

func (v visitor) resource(in string, r *schema.ResourceDetails) {
	uid, name := naming(r.Type)
	v.do(place{in, "uid"}, uid, &r.UID)
	v.do(place{in, "name"}, name, &r.Name)
	v.list(place{in, "labels"}, r.Labels)
	v.do(place{in, "data"}, groupData, &r.Data)
}

// naming is what id and name of a thing are: a user may be one.
func naming(kind string) (uid, name group) {
	switch kind = strings.ToLower(kind); {
	case kind == "user" || kind == "users" || kind == "cognito user" || kind == "cognito identity" || strings.HasSuffix(kind, "::user"):
		return groupUserID, groupUserName
	default:
		return groupText, groupText
	}
}

func (v visitor) session(in string, s *schema.Session) {
	if s != nil {
		v.do(place{in, "uid"}, groupSession, &s.UID)
		v.do(place{in, "uid_alt"}, groupSession, &s.UIDAlt)
		v.do(place{in, "issuer"}, groupText, &s.Issuer)
		v.do(place{in, "credential_uid"}, groupSession, &s.CredentialUID)
	}
}

func (v visitor) endpoint(in, location string, n *schema.NetworkEndpoint) {
	if n == nil {
		return
	}
	v.do(place{in, "ip"}, groupIP, &n.IP)
	v.do(place{in, "hostname"}, groupText, &n.Hostname)
	v.do(place{in, "svc_name"}, groupText, &n.SvcName)
	v.do(place{in, "uid"}, groupText, &n.UID)
	v.do(place{in, "type"}, groupText, &n.Type)
	if l := n.Location; l != nil {
		v.do(place{location, "city"}, groupLocation, &l.City)
		v.do(place{location, "country"}, groupLocation, &l.Country)
		v.do(place{location, "continent"}, groupLocation, &l.Continent)
		v.do(place{location, "region"}, groupLocation, &l.Region)
		v.do(place{location, "desc"}, groupLocation, &l.Desc)
	}
}

func (v visitor) http(h *schema.HTTPRequest) {
	if h == nil {
		return
	}
	v.do(place{"http_request", "user_agent"}, groupUserAgent, &h.UserAgent)
	v.do(place{"http_request", "referrer"}, groupText, &h.Referrer)
	if u := h.URL; u != nil {
		v.do(place{"http_request.url", "url_string"}, groupText, &u.URLString)
		v.do(place{"http_request.url", "hostname"}, groupText, &u.Hostname)
		v.do(place{"http_request.url", "path"}, groupText, &u.Path)
		v.do(place{"http_request.url", "query_string"}, groupText, &u.QueryString)
	}
}

// whole returns an event that has every object there is: visiting it shows
// every place.
func whole() *schema.Event {
	user := func() *schema.UserObject {
		return &schema.UserObject{
			Account: &schema.Account{}, Org: &schema.Organization{},
			Groups: []schema.Group{{Privileges: []string{""}}},
		}
	}
	entity := func() *schema.ManagedEntity {
		return &schema.ManagedEntity{
			Org: &schema.Organization{}, Policy: &schema.Policy{}, Group: &schema.Group{Privileges: []string{""}},
		}
	}
	resource := schema.ResourceDetails{Labels: []string{""}}
	endpoint := func() *schema.NetworkEndpoint { return &schema.NetworkEndpoint{Location: &schema.Location{}} }
	return &schema.Event{
		Metadata: schema.Metadata{Labels: []string{""}}, Privileges: []string{""},
		Cloud: &schema.Cloud{Account: &schema.Account{}},
		API: &schema.API{
			Service: &schema.Service{}, Request: &schema.Request{Flags: []string{""}}, Response: &schema.Response{},
		},
		Actor: &schema.Actor{User: user(), Session: &schema.Session{}, IDP: &schema.IDP{}},
		User:  user(), UserResult: user(),
		Group: &schema.Group{Privileges: []string{""}}, Policy: &schema.Policy{},
		Entity: entity(), EntityResult: entity(),
		Resource: &resource, Resources: []schema.ResourceDetails{resource},
		Service: &schema.Service{}, Session: &schema.Session{},
		SrcEndpoint: endpoint(), DstEndpoint: endpoint(),
		HTTPRequest: &schema.HTTPRequest{URL: &schema.URL{}},
	}
}

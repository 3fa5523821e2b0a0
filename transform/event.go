package transform

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/idtrail/idtrail/schema"
)

// class is what OCSF 1.3.0 says of one event class.
type class struct {
	name       string
	category   int32
	activities map[int32]string
}

// The classes idtrail emits, with their own activities; 0 Unknown and 99 Other
// exist in every class.
var classes = map[int32]class{
	schema.ClassAccountChange: {"Account Change", 3, map[int32]string{
		1: "Create", 2: "Enable", 3: "Password Change", 4: "Password Reset", 5: "Disable", 6: "Delete",
		7: "Attach Policy", 8: "Detach Policy", 9: "Lock", 10: "MFA Factor Enable", 11: "MFA Factor Disable",
	}},
	schema.ClassAuthentication: {"Authentication", 3, map[int32]string{
		1: "Logon", 2: "Logoff", 3: "Authentication Ticket", 4: "Service Ticket Request",
		5: "Service Ticket Renew", 6: "Preauth",
	}},
	schema.ClassEntityManagement: {"Entity Management", 3, map[int32]string{
		1: "Create", 2: "Read", 3: "Update", 4: "Delete", 5: "Move", 6: "Enroll", 7: "Unenroll",
		8: "Enable", 9: "Disable", 10: "Activate", 11: "Deactivate", 12: "Suspend", 13: "Resume",
	}},
	schema.ClassUserAccess: {"User Access Management", 3, map[int32]string{
		1: "Assign Privileges", 2: "Revoke Privileges",
	}},
	schema.ClassGroupManagement: {"Group Management", 3, map[int32]string{
		1: "Assign Privileges", 2: "Revoke Privileges", 3: "Add User", 4: "Remove User", 5: "Delete", 6: "Create",
	}},
	schema.ClassAPIActivity: {"API Activity", 6, map[int32]string{
		1: "Create", 2: "Read", 3: "Update", 4: "Delete",
	}},
}

var categories = map[int32]string{3: "Identity & Access Management", 6: "Application Activity"}

var severities = map[int32]string{
	0: "Unknown", 1: "Informational", 2: "Low", 3: "Medium", 4: "High", 5: "Critical", 6: "Fatal", 99: "Other",
}

// classify sets what an event is: class, category, activity, type and severity,
// numbers and names. activityName counts only where OCSF has no number for the
// activity (99): it is then the source's own word.
func classify(e *schema.Event, classUID, activity int32, activityName string, severity int32) {
	c := classes[classUID]
	typeName := "Other"
	switch caption, known := c.activities[activity]; {
	case known:
		activityName, typeName = caption, caption
	case activity == 0:
		activityName, typeName = "Unknown", "Unknown"
	default:
		activity, activityName = schema.ActivityOther, firstOf(activityName, "Other")
	}
	if severities[severity] == "" {
		severity = 0
	}
	e.ClassUID, e.ClassName = classUID, c.name
	e.CategoryUID, e.CategoryName = c.category, categories[c.category]
	e.ActivityID, e.ActivityName = activity, activityName
	e.TypeUID, e.TypeName = int64(classUID)*100+int64(activity), c.name+": "+typeName
	e.SeverityID, e.Severity = severity, severities[severity]
}

// setStatus sets the outcome. word counts only for StatusOther: it is then the
// source's own.
func setStatus(e *schema.Event, id int32, word string) {
	e.StatusID = id
	switch id {
	case schema.StatusSuccess:
		e.Status = "Success"
	case schema.StatusFailure:
		e.Status = "Failure"
	case schema.StatusOther:
		e.Status = firstOf(word, "Other")
	default:
		e.StatusID, e.Status = schema.StatusUnknown, "Unknown"
	}
}

// setTime dates the event as [When] does, by the time the record says. Label time:landed tells that the
// record's own time could not be read, time:out_of_range that it is not to be
// believed (the event is filed under the day of landing, see [Day]).
func setTime(e *schema.Event, said, landedAt time.Time) {
	at, own := when(said, landedAt)
	if !own {
		label(e, "time", "landed")
	}
	if _, own := Day(at, landedAt); !own {
		label(e, "time", "out_of_range")
	}
	e.Time, e.TimeDT = at.UnixMilli(), at
}

// setRaw keeps the landed line in raw_data. The line must be what [validText]
// returned; replaced is its second result.
func setRaw(e *schema.Event, line string, replaced bool) {
	e.RawData = line
	if replaced {
		label(e, "utf8", "replaced")
	}
}

// label adds the mark "name:value" to the event, once; without a value none.
func label(e *schema.Event, name, value string) {
	if value != "" {
		mark(e, name+":"+clip(value, 256))
	}
}

// mark adds a mark without a value.
func mark(e *schema.Event, name string) {
	if !slices.Contains(e.Metadata.Labels, name) {
		e.Metadata.Labels = append(e.Metadata.Labels, name)
	}
}

// keep puts a value no attribute takes into unmapped.
func keep(e *schema.Event, key, value string) {
	if e.Unmapped == nil {
		e.Unmapped = map[string]string{}
	}
	putText(e.Unmapped, key, value)
}

// The type_id values of user.
const (
	userUser   int32 = 1
	userAdmin  int32 = 2
	userSystem int32 = 3
)

var userTypes = map[int32]string{0: "Unknown", userUser: "User", userAdmin: "Admin", userSystem: "System"}

// setUserType sets type_id and type of a user; for 99 word is the source's own.
func setUserType(u *schema.UserObject, id int32, word string) {
	u.TypeID, u.Type = new(id), userTypes[id]
	if id == 99 {
		u.Type = firstOf(word, "Other")
	}
}

// finish makes the event one that OCSF 1.3.0 takes: it is the one place that
// knows the constraints. Values and objects that would not pass are dropped,
// attributes the class does not have too, and what it requires is filled in.
// Every event goes through it, once, as the last step.
func finish(e *schema.Event) {
	e.Metadata.Version = schema.OCSFVersion
	e.Metadata.Profiles = profiles(e.ClassUID)
	fitEndpoints(e)
	fitHTTP(e)
	fitPeople(e)
	fitObjects(e)
	fitClass(e)
	require(e)
	observables(e)
	if len(e.Unmapped) >= maxUnmapped {
		mark(e, "unmapped:truncated")
	}
	if len(e.Unmapped) == 0 {
		e.Unmapped = nil
	}
}

// profiles names the profiles whose attributes a class's events use: actor of
// the access classes exists under host only.
func profiles(classUID int32) []string {
	if classUID >= 3003 && classUID <= 3006 {
		return []string{"cloud", "datetime", "host"}
	}
	return []string{"cloud", "datetime"}
}

func fitEndpoints(e *schema.Event) {
	e.SrcEndpoint = fitEndpoint(e.SrcEndpoint)
	e.DstEndpoint = fitEndpoint(e.DstEndpoint)
}

func fitEndpoint(n *schema.NetworkEndpoint) *schema.NetworkEndpoint {
	if n == nil {
		return nil
	}
	n.IP = ipText(n.IP)
	if !isHostname(n.Hostname) {
		n.SvcName, n.Hostname = firstOf(n.SvcName, n.Hostname), ""
	}
	n.Location = fitLocation(n.Location)
	if n.IP == "" && n.Hostname == "" && n.SvcName == "" && n.UID == "" {
		return nil
	}
	return n
}

func fitLocation(l *schema.Location) *schema.Location {
	if l == nil {
		return nil
	}
	l.Country = countryCode(l.Country)
	if l.City == "" && l.Country == "" && l.Region == "" {
		return nil
	}
	return l
}

// fitHTTP keeps only methods OCSF 1.3 knows: PATCH came with 1.6.
func fitHTTP(e *schema.Event) {
	h := e.HTTPRequest
	if h == nil {
		return
	}
	switch method := strings.ToUpper(h.HTTPMethod); method {
	case "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT", "TRACE":
		h.HTTPMethod = method
	default:
		keep(e, "http_request.http_method", method)
		h.HTTPMethod = ""
	}
	if u := h.URL; u != nil {
		if !isHostname(u.Hostname) {
			u.Hostname = ""
		}
		if u.URLString == "" && u.Path == "" {
			h.URL = nil
		}
	}
	if *h == (schema.HTTPRequest{}) {
		e.HTTPRequest = nil
	}
}

func fitPeople(e *schema.Event) {
	e.User = fitUser(e.User)
	e.UserResult = fitUser(e.UserResult)
	e.Session = fitSession(e.Session)
	a := e.Actor
	if a == nil {
		return
	}
	a.User = fitUser(a.User)
	a.Session = fitSession(a.Session)
	if a.IDP != nil && *a.IDP == (schema.IDP{}) {
		a.IDP = nil
	}
	if a.User != nil || a.Session != nil || a.AppName != "" || a.AppUID != "" {
		return
	}
	if a.IDP != nil {
		keep(e, "actor.idp.name", a.IDP.Name)
		keep(e, "actor.idp.uid", a.IDP.UID)
	}
	e.Actor = nil
}

func fitUser(u *schema.UserObject) *schema.UserObject {
	if u == nil {
		return nil
	}
	if !isEmail(u.EmailAddr) {
		u.EmailAddr = ""
	}
	if u.UID == "" {
		u.Name = firstOf(u.Name, u.EmailAddr)
	}
	u.Account = fitAccount(u.Account)
	u.Org = fitOrg(u.Org)
	u.Groups = slices.DeleteFunc(u.Groups, func(g schema.Group) bool { return g.UID == "" && g.Name == "" })
	if u.UID == "" && u.Name == "" && u.Account == nil {
		return nil
	}
	return u
}

func fitSession(s *schema.Session) *schema.Session {
	if s == nil || *s == (schema.Session{}) {
		return nil
	}
	return s
}

func fitAccount(a *schema.Account) *schema.Account {
	if a == nil || a.UID == "" && a.Name == "" {
		return nil
	}
	return a
}

func fitOrg(o *schema.Organization) *schema.Organization {
	if o == nil || *o == (schema.Organization{}) {
		return nil
	}
	return o
}

func fitObjects(e *schema.Event) {
	if p := e.Metadata.Product.Feature; p != nil && *p == (schema.Feature{}) {
		e.Metadata.Product.Feature = nil
	}
	e.Group = fitGroup(e.Group)
	if e.Policy != nil && *e.Policy == (schema.Policy{}) {
		e.Policy = nil
	}
	e.Entity = fitEntity(e.Entity)
	e.EntityResult = fitEntity(e.EntityResult)
	e.Service = fitService(e.Service)
	if e.Resource != nil && e.Resource.UID == "" && e.Resource.Name == "" {
		e.Resource = nil
	}
	e.Resources = slices.DeleteFunc(e.Resources, func(r schema.ResourceDetails) bool {
		return r.UID == "" && r.Name == ""
	})
	e.Privileges = slices.DeleteFunc(e.Privileges, func(p string) bool { return p == "" })
	if e.Cloud != nil {
		e.Cloud.Account = fitAccount(e.Cloud.Account)
	}
	if e.API != nil {
		fitAPI(e)
	}
}

func fitGroup(g *schema.Group) *schema.Group {
	if g == nil || g.UID == "" && g.Name == "" {
		return nil
	}
	return g
}

func fitService(s *schema.Service) *schema.Service {
	if s == nil || s.Name == "" && s.UID == "" {
		return nil
	}
	return s
}

func fitEntity(m *schema.ManagedEntity) *schema.ManagedEntity {
	if m == nil {
		return nil
	}
	m.Org, m.Group = fitOrg(m.Org), fitGroup(m.Group)
	if m.Policy != nil && *m.Policy == (schema.Policy{}) {
		m.Policy = nil
	}
	if m.UID == "" && m.Name == "" && m.Org == nil && m.Group == nil && m.Policy == nil {
		return nil
	}
	return m
}

func fitAPI(e *schema.Event) {
	a := e.API
	a.Operation = firstOf(a.Operation, e.Metadata.EventCode, e.ActivityName)
	a.Service = fitService(a.Service)
	if a.Request != nil {
		a.Request.UID = firstOf(a.Request.UID, e.Metadata.UID)
		if a.Request.UID == "" {
			a.Request = nil
		}
	}
	if a.Response != nil && *a.Response == (schema.Response{}) {
		a.Response = nil
	}
}

// fitClass drops the attributes the event's class does not have.
func fitClass(e *schema.Event) {
	is := func(classUIDs ...int32) bool { return slices.Contains(classUIDs, e.ClassUID) }
	if !is(schema.ClassAccountChange, schema.ClassAuthentication, schema.ClassUserAccess, schema.ClassGroupManagement) {
		e.User = nil
	}
	if !is(schema.ClassAccountChange) {
		e.UserResult, e.Policy = nil, nil
	}
	if !is(schema.ClassEntityManagement) {
		e.Entity, e.EntityResult, e.Comment = nil, nil, ""
	}
	if !is(schema.ClassUserAccess, schema.ClassGroupManagement) {
		e.Privileges, e.Resource = nil, nil
	}
	if !is(schema.ClassGroupManagement) {
		e.Group = nil
	}
	if !is(schema.ClassAPIActivity) {
		e.Resources = nil
	}
	if !is(schema.ClassAPIActivity, schema.ClassAuthentication) {
		e.DstEndpoint = nil
	}
	if !is(schema.ClassAuthentication) {
		e.Service, e.Session, e.IsMFA, e.IsRemote = nil, nil, nil, nil
		e.AuthProtocolID, e.AuthProtocol, e.LogonTypeID, e.LogonType = nil, "", nil, ""
	}
}

// require fills in what the class demands and the record does not say. Nothing
// is made up: a person is then "unknown", an endpoint the service that logged.
func require(e *schema.Event) {
	product := firstOf(e.Metadata.Product.Name, e.Metadata.Product.VendorName, "unknown")
	if e.Cloud == nil {
		e.Cloud = &schema.Cloud{}
	}
	e.Cloud.Provider = firstOf(e.Cloud.Provider, e.Metadata.Product.VendorName, product)
	switch e.ClassUID {
	case schema.ClassAccountChange:
		requireUser(e)
	case schema.ClassAuthentication:
		requireUser(e)
		if e.Service == nil && e.DstEndpoint == nil {
			e.Service = &schema.Service{Name: product}
		}
	case schema.ClassUserAccess:
		requireUser(e)
		if len(e.Privileges) == 0 {
			e.Privileges = []string{"unknown"}
		}
	case schema.ClassGroupManagement:
		requireGroup(e)
	case schema.ClassEntityManagement:
		if e.Entity == nil {
			e.Entity = &schema.ManagedEntity{Name: "unknown", TypeID: new(int32(0)), Type: "Unknown"}
		}
	case schema.ClassAPIActivity:
		requireCall(e, product)
	}
}

func requireGroup(e *schema.Event) {
	if e.Group == nil {
		e.Group = &schema.Group{Name: "unknown"}
	}
	if len(e.Privileges) == 0 {
		requireUser(e)
	}
}

// requireUser names an unknown user by the tenant it is of, where that is known.
func requireUser(e *schema.Event) {
	if e.User != nil {
		return
	}
	e.User = &schema.UserObject{}
	setUserType(e.User, 0, "")
	if account := e.Cloud.Account; account != nil {
		e.User.Account = new(*account)
		return
	}
	e.User.Name = "unknown"
}

func requireCall(e *schema.Event, product string) {
	if e.API == nil {
		e.API = &schema.API{Operation: firstOf(e.Metadata.EventCode, e.ActivityName)}
	}
	if e.Actor == nil {
		u := &schema.UserObject{Name: "unknown"}
		setUserType(u, 0, "")
		e.Actor = &schema.Actor{User: u}
	}
	if e.SrcEndpoint == nil {
		e.SrcEndpoint = &schema.NetworkEndpoint{SvcName: strings.ToLower(product)}
	}
}

// The observable types people search by.
const (
	observableHostname   int32 = 1
	observableIP         int32 = 2
	observableUserName   int32 = 4
	observableEmail      int32 = 5
	observableResource   int32 = 10
	observableCountry    int32 = 14
	observableUserAgent  int32 = 16
	observableCredential int32 = 19
)

// usualObservables is how many an event has, but for a few.
const usualObservables = 8

//nolint:gosec // the name of a type, no credential
var observableNames = map[int32]string{
	observableHostname: "Hostname", observableIP: "IP Address", observableUserName: "User Name",
	observableEmail: "Email Address", observableResource: "Resource UID", observableCountry: "Country",
	observableUserAgent: "HTTP User-Agent", observableCredential: "User Credential ID",
}

// places are the names of an object's attributes as observables have them.
type places struct{ ip, hostname, country, name, email, credential string }

func endpointPlaces(of string) places {
	return places{ip: of + ".ip", hostname: of + ".hostname", country: of + ".location.country"}
}

func userPlaces(of string) places {
	return places{name: of + ".name", email: of + ".email_addr", credential: of + ".credential_uid"}
}

var (
	srcPlaces, dstPlaces      = endpointPlaces("src_endpoint"), endpointPlaces("dst_endpoint")
	actorPlaces, personPlaces = userPlaces("actor.user"), userPlaces("user")
)

// observed collects observables.
type observed []schema.Observable

func (l *observed) add(typeID int32, name, value string) {
	o := schema.Observable{Name: name, TypeID: typeID, Type: observableNames[typeID], Value: value}
	if value != "" && !slices.Contains(*l, o) {
		*l = append(*l, o)
	}
}

// observables lists the values of the event people search by.
func observables(e *schema.Event) {
	list := make(observed, 0, usualObservables)
	list.endpoint(&srcPlaces, e.SrcEndpoint)
	list.endpoint(&dstPlaces, e.DstEndpoint)
	if e.Actor != nil {
		list.user(&actorPlaces, e.Actor.User)
		if e.Actor.Session != nil {
			list.add(observableCredential, "actor.session.credential_uid", e.Actor.Session.CredentialUID)
		}
	}
	list.user(&personPlaces, e.User)
	if e.HTTPRequest != nil {
		list.add(observableUserAgent, "http_request.user_agent", e.HTTPRequest.UserAgent)
	}
	for _, r := range e.Resources {
		list.add(observableResource, "resources[].uid", r.UID)
	}
	e.Observables = nil
	if len(list) > 0 {
		e.Observables = list
	}
}

func (l *observed) endpoint(p *places, n *schema.NetworkEndpoint) {
	if n == nil {
		return
	}
	l.add(observableIP, p.ip, n.IP)
	l.add(observableHostname, p.hostname, n.Hostname)
	if n.Location != nil {
		l.add(observableCountry, p.country, n.Location.Country)
	}
}

func (l *observed) user(p *places, u *schema.UserObject) {
	if u == nil {
		return
	}
	l.add(observableUserName, p.name, u.Name)
	l.add(observableEmail, p.email, u.EmailAddr)
	l.add(observableCredential, p.credential, u.CredentialUID)
}

// ipText returns an address in its canonical form, without zone or port and
// with IPv4 as IPv4 however it was written; "" for what is no address.
func ipText(s string) string {
	s = strings.TrimSpace(s)
	if s == "" {
		return ""
	}
	addr, err := netip.ParseAddr(s)
	if err != nil {
		withPort, err := netip.ParseAddrPort(s)
		if err != nil {
			return ""
		}
		addr = withPort.Addr()
	}
	var room [len("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")]byte
	if text := addr.Unmap().WithZone("").AppendTo(room[:0]); string(text) != s {
		return string(text)
	}
	return s
}

// countryCode returns an ISO 3166-1 alpha-2 code in upper case, "" for anything
// else.
func countryCode(s string) string {
	s = strings.ToUpper(strings.TrimSpace(s))
	if len(s) != 2 || !isUpper(s[0]) || !isUpper(s[1]) {
		return ""
	}
	return s
}

func isUpper(c byte) bool { return c >= 'A' && c <= 'Z' }

func isAlnum(c byte) bool {
	return isUpper(c) || c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
}

// isHostname is OCSF's hostname_t: dot-separated labels of letters, digits and
// inner hyphens.
func isHostname(s string) bool {
	for part := range strings.SplitSeq(s, ".") {
		if part == "" || !isAlnum(part[0]) || !isAlnum(part[len(part)-1]) {
			return false
		}
		if !all(part, func(c byte) bool { return c == '-' || isAlnum(c) }) {
			return false
		}
	}
	return true
}

// isEmail is OCSF's email_t: ASCII only, one @, a dot in the domain.
func isEmail(s string) bool {
	local, domain, _ := strings.Cut(s, "@")
	first, rest, _ := strings.Cut(domain, ".")
	if local == "" || first == "" || rest == "" {
		return false
	}
	return all(local, func(c byte) bool { return isAlnum(c) || strings.IndexByte("!#$%&'*+,-./=?^_`{|}~", c) >= 0 }) &&
		all(first, func(c byte) bool { return isAlnum(c) || c == '-' }) &&
		all(rest, func(c byte) bool { return isAlnum(c) || c == '-' || c == '.' })
}

func all(s string, fits func(byte) bool) bool {
	for i := range len(s) {
		if !fits(s[i]) {
			return false
		}
	}
	return true
}

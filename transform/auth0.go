package transform

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/idtrail/idtrail/schema"
)

// auth0Log is one record of a tenant log on its way to its events.
type auth0Log struct {
	mapper *Mapper
	code   auth0Code
	id     string

	record, details            *object
	request, response, caller  *object // details.request, .response, .request.auth
	requestBody, responseBody  gjson.Result
	method, path               string
	privateParts               []part
	partsRoom                  [16]part
	event                      *schema.Event
	targets                    []string // several users or groups of one call
	targetIsGroup, routed, api bool
}

// part is an object whose unused members go to unmapped under prefix.
type part struct {
	prefix  string
	members *object
}

// auth0Log maps a record of a tenant log, in any envelope. Only what is no JSON
// object, or says neither what it is nor which, cannot be mapped.
func (m *Mapper) auth0Log(line []byte, landedAt time.Time) (Result, error) {
	valid, replaced := validText(line)
	if !validJSON(valid) {
		return Result{}, fmt.Errorf("auth0 log: no JSON, or nested too deep: %w", ErrUnmappable)
	}
	text := string(valid)
	room := m.room()
	defer m.leave(room)
	record, id, said := auth0Record(room, text, valid)
	if record == nil {
		return Result{}, fmt.Errorf("auth0 log: no JSON object: %w", ErrUnmappable)
	}
	if strings.Contains(text, `"idtrail_unparsed"`) && record.first("idtrail_unparsed").IsObject() {
		return unparsed(valid)
	}
	// What is returned is written to from the start: an event is large.
	events := make([]schema.Event, 1)
	l := &auth0Log{mapper: m, record: record, id: id, event: &events[0]}
	l.privateParts = l.partsRoom[:0]
	if l.id == "" && l.record.get("type").String() == "" {
		return Result{}, fmt.Errorf("auth0 log: neither type nor log_id: %w", ErrUnmappable)
	}
	if l.id == "" {
		l.id = schema.HashID(line)
	}
	setTime(l.event, said, landedAt)
	setRaw(l.event, text, replaced)
	l.describe()
	if len(l.targets) < 2 {
		finish(l.event)
		return Result{Events: events}, nil
	}
	return Result{Events: l.fanOut()}, nil
}

// auth0Record returns what [schema.Kind.Identify] does, with the record's members;
// nil if it is no object. It sees for itself where the record stands in no
// envelope and names itself, as nearly all do, and so reads it once only.
func auth0Record(room *room, text string, valid []byte) (record *object, id string, said time.Time) {
	if root := gjson.Parse(text); root.IsObject() {
		o := room.read(root)
		enveloped := o.first("detail").IsObject() && o.first("detail-type").Exists() || !o.first("type").Exists()
		id := firstOf(idText(o.first("log_id")), idText(o.first("_id")))
		if !enveloped && id != "" {
			return o, id, schema.ParseTime(o.first("date").Str)
		}
	}
	part, id, said := schema.KindAuth0Log.Identify(valid)
	root := gjson.Parse(text)
	if len(part) < len(valid) { // it stands in an envelope
		root = gjson.ParseBytes(part)
	}
	if !root.IsObject() {
		return nil, "", time.Time{}
	}
	return room.read(root), id, said
}

// idText is what names a record: text or a number, digit by digit.
func idText(v gjson.Result) string {
	switch v.Type {
	case gjson.String:
		return v.Str
	case gjson.Number:
		return v.Raw
	default:
		return ""
	}
}

// describe fills in the event, but for its targets where they are several.
func (l *auth0Log) describe() {
	e := l.event
	e.Unmapped = map[string]string{}
	l.parts()
	l.metadata()
	l.code = auth0CodeOf(e.Metadata.EventCode)
	if l.code.dispatch != "" {
		auth0Dispatches[l.code.dispatch](l)
	}
	classify(e, l.code.class, l.code.activity, l.code.activityName, l.code.severity)
	setStatus(e, l.code.status, l.code.statusWord)
	l.who()
	l.where()
	l.call()
	l.signIn()
	l.outcome()
	l.labels()
	l.rest()
}

// parts opens the objects within the record. Each may be of any type: what is
// no object stays where it is, and ends in unmapped.
func (l *auth0Log) parts() {
	l.details = l.part("details", l.record, "details")
	l.request = l.part("details.request", l.details, "request")
	l.response = l.part("details.response", l.details, "response")
	l.caller = l.part("details.request.auth", l.request, "auth")
	l.requestBody, l.responseBody = parsed(l.request.get("body")), parsed(l.response.get("body"))
	l.method = strings.ToUpper(scalar(l.request.get("method")))
	l.path = pathOf(scalar(l.request.get("path")))
}

func (l *auth0Log) part(prefix string, of *object, name string) *object {
	members := of.object(name)
	l.privateParts = append(l.privateParts, part{prefix, members})
	return members
}

// parsed returns the JSON that a string holds; a value that is none as it is.
func parsed(v gjson.Result) gjson.Result {
	if v.Type == gjson.String && strings.HasPrefix(strings.TrimSpace(v.Str), "{") && validJSON([]byte(v.Str)) {
		return gjson.Parse(v.Str)
	}
	return v
}

func (l *auth0Log) metadata() {
	e, r := l.event, l.record
	tenant := r.text("tenant_name")
	e.Metadata.UID = l.id
	e.Metadata.EventCode = r.text("type")
	e.Metadata.OriginalTime = anyText(r.take("date"))
	e.Metadata.TenantUID = tenant
	e.Metadata.LogName, e.Metadata.LogProvider = "tenant_logs", "Auth0"
	e.Metadata.LogVersion = l.part("$event_schema", r, "$event_schema").text("version")
	e.Metadata.Product = schema.Product{Name: "Auth0", VendorName: "Auth0"}
	references := l.part("references", r, "references")
	e.Metadata.CorrelationUID = firstOf(l.details.text("transaction_id"), references.text("correlation_id", "trace_id"))
	e.Cloud = &schema.Cloud{
		Provider: "Auth0", Region: r.text("environment_name"),
		Account: &schema.Account{UID: tenant, TypeID: new(int32(99)), Type: "Auth0 tenant"},
	}
	e.Message = r.text("description")
	r.drop("log_id", "_id")
}

// who names the user the event is about, and who acted.
func (l *auth0Log) who() {
	e, r := l.event, l.record
	e.Actor = &schema.Actor{
		AppUID: r.text("client_id"), AppName: r.text("client_name"),
		IDP: &schema.IDP{Name: r.text("connection"), UID: r.text("connection_id")},
	}
	switch l.code.user {
	case "actor":
		e.Actor.User, e.Actor.Session = l.admin()
	case "client":
		l.client()
	default:
		l.subject()
	}
	if e.ClassUID == schema.ClassEntityManagement && e.Entity == nil {
		e.Entity = l.entity()
	}
	if e.User != nil && e.User.TypeID == nil {
		setUserType(e.User, userUser, "")
	}
}

// subject places the person the record names: as the event's user where its
// class has one, else as who acted.
func (l *auth0Log) subject() {
	e := l.event
	person := l.person()
	switch e.ClassUID {
	case schema.ClassAPIActivity:
		e.Actor.User = person
	case schema.ClassEntityManagement:
		l.keepPerson(person)
	default:
		if e.User != nil {
			person = joinUsers(e.User, person)
		}
		e.User = person
		if l.code.user == "self" && person != nil {
			e.Actor.User = new(*person)
		}
	}
}

// joinUsers completes what the call says of a user by what the record says.
func joinUsers(u, more *schema.UserObject) *schema.UserObject {
	if more == nil || u.UID != "" && more.UID != "" && u.UID != more.UID {
		return u
	}
	more.UID, more.Name = firstOf(u.UID, more.UID), firstOf(u.Name, more.Name)
	more.EmailAddr = firstOf(u.EmailAddr, more.EmailAddr)
	return more
}

// person is whom user_id and user_name name, nil when they name nobody.
func (l *auth0Log) person() *schema.UserObject {
	r := l.record
	u := &schema.UserObject{UID: r.text("user_id"), Name: r.text("user_name")}
	body := readObject(l.details.get("body"))
	if u.Name == "" {
		u.Name = firstOf(body.text("email", "username"), scalar(r.get("email")))
	}
	if u.UID == "" && u.Name == "" {
		return nil
	}
	u.EmailAddr = firstOf(emailOf(u.Name), emailOf(scalar(r.get("email"))))
	u.UIDAlt = r.text("identity_user_id")
	u.Domain = scalar(r.get("connection"))
	u.Org = l.organization()
	setUserType(u, userUser, "")
	return u
}

func emailOf(s string) string {
	if isEmail(s) {
		return s
	}
	return ""
}

func (l *auth0Log) organization() *schema.Organization {
	return &schema.Organization{UID: l.record.text("organization_id"), Name: l.record.text("organization_name")}
}

// keepPerson keeps whom the record names where no attribute does.
func (l *auth0Log) keepPerson(u *schema.UserObject) {
	if u == nil {
		return
	}
	keep(l.event, "user_id", u.UID)
	keep(l.event, "user_name", u.Name)
}

// client makes the application itself what signs in.
func (l *auth0Log) client() {
	a := l.event.Actor
	l.event.User = &schema.UserObject{UID: a.AppUID, Name: a.AppName}
	setUserType(l.event.User, userSystem, "")
}

// admin is who called the Management API: a person in the dashboard, or an
// application.
func (l *auth0Log) admin() (*schema.UserObject, *schema.Session) {
	r, user := l.record, l.part("details.request.auth.user", l.caller, "user")
	credentials := l.part("details.request.auth.credentials", l.caller, "credentials")
	subject := l.caller.text("subject")
	u := &schema.UserObject{
		UID:    firstOf(user.text("user_id", "id"), r.text("user_id"), subject, l.caller.text("user")),
		Name:   firstOf(r.text("user_name"), user.text("email", "name")),
		UIDAlt: r.text("identity_user_id"),
		Org:    l.organization(),
	}
	u.EmailAddr = firstOf(emailOf(user.text("email")), emailOf(u.Name))
	u.FullName = user.text("name")
	setUserType(u, userAdmin, "")
	if strings.HasSuffix(firstOf(subject, u.UID), "@clients") {
		setUserType(u, userSystem, "")
		u.Name = firstOf(u.Name, l.event.Actor.AppName)
	}
	if scopes := credentials.take("scopes"); scopes.IsArray() {
		keep(l.event, "details.request.auth.credentials.scopes.count", strconv.Itoa(len(scopes.Array())))
	} else {
		flatten(l.event.Unmapped, "details.request.auth.credentials.scopes", scopes)
	}
	return u, &schema.Session{UID: credentials.text("jti")}
}

// entity is what an event without a route manages: the connection it names,
// else the organization, else the user.
func (l *auth0Log) entity() *schema.ManagedEntity {
	r := l.record
	connection := firstOf(scalar(r.get("connection_id")), scalar(l.details.get("connection_id")))
	if name := scalar(r.get("connection")); connection != "" || name != "" {
		return newEntity("Connection", connection, name)
	}
	if id, name := scalar(r.get("organization_id")), scalar(r.get("organization_name")); id != "" || name != "" {
		return newEntity("Organization", id, name)
	}
	return newEntity("User", scalar(r.get("user_id")), scalar(r.get("user_name")))
}

// entityTypes are the types of managed_entity; all others are 99 by their name.
var entityTypes = map[string]int32{"User": 2, "Group": 3, "Organization": 4, "Policy": 5}

// newEntity is a managed entity of the kind that word names.
func newEntity(word, uid, name string) *schema.ManagedEntity {
	typeID, known := entityTypes[word]
	if !known {
		typeID = 99
	}
	m := &schema.ManagedEntity{UID: uid, Name: name, TypeID: &typeID, Type: word}
	if word == "Organization" {
		m.Org = &schema.Organization{UID: uid, Name: name}
	}
	return m
}

// where fills in the endpoints: the one that called, and the tenant's host.
func (l *auth0Log) where() {
	e, r := l.event, l.record
	ip := firstOf(r.text("ip"), scalar(l.request.get("ip")))
	if ip == scalar(l.request.get("ip")) {
		l.request.drop("ip")
	}
	e.SrcEndpoint = &schema.NetworkEndpoint{IP: ipText(ip), Location: l.location()}
	if e.SrcEndpoint.IP == "" {
		e.SrcEndpoint.SvcName = "auth0"
		keep(e, "ip", ip)
	}
	if mobile, _ := boolean(r.take("isMobile", "is_mobile")); mobile {
		e.SrcEndpoint.TypeID, e.SrcEndpoint.Type = new(int32(5)), "Mobile"
	}
	if e.ClassUID == schema.ClassAuthentication || e.ClassUID == schema.ClassAPIActivity {
		e.DstEndpoint = &schema.NetworkEndpoint{Hostname: r.text("hostname"), SvcName: r.text("audience")}
	}
}

func (l *auth0Log) location() *schema.Location {
	o := l.part("location_info", l.record, "location_info")
	return &schema.Location{
		City: o.text("city_name"), Country: countryCode(o.text("country_code")),
		Continent: auth0Continents[scalar(o.take("continent_code"))], Desc: o.text("country_name"),
		Lat: number(o.take("latitude")), Long: number(o.take("longitude")),
	}
}

var auth0Continents = map[string]string{
	"AF": "Africa", "AN": "Antarctica", "AS": "Asia", "EU": "Europe",
	"NA": "North America", "OC": "Oceania", "SA": "South America",
}

// call fills in what was called over HTTP, where the record tells.
func (l *auth0Log) call() {
	e, r := l.event, l.record
	agent := l.request.text("userAgent", "user_agent")
	if agent == "" || agent == scalar(r.get("user_agent")) {
		agent = r.text("user_agent")
	}
	e.HTTPRequest = &schema.HTTPRequest{UserAgent: agent}
	if l.method == "" && l.path == "" && !l.api {
		return
	}
	e.HTTPRequest.HTTPMethod = l.method
	e.HTTPRequest.URL = &schema.URL{
		Hostname: scalar(r.get("hostname")), Path: scalar(l.request.get("path")), QueryString: queryString(l.request.get("query")),
	}
	e.API = &schema.API{
		Operation: e.Message,
		Request:   &schema.Request{UID: l.id, Data: l.requestData()},
		Response:  l.answer(),
	}
	if l.routed {
		e.API.Service = &schema.Service{Name: "Auth0 Management API"}
	}
}

// requestData is what was asked, as JSON text: the record's own, piece by piece.
func (l *auth0Log) requestData() string {
	var data []string
	for _, name := range []string{"method", "path", "query", "body"} {
		if v := l.request.take(name); v.Raw != "" && anyText(v) != "" {
			data = append(data, `"`+name+`":`+v.Raw)
		}
	}
	if len(data) == 0 {
		return ""
	}
	return "{" + strings.Join(data, ",") + "}"
}

func (l *auth0Log) answer() *schema.Response {
	a := &schema.Response{}
	if code, ok := integer(l.response.get("statusCode", "status_code")); ok && code >= 0 && code <= math.MaxInt32 {
		a.Code = new(int32(code))
		l.response.drop("statusCode", "status_code")
	}
	if body := l.response.take("body"); anyText(body) != "" {
		a.Data = body.Raw
	}
	if a.Code != nil && *a.Code >= 400 || l.code.status == schema.StatusFailure {
		body := readObject(l.responseBody)
		a.Error, a.ErrorMessage = body.text("errorCode", "error"), body.text("message", "error_description")
	}
	return a
}

// signIn fills in what only Authentication has.
func (l *auth0Log) signIn() {
	e, d := l.event, l.details
	session := d.text("session_id")
	if session != "" && e.Actor.Session == nil {
		e.Actor.Session = &schema.Session{UID: session}
	}
	if e.ClassUID != schema.ClassAuthentication {
		return
	}
	e.Session = &schema.Session{UID: session}
	if !l.routed {
		e.Service = &schema.Service{UID: e.Actor.AppUID, Name: e.Actor.AppName}
	}
	e.IsMFA = l.isMFA()
	l.protocol()
	if logon, err := strconv.ParseInt(l.code.logon, 10, 32); err == nil {
		e.LogonTypeID, e.LogonType = new(int32(logon)), logonNames[int32(logon)]
	}
}

func (l *auth0Log) isMFA() *bool {
	switch l.code.mfa {
	case "true":
		return new(true)
	case "prompts":
		prompts := l.details.get("prompts")
		if !prompts.IsArray() {
			return nil
		}
		return new(slices.ContainsFunc(prompts.Array(), isMFAPrompt))
	default:
		return nil
	}
}

func isMFAPrompt(prompt gjson.Result) bool {
	p := readObject(prompt)
	return strings.HasPrefix(strings.ToLower(p.text("name")), "mfa") ||
		slices.Contains(texts(p.get("performed_amr")), "mfa")
}

func (l *auth0Log) protocol() {
	e := l.event
	word := l.code.protocol
	switch word {
	case "strategy":
		word = scalar(l.record.get("strategy"))
	case "details.protocol":
		word = firstOf(scalar(l.details.get("protocol")), scalar(l.record.get("strategy")))
	}
	if word == "" {
		return
	}
	id, other := auth0Protocol(word)
	if n, err := strconv.ParseInt(l.code.protocol, 10, 32); err == nil {
		id, other = int32(n), ""
	}
	e.AuthProtocolID, e.AuthProtocol = &id, firstOf(protocolNames[id], other, "Other")
}

// outcome fills in why it came out as it did.
func (l *auth0Log) outcome() {
	e, d := l.event, l.details
	fault := l.part("details.error", d, "error")
	failure := l.part("details.failure_details", d, "failure_details")
	reason := firstOf(
		fault.text("message", "error_description", "description", "reason"), d.text("error"),
		d.text("error_description"), failure.text("message", "reason", "description"), d.text("failure_details"),
	)
	e.StatusCode = firstOf(fault.text("code", "oauthError", "type", "error"), failure.text("code", "type"))
	if e.API != nil && e.API.Response != nil {
		if code := e.API.Response.Code; code != nil {
			e.StatusCode = firstOf(e.StatusCode, strconv.Itoa(int(*code)))
		}
		reason = firstOf(reason, e.API.Response.ErrorMessage, e.API.Response.Error)
	}
	if e.StatusID == schema.StatusFailure {
		reason = firstOf(reason, scalar(l.record.get("details")), e.Message)
	}
	e.StatusDetail = firstOf(l.code.detail, reason)
	if l.code.detail != "" && reason != e.Message {
		keep(e, "details.error", reason)
	}
}

func (l *auth0Log) labels() {
	e, r, d := l.event, l.record, l.details
	label(e, "strategy", r.text("strategy"))
	label(e, "strategy_type", r.text("strategy_type"))
	authenticator := l.part("details.authenticator", d, "authenticator")
	label(e, "mfa.factor", firstOf(authenticator.text("type"), l.code.factor))
	risk := l.part("details.riskAssessment", d, "riskAssessment")
	label(e, "risk.confidence", risk.text("confidence"))
	for _, secret := range texts(d.take("accessedSecrets")) {
		label(e, "secret", secret)
	}
	if l.isSelf() {
		mark(e, "self")
	}
}

// isSelf says whether one of our own clients caused the event.
func (l *auth0Log) isSelf() bool {
	client := firstOf(l.event.Actor.AppUID, scalar(l.record.get("client_id")))
	caller := ""
	if l.event.Actor.User != nil {
		caller = strings.TrimSuffix(l.event.Actor.User.UID, "@clients")
	}
	return slices.ContainsFunc(l.mapper.SelfClients, func(own string) bool {
		return own != "" && (own == client || own == caller)
	})
}

// rest keeps what no attribute took.
func (l *auth0Log) rest() {
	unmapped := l.event.Unmapped
	if scope := l.record.take("scope"); anyText(scope) != "" {
		putText(unmapped, "scope", strings.Join(texts(scope), " "))
	}
	l.record.rest(unmapped, "")
	for _, p := range l.privateParts {
		p.members.rest(unmapped, p.prefix)
	}
}

// The bounds of one record's fan-out: how many events, and how many bytes of
// raw_data all of them may repeat. Auth0's own bounds on a call are far below.
const (
	maxAuth0Targets = 5000
	maxRepeated     = 32 << 20
)

// fanOut gives an event for each of several targets: "#n" behind the id tells
// them apart, and correlation_uid holds them together. What is past the bounds
// gives one event without a target.
func (l *auth0Log) fanOut() []schema.Event {
	n := len(l.targets)
	label(l.event, "targets", strconv.Itoa(n))
	if n > maxAuth0Targets {
		l.aim(l.event, "")
		finish(l.event)
		return []schema.Event{*l.event}
	}
	keep(l.event, "correlation_uid", l.event.Metadata.CorrelationUID)
	events := make([]schema.Event, 0, n)
	for i, target := range l.targets {
		e := *l.event
		e.Metadata.UID = l.id + "#" + strconv.Itoa(i+1)
		e.Metadata.CorrelationUID = l.id
		if i > 0 && n*len(e.RawData) > maxRepeated {
			dropRaw(&e)
		}
		l.aim(&e, target)
		finish(&e)
		events = append(events, e)
	}
	return events
}

// dropRaw leaves the record and its bodies to the first of its events.
func dropRaw(e *schema.Event) {
	e.RawData = ""
	e.Metadata.Labels = append(slices.Clone(e.Metadata.Labels), "raw_data:first")
	if e.API != nil {
		e.API = &schema.API{
			Operation: e.API.Operation, Service: e.API.Service,
			Request: &schema.Request{UID: e.API.Request.UID},
		}
	}
}

// aim makes the event about that user or group.
func (l *auth0Log) aim(e *schema.Event, target string) {
	if l.targetIsGroup {
		e.Group = &schema.Group{UID: target, Type: e.Group.Type}
		return
	}
	e.User = &schema.UserObject{UID: target}
	setUserType(e.User, userUser, "")
}

package transform

import (
	"math"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/idtrail/idtrail/schema"
)

// auth0Dispatches settle what a code alone does not tell, by the names of
// column dispatch.
var auth0Dispatches = map[string]func(*auth0Log){
	"route":        routeCall,
	"read":         readCall,
	"scim":         scimCall,
	"sso":          ssoChange,
	"method":       accountMethod,
	"invitation":   invitation,
	"organization": organizationGroup,
	"stats":        summary,
	"cleanup":      cleanup,
	"key":          encryptionKey,
	"import":       usersImport,
}

// readCall is a call that only read: what it read stands in its path.
func readCall(l *auth0Log) {
	l.api, l.routed = true, true
	path := strings.TrimPrefix(strings.TrimPrefix(l.path, "/api/v2"), "/")
	if path == "" {
		return
	}
	kind, id, _ := strings.Cut(path, "/")
	id, _, _ = strings.Cut(id, "/")
	l.event.Resources = []schema.ResourceDetails{{
		Type: unescapePath(kind), UID: unescapePath(id), Name: nameWithout(id, unescapePath(kind)),
	}}
}

// scimCall reads a call of a connection's SCIM endpoint as what it did to the
// user or the group.
func scimCall(l *auth0Log) {
	l.api = true
	method := firstOf(l.method, strings.ToUpper(scalar(l.details.get("method"))))
	path := firstOf(l.path, pathOf(scalar(l.details.get("path"))))
	if id, ok := scimID(path, "/Users"); ok {
		l.scimUser(method, id)
	} else if id, ok := scimID(path, "/Groups"); ok {
		l.scimGroup(method, id)
	}
}

func scimID(path, kind string) (id string, ok bool) {
	i := strings.LastIndex(path, kind)
	if i < 0 {
		return "", false
	}
	rest := path[i+len(kind):]
	if rest != "" && rest[0] != '/' {
		return "", false
	}
	return unescapePath(strings.TrimPrefix(rest, "/")), true
}

func (l *auth0Log) scimUser(method, id string) {
	if method == "GET" || method == "" {
		if method == "GET" {
			l.code.activity = 2
		}
		l.event.Entity = newEntity("User", id, nameWithout(id, "users"))
		return
	}
	l.code.class = schema.ClassAccountChange
	u := &schema.UserObject{
		UID:  firstOf(id, scalar(member(l.responseBody, "id"))),
		Name: firstOf(scalar(member(l.requestBody, "userName")), scalar(member(l.responseBody, "userName"))),
	}
	l.event.User = u
	u.EmailAddr = emailOf(u.Name)
	setUserType(u, userUser, "")
	switch method {
	case "POST":
		l.code.activity = 1
	case "DELETE":
		l.code.activity, l.code.severity = 6, 2
	default:
		l.code.activity, l.code.activityName = schema.ActivityOther, "Profile Update"
		if active, known := scimActive(l.requestBody); known && active {
			l.code.activity = 2
		} else if known {
			l.code.activity, l.code.severity = 5, 2
		}
	}
}

// scimActive finds what a PUT or a PATCH of SCIM says of active; some clients
// write "False".
func scimActive(body gjson.Result) (active, known bool) {
	if active, known = boolean(member(body, "active")); known {
		return active, known
	}
	for _, operation := range member(body, "Operations").Array() {
		o := readObject(operation)
		value := o.get("value")
		if value.IsObject() {
			value = member(value, "active")
		} else if !strings.EqualFold(o.text("path"), "active") {
			continue
		}
		if a, ok := boolean(value); ok {
			active, known = a, true
		}
	}
	return active, known
}

// scimGroup reads a change of a group. OCSF 1.3 demands a user or privileges of
// Group Management, so that a group's own coming and going is of an entity.
func (l *auth0Log) scimGroup(method, id string) {
	name := scalar(member(l.requestBody, "displayName"))
	entity := func(activity int32) {
		l.code.activity = activity
		l.event.Entity = newEntity("Group", firstOf(id, scalar(member(l.responseBody, "id"))), firstOf(name, nameWithout(id, "groups")))
	}
	switch method {
	case "POST":
		entity(1)
	case "GET":
		entity(2)
	case "DELETE":
		entity(4)
	case "PATCH", "PUT":
		entity(3)
		l.scimMembers(id, name)
	default:
		entity(schema.ActivityOther)
	}
}

func (l *auth0Log) scimMembers(id, name string) {
	for _, operation := range member(l.requestBody, "Operations").Array() {
		o := readObject(operation)
		path := o.text("path")
		if !strings.HasPrefix(path, "members") {
			continue
		}
		switch strings.ToLower(o.text("op")) {
		case "add":
			l.code.activity = 3
		case "remove":
			l.code.activity = 4
		default:
			continue
		}
		for _, m := range o.get("value").Array() {
			if s := itemName(m); s != "" {
				l.targets = append(l.targets, s)
			}
		}
		// members[value eq "id"]
		if _, quoted, ok := strings.Cut(path, `"`); ok {
			l.targets = append(l.targets, strings.TrimRight(quoted, `"] `))
		}
		l.code.class = schema.ClassGroupManagement
		l.event.Group = &schema.Group{UID: id, Name: name, Type: "Auth0 group"}
	}
	if len(l.targets) > 0 {
		l.aim(l.event, l.targets[0])
	}
}

// ssoChange is a step of a customer's admin through self-service SSO.
func ssoChange(l *auth0Log) {
	step := scalar(l.details.get("ss_sso_event_name"))
	switch {
	case strings.HasSuffix(step, "_creation"), step == "add_domain":
		l.code.activity = 1
	case strings.HasPrefix(step, "delete_"), strings.HasSuffix(step, "_deletion"):
		l.code.activity = 4
	case step == "enable_connection":
		l.code.activity = 8
	}
}

// accountMethod is a user's own change of how to sign in.
func accountMethod(l *auth0Log) {
	method := l.details.get("authentication_method")
	kind := firstOf(scalar(method), scalar(member(method, "type")), scalar(member(l.requestBody, "type")))
	switch {
	case kind == "password":
		l.code.activity = 3
	case l.method == "POST":
		l.code.activity = 10
	case l.method == "DELETE":
		l.code.activity = 11
	}
	label(l.event, "mfa.factor", kind)
}

func invitation(l *auth0Log) {
	if scalar(l.record.get("organization_id")) == "" {
		l.code.class, l.code.activity = schema.ClassAccountChange, schema.ActivityOther
		l.code.activityName = "Invitation Accepted"
		return
	}
	organizationGroup(l)
	for _, role := range member(l.details.get("invitation"), "roles").Array() {
		if s := itemName(role); s != "" {
			l.event.Privileges = append(l.event.Privileges, s)
		}
	}
}

func organizationGroup(l *auth0Log) {
	l.event.Group = &schema.Group{
		UID: scalar(l.record.get("organization_id")), Name: scalar(l.record.get("organization_name")),
		Type: "Auth0 organization",
	}
}

// summary is a periodic count: of what, and over which time.
func summary(l *auth0Log) {
	stats := l.details.get("stats")
	if list := stats.Array(); stats.IsArray() && len(list) > 0 {
		stats = list[0]
	}
	o := readObject(stats)
	if from := schema.ParseTime(o.text("start_time", "start")); !from.IsZero() {
		l.event.StartTime, l.event.StartTimeDT = new(from.UnixMilli()), new(from.Truncate(time.Millisecond))
	}
	if to := schema.ParseTime(o.text("end_time", "end")); !to.IsZero() {
		l.event.EndTime, l.event.EndTimeDT = new(to.UnixMilli()), new(to.Truncate(time.Millisecond))
	}
	l.count(o.get("count", "total"))
}

// cleanup removed what was over a limit.
func cleanup(l *auth0Log) {
	l.count(l.details.get("removedCount"))
	l.event.Entity = newEntity("User", scalar(l.record.get("user_id")), scalar(l.record.get("user_name")))
}

func (l *auth0Log) count(v gjson.Result) {
	if n, ok := integer(v); ok && n >= 0 && n <= math.MaxInt32 {
		l.event.Count = new(int32(n))
	}
}

func encryptionKey(l *auth0Log) {
	d := l.details
	id := firstOf(scalar(d.get("kid", "key_id", "id")), scalar(member(d.get("key"), "kid")))
	l.event.Entity = newEntity("Encryption Key", id, nameWithout(id, "encryption key"))
	l.event.Comment = scalar(d.get("state"))
}

func usersImport(l *auth0Log) {
	l.event.Resources = []schema.ResourceDetails{{
		Type: "users import job", Name: "users-imports", UID: scalar(l.details.get("job_id", "id")),
	}}
}

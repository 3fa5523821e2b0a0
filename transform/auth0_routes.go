package transform

import (
	"net/url"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/idtrail/idtrail/schema"
)

// The cells of tables/auth0_routes.csv name where in a call a value stands:
//
//	$1               what the path's pattern captured
//	body.a.b         a member of the request's body
//	query.a          one of its query
//	response.a       one of the response's body
//	'text $1         that text
//	a|b              the first of them that is there
//	each body.users  every one of a list: an event for each
//
// Column group is "type=where", label "name=where". Column activity is a number,
// or how to find it: method, enabled, profile, mfa_policy (see activity).

// auth0Call is a Management API call under its route.
type auth0Call struct {
	*auth0Log
	route    *auth0Route
	captured []string
	query    gjson.Result
}

// routeCall reads a sapi or fapi record as the call it is: what was done to
// whom. The user_id of such a record is who did it.
func routeCall(l *auth0Log) {
	l.api, l.routed = true, true
	route, captured := auth0RouteOf(l.method, l.path)
	if route == nil {
		l.code.activity = methodActivity(l.method, l.code.activity)
		return
	}
	c := &auth0Call{auth0Log: l, route: route, captured: captured, query: parsed(l.request.get("query"))}
	l.code.class, l.code.activityName = route.class, route.activityName
	severity := route.severity
	if l.code.status == schema.StatusFailure {
		// What an attempt would have done weighs less than what was done.
		severity = max(2, severity-1)
	}
	l.code.severity = severity
	l.code.activity = c.activity()
	c.target()
	c.thing()
	if name, where, ok := strings.Cut(route.label, "="); ok {
		label(l.event, name, c.value(where))
	}
}

// activity is the activity of the call, where the route's row leaves it open.
func (c *auth0Call) activity() int32 {
	switch c.route.activity {
	case "method":
		return methodActivity(c.method, schema.ActivityOther)
	case "enabled":
		enabled, known := boolean(member(c.requestBody, "enabled"))
		if !known {
			return 3
		}
		if enabled {
			return 8
		}
		return 9
	case "profile":
		return c.profile()
	case "mfa_policy":
		if c.requestBody.IsArray() && len(c.requestBody.Array()) == 0 {
			c.code.detail = "MFA_POLICY_DISABLED"
		}
		return 3
	default:
		return auth0Number(c.route.activity)
	}
}

func methodActivity(method string, other int32) int32 {
	switch method {
	case "POST":
		return 1
	case "GET", "HEAD":
		return 2
	case "PUT", "PATCH":
		return 3
	case "DELETE":
		return 4
	}
	return other
}

// profile judges a change of a user by what was changed, the gravest first.
// Labels name the fields, never their values.
func (c *auth0Call) profile() int32 {
	body := readObject(c.requestBody)
	for i := range body.members {
		label(c.event, "field", body.members[i].name)
	}
	graver := func(severity int32) { c.code.severity = max(c.code.severity, severity) }
	if blocked, known := boolean(body.get("blocked")); known {
		if !blocked {
			return 2
		}
		graver(3)
		return 5
	}
	if body.get("password").Exists() {
		graver(3)
		return 3
	}
	for _, change := range []struct{ name, field string }{
		{"Email Change", "email"},
		{"Phone Number Change", "phone_number"},
		{"Username Change", "username"},
		{"Email Verification", "email_verified"},
		{"Email Verification", "phone_verified"},
		{"Email Verification", "verify_email"},
	} {
		if body.get(change.field).Exists() {
			c.code.activityName = change.name
			return schema.ActivityOther
		}
	}
	if c.code.status != schema.StatusFailure {
		c.code.severity = 1
	}
	return schema.ActivityOther
}

// target sets the user or the group the call was about.
func (c *auth0Call) target() {
	e, r := c.event, c.route
	e.Privileges = c.values(r.privileges)
	if kind, where, ok := strings.Cut(r.group, "="); ok {
		e.Group = &schema.Group{Type: kind, UID: c.aimAt(where, true)}
	}
	if r.user == "" && r.login == "" {
		return
	}
	u := &schema.UserObject{UID: c.aimAt(r.user, false), Name: c.value(r.login)}
	u.EmailAddr = emailOf(u.Name)
	setUserType(u, userUser, "")
	e.User = u
}

// aimAt returns the one target, or the first of several, which are then noted.
func (c *auth0Call) aimAt(where string, isGroup bool) string {
	list, each := strings.CutPrefix(where, "each ")
	if !each {
		return c.value(where)
	}
	c.targets, c.targetIsGroup = c.values(list), isGroup
	if len(c.targets) == 0 {
		return ""
	}
	return c.targets[0]
}

// thing sets what else was called upon: a managed entity, or a resource.
func (c *auth0Call) thing() {
	e, r := c.event, c.route
	if r.entity == "" {
		return
	}
	kind := strings.ReplaceAll(r.entity, "$1", c.capture(1))
	uid, name := c.value(r.entityUID), c.value(r.name)
	switch r.class {
	case schema.ClassEntityManagement:
		e.Entity = newEntity(kind, uid, firstOf(name, nameWithout(uid, kind)))
		e.Entity.Data = jsonText(c.requestBody)
	case schema.ClassAPIActivity:
		e.Resources = []schema.ResourceDetails{{UID: uid, Name: firstOf(name, nameWithout(uid, kind)), Type: kind}}
	default:
		e.Resource = &schema.ResourceDetails{UID: uid, Name: name, Type: kind}
	}
}

// nameWithout is the kind as a name for what has no id.
func nameWithout(uid, kind string) string {
	if uid == "" {
		return strings.ToLower(kind)
	}
	return ""
}

// value is the first of the places that holds a string or a number.
func (c *auth0Call) value(where string) string {
	for place := range strings.SplitSeq(where, "|") {
		if literal, ok := strings.CutPrefix(place, "'"); ok {
			return c.fill(literal)
		}
		if strings.HasPrefix(place, "$") {
			if s := c.fill(place); s != "" {
				return s
			}
			continue
		}
		if s := scalar(c.at(place)); s != "" {
			return s
		}
	}
	return ""
}

// values is all that stands in a place: strings, numbers, and permissions and
// the like by what names them.
func (c *auth0Call) values(place string) []string {
	if place == "" {
		return nil
	}
	if strings.HasPrefix(place, "$") {
		return []string{c.fill(place)}
	}
	v := c.at(place)
	if !v.IsArray() {
		return texts(v)
	}
	var out []string
	for _, item := range v.Array() {
		if s := itemName(item); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// itemName names one of a list: a permission as "resource server#permission".
func itemName(v gjson.Result) string {
	if !v.IsObject() {
		return scalar(v)
	}
	o := readObject(v)
	if permission := o.text("permission_name"); permission != "" {
		return strings.TrimPrefix(o.text("resource_server_identifier")+"#"+permission, "#")
	}
	return o.text("id", "user_id", "value", "name")
}

func (c *auth0Call) at(place string) gjson.Result {
	part, names, _ := strings.Cut(place, ".")
	v := map[string]gjson.Result{"body": c.requestBody, "query": c.query, "response": c.responseBody}[part]
	for name := range strings.SplitSeq(names, ".") {
		v = member(v, name)
	}
	return v
}

// fill puts what the path captured into a text.
func (c *auth0Call) fill(text string) string {
	for i := 1; i <= 3; i++ {
		text = strings.ReplaceAll(text, "$"+string(rune('0'+i)), c.capture(i))
	}
	return strings.TrimSpace(text)
}

func (c *auth0Call) capture(i int) string {
	if i < len(c.captured) {
		return c.captured[i]
	}
	return ""
}

// member returns a member of an object by its name as it is, dots and all.
func member(v gjson.Result, name string) gjson.Result { return readObject(v).get(name) }

// pathOf is a request's path without host, query and closing slash.
func pathOf(s string) string {
	if i := strings.Index(s, "://"); i >= 0 {
		_, s, _ = strings.Cut(s[i+3:], "/")
		s = "/" + s
	}
	s, _, _ = strings.Cut(s, "?")
	s, _, _ = strings.Cut(s, "#")
	return strings.TrimRight(s, "/")
}

// unescapePath decodes a piece of a path: logs have it percent-encoded, some
// twice, some not at all.
func unescapePath(s string) string {
	for range 2 {
		if !strings.Contains(s, "%") {
			return s
		}
		decoded, err := url.PathUnescape(s)
		if err != nil {
			return s
		}
		s = strings.ToValidUTF8(decoded, "\uFFFD")
	}
	return s
}

// queryString writes a query object as the query of a URL.
func queryString(v gjson.Result) string {
	if v.Type == gjson.String {
		return clip(v.Str, maxText)
	}
	var pairs []string
	o := readObject(v)
	for i := range o.members {
		for _, s := range texts(o.members[i].value()) {
			pairs = append(pairs, url.QueryEscape(o.members[i].name)+"="+url.QueryEscape(s))
		}
	}
	return clip(strings.Join(pairs, "&"), maxText)
}

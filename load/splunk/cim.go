package splunk

import (
	"slices"
	"strings"

	"github.com/idtrail/idtrail/schema"
)

// unknown stands where CIM requires a field and the record says nothing: the
// data models drop events that lack one.
const unknown = "unknown"

// cim appends the fields of the data model that sourcetype kind belongs to.
func (w *members) cim(e *schema.Event, kind string) {
	switch kind {
	case SourcetypeAuthentication:
		w.authentication(e)
	case SourcetypeChange:
		w.change(e)
	}
	w.text("person", person(e))
}

// authentication: action is the outcome, user who signs in, src_user who takes
// on another's rights by it.
func (w *members) authentication(e *schema.Event) {
	action := outcome(e)
	w.text("action", action)
	w.text("app", firstOf(serviceName(e.Service), appName(e.Actor), unknown))
	w.text("dest", dest(e))
	w.text("src", src(e))
	w.text("user", firstOf(userName(e.User), unknown))
	if e.User != nil {
		w.text("user_id", e.User.UID)
		w.text("user_type", e.User.Type)
	}
	if e.Actor != nil && another(e.Actor.User, e.User) {
		w.text("src_user", userName(e.Actor.User))
		w.text("src_user_type", e.Actor.User.Type)
	}
	w.text("signature", firstOf(operation(e), e.ActivityName))
	w.text("signature_id", firstOf(e.Metadata.EventCode, operation(e)))
	if action != "success" {
		w.text("reason", firstOf(e.StatusDetail, e.Message))
		w.text("reason_id", e.StatusCode)
	}
	w.text("authentication_method", firstOf(e.AuthProtocol, e.LogonType))
	w.text("authentication_service", firstOf(e.Metadata.LogProvider, e.Metadata.Product.Name))
	w.text("session_id", sessionID(e))
	w.text("user_agent", userAgent(e))
	w.text("vendor_account", accountOf(e))
}

// outcome: a record that does not say how it went tells of a step that others
// follow.
func outcome(e *schema.Event) string {
	switch e.StatusID {
	case schema.StatusSuccess:
		return "success"
	case schema.StatusFailure:
		return "failure"
	default:
		return "pending"
	}
}

// change: action is what was done, status how it went. If an account was
// changed, user is that account, else who made the change; src_user is always
// who made it.
func (w *members) change(e *schema.Event) {
	t := targetOf(e)
	actor := actorOf(e)
	user := actor
	if e.User != nil {
		user = e.User
	}
	w.text("action", verb(e))
	w.text("change_type", changeType(e))
	w.text("command", firstOf(operation(e), e.Metadata.EventCode, e.ActivityName, unknown))
	w.text("dest", dest(e))
	w.text("dvc", firstOf(e.Metadata.LogProvider, e.Metadata.Product.Name, unknown))
	w.text("object", firstOf(t.name, t.id, unknown))
	w.list("object_attrs", attributes(e))
	w.text("object_category", firstOf(t.category, unknown))
	w.text("object_id", firstOf(t.id, t.name, unknown))
	w.text("object_path", path(e))
	w.text("src", src(e))
	w.text("src_user", firstOf(userName(actor), unknown))
	w.status(e)
	w.text("user", firstOf(userName(user), unknown))
	if user != nil {
		w.text("user_name", user.Name)
		w.text("user_type", user.Type)
	}
	w.text("user_agent", userAgent(e))
	w.text("vendor_account", accountOf(e))
	if e.Cloud != nil {
		w.text("vendor_region", e.Cloud.Region)
	}
}

// status writes how a change went. A lock is what CIM knows as result
// "lockout".
func (w *members) status(e *schema.Event) {
	result := ""
	switch e.StatusID {
	case schema.StatusSuccess:
		w.text("status", "success")
	case schema.StatusFailure:
		w.text("status", "failure")
		result = firstOf(e.StatusDetail, e.StatusCode, e.Message, unknown)
	default:
		w.text("status", unknown)
	}
	if e.ClassUID == schema.ClassAccountChange && e.ActivityID == 9 {
		result = "lockout"
	}
	w.text("result", result)
	w.text("result_id", e.StatusCode)
}

// verb is one of the actions CIM's Change knows.
func verb(e *schema.Event) string {
	if strings.HasSuffix(e.ActivityName, " View") {
		return "read"
	}
	switch e.ClassUID {
	case schema.ClassAccountChange:
		return oneOf(e.ActivityID, verbs{created: 1, deleted: 6, rights: [2]int32{7, 8}})
	case schema.ClassUserAccess:
		return "acl_modified"
	case schema.ClassGroupManagement:
		return oneOf(e.ActivityID, verbs{created: 6, deleted: 5, rights: [2]int32{1, 2}})
	default: // entities and API calls number their activities alike
		return oneOf(e.ActivityID, verbs{created: 1, read: 2, deleted: 4})
	}
}

// verbs are the activities of a class that are more than a change of something.
type verbs struct {
	created, read, deleted int32
	rights                 [2]int32
}

func oneOf(activity int32, v verbs) string {
	switch activity {
	case 0:
		return "modified"
	case v.created:
		return "created"
	case v.read:
		return "read"
	case v.deleted:
		return "deleted"
	case v.rights[0], v.rights[1]:
		return "acl_modified"
	default:
		return "modified"
	}
}

// changeType is AAA (authentication, authorization, accounting) for all that
// changes who may do what.
func changeType(e *schema.Event) string {
	if e.ClassUID == schema.ClassAPIActivity {
		return "configuration"
	}
	return "AAA"
}

// target is what a change was made to.
type target struct{ category, id, name string }

func targetOf(e *schema.Event) target {
	switch {
	case e.ClassUID == schema.ClassGroupManagement && e.Group != nil:
		return target{groupCategory(e.Group), e.Group.UID, e.Group.Name}
	case e.ClassUID == schema.ClassEntityManagement && e.Entity != nil:
		return target{strings.ToLower(e.Entity.Type), e.Entity.UID, e.Entity.Name}
	case e.ClassUID == schema.ClassAPIActivity:
		return resourceTarget(e)
	case e.User != nil:
		return target{"user", e.User.UID, userName(e.User)}
	default:
		return target{}
	}
}

// resourceTarget: of several resources the last is the innermost, a client of a
// pool for one.
func resourceTarget(e *schema.Event) target {
	if n := len(e.Resources); n > 0 {
		r := &e.Resources[n-1]
		return target{strings.ToLower(r.Type), r.UID, r.Name}
	}
	if e.API != nil {
		return target{category: serviceName(e.API.Service)}
	}
	return target{}
}

func groupCategory(g *schema.Group) string {
	switch kind := strings.ToLower(g.Type); {
	case strings.Contains(kind, "role"):
		return "role"
	case strings.Contains(kind, "organization"):
		return "organization"
	default:
		return "group"
	}
}

// attributes are what was changed of the target: privileges, a policy, the
// fields of a profile; where the record names none, the activity.
func attributes(e *schema.Event) []string {
	list := slices.Clone(e.Privileges)
	if e.Policy != nil {
		list = append(list, firstOf(e.Policy.Name, e.Policy.UID))
	}
	for _, label := range e.Metadata.Labels {
		if field, found := strings.CutPrefix(label, "field:"); found {
			list = append(list, field)
		}
	}
	list = slices.DeleteFunc(list, func(s string) bool { return s == "" || s == unknown })
	if len(list) == 0 && e.ActivityName != "" {
		list = append(list, strings.ToLower(e.ActivityName))
	}
	return list
}

// person is who the account belongs to, as a comparison of the sources found.
func person(e *schema.Event) string {
	for _, label := range e.Metadata.Labels {
		if key, found := strings.CutPrefix(label, "person:"); found {
			return key
		}
	}
	return ""
}

func actorOf(e *schema.Event) *schema.UserObject {
	if e.Actor == nil {
		return nil
	}
	return e.Actor.User
}

func userName(u *schema.UserObject) string {
	if u == nil {
		return ""
	}
	return firstOf(u.Name, u.EmailAddr, u.UID)
}

// another says that a is known and not b.
func another(a, b *schema.UserObject) bool {
	if userName(a) == "" || b == nil {
		return false
	}
	return a.UID != b.UID || a.UID == "" && userName(a) != userName(b)
}

func src(e *schema.Event) string {
	if n := e.SrcEndpoint; n != nil {
		return firstOf(n.IP, n.Hostname, n.SvcName, n.UID, unknown)
	}
	return unknown
}

// dest is the system somebody signed in to, or that was changed: the tenant's
// host where the record has it, else the tenant.
func dest(e *schema.Event) string {
	host := ""
	if e.DstEndpoint != nil {
		host = firstOf(e.DstEndpoint.Hostname, e.DstEndpoint.IP)
	}
	provider := ""
	if e.Cloud != nil {
		provider = e.Cloud.Provider
	}
	return firstOf(host, e.Metadata.TenantUID, accountOf(e), provider, unknown)
}

func operation(e *schema.Event) string {
	if e.API == nil {
		return ""
	}
	return e.API.Operation
}

func serviceName(s *schema.Service) string {
	if s == nil {
		return ""
	}
	return firstOf(s.Name, s.UID)
}

func appName(a *schema.Actor) string {
	if a == nil {
		return ""
	}
	return firstOf(a.AppName, a.AppUID)
}

func sessionID(e *schema.Event) string {
	if e.Session != nil && e.Session.UID != "" {
		return e.Session.UID
	}
	if e.Actor != nil && e.Actor.Session != nil {
		return e.Actor.Session.UID
	}
	return ""
}

func userAgent(e *schema.Event) string {
	if e.HTTPRequest == nil {
		return ""
	}
	return e.HTTPRequest.UserAgent
}

func path(e *schema.Event) string {
	if e.HTTPRequest == nil || e.HTTPRequest.URL == nil {
		return ""
	}
	return e.HTTPRequest.URL.Path
}

func accountOf(e *schema.Event) string {
	if e.Cloud == nil || e.Cloud.Account == nil {
		return ""
	}
	return e.Cloud.Account.UID
}

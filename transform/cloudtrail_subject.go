package transform

import (
	"strings"

	"github.com/tidwall/gjson"

	"github.com/idtrail/idtrail/schema"
)

// subjects are the names of column subject: who or what the event is about, and
// where a record names it.
var subjects = map[string]func(*trail, *schema.Event){
	"caller":            callerSubject,
	"client":            clientSubject,
	"group":             groupSubject,
	"group_member":      groupMemberSubject,
	"iam_policy":        iamPolicySubject,
	"iam_user":          iamUserSubject,
	"identity":          identitySubject,
	"identity_pool":     identityPoolSubject,
	"identity_provider": identityProviderSubject,
	"linked_user":       linkedUserSubject,
	"mfa_policy":        func(t *trail, e *schema.Event) { policySubject(e, t.pool, "MFA configuration") },
	"pool":              poolSubject,
	"pool_user":         poolUserSubject,
	"risk_policy":       func(t *trail, e *schema.Event) { policySubject(e, t.pool, "Risk configuration") },
	"role":              roleSubject,
	"role_policy":       func(t *trail, e *schema.Event) { policySubject(e, t.identityPoolID(), "Role mapping") },
}

// authentication sets what only Authentication has, apart from the user.
func (t *trail) authentication(e *schema.Event, r rule) {
	if r.class != schema.ClassAuthentication {
		return
	}
	if r.mfa {
		e.IsMFA = new(true)
	}
	switch r.protocol {
	case "":
	case "4":
		e.AuthProtocolID, e.AuthProtocol = new(int32(4)), "OpenID"
	case "5":
		e.AuthProtocolID, e.AuthProtocol = new(int32(5)), "SAML"
	case "6":
		e.AuthProtocolID, e.AuthProtocol = new(int32(6)), "OAUTH 2.0"
	default:
		e.AuthProtocolID, e.AuthProtocol = new(int32(99)), r.protocol
	}
	e.Service = &schema.Service{Name: t.source, UID: firstOf(t.clientID(), t.pool)}
}

func (t *trail) clientID() string {
	return firstOf(plain(t.request.text("clientId")), first(t.hosted.get("client_id")))
}

// poolID is the user pool the record is about, "" where it does not say.
func (t *trail) poolID() string {
	if id := plain(firstOf(t.request.text("userPoolId"), t.extra.text("userPoolId"))); id != "" {
		return id
	}
	for _, part := range []string{"userPool", "userPoolClient", "group", "identityProvider", "resourceServer"} {
		o := readObject(t.response.get(part))
		if id := o.text("userPoolId"); id != "" {
			return id
		}
		if part == "userPool" && o.text("id") != "" {
			return o.text("id")
		}
	}
	// Tags name the pool by its ARN.
	if _, id, ok := strings.Cut(t.request.text("resourceArn"), ":userpool/"); ok {
		return id
	}
	return ""
}

func (t *trail) identityPoolID() string {
	return firstOf(t.request.text("identityPoolId"), t.response.text("identityPoolId"))
}

// sub is the id of a pool's user; CloudTrail gives it where it hides the name.
func (t *trail) sub() string {
	if s := firstOf(first(t.extra.take("sub")), first(t.hosted.get("sub")), t.response.text("userSub")); s != "" {
		return plain(s)
	}
	var sub string
	readObject(t.response.get("user")).get("attributes").ForEach(func(_, item gjson.Result) bool {
		if o := readObject(item); o.text("name", "Name") == "sub" {
			sub = o.text("value", "Value")
		}
		return sub == ""
	})
	return plain(sub)
}

func (t *trail) poolUser() *schema.UserObject {
	u := &schema.UserObject{
		UID: t.sub(), Domain: t.pool,
		Name: firstOf(plain(t.request.text("username", "userName")), first(t.hosted.get("username")),
			plain(readObject(t.response.get("user")).text("username"))),
	}
	setUserType(u, userUser, "")
	return known(u)
}

// known makes an unknown user of one that nothing names.
func known(u *schema.UserObject) *schema.UserObject {
	if u.UID == "" && u.Name == "" {
		u.Name = "unknown"
		setUserType(u, 0, "")
	}
	return u
}

func poolUserSubject(t *trail, e *schema.Event) {
	e.User = t.poolUser()
	if e.User.UID != "" || e.User.Name != "unknown" {
		e.Resources = append(e.Resources, schema.ResourceDetails{UID: e.User.UID, Name: e.User.Name, Type: "Cognito user"})
	}
	poolSubject(t, e)
}

// linkedUserSubject: the user that others were linked to or unlinked from.
func linkedUserSubject(t *trail, e *schema.Event) {
	e.User = t.poolUser()
	who := readObject(t.request.get("destinationUser", "user"))
	if name := plain(who.text("providerAttributeValue")); name != "" {
		e.User.Name = name
		setUserType(e.User, userUser, "")
	}
	label(e, "provider", plain(readObject(t.request.get("sourceUser", "user")).text("providerName")))
}

// clientSubject: an app client that signs in as itself.
func clientSubject(t *trail, e *schema.Event) {
	u := &schema.UserObject{UID: t.clientID(), Domain: t.pool}
	setUserType(u, userSystem, "")
	e.User = known(u)
}

func identitySubject(t *trail, e *schema.Event) {
	uid := firstOf(t.target, t.request.text("identityId"), t.response.text("identityId"))
	u := &schema.UserObject{UID: plain(uid), Domain: t.identityPoolID()}
	setUserType(u, userUser, "")
	e.User = known(u)
	if e.Service != nil && e.Service.UID == "" {
		e.Service.UID = t.identityPoolID()
	}
	if key := readObject(t.response.get("credentials")).text("accessKeyId"); key != "" {
		e.Session = &schema.Session{CredentialUID: key}
	}
}

// callerSubject: a sign-in to AWS itself is about who calls.
func callerSubject(t *trail, e *schema.Event) {
	u := *e.Actor.User
	u.CredentialUID = ""
	if name := plain(t.extra.text("UserName")); name != "" && u.Name == "unknown" {
		u.Name = name
	}
	e.User = &u
	t.credentials(e)
}

// roleSubject: the role, account or federated user somebody became.
func roleSubject(t *trail, e *schema.Event) {
	assumed := readObject(t.response.get("assumedRoleUser", "federatedUser"))
	session := assumed.text("arn")
	u := &schema.UserObject{
		UID:    firstOf(t.request.text("roleArn"), session, t.request.text("targetPrincipal")),
		UIDAlt: assumed.text("assumedRoleId", "federatedUserId"),
	}
	u.Name = firstOf(t.request.text("name"), lastPart(u.UID))
	u.Account = arnAccount(u.UID)
	setUserType(u, 99, "Role")
	if t.name == "GetFederationToken" {
		setUserType(u, userUser, "")
	}
	e.User = known(u)
	t.credentials(e)
	if session != "" {
		e.Session.UID = session
	}
}

// credentials sets the session by the temporary key it was given.
func (t *trail) credentials(e *schema.Event) {
	e.Session = &schema.Session{
		CredentialUID: readObject(t.response.get("credentials")).text("accessKeyId"),
	}
}

// arnAccount is the account in an ARN, nil if there is none.
func arnAccount(arn string) *schema.Account {
	if parts := strings.SplitN(arn, ":", 6); len(parts) == 6 {
		return awsAccount(parts[4])
	}
	return nil
}

// iamUserSubject: the user or role named in the request; a call that names
// nobody is about its caller.
func iamUserSubject(t *trail, e *schema.Event) {
	name, role := t.request.text("userName"), t.request.text("roleName")
	made := readObject(t.response.get("user", "role"))
	if name == "" && role == "" && !t.response.get("role").Exists() {
		callerSubject(t, e)
		e.Session = nil
	} else {
		u := &schema.UserObject{
			Name:   firstOf(name, role, made.text("userName", "roleName")),
			UID:    made.text("arn"),
			UIDAlt: made.text("userId", "roleId"),
		}
		u.Account = arnAccount(u.UID)
		setUserType(u, userUser, "")
		if name == "" {
			setUserType(u, 99, "Role")
		}
		e.User = known(u)
	}
	if key := firstOf(readObject(t.response.get("accessKey")).text("accessKeyId"), t.request.text("accessKeyId")); key != "" {
		e.User.CredentialUID = key
	}
}

func groupMemberSubject(t *trail, e *schema.Event) {
	e.Group = &schema.Group{Name: plain(t.request.text("groupName"))}
	if t.source == "iam.amazonaws.com" {
		iamUserSubject(t, e)
		return
	}
	e.User = t.poolUser()
}

// groupSubject sets both what Group Management and what Entity Management has
// of a group; finish keeps the one the class takes.
func groupSubject(t *trail, e *schema.Event) {
	group := &schema.Group{
		Name:       t.groupText("groupName"),
		UID:        readObject(t.response.get("group")).text("arn", "groupId"),
		Privileges: e.Privileges,
	}
	e.Group = group
	entity := &schema.ManagedEntity{Name: group.Name, UID: group.UID, Data: e.API.Request.Data, Group: group}
	entity.TypeID, entity.Type = new(int32(3)), "Group"
	e.Entity = entity
}

func identityProviderSubject(t *trail, e *schema.Event) {
	entity := &schema.ManagedEntity{
		Name: plain(t.request.text("providerName", "name", "url")),
		UID: firstOf(t.request.text("openIDConnectProviderArn", "sAMLProviderArn"),
			t.response.text("openIDConnectProviderArn", "sAMLProviderArn")),
		Data: e.API.Request.Data,
	}
	if entity.UID == "" && t.pool != "" && entity.Name != "" {
		entity.UID = t.pool + "/" + entity.Name
	}
	if entity.Name == "" && entity.UID != "" {
		entity.Name = lastPart(entity.UID)
	}
	entity.TypeID, entity.Type = new(int32(99)), "Identity Provider"
	e.Entity = entity
}

func iamPolicySubject(t *trail, e *schema.Event) {
	made := readObject(t.response.get("policy"))
	arn := firstOf(t.request.text("policyArn"), made.text("arn"))
	name := firstOf(t.request.text("policyName", "roleName"), made.text("policyName"))
	if name == "" && arn != "" {
		name = lastPart(arn)
	}
	policySubject(e, arn, firstOf(name, "Account password policy"))
}

func policySubject(e *schema.Event, uid, name string) {
	e.Entity = &schema.ManagedEntity{
		UID: uid, Name: name, TypeID: new(int32(5)), Type: "Policy", Data: e.API.Request.Data,
	}
}

func poolSubject(t *trail, e *schema.Event) {
	client := firstOf(t.clientID(), readObject(t.response.get("userPoolClient")).text("clientId"))
	job := firstOf(t.request.text("jobId"), readObject(t.response.get("userImportJob")).text("jobId"))
	e.Resources = append(e.Resources,
		schema.ResourceDetails{UID: t.pool, Type: "AWS::Cognito::UserPool"},
		schema.ResourceDetails{UID: client, Type: "AWS::Cognito::UserPoolClient"},
		schema.ResourceDetails{UID: job, Type: "Cognito user import job"},
	)
}

func identityPoolSubject(t *trail, e *schema.Event) {
	e.Resources = append(e.Resources,
		schema.ResourceDetails{UID: t.identityPoolID(), Type: "AWS::Cognito::IdentityPool"},
		schema.ResourceDetails{UID: t.request.text("identityId"), Type: "Cognito identity"},
	)
}

// maxResources bounds the resources of an event; AWS lists few.
const maxResources = 256

// resources adds those AWS lists, and where nothing is named yet the first ARN,
// id or name in the request.
func (t *trail) resources(e *schema.Event, r rule) {
	if r.class != schema.ClassAPIActivity {
		return
	}
	t.record.take("resources").ForEach(func(_, item gjson.Result) bool {
		o := readObject(item)
		e.Resources = append(e.Resources, schema.ResourceDetails{
			UID: o.text("ARN", "arn", "ARNPrefix"), Type: o.text("type"),
		})
		return len(e.Resources) < maxResources
	})
	for _, have := range e.Resources {
		if have.UID != "" || have.Name != "" {
			return
		}
	}
	e.Resources = append(e.Resources, t.guessResource())
}

func (t *trail) guessResource() schema.ResourceDetails {
	for _, suffix := range []string{"Arn", "ARN", "Id", "Name"} {
		for i := range t.request.members {
			name, value := t.request.members[i].name, plain(t.request.members[i].scalar())
			switch {
			case value == "" || !strings.HasSuffix(name, suffix):
			case suffix == "Name":
				return schema.ResourceDetails{Name: value, Type: name}
			default:
				return schema.ResourceDetails{UID: value, Type: name}
			}
		}
	}
	return schema.ResourceDetails{}
}

package transform

import (
	"strings"
	"time"

	"github.com/idtrail/idtrail/schema"
)

// actor reads userIdentity: who called, and in which session. It may be missing
// or hold an account id only.
func (t *trail) actor() *schema.Actor {
	id := t.identity
	context := id.object("sessionContext")
	user := &schema.UserObject{
		UID:           plain(id.text("arn")),
		UIDAlt:        plain(id.text("principalId")),
		Name:          firstOf(plain(id.text("userName")), plain(t.record.text("Username"))),
		CredentialUID: id.text("accessKeyId", "credentialId"),
		Account:       awsAccount(id.text("accountId")),
	}
	if user.UID == "" {
		user.UID, user.UIDAlt = callerID(id, user.UIDAlt)
	}
	invokedBy := id.text("invokedBy")
	callerName(user, scalar(id.get("type")), invokedBy)
	callerType(user, scalar(id.get("type")))
	actor := &schema.Actor{User: user, Session: callerSession(context), AppName: invokedBy}
	if provider := id.text("identityProvider"); provider != "" {
		actor.IDP = &schema.IDP{Name: provider}
	}
	return actor
}

// callerID names a caller that has no ARN: by the person behind it (IAM
// Identity Center), else by the principal.
func callerID(id *object, principal string) (uid, alt string) {
	if person := readObject(id.get("onBehalfOf")).text("userId"); person != "" {
		return person, principal
	}
	if principal == "Anonymous" {
		return "", principal
	}
	return principal, ""
}

// callerName fills in a name. Of a role's session it is the session's name,
// which tells the person where the role does not.
func callerName(u *schema.UserObject, kind, invokedBy string) {
	switch {
	case u.Name != "":
	case kind == "Root":
		u.Name = "root"
	case kind == "AWSService":
		u.Name = firstOf(invokedBy, lastPart(u.UID))
	case strings.Contains(u.UID, "/"):
		u.Name = lastPart(u.UID)
	default:
		u.Name = "unknown"
	}
}

// callerType says what kind of principal called; AWS's own word stays in
// unmapped as well.
func callerType(u *schema.UserObject, kind string) {
	switch kind {
	case "", "Unknown":
		setUserType(u, 0, "")
	case "Root":
		setUserType(u, userAdmin, "")
	case "IAMUser", "FederatedUser", "Directory", "IdentityCenterUser", "SAMLUser", "WebIdentityUser":
		setUserType(u, userUser, "")
	case "AWSService":
		setUserType(u, userSystem, "")
	default:
		setUserType(u, 99, kind)
	}
}

func callerSession(context *object) *schema.Session {
	attributes := context.object("attributes")
	session := &schema.Session{
		Issuer: context.object("sessionIssuer").text("arn"),
		IsMFA:  optional(attributes.get("mfaAuthenticated")),
	}
	if at := schema.ParseTime(attributes.text("creationDate")); !at.IsZero() {
		at = at.Truncate(time.Millisecond)
		session.CreatedTime, session.CreatedTimeDT = new(at.UnixMilli()), &at
	}
	return session
}

// identityRest keeps what the actor did not take of userIdentity.
func (t *trail) identityRest(e *schema.Event) {
	const prefix = "userIdentity"
	context := t.identity.object("sessionContext")
	issuer := context.object("sessionIssuer")
	issuer.drop("arn")
	issuer.rest(e.Unmapped, prefix+".sessionContext.sessionIssuer")
	attributes := context.object("attributes")
	attributes.drop("creationDate", "mfaAuthenticated")
	attributes.rest(e.Unmapped, prefix+".sessionContext.attributes")
	context.rest(e.Unmapped, prefix+".sessionContext")
	t.identity.rest(e.Unmapped, prefix)
}

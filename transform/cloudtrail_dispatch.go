package transform

import (
	"strings"

	"github.com/tidwall/gjson"

	"github.com/idtrail/idtrail/schema"
)

// dispatches are the names of column dispatch: what a record's own parameters
// change about its rule, its status and its labels.
var dispatches = map[string]func(*trail, *rule, *schema.Event){
	"access_key":      accessKey,
	"attributes":      changedAttributes,
	"auth_flow":       authFlow,
	"challenge":       challenge,
	"console":         consoleLogin,
	"each_identity":   eachIdentity,
	"endpoint":        hostedPage,
	"form":            hostedForm,
	"group_role":      groupRole,
	"mfa_preference":  mfaPreference,
	"page":            hostedPage,
	"policy":          attachedPolicy,
	"pool_mfa":        poolMFA,
	"signin":          signIn,
	"software_token":  softwareToken,
	"sts":             securityToken,
	"token_endpoint":  tokenEndpoint,
	"unauthenticated": unauthenticated,
	"unknown_form":    unknownForm,
}

// Activities of Account Change, Authentication and Entity Management.
const (
	accountMFAEnable  int32 = 10
	accountMFADisable int32 = 11

	authLogon   int32 = 1
	authPreauth int32 = 6

	entityCreate  int32 = 1
	entityUpdate  int32 = 3
	entityEnable  int32 = 8
	entityDisable int32 = 9
)

const tokenExchange = "Token Exchange"

func exchange(r *rule) {
	r.activity, r.activityName, r.protocol = schema.ActivityOther, tokenExchange, "6"
}

// authFlow tells a sign-in from a token refresh, and from one that is not over:
// an answer that asks for a challenge.
func authFlow(t *trail, r *rule, e *schema.Event) {
	flow := plain(t.request.text("authFlow"))
	label(e, "auth_flow", flow)
	switch flow {
	case "REFRESH_TOKEN_AUTH", "REFRESH_TOKEN":
		exchange(r)
		return
	case "USER_SRP_AUTH":
		r.protocol = "Cognito SRP"
	case "USER_PASSWORD_AUTH", "ADMIN_USER_PASSWORD_AUTH", "ADMIN_NO_SRP_AUTH":
		r.protocol = "Cognito password"
	case "CUSTOM_AUTH":
		r.protocol = "Cognito custom"
	default:
		r.protocol = "Cognito"
	}
	pending(t, r, e)
}

// pending makes Preauth of a sign-in that asks for more.
func pending(t *trail, r *rule, e *schema.Event) {
	if next := t.response.text("challengeName"); next != "" {
		r.activity = authPreauth
		label(e, "challenge.next", next)
	}
}

// challenge is the answer to one; the last of a sign-in is the sign-in.
func challenge(t *trail, r *rule, e *schema.Event) {
	name := t.request.text("challengeName")
	label(e, "challenge", name)
	r.protocol = "Cognito"
	factor := challengeFactors[name]
	label(e, "mfa.factor", factor)
	// EMAIL_OTP and WEB_AUTHN may be the first factor as well: not known here.
	r.mfa = name == "MFA_SETUP" || factor == "sms" || factor == "totp"
	if name == "NEW_PASSWORD_REQUIRED" && t.status == schema.StatusSuccess {
		mark(e, "password_change")
	}
	pending(t, r, e)
}

var challengeFactors = map[string]string{
	"SMS_MFA": "sms", "SOFTWARE_TOKEN_MFA": "totp", "EMAIL_OTP": "email", "WEB_AUTHN": "webauthn",
}

// mfaPreference tells switching a factor on from switching all of them off.
func mfaPreference(t *trail, r *rule, e *schema.Event) {
	given, on := 0, 0
	for i := range t.request.members {
		f := &t.request.members[i]
		factor, ok := strings.CutSuffix(strings.ToLower(f.name), "mfasettings")
		if !ok || !f.value().IsObject() {
			continue
		}
		given++
		if enabled, _ := boolean(readObject(f.value()).get("enabled")); enabled {
			on++
			label(e, "mfa.factor", preferenceFactors[factor])
		}
	}
	// The older SetUserSettings lists where codes go by SMS.
	if options := t.request.get("mFAOptions", "mfaOptions"); options.IsArray() {
		given++
		if len(options.Array()) > 0 {
			on++
			label(e, "mfa.factor", "sms")
		}
	}
	switch {
	case on > 0:
		r.activity = accountMFAEnable
	case given > 0:
		r.activity = accountMFADisable
		r.severity++
	}
}

var preferenceFactors = map[string]string{
	"sms": "sms", "softwaretoken": "totp", "email": "email", "webauthn": "webauthn",
}

// softwareToken: a wrong code is an answer, not an error.
func softwareToken(t *trail, _ *rule, e *schema.Event) {
	label(e, "mfa.factor", "totp")
	if answer := t.response.text("status"); answer != "" && answer != "SUCCESS" {
		t.status, e.StatusCode = schema.StatusFailure, firstOf(e.StatusCode, answer)
	}
}

// changedAttributes labels the event with the names of the attributes that
// changed; AWS hides their values, but not that an address is now verified.
func changedAttributes(t *trail, r *rule, e *schema.Event) {
	list := t.request.get("userAttributes", "userAttributeNames")
	list.ForEach(func(_, item gjson.Result) bool {
		o := readObject(item)
		name := plain(firstOf(scalar(item), o.text("name", "Name")))
		label(e, "field", name)
		verified, _ := boolean(o.get("value", "Value"))
		if verified && strings.HasSuffix(name, "_verified") && strings.HasPrefix(t.name, "Admin") {
			r.severity = max(r.severity, 3)
		}
		return len(e.Metadata.Labels) < 64
	})
}

// groupRole: a group with an IAM role gives its members the role's rights; one
// without is an entity like others.
func groupRole(t *trail, r *rule, e *schema.Event) {
	if role := t.groupText("roleArn"); role != "" {
		e.Privileges = []string{role}
		return
	}
	r.class = schema.ClassEntityManagement
	if r.activity = entityUpdate; t.name == "CreateGroup" {
		r.activity = entityCreate
	}
}

func (t *trail) groupText(name string) string {
	return plain(firstOf(t.request.text(name), readObject(t.response.get("group")).text(name)))
}

func poolMFA(t *trail, r *rule, e *schema.Event) {
	mode := t.request.text("mfaConfiguration")
	label(e, "mfa", strings.ToLower(mode))
	switch mode {
	case "OFF":
		r.activity = entityDisable
	case "ON":
		r.activity = entityEnable
	}
}

// unauthenticated: an identity pool that lets anybody in.
func unauthenticated(t *trail, r *rule, e *schema.Event) {
	if allowed, _ := boolean(t.request.get("allowUnauthenticatedIdentities")); allowed {
		r.severity = 4
		mark(e, "unauthenticated_identities")
	}
}

// eachIdentity: AWS lists the identities it did not delete beside a success.
func eachIdentity(t *trail, _ *rule, e *schema.Event) {
	if reason := t.failedTargets[t.target]; reason != "" && t.status == schema.StatusSuccess {
		t.status, e.StatusCode = schema.StatusFailure, reason
	}
}

// consoleLogin: the outcome stands in the answer; a failure has an errorMessage
// and no errorCode.
func consoleLogin(t *trail, r *rule, e *schema.Event) {
	signIn(t, r, e)
	if t.status == schema.StatusFailure {
		r.severity, r.keepSeverity = 3, true
	}
	if scalar(t.identity.get("type")) == "Root" {
		r.severity, r.keepSeverity = 4, true
	}
}

func signIn(t *trail, r *rule, e *schema.Event) {
	switch answer := t.response.text(t.name); {
	case strings.HasPrefix(answer, "Fail"):
		t.status = schema.StatusFailure
	case answer != "" && answer != "Success":
		t.status = schema.StatusUnknown
	}
	switch strings.ToLower(t.extra.text("MFAUsed")) {
	case "yes":
		r.mfa = true
	case "no":
		e.IsMFA = new(false)
	}
	device := strings.TrimSuffix(strings.ToLower(t.extra.text("MfaType")), " mfa")
	label(e, "mfa.factor", firstOf(mfaDevices[device], device))
	if mobile, ok := boolean(t.extra.get("MobileVersion")); ok && mobile || t.extra.text("MobileVersion") == "Yes" {
		e.SrcEndpoint.TypeID, e.SrcEndpoint.Type = new(int32(5)), "Mobile"
	}
}

// mfaDevices are AWS's words for the factors of its own users.
var mfaDevices = map[string]string{"virtual": "totp", "u2f": "webauthn"}

func securityToken(t *trail, r *rule, _ *schema.Event) {
	r.mfa = t.request.text("serialNumber") != ""
}

// attachedPolicy sets the policy of a user or a role, or the privileges of a
// group.
func attachedPolicy(t *trail, r *rule, e *schema.Event) {
	arn := t.request.text("policyArn", "permissionsBoundary")
	policy := &schema.Policy{UID: arn, Name: t.request.text("policyName")}
	if policy.Name == "" && arn != "" {
		policy.Name = lastPart(arn)
	}
	if policy.Name == "" && strings.HasSuffix(t.name, "PermissionsBoundary") {
		policy.Name = "Permissions boundary"
	}
	e.Policy = policy
	if r.class == schema.ClassGroupManagement {
		e.Privileges = []string{firstOf(arn, policy.Name)}
	}
}

func accessKey(t *trail, _ *rule, e *schema.Event) {
	label(e, "access_key.status", strings.ToLower(t.request.text("status")))
}

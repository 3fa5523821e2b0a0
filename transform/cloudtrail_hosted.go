package transform

import (
	"math"
	"strconv"
	"strings"

	"github.com/idtrail/idtrail/schema"
)

// The hosted UI (managed login) writes AwsServiceEvents of its own names: the
// page's path with _GET or _POST behind it. It has no API error; what happened
// shows in the HTTP status of the answer only.

// isHosted says whether the record is of the hosted UI of a user pool.
func (t *trail) isHosted() bool {
	return t.eventType == "AwsServiceEvent" && t.source == "cognito-idp.amazonaws.com"
}

// hostedMethod is the HTTP method in the name of a hosted UI event, "" if the
// name has none.
func hostedMethod(name string) string {
	for _, method := range []string{"GET", "POST"} {
		if strings.HasSuffix(strings.ToUpper(name), "_"+method) {
			return method
		}
	}
	return ""
}

// hostedStatus is the HTTP status of a hosted UI's answer, written 200.0.
func (t *trail) hostedStatus() (int32, bool) {
	n, ok := integer(t.hostedAnswer.get("status"))
	if !ok || n < 0 || n > math.MaxInt32 {
		return 0, false
	}
	return int32(n), true
}

// hostedOutcome judges by the HTTP status; plain is the status of a plain
// answer (2xx). Without an HTTP status nothing is known.
func (t *trail) hostedOutcome(e *schema.Event, plain int32) {
	if t.status == schema.StatusFailure {
		return
	}
	code, ok := t.hostedStatus()
	switch {
	case !ok:
		t.status = schema.StatusUnknown
	case code >= 400:
		t.status, e.StatusCode = schema.StatusFailure, strconv.Itoa(int(code))
	case code >= 300:
		t.status = schema.StatusSuccess
	default:
		t.status = plain
	}
}

// hostedPage: showing a page, or an endpoint for programs, works or does not.
func hostedPage(t *trail, _ *rule, e *schema.Event) {
	t.hostedOutcome(e, schema.StatusSuccess)
}

// hostedForm: an accepted form leads on (302), a refused one shows its page
// again, as 200 like any page: that is not told from success.
func hostedForm(t *trail, _ *rule, e *schema.Event) {
	t.hostedOutcome(e, schema.StatusUnknown)
}

// unknownForm is a form of a name in no table. What its being accepted would
// mean is not known, only a refusal is.
func unknownForm(t *trail, _ *rule, e *schema.Event) {
	if t.hostedOutcome(e, schema.StatusUnknown); t.status == schema.StatusSuccess {
		t.status = schema.StatusUnknown
	}
}

// tokenEndpoint: a program that asks for a token on its own behalf signs in;
// all others exchange what a sign-in gave them.
func tokenEndpoint(t *trail, r *rule, e *schema.Event) {
	t.hostedOutcome(e, schema.StatusSuccess)
	grant := first(t.hosted.get("grant_type"))
	label(e, "grant_type", grant)
	if grant == "client_credentials" {
		r.activity, r.subject = authLogon, "client"
	}
}

package transform

import (
	"fmt"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/idtrail/idtrail/schema"
)

// authEvents is the event source of Cognito's authentication log in the table
// of AWS's events: it is no service of CloudTrail.
const authEvents = "cognito-idp:userAuthEvents"

const cognitoService = "cognito-idp.amazonaws.com"

// authEvent is one record of Cognito's authentication log: as user pools export
// it, with the event in message, or as AdminListUserAuthEvents lists it, with
// its parts in objects of their own. All its values may be text.
type authEvent struct {
	line                  []byte
	record, message       *object
	risk, where           *object
	name, pool, client    string
	response, challenges  string
	decision, compromised string
}

func cognitoAuthEvent(line []byte, landedAt time.Time) (Result, error) {
	text, replaced := validText(line)
	if !validJSON(text) {
		return Result{}, fmt.Errorf("cognito auth event: no JSON value: %w", ErrUnmappable)
	}
	if gjson.GetBytes(text, "idtrail_unparsed").Exists() {
		return unparsed(text)
	}
	root := gjson.ParseBytes(schema.KindCognitoAuthEvent.Record(text))
	if !root.IsObject() {
		return Result{}, fmt.Errorf("cognito auth event: no JSON object: %w", ErrUnmappable)
	}
	a := readAuthEvent(text, root)
	if a.name == "" {
		return Result{}, fmt.Errorf("cognito auth event: neither eventType nor eventSource: %w", ErrUnmappable)
	}
	return Result{Events: []schema.Event{a.event(replaced, landedAt)}}, nil
}

func readAuthEvent(line []byte, root gjson.Result) *authEvent {
	a := &authEvent{line: line, record: readObject(root)}
	a.message = a.record.object("message")
	if len(a.message.members) == 0 {
		a.message = a.record
	}
	m := a.message
	a.risk, a.where = m.object("EventRisk"), m.object("EventContextData")
	a.pool = firstOf(m.text("userPoolId"), readObject(a.record.get("logSourceId")).text("userPoolId"))
	a.client = m.text("clientId")
	// A record of another log of the pool has no type.
	a.name = firstOf(m.text("eventType", "EventType"), scalar(a.record.get("eventSource")))
	a.response = m.text("eventResponse", "EventResponse")
	a.challenges = anyText(m.get("challenges", "ChallengeResponses"))
	a.decision = firstOf(m.text("riskDecision"), a.risk.text("RiskDecision"))
	a.compromised = anyText(a.either("compromisedCredentialDetected", "CompromisedCredentialsDetected"))
	m.drop("eventId", "EventId")
	return a
}

// either takes a member of the message, or of its risk.
func (a *authEvent) either(ours, theirs string) gjson.Result {
	if v := a.message.take(ours); v.Exists() {
		return v
	}
	return a.risk.take(theirs)
}

func (a *authEvent) event(replaced bool, landedAt time.Time) schema.Event {
	e := &schema.Event{Unmapped: map[string]string{}}
	a.metadata(e)
	setTime(e, schema.KindCognitoAuthEvent.Time(a.line), landedAt)
	setRaw(e, string(a.line), replaced)
	a.place(e)
	e.Message = firstOf(strings.TrimSuffix(a.name+": "+a.response, ": "), a.name)
	r := a.rule()
	a.people(e, r)
	a.outcome(e, &r)
	a.judge(e, &r)
	classify(e, r.class, r.activity, firstOf(r.activityName, a.name), r.severity)
	a.authentication(e, r)
	a.where.rest(e.Unmapped, "EventContextData")
	a.risk.rest(e.Unmapped, "EventRisk")
	a.message.rest(e.Unmapped, "")
	if a.message != a.record {
		a.record.rest(e.Unmapped, "")
	}
	finish(e)
	return *e
}

func (a *authEvent) metadata(e *schema.Event) {
	id := schema.KindCognitoAuthEvent.ID(a.line)
	if id == "" {
		id = schema.HashID(a.line)
	}
	e.Metadata = schema.Metadata{
		UID: id, EventCode: a.name, TenantUID: a.pool,
		OriginalTime: firstOf(a.record.text("eventTimestamp"), a.message.text("creationDate", "CreationDate")),
		LogName:      "userAuthEvents", LogProvider: cognitoService, LogVersion: a.message.text("version"),
		Product: schema.Product{
			Name: "Cognito", VendorName: "AWS", Feature: &schema.Feature{Name: "Threat protection"},
		},
	}
}

// place sets where it happened. This log is the only one of Cognito that has a
// location; its country is a name more often than a code.
func (a *authEvent) place(e *schema.Event) {
	region, _, _ := strings.Cut(a.pool, "_")
	e.Cloud = &schema.Cloud{Provider: "AWS", Region: region}
	at := &schema.Location{City: firstOf(a.message.text("city"), a.where.text("City"))}
	country := firstOf(a.message.text("country"), a.where.text("Country"))
	if at.Country = countryCode(country); at.Country == "" {
		at.Desc = country
	}
	if at.City == "" && at.Country == "" { // OCSF takes no location of a description alone
		keep(e, "country", country)
	}
	e.SrcEndpoint = &schema.NetworkEndpoint{IP: firstOf(a.message.text("ipAddress"), a.where.text("IpAddress")), Location: at}
	e.API = &schema.API{
		Operation: a.name, Service: &schema.Service{Name: cognitoService},
		Request: &schema.Request{UID: a.message.text("requestId")},
	}
}

func (a *authEvent) user() *schema.UserObject {
	u := &schema.UserObject{UID: a.message.text("userSub"), Name: a.message.text("userName"), Domain: a.pool}
	setUserType(u, userUser, "")
	return known(u)
}

func (a *authEvent) rule() rule {
	table := awsEvents()
	if r, ok := table[eventKey{authEvents, a.name}]; ok {
		return r
	}
	if r, ok := table[eventKey{authEvents, strings.ToLower(a.name)}]; ok {
		return r
	}
	return rule{class: schema.ClassAPIActivity, activity: schema.ActivityOther, severity: 1}
}

// people sets whom it is about: the user, who does all of this himself. A call
// has an actor in his place.
func (a *authEvent) people(e *schema.Event, r rule) {
	e.User = a.user()
	e.Actor = &schema.Actor{AppUID: a.client}
	if r.class == schema.ClassAPIActivity {
		e.Actor.User = e.User
	}
	if provider := a.message.text("idpName"); provider != "" {
		e.Actor.IDP = &schema.IDP{Name: provider}
	}
}

// outcome reads the response. A sign-in in progress waits for a challenge.
func (a *authEvent) outcome(e *schema.Event, r *rule) {
	switch details := scalar(a.message.get("details")); {
	case strings.EqualFold(a.response, "Pass"):
		setStatus(e, schema.StatusSuccess, "")
	case strings.EqualFold(a.response, "Fail"):
		setStatus(e, schema.StatusFailure, "")
		r.severity = max(r.severity, 2)
	case details != "":
		e.StatusDetail = details
		setStatus(e, schema.StatusFailure, "")
	case a.response != "":
		setStatus(e, schema.StatusOther, a.response)
		if r.class == schema.ClassAuthentication && strings.EqualFold(a.response, "InProgress") {
			r.activity = authPreauth
		}
	default:
		setStatus(e, schema.StatusUnknown, "")
	}
}

// judge takes over what Cognito thinks of the event.
func (a *authEvent) judge(e *schema.Event, r *rule) {
	label(e, "risk.decision", a.decision)
	label(e, "risk.level", firstOf(a.message.text("riskLevel"), a.risk.text("RiskLevel")))
	switch strings.ToLower(strings.ReplaceAll(a.decision, "_", "")) {
	case "accounttakeover", "block":
		r.severity = max(r.severity, 4)
	}
	if strings.EqualFold(a.compromised, "true") {
		mark(e, "risk.compromised")
		r.severity = max(r.severity, 4)
	}
	label(e, "feedback", firstOf(a.message.text("eventFeedbackValue"), readObject(a.message.get("EventFeedback")).text("FeedbackValue")))
}

func (a *authEvent) authentication(e *schema.Event, r rule) {
	if r.class != schema.ClassAuthentication {
		return
	}
	if r.protocol != "" {
		e.AuthProtocolID, e.AuthProtocol = new(int32(99)), r.protocol
	}
	e.Service = &schema.Service{Name: cognitoService, UID: firstOf(a.client, a.pool)}
	// The list names each challenge with its outcome.
	if strings.Contains(strings.ToLower(a.challenges), "mfa") {
		e.IsMFA = new(true)
	}
}

package transform

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/idtrail/idtrail/schema"
)

// maxTargets bounds the events one record fans out to; AWS's own bound is 60.
const maxTargets = 500

// trail is one CloudTrail record on its way to an event. CloudTrail's members
// change their types from service to service, so nothing is decoded strictly.
type trail struct {
	line     []byte
	replaced bool // line had invalid UTF-8
	landedAt time.Time

	id, name, source, eventType string

	record, identity, request, response, extra *object
	// hosted and hostedAnswer are the parameters of a hosted UI page, which
	// stand in additionalEventData.
	hosted, hostedAnswer *object

	pool string // user pool id

	errorCode, errorMessage string
	status                  int32

	target string // the one of several this event is about
	// failedTargets maps the targets that AWS says it left alone to the reason.
	failedTargets map[string]string
}

func (m *Mapper) cloudTrail(line []byte, landedAt time.Time) (Result, error) {
	text, replaced := validText(line)
	if !validJSON(text) {
		return Result{}, fmt.Errorf("cloudtrail: no JSON value: %w", ErrUnmappable)
	}
	if gjson.GetBytes(text, "idtrail_unparsed").Exists() {
		return unparsed(text)
	}
	t, err := readTrail(text)
	if err != nil {
		return Result{}, err
	}
	t.replaced, t.landedAt = replaced, landedAt
	return Result{Events: t.events()}, nil
}

func readTrail(line []byte) (*trail, error) {
	root := gjson.ParseBytes(schema.KindCloudTrail.Record(line))
	if !root.IsObject() {
		return nil, fmt.Errorf("cloudtrail: no JSON object: %w", ErrUnmappable)
	}
	r := readObject(root)
	t := &trail{
		line: line, record: r,
		id: schema.KindCloudTrail.ID(line),
		// The capital ones are those LookupEvents puts around a record; they
		// serve where the record inside cannot be read.
		name:      r.text("eventName", "EventName"),
		source:    r.text("eventSource", "EventSource"),
		eventType: r.text("eventType"),
	}
	if t.name == "" && t.id == "" {
		return nil, fmt.Errorf("cloudtrail: neither eventName nor eventID: %w", ErrUnmappable)
	}
	r.drop("eventID", "EventId")
	if t.id == "" {
		t.id = schema.HashID(line)
	}
	t.readParts()
	return t, nil
}

func (t *trail) readParts() {
	r := t.record
	t.identity = r.object("userIdentity")
	t.request = r.object("requestParameters")
	t.response = r.object("responseElements")
	t.extra = r.object("additionalEventData")
	t.hosted = t.extra.object("requestParameters")
	t.hostedAnswer = t.extra.object("responseParameters")
	t.pool = t.poolID()
	t.errorCode, t.errorMessage = r.text("errorCode"), r.text("errorMessage")
	insight := readObject(r.get("insightDetails"))
	t.name = firstOf(t.name, insight.text("eventName"))
	t.source = firstOf(t.source, insight.text("eventSource"))
}

// events maps the record: to one event, or to one for each of its targets.
func (t *trail) events() []schema.Event {
	rule := t.rule()
	targets := t.targets(rule)
	if len(targets) < 2 || len(targets) > maxTargets {
		if len(targets) > 0 {
			t.target = targets[0]
		}
		if len(targets) > maxTargets {
			t.target = ""
		}
		e := t.event(rule, t.id)
		if len(targets) > 1 {
			label(&e, "targets", strconv.Itoa(len(targets)))
		}
		return []schema.Event{e}
	}
	events := make([]schema.Event, 0, len(targets))
	for i, target := range targets {
		t.target = target
		e := t.event(rule, t.id+"#"+strconv.Itoa(i+1))
		e.Metadata.CorrelationUID = firstOf(e.Metadata.CorrelationUID, t.id)
		events = append(events, e)
	}
	return events
}

func (t *trail) targets(r rule) []string {
	if r.dispatch != "each_identity" {
		return nil
	}
	t.failedTargets = map[string]string{}
	t.response.get("unprocessedIdentityIds").ForEach(func(_, item gjson.Result) bool {
		o := readObject(item)
		t.failedTargets[o.text("identityId")] = firstOf(o.text("errorCode"), "Unprocessed")
		return true
	})
	return texts(t.request.get("identityIdsToDelete"))
}

// event maps the record as one event of that id.
func (t *trail) event(r rule, uid string) schema.Event {
	e := &schema.Event{Unmapped: map[string]string{}}
	t.metadata(e, uid)
	setTime(e, schema.KindCloudTrail.Time(t.line), t.landedAt)
	setRaw(e, string(t.line), t.replaced)
	t.where(e)
	t.call(e)
	e.Actor = t.actor()
	e.Actor.AppUID = t.clientID()
	t.outcome(e)
	if dispatch := dispatches[r.dispatch]; dispatch != nil {
		dispatch(t, &r, e)
	}
	t.verdict(e, &r)
	classify(e, r.class, r.activity, firstOf(r.activityName, t.name, t.eventType, "unnamed"), r.severity)
	t.authentication(e, r)
	if subject := subjects[r.subject]; subject != nil {
		subject(t, e)
	}
	t.resources(e, r)
	t.rest(e)
	finish(e)
	return *e
}

func (t *trail) metadata(e *schema.Event, uid string) {
	r := t.record
	e.Metadata = schema.Metadata{
		UID: uid, EventCode: t.eventType, OriginalTime: r.text("eventTime"),
		TenantUID: t.pool, LogName: "CloudTrail", LogProvider: t.source,
		Product: schema.Product{
			Name: "CloudTrail", VendorName: "AWS", Version: r.text("eventVersion"),
			Feature: &schema.Feature{Name: r.text("eventCategory")},
		},
	}
	// An event that arrived late or that amends another one says so here.
	addendum := r.object("addendum")
	e.Metadata.CorrelationUID = addendum.text("originalEventID")
	label(e, "addendum", addendum.text("reason"))
	addendum.rest(e.Unmapped, "addendum")
}

// where sets the cloud and the endpoint of the event.
func (t *trail) where(e *schema.Event) {
	r := t.record
	e.Cloud = &schema.Cloud{
		Provider: "AWS", Region: r.text("awsRegion"),
		Account: awsAccount(firstOf(r.text("recipientAccountId"), t.identity.text("accountId"))),
	}
	src := &schema.NetworkEndpoint{UID: r.text("vpcEndpointId")}
	// A service calling on somebody's behalf is named in place of an address:
	// "cloudformation.amazonaws.com", "AWS Internal".
	from := r.text("sourceIPAddress")
	if src.IP = ipText(from); src.IP == "" {
		src.SvcName = from
	}
	e.SrcEndpoint = src
	if host := strings.TrimPrefix(scalar(t.extra.get("userPoolDomain")), "https://"); host != "" {
		e.DstEndpoint = &schema.NetworkEndpoint{Hostname: strings.ToLower(host)}
	}
	agent := r.text("userAgent")
	e.HTTPRequest = &schema.HTTPRequest{UserAgent: agent}
	if t.isHosted() {
		e.HTTPRequest.HTTPMethod = hostedMethod(t.name)
	}
	if strings.Contains(strings.ToLower(agent), "idtrail") {
		mark(e, "self")
	}
}

func awsAccount(id string) *schema.Account {
	if id == "" {
		return nil
	}
	return &schema.Account{UID: id, TypeID: new(int32(10)), Type: "AWS Account"}
}

// call sets the API call and the message.
func (t *trail) call(e *schema.Event) {
	r := t.record
	e.API = &schema.API{
		Operation: t.name, Version: r.text("apiVersion"),
		Service: &schema.Service{Name: t.source},
		Request: &schema.Request{
			UID:  firstOf(r.text("requestID"), t.id),
			Data: firstOf(anyText(r.take("requestParameters")), jsonText(t.extra.take("requestParameters"))),
		},
		Response: &schema.Response{
			Error: t.errorCode, ErrorMessage: t.errorMessage,
			Data: firstOf(anyText(r.take("responseElements")), jsonText(t.extra.take("responseParameters"))),
		},
	}
	if code, ok := t.hostedStatus(); ok {
		e.API.Response.Code = &code
	}
	e.Message = firstOf(t.name, t.eventType)
	if t.errorMessage != "" {
		e.Message = clip(e.Message+": "+t.errorMessage, maxText)
	}
}

// unread says whether only what LookupEvents put around the record is known: the
// record itself was cut off.
func (t *trail) unread() bool { return t.record.get("CloudTrailEvent").Exists() }

// outcome reads success and failure as every AWS service writes them; dispatch
// may know better. An errorCode that is there and empty is none.
func (t *trail) outcome(e *schema.Event) {
	t.status = schema.StatusSuccess
	if t.unread() {
		t.status = schema.StatusUnknown
	}
	e.StatusCode, e.StatusDetail = t.errorCode, t.errorMessage
	if t.errorCode != "" || t.errorMessage != "" {
		t.status = schema.StatusFailure
	}
}

// verdict sets the status, and what a failure makes of the severity: a refusal
// is worth a look, a change that did not happen is no alarm.
func (t *trail) verdict(e *schema.Event, r *rule) {
	setStatus(e, t.status, "")
	if t.status != schema.StatusFailure {
		return
	}
	switch {
	case r.keepSeverity:
	case denied(e.StatusCode):
		r.severity = 3
	default:
		r.severity = min(max(r.severity, 2), 3)
	}
}

func denied(code string) bool {
	return strings.Contains(code, "AccessDenied") || strings.Contains(code, "UnauthorizedOperation")
}

// rest keeps what no attribute took.
func (t *trail) rest(e *schema.Event) {
	t.identityRest(e)
	t.extra.rest(e.Unmapped, "additionalEventData")
	t.record.rest(e.Unmapped, "")
}

// hidden are the words AWS writes in place of a value.
func hidden(s string) bool {
	return s == "HIDDEN_DUE_TO_SECURITY_REASONS" || s != "" && strings.Trim(s, "*") == ""
}

// plain is s, unless AWS hid it.
func plain(s string) string {
	if hidden(s) {
		return ""
	}
	return s
}

// first is the first text of a value or of a list, unless AWS hid it: the
// hosted UI's parameters are lists.
func first(v gjson.Result) string {
	if list := texts(v); len(list) > 0 {
		return plain(list[0])
	}
	return ""
}

// lastPart is what follows the last slash: the name in an ARN.
func lastPart(s string) string {
	return s[strings.LastIndexByte(s, '/')+1:]
}

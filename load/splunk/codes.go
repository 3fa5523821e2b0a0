package splunk

import (
	"fmt"
	"net/http"

	"github.com/idtrail/idtrail/load/stream"
)

// What the collector's answers say. The status decides what is done; the code
// in the answer only explains it, but for a 400, of which one kind tells of the
// events and the other of the configuration. No text of an answer is ever
// shown: some receivers echo the token in it.

// code is one of HEC's numbered answers.
type code struct {
	text string
	// advice is what to do about it, "" if nothing can be done.
	advice string
	// settings says of a 400 that no event will be taken before a configuration
	// is changed, here or there.
	settings bool
}

// The numbers that are told apart.
const (
	codeNoData     = 5
	codeBadChannel = 11
	codeAckOff     = 14
	codeQueueFull  = 24
	codeAckFull    = 25
	noCode         = -1
)

func codes() map[int]code {
	return map[int]code{
		0:  {text: "success"},
		1:  {text: "token disabled", advice: "enable the token in Splunk"},
		2:  {text: "token is required", advice: "set token"},
		3:  {text: "invalid authorization", advice: "check token: it is the value alone, without \"Splunk\" before it"},
		4:  {text: "invalid token", advice: "check token and that url is the Splunk it was made in"},
		5:  {text: "no data"},
		6:  {text: "invalid data format"},
		7:  {text: "incorrect index", advice: "set index to one the token may write to", settings: true},
		8:  {text: "internal server error"},
		9:  {text: "server is busy"},
		10: {text: "data channel is missing", advice: "the token has indexer acknowledgement: set ack: on", settings: true},
		11: {text: "invalid data channel", advice: "something between here and Splunk changes headers", settings: true},
		12: {text: "event field is required"},
		13: {text: "event field cannot be blank"},
		14: {text: "acknowledgement is disabled", advice: "the token has none: set ack: off", settings: true},
		15: {text: "error in handling indexed fields"},
		16: {text: "query string authorization is not enabled", advice: "take the token out of url", settings: true},
		17: {text: "collector is healthy"},
		18: {text: "collector is unhealthy, its queues are full"},
		19: {text: "collector is unhealthy, its acknowledgement service is unavailable"},
		20: {text: "collector is unhealthy, its queues are full and its acknowledgement service is unavailable"},
		21: {text: "invalid token", advice: "check token", settings: true},
		22: {text: "token disabled", advice: "enable the token in Splunk", settings: true},
		23: {text: "server is shutting down"},
		24: {text: "queue is approaching its capacity"},
		25: {text: "acknowledgement channel is approaching its capacity"},
		26: {text: "queue is at its capacity"},
		27: {text: "acknowledgement channel is at its capacity"},
	}
}

// answerError is what the collector answered instead of taking the events.
type answerError struct {
	status int
	code   int // noCode if there was none
}

func (e *answerError) Error() string {
	text := fmt.Sprintf("collector answered %d %s", e.status, http.StatusText(e.status))
	known, found := codes()[e.code]
	switch {
	case found && known.advice != "":
		return fmt.Sprintf("%s, code %d (%s): %s", text, e.code, known.text, known.advice)
	case found:
		return fmt.Sprintf("%s, code %d (%s)", text, e.code, known.text)
	case e.code != noCode:
		return fmt.Sprintf("%s, code %d, which is not a known one", text, e.code)
	}
	if hint := statusHint(e.status); hint != "" {
		return text + ": " + hint
	}
	return text
}

// statusHint explains answers that come without a code: HEC's own to what it
// does not read, and those of proxies.
func statusHint(status int) string {
	switch {
	case status >= 300 && status < 400:
		return "it sends elsewhere, where neither token nor events are sent; set url to where the collector is"
	case status == http.StatusBadRequest:
		return "not in the form of a collector; check url, and whether it is https"
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return "check token"
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed:
		return "there is no collector at that path; check url, and that the collector is enabled"
	case status == http.StatusProxyAuthRequired:
		return "the proxy wants credentials; check HTTPS_PROXY"
	case status == http.StatusRequestEntityTooLarge:
		return "more than its max_content_length; lower max_request"
	case status == http.StatusUnsupportedMediaType:
		return "it takes no gzip"
	default:
		return ""
	}
}

// outcomeOf says what an answer that is not 2xx means for a request.
func outcomeOf(e *answerError) stream.Outcome {
	if o := stream.OutcomeOf(e.status); o != stream.Refused {
		return o
	}
	return badRequest(e.code)
}

// badRequest: without a code it was not the collector that answered, but what
// stands before it, and to reject all events for that would be wrong.
func badRequest(n int) stream.Outcome {
	if n == noCode || codes()[n].settings {
		return stream.Denied
	}
	return stream.Refused
}

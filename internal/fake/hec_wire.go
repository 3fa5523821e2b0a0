package fake

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// hecCodes are the collector's numbered answers with their status.
func hecCodes(code int) (status int, text string) {
	c, known := map[int]struct {
		status int
		text   string
	}{
		0:  {200, "Success"},
		1:  {403, "Token disabled"},
		2:  {401, "Token is required"},
		3:  {401, "Invalid authorization"},
		4:  {403, "Invalid token"},
		5:  {400, "No data"},
		6:  {400, "Invalid data format"},
		7:  {400, "Incorrect index"},
		8:  {500, "Internal server error"},
		9:  {503, "Server is busy"},
		10: {400, "Data channel is missing"},
		11: {400, "Invalid data channel"},
		12: {400, "Event field is required"},
		13: {400, "Event field cannot be blank"},
		14: {400, "ACK is disabled"},
		15: {400, "Error in handling indexed fields"},
		16: {400, "Query string authorization is not enabled"},
		17: {200, "HEC is healthy"},
		18: {503, "HEC is unhealthy, queues are full"},
		19: {503, "HEC is unhealthy, ack service unavailable"},
		20: {503, "HEC is unhealthy, queues are full, ack service unavailable"},
		21: {400, "Invalid token"},
		22: {400, "Token disabled"},
		23: {503, "Server is shutting down"},
		24: {200, "Queue is approaching capacity"},
		25: {200, "ACK channel is approaching capacity"},
		26: {429, "Queue is at capacity"},
		27: {429, "ACK channel is at capacity"},
	}[code]
	if !known {
		return http.StatusInternalServerError, "Internal server error"
	}
	return c.status, c.text
}

// hecAnswer is one of the numbered answers; event is the number of the event it
// is about, or negative.
func hecAnswer(code, event int) answer {
	status, text := hecCodes(code)
	body := fmt.Sprintf(`{"text":%q,"code":%d}`, text, code)
	if event >= 0 {
		body = fmt.Sprintf(`{"text":%q,"code":%d,"invalid-event-number":%d}`, text, code, event)
	}
	return answer{status: status, header: jsonHeader(), body: []byte(body)}
}

// hecPage is an answer of the web server in front of the collector.
func hecPage(status int) answer {
	return answer{
		status: status, header: http.Header{"Content-Type": {"text/html; charset=UTF-8"}},
		body: fmt.Appendf(nil, "<!doctype html><html><head><title>%d %s</title></head></html>", status, http.StatusText(status)),
	}
}

// parseHEC reads concatenated envelopes up to the first that is not taken, and
// says with which code it is not.
func parseHEC(body []byte, t HECToken) (events []HECEvent, code int) {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, 5
	}
	d := json.NewDecoder(bytes.NewReader(body))
	for {
		var raw map[string]json.RawMessage
		switch err := d.Decode(&raw); {
		case errors.Is(err, io.EOF):
			return events, 0
		case err != nil || raw == nil:
			return events, 6
		}
		e, code := envelope(raw)
		if code == 0 {
			code = t.takes(e)
		}
		if code != 0 {
			return events, code
		}
		events = append(events, e)
	}
}

// takes says with which code the token does not take a good event; 0 if it does.
func (t HECToken) takes(e HECEvent) int {
	if e.Index != "" && t.Indexes != nil && !slices.Contains(t.Indexes, e.Index) {
		return 7
	}
	if t.Refuse != nil {
		return t.Refuse(e)
	}
	return 0
}

func envelope(raw map[string]json.RawMessage) (HECEvent, int) {
	var e HECEvent
	event, found := raw["event"]
	if !found {
		return e, 12
	}
	if text := strings.TrimSpace(string(event)); text == `""` || text == "null" || text == "{}" {
		return e, 13
	}
	e.Event = event
	for name, to := range map[string]*string{"host": &e.Host, "source": &e.Source, "sourcetype": &e.Sourcetype, "index": &e.Index} {
		if text, found := raw[name]; found && json.Unmarshal(text, to) != nil {
			return e, 6
		}
	}
	if !plainTime(raw["time"]) {
		return e, 6
	}
	e.Time = json.Number(raw["time"])
	if fields, found := raw["fields"]; found && json.Unmarshal(fields, &e.Fields) != nil {
		return e, 15
	}
	return e, 0
}

// plainTime says that a time is a number without exponent, or missing. Splunk
// takes text too; a sink of ours has no reason to send it.
func plainTime(text json.RawMessage) bool {
	return len(bytes.Trim(text, "-.0123456789")) == 0
}

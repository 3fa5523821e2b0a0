package fake

import (
	"encoding/json"
	"net/http"
	"time"
)

// What Datadog documents of metrics: a body's bytes before compression and when
// sent, and how far a point or a check may lie from now.
const (
	datadogMaxAny    = 5_242_880
	datadogMaxSent   = 512_000
	datadogPointPast = time.Hour
	datadogPointNext = 10 * time.Minute
	datadogCheckPast = 10 * time.Minute
)

func (d *Datadog) takeSeries(c datadogCall) answer {
	if c.sent > datadogMaxSent {
		return datadogError(http.StatusRequestEntityTooLarge, "Payload too large")
	}
	var body struct {
		Series []DatadogSeries `json:"series"`
	}
	if json.Unmarshal(c.body, &body) != nil || body.Series == nil {
		return datadogError(http.StatusBadRequest, "Invalid series")
	}
	for _, s := range body.Series {
		if !s.ok(c.At) {
			return datadogError(http.StatusBadRequest, "Invalid series")
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.series = append(d.series, body.Series...)
	return datadogOK(http.StatusAccepted, `{"errors":[]}`)
}

func (s DatadogSeries) ok(now time.Time) bool {
	if s.Metric == "" || len(s.Points) == 0 || s.Type < 0 || s.Type > 3 {
		return false
	}
	for _, p := range s.Points {
		at := time.Unix(p.Timestamp, 0)
		if p.Value == nil || now.Sub(at) > datadogPointPast || at.Sub(now) > datadogPointNext {
			return false
		}
	}
	return true
}

func (d *Datadog) takeChecks(c datadogCall) answer {
	var checks []DatadogCheck
	if json.Unmarshal(c.body, &checks) != nil {
		return datadogError(http.StatusBadRequest, "Invalid service checks")
	}
	for _, one := range checks {
		late := one.Timestamp != 0 && c.At.Sub(time.Unix(one.Timestamp, 0)) > datadogCheckPast
		if one.Check == "" || one.Host == nil || one.Status == nil || *one.Status < 0 || *one.Status > 3 || one.Tags == nil || late {
			return datadogError(http.StatusBadRequest, "Invalid service checks")
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.checks = append(d.checks, checks...)
	ans := datadogOK(http.StatusAccepted, `{"status":"ok"}`)
	ans.header.Set("Content-Type", "text/json")
	return ans
}

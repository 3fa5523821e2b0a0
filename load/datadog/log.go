package datadog

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/idtrail/idtrail/load/stream"
	"github.com/idtrail/idtrail/schema"
)

// The time Datadog takes logs of. The past ends ten minutes before its 18 h do:
// a request may be waited with, and what is placed at the wrong time then is
// placed so without a word.
const (
	past   = 18*time.Hour - 10*time.Minute
	future = 2 * time.Hour
)

// maxLog is the size of a log that is taken whole: 1 MB of JSON.
const maxLog = 1_000_000

// Source is the ddsource of every log. It is of our own: a vendor's name would
// have Datadog run its pipeline for that vendor's raw records over them.
const Source = "idtrail"

func newProtocol(o Options, tags []string, c *client) *protocol {
	p := &protocol{client: c, skip: o.TooOld == Skip}
	p.service = string(schema.AppendJSONText(nil, o.Service))
	for _, t := range tags {
		p.tags += t + ","
	}
	return p
}

// errTooLarge is the reason such a reject shows.
var errTooLarge = errors.New("the log is larger than 1 MB even without its raw record and its texts")

// Append appends one log.
func (p *protocol) Append(dst []byte, e *schema.Event, now time.Time) ([]byte, stream.Mark, error) {
	at := time.UnixMilli(e.Time)
	mark := stream.Mark{TooOld: now.Sub(at) > past || at.Sub(now) > future}
	if mark.TooOld && p.skip {
		mark.Skip = true
		return dst, mark, nil
	}
	l := logLine{protocol: p, id: schema.EventID(e), now: now, late: mark.TooOld}
	start := len(dst)
	for _, slim := range []func(*schema.Event) *schema.Event{nil, withoutRaw, withoutTexts} {
		if slim != nil {
			e, l.slimmed = slim(e), true
		}
		dst = l.appendTo(dst[:start], e)
		if len(dst)-start <= maxLog {
			mark.Slimmed = l.slimmed
			return dst, mark, nil
		}
	}
	return dst[:start], stream.Mark{}, errTooLarge
}

// logLine is what a log holds beside its event.
type logLine struct {
	*protocol
	id            string
	now           time.Time
	late, slimmed bool
}

func (l *logLine) appendTo(dst []byte, e *schema.Event) []byte {
	w := writer{append(dst, `{"message":`...)}
	var room [512]byte
	w.b = schema.AppendJSONText(w.b, string(appendMessage(room[:0], e)))
	w.b = append(append(w.b, `,"ddsource":"`+Source+`","service":`...), l.service...)
	if e.DstEndpoint != nil {
		w.text("hostname", clip(e.DstEndpoint.Hostname, maxHost))
	}
	w.b = append(append(w.b, `,"ddtags":"`...), l.tags...)
	w.b = append(l.appendTags(w.b, e), '"')
	l.times(&w, e)
	w.b = append(append(append(w.b, `,"event_id":"`...), l.id...), '"')
	w.b = append(append(append(w.b, `,"status":"`...), statusOf(e.SeverityID)...), '"')
	if l.slimmed {
		w.b = append(w.b, `,"slimmed":true`...)
	}
	w.user(e)
	w.person(e.Metadata.Labels)
	w.network(e.SrcEndpoint)
	w.http(e)
	w.event(e)
	w.b = append(w.b, `,"ocsf":`...)
	return append(e.AppendJSON(w.b), '}')
}

// maxHost is the longest name of a host.
const maxHost = 255

// times writes when it happened, as a whole number of milliseconds: receivers
// that speak Datadog's protocol take no other form. event_time is none of the
// names Datadog reads a time from.
func (l *logLine) times(w *writer, e *schema.Event) {
	at := e.Time
	if l.late {
		at = l.now.UnixMilli()
	}
	w.b = strconv.AppendInt(append(w.b, `,"timestamp":`...), at, 10)
	if l.late {
		w.b = append(w.b, `,"event_time":"`...)
		w.b = time.UnixMilli(e.Time).UTC().AppendFormat(w.b, "2006-01-02T15:04:05.000Z07:00")
		w.b = append(w.b, '"')
	}
}

// appendTags writes those that depend on the event. All have few values: tags
// are indexed.
func (l *logLine) appendTags(dst []byte, e *schema.Event) []byte {
	dst = appendTag(dst, "product:", e.Metadata.Product.Name)
	if e.Metadata.TenantUID != "" {
		dst = appendTag(append(dst, ','), "tenant:", e.Metadata.TenantUID)
	}
	if l.late {
		dst = append(dst, ",late:true"...)
	}
	if l.slimmed {
		dst = append(dst, ",slimmed:true"...)
	}
	return dst
}

// statusOf is a severity in Datadog's words.
func statusOf(severity int32) string {
	switch severity {
	case 2:
		return "notice"
	case 3:
		return "warning"
	case 4:
		return "error"
	case 5:
		return "critical"
	case 6:
		return "emergency"
	default:
		return "info"
	}
}

// appendMessage writes the line people read in a list: what, of whom, by whom,
// from where.
func appendMessage(dst []byte, e *schema.Event) []byte {
	const most = 200
	dst = append(append(dst, clip(e.ClassName, most)...), ": "...)
	dst = append(dst, clip(e.ActivityName, most)...)
	if e.Status != "" {
		dst = append(append(dst, ' '), clip(e.Status, most)...)
	}
	if e.Message != "" {
		dst = append(append(dst, ": "...), clip(e.Message, 2*most)...)
	}
	part := func(name, value string) {
		if value != "" {
			dst = append(append(append(dst, name...), ' '), clip(value, most)...)
		}
	}
	if e.User != nil {
		part("; user", nameOf(e.User))
	}
	if e.Actor != nil && e.Actor.User != nil {
		part("; by", nameOf(e.Actor.User))
	}
	if e.SrcEndpoint != nil {
		part("; from", e.SrcEndpoint.IP)
	}
	if e.Service != nil {
		part("; to", e.Service.Name)
	}
	return oneLine(dst)
}

func nameOf(u *schema.UserObject) string {
	switch {
	case u.Name != "":
		return u.Name
	case u.EmailAddr != "":
		return u.EmailAddr
	default:
		return u.UID
	}
}

func oneLine(b []byte) []byte {
	for i, c := range b {
		if c < ' ' {
			b[i] = ' '
		}
	}
	return b
}

// clip cuts s to n bytes; what is left of a character then, no UTF-8, is made so
// where it is encoded.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n-3], "") + "..."
}

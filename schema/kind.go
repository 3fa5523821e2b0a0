package schema

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// Kind says what a raw record is, and so how it names and dates itself and how
// it is mapped.
type Kind string

// The kinds of raw records. A record of any kind may stand in an envelope; see
// [Kind.Record].
const (
	KindAuth0Log    Kind = "auth0_log"
	KindAuth0User   Kind = "auth0_user"
	KindCognitoUser Kind = "cognito_user"
	KindCloudTrail  Kind = "cloudtrail"
	// KindCognitoAuthEvent is a record of Cognito's userAuthEvents export.
	KindCognitoAuthEvent Kind = "cognito_auth_event"
	// KindSetting is a [Setting] as JSON.
	KindSetting Kind = "setting"
	// KindUnparsed is an [Unparsed].
	KindUnparsed Kind = "unparsed"
	// KindErased is an [Erased]: it keeps the place of a record that was cut out
	// on purpose. It has neither id nor time, and gives no row and no reject.
	KindErased Kind = "erased"
)

// IsUser says whether records of this kind are users of a snapshot.
func (k Kind) IsUser() bool { return k == KindAuth0User || k == KindCognitoUser }

// InSnapshot says whether records of this kind belong to a snapshot: users and
// settings. All others are events.
func (k Kind) InSnapshot() bool { return k.IsUser() || k == KindSetting }

// Record returns the vendor's record inside line: line itself, or what stands
// in the envelope an Auth0 log stream ({"log_id":…,"data":{…}}), EventBridge
// ({"detail-type":…,"detail":{…}}), LookupEvents ({"CloudTrailEvent":"{…}"}) or
// CloudWatch Logs ({"message":"{…}"}) puts around it, or what a source put a
// user's memberships beside ({"user":{…},"roles":[…]}). The result may share
// memory with line.
func (k Kind) Record(line []byte) []byte {
	if d := member(line, "detail"); d.IsObject() && member(line, "detail-type").Exists() {
		line = []byte(d.Raw)
	}
	var inner gjson.Result
	switch k { //nolint:exhaustive // the others come in no envelope
	case KindAuth0User, KindCognitoUser:
		inner = k.userIn(line)
	case KindAuth0Log:
		if !member(line, "type").Exists() {
			inner = member(line, "data")
		}
	case KindCloudTrail:
		return textIn(line, "CloudTrailEvent")
	case KindCognitoAuthEvent:
		return textIn(line, "message")
	}
	if inner.IsObject() {
		return []byte(inner.Raw)
	}
	return line
}

// userIn is the user beside memberships.
func (k Kind) userIn(line []byte) gjson.Result {
	u := member(line, "user")
	if u.IsObject() && (k == KindAuth0User && gjson.GetBytes(line, "user_id").Exists() ||
		k == KindCognitoUser && !member(line, "groups").Exists()) {
		return gjson.Result{}
	}
	return u
}

// textIn is the JSON object in a member that is text; line where there is none.
func textIn(line []byte, name string) []byte {
	v := member(line, name)
	if v.Type == gjson.String && len(v.Str) <= maxTrailEvent && gjson.Valid(v.Str) && gjson.Parse(v.Str).IsObject() {
		return []byte(v.Str)
	}
	return line
}

// member looks a member up, and does not parse lines that do not hold its name
// at all: most records stand in no envelope.
func member(line []byte, name string) gjson.Result {
	if !bytes.Contains(line, []byte(`"`+name+`"`)) {
		return gjson.Result{}
	}
	return gjson.GetBytes(line, name)
}

// maxTrailEvent bounds the records read out of a text: AWS's have at most 256 KiB.
const maxTrailEvent = 4 << 20

// ID returns the vendor's own id of the record in line, "" where it has none.
// Numbers are returned digit by digit as they stand: ids pass 2^53.
func (k Kind) ID(line []byte) string { return k.id(k.Record(line), line) }

// Identify returns what Record, ID and Time do, and looks for the record once.
func (k Kind) Identify(line []byte) (record []byte, id string, at time.Time) {
	record = k.Record(line)
	return record, k.id(record, line), k.time(record, line)
}

func (k Kind) id(rec, line []byte) string {
	switch k {
	case KindAuth0Log:
		if id := memberText(rec, "log_id", "_id"); id != "" {
			return id
		}
		return memberText(line, "log_id", "_id", "detail.log_id")
	case KindAuth0User:
		return memberText(rec, "user_id")
	case KindCognitoUser:
		return cognitoID(rec)
	case KindCognitoAuthEvent:
		// The last form is AdminListUserAuthEvents' own.
		return memberText(rec, "message.eventId", "eventId", "EventId")
	case KindSetting:
		return gjson.GetBytes(line, "section").Str + "/" + gjson.GetBytes(line, "id").Str
	case KindCloudTrail:
		if id := memberText(rec, "eventID"); id != "" {
			return id
		}
		return memberText(line, "EventId")
	default:
		return ""
	}
}

// Time returns when the record in line says it happened, zero where it does
// not say so in a form that parses. Users have no time.
func (k Kind) Time(line []byte) time.Time { return k.time(k.Record(line), line) }

func (k Kind) time(rec, line []byte) time.Time {
	switch k { //nolint:exhaustive // the others have no time
	case KindAuth0Log:
		return ParseTime(gjson.GetBytes(rec, "date").Str)
	case KindCloudTrail:
		if at := gjson.GetBytes(rec, "eventTime").Str; at != "" {
			return ParseTime(at)
		}
		return ParseTime(member(line, "EventTime").Str)
	case KindCognitoAuthEvent:
		for _, name := range []string{"eventTimestamp", "message.creationDate", "creationDate", "CreationDate"} {
			if at := stamp(gjson.GetBytes(rec, name)); !at.IsZero() {
				return at
			}
		}
	}
	return time.Time{}
}

// stamp reads a time that may be text, or a number of seconds or milliseconds
// since 1970, which in turn may be text.
func stamp(v gjson.Result) time.Time {
	text := strings.TrimSpace(v.String())
	if v.Type != gjson.String && v.Type != gjson.Number || text == "" {
		return time.Time{}
	}
	if n, err := strconv.ParseFloat(text, 64); err == nil {
		return epoch(n)
	}
	if at := ParseTime(text); !at.IsZero() {
		return at
	}
	// "Fri Nov 20 12:00:00 UTC 2026"; any other zone's letters name no offset.
	at, err := time.Parse(time.UnixDate, text)
	if zone := at.Location().String(); err != nil || zone != "UTC" && zone != "GMT" {
		return time.Time{}
	}
	return at.UTC()
}

// epoch is n seconds or milliseconds after 1970: as seconds, milliseconds of
// our time would lie beyond the year 5000.
func epoch(n float64) time.Time {
	if n >= 1e11 {
		n /= 1000
	}
	if !(n > 0 && n < 1e11) {
		return time.Time{}
	}
	return time.UnixMilli(int64(n*1000 + 0.5)).UTC()
}

// ParseTime reads RFC 3339, with or without a fraction, and ISO 8601's basic
// form (CloudTrail writes both); the zero time for anything else.
func ParseTime(s string) time.Time {
	for _, layout := range []string{time.RFC3339Nano, "20060102T150405Z", "2006-01-02T15:04:05.999Z0700"} {
		t, err := time.Parse(layout, s)
		if err != nil {
			continue
		}
		// An offset can move 9999 into a year that JSON cannot write.
		if t = t.UTC(); t.Year() >= 0 && t.Year() <= 9999 {
			return t
		}
	}
	return time.Time{}
}

// HashID names a record that has no id of its own by its landed bytes.
func HashID(landed []byte) string {
	sum := sha256.Sum256(landed)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func cognitoID(rec []byte) string {
	for _, list := range []string{"Attributes", "UserAttributes", "attributes"} {
		sub := gjson.GetBytes(rec, list+`.#(Name=="sub").Value`)
		if sub.Type == gjson.String && sub.Str != "" {
			return sub.Str
		}
	}
	return memberText(rec, "Username", "username")
}

// memberText returns the first of the named members that is a non-empty string
// or a number.
func memberText(rec []byte, names ...string) string {
	for _, name := range names {
		switch v := gjson.GetBytes(rec, name); v.Type { //nolint:exhaustive // no other value names anything
		case gjson.String:
			if v.Str != "" {
				return v.Str
			}
		case gjson.Number:
			return v.Raw
		}
	}
	return ""
}

package schema_test

import (
	"testing"
	"time"

	"github.com/idtrail/idtrail/schema"
)

func TestTimeOfCognitoAuthEvent(t *testing.T) {
	at := time.Date(2025, 11, 20, 12, 0, 0, 0, time.UTC)
	tests := map[string]struct {
		line string
		want time.Time
	}{
		"milliseconds as text":   {`{"eventTimestamp":"1763640000123"}`, at.Add(123 * time.Millisecond)},
		"milliseconds":           {`{"eventTimestamp":1763640000123}`, at.Add(123 * time.Millisecond)},
		"seconds":                {`{"eventTimestamp":1763640000}`, at},
		"seconds with a part":    {`{"eventTimestamp":"1763640000.25"}`, at.Add(250 * time.Millisecond)},
		"exponent":               {`{"eventTimestamp":1.763640000123E12}`, at.Add(123 * time.Millisecond)},
		"RFC 3339":               {`{"eventTimestamp":"2025-11-20T13:00:00+01:00"}`, at},
		"creation date":          {`{"message":{"creationDate":"2025-11-20T12:00:00Z"}}`, at},
		"creation date in words": {`{"eventTimestamp":"","message":{"creationDate":"Thu Nov 20 12:00:00 UTC 2025"}}`, at},
		"unreadable, then read":  {`{"eventTimestamp":"soon","message":{"creationDate":1763640000}}`, at},
		"timestamp first":        {`{"eventTimestamp":1763640000,"message":{"creationDate":"2020-01-01T00:00:00Z"}}`, at},
		"as it is listed":        {`{"CreationDate":1763640000}`, at},
		"in CloudWatch's":        {`{"timestamp":1,"message":"{\"eventTimestamp\":\"1763640000\"}"}`, at},
		"a zone's letters":       {`{"eventTimestamp":"Thu Nov 20 12:00:00 PST 2025"}`, time.Time{}},
		"negative":               {`{"eventTimestamp":-5}`, time.Time{}},
		"too large":              {`{"eventTimestamp":1e300}`, time.Time{}},
		"no number":              {`{"eventTimestamp":"NaN"}`, time.Time{}},
		"another type":           {`{"eventTimestamp":{"a":1},"message":{"creationDate":true}}`, time.Time{}},
		"none":                   {`{}`, time.Time{}},
		"no object":              {`[1]`, time.Time{}},
	}
	for name, tt := range tests {
		if got := schema.KindCognitoAuthEvent.Time([]byte(tt.line)); !got.Equal(tt.want) {
			t.Errorf("%s: got %v, want %v", name, got, tt.want)
		}
	}
}

func TestIDOfCognitoAuthEvent(t *testing.T) {
	for line, want := range map[string]string{
		`{"message":{"eventId":"a"}}`: "a",
		`{"eventId":"b"}`:             "b",
		`{"EventId":"c"}`:             "c",
		`{"eventId":"not it","message":"{\"message\":{\"eventId\":\"d\"}}"}`: "d",
		`{"message":{"eventId":""}}`:                                         "",
		`{"eventId":"e","message":"17"}`:                                     "e",
		`{"message":"text"}`:                                                 "",
	} {
		if got := schema.KindCognitoAuthEvent.ID([]byte(line)); got != want {
			t.Errorf("%s: got %q, want %q", line, got, want)
		}
	}
}

func TestAuth0UserBesideMemberships(t *testing.T) {
	tests := map[string]struct{ line, id, record string }{
		"line of an export":   {`{"user_id":"auth0|1"}`, "auth0|1", `{"user_id":"auth0|1"}`},
		"beside its roles":    {`{"user":{"user_id":"auth0|1","a":[1]},"roles":[]}`, "auth0|1", `{"user_id":"auth0|1","a":[1]}`},
		"nothing known":       {`{"user":{"user_id":90071992547409931}}`, "90071992547409931", `{"user_id":90071992547409931}`},
		"an attribute":        {`{"user":{"user_id":"b"},"user_id":"a"}`, "a", `{"user":{"user_id":"b"},"user_id":"a"}`},
		"an attribute behind": {`{"user_id":"a","user":{"user_id":"b"}}`, "a", `{"user_id":"a","user":{"user_id":"b"}}`},
		"no object":           {`{"user":"auth0|1"}`, "", `{"user":"auth0|1"}`},
		"no id":               {`{"user":{"email":"a"},"roles":[]}`, "", `{"email":"a"}`},
	}
	for name, tt := range tests {
		k := schema.KindAuth0User
		if id, record := k.ID([]byte(tt.line)), string(k.Record([]byte(tt.line))); id != tt.id || record != tt.record {
			t.Errorf("%s: got %q of %s, want %q of %s", name, id, record, tt.id, tt.record)
		}
	}
}

package crashtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"time"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/transform"
)

// What the vendor of the source that operators work on has: one record a minute
// from start on, over midnight.
const (
	pastName  = "acme"
	pastLost  = 10 // records it keeps no longer
	pastSince = 40 // where the ordinary reading begins
	pastFirst = 80 // where it stands before a second run
	pastEnd   = 100
	pastGrown = 120
	pastPage  = 10
	midnight  = 60
)

// The person some of the records are of, of those before pastEnd.
const person = "auth0|the-person"

func isPersons(n int) bool { return n%10 == 3 && n < pastEnd }

// isOdd says which records an older mapping could not map.
func isOdd(n int) bool { return n%20 == 7 }

func minute(n int) time.Time { return start.Add(time.Duration(n) * time.Minute) }

func pastRecord(n int) schema.Raw {
	user, client := fmt.Sprintf("auth0|%d", n), "c"
	if isPersons(n) {
		user = person
	}
	if isOdd(n) {
		client = "odd"
	}
	line := fmt.Sprintf(`{"log_id":%q,"date":%q,"type":"s","user_id":%q,"client_id":%q,"ip":"192.0.2.1"}`,
		logID(n), minute(n).Format("2006-01-02T15:04:05.000Z"), user, client)
	return schema.Raw{Kind: schema.KindAuth0Log, ID: logID(n), Time: minute(n), Bytes: []byte(line)}
}

// older maps as a version did that did not know odd records.
type older struct{ transform.Mapper }

func (m *older) Map(kind schema.Kind, line []byte, at time.Time) (transform.Result, error) {
	if bytes.Contains(line, []byte(`"odd"`)) {
		return transform.Result{}, fmt.Errorf("is odd: %w", transform.ErrUnmappable)
	}
	return m.Mapper.Map(kind, line, at)
}

// past reads that vendor. Its cursor is the record to go on at, and where a span
// ends.
type past struct{ end int }

type pastCursor struct {
	At    int `json:"at"`
	Until int `json:"until,omitempty"`
}

func (s past) source(m pipeline.Mapper) pipeline.Source {
	return pipeline.Source{
		Name: pastName, Kind: "past", Since: minute(pastSince), Mapper: m,
		Open: func(extract.Ledger) (extract.Source, error) { return s, nil },
	}
}

func (s past) Name() string { return pastName }

func (s past) Overlap() time.Duration { return 5 * time.Minute }

func (s past) Start(t time.Time) extract.Cursor { return encode(pastCursor{At: index(t)}) }

func (s past) Range(from, to time.Time) extract.Cursor {
	return encode(pastCursor{At: index(from), Until: index(to)})
}

func (s past) Skip(c extract.Cursor) (extract.Skipped, error) {
	cur, err := decode(c)
	next := cur.At + pastPage
	return extract.Skipped{
		Next: encode(pastCursor{At: next}),
		Gaps: []schema.Gap{{From: minute(cur.At), To: minute(next), Reason: "skipped"}},
	}, err
}

func (s past) Reached(c extract.Cursor) (time.Time, error) {
	cur, err := decode(c)
	return minute(cur.At), err
}

func (s past) Pages(ctx context.Context, from extract.Cursor) iter.Seq2[extract.Page, error] {
	return func(yield func(extract.Page, error) bool) {
		cur, err := decode(from)
		if err != nil {
			yield(extract.Page{}, err)
			return
		}
		end := s.end
		if cur.Until > 0 {
			end = min(end, cur.Until)
		}
		for cur.At < end && ctx.Err() == nil {
			var page extract.Page
			if lost := min(pastLost, end); cur.At < lost {
				page.Gaps = []schema.Gap{{From: minute(cur.At), To: minute(lost), Reason: "beyond retention"}}
				cur.At = lost
			}
			for upto := min(cur.At+pastPage, end); cur.At < upto; cur.At++ {
				page.Records = append(page.Records, pastRecord(cur.At))
			}
			page.Next = encode(cur)
			if !yield(page, nil) {
				return
			}
		}
	}
}

func index(t time.Time) int { return int(t.Sub(start) / time.Minute) }

func encode(c pastCursor) extract.Cursor {
	text, err := json.Marshal(c)
	if err != nil {
		panic(err) // numbers
	}
	return extract.Cursor(text)
}

func decode(c extract.Cursor) (cur pastCursor, err error) {
	err = json.Unmarshal([]byte(c), &cur)
	return cur, err
}

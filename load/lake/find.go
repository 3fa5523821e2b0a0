package lake

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/schema"
)

// Query asks for the events of a person.
type Query struct {
	// User is an id, which has to match exactly, or a user name or an e-mail
	// address in any case. It is looked for in user, actor.user and
	// user_result.
	User string
	// Since (inclusive) and Until (exclusive) bound the events' time; zero
	// means open. An event whose clock was so wrong that it is filed under the
	// day it was landed is found by that day.
	Since, Until time.Time
	// Sources to look in; all if empty.
	Sources []string
	// Limit ends the search after so many events, the oldest; none if 0.
	Limit int
}

// Found is an event with the source it was filed under.
type Found struct {
	Source string
	Event  schema.Event
}

// foundAtOnce is how many events are held in memory at a time.
const foundAtOnce = 256

// Find yields the events of a person, sorted by day and time. It opens the
// objects of the days asked for only, reads the few columns that name people
// first, and whole events only where those match. Of a source that has no
// Parquet, it reads the JSON.
func (r *Reader) Find(ctx context.Context, q Query) iter.Seq2[Found, error] {
	return func(yield func(Found, error) bool) {
		days, err := r.daysOf(ctx, q)
		if err != nil {
			yield(Found{}, err)
			return
		}
		left := q.Limit
		for _, day := range slices.Sorted(maps.Keys(days)) {
			for found, err := range r.findInDay(ctx, q, day, days[day]) {
				if !yield(found, err) || err != nil {
					return
				}
				if left--; left == 0 {
					return
				}
			}
		}
	}
}

// eventsObject is an object that may hold what is looked for.
type eventsObject struct {
	source string
	layout layout
	info   blob.Info
}

// daysOf lists the objects to look into, by day.
func (r *Reader) daysOf(ctx context.Context, q Query) (map[string][]eventsObject, error) {
	sources := q.Sources
	if len(sources) == 0 {
		all, err := r.Sources(ctx)
		if err != nil {
			return nil, err
		}
		sources = all
	}
	days := map[string][]eventsObject{}
	for _, source := range sources {
		l, err := r.layoutOf(ctx, source)
		if err != nil {
			return nil, err
		}
		for info, err := range r.objects(ctx, l, eventsTable, source, q.firstDay()) {
			if err != nil {
				return nil, err
			}
			day := dayOfKey(info.Key)
			if last := q.lastDay(); last != "" && day > last {
				break
			}
			days[day] = append(days[day], eventsObject{source: source, layout: l, info: info})
		}
	}
	return days, nil
}

func (r *Reader) layoutOf(ctx context.Context, source string) (layout, error) {
	for _, err := range r.objects(ctx, parquetLayout, eventsTable, source, "") {
		return parquetLayout, err
	}
	return jsonLayout, nil
}

func (q Query) firstDay() string {
	if q.Since.IsZero() {
		return ""
	}
	return q.Since.UTC().Format(time.DateOnly)
}

func (q Query) lastDay() string {
	if q.Until.IsZero() {
		return ""
	}
	return q.Until.Add(-1).UTC().Format(time.DateOnly)
}

// span is what of a day is asked for, in epoch milliseconds, with the day's
// own bounds: from <= t < to.
type span struct{ dayFrom, dayTo, from, to int64 }

func (q Query) spanOf(day string) (span, error) {
	begin, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return span{}, fmt.Errorf("read folder dt=%s: no day", day)
	}
	s := span{dayFrom: begin.UnixMilli(), dayTo: begin.AddDate(0, 0, 1).UnixMilli()}
	s.from, s.to = s.dayFrom, s.dayTo
	if !q.Since.IsZero() {
		s.from = max(s.from, q.Since.UnixMilli())
	}
	if !q.Until.IsZero() {
		s.to = min(s.to, q.Until.UnixMilli())
	}
	return s, nil
}

// holds says whether an event filed under the day is asked for.
func (s span) holds(t int64) bool {
	return s.from <= t && t < s.to || t < s.dayFrom || t >= s.dayTo
}

// mayHold says whether one of events of these times may be.
func (s span) mayHold(least, greatest int64) bool {
	return least < s.to && greatest >= s.from || least < s.dayFrom || greatest >= s.dayTo
}

// hit is an event that matches: row of the day's object number object.
type hit struct {
	at     int64
	object int
	row    int64
}

func (r *Reader) findInDay(ctx context.Context, q Query, day string, objects []eventsObject) iter.Seq2[Found, error] {
	return func(yield func(Found, error) bool) {
		hits, err := r.hitsOf(ctx, q, day, objects)
		if err != nil {
			yield(Found{}, err)
			return
		}
		slices.SortFunc(hits, func(a, b hit) int {
			return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.object, b.object), cmp.Compare(a.row, b.row))
		})
		open := &openObjects{reader: r, objects: objects}
		defer open.close()
		for some := range slices.Chunk(hits, foundAtOnce) {
			events, err := open.load(ctx, some)
			if err != nil {
				yield(Found{}, err)
				return
			}
			for i, h := range some {
				if !yield(Found{Source: objects[h.object].source, Event: events[i]}, nil) {
					return
				}
			}
		}
	}
}

func (r *Reader) hitsOf(ctx context.Context, q Query, day string, objects []eventsObject) ([]hit, error) {
	s, err := q.spanOf(day)
	if err != nil {
		return nil, err
	}
	who := matcher{user: q.User}
	var hits []hit
	for i, o := range objects {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		scan := r.scanParquet
		if o.layout == jsonLayout {
			scan = r.scanJSON
		}
		err := scan(ctx, o.info, who, func(at, row int64) {
			if s.holds(at) {
				hits = append(hits, hit{at: at, object: i, row: row})
			}
		}, s)
		if err != nil {
			return nil, err
		}
	}
	return hits, nil
}

// matcher says whether a value names the person.
type matcher struct{ user string }

func (m matcher) id(s string) bool   { return s != "" && s == m.user }
func (m matcher) name(s string) bool { return s != "" && strings.EqualFold(s, m.user) }

func (m matcher) userObject(u *schema.UserObject) bool {
	return u != nil && (m.id(u.UID) || m.id(u.UIDAlt) || m.name(u.Name) || m.name(u.EmailAddr))
}

func (m matcher) event(e *schema.Event) bool {
	return m.userObject(e.User) || m.userObject(e.UserResult) || e.Actor != nil && m.userObject(e.Actor.User)
}

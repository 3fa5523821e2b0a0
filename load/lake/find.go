package lake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/schema"
)

// Query asks for the events of a person, or from an address. What it says in
// several fields has to hold together.
type Query struct {
	// User is an id, which has to match exactly, or a user name or an e-mail
	// address in any case. It is looked for in user, actor.user and
	// user_result.
	User string
	// Accounts are further accounts of the person.
	Accounts []Account
	// From is where it was done from: an address, or several as 192.0.2.0/24.
	From string
	// Failed asks only for what did not succeed.
	Failed bool
	// Classes and Activities, if any, are names or numbers of OCSF, in any case:
	// one of each has to match.
	Classes, Activities []string
	// Since (inclusive) and Until (exclusive) bound the events' time; zero
	// means open. An event whose clock was so wrong that it is filed under the
	// day it was landed is found by that day.
	Since, Until time.Time
	// Sources to look in; all if empty.
	Sources []string
	// Newest asks for the newest events first.
	Newest bool
	// Limit ends the search after so many events, the first of them; none if 0.
	Limit int
	// Brief leaves all fields of the events zero but those that say in a line
	// what happened: much less is read then.
	Brief bool
}

// Account is one account of a person.
type Account struct {
	// ID finds what names the account by its id.
	ID string
	// Name finds what names a user so, in any case, and has no id of one: in
	// another system the same name may be somebody else's.
	Name string
	// From (inclusive) and To (exclusive) bound when the account was the person's;
	// zero means open.
	From, To time.Time
}

// Found is an event with the source it was filed under.
type Found struct {
	Source string
	Event  schema.Event
}

// ObjectError says that one object of the lake could not be read: it is damaged,
// or was changed or removed while it was searched. What it holds is missing from
// what was found.
type ObjectError struct {
	Key string
	Err error
}

func (e *ObjectError) Error() string { return fmt.Sprintf("read %s: %v", e.Key, e.Err) }
func (e *ObjectError) Unwrap() error { return e.Err }

// How many objects are looked into, and how many stretches of hits are loaded, at
// a time. In a bucket each waits for answers most of the time.
const (
	probesFar = 16
	loadsFar  = 8
)

// Find yields what was found, sorted by day and time. An error that is an
// [ObjectError] stands in the place of what one object holds, and more may follow;
// any other ends the search.
//
// It looks at the objects of the days asked for only. Of most it reads but the
// index of names at their end; of the others the few columns that decide, and of
// rows that match the pages they lie in. Of a source that has no Parquet, it reads
// the JSON. What is held in memory is bounded, whatever is found.
func (r *Reader) Find(ctx context.Context, q Query) iter.Seq2[Found, error] {
	return func(yield func(Found, error) bool) {
		s, err := r.newSearch(ctx, q)
		if err != nil {
			yield(Found{}, err)
			return
		}
		found := inOrder(ctx, s.probes, s.objects(ctx), s.probe)
		for some, err := range inOrder(ctx, s.loads, s.stretches(found), s.load) {
			if !some.yield(yield) || err != nil && (!yield(Found{}, err) || !isOfObject(err)) {
				return
			}
		}
	}
}

// isOfObject says that an error concerns one object only.
func isOfObject(err error) bool { return errors.As(err, new(*ObjectError)) }

// yield yields what was loaded, and what was not.
func (l loaded) yield(yield func(Found, error) bool) bool {
	for _, f := range l.events {
		if !yield(f, nil) {
			return false
		}
	}
	for _, err := range l.errs {
		if !yield(Found{}, err) {
			return false
		}
	}
	return true
}

// search is one call of Find.
type search struct {
	reader *Reader
	q      Query
	match  *matcher
	// far says that each read is a request.
	far           bool
	probes, loads int
	ends          ends
}

func (r *Reader) newSearch(ctx context.Context, q Query) (*search, error) {
	match, err := newMatcher(q)
	if err != nil {
		return nil, err
	}
	if len(q.Sources) == 0 {
		if q.Sources, err = r.Sources(ctx); err != nil {
			return nil, err
		}
	}
	s := &search{reader: r, q: q, match: match, far: isFar(r.store), probes: probesFar, loads: loadsFar}
	if !s.far {
		s.probes, s.loads = runtime.GOMAXPROCS(0), runtime.GOMAXPROCS(0)
	}
	return s, nil
}

// eventsObject is an object that may hold what is looked for.
type eventsObject struct {
	source string
	layout layout
	info   blob.Info
	day    string
}

// objects yields the objects to look into, day by day, in the order that is asked
// for.
func (s *search) objects(ctx context.Context) iter.Seq2[eventsObject, error] {
	if s.q.Newest {
		return s.backward(ctx)
	}
	return s.forward(ctx)
}

// forward merges the lists of all sources.
func (s *search) forward(ctx context.Context) iter.Seq2[eventsObject, error] {
	return func(yield func(eventsObject, error) bool) {
		lists := make([]*objectList, 0, len(s.q.Sources))
		for _, source := range s.q.Sources {
			l, err := s.reader.layoutOf(ctx, source)
			if err != nil {
				yield(eventsObject{}, err)
				return
			}
			list := newObjectList(s.listed(ctx, l, source))
			defer list.stop()
			lists = append(lists, list)
		}
		for {
			list := firstList(lists)
			if list == nil {
				return
			}
			if !yield(list.object, list.err) || list.err != nil {
				return
			}
			list.next()
		}
	}
}

// listed yields the objects of one source, of the days asked for.
func (s *search) listed(ctx context.Context, l layout, source string) iter.Seq2[eventsObject, error] {
	return func(yield func(eventsObject, error) bool) {
		last := s.q.lastDay()
		for info, err := range s.reader.objects(ctx, l, eventsTable, source, s.q.firstDay()) {
			day := dayOfKey(info.Key)
			if err == nil && last != "" && day > last {
				return
			}
			if !yield(eventsObject{source: source, layout: l, info: info, day: day}, err) {
				return
			}
		}
	}
}

// objectList looks one object ahead.
type objectList struct {
	pull   func() (eventsObject, error, bool)
	stop   func()
	object eventsObject
	err    error
	ok     bool
}

func newObjectList(objects iter.Seq2[eventsObject, error]) *objectList {
	l := &objectList{}
	l.pull, l.stop = iter.Pull2(objects)
	l.next()
	return l
}

func (l *objectList) next() { l.object, l.err, l.ok = l.pull() }

// firstList returns the list whose next object is of the earliest day, nil if all
// are at their end. An error comes first.
func firstList(lists []*objectList) (first *objectList) {
	for _, l := range lists {
		switch {
		case !l.ok:
		case l.err != nil:
			return l
		case first == nil || l.object.day < first.object.day:
			first = l
		}
	}
	return first
}

// folder is a day of a source.
type folder struct {
	day, source string
	layout      layout
}

// backward lists the days first, and each day's objects as they are needed: a
// store lists forward only.
func (s *search) backward(ctx context.Context) iter.Seq2[eventsObject, error] {
	return func(yield func(eventsObject, error) bool) {
		folders, err := s.folders(ctx)
		if err != nil {
			yield(eventsObject{}, err)
			return
		}
		for _, f := range slices.Backward(folders) {
			for o, err := range s.folder(ctx, f) {
				if !yield(o, err) || err != nil {
					return
				}
			}
		}
	}
}

func (s *search) folders(ctx context.Context) ([]folder, error) {
	var all []folder
	for o, err := range s.forward(ctx) {
		if err != nil {
			return nil, err
		}
		if f := (folder{o.day, o.source, o.layout}); len(all) == 0 || all[len(all)-1] != f {
			all = append(all, f)
		}
	}
	return all, nil
}

// folder yields the objects of a folder.
func (s *search) folder(ctx context.Context, f folder) iter.Seq2[eventsObject, error] {
	return func(yield func(eventsObject, error) bool) {
		prefix := tablePrefix(f.layout, eventsTable, f.source) + f.day + "/"
		for info, err := range s.reader.store.List(ctx, prefix, "") {
			if err != nil {
				yield(eventsObject{}, fmt.Errorf("list %s: %w", prefix, err))
				return
			}
			if !strings.HasSuffix(info.Key, f.layout.extension()) {
				continue
			}
			if !yield(eventsObject{source: f.source, layout: f.layout, info: info, day: f.day}, nil) {
				return
			}
		}
	}
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
		return span{}, fmt.Errorf("folder dt=%s: no day", day)
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

// hit is an event that matches.
type hit struct {
	at  int64
	row int64
	// weight is about how many bytes it is in memory.
	weight int64
	// object is its object's number in a stretch.
	object int
}

// probed is an object with its hits.
type probed struct {
	object eventsObject
	hits   []hit
}

// probe looks for hits in one object.
func (s *search) probe(ctx context.Context, o eventsObject) (probed, error) {
	p := probed{object: o}
	bounds, err := s.q.spanOf(o.day)
	if err != nil {
		return p, &ObjectError{Key: o.info.Key, Err: err}
	}
	add := func(h hit) {
		if bounds.holds(h.at) {
			p.hits = append(p.hits, h)
		}
	}
	if o.layout == jsonLayout {
		return p, s.scanJSON(ctx, o, add)
	}
	err = s.scanParquet(ctx, o, bounds, add)
	return p, err
}

// What is loaded at a time: so many events, or about so many bytes.
const (
	stretchHits  = 256
	stretchBytes = 2 << 20
)

// stretch is some hits that follow each other, in the order they are to be
// yielded, and the objects they are in.
type stretch struct {
	objects []eventsObject
	hits    []hit
}

// stretches puts the hits of each day in order, and cuts them into stretches.
func (s *search) stretches(found iter.Seq2[probed, error]) iter.Seq2[stretch, error] {
	return func(yield func(stretch, error) bool) {
		left := s.q.Limit
		var day stretch
		for p, err := range found {
			if err != nil && !yield(stretch{}, err) {
				return
			}
			if len(p.hits) == 0 {
				continue
			}
			if len(day.objects) > 0 && day.objects[0].day != p.object.day {
				if !s.flush(day, &left, yield) {
					return
				}
				day = stretch{}
			}
			day.add(p)
		}
		s.flush(day, &left, yield)
	}
}

// flush yields a day's hits, as many as are left of the limit, and says whether more
// are wanted.
func (s *search) flush(day stretch, left *int, yield func(stretch, error) bool) bool {
	s.sort(day.hits)
	if s.q.Limit > 0 {
		day.hits = day.hits[:min(*left, len(day.hits))]
		*left -= len(day.hits)
	}
	return day.cut(yield) && (s.q.Limit == 0 || *left > 0)
}

func (s *search) sort(hits []hit) {
	slices.SortFunc(hits, func(a, b hit) int {
		c := cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.object, b.object), cmp.Compare(a.row, b.row))
		if s.q.Newest {
			return -c
		}
		return c
	})
}

func (d *stretch) add(p probed) {
	for _, h := range p.hits {
		h.object = len(d.objects)
		d.hits = append(d.hits, h)
	}
	d.objects = append(d.objects, p.object)
}

// cut yields the hits in parts that are loaded at once each.
func (d *stretch) cut(yield func(stretch, error) bool) bool {
	for rest := d.hits; len(rest) > 0; {
		n, weight := 0, int64(0)
		for n < len(rest) && n < stretchHits && (n == 0 || weight+rest[n].weight <= stretchBytes) {
			weight += rest[n].weight
			n++
		}
		if !yield(stretch{objects: d.objects, hits: rest[:n]}, nil) {
			return false
		}
		rest = rest[n:]
	}
	return true
}

// loaded are the events of a stretch, and what went wrong with some.
type loaded struct {
	events []Found
	errs   []error
}

// load reads the events of a stretch, object by object.
func (s *search) load(ctx context.Context, some stretch) (loaded, error) {
	events := make([]Found, len(some.hits))
	have := make([]bool, len(some.hits))
	byObject := map[int][]int{}
	for i, h := range some.hits {
		byObject[h.object] = append(byObject[h.object], i)
	}
	var result loaded
	for object, indexes := range byObject {
		slices.SortFunc(indexes, func(a, b int) int { return cmp.Compare(some.hits[a].row, some.hits[b].row) })
		rows := make([]int64, len(indexes))
		for n, i := range indexes {
			rows[n] = some.hits[i].row
		}
		o := some.objects[object]
		err := s.loadFrom(ctx, o, rows, func(n int, e *schema.Event) {
			events[indexes[n]], have[indexes[n]] = Found{Source: o.source, Event: *e}, true
		})
		if err != nil && !isOfObject(err) {
			return loaded{}, err
		}
		if err != nil {
			result.errs = append(result.errs, err)
		}
	}
	for i, f := range events {
		if have[i] {
			result.events = append(result.events, f)
		}
	}
	return result, nil
}

// loadFrom calls set with the event of each of an object's rows, which are sorted.
func (s *search) loadFrom(ctx context.Context, o eventsObject, rows []int64, set func(n int, e *schema.Event)) error {
	if o.layout == jsonLayout {
		return s.loadJSON(ctx, o, rows, set)
	}
	return s.loadParquet(ctx, o, rows, set)
}

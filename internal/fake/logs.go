package fake

import (
	"iter"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/idtrail/idtrail/schema"
)

// Logs are log records in ascending order of their ids. Log(i) may make the
// record anew at every call.
type Logs interface {
	Len() int
	ID(i int) string
	Log(i int) []byte
}

// LogList holds records as they are given, sorted by their log_id.
func LogList(records ...[]byte) Logs {
	l := logList{}
	for _, r := range records {
		l = append(l, entry{id: schema.KindAuth0Log.ID(r), record: r})
	}
	slices.SortStableFunc(l, func(a, b entry) int { return strings.Compare(a.id, b.id) })
	return l
}

type entry struct {
	id     string
	record []byte
}

type logList []entry

func (l logList) Len() int         { return len(l) }
func (l logList) ID(i int) string  { return l[i].id }
func (l logList) Log(i int) []byte { return l[i].record }

// SyntheticLogID is the first id of a second: no record has it, but it is a
// position in the order.
func SyntheticLogID(t time.Time) string {
	id := "900" + t.UTC().Format("20060102150405")
	return id + strings.Repeat("0", 56-len(id))
}

// logStore is a big read-only list and a small one that grows.
type logStore struct {
	base  Logs
	extra logList
}

func (s *logStore) insert(record []byte) {
	e := entry{id: schema.KindAuth0Log.ID(record), record: slices.Clone(record)}
	at := sort.Search(len(s.extra), func(i int) bool { return s.extra[i].id > e.id })
	s.extra = slices.Insert(s.extra, at, e)
}

// after yields the records with from < id <= to, ascending; from does the same
// with from <= id. A record is made only when it is called for.
func (s *logStore) after(from, to string) iter.Seq2[string, func() []byte] {
	return s.walk(func(id string) bool { return id > from }, to)
}

func (s *logStore) from(from, to string) iter.Seq2[string, func() []byte] {
	return s.walk(func(id string) bool { return id >= from }, to)
}

func (s *logStore) walk(in func(id string) bool, to string) iter.Seq2[string, func() []byte] {
	return func(yield func(string, func() []byte) bool) {
		base := s.base
		if base == nil {
			base = logList(nil)
		}
		i := sort.Search(base.Len(), func(i int) bool { return in(base.ID(i)) })
		j := sort.Search(len(s.extra), func(j int) bool { return in(s.extra[j].id) })
		for i < base.Len() || j < len(s.extra) {
			list, k := base, i
			if i == base.Len() || j < len(s.extra) && s.extra[j].id < base.ID(i) {
				list, k = s.extra, j
				j++
			} else {
				i++
			}
			id := list.ID(k)
			if id > to || !yield(id, func() []byte { return list.Log(k) }) {
				return
			}
		}
	}
}

// window returns up to 1,000 records of a span, oldest or newest first.
func (s *logStore) window(from, to string, oldestFirst bool) []func() []byte {
	var all []func() []byte
	for _, record := range s.after(from, to) {
		if oldestFirst && len(all) == 1000 {
			break
		}
		all = append(all, record)
	}
	if !oldestFirst {
		slices.Reverse(all)
	}
	return all[:min(len(all), 1000)]
}

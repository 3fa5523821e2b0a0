package serve_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/blob/blobtest"
	"github.com/idtrail/idtrail/load/stream"
	"github.com/idtrail/idtrail/schema"
)

// tenant is one in which somebody signs in every so many minutes. Its cursor is
// the minute; the last ten are read again.
type tenant struct {
	name  string
	every int64
	// prefix begins the ids of its sign-ins.
	prefix string
	// slow says of a time whether the run that reads then takes twelve minutes; it
	// may be nil.
	slow func(time.Time) bool
}

func (s tenant) Name() string { return s.name }

func (s tenant) Identity() string { return "https://" + s.name + ".example/" }

func (tenant) Overlap() time.Duration { return 10 * time.Minute }

func (tenant) Start(t time.Time) extract.Cursor { return cursorOf(t) }

func cursorOf(t time.Time) extract.Cursor { return extract.Cursor(fmt.Sprint(t.Unix() / 60)) }

func (s tenant) Pages(_ context.Context, from extract.Cursor) iter.Seq2[extract.Page, error] {
	return func(yield func(extract.Page, error) bool) {
		var begin int64
		if err := json.Unmarshal([]byte(from), &begin); err != nil {
			yield(extract.Page{}, err)
			return
		}
		now := time.Now()
		takes := 700 * time.Millisecond
		if s.slow != nil && s.slow(now) {
			takes = 12 * time.Minute
		}
		time.Sleep(takes)
		page := extract.Page{Next: cursorOf(now)}
		for minute := begin - 10; minute < now.Unix()/60; minute++ {
			if minute%s.every == 0 {
				page.Records = append(page.Records, s.signIn(minute))
			}
		}
		yield(page, nil)
	}
}

// expected is how many sign-ins there were from one time to another.
func (s tenant) expected(from, to time.Time) (n int64) {
	for minute := from.Unix() / 60; minute < to.Unix()/60; minute++ {
		if minute%s.every == 0 {
			n++
		}
	}
	return n
}

func (s tenant) signIn(minute int64) schema.Raw {
	at := time.Unix(minute*60, 0).UTC()
	id := fmt.Sprintf("%s%053d", s.prefix, minute)
	line := fmt.Sprintf(`{"log_id":%q,"date":%q,"type":"s","user_id":"auth0|%d","user_name":"user%d@acme.example","ip":"192.0.2.%d","client_id":"c1","client_name":"App","user_agent":"Mozilla/5.0"}`,
		id, at.Format("2006-01-02T15:04:05.000Z"), minute%50, minute%50, minute%200)
	return schema.Raw{Kind: schema.KindAuth0Log, ID: id, Time: at, Bytes: []byte(line)}
}

// directory is a list of users, read whole. Most stay; one joins a month, as
// another leaves.
type directory struct {
	name string
	line func(n int) string
}

const staying = 40

func (s directory) Name() string { return s.name }

func (s directory) Identity() string { return s.name }

func (directory) Start(time.Time) extract.Cursor { return `""` }

func (s directory) Pages(context.Context, extract.Cursor) iter.Seq2[extract.Page, error] {
	return func(yield func(extract.Page, error) bool) {
		begin := time.Now().UTC()
		snapshot := schema.Snapshot{ID: begin.Format("20060102T150405Z"), Begin: begin}
		time.Sleep(20 * time.Second)
		page := extract.Page{Snapshot: &snapshot}
		for n := range staying {
			page.Records = append(page.Records, s.user(n))
		}
		page.Records = append(page.Records, s.user(1000*begin.Year()+int(begin.Month())))
		page.Next = extract.Cursor(fmt.Sprintf("%q", snapshot.ID))
		if !yield(page, nil) {
			return
		}
		done := snapshot
		done.End, done.Complete, done.Counts = time.Now().UTC(), true, map[string]int64{"users": staying + 1}
		yield(extract.Page{Snapshot: &done, Next: page.Next}, nil)
	}
}

func (s directory) user(n int) schema.Raw {
	kind := schema.KindAuth0User
	if s.name == "pool" {
		kind = schema.KindCognitoUser
	}
	return schema.Raw{Kind: kind, Bytes: []byte(s.line(n))}
}

func auth0Line(n int) string {
	return fmt.Sprintf(`{"user_id":"auth0|%[1]d","email":"user%[1]d@acme.example","email_verified":true,"name":"User %[1]d","identities":[{"connection":"db","provider":"auth0","user_id":"%[1]d","isSocial":false}]}`, n)
}

// poolLine differs in every fourth name.
func poolLine(n int) string {
	name := fmt.Sprintf("User %d", n)
	if n%4 == 0 {
		name = "Other"
	}
	return fmt.Sprintf(`{"Username":"s-%[1]d","Enabled":true,"UserStatus":"CONFIRMED","Attributes":[{"Name":"sub","Value":"s-%[1]d"},{"Name":"email","Value":"user%[1]d@acme.example"},{"Name":"email_verified","Value":"true"},{"Name":"name","Value":%[2]q}]}`, n, name)
}

// siem is a receiver behind the engine that real sinks share. It wants each
// sign-in of each tenant once, in order.
type siem struct {
	t       *testing.T
	tenants map[string]tenant // by prefix
	next    map[string]int64  // the minute wanted
	notices int64
}

func newSIEM(t *testing.T, from time.Time, tenants ...tenant) *siem {
	t.Helper()
	s := &siem{t: t, tenants: map[string]tenant{}, next: map[string]int64{}}
	for _, tenant := range tenants {
		minute := from.Unix() / 60
		for ; minute%tenant.every != 0; minute++ {
		}
		s.tenants[tenant.prefix], s.next[tenant.prefix] = tenant, minute
	}
	return s
}

func (*siem) Append(dst []byte, e *schema.Event, _ time.Time) ([]byte, stream.Mark, error) {
	return append(append(dst, e.Metadata.UID...), '\n'), stream.Mark{}, nil
}

func (*siem) Frame() stream.Frame { return stream.Frame{} }

func (s *siem) Send(_ context.Context, r stream.Request) stream.Answer {
	for id := range strings.FieldsSeq(string(r.Body)) {
		s.got(id)
	}
	return stream.Answer{}
}

func (s *siem) got(id string) {
	prefix := id[:min(len(id), 3)]
	minute, err := strconv.ParseInt(id[len(prefix):], 10, 64)
	if err != nil || s.tenants[prefix].name == "" {
		s.notices++
		return
	}
	if minute != s.next[prefix] {
		s.t.Errorf("got the sign-in of minute %d of %s, want that of %d", minute, s.tenants[prefix].name, s.next[prefix])
	}
	s.next[prefix] = minute + s.tenants[prefix].every
}

// requests to a store, and what went over the wire.
type requests struct {
	Get, Head, Put, Replace, List, Delete int64
	// Listed keys; Up and Down are bytes of bodies.
	Listed, Up, Down int64
}

func (r requests) minus(b requests) requests {
	return requests{
		r.Get - b.Get, r.Head - b.Head, r.Put - b.Put, r.Replace - b.Replace, r.List - b.List, r.Delete - b.Delete,
		r.Listed - b.Listed, r.Up - b.Up, r.Down - b.Down,
	}
}

func (r requests) plus(b requests) requests { return r.minus(requests{}.minus(b)) }

// most is the more of both, of each kind.
func (r requests) most(b requests) requests {
	return requests{
		max(r.Get, b.Get), max(r.Head, b.Head), max(r.Put, b.Put), max(r.Replace, b.Replace), max(r.List, b.List), max(r.Delete, b.Delete),
		max(r.Listed, b.Listed), max(r.Up, b.Up), max(r.Down, b.Down),
	}
}

// within says whether r is no more than b: no more requests, and of bytes, which
// numbers in texts make more, hardly more.
func (r requests) within(b requests) bool {
	alike := func(n, m int64) bool { return n <= m+m/5 }
	up, down := alike(r.Up, b.Up), alike(r.Down, b.Down)
	r.Up, r.Down, b.Up, b.Down = 0, 0, 0, 0
	return r.most(b) == b && up && down
}

// meter counts the requests to a store.
type meter struct {
	*blobtest.Packed
	get, head, put, replace, list, deleted, listed, up, down atomic.Int64
}

var (
	_ blob.Store    = (*meter)(nil)
	_ blob.ReaderAt = (*meter)(nil)
)

func newMeter(t *testing.T) *meter {
	t.Helper()
	return &meter{Packed: blobtest.NewPacked(t, time.Now)}
}

func (m *meter) count() requests {
	return requests{
		m.get.Load(), m.head.Load(), m.put.Load(), m.replace.Load(), m.list.Load(), m.deleted.Load(),
		m.listed.Load(), m.up.Load(), m.down.Load(),
	}
}

func (m *meter) Get(ctx context.Context, key string) (io.ReadCloser, blob.Info, error) {
	m.get.Add(1)
	body, info, err := m.Packed.Get(ctx, key)
	m.down.Add(info.Size)
	return body, info, err
}

func (m *meter) Head(ctx context.Context, key string) (blob.Info, error) {
	m.head.Add(1)
	return m.Packed.Head(ctx, key)
}

func (m *meter) PutNew(ctx context.Context, key string, body blob.Body) (blob.Info, error) {
	m.put.Add(1)
	info, err := m.Packed.PutNew(ctx, key, body)
	m.up.Add(info.Size)
	return info, err
}

func (m *meter) PutMatch(ctx context.Context, key, etag string, body blob.Body) (blob.Info, error) {
	m.replace.Add(1)
	info, err := m.Packed.PutMatch(ctx, key, etag, body)
	m.up.Add(info.Size)
	return info, err
}

// List counts a request for each page of S3.
func (m *meter) List(ctx context.Context, prefix, after string) iter.Seq2[blob.Info, error] {
	const page = 1000
	return func(yield func(blob.Info, error) bool) {
		m.list.Add(1)
		n := 0
		for info, err := range m.Packed.List(ctx, prefix, after) {
			if n++; n%page == 0 {
				m.list.Add(1)
			}
			m.listed.Add(1)
			if !yield(info, err) {
				return
			}
		}
	}
}

func (m *meter) Delete(ctx context.Context, key string) error {
	m.deleted.Add(1)
	return m.Packed.Delete(ctx, key)
}

// OpenAt is a request when it is read, mostly one.
func (m *meter) OpenAt(ctx context.Context, info blob.Info) (blob.ReadAtCloser, error) {
	m.get.Add(1)
	m.down.Add(info.Size)
	return m.Packed.OpenAt(ctx, info)
}

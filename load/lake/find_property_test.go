package lake_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/blob/blobtest"
	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/load/lake"
	"github.com/idtrail/idtrail/load/loadtest"
	"github.com/idtrail/idtrail/schema"
)

// filed is an event with the place it was filed at.
type filed struct {
	source, day string
	event       schema.Event
}

// randomLake writes a lake of three sources, one in JSON, with many flushes, names
// that differ in case alone, clocks that were wrong, and events without a user.
func randomLake(t *testing.T, r *rand.Rand, store blob.Store) []filed {
	t.Helper()
	var all []filed
	for n, source := range []string{"acme", "pool", "zeta"} {
		newSink := lake.NewParquet
		if n == 2 {
			newSink = lake.NewJSON
		}
		s := newSink(options(t, store))
		for flush := range int64(2 + r.IntN(4)) {
			var rows []load.Row
			for day := range 3 {
				date := time.Date(2026, 1, 1+day, 0, 0, 0, 0, time.UTC)
				some := make([]schema.Event, r.IntN(60))
				for i := range some {
					some[i] = randomEvent(r, date.Add(time.Duration(r.IntN(86_400_000))*time.Millisecond))
				}
				slices.SortStableFunc(some, func(a, b schema.Event) int { return cmp.Compare(a.Time, b.Time) })
				for i := range some {
					rows = append(rows, load.Row{Day: date.Format(time.DateOnly), Event: &some[i]})
					all = append(all, filed{source, date.Format(time.DateOnly), some[i]})
				}
			}
			if len(rows) > 0 {
				mustFlush(t, s, loadtest.Batch(source, flush+1, flush+2, rows))
			}
		}
	}
	return all
}

func pick[T any](r *rand.Rand, some ...T) T { return some[r.IntN(len(some))] }

func randomUser(r *rand.Rand) *schema.UserObject {
	if r.IntN(4) == 0 {
		return nil
	}
	return &schema.UserObject{
		UID: pick(r, "", "auth0|1", "auth0|2", "sub-1"), UIDAlt: pick(r, "", "", "sub-1"),
		Name: pick(r, "", "Ann", "ANN", "bob", "straße", "K"), EmailAddr: pick(r, "", "ann@example.com", "Ann@Example.COM"),
	}
}

func randomEvent(r *rand.Rand, at time.Time) schema.Event {
	if r.IntN(20) == 0 {
		at = at.AddDate(-40, 0, 0) // its clock was wrong
	}
	var e schema.Event
	if r.IntN(10) == 0 {
		loadtest.Fill(&e, r.IntN(100))
	}
	e.Time, e.TimeDT = at.UnixMilli(), at
	e.Metadata.UID = fmt.Sprintf("%016x", r.Uint64())
	e.User, e.UserResult, e.Actor = randomUser(r), randomUser(r), nil
	if u := randomUser(r); u != nil || r.IntN(2) == 0 {
		e.Actor = &schema.Actor{User: u, AppName: pick(r, "", "shop")}
	}
	e.SrcEndpoint = nil
	if r.IntN(3) > 0 {
		e.SrcEndpoint = &schema.NetworkEndpoint{IP: pick(r, "192.0.2.1", "192.0.2.77", "2001:db8::1", "2001:DB8:0::1", "::ffff:192.0.2.1", "none", "")}
	}
	e.ClassUID, e.ClassName = pick(r, int32(3001), 3002), pick(r, "Account Change", "Authentication")
	e.ActivityID, e.ActivityName = pick(r, int32(1), 99), pick(r, "Logon", "Odd")
	e.StatusID = pick(r, schema.StatusSuccess, schema.StatusFailure)
	e.RawData = strings.Repeat(fmt.Sprint(r.Uint64()), r.IntN(40))
	return e
}

func randomQuery(r *rand.Rand) lake.Query {
	at := func() time.Time { return time.Date(2026, 1, 1, r.IntN(72), r.IntN(60), 0, 0, time.UTC) }
	q := lake.Query{
		User:   pick(r, "", "auth0|1", "ann", "ANN@example.com", "sub-1", "STRASSE", "STRAßE", "k", "nobody"),
		From:   pick(r, "", "", "", "192.0.2.1", "192.0.2.0/24", "2001:db8::1", "::ffff:192.0.2.77"),
		Failed: r.IntN(4) == 0, Newest: r.IntN(2) == 0, Limit: pick(r, 0, 0, 1, 7),
		Classes: pick(r, nil, nil, []string{"authentication"}, []string{"3001", "authentication"}), Activities: pick(r, nil, nil, []string{"LOGON"}, []string{"99"}),
		Sources: pick(r, nil, nil, []string{"acme"}, []string{"zeta", "pool"}),
	}
	if r.IntN(2) == 0 {
		q.Since = at()
	}
	if r.IntN(2) == 0 {
		q.Until = at()
	}
	for range r.IntN(3) {
		a := lake.Account{ID: pick(r, "", "auth0|2", "sub-1"), Name: pick(r, "", "bob", "ann", "k")}
		if r.IntN(2) == 0 {
			a.From, a.To = at(), at()
		}
		q.Accounts = append(q.Accounts, a)
	}
	if q.User == "" && q.From == "" && !slices.ContainsFunc(q.Accounts, func(a lake.Account) bool { return a.ID != "" || a.Name != "" }) {
		q.User = "ann"
	}
	return q
}

// naive says what a query asks for in the plainest words.
func naive(q lake.Query, f filed) bool {
	e := &f.event
	day, _ := time.Parse(time.DateOnly, f.day)
	inDay := !e.TimeDT.Before(day) && e.TimeDT.Before(day.AddDate(0, 0, 1))
	if inDay && (!q.Since.IsZero() && e.TimeDT.Before(q.Since) || !q.Until.IsZero() && !e.TimeDT.Before(q.Until)) {
		return false
	}
	if !inDay && (!q.Since.IsZero() && f.day < q.Since.Format(time.DateOnly) ||
		!q.Until.IsZero() && f.day > q.Until.Add(-1).Format(time.DateOnly)) {
		return false
	}
	if len(q.Sources) > 0 && !slices.Contains(q.Sources, f.source) || q.Failed && e.StatusID != schema.StatusFailure {
		return false
	}
	if len(q.Classes) > 0 && !naiveNamed(q.Classes, e.ClassUID, e.ClassName) || len(q.Activities) > 0 && !naiveNamed(q.Activities, e.ActivityID, e.ActivityName) {
		return false
	}
	return naiveFrom(q.From, e) && naiveWho(q, e)
}

func naiveNamed(wanted []string, number int32, name string) bool {
	return slices.ContainsFunc(wanted, func(w string) bool { return w == fmt.Sprint(number) || strings.EqualFold(w, name) })
}

func naiveFrom(from string, e *schema.Event) bool {
	if from == "" {
		return true
	}
	if e.SrcEndpoint == nil {
		return false
	}
	is, err := netip.ParseAddr(e.SrcEndpoint.IP)
	if err != nil {
		return false
	}
	if net, err := netip.ParsePrefix(from); err == nil {
		return net.Contains(is.Unmap())
	}
	return is.Unmap() == netip.MustParseAddr(from).Unmap()
}

func naiveWho(q lake.Query, e *schema.Event) bool {
	users := []*schema.UserObject{e.User, e.UserResult}
	if e.Actor != nil {
		users = append(users, e.Actor.User)
	}
	anybody := q.User == ""
	for _, a := range q.Accounts {
		anybody = anybody && a.ID == "" && a.Name == ""
		in := (a.From.IsZero() || !e.TimeDT.Before(a.From)) && (a.To.IsZero() || e.TimeDT.Before(a.To))
		for _, u := range users {
			if u == nil || !in {
				continue
			}
			if a.ID != "" && (u.UID == a.ID || u.UIDAlt == a.ID) {
				return true
			}
			if a.Name != "" && u.UID == "" && u.UIDAlt == "" && (strings.EqualFold(u.Name, a.Name) || strings.EqualFold(u.EmailAddr, a.Name)) {
				return true
			}
		}
	}
	for _, u := range users {
		if q.User != "" && u != nil && (u.UID == q.User || u.UIDAlt == q.User || strings.EqualFold(u.Name, q.User) || strings.EqualFold(u.EmailAddr, q.User)) {
			return true
		}
	}
	return anybody
}

// What is found is what reading everything finds, event by event, in the order that
// is promised.
func TestFindProperty(t *testing.T) {
	rounds := 16
	if testing.Short() {
		rounds = 5
	}
	for seed := range uint64(rounds) {
		r := rand.New(rand.NewPCG(seed, 0))
		store := blobtest.NewMemory()
		all := randomLake(t, r, store)
		for range 15 {
			q := randomQuery(r)
			var want []filed
			for _, f := range all {
				if naive(q, f) {
					want = append(want, f)
				}
			}
			checkFound(t, fmt.Sprintf("seed %d, %+v", seed, q), q, store, want)
		}
	}
}

func checkFound(t *testing.T, what string, q lake.Query, store blob.Store, want []filed) {
	t.Helper()
	byUID := map[string]filed{}
	var times []string
	for _, f := range want {
		byUID[f.event.Metadata.UID] = f
		times = append(times, f.day+fmt.Sprintf(" %020d", f.event.Time+1<<50))
	}
	slices.Sort(times)
	if q.Newest {
		slices.Reverse(times)
	}
	if q.Limit > 0 {
		times = times[:min(q.Limit, len(times))]
	}
	var got []string
	for f, err := range lake.Open(store).Find(t.Context(), q) {
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		w, ok := byUID[f.Event.Metadata.UID]
		if !ok || w.source != f.Source {
			t.Fatalf("%s: found %s of %s, which is not asked for, or found before", what, f.Event.Metadata.UID, f.Source)
		}
		delete(byUID, f.Event.Metadata.UID)
		got = append(got, w.day+fmt.Sprintf(" %020d", f.Event.Time+1<<50))
		if len(f.Event.Unmapped) == 0 {
			f.Event.Unmapped = w.event.Unmapped // the Parquet library may write an empty map for none
		}
		same(t, what, []schema.Event{w.event}, []schema.Event{f.Event})
	}
	if diff := gocmp.Diff(times, got); diff != "" {
		t.Fatalf("%s: (-want +got)\n%s", what, diff)
	}
}

// meter counts what is read of a store.
type meter struct {
	blob.Store

	opened, reads, bytes atomic.Int64
	far                  bool
}

func (m *meter) URL() string {
	if m.far {
		return "s3://bucket/lake"
	}
	return m.Store.URL()
}

func (m *meter) Get(ctx context.Context, key string) (io.ReadCloser, blob.Info, error) {
	return nil, blob.Info{}, fmt.Errorf("a whole object is read: %s", key)
}

func (m *meter) OpenAt(ctx context.Context, info blob.Info) (blob.ReadAtCloser, error) {
	at, err := m.Store.(blob.ReaderAt).OpenAt(ctx, info)
	m.opened.Add(1)
	return meteredAt{at, m}, err
}

type meteredAt struct {
	blob.ReadAtCloser
	m *meter
}

func (a meteredAt) ReadAt(p []byte, off int64) (int, error) {
	a.m.reads.Add(1)
	a.m.bytes.Add(int64(len(p)))
	return a.ReadAtCloser.ReadAt(p, off)
}

// Of objects that do not hold the person one stretch is read each, of those of
// other days nothing, and of the one that does a few columns and the page of the
// payload.
func TestFindPrunes(t *testing.T) {
	const prunedDays, endSize = 12, 80 << 10
	store := blobtest.NewMemory()
	size := int64(0)
	for day := range prunedDays {
		date := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, day)
		rows := make([]load.Row, 3000)
		for i := range rows {
			e := loadtest.Event(int64(i), date.Add(time.Duration(i)*time.Second))
			e.User.UID, e.User.Name, e.User.EmailAddr = fmt.Sprint("u", i), "", ""
			e.RawData += fmt.Sprintf("%x", noise(300))
			if day == 7 && i == 1234 {
				e.User.UID = "wanted"
			}
			rows[i] = load.Row{Day: date.Format(time.DateOnly), Event: &e}
		}
		mustFlush(t, lake.NewParquet(options(t, store)), loadtest.Batch("acme", int64(day)+1, int64(day)+2, rows))
	}
	for info, err := range store.List(t.Context(), "events/", "") {
		if err != nil {
			t.Fatal(err)
		}
		size = max(size, info.Size)
	}
	for name, test := range map[string]struct {
		q                    lake.Query
		far                  bool
		opened, reads, bytes int64
	}{
		"nobody":        {q: lake.Query{User: "nobody"}, opened: prunedDays, reads: prunedDays + 1, bytes: prunedDays * endSize},
		"one":           {q: lake.Query{User: "wanted"}, far: true, opened: prunedDays + 1, reads: prunedDays + 7, bytes: prunedDays*endSize + size*6/10},
		"one, in brief": {q: lake.Query{User: "wanted", Brief: true}, far: true, opened: prunedDays + 1, reads: prunedDays + 7, bytes: prunedDays*endSize + size/3},
		"other days":    {q: lake.Query{User: "wanted", Until: time.Date(2026, 1, 3, 0, 0, 0, 0, time.UTC)}, opened: 2, reads: 3, bytes: 2 * endSize},
		"the newest":    {q: lake.Query{From: "198.51.0.0/16", Newest: true, Limit: 1}, opened: 8, reads: 50, bytes: 4 * size},
	} {
		m := &meter{Store: store, far: test.far}
		for _, err := range lake.Open(m).Find(t.Context(), test.q) {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		t.Logf("%s: %d opened, %d reads, %d KB; an object has %d KB", name, m.opened.Load(), m.reads.Load(), m.bytes.Load()>>10, size>>10)
		if m.opened.Load() > test.opened || m.reads.Load() > test.reads || m.bytes.Load() > test.bytes {
			t.Errorf("%s: %d objects opened, %d reads, %d bytes; want at most %d, %d, %d",
				name, m.opened.Load(), m.reads.Load(), m.bytes.Load(), test.opened, test.reads, test.bytes)
		}
	}
}

// An object that is damaged anywhere is named, or what it holds is found as if it
// were not; never does one stop the search, or hide what others hold.
func TestFindDamaged(t *testing.T) {
	store := blobtest.NewMemory()
	rows := eventRows(72, func(_ int, e *schema.Event) { e.User = &schema.UserObject{UID: "u"} })
	mustFlush(t, lake.NewParquet(options(t, store)), loadtest.Batch("acme", 1, 2, rows))
	key := "events/source=acme/dt=2026-01-02/000000000001-000000000001.parquet"
	whole := slices.Clone(store.Objects()[key])
	r := rand.New(rand.NewPCG(3, 3))
	try := func(what string, broken []byte) {
		replace(t, store, key, broken)
		n, bad := 0, 0
		for f, err := range lake.Open(store).Find(t.Context(), lake.Query{User: "u"}) {
			var object *lake.ObjectError
			switch {
			case errors.As(err, &object) && object.Key == key:
				bad++
			case err != nil:
				t.Fatalf("%s: %v", what, err)
			case f.Event.TimeDT.Day() != 2:
				n++
			}
		}
		if n != 48 {
			t.Errorf("%s: %d events of the other objects are found, want 48", what, n)
		}
		if strings.HasPrefix(what, "cut") && bad == 0 {
			t.Errorf("%s: no error names it", what)
		}
	}
	for _, n := range []int{0, 1, 4, 8, 100, len(whole) / 2, len(whole) - 1} {
		try(fmt.Sprint("cut to ", n), whole[:n])
	}
	rounds := 150
	if testing.Short() {
		rounds = 40
	}
	for range rounds {
		broken := slices.Clone(whole)
		for range 1 + r.IntN(4) {
			broken[r.IntN(len(broken))] ^= byte(1 + r.IntN(255))
		}
		try("bytes changed", broken)
	}
}

func replace(t *testing.T, store blob.Store, key string, body []byte) {
	t.Helper()
	info, err := store.Head(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.PutMatch(t.Context(), key, info.ETag, strings.NewReader(string(body))); err != nil {
		t.Fatal(err)
	}
}

// An object that was removed since it was listed is told of.
func TestFindRemovedMeanwhile(t *testing.T) {
	for name, newSink := range sinks() {
		store := blobtest.NewMemory()
		rows := eventRows(72, func(_ int, e *schema.Event) { e.User = &schema.UserObject{UID: "u"} })
		mustFlush(t, newSink(options(t, store)), loadtest.Batch("acme", 1, 2, rows))
		gone := &removing{Store: store, day: "dt=2026-01-02"}
		n, bad := 0, 0
		for _, err := range lake.Open(gone).Find(t.Context(), lake.Query{User: "u"}) {
			switch {
			case errors.Is(err, blob.ErrNotExist) && errors.As(err, new(*lake.ObjectError)):
				bad++
			case err != nil:
				t.Fatal(err)
			default:
				n++
			}
		}
		if n != 48 || bad != 1 {
			t.Errorf("%s: %d found and %d objects told of, want 48 and 1", name, n, bad)
		}
	}
}

// removing is a store whose objects of a day are gone once they were listed.
type removing struct {
	blob.Store
	day string
}

func (s *removing) Get(ctx context.Context, key string) (io.ReadCloser, blob.Info, error) {
	if strings.Contains(key, s.day) {
		return nil, blob.Info{}, fmt.Errorf("get %s: %w", key, blob.ErrNotExist)
	}
	return s.Store.Get(ctx, key)
}

// What names people is in the index, whatever its case and spelling; a column with
// a name more needs its place in both.
func TestIndexCoversWhatIsMatched(t *testing.T) {
	var e schema.Event
	loadtest.Fill(&e, 1)
	e.Time, e.TimeDT = now().UnixMilli(), now()
	e.SrcEndpoint.IP = "2001:DB8::0001"
	store := blobtest.NewMemory()
	mustFlush(t, lake.NewParquet(options(t, store)), loadtest.Batch("acme", 1, 2, []load.Row{{Day: "2026-01-03", Event: &e}}))
	for _, u := range []*schema.UserObject{e.User, e.Actor.User, e.UserResult} {
		for _, name := range []string{u.UID, u.UIDAlt, strings.ToUpper(u.Name), strings.ToLower(u.EmailAddr)} {
			if got := len(found(t, store, lake.Query{User: name})); got != 1 {
				t.Errorf("%q: %d found, want 1", name, got)
			}
		}
	}
	for _, ip := range []string{"2001:db8::1", "2001:0DB8:0::1"} {
		if got := len(found(t, store, lake.Query{From: ip})); got != 1 {
			t.Errorf("%q: %d found, want 1", ip, got)
		}
	}
}

// In brief an event says the same in a line.
func TestFindBrief(t *testing.T) {
	store := blobtest.NewMemory()
	mustFlush(t, lake.NewParquet(options(t, store)), loadtest.Batch("acme", 1, 2, eventRows(30, func(int, *schema.Event) {})))
	who := loadtest.Event(0, now()).User.UID
	for f, err := range lake.Open(store).Find(t.Context(), lake.Query{User: who, Brief: true}) {
		if err != nil {
			t.Fatal(err)
		}
		e := &f.Event
		if e.ClassName == "" || e.ActivityName == "" || e.Status == "" || e.User.UID != who || e.SrcEndpoint.IP == "" ||
			e.Actor.AppName == "" || e.TimeDT.IsZero() || e.Metadata.UID == "" {
			text, _ := json.Marshal(e)
			t.Errorf("in brief: %s", text)
		}
		if e.RawData != "" || e.Unmapped != nil || e.Observables != nil || e.Session != nil {
			t.Errorf("more than in brief was read")
		}
	}
}

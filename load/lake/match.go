package lake

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/parquet-go/parquet-go"

	"github.com/idtrail/idtrail/schema"
)

// matcher says whether an event is one that a query asks for, of whole events and
// of the columns of a file.
type matcher struct {
	// ids find whoever has the id, names whoever is called so, aliases those who
	// are and have no id besides.
	ids     map[string]periods
	names   []string
	aliases []alias
	// timed says that some of these hold for a time only.
	timed bool
	// from is nil if it does not matter.
	from   *addresses
	fields []fieldTest
	// people and places are, as an index knows them, what an event has to have
	// one of each of; nil where an index cannot tell.
	people, places []uint64
}

// alias is a name that finds somebody for a time.
type alias struct {
	name string
	when period
}

// period is a span in epoch milliseconds: from <= t < to.
type period struct{ from, to int64 }

func always() period { return period{math.MinInt64, math.MaxInt64} }

func periodOf(a Account) period {
	p := always()
	if !a.From.IsZero() {
		p.from = a.From.UnixMilli()
	}
	if !a.To.IsZero() {
		p.to = a.To.UnixMilli()
	}
	return p
}

func (p period) holds(t int64) bool { return p.from <= t && t < p.to }

// periods are several, any of which may hold.
type periods []period

func (p periods) hold(t int64) bool {
	return slices.ContainsFunc(p, func(p period) bool { return p.holds(t) })
}

func newMatcher(q Query) (*matcher, error) {
	m := &matcher{ids: map[string]periods{}, fields: fieldTests(q)}
	for _, a := range q.Accounts {
		m.account(a)
	}
	if q.User != "" {
		m.ids[q.User], m.names = append(m.ids[q.User], always()), []string{q.User}
		m.people = append(m.people, hashName(q.User))
	}
	if q.From != "" {
		from, err := parseAddresses(q.From)
		if err != nil {
			return nil, err
		}
		m.from = from
		if from.single() {
			m.places = []uint64{hashName(canonicalAddress(q.From))}
		}
	}
	if m.anybody() && m.from == nil {
		return nil, errors.New("find: neither a person nor an address is asked for")
	}
	return m, nil
}

func (m *matcher) account(a Account) {
	when := periodOf(a)
	m.timed = m.timed || when != always()
	if a.ID != "" {
		m.ids[a.ID] = append(m.ids[a.ID], when)
		m.people = append(m.people, hashName(a.ID))
	}
	if a.Name != "" {
		m.aliases = append(m.aliases, alias{a.Name, when})
		m.people = append(m.people, hashName(a.Name))
	}
}

// anybody says that it does not matter who it was.
func (m *matcher) anybody() bool { return len(m.ids) == 0 && len(m.aliases) == 0 }

// mayBeIn says whether a row group may hold what is looked for.
func (m *matcher) mayBeIn(x nameIndex, group int) bool {
	return (m.people == nil || x.mayHold(group, m.people)) && (m.places == nil || x.mayHold(group, m.places))
}

func (m *matcher) mayBeInAny(x nameIndex) bool {
	for group := range x {
		if m.mayBeIn(x, group) {
			return true
		}
	}
	return false
}

// id says whether it finds whoever had the id at time t.
func (m *matcher) id(s string, t int64) bool {
	return m.ids[s].hold(t)
}

func (m *matcher) name(s string) bool { return equalsAny(m.names, s) }

// alias says whether it finds whoever was called so at time t, if that is all that
// is known of them.
func (m *matcher) alias(s string, t int64) bool {
	return slices.ContainsFunc(m.aliases, func(a alias) bool {
		return s != "" && strings.EqualFold(a.name, s) && a.when.holds(t)
	})
}

func equalsAny(names []string, s string) bool {
	for _, name := range names {
		if s != "" && strings.EqualFold(name, s) {
			return true
		}
	}
	return false
}

func (m *matcher) user(u *schema.UserObject, t int64) bool {
	if u == nil {
		return false
	}
	if m.id(u.UID, t) || m.id(u.UIDAlt, t) || m.name(u.Name) || m.name(u.EmailAddr) {
		return true
	}
	return u.UID == "" && u.UIDAlt == "" && (m.alias(u.Name, t) || m.alias(u.EmailAddr, t))
}

func (m *matcher) event(e *schema.Event) bool {
	who := m.anybody() || m.user(e.User, e.Time) || m.user(e.UserResult, e.Time) || e.Actor != nil && m.user(e.Actor.User, e.Time)
	return who && (m.from == nil || e.SrcEndpoint != nil && m.from.has(e.SrcEndpoint.IP)) &&
		!slices.ContainsFunc(m.fields, func(t fieldTest) bool { return !t.event(e) })
}

// addresses are those of a network, or one.
type addresses struct {
	text   string
	prefix netip.Prefix
}

func parseAddresses(text string) (*addresses, error) {
	if addr, err := netip.ParseAddr(text); err == nil {
		addr = addr.Unmap().WithZone("")
		return &addresses{text, netip.PrefixFrom(addr, addr.BitLen())}, nil
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return nil, fmt.Errorf("%q is neither an IP address nor a network", text)
	}
	return &addresses{text, prefix.Masked()}, nil
}

// CheckFrom returns an error if text is not what [Query.From] takes.
func CheckFrom(text string) error {
	_, err := parseAddresses(text)
	return err
}

func (a *addresses) single() bool { return a.prefix.IsSingleIP() && !strings.Contains(a.text, "/") }

func (a *addresses) has(ip string) bool {
	if ip == "" {
		return false
	}
	addr, err := netip.ParseAddr(ip)
	return err == nil && a.prefix.Contains(addr.Unmap().WithZone(""))
}

// canonicalAddress is an IP address in the one form that stands for all of its
// spellings; what is none is left as it is.
func canonicalAddress(ip string) string {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return ip
	}
	return addr.Unmap().WithZone("").String()
}

// fieldTest is a test of one field of an event; of a file, of either of two
// columns.
type fieldTest struct {
	event   func(e *schema.Event) bool
	columns []columnTest
}

// columnTest is a test of a column, a column of a struct has a dot in its name.
type columnTest struct {
	path []string
	test func(v parquet.Value) bool
}

func fieldTests(q Query) []fieldTest {
	var tests []fieldTest
	if q.Failed {
		tests = append(tests, fieldTest{
			event: func(e *schema.Event) bool { return e.StatusID == schema.StatusFailure },
			columns: []columnTest{{[]string{"status_id"}, func(v parquet.Value) bool {
				return !v.IsNull() && v.Int32() == schema.StatusFailure
			}}},
		})
	}
	if len(q.Classes) > 0 {
		tests = append(tests, namedTest(q.Classes, "class_uid", "class_name",
			func(e *schema.Event) (int32, string) { return e.ClassUID, e.ClassName }))
	}
	if len(q.Activities) > 0 {
		tests = append(tests, namedTest(q.Activities, "activity_id", "activity_name",
			func(e *schema.Event) (int32, string) { return e.ActivityID, e.ActivityName }))
	}
	return tests
}

// namedTest tests a field that has a number and a name.
func namedTest(wanted []string, number, name string, of func(e *schema.Event) (int32, string)) fieldTest {
	var names []string
	numbers := map[int32]bool{}
	for _, w := range wanted {
		if n, err := strconv.ParseInt(w, 10, 32); err == nil {
			numbers[int32(n)] = true
			continue
		}
		names = append(names, w)
	}
	return fieldTest{
		event: func(e *schema.Event) bool {
			n, s := of(e)
			return numbers[n] || equalsAny(names, s)
		},
		columns: []columnTest{
			{[]string{number}, func(v parquet.Value) bool { return !v.IsNull() && numbers[v.Int32()] }},
			{[]string{name}, func(v parquet.Value) bool { return !v.IsNull() && equalsAny(names, string(v.ByteArray())) }},
		},
	}
}

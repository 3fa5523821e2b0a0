// Package transform maps raw records to events and users, and cuts secrets out
// of records before they are landed. All of it is pure: the same record gives
// the same bytes, on any machine, at any time.
//
// One file per source; the mapping tables are data files beside it. It does not
// read, write, remember or log anything.
package transform

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/idtrail/idtrail/schema"
)

// Version of the mapping. It is raised by every change that could map some
// record differently, and stands in flush records and rejects.
const Version = 1

// ScrubVersion of the rules of [Scrub]; it stands in segment headers.
const ScrubVersion = 1

// Mapper maps the records of one source. The zero value works. It may be used
// concurrently, but not copied.
type Mapper struct {
	// SelfClients are the Auth0 client ids idtrail itself uses: events they
	// cause are labelled "self".
	SelfClients []string
	// PhoneRegion (ISO 3166-1 alpha-2) reads phone numbers without a country
	// code; "" leaves them unread.
	PhoneRegion string
	// Attributes are the vendor attributes kept in User.Attributes: a Cognito
	// attribute name, or app_metadata.NAME / user_metadata.NAME of Auth0.
	Attributes []string
	// LinkAttribute names the attribute (same forms) that holds the id of the
	// person's account on the other side.
	LinkAttribute string

	rooms sync.Pool // of *room
}

// room returns an empty room; leave takes it back.
func (m *Mapper) room() *room {
	if r, ok := m.rooms.Get().(*room); ok {
		return r
	}
	return newRoom()
}

func (m *Mapper) leave(r *room) {
	r.empty()
	m.rooms.Put(r)
}

// Result is what one record gave: events, users or settings; several events
// where one record tells of several targets.
type Result struct {
	Events   []schema.Event
	Users    []schema.User
	Settings []schema.Setting
}

// ErrUnmappable is wrapped by every error of [Mapper.Map].
var ErrUnmappable = errors.New("cannot be mapped")

// Map maps one landed line. landedAt dates events whose own time cannot be
// used. The error says why the record is to be rejected; it names no value of
// the record. An erased record gives nothing, and is no error.
func (m *Mapper) Map(kind schema.Kind, line []byte, landedAt time.Time) (Result, error) {
	switch kind {
	case schema.KindAuth0Log:
		return m.auth0Log(line, landedAt)
	case schema.KindCloudTrail:
		return m.cloudTrail(line, landedAt)
	case schema.KindAuth0User:
		return m.auth0User(line)
	case schema.KindCognitoUser:
		return m.cognitoUser(line)
	case schema.KindCognitoAuthEvent:
		return cognitoAuthEvent(line, landedAt)
	case schema.KindSetting:
		return setting(line)
	case schema.KindUnparsed:
		return unparsed(line)
	case schema.KindErased:
		return Result{}, nil
	default:
		return Result{}, fmt.Errorf("kind %q: %w", kind, ErrUnmappable)
	}
}

// When is the instant an event of this record is given, and whether that is the
// record's own time. A record without a readable time gets landedAt.
func When(kind schema.Kind, line []byte, landedAt time.Time) (at time.Time, own bool) {
	return when(kind.Time(line), landedAt)
}

func when(said, landedAt time.Time) (at time.Time, own bool) {
	if !said.IsZero() {
		return said.Truncate(time.Millisecond), true
	}
	return landedAt.UTC().Truncate(time.Millisecond), false
}

// Day is the UTC day an event at that instant is filed under: its own, unless
// it lies more than ten years before or a day after landing (a wrong clock);
// then the day of landing, and own is false.
func Day(at, landedAt time.Time) (day string, own bool) {
	if at.Before(landedAt.AddDate(-10, 0, 0)) || at.After(landedAt.AddDate(0, 0, 1)) {
		return landedAt.UTC().Format(time.DateOnly), false
	}
	return at.UTC().Format(time.DateOnly), true
}

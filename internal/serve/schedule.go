package serve

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/idtrail/idtrail/internal/config"
)

// Schedule says when a job is due, in a time zone.
//
// Where clocks are changed it does what cron has always done. A schedule of
// every hour goes by the time that passes: every five minutes is every five
// minutes, 276 times on the day that lacks an hour and 300 times on the one that
// has it twice. One of certain hours is due once for each time on the clock:
// what lies in the missing hour is due when the clock has jumped, once, and what
// lies in the doubled one is due in the first of the two only.
type Schedule struct {
	text string
	zone *time.Location
	// spec is nil for one of a span of time, which is every.
	spec  *cron.SpecSchedule
	every time.Duration
}

var _ cron.Schedule = Schedule{}

// ParseSchedule reads cron's five fields, @hourly and the like, or @every with a
// span. A zone in the text itself (CRON_TZ=Europe/Berlin before the fields) goes
// before the zone given.
func ParseSchedule(text string, zone *time.Location) (Schedule, error) {
	s := Schedule{text: text, zone: zone}
	rest, err := s.takeZone(strings.Join(strings.Fields(text), " "))
	if err != nil {
		return s, err
	}
	if every, ok := strings.CutPrefix(rest, "@every "); ok {
		s.every, err = config.ParseSpan(every)
		if err == nil && s.every < time.Second {
			err = errors.New("is shorter than a second")
		}
		return s, wrapped(text, err)
	}
	parsed, err := cron.ParseStandard(rest)
	if err != nil {
		return s, wrapped(text, err)
	}
	// Without a zone in the text and with no @every it is always this type.
	s.spec, _ = parsed.(*cron.SpecSchedule)
	s.spec.Location = time.UTC
	if s.spec.Next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return s, wrapped(text, errors.New("it never comes"))
	}
	return s, nil
}

func wrapped(text string, err error) error {
	if err != nil {
		return fmt.Errorf("read schedule %q: %w", text, err)
	}
	return nil
}

// takeZone takes the zone before the fields.
func (s *Schedule) takeZone(text string) (rest string, err error) {
	first, rest, _ := strings.Cut(text, " ")
	name, ok := strings.CutPrefix(first, "CRON_TZ=")
	if !ok {
		name, ok = strings.CutPrefix(first, "TZ=")
	}
	if !ok {
		return text, nil
	}
	s.zone, err = time.LoadLocation(name)
	return rest, wrapped(text, err)
}

// String returns what was parsed.
func (s Schedule) String() string { return s.text }

// Zone is the time zone that its fields are read in.
func (s Schedule) Zone() *time.Location { return s.zone }

// Next is the first time after t at which the job is due; zero if there is none
// for years.
func (s Schedule) Next(t time.Time) time.Time {
	if s.spec == nil {
		return cron.Every(s.every).Next(t)
	}
	if s.everyHour() {
		spec := *s.spec
		spec.Location = s.zone
		return spec.Next(t.In(s.zone))
	}
	for clock := onClock(t.In(s.zone)); ; {
		if clock = s.spec.Next(clock); clock.IsZero() {
			return clock
		}
		if due := s.firstAt(clock); due.After(t) {
			return due
		}
	}
}

// everyHour says whether the schedule names no hours.
func (s Schedule) everyHour() bool {
	const hours = 1<<24 - 1
	return s.spec.Hour&hours == hours
}

// onClock is what a clock shows at t, as if it were in UTC.
func onClock(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}

// firstAt is when the clock of the zone first shows this or, where it is put
// forward over it, jumps.
func (s Schedule) firstAt(clock time.Time) time.Time {
	// Of a time there is twice, and of one there is not, Date picks either side.
	t := time.Date(clock.Year(), clock.Month(), clock.Day(), clock.Hour(), clock.Minute(), clock.Second(), 0, s.zone)
	start, end := t.ZoneBounds()
	switch shown := onClock(t); {
	case shown.After(clock):
		return start
	case shown.Before(clock):
		return end
	case start.IsZero():
		return t
	}
	_, offset := start.Add(-1).Zone()
	if before := time.Unix(clock.Unix()-int64(offset), 0).In(s.zone); before.Before(start) {
		return before
	}
	return t
}

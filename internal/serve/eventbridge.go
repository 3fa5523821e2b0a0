package serve

import (
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// EventBridge returns the schedule in the language of Amazon EventBridge
// Scheduler, to go with the name of [Schedule.Zone]; an error says why it has no
// such form. Where a day of the month or a day of the week will do, which
// EventBridge cannot say in one expression, it takes two, and the job is due
// twice at a time that fits both.
// https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
//
// It differs where clocks are put forward: see [Schedule.LeftOut].
func (s Schedule) EventBridge() ([]string, error) {
	if s.spec == nil {
		rate, err := eventBridgeRate(s.every)
		return []string{rate}, err
	}
	minute := eventBridgeField(s.spec.Minute, 0, 59, strconv.Itoa)
	hour := eventBridgeField(s.spec.Hour, 0, 23, strconv.Itoa)
	month := eventBridgeField(s.spec.Month, 1, 12, strconv.Itoa)
	day := eventBridgeField(s.spec.Dom, 1, 31, strconv.Itoa)
	weekday := eventBridgeField(s.spec.Dow, 0, 6, func(n int) string {
		return strings.ToUpper(time.Weekday(n).String()[:3])
	})
	// Exactly one of the two days is to be ?.
	form := func(day, weekday string) string {
		return fmt.Sprintf("cron(%s %s %s %s %s *)", minute, hour, day, month, weekday)
	}
	// Cron takes either day where both are given, and with a star the other one.
	either := !starred(s.spec.Dom) && !starred(s.spec.Dow)
	switch {
	case either && (day == "*" || weekday == "*"):
		return []string{form("*", "?")}, nil
	case either:
		return []string{form(day, "?"), form("?", weekday)}, nil
	case weekday != "*":
		return []string{form("?", weekday)}, nil
	default:
		return []string{form(day, "?")}, nil
	}
}

// LeftOut is the first time within a year at which the job is due because the
// clock is put forward over it: EventBridge leaves that out. Zero if there is none.
func (s Schedule) LeftOut(from time.Time) time.Time {
	if s.spec == nil || s.everyHour() {
		return time.Time{}
	}
	for t := s.Next(from); !t.IsZero() && t.Before(from.AddDate(1, 0, 0)); t = s.Next(t) {
		shown := onClock(t.In(s.zone))
		if !s.spec.Next(shown.Add(-time.Second)).Equal(shown) {
			return t
		}
	}
	return time.Time{}
}

// starred says whether a field was given as a star, which leaves the choice of
// days to the other one.
func starred(field uint64) bool { return field&(1<<63) != 0 }

// eventBridgeRate writes a span in the largest unit that it is whole in.
func eventBridgeRate(every time.Duration) (string, error) {
	for _, unit := range []struct {
		name string
		span time.Duration
	}{{"day", 24 * time.Hour}, {"hour", time.Hour}, {"minute", time.Minute}} {
		if every%unit.span != 0 {
			continue
		}
		n := every / unit.span
		if n == 1 {
			return "rate(1 " + unit.name + ")", nil
		}
		return fmt.Sprintf("rate(%d %ss)", n, unit.name), nil
	}
	return "", errors.New("EventBridge has no spans but of whole minutes")
}

// eventBridgeField writes the values of a field: all, in steps up to the last,
// or one by one with ranges.
func eventBridgeField(field uint64, first, last int, name func(int) string) string {
	var values []int
	for n := first; n <= last; n++ {
		if field&(1<<n) != 0 {
			values = append(values, n)
		}
	}
	if len(values) == last-first+1 {
		return "*"
	}
	if step := stepOf(values, last); step > 1 && last > 6 {
		return fmt.Sprintf("%d/%d", values[0], step)
	}
	var parts []string
	for i := 0; i < len(values); {
		// As many as follow one another.
		n := bits.TrailingZeros64(^(field &^ (1 << 63) >> values[i]))
		if n > 2 {
			parts = append(parts, name(values[i])+"-"+name(values[i]+n-1))
			i += n
			continue
		}
		parts = append(parts, name(values[i]))
		i++
	}
	return strings.Join(parts, ",")
}

// stepOf is the distance of at least three values that go on evenly up to the
// last possible; 0 if they do not.
func stepOf(values []int, last int) int {
	if len(values) < 3 {
		return 0
	}
	step := values[1] - values[0]
	for i := range values[1:] {
		if values[i+1]-values[i] != step {
			return 0
		}
	}
	if values[len(values)-1]+step <= last {
		return 0
	}
	return step
}

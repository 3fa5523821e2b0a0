package serve_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/idtrail/idtrail/internal/serve"
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func mustParse(t *testing.T, text string, z *time.Location) serve.Schedule {
	t.Helper()
	s, err := serve.ParseSchedule(text, z)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// within lists when a schedule is due on the days from one to another.
func within(s serve.Schedule, from, to time.Time) (due []string) {
	for t := s.Next(from.Add(-time.Nanosecond)); t.Before(to); t = s.Next(t) {
		due = append(due, t.In(s.Zone()).Format("02 15:04 -0700"))
	}
	return due
}

// TestClockChanges: 2026 in two zones, where the clock is put forward and back.
func TestClockChanges(t *testing.T) {
	berlin, york := zone(t, "Europe/Berlin"), zone(t, "America/New_York")
	spring := func(z *time.Location) time.Time {
		if z == berlin {
			return time.Date(2026, 3, 28, 0, 0, 0, 0, z)
		}
		return time.Date(2026, 3, 7, 0, 0, 0, 0, z)
	}
	autumn := func(z *time.Location) time.Time {
		if z == berlin {
			return time.Date(2026, 10, 24, 0, 0, 0, 0, z)
		}
		return time.Date(2026, 10, 31, 0, 0, 0, 0, z)
	}
	for _, tt := range []struct {
		name, schedule string
		zone           *time.Location
		from           func(*time.Location) time.Time
		want           string
	}{
		{"missing in Berlin", "30 2 * * *", berlin, spring, "28 02:30 +0100, 29 03:00 +0200, 30 02:30 +0200"},
		{"doubled in Berlin", "30 2 * * *", berlin, autumn, "24 02:30 +0200, 25 02:30 +0200, 26 02:30 +0100"},
		{"missing in New York", "30 2 * * *", york, spring, "07 02:30 -0500, 08 03:00 -0400, 09 02:30 -0400"},
		{"doubled in New York", "30 1 * * *", york, autumn, "31 01:30 -0400, 01 01:30 -0400, 02 01:30 -0500"},
		{"just after the doubled hour", "0 3 * * *", berlin, autumn, "24 03:00 +0200, 25 03:00 +0100, 26 03:00 +0100"},
		{"just after the missing hour", "0 3 * * *", berlin, spring, "28 03:00 +0100, 29 03:00 +0200, 30 03:00 +0200"},
		{"several in the missing hour", "*/30 2,4 29 * *", berlin, spring, "29 03:00 +0200, 29 04:00 +0200, 29 04:30 +0200"},
		{"the missing hour and the next", "*/30 2,3 29 * *", berlin, spring, "29 03:00 +0200, 29 03:30 +0200"},
		{"the doubled hour and the next", "30 1-3 25 * *", berlin, autumn, "25 01:30 +0200, 25 02:30 +0200, 25 03:30 +0100"},
		{"every hour over the missing one", "0 * 29 * *", berlin, spring, "29 00:00 +0100, 29 01:00 +0100, 29 03:00 +0200, 29 04:00 +0200"},
		{"every hour over the doubled one", "0 * 25 * *", berlin, autumn, "25 00:00 +0200, 25 01:00 +0200, 25 02:00 +0200, 25 02:00 +0100, 25 03:00 +0100"},
		{"a zone of its own", "CRON_TZ=America/New_York\t30 2 * * *", berlin, func(*time.Location) time.Time { return spring(york) }, "07 02:30 -0500, 08 03:00 -0400, 09 02:30 -0400"},
		{"midnight missing", "TZ=Asia/Beirut 0 0 * * *", berlin, func(*time.Location) time.Time {
			return time.Date(2026, 3, 27, 22, 0, 0, 0, time.UTC)
		}, "28 00:00 +0200, 29 01:00 +0300, 30 00:00 +0300, 31 00:00 +0300"},
		{"half an hour missing", "TZ=Australia/Lord_Howe 10 2 * * *", berlin, func(*time.Location) time.Time {
			return time.Date(2026, 10, 2, 14, 0, 0, 0, time.UTC)
		}, "03 02:10 +1030, 04 02:30 +1100, 05 02:10 +1100"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			from := tt.from(tt.zone)
			got := within(mustParse(t, tt.schedule, tt.zone), from, from.AddDate(0, 0, 3))
			want := strings.Split(tt.want, ", ")
			if len(got) > len(want) && strings.Contains(tt.name, "every hour") {
				got = got[:len(want)] // the day's beginning is enough
			}
			if !slices.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

// TestDaysOfChange counts a whole day of the frequent schedule.
func TestDaysOfChange(t *testing.T) {
	for _, tt := range []struct {
		zone, day string
		want      int
	}{
		{"Europe/Berlin", "2026-03-28", 288},
		{"Europe/Berlin", "2026-03-29", 276},
		{"Europe/Berlin", "2026-10-25", 300},
		{"America/New_York", "2026-03-08", 276},
		{"America/New_York", "2026-11-01", 300},
		{"UTC", "2026-03-29", 288},
	} {
		z := zone(t, tt.zone)
		from, err := time.ParseInLocation(time.DateOnly, tt.day, z)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(within(mustParse(t, "*/5 * * * *", z), from, from.AddDate(0, 0, 1))); got != tt.want {
			t.Errorf("%s %s: due %d times, want %d", tt.zone, tt.day, got, tt.want)
		}
	}
}

// TestEveryDayOnce walks forty years: a daily job is due once a day, in every
// zone that changes its clocks, and never goes back.
func TestEveryDayOnce(t *testing.T) {
	for _, name := range []string{"UTC", "Europe/Berlin", "America/New_York", "Asia/Beirut", "Australia/Lord_Howe", "Africa/Casablanca", "America/Sao_Paulo", "Pacific/Apia"} {
		z := zone(t, name)
		for _, text := range []string{"30 2 * * *", "0 0 * * *", "15 1 * * *", "59 23 * * *"} {
			s := mustParse(t, text, z)
			at := time.Date(1995, 1, 1, 0, 0, 0, 0, z).Add(-time.Nanosecond)
			days := 0
			for end := time.Date(2035, 1, 1, 0, 0, 0, 0, z); ; days++ {
				next := s.Next(at)
				if !next.After(at) {
					t.Fatalf("%s %s: %v is not after %v", name, text, next, at)
				}
				if !next.Before(end) {
					break
				}
				at = next
			}
			want := 14610
			if name == "Pacific/Apia" && text == "0 0 * * *" {
				want-- // 30 December 2011 was left out there: its midnight is the next
			}
			if days != want {
				t.Errorf("%s %s: due %d times in 40 years, want %d", name, text, days, want)
			}
		}
	}
}

func TestParseScheduleFails(t *testing.T) {
	for _, text := range []string{"", "* * * *", "60 * * * *", "0 0 30 2 *", "@every", "@every 1ms", "@every x", "@reboot", "TZ=Nowhere 0 0 * * *", "TZ=UTC", "TZ=UTC @every 0s", "* * * * * *"} {
		if s, err := serve.ParseSchedule(text, time.UTC); err == nil {
			t.Errorf("%q: got %v, want an error", text, s)
		}
	}
}

func TestEventBridge(t *testing.T) {
	for _, tt := range []struct{ schedule, want string }{
		{"*/5 * * * *", "cron(0/5 * * * ? *)"},
		{"* * * * *", "cron(* * * * ? *)"},
		{"0 3 * * *", "cron(0 3 * * ? *)"},
		{"0 3 ? * ?", "cron(0 3 * * ? *)"},
		{"0 3 * * 0", "cron(0 3 ? * SUN *)"},
		{"0 3 * * 1-5", "cron(0 3 ? * MON-FRI *)"},
		{"0 3 * * sat,sun", "cron(0 3 ? * SUN,SAT *)"},
		{"0 3 * * */2", "cron(0 3 ? * SUN,TUE,THU,SAT *)"},
		{"0 3 1 * *", "cron(0 3 1 * ? *)"},
		{"0 3 1,15 jan-mar *", "cron(0 3 1,15 1-3 ? *)"},
		{"0 3 */10 * *", "cron(0 3 1/10 * ? *)"},
		{"0 3 1-30/10 * *", "cron(0 3 1,11,21 * ? *)"},
		{"5-50/15 8-17 * 1/3 *", "cron(5/15 8-17 * 1/3 ? *)"},
		{"5,20 8-17 * * *", "cron(5,20 8-17 * * ? *)"},
		{"0 3 13 * 5", "cron(0 3 13 * ? *) cron(0 3 ? * FRI *)"},
		{"0 3 1-31 * 5", "cron(0 3 * * ? *)"},
		{"0 3 13 * 0-6", "cron(0 3 * * ? *)"},
		{"0 3 */2 * 1", "cron(0 3 1/2 * ? *) cron(0 3 ? * MON *)"},
		{"@hourly", "cron(0 * * * ? *)"},
		{"@daily", "cron(0 0 * * ? *)"},
		{"@weekly", "cron(0 0 ? * SUN *)"},
		{"@monthly", "cron(0 0 1 * ? *)"},
		{"@yearly", "cron(0 0 1 1 ? *)"},
		{"@every 1m", "rate(1 minute)"},
		{"@every 90m", "rate(90 minutes)"},
		{"@every 1h", "rate(1 hour)"},
		{"@every 2d", "rate(2 days)"},
	} {
		got, err := mustParse(t, tt.schedule, time.UTC).EventBridge()
		if err != nil || strings.Join(got, " ") != tt.want {
			t.Errorf("%s: got %v and %v, want %s", tt.schedule, got, err, tt.want)
		}
	}
	if got, err := mustParse(t, "@every 90s", time.UTC).EventBridge(); err == nil {
		t.Errorf("90 s: got %v, want an error", got)
	}
}

func TestLeftOut(t *testing.T) {
	berlin := zone(t, "Europe/Berlin")
	from := time.Date(2026, 11, 20, 0, 0, 0, 0, berlin)
	for schedule, want := range map[string]string{
		"30 2 * * *":              "2027-03-28T03:00:00+02:00",
		"0 2 * * 0":               "2027-03-28T03:00:00+02:00",
		"0 2 * * 1":               "", // clocks change on Sundays
		"0 3 * * *":               "", // the first that is there again
		"0 1 * * *":               "",
		"*/5 * * * *":             "", // nothing is due in an hour that is not there
		"@every 1h":               "",
		"TZ=UTC 30 2 * * *":       "",
		"TZ=Asia/Tokyo 0 2 * * *": "",
	} {
		got := ""
		if at := mustParse(t, schedule, berlin).LeftOut(from); !at.IsZero() {
			got = at.In(berlin).Format(time.RFC3339)
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", schedule, got, want)
		}
	}
}

package archive

import (
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The dates that file names bear, the most exact first. A number that is part
// of a longer one is no date.
var (
	stamp   = regexp.MustCompile(`(?:^|\D)(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)?Z`)
	dayTime = regexp.MustCompile(`(?:^|\D)(\d{4})[-_.]?(\d\d)[-_.]?(\d\d)[T_ .-]?(\d\d)[:_.-]?(\d\d)(?:[:_.-]?(\d\d))?(?:\D|$)`)
	dayOnly = regexp.MustCompile(`(?:^|\D)(\d{4})[-_.]?(\d\d)[-_.]?(\d\d)(?:\D|$)`)
	seconds = regexp.MustCompile(`(?:^|\D)(1\d{9}|1\d{12})(?:\D|$)`)
	dayPath = regexp.MustCompile(`(?:^|/)(?:year=)?(\d{4})/(?:month=)?(\d\d)/(?:day=)?(\d\d)(?:/(?:hour=)?(\d\d))?(?:/|$)`)
)

// keyDate finds the date a key bears, first in its last name, then in the names
// before it (a path of year, month, day; dt=2026-11-19), and zero if there is
// none. A date without a zone is UTC.
func keyDate(key string) time.Time {
	dir, name := path.Split(key)
	if t := nameDate(name); !t.IsZero() {
		return t
	}
	if t := firstDate(dayPath, dir, false); !t.IsZero() {
		return t
	}
	names := strings.Split(dir, "/")
	for _, name := range slices.Backward(names) {
		if t := nameDate(name); !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}

func nameDate(name string) time.Time {
	for _, re := range []*regexp.Regexp{stamp, dayTime, dayOnly} {
		if t := firstDate(re, name, true); !t.IsZero() {
			return t
		}
	}
	if m := seconds.FindStringSubmatch(name); m != nil {
		n, err := strconv.ParseInt(m[1], 10, 64)
		if err != nil {
			return time.Time{}
		}
		if len(m[1]) == 13 {
			n /= 1000
		}
		return time.Unix(n, 0).UTC()
	}
	return time.Time{}
}

// firstDate returns the first match that is a real date. Matches may overlap:
// an account number before the date takes the hyphen both need.
func firstDate(re *regexp.Regexp, s string, again bool) time.Time {
	for {
		m := re.FindStringSubmatchIndex(s)
		if m == nil {
			return time.Time{}
		}
		if t := dateOf(re.FindStringSubmatch(s)[1:]); !t.IsZero() || !again {
			return t
		}
		s = s[m[2]+1:]
		s = strings.TrimLeft(s, "0123456789")
	}
}

func dateOf(parts []string) time.Time {
	var n [6]int
	for i, p := range parts {
		n[i], _ = strconv.Atoi(p) // digits, or empty for 0
	}
	t := time.Date(n[0], time.Month(n[1]), n[2], n[3], n[4], n[5], 0, time.UTC)
	exists := t.Year() == n[0] && int(t.Month()) == n[1] && t.Day() == n[2] && n[3] < 24 && n[4] < 60 && n[5] < 60
	if !exists || n[0] < 1990 || n[0] > 2100 {
		return time.Time{}
	}
	return t
}

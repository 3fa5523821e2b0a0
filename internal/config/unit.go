package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Since is a point in time: a span before now, or an instant.
type Since struct {
	Span time.Duration
	Time time.Time
}

// At returns the instant, seen from now.
func (s Since) At(now time.Time) time.Time {
	if !s.Time.IsZero() {
		return s.Time
	}
	return now.Add(-s.Span)
}

// IsZero says that no point in time was given.
func (s Since) IsZero() bool { return s.Span == 0 && s.Time.IsZero() }

// ParseSince reads a span (7d) or an instant (2026-01-31, or RFC 3339).
func ParseSince(text string) (Since, error) {
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return Since{Time: t.UTC()}, nil
		}
	}
	span, err := ParseSpan(text)
	if err != nil {
		return Since{}, errors.New("is neither a span like 7d nor a time like 2026-01-31 or 2026-01-31T09:00:00Z")
	}
	return Since{Span: span}, nil
}

var errSpan = errors.New("is no span of time; write 90s, 36h, 7d or 1d12h")

// ParseSpan reads a span of time: Go's units and d, days of 24 hours, before
// them. It is never negative. The error does not quote the text.
func ParseSpan(text string) (time.Duration, error) {
	days, rest, ok := strings.Cut(text, "d")
	if !ok {
		return parseClock(text)
	}
	n, err := strconv.ParseUint(days, 10, 32)
	if err != nil || n > uint64(math.MaxInt64/(24*time.Hour)) {
		return 0, errSpan
	}
	span := time.Duration(n) * 24 * time.Hour
	if rest == "" {
		return span, nil
	}
	clock, err := parseClock(rest)
	if err != nil || clock > math.MaxInt64-span {
		return 0, errSpan
	}
	return span + clock, nil
}

func parseClock(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, errSpan
	}
	return d, nil
}

// ParseSize reads a number of bytes: 256MiB, 10MB, 512KiB, 1GiB or a bare
// number. The error does not quote the text.
func ParseSize(text string) (int64, error) {
	digits := strings.TrimRight(text, "KMGTiB")
	unit, ok := sizeUnit(strings.TrimSpace(text[len(digits):]))
	n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
	if !ok || err != nil || n < 0 || n > math.MaxInt64/unit {
		return 0, errors.New("is no size; write 256MiB, 8MB or a number of bytes")
	}
	return n * unit, nil
}

func sizeUnit(name string) (int64, bool) {
	switch name {
	case "", "B":
		return 1, true
	case "KB":
		return 1e3, true
	case "MB":
		return 1e6, true
	case "GB":
		return 1e9, true
	case "KiB":
		return 1 << 10, true
	case "MiB":
		return 1 << 20, true
	case "GiB":
		return 1 << 30, true
	default:
		return 1, false
	}
}

// FormatSpan writes a span as [ParseSpan] reads it, days first.
func FormatSpan(d time.Duration) string {
	const day = 24 * time.Hour
	if d < day {
		return trimZero(d.String())
	}
	if d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	return fmt.Sprintf("%dd%s", d/day, trimZero((d % day).String()))
}

// trimZero cuts the "0s" and "0m0s" off what time.Duration writes.
func trimZero(s string) string {
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

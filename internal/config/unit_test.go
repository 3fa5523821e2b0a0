package config_test

import (
	"testing"
	"time"

	"github.com/idtrail/idtrail/internal/config"
)

func TestParseSpan(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"7d": 7 * day, "36h": 36 * time.Hour, "90m": 90 * time.Minute, "1d12h": 36 * time.Hour,
		"0s": 0, "500ms": 500 * time.Millisecond, "1h30m": 90 * time.Minute, "365d": 365 * day,
	} {
		if got, err := config.ParseSpan(text); err != nil || got != want {
			t.Errorf("%q: got %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "7", "d", "-1h", "7d-1h", "-7d", "7 d", "7days", "1w", "999999999d", "106751d48h", "7d7d", "٧d"} {
		if got, err := config.ParseSpan(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
}

func TestFormatSpan(t *testing.T) {
	for _, text := range []string{"7d", "1d12h", "90s", "1h", "1m30s", "2d1m", "0s", "36h", "500ms"} {
		span, err := config.ParseSpan(text)
		if err != nil {
			t.Fatal(err)
		}
		again, err := config.ParseSpan(config.FormatSpan(span))
		if err != nil || again != span {
			t.Errorf("%s: written as %s, which reads as %v, %v", text, config.FormatSpan(span), again, err)
		}
	}
	if got := config.FormatSpan(36 * time.Hour); got != "1d12h" {
		t.Errorf("36h: got %s, want 1d12h", got)
	}
	if got := config.FormatSpan(time.Hour); got != "1h" {
		t.Errorf("1h: got %s, want 1h", got)
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "1024": 1024, "256MiB": 256 << 20, "8MB": 8e6, "1GiB": 1 << 30, "512KiB": 512 << 10, "10 MiB": 10 << 20, "3B": 3,
	} {
		if got, err := config.ParseSize(text); err != nil || got != want {
			t.Errorf("%q: got %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "MiB", "-1", "1.5MiB", "1TiB", "1mib", "9999999999GiB", "1iB", "1 2"} {
		if got, err := config.ParseSize(text); err == nil {
			t.Errorf("%q: got %d, want an error", text, got)
		}
	}
}

func TestSinceAt(t *testing.T) {
	now := time.Date(2026, 5, 17, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"7d":                        now.AddDate(0, 0, -7),
		"2026-01-31":                time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC),
		"2026-01-31T09:00:00+02:00": time.Date(2026, 1, 31, 7, 0, 0, 0, time.UTC),
	} {
		since, err := config.ParseSince(text)
		if err != nil || !since.At(now).Equal(want) {
			t.Errorf("%s: got %v, %v; want %v", text, since.At(now), err, want)
		}
	}
	if _, err := config.ParseSince("yesterday"); err == nil {
		t.Error("yesterday: got no error")
	}
}

package main

import (
	"strings"
	"testing"
	"time"

	"github.com/idtrail/idtrail/internal/config"
)

func TestForecast(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	day := config.Since{Span: 24 * time.Hour}
	tests := []struct {
		source config.Source
		want   []string
	}{
		{config.Source{CognitoUsers: &config.CognitoUsers{}}, []string{"at most 2,160,000 an hour in 36,000 calls, so a million takes 28 minutes"}},
		{config.Source{CognitoUsers: &config.CognitoUsers{Rate: 1, MFA: config.MFA{Groups: []string{"a"}}}}, []string{"216,000 an hour", "each member of the 1 group in mfa"}},
		{config.Source{Auth0Users: &config.Auth0Users{Roles: true}}, []string{"one export of all users", "every 100 members", "300,000 an hour in 3,000 calls"}},
		{config.Source{Auth0Users: &config.Auth0Users{}}, []string{"a snapshot is one export of all users"}},
		{config.Source{CloudTrailLookup: &config.CloudTrailLookup{Since: day}}, []string{"begins at 2026-11-19T12:00:00Z", "in each region at most 180,000 an hour"}},
		{config.Source{CloudTrailTrail: &config.CloudTrailTrail{Since: day}}, []string{"begins at 2026-11-19T12:00:00Z"}},
		{config.Source{Auth0Logs: &config.Auth0Logs{Since: day, Rate: 0.5}}, []string{"begins at 2026-11-19T12:00:00Z", "at most 180,000 an hour in 1,800 calls, so a million takes 6 hours"}},
	}
	for _, tt := range tests {
		got := forecastOf(tt.source, now)
		for _, want := range tt.want {
			if !strings.Contains(got, want) {
				t.Errorf("got %q, want %q in it", got, want)
			}
		}
	}
	if got := forecastOf(config.Source{Archive: &config.Archive{}}, now); got != "" {
		t.Errorf("an archive: got %q, want nothing", got)
	}
}

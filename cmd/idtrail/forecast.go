package main

import (
	"cmp"
	"fmt"
	"math"
	"time"

	"github.com/idtrail/idtrail/extract/auth0"
	"github.com/idtrail/idtrail/extract/cloudtrail"
	"github.com/idtrail/idtrail/extract/cognito"
	"github.com/idtrail/idtrail/internal/config"
)

// forecastOf says what a first run, or a snapshot, would take; "" where that is
// a matter of a store's speed. How many records there are nobody tells before
// they are read: what is known is how fast they can come.
func forecastOf(s config.Source, now time.Time) string {
	begins := ""
	if since := s.Since(); !since.IsZero() {
		begins = "a first run begins at " + since.At(now).UTC().Format(time.RFC3339)
	}
	switch {
	case s.Auth0Logs != nil:
		return begins + "; how many records that is shows only when they are read: " +
			pace(cmp.Or(s.Auth0Logs.Rate, auth0.DefaultLogsRate), auth0.LogsPerCall)
	case s.CloudTrailLookup != nil:
		return begins + "; how many events that is shows only when they are read: in each region " +
			pace(cmp.Or(s.CloudTrailLookup.Rate, cloudtrail.DefaultLookupRate), cloudtrail.EventsPerCall)
	case s.CloudTrailTrail != nil:
		return begins + ", with the files of that day, and takes as long as reading them from S3 does"
	case s.CognitoUsers != nil:
		return "a snapshot takes a call for every 60 users, and for every 60 members of each group: " +
			pace(cmp.Or(s.CognitoUsers.Rate, cognito.DefaultRate), cognito.UsersPerCall) + costOfMFA(s.CognitoUsers)
	case s.Auth0Users != nil:
		return exportForecast(s.Auth0Users)
	default:
		return ""
	}
}

// pace says what so many calls a second bring, n records each.
func pace(calls float64, n int) string {
	records := calls * float64(n)
	return fmt.Sprintf("at most %s an hour in %s calls, so a million takes %s or more",
		count(int64(math.Round(records*3600))), count(int64(math.Round(calls*3600))), minutes(1e6/records))
}

func costOfMFA(o *config.CognitoUsers) string {
	if len(o.MFA.Groups) == 0 {
		return ""
	}
	return fmt.Sprintf("; and a call for each member of the %s in mfa, whom AWS may bill as active users",
		many(int64(len(o.MFA.Groups)), "group"))
}

func exportForecast(o *config.Auth0Users) string {
	what := "a snapshot is one export of all users"
	if o.Roles || o.Organizations {
		what += fmt.Sprintf(", and a call for every %d members of each role and organization: ", auth0.ListPerCall) +
			pace(cmp.Or(o.Rate, auth0.DefaultUsersRate), auth0.ListPerCall)
	}
	return what
}

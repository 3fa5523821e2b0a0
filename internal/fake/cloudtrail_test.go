package fake_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	"github.com/aws/smithy-go"

	"github.com/idtrail/idtrail/internal/fake"
)

func trailClient(ct http.Handler, region string) *cloudtrail.Client {
	return cloudtrail.New(cloudtrail.Options{
		Region: region, Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
		HTTPClient: &http.Client{Transport: fake.Transport(ct)}, BaseEndpoint: aws.String("http://127.0.0.1"),
		Retryer: aws.NopRetryer{},
	})
}

func code(err error) string {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return fmt.Sprint(err)
	}
	return api.ErrorCode()
}

func TestCloudTrailLookup(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	ct := fake.NewCloudTrail(fake.CloudTrailOptions{Now: func() time.Time { return now }, TokenLifetime: time.Minute})
	record := func(id string, before time.Duration) []byte {
		return fake.TrailRecord(id, "iam.amazonaws.com", "us-east-1", now.Add(-before))
	}
	ct.Add(time.Time{}, record("old", 91*24*time.Hour), record("kept", 89*24*time.Hour))
	ct.Add(now.Add(time.Hour), record("late", time.Hour))
	for i := range 120 {
		ct.Add(time.Time{}, record(fmt.Sprintf("e%03d", i), time.Hour))
	}
	client := trailClient(ct, "us-east-1")
	ask := func(in cloudtrail.LookupEventsInput) (*cloudtrail.LookupEventsOutput, error) {
		return client.LookupEvents(context.Background(), &in)
	}
	in := cloudtrail.LookupEventsInput{StartTime: aws.Time(now.Add(-time.Hour)), EndTime: aws.Time(now.Add(-time.Hour))}
	out, err := ask(in)
	if err != nil || len(out.Events) != 50 || aws.ToString(out.Events[0].EventId) != "e119" || out.NextToken == nil {
		t.Fatalf("first page: %d events, %v", len(out.Events), err)
	}
	in.NextToken = out.NextToken
	if out, err = ask(in); err != nil || len(out.Events) != 50 {
		t.Errorf("second page: %v", err)
	}
	moved := in
	moved.EndTime = aws.Time(now)
	if _, err := ask(moved); code(err) != "InvalidNextTokenException" {
		t.Errorf("token of another request: %s", code(err))
	}
	now = now.Add(2 * time.Minute)
	if _, err := ask(in); code(err) != "InvalidNextTokenException" {
		t.Errorf("token of another minute: %s", code(err))
	}
	out, err = ask(cloudtrail.LookupEventsInput{EndTime: aws.Time(now.Add(-48 * time.Hour))})
	if err != nil || len(out.Events) != 1 || aws.ToString(out.Events[0].EventId) != "kept" {
		t.Errorf("90 days back: %+v, %v", out, err)
	}
	if _, err := ask(cloudtrail.LookupEventsInput{StartTime: aws.Time(now), EndTime: aws.Time(now.Add(-time.Second))}); code(err) != "InvalidTimeRangeException" {
		t.Errorf("bounds: %s", code(err))
	}
	if _, err := ask(cloudtrail.LookupEventsInput{MaxResults: aws.Int32(51)}); code(err) != "InvalidMaxResultsException" {
		t.Errorf("51 events: %s", code(err))
	}
	attribute := types.LookupAttribute{AttributeKey: types.LookupAttributeKeyEventSource, AttributeValue: aws.String("sts.amazonaws.com")}
	if out, err := ask(cloudtrail.LookupEventsInput{LookupAttributes: []types.LookupAttribute{attribute}}); err != nil || len(out.Events) != 0 {
		t.Errorf("another source: %v", err)
	}
	if _, err := ask(cloudtrail.LookupEventsInput{LookupAttributes: []types.LookupAttribute{attribute, attribute}}); code(err) != "InvalidLookupAttributesException" {
		t.Errorf("two attributes: %s", code(err))
	}
	now = now.Add(time.Hour)
	out, err = ask(cloudtrail.LookupEventsInput{MaxResults: aws.Int32(1)})
	if err != nil || aws.ToString(out.Events[0].EventId) != "late" {
		t.Errorf("the late one: %v", err)
	}
	if out, err := trailClient(ct, "eu-west-1").LookupEvents(context.Background(), &cloudtrail.LookupEventsInput{}); err != nil || len(out.Events) != 0 {
		t.Errorf("another region: %v", err)
	}
}

func TestCloudTrailThrottles(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	ct := fake.NewCloudTrail(fake.CloudTrailOptions{Now: func() time.Time { return now }, PerSecond: 2})
	ask := func(region string) string {
		_, err := trailClient(ct, region).LookupEvents(context.Background(), &cloudtrail.LookupEventsInput{})
		if err == nil {
			return "ok"
		}
		return code(err)
	}
	got := []string{ask("a-1"), ask("a-1"), ask("b-1")}
	now = now.Add(500 * time.Millisecond)
	got = append(got, ask("a-1"), ask("a-1"))
	want := []string{"ok", "ThrottlingException", "ok", "ok", "ThrottlingException"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

package cloudtrail_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/extract/cloudtrail"
	"github.com/idtrail/idtrail/extract/extracttest"
	"github.com/idtrail/idtrail/internal/fake"
	"github.com/idtrail/idtrail/schema"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

const (
	iam = "iam.amazonaws.com"
	idp = "cognito-idp.amazonaws.com"
)

// config reaches the fake without a network.
func config(ct http.Handler) aws.Config {
	return aws.Config{
		Region:       "eu-west-1",
		Credentials:  credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
		HTTPClient:   &http.Client{Transport: fake.Transport(ct)},
		BaseEndpoint: aws.String("http://127.0.0.1"),
	}
}

func at(now time.Time) func() time.Time { return func() time.Time { return now } }

// lookup makes a source at noon, fast unless a rate is set.
func lookup(t *testing.T, ct http.Handler, o cloudtrail.LookupOptions) *cloudtrail.Lookup {
	t.Helper()
	o.Name, o.AWS, o.AccountID = "lookup", config(ct), fake.AccountID
	if o.Now == nil {
		o.Now = at(noon)
	}
	if o.Rate == 0 {
		o.Rate = 1e6
	}
	src, err := cloudtrail.NewLookup(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// event is one of a region, n seconds before noon.
func event(id, source, region string, before time.Duration) []byte {
	return fake.TrailRecord(id, source, region, noon.Add(-before))
}

type result struct {
	ids   []string // each once
	all   int
	gaps  []schema.Gap
	pages []extract.Page
	next  extract.Cursor
	err   error
}

func read(ctx context.Context, src extract.Source, from extract.Cursor) result {
	r := result{next: from}
	for p, err := range src.Pages(ctx, from) {
		if err != nil {
			r.err = err
			break
		}
		for _, rec := range p.Records {
			r.ids = append(r.ids, rec.ID)
		}
		r.all += len(p.Records)
		r.gaps, r.next, r.pages = append(r.gaps, p.Gaps...), p.Next, append(r.pages, p)
	}
	slices.Sort(r.ids)
	r.ids = slices.Compact(r.ids)
	return r
}

func wantIDs(t *testing.T, what string, got, want []string) {
	t.Helper()
	if diff := cmp.Diff(slices.Sorted(slices.Values(want)), got); diff != "" {
		t.Errorf("%s: ids (-want +got):\n%.2000s", what, diff)
	}
}

// spread adds events over the last days and returns their ids.
func spread(ct *fake.CloudTrail, n int, source, region string, span time.Duration) []string {
	var ids []string
	for i := range n {
		id := fmt.Sprintf("%s-%s-%05d", source[:3], region, i)
		ct.Add(time.Time{}, event(id, source, region, 10*time.Minute+time.Duration(i)*span/time.Duration(n)))
		ids = append(ids, id)
	}
	return ids
}

func TestLookupContract(t *testing.T) {
	ct := fake.NewCloudTrail(fake.CloudTrailOptions{Now: at(noon), MaxPage: 5, EmptyPages: true})
	var want []string
	for _, region := range []string{"eu-west-1", "us-east-1"} {
		want = append(want, spread(ct, 12, iam, region, 2*time.Hour)...)
		want = append(want, spread(ct, 6, idp, region, 5*time.Hour)...)
	}
	source := func(t *testing.T, h http.Handler) *cloudtrail.Lookup {
		return lookup(t, h, cloudtrail.LookupOptions{Regions: []string{"us-east-1", "eu-west-1"}, EventSources: []string{"iam", idp}})
	}
	src := source(t, ct)
	extracttest.Run(t, extracttest.Harness{
		New:     func(t *testing.T, _ extract.Ledger) extract.Source { return source(t, ct) },
		From:    src.Start(noon.Add(-6 * time.Hour)),
		Repeats: true,
		Want:    want,
		Failing: func(t *testing.T, _ extract.Ledger) extract.Source {
			bad := fake.NewCloudTrail(fake.CloudTrailOptions{Now: at(noon), Fault: func(c fake.TrailCall) *fake.Fault {
				if c.N > 3 {
					return fake.AWSError("AccessDeniedException")
				}
				return nil
			}})
			return source(t, bad)
		},
		Stalled: func(t *testing.T) (extract.Source, <-chan struct{}) {
			stuck := make(chan struct{})
			bad := fake.NewCloudTrail(fake.CloudTrailOptions{Now: at(noon), Fault: func(c fake.TrailCall) *fake.Fault {
				if c.N == 3 {
					close(stuck)
					return &fake.Fault{Hang: true}
				}
				return nil
			}})
			return source(t, bad), stuck
		},
	})
}

// A window holds any number of events, in one second even.
func TestLookupDenseWindow(t *testing.T) {
	ct := fake.NewCloudTrail(fake.CloudTrailOptions{Now: at(noon)})
	var want []string
	for i := range 6000 {
		id := fmt.Sprintf("e%05d", i)
		want = append(want, id)
	}
	var records [][]byte
	for i, id := range want {
		records = append(records, event(id, iam, "eu-west-1", time.Duration(3600+i%3)*time.Second))
	}
	ct.Add(time.Time{}, records...)
	src := lookup(t, ct, cloudtrail.LookupOptions{EventSources: []string{"iam"}})
	r := read(t.Context(), src, src.Start(noon.Add(-90*24*time.Hour)))
	if r.err != nil {
		t.Fatal(r.err)
	}
	wantIDs(t, "dense", r.ids, want)
}

// Ninety quiet days cost few calls: at one a second, half-hour windows would
// take hours.
func TestLookupQuietAccount(t *testing.T) {
	ct := fake.NewCloudTrail(fake.CloudTrailOptions{Now: at(noon)})
	src := lookup(t, ct, cloudtrail.LookupOptions{})
	r := read(t.Context(), src, src.Start(time.Time{}))
	if n := len(ct.Calls()); r.err != nil || n > 5*110 {
		t.Errorf("%d calls, error %v; want at most 550", n, r.err)
	}
	if len(r.gaps) > 0 {
		t.Errorf("a first run declares %v", r.gaps)
	}
	before := len(ct.Calls())
	if r = read(t.Context(), src, r.next); r.err != nil || len(ct.Calls())-before > 15 {
		t.Errorf("next run: %d calls, error %v", len(ct.Calls())-before, r.err)
	}
}

// Cut off anywhere, what was not read comes with the next run: inside a window
// the newest events come first.
func TestLookupCutOff(t *testing.T) {
	ct := fake.NewCloudTrail(fake.CloudTrailOptions{Now: at(noon), MaxPage: 5})
	want := spread(ct, 60, iam, "eu-west-1", 5*time.Hour)
	for stop := 1; stop < 14; stop++ {
		src := lookup(t, ct, cloudtrail.LookupOptions{EventSources: []string{"iam"}, Overlap: time.Second, Window: 2 * time.Hour})
		next := src.Start(noon.Add(-6 * time.Hour))
		var got []string
		pages := 0
		for p, err := range src.Pages(t.Context(), next) {
			if err != nil {
				t.Fatal(err)
			}
			for _, rec := range p.Records {
				got = append(got, rec.ID)
			}
			next = p.Next
			if pages++; pages == stop {
				break
			}
		}
		r := read(t.Context(), src, next)
		if r.err != nil {
			t.Fatal(r.err)
		}
		got = append(got, r.ids...)
		slices.Sort(got)
		wantIDs(t, fmt.Sprintf("cut behind page %d", stop), slices.Compact(got), want)
	}
}

func TestLookupLateEvents(t *testing.T) {
	now := noon
	clock := func() time.Time { return now }
	ct := fake.NewCloudTrail(fake.CloudTrailOptions{Now: clock})
	src := lookup(t, ct, cloudtrail.LookupOptions{EventSources: []string{"iam"}, Now: clock})
	ct.Add(time.Time{}, event("early", iam, "eu-west-1", time.Hour))
	ct.Add(noon.Add(15*time.Minute), event("late", iam, "eu-west-1", 20*time.Minute))
	ct.Add(noon.Add(20*time.Hour), event("outage", iam, "eu-west-1", -5*time.Hour))
	ct.Add(noon.Add(21*time.Hour), []byte(strings.Replace(
		string(event("amended", iam, "eu-west-1", time.Hour)), `"readOnly"`, `"addendum":{"reason":"UPDATED_DATA","originalEventID":"early"},"readOnly"`, 1)))

	r := read(t.Context(), src, src.Start(noon.Add(-2*time.Hour)))
	wantIDs(t, "first run", r.ids, []string{"early"})
	now = noon.Add(20 * time.Minute)
	r = read(t.Context(), src, r.next)
	wantIDs(t, "overlap", r.ids, []string{"early", "late"})
	now = noon.Add(23 * time.Hour)
	r = read(t.Context(), src, r.next)
	wantIDs(t, "a day later, before the second reading", r.ids, []string{"late", "outage"})
	now = noon.Add(23*time.Hour + 57*time.Minute)
	r = read(t.Context(), src, r.next)
	before := len(ct.Calls())
	now = noon.Add(24*time.Hour - 57*time.Minute + time.Hour)
	r = read(t.Context(), src, r.next)
	wantIDs(t, "daily second reading", r.ids, []string{"outage"})
	first := len(ct.Calls()) - before
	now = now.Add(5 * time.Minute)
	r = read(t.Context(), src, r.next)
	if n := len(ct.Calls()) - before - first; n >= first || len(r.ids) > 0 {
		t.Errorf("the run behind it: %d calls (the second reading took %d), ids %v", n, first, r.ids)
	}
}

// An amendment is an event of its own that names the first one.
func TestLookupAddendum(t *testing.T) {
	ct := fake.NewCloudTrail(fake.CloudTrailOptions{Now: at(noon)})
	text := strings.Replace(string(event("amended", iam, "eu-west-1", time.Hour)),
		`"readOnly"`, `"addendum":{"reason":"UPDATED_DATA","originalEventID":"early"},"readOnly"`, 1)
	ct.Add(time.Time{}, []byte(text))
	src := lookup(t, ct, cloudtrail.LookupOptions{EventSources: []string{"all"}})
	r := read(t.Context(), src, src.Start(noon.Add(-2*time.Hour)))
	wantIDs(t, "amended", r.ids, []string{"amended"})
	for _, p := range r.pages {
		for _, rec := range p.Records {
			if string(rec.Bytes) != text {
				t.Errorf("got %s, want the event as it was recorded", rec.Bytes)
			}
		}
	}
	for _, c := range ct.Calls() {
		if c.Source != "" {
			t.Errorf("all sources: a call asked for %s", c.Source)
		}
	}
}

func TestLookupOddItems(t *testing.T) {
	tests := []struct {
		name, id string
		item     map[string]any
		has      string
	}{
		{"no event", "e1", map[string]any{"EventId": "e1", "EventName": "GetUser", "Username": "ada"}, `"Username":"ada"`},
		{"broken event", "e2", map[string]any{"EventId": "e2", "CloudTrailEvent": `{"eventID":"x"`}, `"EventId":"e2"`},
		{"text as event", "e3", map[string]any{"EventId": "e3", "CloudTrailEvent": `"text"`}, `"EventId":"e3"`},
		{"event without id", "e4", map[string]any{"EventId": "e4", "CloudTrailEvent": `{"eventName":"GetUser"}`}, `"EventId":"e4"`},
		{
			"resources", "e5",
			map[string]any{"EventId": "e5", "Resources": []any{map[string]any{"ResourceType": "AWS::IAM::User", "ResourceName": "ada"}}},
			`"ResourceName":"ada"`,
		},
		{"nothing", "", map[string]any{}, `"EventTime"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ct := fake.NewCloudTrail(fake.CloudTrailOptions{Now: at(noon)})
			tt.item["EventSource"] = iam
			ct.AddItem("eu-west-1", noon.Add(-30*time.Minute), tt.item)
			src := lookup(t, ct, cloudtrail.LookupOptions{EventSources: []string{"iam"}})
			r := read(t.Context(), src, src.Start(noon.Add(-time.Hour)))
			if r.err != nil || r.all == 0 {
				t.Fatalf("%d records, error %v", r.all, r.err)
			}
			var rec schema.Raw
			for _, p := range r.pages {
				if len(p.Records) > 0 {
					rec = p.Records[0]
				}
			}
			if rec.ID != tt.id || !json.Valid(rec.Bytes) || !strings.Contains(string(rec.Bytes), tt.has) {
				t.Errorf("got id %q, %s; want %q with %s", rec.ID, rec.Bytes, tt.id, tt.has)
			}
			if rec.Time.IsZero() && tt.name != "event without id" {
				t.Errorf("%s has no time", rec.Bytes)
			}
		})
	}
}

func TestLookupHorizon(t *testing.T) {
	now := noon
	clock := func() time.Time { return now }
	ct := fake.NewCloudTrail(fake.CloudTrailOptions{Now: clock})
	regions := []string{"eu-west-1", "us-east-1"}
	src := lookup(t, ct, cloudtrail.LookupOptions{EventSources: []string{"iam", "sts"}, Regions: regions, Now: clock})
	r := read(t.Context(), src, src.Start(noon.Add(-400*24*time.Hour)))
	if r.err != nil || len(r.gaps) != 0 {
		t.Fatalf("first run: gaps %v, error %v", r.gaps, r.err)
	}
	now = noon.Add(89 * 24 * time.Hour)
	if r := read(t.Context(), src, r.next); r.err != nil || len(r.gaps) != 0 {
		t.Errorf("89 days later: gaps %v, error %v", r.gaps, r.err)
	}
	now = noon.Add(100 * 24 * time.Hour)
	late := read(t.Context(), src, r.next)
	if late.err != nil || len(late.gaps) != 2 {
		t.Fatalf("100 days later: gaps %v, error %v; want one for each region", late.gaps, late.err)
	}
	for i, g := range late.gaps {
		if !g.From.Equal(noon.Add(-2*time.Minute)) || !g.To.Equal(noon.Add(10*24*time.Hour)) || !strings.Contains(g.Reason, regions[i]) {
			t.Errorf("gap %+v", g)
		}
	}
	// Cut off right behind the gap, the next run does not declare it again.
	if again := read(t.Context(), src, late.pages[0].Next); again.err != nil || len(again.gaps) != 0 {
		t.Errorf("run behind: gaps %v, error %v", again.gaps, again.err)
	}
}

// What a first run that was cut off had not read yet is no gap.
func TestLookupHorizonBehindNoDrain(t *testing.T) {
	now := noon
	clock := func() time.Time { return now }
	ct := fake.NewCloudTrail(fake.CloudTrailOptions{Now: clock})
	src := lookup(t, ct, cloudtrail.LookupOptions{EventSources: []string{"iam"}, Now: clock})
	next := src.Start(noon.Add(-10 * 24 * time.Hour))
	for p, err := range src.Pages(t.Context(), next) {
		if err != nil {
			t.Fatal(err)
		}
		next = p.Next
		break
	}
	now = noon.Add(100 * 24 * time.Hour)
	if r := read(t.Context(), src, next); r.err != nil || len(r.gaps) != 0 {
		t.Errorf("gaps %v, error %v", r.gaps, r.err)
	}
}

func TestLookupTokenRefused(t *testing.T) {
	for _, often := range []int{1, 3, 1000} {
		refused := 0
		ct := fake.NewCloudTrail(fake.CloudTrailOptions{Now: at(noon), MaxPage: 5, Fault: func(c fake.TrailCall) *fake.Fault {
			if c.Token && c.N%4 == 0 && refused < often {
				refused++
				return fake.AWSError("InvalidNextTokenException")
			}
			return nil
		}})
		want := spread(ct, 18, iam, "eu-west-1", 15*time.Minute)
		src := lookup(t, ct, cloudtrail.LookupOptions{EventSources: []string{"iam"}})
		r := read(t.Context(), src, src.Start(noon.Add(-30*time.Minute)))
		if often < 1000 {
			if r.err != nil {
				t.Fatal(r.err)
			}
			wantIDs(t, "token refused", r.ids, want)
		} else if len(ct.Calls()) > 60 {
			t.Errorf("%d calls", len(ct.Calls()))
		}
	}
}

// A token that is given out again and again must not keep a run for ever.
func TestLookupStuck(t *testing.T) {
	ct := fake.NewCloudTrail(fake.CloudTrailOptions{Now: at(noon), Fault: func(fake.TrailCall) *fake.Fault {
		return &fake.Fault{Status: http.StatusOK, Body: `{"Events":[],"NextToken":"again"}`}
	}})
	src := lookup(t, ct, cloudtrail.LookupOptions{EventSources: []string{"iam"}})
	r := read(t.Context(), src, src.Start(noon.Add(-time.Hour)))
	if !errors.Is(r.err, cloudtrail.ErrStuck) || len(ct.Calls()) > 10 {
		t.Errorf("%d calls, error %v, want ErrStuck", len(ct.Calls()), r.err)
	}
}

// At the rate AWS grants, a run reaches it and is never throttled.
func TestLookupRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ct := fake.NewCloudTrail(fake.CloudTrailOptions{PerSecond: 2, MaxPage: 1})
		limits := cloudtrail.NewLimits()
		start := time.Now()
		for i := range 300 {
			ct.Add(time.Time{}, fake.TrailRecord(fmt.Sprint("e", i), iam, "eu-west-1", start.Add(-time.Hour-time.Duration(i)*time.Second)))
		}
		src := lookup(t, ct, cloudtrail.LookupOptions{Rate: 2, Limits: limits, EventSources: []string{"iam"}, Now: time.Now})
		r := read(t.Context(), src, src.Start(start.Add(-2*time.Hour)))
		took, calls := time.Since(start), ct.Calls()
		if r.err != nil || len(r.ids) != 300 {
			t.Fatalf("%d ids, error %v", len(r.ids), r.err)
		}
		for _, c := range calls {
			if c.Status != http.StatusOK {
				t.Errorf("call %d: status %d", c.N, c.Status)
			}
		}
		if got := float64(len(calls)) / took.Seconds(); got < 0.98*2 || got > 1.02*2 {
			t.Errorf("%d calls in %v: %.3f a second, want 2", len(calls), took, got)
		}
		// Another source of the same account and region shares the rate.
		other := lookup(t, ct, cloudtrail.LookupOptions{Rate: 2, Limits: limits, EventSources: []string{"iam"}, Now: time.Now})
		if r := read(t.Context(), other, other.Start(start.Add(-2*time.Hour))); r.err != nil {
			t.Fatal(r.err)
		}
		for _, c := range ct.Calls() {
			if c.Status != http.StatusOK {
				t.Errorf("call %d of two sources: status %d", c.N, c.Status)
			}
		}
	})
}

// Two regions do not wait for each other's rate.
func TestLookupRegionsShareNoRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ct := fake.NewCloudTrail(fake.CloudTrailOptions{PerSecond: 2})
		src := lookup(t, ct, cloudtrail.LookupOptions{
			Rate: 2, Regions: []string{"a-1", "b-1", "c-1"}, EventSources: []string{"iam"}, Now: time.Now, Window: time.Hour,
		})
		start := time.Now()
		r := read(t.Context(), src, src.Start(start.Add(-60*24*time.Hour)))
		rate := float64(len(ct.Calls())) / time.Since(start).Seconds()
		if r.err != nil || rate < 5.5 || rate > 6.2 {
			t.Errorf("%.2f calls a second of three regions, error %v; want 6", rate, r.err)
		}
		for _, c := range ct.Calls() {
			if c.Status != http.StatusOK {
				t.Errorf("call %d: status %d", c.N, c.Status)
			}
		}
	})
}

// Minutes of throttling only delay.
func TestLookupThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		ct := fake.NewCloudTrail(fake.CloudTrailOptions{Fault: func(c fake.TrailCall) *fake.Fault {
			if d := c.At.Sub(start); d > 700*time.Millisecond && d < 5*time.Minute {
				return fake.Throttled()
			}
			return nil
		}})
		var want []string
		for i := range 20 {
			ct.Add(time.Time{}, fake.TrailRecord(fmt.Sprint("e", i), iam, "eu-west-1", start.Add(-time.Hour-time.Duration(i)*time.Minute)))
			want = append(want, fmt.Sprint("e", i))
		}
		src := lookup(t, ct, cloudtrail.LookupOptions{Rate: 2, Now: time.Now, EventSources: []string{"iam"}})
		r := read(t.Context(), src, src.Start(start.Add(-6*time.Hour)))
		if r.err != nil {
			t.Fatal(r.err)
		}
		wantIDs(t, "throttled", r.ids, want)
		if took := time.Since(start); took < 5*time.Minute || took > 7*time.Minute {
			t.Errorf("took %v, want the throttling's 5 minutes and a little", took)
		}
		calls := ct.Calls()
		for i := 1; i < len(calls); i++ {
			if d := calls[i].At.Sub(calls[i-1].At); d < 499*time.Millisecond {
				t.Errorf("calls %d and %d are %v apart: beyond the rate", i, i+1, d)
			}
		}
	})
}

// A server that fails for good is given up, sooner than one that throttles.
func TestLookupServerDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ct := fake.NewCloudTrail(fake.CloudTrailOptions{Fault: func(fake.TrailCall) *fake.Fault {
			return &fake.Fault{Status: http.StatusServiceUnavailable}
		}})
		src := lookup(t, ct, cloudtrail.LookupOptions{Now: time.Now, EventSources: []string{"iam"}})
		start := time.Now()
		r := read(t.Context(), src, src.Start(start.Add(-time.Hour)))
		if n := len(ct.Calls()); r.err == nil || n != 8 || time.Since(start) > 3*time.Minute {
			t.Errorf("%d calls in %v, error %v; want 8", n, time.Since(start), r.err)
		}
	})
}

func TestLookupCancelledWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ct := fake.NewCloudTrail(fake.CloudTrailOptions{Fault: func(fake.TrailCall) *fake.Fault { return fake.Throttled() }})
		src := lookup(t, ct, cloudtrail.LookupOptions{Rate: 0.01, Now: time.Now, EventSources: []string{"iam"}})
		ctx, cancel := context.WithTimeout(t.Context(), 150*time.Second)
		defer cancel()
		start := time.Now()
		if r := read(ctx, src, src.Start(start.Add(-time.Hour))); !errors.Is(r.err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the context's end", r.err)
		}
		if took := time.Since(start); took > 151*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// A region that refuses costs the others nothing.
func TestLookupOneRegionDenied(t *testing.T) {
	ct := fake.NewCloudTrail(fake.CloudTrailOptions{Now: at(noon), Fault: func(c fake.TrailCall) *fake.Fault {
		if c.Region == "eu-west-1" {
			return fake.AWSError("AccessDeniedException")
		}
		return nil
	}})
	want := spread(ct, 30, iam, "us-east-1", 5*time.Hour)
	src := lookup(t, ct, cloudtrail.LookupOptions{EventSources: []string{"iam"}, Regions: []string{"eu-west-1", "us-east-1"}})
	r := read(t.Context(), src, src.Start(noon.Add(-24*time.Hour)))
	wantIDs(t, "the other region", r.ids, want)
	if r.err == nil || !strings.Contains(r.err.Error(), "eu-west-1") {
		t.Errorf("got error %v, want it to name the region", r.err)
	}
	// Nothing was read of the region, and nothing is lost.
	ct.SetFault(nil)
	want = spread(ct, 3, iam, "eu-west-1", 5*time.Hour)
	r = read(t.Context(), src, r.next)
	got := slices.DeleteFunc(r.ids, func(id string) bool { return strings.Contains(id, "us-east-1") })
	wantIDs(t, "the region, later", got, want)
}

func TestLookupAsksForWhatItSays(t *testing.T) {
	ct := fake.NewCloudTrail(fake.CloudTrailOptions{Now: at(noon)})
	src := lookup(t, ct, cloudtrail.LookupOptions{})
	if r := read(t.Context(), src, src.Start(noon.Add(-time.Hour))); r.err != nil {
		t.Fatal(r.err)
	}
	asked := map[string]bool{}
	for _, c := range ct.Calls() {
		asked[c.Source] = true
	}
	for _, name := range cloudtrail.IdentitySources() {
		if !asked[name+".amazonaws.com"] {
			t.Errorf("no call for %s", name)
		}
	}
	if len(asked) != 5 {
		t.Errorf("asked for %v", asked)
	}
}

func TestLookupCursors(t *testing.T) {
	ct := fake.NewCloudTrail(fake.CloudTrailOptions{Now: at(noon)})
	src := lookup(t, ct, cloudtrail.LookupOptions{EventSources: []string{"iam"}})
	for _, from := range []extract.Cursor{
		"x", `[]`, `{"regions":{"eu-west-1":null}}`, `{"regions":{"eu-west-1":{"sources":{"iam.amazonaws.com":null}}}}`,
		`{"regions":{"eu-west-1":{"sources":{"iam.amazonaws.com":{"to":"2036-01-01T00:00:00Z"}}}}}`,
	} {
		if r := read(t.Context(), src, from); r.err == nil || len(ct.Calls()) > 0 {
			t.Errorf("cursor %s: %d calls, error %v", from, len(ct.Calls()), r.err)
		}
	}
	if r := read(t.Context(), src, ""); r.err != nil {
		t.Errorf("no cursor: %v", r.err)
	}
}

func TestLookupOptions(t *testing.T) {
	ct := fake.NewCloudTrail(fake.CloudTrailOptions{Now: at(noon)})
	good := cloudtrail.LookupOptions{Name: "x", AWS: config(ct), Now: at(noon)}
	tests := []struct {
		name string
		set  func(o *cloudtrail.LookupOptions)
		want string
	}{
		{"no clock", func(o *cloudtrail.LookupOptions) { o.Now = nil }, "clock"},
		{"no region", func(o *cloudtrail.LookupOptions) { o.AWS.Region = "" }, "region"},
		{"rate", func(o *cloudtrail.LookupOptions) { o.Rate = -1 }, "negative"},
		{"account", func(o *cloudtrail.LookupOptions) { o.AccountID = "12" }, "12 digits"},
		{"plain http", func(o *cloudtrail.LookupOptions) { o.AWS.BaseEndpoint = aws.String("http://192.0.2.1") }, "loopback"},
	}
	for _, tt := range tests {
		o := good
		tt.set(&o)
		if _, err := cloudtrail.NewLookup(t.Context(), o); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v", tt.name, err)
		}
	}
	src, err := cloudtrail.NewLookup(t.Context(), good)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := src.Identity(), "cloudtrail_lookup:"+fake.AccountID; got != want {
		t.Errorf("identity %q, want %q, as STS says", got, want)
	}
}

func TestLookupCheck(t *testing.T) {
	ct := fake.NewCloudTrail(fake.CloudTrailOptions{Now: at(noon)})
	src := lookup(t, ct, cloudtrail.LookupOptions{})
	found, err := src.Check(t.Context())
	if err != nil || len(found) != 2 || !found[0].OK || found[1].OK || !strings.Contains(found[1].Hint, "us-east-1") {
		t.Errorf("got %+v, %v; want the region and a warning of us-east-1", found, err)
	}
	found, err = lookup(t, ct, cloudtrail.LookupOptions{EventSources: []string{"cognito-idp"}}).Check(t.Context())
	if err != nil || len(found) != 1 {
		t.Errorf("no global service: got %+v, %v", found, err)
	}
	ct.SetFault(func(fake.TrailCall) *fake.Fault { return fake.AWSError("AccessDeniedException") })
	found, err = src.Check(t.Context())
	if err == nil || found[0].OK || !strings.Contains(found[0].Hint, "cloudtrail:LookupEvents") {
		t.Errorf("denied: got %+v, %v", found, err)
	}
}

package cloudtrail

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	"github.com/tidwall/gjson"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/schema"
)

const (
	pageSize = 50
	// widest is how long a window of a quiet time may get; one that turns out to
	// hold more than densePages is begun again, shorter.
	widest     = 24 * time.Hour
	densePages = 40
	// rereadWindow is the length of the windows of the daily second reading:
	// most hold nothing new, and their calls count too.
	rereadWindow = 6 * time.Hour
	// tokenTries is how often a window is begun again because its paging token
	// was refused.
	tokenTries = 5
)

// ErrStuck says that CloudTrail gives out the same page again and again.
var ErrStuck = errors.New("paging does not go on")

// lookupRun is one run over all regions.
type lookupRun struct {
	lookup *Lookup
	yield  func(extract.Page, error) bool
	cur    lookupCursor
	now    time.Time
	end    time.Time // where this run ends
}

func (r *lookupRun) all(ctx context.Context, from extract.Cursor) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	if r.cur, err = parseLookupCursor(from); err != nil {
		return err
	}
	r.now = r.lookup.opts.Now().UTC().Truncate(time.Second)
	r.end = r.now.Add(-r.lookup.opts.Settle)
	if u := r.cur.Until; !u.IsZero() {
		r.end = earliest(r.end, u)
	}
	if err := r.begin(); err != nil {
		return err
	}
	return r.turns(ctx)
}

// begin sets every mark to where there still is something to read, and
// declares what is not to be had any more.
func (r *lookupRun) begin() error {
	horizon := r.horizon()
	var page extract.Page
	for _, region := range r.lookup.opts.Regions {
		mark := r.cur.mark(region)
		lost := horizon
		for _, source := range r.lookup.sources {
			m := mark.Sources[source]
			if m == nil {
				m = &sourceMark{To: r.first(horizon)}
				mark.Sources[source] = m
			}
			if m.To.After(r.now.Add(24 * time.Hour)) {
				return fmt.Errorf("use cursor: it lies in the future, %s", m.To.Format(time.RFC3339))
			}
			if m.To.Before(horizon) {
				lost = earliest(lost, m.To)
				m.To = horizon
			}
		}
		if lost.Before(horizon) && (!mark.Drained.IsZero() || !r.cur.Until.IsZero()) {
			page.Gaps = append(page.Gaps, r.gap(region, lost, horizon))
		}
	}
	if len(page.Gaps) == 0 {
		return nil
	}
	return r.give(page)
}

// first is where the reading of a service begins. A span that was asked for
// begins where it does, kept or not; a first run records its coverage instead.
func (r *lookupRun) first(horizon time.Time) time.Time {
	if !r.cur.Until.IsZero() {
		return r.cur.Since
	}
	return latest(r.cur.Since, horizon)
}

// horizon is the oldest instant CloudTrail still has; of a span, its end at the
// latest.
func (r *lookupRun) horizon() time.Time {
	h := r.now.Add(-retention)
	if u := r.cur.Until; !u.IsZero() {
		return earliest(h, u)
	}
	return h
}

func (r *lookupRun) gap(region string, from, to time.Time) schema.Gap {
	return schema.Gap{
		Source: r.lookup.opts.Name, From: from, To: to, DeclaredAt: r.now,
		Reason: "LookupEvents keeps 90 days, and the cursor of region " + region + " is older: events of this span are lost to it",
	}
}

// turns reads the regions by turns, a page each: one waits for its rate while
// others are asked. What fails in one costs no other anything.
func (r *lookupRun) turns(ctx context.Context) error {
	var readers []*regionReader
	for _, region := range r.lookup.opts.Regions {
		readers = append(readers, newRegionReader(r, region))
	}
	var failed error
	for len(readers) > 0 {
		var left []*regionReader
		for _, reader := range readers {
			page, more, err := reader.next(ctx)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				failed = errors.Join(failed, fmt.Errorf("region %s: %w", reader.client.region, err))
				continue
			}
			if err := r.give(page); err != nil {
				return err
			}
			if more {
				left = append(left, reader)
			}
		}
		readers = left
	}
	return failed
}

func (r *lookupRun) give(page extract.Page) error {
	page.Next = r.cur.encode()
	if !r.yield(page, nil) {
		return errStopped
	}
	return nil
}

// regionReader reads a region: every service up to the end of the run, then,
// once a day, every service a day back.
type regionReader struct {
	run    *lookupRun
	client *lookupClient
	mark   *regionMark
	fresh  []*span
	again  []*span
}

func newRegionReader(r *lookupRun, region string) *regionReader {
	rr := &regionReader{run: r, client: r.lookup.regions[region], mark: r.cur.mark(region)}
	for _, source := range r.lookup.sources {
		m := rr.mark.Sources[source]
		from := latest(m.To.Add(-r.lookup.opts.Overlap), r.cur.Since, r.horizon(), m.Floor)
		rr.fresh = append(rr.fresh, &span{
			run: r, client: rr.client, source: source, at: from, to: r.end, width: r.lookup.opts.Window,
			drained: func(at time.Time) { m.To = latest(m.To, at) },
		})
		if s := rr.second(source, m, from); s != nil {
			rr.again = append(rr.again, s)
		}
	}
	return rr
}

// second is the daily second reading of a service, up to where the first one
// began; nil if it is not due.
func (rr *regionReader) second(source string, m *sourceMark, to time.Time) *span {
	r := rr.run
	if !r.cur.Until.IsZero() {
		return nil
	}
	if m.Reread.IsZero() {
		m.Reread = r.end // the first run reads everything for the first time
	}
	if m.Back.IsZero() && r.end.Sub(m.Reread) < rereadEvery {
		return nil
	}
	from := latest(r.end.Add(-rereadSpan), m.Back, r.cur.Since, r.horizon(), m.Floor)
	s := &span{run: r, client: rr.client, source: source, at: from, to: to, width: max(rereadWindow, r.lookup.opts.Window)}
	s.drained = func(at time.Time) {
		if m.Back = at; !at.Before(to) {
			m.Back, m.Reread = time.Time{}, r.end
		}
	}
	if !from.Before(to) {
		s.drained(to)
		return nil
	}
	return s
}

// next gives one page; more says that there may be another one.
func (rr *regionReader) next(ctx context.Context) (page extract.Page, more bool, err error) {
	for len(rr.fresh) > 0 && rr.fresh[0].over() {
		rr.fresh = rr.fresh[1:]
	}
	if len(rr.fresh) > 0 {
		page, err = rr.fresh[0].next(ctx)
		return page, true, err
	}
	rr.mark.Drained = latest(rr.mark.Drained, rr.run.end)
	for len(rr.again) > 0 && rr.again[0].over() {
		rr.again = rr.again[1:]
	}
	if len(rr.again) > 0 {
		page, err = rr.again[0].next(ctx)
		return page, true, err
	}
	return extract.Page{}, false, nil
}

// span is a stretch of time of one service, read in windows, oldest first.
type span struct {
	run     *lookupRun
	client  *lookupClient
	source  string
	at, to  time.Time
	width   time.Duration
	drained func(at time.Time) // called with the end of each window that is

	window *window // the one at hand
}

// window is one stretch that is read page by page. Its bounds stay as they are:
// a token holds for the same request only.
type window struct {
	from, to time.Time
	token    *string
	pages    int
	refused  int
	seen     map[uint64]bool // the tokens so far
}

func (s *span) over() bool { return !s.at.Before(s.to) }

// next makes one call, or a few where a window has to be begun again.
func (s *span) next(ctx context.Context) (extract.Page, error) {
	if s.window == nil {
		s.open(0)
	}
	out, err := s.client.LookupEvents(ctx, s.input())
	for err != nil && s.window.token != nil && hasCode(err, "InvalidNextTokenException") && s.window.refused < tokenTries {
		s.run.lookup.opts.Logger.Debug("paging token refused, window begun again",
			"source", s.run.lookup.opts.Name, "region", s.client.region, "from", s.window.from)
		s.open(s.window.refused + 1)
		out, err = s.client.LookupEvents(ctx, s.input())
	}
	if err != nil {
		return extract.Page{}, fmt.Errorf("look up %s of %s: %w", s.source, s.at.Format(time.RFC3339), explain(err, "cloudtrail:LookupEvents"))
	}
	page := extract.Page{Records: make([]schema.Raw, len(out.Events))}
	for i := range out.Events {
		page.Records[i] = rawEvent(&out.Events[i])
	}
	return page, s.advance(out)
}

func (s *span) open(refused int) {
	s.window = &window{from: s.at, to: earliest(s.at.Add(s.width), s.to), refused: refused, seen: map[uint64]bool{}}
}

func (s *span) input() *cloudtrail.LookupEventsInput {
	w := s.window
	in := &cloudtrail.LookupEventsInput{
		StartTime: aws.Time(w.from), EndTime: aws.Time(w.to), MaxResults: aws.Int32(pageSize), NextToken: w.token,
	}
	if s.source != anySource {
		in.LookupAttributes = []types.LookupAttribute{{
			AttributeKey: types.LookupAttributeKeyEventSource, AttributeValue: aws.String(s.source),
		}}
	}
	return in
}

// advance goes on to the next page, or window.
func (s *span) advance(out *cloudtrail.LookupEventsOutput) error {
	w := s.window
	w.pages++
	shortest := s.run.lookup.opts.Window
	token := aws.ToString(out.NextToken)
	switch {
	case token == "":
		s.at, s.window = w.to, nil
		s.drained(w.to)
		if w.pages <= 1 {
			s.width = max(s.width, min(2*s.width, widest))
		}
		return nil
	case w.pages >= densePages && s.width > shortest:
		// Killed in here, all of it would be read again: rather some of it now.
		s.width = max(shortest, s.width/8)
		s.open(w.refused)
		return nil
	}
	key := maphash.String(tokenSeed, token)
	if w.seen[key] {
		return fmt.Errorf("look up %s of %s: %w behind page %d", s.source, w.from.Format(time.RFC3339), ErrStuck, w.pages)
	}
	w.seen[key], w.token = true, &token
	return nil
}

var tokenSeed = maphash.MakeSeed()

// rawEvent is the event itself, as CloudTrail recorded it. Where the answer
// lacks it, or it does not name itself, it is the answer's item.
func rawEvent(e *types.Event) schema.Raw {
	raw := schema.Raw{Kind: schema.KindCloudTrail, Bytes: []byte(aws.ToString(e.CloudTrailEvent))}
	if !isEvent(raw.Bytes) {
		raw.Bytes = itemJSON(e)
	}
	raw.ID, raw.Time = raw.Kind.ID(raw.Bytes), raw.Kind.Time(raw.Bytes)
	return raw
}

func isEvent(b []byte) bool {
	return len(b) > 0 && b[0] == '{' && json.Valid(b) && schema.KindCloudTrail.ID(b) != ""
}

// itemJSON writes the item as the API has it, less what it leaves out.
func itemJSON(e *types.Event) []byte {
	item := map[string]any{}
	for name, value := range map[string]*string{
		"EventId": e.EventId, "EventName": e.EventName, "EventSource": e.EventSource, "Username": e.Username,
		"AccessKeyId": e.AccessKeyId, "ReadOnly": e.ReadOnly, "CloudTrailEvent": e.CloudTrailEvent,
	} {
		if value != nil {
			item[name] = *value
		}
	}
	if e.EventTime != nil {
		item["EventTime"] = e.EventTime.UTC().Format(time.RFC3339Nano)
	}
	var resources []map[string]string
	for _, r := range e.Resources {
		resources = append(resources, map[string]string{
			"ResourceType": aws.ToString(r.ResourceType), "ResourceName": aws.ToString(r.ResourceName),
		})
	}
	if resources != nil {
		item["Resources"] = resources
	}
	b, err := json.Marshal(item)
	if err != nil {
		panic(err) // strings and lists of them
	}
	return b
}

// Check asks every region for one event.
func (l *Lookup) Check(ctx context.Context) ([]extract.Finding, error) {
	var found []extract.Finding
	var failed error
	for _, region := range slices.Sorted(maps.Keys(l.regions)) {
		f := extract.Finding{What: fmt.Sprintf("LookupEvents of account %s in %s", l.opts.AccountID, region), OK: true}
		now := l.opts.Now()
		out, err := l.regions[region].LookupEvents(ctx, &cloudtrail.LookupEventsInput{
			StartTime: aws.Time(now.Add(-time.Hour)), EndTime: aws.Time(now), MaxResults: aws.Int32(1),
		})
		switch {
		case err != nil:
			f.OK, f.Err = false, explain(err, "cloudtrail:LookupEvents")
			f.Hint = f.Err.Error()
			failed = errors.Join(failed, fmt.Errorf("check %s: %w", region, f.Err))
		case len(out.Events) == 0:
			f.Hint = "no event in the last hour"
		}
		found = append(found, f)
	}
	return append(found, l.globalFinding()...), failed
}

// globalFinding warns where services without a region are asked for, but not
// the region that records them.
func (l *Lookup) globalFinding() []extract.Finding {
	home := globalRegion(l.opts.Regions[0])
	global := slices.ContainsFunc(l.sources, func(s string) bool {
		return s == fullSource("iam") || s == fullSource("sts") || s == fullSource("signin")
	})
	if slices.Contains(l.opts.Regions, home) || !global && l.sources[0] != anySource {
		return nil
	}
	return []extract.Finding{{
		What: "events of IAM and of global sign-in and STS endpoints",
		Hint: "they are recorded in " + home + " only: add it to the regions",
	}}
}

// globalRegion is where a partition records what has no region.
func globalRegion(region string) string {
	switch {
	case len(region) > 7 && region[:7] == "us-gov-":
		return "us-gov-west-1"
	case len(region) > 3 && region[:3] == "cn-":
		return "cn-north-1"
	default:
		return "us-east-1"
	}
}

func latest(times ...time.Time) time.Time {
	return slices.MaxFunc(times, time.Time.Compare)
}

func earliest(times ...time.Time) time.Time {
	return slices.MinFunc(times, time.Time.Compare)
}

// eventSource is the service an event names, "" if it names none.
func eventSource(line []byte) string {
	name := gjson.GetBytes(schema.KindCloudTrail.Record(line), "eventSource")
	if name.Type != gjson.String {
		return ""
	}
	return name.Str
}

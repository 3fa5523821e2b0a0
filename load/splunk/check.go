package splunk

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/idtrail/idtrail/load/stream"
	"github.com/idtrail/idtrail/schema"
)

// Check implements [load.Checker]. It asks for the collector's health, then
// posts nothing at all: to that a collector answers "no data" if it takes the
// token (and the channel, or its absence), and stores nothing. With write it
// sends one event of sourcetype identity:audit:idtrail, activity "check", which
// proves the index too, and stays there: an event cannot be taken back.
func (s *Sink) Check(ctx context.Context, write bool) error {
	c := s.hec
	got, err := c.call(ctx, call{method: http.MethodGet, path: healthPath})
	if err != nil {
		return fmt.Errorf("ask for health: %w", stream.Unanswered(ctx, err).Err)
	}
	if !got.ok() {
		return fmt.Errorf("ask for health: %w", got.err())
	}
	channel := ""
	if c.ack {
		channel = acknowledged{c}.Channel()
	}
	got, err = c.call(ctx, call{method: http.MethodPost, path: eventPath, channel: channel})
	if err != nil {
		return fmt.Errorf("try the token: %w", stream.Unanswered(ctx, err).Err)
	}
	if noData := got.status == http.StatusBadRequest && got.code() == codeNoData; !noData && !got.ok() {
		return fmt.Errorf("try the token: %w", got.err())
	}
	if c.ack {
		if err := c.tryAck(ctx, channel); err != nil {
			return err
		}
	}
	if !write {
		return nil
	}
	return c.sendTest(ctx, channel)
}

// tryAck asks for a receipt nobody was given. Only what tells of the token
// counts: a collector may not like to be asked on a channel without events.
func (c *collector) tryAck(ctx context.Context, channel string) error {
	_, err := acknowledged{c}.Ask(ctx, channel, []int64{0})
	var e *answerError
	if errors.As(err, &e) && e.status == http.StatusBadRequest && e.code != codeAckOff {
		return nil
	}
	return err
}

func (c *collector) sendTest(ctx context.Context, channel string) error {
	e := testEvent(c.now().UnixMilli())
	body, _, err := c.Append(nil, &e, c.now())
	if err != nil {
		return err
	}
	a := c.Send(ctx, stream.Request{Body: body, Entries: 1, Channel: channel})
	if a.Err != nil {
		return fmt.Errorf("send an event: %w", a.Err)
	}
	if a.Outcome != stream.Accepted {
		return errors.New("send an event: it was not accepted")
	}
	return nil
}

func testEvent(ms int64) schema.Event {
	return schema.Event{
		Time: ms, TimeDT: time.UnixMilli(ms).UTC(),
		ClassUID: schema.ClassBase, ClassName: "Base Event", CategoryName: "Uncategorized",
		ActivityID: schema.ActivityOther, ActivityName: "check", TypeUID: int64(schema.ActivityOther), TypeName: "Base Event: Other",
		SeverityID: 1, Severity: "Informational", StatusID: schema.StatusSuccess, Status: "Success",
		Message: "idtrail checked that it can deliver.",
		Metadata: schema.Metadata{
			Version: schema.OCSFVersion, UID: "check/" + strconv.FormatInt(ms, 10), LogName: productSelf,
			Product: schema.Product{Name: productSelf, VendorName: productSelf},
		},
	}
}

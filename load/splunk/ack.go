package splunk

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/idtrail/idtrail/load/stream"
)

// acknowledged is a collector whose token has indexer acknowledgement.
type acknowledged struct{ *collector }

var _ stream.Acknowledger = acknowledged{}

// Channel implements [stream.Acknowledger]: a random GUID. A channel is never
// used by two deliveries: its receipts count from 0, and after a restart the
// collector gives out the same ones again.
func (acknowledged) Channel() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// Ask implements [stream.Acknowledger]. The collector says once only that a
// receipt is stored: if that answer is lost, the request will be sent again.
func (a acknowledged) Ask(ctx context.Context, channel string, receipts []int64) ([]int64, error) {
	if len(receipts) == 0 {
		return nil, nil
	}
	body, err := json.Marshal(struct {
		Acks []int64 `json:"acks"`
	}{receipts})
	if err != nil {
		return nil, err
	}
	got, err := a.call(ctx, call{method: http.MethodPost, path: ackPath, channel: channel, body: body})
	if err != nil {
		none := stream.Unanswered(ctx, err)
		return nil, denied(none.Outcome, none.Err)
	}
	if err := got.askError(); err != nil {
		return nil, err
	}
	var stored []int64
	for _, r := range receipts {
		if got.body.Acks[strconv.FormatInt(r, 10)] {
			stored = append(stored, r)
		}
	}
	return stored, nil
}

// askError says what is wrong with the answer to a question. That a collector
// does not know the channel any more is none: it knows none of its receipts
// either.
func (r *reply) askError() error {
	switch {
	case r.status == http.StatusBadRequest && r.code() == codeBadChannel:
		return nil
	case !r.ok():
		return denied(outcomeOf(r.err()), r.err())
	case r.cut || r.body.Acks == nil:
		return errCutShort
	default:
		return nil
	}
}

func denied(o stream.Outcome, err error) error {
	if o == stream.Denied {
		return fmt.Errorf("%w: %w", stream.ErrDenied, err)
	}
	return err
}

package datadog

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/load/stream"
)

// Check asks the API whether the key is valid. With write it also sends one log,
// named check: the intake is another host than the API, and a log cannot be
// taken back. What stands at a url may answer no such question; then an empty
// list of logs, without write, shows that an intake is there, and the rest is
// [load.ErrUnproven].
func (s *Sink) Check(ctx context.Context, write bool) error {
	err := s.checkKey(ctx)
	untold := errors.Is(err, errNoValidate)
	switch {
	case write && (err == nil || untold):
		err = s.checkIntake(ctx)
	case untold:
		err = s.checkEmpty(ctx)
	}
	if err != nil {
		return fmt.Errorf("check sink %s: %w", s.Name(), err)
	}
	return nil
}

var errNoValidate = errors.New("what answers at url checks no keys")

func (s *Sink) checkKey(ctx context.Context) error {
	resp, err := s.client.call(ctx, http.MethodGet, s.client.base+validatePath, nil)
	if err != nil {
		return fmt.Errorf("validate the key: %w", stream.Unanswered(ctx, err).Err)
	}
	defer func() { _ = resp.Body.Close() }()
	defer stream.Drain(resp.Body)
	notThere := resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusMethodNotAllowed
	if notThere && s.client.explain.site == "" {
		return errNoValidate
	}
	if a := s.client.explain.answer(resp); a.Outcome != stream.Accepted {
		return fmt.Errorf("validate the key: %w", a.Err)
	}
	return nil
}

func (s *Sink) checkIntake(ctx context.Context) error {
	body := `[{"message":"idtrail check: this log shows that logs arrive","ddsource":"` + Source + `","service":"idtrail",` +
		`"status":"info","evt":{"name":"check"},"timestamp":` + strconv.FormatInt(s.now().UnixMilli(), 10) + `}]`
	if a := s.client.post(ctx, s.client.logs, []byte(body)); a.Outcome != stream.Accepted {
		return fmt.Errorf("send a log: %w", a.Err)
	}
	return nil
}

// checkEmpty sends no log. That an intake finds nothing to take in it is as good
// an answer.
func (s *Sink) checkEmpty(ctx context.Context) error {
	a := s.client.post(ctx, s.client.logs, []byte("[]"))
	if a.Outcome != stream.Accepted && a.Outcome != stream.Refused {
		return fmt.Errorf("send an empty list of logs: %w", a.Err)
	}
	return fmt.Errorf("%w that it takes our key and logs: what answers at url checks no keys", load.ErrUnproven)
}

package datadog

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/idtrail/idtrail/load/stream"
)

// Check asks the API whether the key is valid. With write it also sends one log,
// named check: the intake is another host than the API, and a log cannot be
// taken back. What stands at a url may answer no such question; then only write
// proves anything.
func (s *Sink) Check(ctx context.Context, write bool) error {
	err := s.checkKey(ctx)
	if errors.Is(err, errNoValidate) && write {
		err = nil
	}
	if err == nil && write {
		err = s.checkIntake(ctx)
	}
	if err != nil {
		return fmt.Errorf("check sink %s: %w", s.Name(), err)
	}
	return nil
}

var errNoValidate = errors.New("what answers at url checks no keys; let check send one log instead (--write)")

func (s *Sink) checkKey(ctx context.Context) error {
	resp, err := s.client.call(ctx, http.MethodGet, s.client.base+validatePath, nil)
	if err != nil {
		return fmt.Errorf("validate the key: %w", s.client.explain.failure(ctx, err).Err)
	}
	defer drain(resp)
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

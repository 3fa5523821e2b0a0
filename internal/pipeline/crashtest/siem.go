package crashtest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/idtrail/idtrail/internal/notice"
	"github.com/idtrail/idtrail/load"
)

// siemRequest is how many events a request to the sink of events has.
const siemRequest = 6

func siemFile(dir string) string { return filepath.Join(dir, "siem.log") }

// siem is a sink of events whose receiver is a file: a request appends a line
// for each of its events.
type siem struct {
	path string
	step func()
}

func (s *siem) Name() string { return "siem" }

func (s *siem) Deliver(ctx context.Context, b load.Batch) (load.Result, error) {
	res := load.Result{Upto: b.From}
	var open []load.Row
	send := func(upto load.Position) error {
		if err := s.post(ctx, b.Source, open); err != nil {
			return err
		}
		res.Upto, res.Counts.Sent.Accepted = upto, int64(len(open))
		open = nil
		if err := b.Keep(res); err != nil {
			return err
		}
		res.Counts = load.Counts{}
		return nil
	}
	for row, err := range b.Rows {
		if err != nil {
			return res, err
		}
		if n := len(open); n >= siemRequest && open[n-1].At.Before(row.At) {
			if err := send(row.At); err != nil {
				return res, err
			}
		}
		if row.Event != nil {
			open = append(open, row)
		}
	}
	err := send(b.To)
	return res, err
}

func (s *siem) post(ctx context.Context, source string, rows []load.Row) error {
	if len(rows) == 0 {
		return ctx.Err()
	}
	s.step()
	var body strings.Builder
	for _, row := range rows {
		fmt.Fprintf(&body, "%s %s\n", source, row.Event.Metadata.UID)
		if notice.Is(row.Event) && row.Event.ActivityName == notice.ActivityGap {
			body.WriteString("a gap\n")
		}
	}
	f, err := os.OpenFile(s.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.WriteString(body.String()); err != nil {
		return err
	}
	s.step()
	return f.Close()
}

// verifySIEM checks that every event arrived, in landed order, and that no more
// than one request of each kind came twice.
func verifySIEM(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	var logs []string
	repeated := 0
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		seen[line]++
		if seen[line] > 1 {
			repeated++
		} else if uid, ok := strings.CutPrefix(line, "logs 9"); ok {
			logs = append(logs, "9"+uid)
		}
	}
	if repeated > siemRequest+1 {
		t.Errorf("%d events came twice, more than were in flight", repeated)
	}
	var want []string
	for i := range logsGrown {
		if i%oddEvery != oddEvery-1 {
			want = append(want, logID(i))
		}
	}
	if len(logs) != len(want) {
		t.Errorf("the sink of events has %d events, want %d", len(logs), len(want))
	}
	for i := range min(len(logs), len(want)) {
		if logs[i] != want[i] {
			t.Fatalf("event %d is %s, want %s", i, logs[i], want[i])
		}
	}
	if n := seen["a gap"]; n < 1 || n > 2 {
		t.Errorf("the gap was told %d times", n)
	}
}

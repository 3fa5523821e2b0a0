package splunk

import (
	"time"

	"github.com/idtrail/idtrail/load/stream"
	"github.com/idtrail/idtrail/schema"
)

// Append is what the sink makes of an event.
func (s *Sink) Append(dst []byte, e *schema.Event) ([]byte, stream.Mark, error) {
	return s.hec.Append(dst, e, time.Time{})
}

// Send posts one body; Protocol gives what the sink speaks.
func (s *Sink) Protocol() stream.Protocol {
	if s.hec.ack {
		return acknowledged{s.hec}
	}
	return s.hec
}

package otlp

import "github.com/idtrail/idtrail/load/stream"

// NewProtocol is what a sink sends through.
func NewProtocol(o Options) (stream.Protocol, error) { return newProtocol(o) }

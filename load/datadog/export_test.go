package datadog

import "github.com/idtrail/idtrail/load/stream"

// NewProtocol returns what a sink of these options speaks.
func NewProtocol(o Options) (stream.Protocol, error) {
	o = o.withDefaults()
	tags, err := fixedTags(o.Tags)
	if err != nil {
		return nil, err
	}
	c, err := newClient(o)
	if err != nil {
		return nil, err
	}
	return newProtocol(o, tags, c), nil
}

// AppendTag is a tag as it is sent.
func AppendTag(prefix, value string) string { return string(appendTag(nil, prefix, value)) }

// LogsURL and APIURL are where a sink calls.
func LogsURL(s *Sink) string { return s.client.logs }

// APIURL is where a sink's other calls go.
func APIURL(s *Sink) string { return s.client.base }

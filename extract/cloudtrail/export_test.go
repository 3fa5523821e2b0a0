package cloudtrail

import (
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/schema"
)

// RawEvent turns an item of LookupEvents into a record.
func RawEvent(id, event string) schema.Raw {
	return rawEvent(&types.Event{EventId: &id, CloudTrailEvent: &event})
}

// RoundTripLookup reads a cursor and writes it again.
func RoundTripLookup(text extract.Cursor) (extract.Cursor, error) {
	c, err := parseLookupCursor(text)
	return c.encode(), err
}

// RoundTripTrail reads a cursor and writes it again.
func RoundTripTrail(text extract.Cursor) (extract.Cursor, error) {
	c, err := parseTrailCursor(text)
	return c.encode(), err
}

// ParseDigest says what is wrong with the form of a digest, "" if nothing.
func ParseDigest(text []byte) string { return (&judgement{}).parse(text, "") }

package otlp

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// A message ends the same however much room was left for its length.
func TestRoomForLengths(t *testing.T) {
	for _, n := range []int{0, 1, 127, 128, 129, 16_383, 16_384, 16_385, 3 << 20} {
		message := bytes.Repeat([]byte("m"), n)
		want := protowire.AppendBytes(protowire.AppendTag([]byte("before"), recordBody, protowire.BytesType), message)
		narrow, wide := encoder{b: []byte("before")}, encoder{b: []byte("before")}
		at, atWide := narrow.open(recordBody), wide.openWide(recordBody)
		narrow.b, wide.b = append(narrow.b, message...), append(wide.b, message...)
		narrow.close(at)
		wide.closeWide(atWide, 2)
		if !bytes.Equal(narrow.b, want) || !bytes.Equal(wide.b, want) {
			t.Errorf("%d bytes: wrong behind %d or %d bytes", n, len(narrow.b)-n, len(wide.b)-n)
		}
	}
}

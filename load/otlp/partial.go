package otlp

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/idtrail/idtrail/load/stream"
)

// accepted reads how many of the entries the receiver threw away. An answer that
// cannot be read is a success, as its status says. The receiver's own message is
// dropped: it may quote what it was sent.
func accepted(resp *http.Response, kind string, entries int) stream.Answer {
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return stream.Answer{}
	}
	rejected := rejectedProto(body)
	if kind == "application/json" {
		rejected = rejectedJSON(body)
	}
	lost := int(max(0, min(rejected, int64(entries))))
	if lost == 0 {
		return stream.Answer{}
	}
	return stream.Answer{Lost: lost, Err: fmt.Errorf("the receiver threw away %d of %d records it took", lost, entries)}
}

// rejectedProto reads partial_success.rejected_log_records of an
// ExportLogsServiceResponse.
func rejectedProto(body []byte) int64 {
	var rejected int64
	err := fields(body, func(n protowire.Number, t protowire.Type, partial []byte, _ uint64) error {
		if n != responsePartial || t != protowire.BytesType {
			return nil
		}
		return fields(partial, func(n protowire.Number, t protowire.Type, _ []byte, v uint64) error {
			if n == partialRejected && t == protowire.VarintType {
				rejected = int64(v) //nolint:gosec // how protobuf has what is below 0
			}
			return nil
		})
	})
	if err != nil {
		return 0
	}
	return rejected
}

var errProto = errors.New("no protobuf")

// fields calls f with each field of a message: its bytes, or its number.
func fields(b []byte, f func(protowire.Number, protowire.Type, []byte, uint64) error) error {
	for len(b) > 0 {
		n, t, size := protowire.ConsumeTag(b)
		if size < 0 {
			return errProto
		}
		b = b[size:]
		var (
			text []byte
			v    uint64
		)
		switch t {
		case protowire.BytesType:
			text, size = protowire.ConsumeBytes(b)
		case protowire.VarintType:
			v, size = protowire.ConsumeVarint(b)
		default:
			size = protowire.ConsumeFieldValue(n, t, b)
		}
		if size < 0 {
			return errProto
		}
		if err := f(n, t, text, v); err != nil {
			return err
		}
		b = b[size:]
	}
	return nil
}

// rejectedJSON reads the same of the JSON form, which has 64-bit numbers as text.
func rejectedJSON(body []byte) int64 {
	var v struct {
		PartialSuccess struct {
			RejectedLogRecords json.RawMessage `json:"rejectedLogRecords"`
		} `json:"partialSuccess"`
	}
	if json.Unmarshal(body, &v) != nil {
		return 0
	}
	text := string(v.PartialSuccess.RejectedLogRecords)
	if unquoted, err := strconv.Unquote(text); err == nil {
		text = unquoted
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

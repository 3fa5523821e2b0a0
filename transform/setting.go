package transform

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/idtrail/idtrail/schema"
)

// setting reads a [schema.Setting] back. Its data may stand as JSON, or as text
// that is JSON.
func setting(line []byte) (Result, error) {
	var s struct {
		schema.Setting
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(line, &s); err != nil {
		return Result{}, fmt.Errorf("is no setting: %w", ErrUnmappable)
	}
	if s.Section == "" {
		return Result{}, fmt.Errorf("setting without a section: %w", ErrUnmappable)
	}
	out := s.Setting
	out.Data = string(s.Data)
	if v := gjson.ParseBytes(s.Data); v.Type == gjson.String {
		out.Data = v.Str
	}
	if out.Data == "null" {
		out.Data = ""
	}
	out.Data = strings.ToValidUTF8(out.Data, "\uFFFD") // the decoder has done so with the other members
	return Result{Settings: []schema.Setting{out}}, nil
}

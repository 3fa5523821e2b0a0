package transform

import (
	"fmt"
	"strings"

	"github.com/tidwall/gjson"
)

// unparsed rejects what was landed as a [schema.Unparsed]: there is nothing in
// it to map. The reason is the source's own and tells no more than the place.
func unparsed(line []byte) (Result, error) {
	reason := gjson.GetBytes(line, "idtrail_unparsed.reason").String()
	reason = strings.Join(strings.Fields(clip(strings.ToValidUTF8(reason, "\uFFFD"), 256)), " ")
	return Result{}, fmt.Errorf("unparsed record: %s: %w", firstOf(reason, "no reason given"), ErrUnmappable)
}

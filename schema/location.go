package schema

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// decimal is a float that is never written as an integer: OCSF's own validator
// takes 38.0 for a float_t, and not 38.
type decimal float64

// MarshalJSON implements [json.Marshaler].
func (d decimal) MarshalJSON() ([]byte, error) {
	text := strconv.AppendFloat(nil, float64(d), 'f', -1, 64)
	if !bytes.ContainsRune(text, '.') {
		text = append(text, ".0"...)
	}
	return text, nil
}

// MarshalJSON implements [json.Marshaler]: latitude and longitude always have a
// decimal point.
func (l Location) MarshalJSON() ([]byte, error) {
	type plain Location
	return json.Marshal(struct {
		plain
		Lat  *decimal `json:"lat,omitempty"`
		Long *decimal `json:"long,omitempty"`
	}{plain(l), (*decimal)(l.Lat), (*decimal)(l.Long)})
}

package lake

import (
	"encoding/json"
	"time"

	"github.com/klauspost/compress/gzip"
)

// jsonFile writes rows as gzipped NDJSON. The gzip header holds no time and no
// name, so that the same rows give the same bytes.
type jsonFile struct {
	gz   *gzip.Writer
	json *json.Encoder
}

func (j *jsonFile) begin(f *tempFile) error {
	if j.gz == nil {
		j.gz = gzip.NewWriter(f)
	}
	j.gz.Reset(f)
	j.gz.ModTime = time.Unix(0, 0) // written as 0, which means none
	j.json = json.NewEncoder(j.gz)
	j.json.SetEscapeHTML(false) // the records' own < and & stay readable
	return nil
}

func (j *jsonFile) add(row any) error { return j.json.Encode(row) }

func (j *jsonFile) finish() error { return j.gz.Close() }

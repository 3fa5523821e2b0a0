package state_test

import (
	"database/sql"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/idtrail/idtrail/internal/blob/blobtest"
	"github.com/idtrail/idtrail/state"
)

// BenchmarkSharedRun is what a run does with a state in S3, whatever it reads:
// opened, told of a run, and copied when it is closed. The size of the copy is
// told beside.
func BenchmarkSharedRun(b *testing.B) {
	for name, segments := range map[string]int{"a day": 288, "a year": 105_120} {
		b.Run(name, func(b *testing.B) {
			store, dir := blobtest.NewMemoryAt(time.Now), b.TempDir()
			states := state.Shared(state.SharedOptions{Store: store, Dir: dir, Now: time.Now})
			run := func() {
				d, err := states.Open(b.Context(), "acme")
				if err == nil {
					err = errors.Join(d.AddRun(b.Context(), state.Run{Started: t0, Ended: t0}), d.Close())
				}
				if err != nil {
					b.Fatal(err)
				}
			}
			run()
			fillIndex(b, filepath.Join(dir, "acme.db"), segments)
			for b.Loop() {
				run()
			}
			largest := 0
			for _, content := range store.Objects() {
				largest = max(largest, len(content))
			}
			b.ReportMetric(float64(largest), "copy-bytes")
		})
	}
}

// fillIndex indexes segments as a year of runs does, one every five minutes.
func fillIndex(b *testing.B, path string, segments int) {
	b.Helper()
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		b.Fatal(err)
	}
	_, err = db.ExecContext(b.Context(), `
		INSERT INTO segment (seq, stream, sha256, file_sha256, records, bytes, first_ms, last_ms, landed_ms, gaps)
		  WITH RECURSIVE n(seq) AS (SELECT 0 UNION ALL SELECT seq + 1 FROM n WHERE seq < ?1)
		  SELECT seq, 'main', lower(hex(randomblob(32))), lower(hex(randomblob(32))), 5, 900 + abs(random() % 300),
		    ?2 + seq * 300000 + abs(random() % 60000), ?2 + (seq + 1) * 300000 - abs(random() % 60000), ?2 + (seq + 1) * 300000 + abs(random() % 900), 0 FROM n;
		INSERT INTO checkpoint (id, number, sha256, head, flushed) SELECT 1, 1, 'c', max(seq), '{}' FROM segment`, segments, t0.UnixMilli())
	if err := errors.Join(err, db.Close()); err != nil {
		b.Fatal(err)
	}
}

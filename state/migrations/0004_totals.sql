-- Sums over the segments of a stream. There is one for each segment ever landed:
-- no run is to read through them all.
CREATE TABLE total (
  stream    TEXT PRIMARY KEY,
  segments  INTEGER NOT NULL,
  records   INTEGER NOT NULL,
  bytes     INTEGER NOT NULL,
  first_ms  INTEGER,
  last_ms   INTEGER,
  landed_ms INTEGER NOT NULL -- the newest
) STRICT, WITHOUT ROWID;
INSERT INTO total
  SELECT stream, count(*), sum(records), sum(bytes), min(first_ms), max(last_ms), max(landed_ms) FROM segment GROUP BY stream;

CREATE INDEX snapshot_last ON snapshot (last_seq);

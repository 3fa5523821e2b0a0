-- SHA-256 of a segment's whole object, for checkpoints; '' where it is not known.
ALTER TABLE segment ADD COLUMN file_sha256 TEXT NOT NULL DEFAULT '';

-- as_of is the segment as of which a cursor stands: an older segment, indexed
-- later, does not move it back.
ALTER TABLE stream ADD COLUMN as_of INTEGER NOT NULL DEFAULT -1;

-- The last checkpoint of the chain: one row.
CREATE TABLE checkpoint (
  id      INTEGER PRIMARY KEY CHECK (id = 1),
  number  INTEGER NOT NULL,
  sha256  TEXT    NOT NULL, -- of its text
  head    INTEGER NOT NULL, -- the newest segment it, or one before it, lists
  flushed TEXT    NOT NULL  -- JSON: by sink, the first segment whose flush none lists
) STRICT;

-- Records to be given once more to sinks of events.
CREATE TABLE again (
  id      INTEGER PRIMARY KEY AUTOINCREMENT,
  segment INTEGER NOT NULL,
  record  INTEGER NOT NULL,
  UNIQUE (segment, record)
) STRICT;

-- Flushes begun and not finished; the flush records in the lake are the truth.
CREATE TABLE open_flush (
  sink     TEXT PRIMARY KEY,
  from_seq INTEGER NOT NULL,
  to_seq   INTEGER NOT NULL -- exclusive
) STRICT;

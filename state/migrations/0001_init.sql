CREATE TABLE meta (
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT;

-- Where each stream goes on: the source's own cursor.
CREATE TABLE stream (
  name   TEXT PRIMARY KEY,
  cursor TEXT NOT NULL
) STRICT;

-- One row a landed segment.
CREATE TABLE segment (
  seq       INTEGER PRIMARY KEY,
  stream    TEXT    NOT NULL,
  sha256    TEXT    NOT NULL, -- of its header
  records   INTEGER NOT NULL,
  bytes     INTEGER NOT NULL, -- uncompressed
  first_ms  INTEGER,
  last_ms   INTEGER,
  landed_ms INTEGER NOT NULL,
  gaps      INTEGER NOT NULL,
  snapshot  TEXT
) STRICT;

-- Ids of landed records, so that none is landed twice: the first 16 bytes of
-- SHA-256 over the id.
CREATE TABLE seen (
  id        BLOB    PRIMARY KEY,
  event_ms  INTEGER NOT NULL,
  landed_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE input (
  key     TEXT PRIMARY KEY,
  sha256  TEXT    NOT NULL,
  size    INTEGER NOT NULL,
  version TEXT    NOT NULL,
  records INTEGER NOT NULL,
  fault   TEXT    NOT NULL,
  seq     INTEGER NOT NULL
) STRICT;

CREATE TABLE snapshot (
  id        TEXT PRIMARY KEY,
  begin_ms  INTEGER NOT NULL,
  end_ms    INTEGER,
  complete  INTEGER NOT NULL,
  counts    TEXT    NOT NULL, -- JSON
  first_seq INTEGER NOT NULL,
  last_seq  INTEGER NOT NULL
) STRICT;

CREATE TABLE gap (
  seq         INTEGER NOT NULL,
  n           INTEGER NOT NULL,
  stream      TEXT    NOT NULL,
  from_ms     INTEGER NOT NULL,
  to_ms       INTEGER NOT NULL,
  reason      TEXT    NOT NULL,
  input       TEXT    NOT NULL,
  declared_ms INTEGER NOT NULL,
  PRIMARY KEY (seq, n)
) STRICT, WITHOUT ROWID;

-- Where each sink goes on, and what it has been given so far.
CREATE TABLE position (
  sink         TEXT PRIMARY KEY,
  segment      INTEGER NOT NULL,
  record       INTEGER NOT NULL,
  delivered_ms INTEGER NOT NULL,
  records      INTEGER NOT NULL,
  rejected     INTEGER NOT NULL,
  events       INTEGER NOT NULL,
  users        INTEGER NOT NULL,
  settings     INTEGER NOT NULL,
  fanned_out   INTEGER NOT NULL
) STRICT;

-- The newest rejects, for status; all of them are in the lake.
CREATE TABLE reject (
  segment INTEGER NOT NULL,
  record  INTEGER NOT NULL,
  id      TEXT    NOT NULL,
  kind    TEXT    NOT NULL,
  reason  TEXT    NOT NULL,
  PRIMARY KEY (segment, record)
) STRICT, WITHOUT ROWID;

CREATE TABLE run (
  id         INTEGER PRIMARY KEY,
  started_ms INTEGER NOT NULL,
  ended_ms   INTEGER NOT NULL,
  read       INTEGER NOT NULL,
  landed     INTEGER NOT NULL,
  repeated   INTEGER NOT NULL,
  filtered   INTEGER NOT NULL,
  segments   INTEGER NOT NULL,
  gaps       INTEGER NOT NULL,
  drained    INTEGER NOT NULL,
  error      TEXT    NOT NULL
) STRICT;

-- What sinks that send to a receiver have under way, and how their last
-- delivery went. note is the sink's own; sent is JSON; lost counts notices that
-- were forgotten before the sink was given them; caught_up_ms is when the last
-- delivery began that left nothing.
ALTER TABLE position ADD COLUMN note          TEXT    NOT NULL DEFAULT '';
ALTER TABLE position ADD COLUMN sent          TEXT    NOT NULL DEFAULT '{}';
ALTER TABLE position ADD COLUMN waiting       INTEGER NOT NULL DEFAULT 0;
ALTER TABLE position ADD COLUMN lost          INTEGER NOT NULL DEFAULT 0;
ALTER TABLE position ADD COLUMN last_error    TEXT    NOT NULL DEFAULT '';
ALTER TABLE position ADD COLUMN last_error_ms INTEGER;
ALTER TABLE position ADD COLUMN last_sent_ms  INTEGER;
ALTER TABLE position ADD COLUMN caught_up_ms  INTEGER;

-- A reject is of the mapping (sink ''), or of the receiver of one sink.
CREATE TABLE reject_by_sink (
  sink    TEXT    NOT NULL,
  segment INTEGER NOT NULL,
  record  INTEGER NOT NULL,
  id      TEXT    NOT NULL,
  kind    TEXT    NOT NULL,
  reason  TEXT    NOT NULL,
  PRIMARY KEY (sink, segment, record)
) STRICT, WITHOUT ROWID;
INSERT INTO reject_by_sink SELECT '', segment, record, id, kind, reason FROM reject;
DROP TABLE reject;
ALTER TABLE reject_by_sink RENAME TO reject;

-- What is to be told to sinks beside records: events of our own, numbered
-- without holes from 1.
CREATE TABLE notice (
  id    INTEGER PRIMARY KEY AUTOINCREMENT,
  at_ms INTEGER NOT NULL,
  uid   TEXT    NOT NULL UNIQUE,
  event TEXT    NOT NULL -- JSON
) STRICT;

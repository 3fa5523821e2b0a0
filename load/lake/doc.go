// Package lake keeps mapped rows as objects that SQL engines read: Parquet or
// JSON, filed by table, source and UTC day.
//
//	events/source=<s>/dt=<day>/<from>-<last>[-p2].parquet
//	users/source=<s>/dt=<day>/snapshot=<id>/…
//	snapshots/ rejected/ gaps/ …                the same, by day
//	events_json/ users_json/ …                  the same as NDJSON, gzipped
//	flushes/<sink>/<source>/<from>.json         the records of what is there
//
// A flush turns one range of a source's segments into objects, exactly once.
// Its record is created first and fixes where the range ends; then the objects
// are written, named by the range; then the record is completed with the name,
// hash and rows of each. A flush cut off at any point is found by its open
// record and finished with the same end. Flushes are contiguous, so the records
// alone say what the lake holds.
//
// A finished flush changes in two ways only, and either says beforehand what
// will be what afterwards. It is rewritten ([Sink.Prepare]): its record is
// reopened, its objects are replaced one by one, and it is completed again. Or
// objects of some days are pruned ([Sink.PreparePrune]): marked in the record,
// then removed. Both are found and finished where they were cut off.
//
// The same rows give the same bytes, so that a flush done twice finds its own
// objects. Rows must come sorted (see [load.Batch]): one object is open at a
// time, in a temporary file, and memory does not grow with the range.
//
// [Open] reads a lake back. What a row means, and when a flush is due beyond
// the sink's own rules, is decided elsewhere.
package lake

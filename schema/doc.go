// Package schema holds the words all stages share: the unified event and user,
// and the raw records, snapshots, gaps and rejects around them.
//
// Events are OCSF 1.3.0, the newest version Amazon Security Lake takes from a
// custom source; names, classes and enums are OCSF's. Users carry SCIM 2.0
// (RFC 7643) meaning in flat columns. The same Go types define the JSON, the
// Parquet columns and the Athena tables: there is no second list of columns.
//
// It is not the place for vendor knowledge beyond [Kind], which says how a raw
// record names itself, nor for anything that reads or writes.
package schema

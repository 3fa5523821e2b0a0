// Package state keeps what a source needs between runs, in one SQLite file a
// source: cursors, the index of its segments, ids seen, inputs finished, each
// sink's position, counts.
//
// It is an index and no truth: raw segments and flush records are, and what a
// lost state file knew is read from them again. It decides nothing: who calls
// it says what to keep, and each call is one transaction.
package state

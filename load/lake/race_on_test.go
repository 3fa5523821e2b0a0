//go:build race

package lake_test

// Under the race detector the Parquet library's pointers are checked, and what
// otherwise panics ends the program.
const raceDetector = true

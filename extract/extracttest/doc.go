// Package extracttest is the contract kit of extract: every source passes
// [Run], which holds it to what the comments of package extract promise.
//
// The kit reads a source made by the harness over and over, from the start and
// from every cursor it gave, stops it early, cancels it, and compares. It knows
// no vendor: what a source has to return is tested beside the source.
package extracttest

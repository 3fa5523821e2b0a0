// Package records cuts records out of files of JSON: [Open] unpacks and hashes
// a file as it is read, [Splitter] finds its elements, in bounded memory and
// whatever is broken. It does not know what the records are.
package records

// Package proof is the form of what idtrail says, and signs, about its own
// evidence: checkpoints of a source's chain, and records of every change that
// was made to what was landed or loaded (pruning, erasure, replay).
//
// Each is a text of lines, one fact a line, in the form of a signed note (C2SP
// signed-note, Ed25519), so that other tools can check it. Without a key the
// same text stands unsigned. The package neither reads nor writes objects:
// internal/pipeline writes them, internal/verify judges them.
package proof

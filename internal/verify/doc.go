// Package verify judges what idtrail left behind: it reads segments, flush
// records, the objects of the lake and the signed notes about them, and says
// exactly what is missing, altered, doubled or unaccounted for.
//
// It believes nothing but objects: no state, no configuration of sources. So it
// works on a bucket and on a copy of one alike, by whoever holds the public key.
// It changes nothing, and repairs nothing.
//
// What it cannot see: records a vendor never gave; what the program itself, or
// whoever held its signing key, wrote wrongly and signed; and the cutting off of
// the newest segments together with every note about them, unless a chain head
// was kept elsewhere (an [Anchor]).
package verify

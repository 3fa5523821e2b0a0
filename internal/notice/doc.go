// Package notice puts what idtrail has to say of itself into events: a gap in
// what it could read, how a run went, how far a chain of evidence reaches, what
// a comparison of two sources found. A SIEM then shows them beside the events
// they are about, and alerts on them.
//
// They are OCSF Base Events (class 0) of product "idtrail". The activity's name
// says which: gap, run, chain_head or drift. The numbers stand in unmapped, as
// text. The same facts give the same event with the same metadata.uid, so that
// one sent twice is known as one.
//
// It only makes events: what happened, when to tell and whom is decided by who
// calls it. No event holds personal data, as long as its facts hold none.
package notice

// Package splunk delivers events to a Splunk HTTP Event Collector (HEC), or to
// whatever else speaks its protocol.
//
// An event is one envelope: time to the millisecond, host, source, sourcetype,
// the index if one is configured, the event itself, and the indexed fields
// event_id, class_uid and severity_id. The event is the fields of Splunk's
// Common Information Model (CIM) first, which of them depends on what happened,
// then the whole OCSF event under "ocsf". It is that order because Splunk looks
// for fields only in an event's first few thousand characters unless it is told
// otherwise. deploy/splunk holds the add-on that makes the data models of CIM
// find them.
//
// Sign-ins become Authentication, where action is the outcome; changes become
// Change, where action is what was done, status the outcome, and, if an account
// was changed, user that account and src_user who changed it.
//
// What is delivered at least once, when requests are repeated and how
// acknowledgements are waited for is package load/stream's.
package splunk

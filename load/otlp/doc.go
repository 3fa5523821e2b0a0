// Package otlp sends events to an OpenTelemetry collector, or to whatever else
// takes OTLP logs over HTTP, and through it to every destination a collector
// knows. It is a [stream.Protocol]; packing, retries and counting are the
// stream's.
//
// # An event as a log record
//
// The body is the OCSF event itself, under OCSF's names, as a structured value
// and not as JSON text: a collector's processors can look into it at once
// (body["user"]["uid"]), stores with fields index it, and exporters that know
// lines only write it as the same JSON that the text would have been. The other
// way round, text has to be parsed again in every collector.
//
// Beside the body stands what is filtered, routed and joined by, by the names of
// OpenTelemetry's semantic conventions: log.record.uid is the id that is the same
// for the same event however often it is sent, by which a store may drop repeats;
// user.* is who acted (whom a sign-in is about); client.address, geo.*,
// user_agent.original, http.request.method, url.full, url.path, session.id, server.address,
// cloud.*; error.type is the vendor's code of a failure. What has no name there
// begins with ocsf. Where the conventions are silent about whose place geo.* is,
// here it is the client's.
//
// The event's name is ocsf.<class>.<activity>, as in ocsf.authentication.logon.
// Its time is the event's; the observed time is when it was encoded to be sent, so
// that the difference shows how late it came. That time alone differs between two
// sendings of an event.
//
// # Answers
//
// What an answer means follows the OTLP specification
// (https://opentelemetry.io/docs/specs/otlp/#otlphttp-response), but for its rule
// that data must be dropped after every other 4xx and 5xx: an audit trail rather
// waits. After 400 the refused record is looked for, and it alone given up; after
// 500 and its like the request is sent again, a few times a run; all else stops
// the sink until somebody has changed something. A web page instead of an answer
// is a wrong URL, whatever its status.
package otlp

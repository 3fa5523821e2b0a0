// Package datadog delivers events to Datadog's log intake, and shows how runs
// went as a service check and metrics.
//
// It is the [stream.Protocol] of that intake: the form of a log, what is too
// large or too old, and what an answer means. Packing, retries and counters are
// package stream's; which events come, and what of them, is decided before.
//
// A log has Datadog's standard attributes (usr, network.client, http, evt) beside
// the whole OCSF event in ocsf, and event_id, which is the same however often an
// event is sent: the intake takes no id from its clients, so a log sent twice is
// there twice, and is counted once by that attribute.
//
// Datadog places no log at its time that is older than 18 h or more than 2 h
// ahead; it takes the request all the same, and says nothing. Nor does it say
// that it cuts off what a log has beyond 1 MB. Both are therefore found here,
// before a log is sent. Its limits:
// https://docs.datadoghq.com/api/latest/logs/#send-logs
package datadog

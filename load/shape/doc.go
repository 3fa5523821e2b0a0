// Package shape decides which events a sink is given, and in which form: it
// filters by class, severity and cause, and it redacts.
//
// # What redaction does
//
// A rule names groups of values by their meaning, or single attributes by their
// OCSF path, and what is to become of them:
//
//	email user_name user_id full_name phone ip location user_agent session
//	raw       raw_data
//	unmapped  all of unmapped
//	data      api.request.data, api.response.data, and data of entities and resources
//
// A group covers every attribute in which such a value stands, a path but one.
// More than that: a value found there is looked for in all other text of the event (message,
// comment, labels, unmapped, JSON data, URLs, …), whatever its case and however
// it is escaped there, unless a rule of its own says what becomes of it: as JSON, as JSON inside JSON, as part of a URL. Members of
// unmapped and of JSON data are redacted by their names too (given_name,
// sourceIPAddress, {"Name":"phone_number","Value":…}), and e-mail addresses, IP
// addresses and international phone numbers by their form, wherever they stand.
// In doubt too much is taken out, never too little.
//
// raw_data is left out as soon as anything beside raw, location and user_agent
// is redacted: a vendor's record as a whole cannot be redacted safely. With
// those three it is redacted as JSON data is.
//
// drop leaves an attribute out; inside a text, *** takes the value's place. mask
// keeps what is of use without naming a person: the domain of an e-mail address
// (and its first letter, if there are at least two more), the network of an IP
// address (/24, /48), the country and continent of a location. pseudonym puts a
// keyed hash in its place: who has the key can compute it, nobody can turn it
// back, and the same person has the same one in all sources and sinks that use
// one key.
//
// What is never touched is what says which event it is and of what kind: times,
// class, activity, severity, status, api.operation, metadata.uid, product and
// tenant, the types of things. None of them holds a personal value.
//
// It knows no sink, reads no configuration and sends nothing.
package shape

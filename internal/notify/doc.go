// Package notify tells people of what goes wrong, in Slack, Teams, mail or by a
// webhook, and pings the watchers that miss a run which never happened.
//
// A trouble is told once to each target, again where it has changed, and once
// more when it is over. What was told is one small object beside the state, so
// that it survives machines that do not last; it is written after the message was
// sent, so that a kill between the two tells something twice and nothing never.
// What could not be sent is tried by the next run. One run sends each target one
// message at most.
//
// It judges nothing: what is wrong is handed in. No error of it holds a target's
// URL or what a receiver answered, for both may hold a key; and what it sends
// carries no markup, mention or link of a stranger's making.
package notify

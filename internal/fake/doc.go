// Package fake answers as the vendors do, on this machine: a server with
// Auth0's endpoints for tokens, logs, exports of users, roles, organizations and
// settings, and a made-up company ([Tenant]) whose users, logs and trail files
// fill it. Both are strict where the vendors are
// strict and odd where the vendors are odd.
//
// It is for tests and for the demo only. What it does beyond the documented
// behaviour of a vendor (faults, retention that drops records in silence) is
// asked for by its options. It reads nothing from outside and draws all chance
// from a seed.
package fake

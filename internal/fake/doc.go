// Package fake answers as the vendors do, on this machine. Of those that are
// read: a server with Auth0's endpoints for tokens, logs, exports of users, roles,
// organizations and settings ([Auth0]), one with Cognito's ([Cognito]), one with
// CloudTrail's and its files ([CloudTrail]), and a made-up company ([Tenant])
// whose users, logs and trail files fill them. Of those that are sent to: Datadog's
// intake and its API for checks and metrics ([Datadog]), Splunk's HTTP event
// collector with acknowledgements ([HEC]) and a receiver of OTLP logs ([OTLP]). On the
// way to them: Secrets Manager and parameters ([Vault]), roles to assume ([STS]),
// and a proxy ([Proxy]). All are strict where the vendors are strict and odd where the vendors are odd.
//
// It is for tests and for the demo only. What it does beyond the documented
// behaviour of a vendor (faults, retention that drops records in silence) is
// asked for by its options. It reads nothing from outside and draws all chance
// from a seed.
package fake

// Package telemetry sends traces and metrics of runs with OpenTelemetry's SDK, as
// its standard environment variables say; without them it is off, makes no
// connection and costs nothing.
//
// Its names and numbers are in docs/MONITORING.md. Attributes are names of the
// config, counts and classes of errors: no error's text, no person, no secret.
//
// It may fail no run and delay none: what cannot be sent is dropped, told once,
// and the end of the program waits for the rest no longer than a few seconds. It
// knows the pipeline's reports and steps, and no stage knows it.
package telemetry

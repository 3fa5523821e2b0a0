// Package serve runs jobs on their schedules, for as long as it is let, and says
// over HTTP how they get on.
//
// A job never runs twice at a time: what comes due while it still runs is
// skipped and counted. A panic fails its run and nothing else. When the context
// ends nothing new starts, and what runs is given a while to end in good order.
//
// It knows no config, and of a run only its reports: what a job does is handed
// in.
package serve

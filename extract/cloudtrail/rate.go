package cloudtrail

// What a forecast goes by: DefaultLookupRate is that of LookupOptions.Rate,
// EventsPerCall the most events that one call returns.
const (
	DefaultLookupRate = defaultRate
	EventsPerCall     = 50
)

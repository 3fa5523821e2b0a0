package cognito

// What a forecast goes by: DefaultRate is that of Options.Rate, UsersPerCall the
// most users that one call lists.
const (
	DefaultRate  = defaultRate
	UsersPerCall = pageSize
)

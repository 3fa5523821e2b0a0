package reconcile

// SetSpill makes the stores of a comparison use files beyond n bytes.
func SetSpill(o *Options, n int) { o.spill = n }

// The inside of the reports and the stores, for tests.
var (
	Visible     = visible
	Fit         = fit
	ColumnsOf   = columnsOf
	AppendUser  = appendUser
	DecodeUser  = decodeUser
	AppendDrift = appendDrift
	DecodeDrift = decodeDrift
	AppendKey   = appendKey
	CutKey      = cutKey
	ReportStyle = reportStyle
)

package notice

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/idtrail/idtrail/schema"
)

// Product is metadata.product.name and metadata.log_name of every notice.
const Product = "idtrail"

// The activity names of notices.
const (
	ActivityGap   = "gap"
	ActivityRun   = "run"
	ActivityHead  = "chain_head"
	ActivityDrift = "drift"
)

// Is says whether e is a notice.
func Is(e *schema.Event) bool {
	return e.ClassUID == schema.ClassBase && e.Metadata.Product.Name == Product
}

// maxError bounds the error text of a run or a comparison, in bytes.
const maxError = 500

// The severity_id values notices use.
const (
	informational int32 = 1
	low           int32 = 2
	medium        int32 = 3
	high          int32 = 4
)

func severityName(id int32) string {
	switch id {
	case low:
		return "Low"
	case medium:
		return "Medium"
	case high:
		return "High"
	default:
		return "Informational"
	}
}

// partial is the status of a run that did its work, but not all of it.
const partial = "Partial"

func statusName(id int32) string {
	switch id {
	case schema.StatusSuccess:
		return "Success"
	case schema.StatusFailure:
		return "Failure"
	default:
		return partial
	}
}

// header is what every notice begins with.
type header struct {
	activity string
	uid      string
	// tenant is the vendor identity it is about, "" where it is about several.
	tenant   string
	at       time.Time
	severity int32
	status   int32
	message  string
}

func (h header) event() schema.Event {
	at := h.at.UTC().Truncate(time.Millisecond)
	return schema.Event{
		Time: at.UnixMilli(), TimeDT: at,
		ClassUID: schema.ClassBase, ClassName: "Base Event",
		CategoryUID: 0, CategoryName: "Uncategorized",
		ActivityID: schema.ActivityOther, ActivityName: h.activity,
		TypeUID: int64(schema.ClassBase)*100 + int64(schema.ActivityOther), TypeName: "Base Event: Other",
		SeverityID: h.severity, Severity: severityName(h.severity),
		StatusID: h.status, Status: statusName(h.status),
		Message: h.message,
		Metadata: schema.Metadata{
			Version: schema.OCSFVersion, UID: h.uid, TenantUID: h.tenant,
			LogName: Product, Profiles: []string{"datetime"},
			Product: schema.Product{Name: Product, VendorName: Product},
		},
		Unmapped: map[string]string{},
	}
}

// span dates what the notice is about: from start to end. A zero time is left
// out.
func span(e *schema.Event, start, end time.Time) {
	e.StartTime, e.StartTimeDT = instant(start)
	e.EndTime, e.EndTimeDT = instant(end)
}

func instant(t time.Time) (*int64, *time.Time) {
	if t.IsZero() {
		return nil, nil
	}
	t = t.UTC().Truncate(time.Millisecond)
	return new(t.UnixMilli()), &t
}

// text keeps a value in unmapped, unless it is empty.
func text(e *schema.Event, key, value string) {
	if value != "" {
		e.Unmapped[key] = strings.ToValidUTF8(value, "\uFFFD")
	}
}

func number(e *schema.Event, key string, n int64) {
	e.Unmapped[key] = strconv.FormatInt(n, 10)
}

// clip cuts an error's text to maxError bytes of valid UTF-8.
func clip(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= maxError {
		return s
	}
	return strings.ToValidUTF8(s[:maxError-len("…")], "") + "…"
}

// digest names what has no number of its own, in 16 hex digits.
func digest(parts ...string) string {
	h := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(h[:8])
}

// count is a number with its word, in the plural where it takes it.
func count(n int64, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

func clock(t time.Time) string { return t.UTC().Format(time.RFC3339) }

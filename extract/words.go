package extract

import (
	"fmt"
	"strconv"
)

// Many writes a number of things for people: "1 file", "12,000 files".
func Many(n int64, thing string) string {
	if n != 1 {
		thing += "s"
	}
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits + " " + thing
}

// Size writes a number of bytes for people: "15 bytes", "1.5 MiB".
func Size(bytes int64) string {
	if bytes < 1024 {
		return Many(bytes, "byte")
	}
	n := float64(bytes)
	units := []string{"KiB", "MiB", "GiB", "TiB"}
	for n /= 1024; n >= 1023.95 && len(units) > 1; n /= 1024 {
		units = units[1:]
	}
	return fmt.Sprintf("%.1f %s", n, units[0])
}

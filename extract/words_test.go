package extract_test

import (
	"testing"

	"github.com/idtrail/idtrail/extract"
)

func TestWords(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 files", 1: "1 file", 999: "999 files", 1000: "1,000 files", 1234567: "1,234,567 files", -1000: "-1,000 files",
	} {
		if got := extract.Many(n, "file"); got != want {
			t.Errorf("Many(%d): got %q, want %q", n, got, want)
		}
	}
	for n, want := range map[int64]string{
		0: "0 bytes", 1: "1 byte", 1023: "1,023 bytes", 1024: "1.0 KiB", 1<<20 - 1: "1.0 MiB", 1536 << 10: "1.5 MiB",
		1 << 40: "1.0 TiB", 1 << 52: "4096.0 TiB",
	} {
		if got := extract.Size(n); got != want {
			t.Errorf("Size(%d): got %q, want %q", n, got, want)
		}
	}
}

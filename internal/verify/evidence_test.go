package verify_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/idtrail/idtrail/internal/verify"
)

func TestEvidence(t *testing.T) {
	s := fill(t)
	put(t, s.raw, "acme/<script>alert(1)</script>", []byte("x"))
	o := s.options(t)
	o.HaveKeys = false
	r := judge(t, o)
	span := verify.EvidenceOptions{From: time.Date(2026, 11, 19, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC), Version: "1.2.3"}
	var page, text bytes.Buffer
	if err := verify.WriteHTML(&page, span, r); err != nil {
		t.Fatal(err)
	}
	if err := verify.WriteJSON(&text, span, r); err != nil {
		t.Fatal(err)
	}
	for _, words := range []string{"2026-11-19 to 2026-11-21", "1 thing is", "&lt;script&gt;", "tenant of acme", "Signatures were not checked", "acme checkpoint 4 ", "the tenant keeps no more", "1.2.3", "default-src 'none'", `<meta name="viewport"`, `lang="en"`} {
		if !strings.Contains(page.String(), words) {
			t.Errorf("the page does not say %q", words)
		}
	}
	for _, words := range []string{"<script", "http://", "https://", "ZgotmplZ"} {
		if strings.Contains(page.String(), words) {
			t.Errorf("the page holds %q", words)
		}
	}
	var e verify.Evidence
	if err := json.Unmarshal(text.Bytes(), &e); err != nil {
		t.Fatal(err)
	}
	acme := e.Sources[0]
	var records int64
	for _, d := range acme.Coverage {
		records += d.Records
	}
	if len(acme.Coverage) != 3 || acme.Coverage[0].Date != "2026-11-19" || acme.Coverage[0].Records != 0 || records != 400 || acme.PeriodRecords != 400 {
		t.Errorf("coverage %+v, %d records", acme.Coverage, acme.PeriodRecords)
	}
	if e.OK || len(e.Findings) != 1 || len(acme.Gaps) != 1 || len(e.Anchors) != 4 || len(e.Limits) < 5 {
		t.Errorf("got %+v", e)
	}
	empty := verify.NewEvidence(verify.EvidenceOptions{}, verify.Report{})
	if !empty.OK || len(empty.Sources) != 0 {
		t.Errorf("of nothing: %+v", empty)
	}
}

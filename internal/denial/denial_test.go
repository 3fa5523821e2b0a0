package denial_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/idtrail/idtrail/internal/denial"
)

// TestParse reads the forms that services are known to answer with.
func TestParse(t *testing.T) {
	const pool = "arn:aws:cognito-idp:eu-west-1:123456789012:userpool/eu-west-1_Ab1Cd2Ef3"
	const key = "arn:aws:kms:us-west-2:123456789012:key/6390f2e0-86d6-46cb-8478-37dcfa6aa2dc"
	const role = "User: arn:aws:sts::123456789012:assumed-role/idtrail/idtrail is not authorized to perform: "
	for _, tt := range []struct {
		message string
		want    *denial.Error
		advice  string
	}{
		{
			role + "cognito-idp:ListUsers on resource: " + pool + " because no identity-based policy allows the cognito-idp:ListUsers action",
			&denial.Error{Action: "cognito-idp:ListUsers", Resource: pool, Named: true, Lacking: "identity-based policy"},
			"allow cognito-idp:ListUsers on " + pool,
		},
		{
			role + `s3:PutObject on resource: "arn:aws:s3:::acme-idtrail/lake/events/source=a/dt=2026-01-01/1.parquet" because no identity-based policy allows the s3:PutObject action`,
			&denial.Error{
				Action: "s3:PutObject", Resource: "arn:aws:s3:::acme-idtrail/lake/events/source=a/dt=2026-01-01/1.parquet", Named: true,
				Lacking: "identity-based policy",
			},
			"allow s3:PutObject on arn:aws:s3:::acme-idtrail/lake/events/source=a/dt=2026-01-01/1.parquet",
		},
		{
			role + "cloudtrail:LookupEvents because no identity-based policy allows the cloudtrail:LookupEvents action",
			&denial.Error{Action: "cloudtrail:LookupEvents", Named: true, Lacking: "identity-based policy"},
			"allow cloudtrail:LookupEvents",
		},
		{
			role + `s3:GetObject on resource: "arn:aws:s3:::b/k" with an explicit deny in a resource-based policy`,
			&denial.Error{Action: "s3:GetObject", Resource: "arn:aws:s3:::b/k", Named: true, Denied: "resource-based policy"},
			"a resource-based policy denies s3:GetObject on arn:aws:s3:::b/k: that has to be changed, to allow it elsewhere does not help",
		},
		{
			role + "kms:GenerateDataKey on resource: " + key + " with an explicit deny",
			&denial.Error{Action: "kms:GenerateDataKey", Resource: key, Named: true, Denied: "policy"},
			"a policy denies kms:GenerateDataKey on " + key + ": that has to be changed, to allow it elsewhere does not help",
		},
		{
			role + "kms:GenerateDataKey on resource: " + key + " because no session policy allows the kms:GenerateDataKey action",
			&denial.Error{Action: "kms:GenerateDataKey", Resource: key, Named: true, Lacking: "session policy"},
			"no session policy allows kms:GenerateDataKey on " + key + ": that has to, besides the role's own policy",
		},
		{
			role + "kms:Decrypt on this resource because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access",
			&denial.Error{Action: "kms:Decrypt", Named: true},
			"allow kms:Decrypt",
		},
		{"User: arn:aws:iam::1:user/x is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::2:role/reader", &denial.Error{
			Action: "sts:AssumeRole", Resource: "arn:aws:iam::2:role/reader", Named: true,
		}, "allow sts:AssumeRole on arn:aws:iam::2:role/reader"},
		{"Access Denied", nil, ""},
		{"", nil, ""},
		{"is not authorized to perform: \x1b[31mrm -rf", nil, ""},
		{"is not authorized to perform: s3:GetObject on resource: \x1b]0;x\a", &denial.Error{Action: "s3:GetObject", Named: true}, "allow s3:GetObject"},
	} {
		got := denial.Parse(tt.message)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", tt.message, diff)
		}
		if got != nil && got.Advice() != tt.advice {
			t.Errorf("advice: got %q, want %q", got.Advice(), tt.advice)
		}
	}
}

// TestOf: what AWS does not name is what the caller knows.
func TestOf(t *testing.T) {
	for message, want := range map[string]denial.Error{
		"Access Denied": {Action: "s3:GetObject", Resource: "arn:mine"},
		"x is not authorized to perform: s3:GetObject with an explicit deny in a service control policy": {
			Action: "s3:GetObject", Resource: "arn:mine", Named: true, Denied: "service control policy",
		},
		"x is not authorized to perform: kms:Decrypt because no identity-based policy allows the kms:Decrypt action": {
			Action: "kms:Decrypt", Named: true, Lacking: "identity-based policy",
		},
	} {
		if diff := cmp.Diff(&want, denial.Of(message, "s3:GetObject", "arn:mine")); diff != "" {
			t.Errorf("%s (-want +got)\n%s", message, diff)
		}
	}
}

func TestAll(t *testing.T) {
	a := &denial.Error{Action: "a:A", Err: errors.New("told")}
	b := &denial.Error{Action: "b:B", Resource: "r"}
	err := fmt.Errorf("check: %w", errors.Join(fmt.Errorf("one: %w", a), errors.New("else"), fmt.Errorf("%w and %w", b, a)))
	if diff := cmp.Diff([]string{"a:A", "b:B"}, actions(denial.All(err))); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got := denial.All(nil); got != nil {
		t.Errorf("of nil: got %v, want none", got)
	}
	if !strings.HasSuffix(a.Error(), "access denied: allow a:A: told") {
		t.Errorf("got %q", a)
	}
}

func actions(all []*denial.Error) []string {
	names := make([]string, len(all))
	for i, e := range all {
		names[i] = e.Action
	}
	return names
}

// FuzzParse: whatever a server says, nothing that is no name gets into the words.
func FuzzParse(f *testing.F) {
	f.Add("is not authorized to perform: s3:GetObject on resource: arn:aws:s3:::b/k because no session policy allows the x")
	f.Fuzz(func(t *testing.T, message string) {
		e := denial.Parse(message)
		if e == nil {
			return
		}
		for _, r := range e.Advice() {
			if r < ' ' || r > '~' {
				t.Errorf("%q is in the advice for %q", r, message)
			}
		}
	})
}

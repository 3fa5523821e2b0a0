package reconcile

import "time"

// Type is the type of a finding.
type Type string

// The types of findings, in the order they are reported in.
const (
	// MissingLeft and MissingRight: an account in scope has no partner on the
	// left, on the right.
	MissingLeft  Type = "missing_left"
	MissingRight Type = "missing_right"
	// Attribute: a field differs between two linked accounts.
	Attribute Type = "attribute"
	// Status: one is disabled, pending or to be reset, the other is not.
	Status Type = "status"
	// Groups: one has a group or role whose partner the other lacks.
	Groups Type = "groups"
	// MFA: one has a second factor, the other is known to have none.
	MFA Type = "mfa"
	// Duplicate: several accounts of one side have the same key. There is one
	// finding for each of them.
	Duplicate Type = "duplicate"
	// LinkConflict: two accounts share a key, but at least one of them is linked
	// to another account or has several such partners; or the account that is
	// named is not there.
	LinkConflict Type = "link_conflict"
	// Candidate: two accounts have the same e-mail address, which is not proof
	// enough to link them.
	Candidate Type = "candidate"
)

// Types lists all types in the order they are reported in.
func Types() []Type {
	return []Type{MissingLeft, MissingRight, Attribute, Status, Groups, MFA, Duplicate, LinkConflict, Candidate}
}

func (t Type) order() byte {
	for i, x := range Types() {
		if x == t {
			return byte(i + 1)
		}
	}
	return 0
}

// Rule is the rule that linked two accounts, or that a finding is about.
type Rule string

// The rules, in the order they are tried in. See the package's documentation.
const (
	RuleExplicit         Rule = "K1"
	RuleFederation       Rule = "K2"
	RuleFederationNoCase Rule = "K2-nocase"
	RuleSocial           Rule = "K3"
	RuleSocialNoCase     Rule = "K3-nocase"
	RuleEmail            Rule = "K4"
	RulePhone            Rule = "K5"
)

func (r Rule) confidence() Confidence {
	switch r {
	case RuleExplicit, RuleFederation:
		return ConfidenceExact
	case RulePhone:
		return ConfidenceMedium
	case RuleFederationNoCase, RuleSocial, RuleSocialNoCase, RuleEmail:
	}
	return ConfidenceStrong
}

// Severity says how much a finding matters.
type Severity string

// The severities.
const (
	SeverityLow    Severity = "low"
	SeverityMedium Severity = "medium"
	SeverityHigh   Severity = "high"
)

// Confidence says how sure a finding is: that of the rule which linked its
// accounts, or low when one of the snapshots may have been too early to see a
// change, or another account may be the partner.
type Confidence string

// The confidences.
const (
	ConfidenceExact  Confidence = "exact"
	ConfidenceStrong Confidence = "strong"
	ConfidenceMedium Confidence = "medium"
	ConfidenceLow    Confidence = "low"
)

// Drift is one finding: a row of table drift.
type Drift struct {
	// ComparedAt is when the two were compared.
	ComparedAt time.Time `json:"compared_at" parquet:"compared_at,timestamp(millisecond)"`
	// LeftSource is the source on the left.
	LeftSource string `json:"left_source" parquet:"left_source,dict"`
	// LeftSnapshot is the snapshot of it that was compared.
	LeftSnapshot string `json:"left_snapshot" parquet:"left_snapshot,dict"`
	// RightSource is the source on the right.
	RightSource string `json:"right_source" parquet:"right_source,dict"`
	// RightSnapshot is the snapshot of it that was compared.
	RightSnapshot string `json:"right_snapshot" parquet:"right_snapshot,dict"`

	// Type is what kind of finding it is: the list is above.
	Type Type `json:"type" parquet:"type,dict"`
	// Severity is low, medium or high.
	Severity Severity `json:"severity" parquet:"severity,dict"`
	// Confidence is exact, strong, medium or low: how sure the finding is.
	Confidence Confidence `json:"confidence" parquet:"confidence,dict"`
	// PersonKey is that of the account, or of the Auth0 one of two.
	PersonKey string `json:"person_key" parquet:"person_key"`
	// LeftID is the id of the account on the left.
	LeftID string `json:"left_id,omitempty" parquet:"left_id,optional"`
	// LeftName is its user name.
	LeftName string `json:"left_name,omitempty" parquet:"left_name,optional"`
	// RightID is the id of the account on the right.
	RightID string `json:"right_id,omitempty" parquet:"right_id,optional"`
	// RightName is its user name.
	RightName string `json:"right_name,omitempty" parquet:"right_name,optional"`
	// Rule linked the two accounts; for duplicates and conflicts it is the rule whose
	// key they share.
	Rule Rule `json:"rule,omitempty" parquet:"rule,dict,optional"`
	// Field is what differs.
	Field string `json:"field,omitempty" parquet:"field,dict,optional"`
	// LeftValue is what the left side has, null for nothing. A key that several
	// accounts share is on the side that has it.
	LeftValue string `json:"left_value,omitempty" parquet:"left_value,optional"`
	// RightValue is what the right side has, null for nothing.
	RightValue string `json:"right_value,omitempty" parquet:"right_value,optional"`
	// Detail says more of it.
	Detail string `json:"detail,omitempty" parquet:"detail,dict,optional"`
}

// texts are the columns a finding is sorted by, behind its type, and spilled as.
func (d *Drift) texts() []*string {
	return []*string{
		&d.LeftID, &d.RightID, (*string)(&d.Rule), &d.Field, &d.LeftValue, &d.RightValue,
		&d.PersonKey, &d.LeftName, &d.RightName,
		(*string)(&d.Severity), (*string)(&d.Confidence), &d.Detail,
	}
}

func appendDrift(b []byte, d *Drift) []byte {
	b = append(b, d.Type.order())
	for _, s := range d.texts() {
		b = appendKey(b, *s)
	}
	return b
}

func decodeDrift(rec []byte) (Drift, error) {
	types := Types()
	if len(rec) == 0 || rec[0] == 0 || int(rec[0]) > len(types) {
		return Drift{}, errSpilled
	}
	d := Drift{Type: types[rec[0]-1]}
	rest := rec[1:]
	for _, s := range d.texts() {
		var ok bool
		if *s, rest, ok = cutKey(rest); !ok {
			return Drift{}, errSpilled
		}
	}
	if len(rest) > 0 {
		return Drift{}, errSpilled
	}
	return d, nil
}

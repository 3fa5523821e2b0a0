package fake

import (
	"errors"
	"fmt"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	"google.golang.org/protobuf/proto"
)

// OTLPRecord is one log record that [OTLP] was sent. Keys with values are maps,
// arrays slices, whole numbers int64.
type OTLPRecord struct {
	Resource map[string]any
	Scope    string
	// Time and Observed are nanoseconds since 1970.
	Time, Observed uint64
	Severity       int
	SeverityText   string
	Name           string
	Body           any
	Attributes     map[string]any
}

// otlpRecords checks a request and returns its records; without whole, they are
// counted and empty.
func otlpRecords(data *logs.LogsData, whole bool) ([]OTLPRecord, error) {
	var records []OTLPRecord
	check := otlpCheck{}
	check.known(data)
	for _, r := range data.GetResourceLogs() {
		check.known(r, r.GetResource())
		resource := check.pairs(r.GetResource().GetAttributes())
		for _, s := range r.GetScopeLogs() {
			check.known(s, s.GetScope())
			if len(s.GetLogRecords()) == 0 {
				check.fail("a scope without records")
			}
			for _, rec := range s.GetLogRecords() {
				if !whole {
					records = append(records, OTLPRecord{})
					continue
				}
				records = append(records, check.record(rec, resource, s.GetScope().GetName()))
			}
		}
		if len(r.GetScopeLogs()) == 0 {
			check.fail("a resource without scopes")
		}
	}
	return records, check.err
}

// otlpCheck keeps the first thing that is wrong.
type otlpCheck struct{ err error }

func (c *otlpCheck) fail(reason string) {
	if c.err == nil {
		c.err = errors.New(reason)
	}
}

func (c *otlpCheck) known(messages ...proto.Message) {
	for _, m := range messages {
		if len(m.ProtoReflect().GetUnknown()) > 0 {
			c.fail(fmt.Sprintf("%s has a field that is not known", m.ProtoReflect().Descriptor().Name()))
		}
	}
}

func (c *otlpCheck) record(rec *logs.LogRecord, resource map[string]any, scope string) OTLPRecord {
	c.known(rec)
	if _, ok := logs.SeverityNumber_name[int32(rec.GetSeverityNumber())]; !ok {
		c.fail("a severity that is not known")
	}
	if rec.GetTimeUnixNano() == 0 && rec.GetObservedTimeUnixNano() == 0 {
		c.fail("a record without a time")
	}
	return OTLPRecord{
		Resource: resource, Scope: scope, Time: rec.GetTimeUnixNano(), Observed: rec.GetObservedTimeUnixNano(),
		Severity: int(rec.GetSeverityNumber()), SeverityText: rec.GetSeverityText(), Name: rec.GetEventName(),
		Body: c.value(rec.GetBody()), Attributes: c.pairs(rec.GetAttributes()),
	}
}

func (c *otlpCheck) pairs(pairs []*common.KeyValue) map[string]any {
	m := make(map[string]any, len(pairs))
	for _, p := range pairs {
		c.known(p)
		if _, ok := m[p.GetKey()]; ok || p.GetKey() == "" {
			c.fail("a key that is empty or comes twice")
		}
		m[p.GetKey()] = c.value(p.GetValue())
	}
	return m
}

func (c *otlpCheck) value(v *common.AnyValue) any {
	c.known(v)
	switch v := v.GetValue().(type) {
	case *common.AnyValue_StringValue:
		return v.StringValue
	case *common.AnyValue_BoolValue:
		return v.BoolValue
	case *common.AnyValue_IntValue:
		return v.IntValue
	case *common.AnyValue_DoubleValue:
		return v.DoubleValue
	case *common.AnyValue_BytesValue:
		return v.BytesValue
	case *common.AnyValue_ArrayValue:
		values := make([]any, 0, len(v.ArrayValue.GetValues()))
		for _, item := range v.ArrayValue.GetValues() {
			values = append(values, c.value(item))
		}
		return values
	case *common.AnyValue_KvlistValue:
		return c.pairs(v.KvlistValue.GetValues())
	}
	c.fail("a value without a type")
	return nil
}

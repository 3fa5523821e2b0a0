package fake_test

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	"google.golang.org/protobuf/proto"

	"github.com/idtrail/idtrail/internal/fake"
)

// otlpRequest is a valid request with so many records, before change has its way.
func otlpRequest(records int, change func(*logs.LogsData)) []byte {
	scope := &logs.ScopeLogs{}
	for range records {
		scope.LogRecords = append(scope.LogRecords, &logs.LogRecord{TimeUnixNano: 1, Body: otlpText("b"), Attributes: []*common.KeyValue{
			{Key: "a", Value: otlpText("v")},
		}})
	}
	data := &logs.LogsData{ResourceLogs: []*logs.ResourceLogs{{ScopeLogs: []*logs.ScopeLogs{scope}}}}
	if change != nil {
		change(data)
	}
	body, err := proto.Marshal(data)
	if err != nil {
		panic(err)
	}
	return body
}

func otlpText(v string) *common.AnyValue {
	return &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: v}}
}

func otlpPost(server http.Handler, body []byte, header http.Header) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/v1/logs", bytes.NewReader(body))
	r.Header = header.Clone()
	w := httptest.NewRecorder()
	server.ServeHTTP(w, r)
	return w
}

var otlpHeader = http.Header{"Content-Type": {"application/x-protobuf"}}

func TestOTLPTakes(t *testing.T) {
	server := fake.NewOTLP(fake.OTLPOptions{})
	if w := otlpPost(server, otlpRequest(2, nil), otlpHeader); w.Code != 200 || w.Body.Len() != 0 {
		t.Errorf("got %d %q", w.Code, w.Body)
	}
	var zipped bytes.Buffer
	zip := gzip.NewWriter(&zipped)
	_, _ = zip.Write(otlpRequest(3, nil))
	_ = zip.Close()
	if w := otlpPost(server, zipped.Bytes(), http.Header{"Content-Type": otlpHeader["Content-Type"], "Content-Encoding": {"gzip"}}); w.Code != 200 {
		t.Errorf("gzip: got %d %q", w.Code, w.Body)
	}
	if w := otlpPost(server, nil, otlpHeader); w.Code != 200 {
		t.Errorf("an empty request: got %d", w.Code)
	}
	calls := server.Calls()
	if len(server.Records()) != 5 || server.Kept() != 5 || len(calls) != 3 || calls[1].Records != 3 || calls[1].Status != 200 {
		t.Errorf("got %d records, calls %+v", len(server.Records()), calls)
	}
}

func TestOTLPRefuses(t *testing.T) {
	record := func(d *logs.LogsData) *logs.LogRecord { return d.ResourceLogs[0].ScopeLogs[0].LogRecords[0] }
	for name, test := range map[string]struct {
		body   []byte
		header http.Header
		want   int
	}{
		"no protobuf":        {[]byte("{}"), otlpHeader, 400},
		"JSON":               {[]byte("{}"), http.Header{"Content-Type": {"application/json"}}, 415},
		"zstd":               {nil, http.Header{"Content-Type": otlpHeader["Content-Type"], "Content-Encoding": {"zstd"}}, 415},
		"no gzip":            {[]byte("x"), http.Header{"Content-Type": otlpHeader["Content-Type"], "Content-Encoding": {"gzip"}}, 400},
		"too large":          {otlpRequest(1, func(d *logs.LogsData) { record(d).EventName = strings.Repeat("x", 2000) }), otlpHeader, 413},
		"an unknown field":   {append(otlpRequest(1, nil), 0x58, 1), otlpHeader, 400},
		"a key twice":        {otlpRequest(1, func(d *logs.LogsData) { record(d).Attributes = append(record(d).Attributes, record(d).Attributes[0]) }), otlpHeader, 400},
		"no time":            {otlpRequest(1, func(d *logs.LogsData) { record(d).TimeUnixNano = 0 }), otlpHeader, 400},
		"no such severity":   {otlpRequest(1, func(d *logs.LogsData) { record(d).SeverityNumber = 25 }), otlpHeader, 400},
		"a value of no type": {otlpRequest(1, func(d *logs.LogsData) { record(d).Body = &common.AnyValue{} }), otlpHeader, 400},
		"an empty scope":     {otlpRequest(0, nil), otlpHeader, 400},
		"an empty resource":  {otlpRequest(0, func(d *logs.LogsData) { d.ResourceLogs[0].ScopeLogs = nil }), otlpHeader, 400},
	} {
		server := fake.NewOTLP(fake.OTLPOptions{MaxBody: 1000})
		if w := otlpPost(server, test.body, test.header); w.Code != test.want || server.Kept() != 0 {
			t.Errorf("%s: got %d %q, kept %d, want %d", name, w.Code, w.Body, server.Kept(), test.want)
		}
	}
	server := fake.NewOTLP(fake.OTLPOptions{Headers: map[string]string{"X-Key": "right"}})
	if w := otlpPost(server, nil, otlpHeader); w.Code != 401 {
		t.Errorf("without a key: got %d", w.Code)
	}
}

// TestOTLPFaults: what goes wrong goes wrong before or after the records are
// kept.
func TestOTLPFaults(t *testing.T) {
	for _, kept := range []bool{false, true} {
		server := fake.NewOTLP(fake.OTLPOptions{Fault: func(c fake.OTLPCall) *fake.OTLPFault {
			if c.N > 1 {
				return nil
			}
			return &fake.OTLPFault{Fault: fake.Fault{Status: 503}, Kept: kept}
		}})
		if w := otlpPost(server, otlpRequest(2, nil), otlpHeader); w.Code != 503 || (server.Kept() == 2) != kept {
			t.Errorf("kept %v: got %d, holds %d", kept, w.Code, server.Kept())
		}
		if w := otlpPost(server, otlpRequest(2, nil), otlpHeader); w.Code != 200 {
			t.Errorf("the second call: got %d", w.Code)
		}
	}
}

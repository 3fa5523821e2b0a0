package datadog_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/idtrail/idtrail/load/datadog"
	"github.com/idtrail/idtrail/load/loadtest"
	"github.com/idtrail/idtrail/load/stream"
)

func bodyOf(tb testing.TB, p stream.Protocol) ([]byte, int) {
	tb.Helper()
	b := []byte("[")
	n := 0
	for ; n < 1000; n++ {
		e := loadtest.Event(int64(n), now.Add(time.Duration(n)*time.Second))
		var err error
		if b, _, err = p.Append(b, &e, now); err != nil {
			tb.Fatal(err)
		}
		if len(b) > 4_240_000 {
			break
		}
		b = append(b, ',')
	}
	b[len(b)-1] = ']'
	return b, n
}

func BenchmarkAppend(b *testing.B) {
	p, err := datadog.NewProtocol(options())
	if err != nil {
		b.Fatal(err)
	}
	e := loadtest.Event(1, now)
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf, _, _ = p.Append(buf[:0], &e, now)
	}
	b.SetBytes(int64(len(buf)))
}

func BenchmarkSend(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusAccepted)
	}))
	defer server.Close()
	o := options()
	o.Site, o.URL = "", server.URL
	p, err := datadog.NewProtocol(o)
	if err != nil {
		b.Fatal(err)
	}
	data, n := bodyOf(b, p)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if a := p.Send(b.Context(), stream.Request{Body: data, Entries: n}); a.Err != nil {
			b.Fatal(a.Err)
		}
	}
}

package records_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/idtrail/idtrail/internal/records"
)

// split gives the pieces as text, the faulty ones with a "!" before them.
func split(t *testing.T, r io.Reader) []string {
	t.Helper()
	s, err := records.SplitAll(r, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	got := []string{}
	for _, p := range s.Pieces {
		text := string(p.Bytes)
		if p.Fault != "" {
			text = "!" + text
		}
		got = append(got, text)
	}
	return got
}

func TestSplit(t *testing.T) {
	tests := []struct {
		name, in string
		want     []string
	}{
		{"nothing", "", nil},
		{"white space", " \r\n\t\n", nil},
		{"byte order mark", "\ufeff{\"a\":1}\n", []string{`{"a":1}`}},
		{"byte order mark inside", "{\"a\":1}\n\ufeff{\"a\":2}\n", []string{`{"a":1}`, `{"a":2}`}},
		{"lines", "{\"a\":1}\n{\"a\":2}\r\n\n{\"a\":3}", []string{`{"a":1}`, `{"a":2}`, `{"a":3}`}},
		{"concatenated", `{"a":1}{"a":2} {"a":3}`, []string{`{"a":1}`, `{"a":2}`, `{"a":3}`}},
		{"text sequence", "\x1e{\"a\":1}\n\x1e{\"a\":2}\n", []string{`{"a":1}`, `{"a":2}`}},
		{"array", ` [ {"a":[1,{"b":"]"}]} , {"a":2} ] `, []string{`{"a":[1,{"b":"]"}]}`, `{"a":2}`}},
		{"arrays", "[{\"a\":1}]\n[{\"a\":2},{\"a\":3}]\n[]", []string{`{"a":1}`, `{"a":2}`, `{"a":3}`}},
		{"array in an array", `[[{"a":1}],{"a":2}]`, []string{`[{"a":1}]`, `{"a":2}`}},
		{"scalars", "[1,-0.5e+3,\"x\",null,true,false]\n7\n", []string{"1", "-0.5e+3", `"x"`, "null", "true", "false", "7"}},
		{"pretty object", "{\n  \"a\": {\n    \"b\": [\n      1\n    ]\n  }\n}\n", []string{"{\n  \"a\": {\n    \"b\": [\n      1\n    ]\n  }\n}"}},
		{"bytes above ASCII", "{\"a\":\"\xff\xfe\xed\xa0\x80\"}", []string{"{\"a\":\"\xff\xfe\xed\xa0\x80\"}"}},
		{"escapes", `{"a":"\"}\\","b":"\u00fF"}{}`, []string{`{"a":"\"}\\","b":"\u00fF"}`, `{}`}},

		{"trail file", `{"Records":[{"eventID":"1"},{"eventID":"2"}]}`, []string{`{"eventID":"1"}`, `{"eventID":"2"}`}},
		{"trail file without events", `{"Records":[]}`, nil},
		{"trail files a line", "{\"Records\":[{\"a\":1}]}\n{\"Records\":[{\"a\":2}]}\n", []string{`{"a":1}`, `{"a":2}`}},
		{"trail files in an array", "[\n{\"Records\":[{\"a\":1}]},\n{\"Records\":[{\"a\":2}]}\n]", []string{`{"a":1}`, `{"a":2}`}},
		{"users", `{"ResponseMetadata":{"Users":[{"x":1}]},"Users":[{"Username":"u"}],"PaginationToken":"t"}`, []string{`{"Username":"u"}`}},
		{"totals", `{"start":0,"limit":50,"length":1,"total":1,"logs":[{"log_id":"1"}]}`, []string{`{"log_id":"1"}`}},
		{"lookup", `{"NextToken":"x","Events":[{"EventId":"1","CloudTrailEvent":"{}"}],"z":[{"a":1}],"y":{"Events":[{}]}}`, []string{`{"EventId":"1","CloudTrailEvent":"{}"}`}},
		{"two lists", `{"Users":[{"Username":"u"}],"Events" : [ {"a":1} ],"n":1}`, []string{`{"Username":"u"}`, `{"a":1}`}},
		{"record with logs", `{"user_id":"auth0|1","logs":[{"a":1}]}`, []string{`{"user_id":"auth0|1","logs":[{"a":1}]}`}},
		{"record with a list of text", `{"logs":["a"],"user_id":"x"}`, []string{`{"logs":["a"],"user_id":"x"}`}},
		{"nested list", `{"detail":{"Records":[{"a":1}]}}`, []string{`{"detail":{"Records":[{"a":1}]}}`}},

		{"line cut in a string", "{\"a\":1}\n{\"a\":\"tru\n{\"a\":3}\n", []string{`{"a":1}`, `!{"a":"tru`, `{"a":3}`}},
		{"line cut behind a colon", "{\"a\":1,\"b\":\n{\"a\":2}\n{\"a\":3}\n", []string{`!{"a":1,"b":`, `{"a":2}`, `{"a":3}`}},
		{"line cut behind a comma", "{\"a\":[1,\n{\"a\":2}\n{\"a\":3}", []string{`!{"a":[1,`, `{"a":2}`, `{"a":3}`}},
		{"text among lines", "{\"a\":1}\nhello {world}\nagain\n{\"a\":2}\n", []string{`{"a":1}`, "!hello {world}\nagain", `{"a":2}`}},
		{"dates of a log", "2026-11-19 12:00 INFO x\n{\"a\":2}\n", []string{"!2026-11-19 12:00 INFO x", `{"a":2}`}},
		{"rest of a line", "{\"a\":1} x\n{\"a\":2}", []string{`{"a":1}`, "!x", `{"a":2}`}},
		{"broken token", `[{"a":1},{"a":nope},{"a":3}]`, []string{`{"a":1}`, `!{"a":nope}`, `{"a":3}`}},
		{"quote missing, one line", `{"Records":[{"a":"x,"b":"y"},{"a":2},{"a":3}]}`, []string{`!{"a":"x,"b":"y"},`, `{"a":2}`, `{"a":3}`}},
		{"brace missing, one line", `[{"a":{"b":1},{"a":2},{"a":3}]`, []string{`!{"a":{"b":1},`, `{"a":2}`, `{"a":3}`}},
		{"brace too many", "{\"a\":1}}\n{\"a\":2}", []string{`{"a":1}`, "!}", `{"a":2}`}},
		{"comma missing", `[{"a":1}{"a":2}]`, []string{`{"a":1}`, `{"a":2}`}},
		{"commas too many", `[,{"a":1},,{"a":2},]`, []string{`{"a":1}`, `{"a":2}`}},
		{"word in an array", `[{"a":1},NaN,{"a":2}]`, []string{`{"a":1}`, `!NaN,`, `{"a":2}`}},
		{"word at the end of an array", "[{\"a\":1},NaN]\n{\"a\":2}", []string{`{"a":1}`, `!NaN`, `{"a":2}`}},
		{
			"pretty array, broken token",
			"[\n  {\n    \"a\": bro ken,\n    \"c\": [\n      {\n        \"x\": 1\n      }\n    ]\n  },\n  {\n    \"a\": 2\n  }\n]\n",
			[]string{"!{\n    \"a\": bro ken,\n    \"c\": [\n      {\n        \"x\": 1\n      }\n    ]\n  }", "{\n    \"a\": 2\n  }"},
		},
		{
			"pretty array, quote missing",
			"[\n  {\n    \"a\": \"bro,\n    \"c\": [\n      {\n        \"x\": 1\n      }\n    ]\n  },\n  {\n    \"a\": 2\n  }\n]\n",
			[]string{"!{\n    \"a\": \"bro,\n    \"c\": [\n      {\n        \"x\": 1\n      }\n    ]\n  },", "{\n    \"a\": 2\n  }"},
		},
		{"wrapper cut, another behind", "{\"Records\":[{\"a\":1},{\"a\"\n{\"Records\":[{\"a\":2}]}\n", []string{`{"a":1}`, `!{"a"`, `{"a":2}`}},
		{"cut in a record", `{"Records":[{"a":1},{"a":{"b":[1,2`, []string{`{"a":1}`, `!{"a":{"b":[1,2`}},
		{"cut in a string", `{"a":1}{"a":"\`, []string{`{"a":1}`, `!{"a":"\`}},
		{"cut behind a record", `{"Records":[{"a":1}`, []string{`{"a":1}`}},
		{"cut in a word", "[tru", []string{"!tru"}},
		{"control character", "{\"a\":\"x\ty\"}\n{\"a\":2}", []string{"!{\"a\":\"x\ty\"}", `{"a":2}`}},
		{"bad numbers", "[01,1.,-,1e,{\"a\":1}]", []string{"!01,1.,-,1e,", `{"a":1}`}},
		{"zeros", "{\"a\":1}\n\x00\x00\x00", []string{`{"a":1}`, "!\x00\x00\x00"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := append([]string{}, tt.want...)
			if diff := cmp.Diff(want, split(t, strings.NewReader(tt.in))); diff != "" {
				t.Errorf("pieces (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(want, split(t, iotest.OneByteReader(strings.NewReader(tt.in)))); diff != "" {
				t.Errorf("pieces, byte by byte (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSplitTooLong(t *testing.T) {
	long := `{"a":"` + strings.Repeat("x", 5000) + `"}`
	open := `{"a":["` + strings.Repeat("x", 5000) + `",`
	tests := []struct {
		name, in string
		want     []string
	}{
		{"record", `{"a":1}` + long + `{"a":2}`, []string{`{"a":1}`, "!5008", `{"a":2}`}},
		{"broken behind the limit", long[:4000] + "\n{\"a\":2}", []string{"!4001", `{"a":2}`}},
		{"open, lines behind", open + "\n{\"a\":2}\n{\"a\":3}", []string{"!5010", `{"a":2}`, `{"a":3}`}},
		{"garbage", strings.Repeat("x", 9000) + "\n{\"a\":2}", []string{"!9001", `{"a":2}`}},
		{"cut off", `{"a":1}` + long[:4000], []string{`{"a":1}`, "!4000"}},
		{"deep", strings.Repeat("[", 900) + "\n{\"a\":2}", []string{"!899", `{"a":2}`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := records.SplitAll(strings.NewReader(tt.in), 1000, 100)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range s.Pieces {
				if p.Fault == "" {
					got = append(got, string(p.Bytes))
					continue
				}
				got = append(got, fmt.Sprintf("!%d", p.Length))
				if len(p.Bytes) > 1000 {
					t.Errorf("a faulty piece of %d bytes", len(p.Bytes))
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("pieces (-want +got):\n%s", diff)
			}
		})
	}
}

// Unclosed elements, one in another's reach, must not cost their square.
func TestSplitIsLinear(t *testing.T) {
	for name, line := range map[string]string{
		"open arrays": "{\"a\":[1,\n" + strings.Repeat("{\"b\":2},\n", 100),
		"open quotes": `{x"},{"`,
		"brackets":    "[",
		"braces":      `{"a":`,
		"marks":       `{"a"x},{"a`,
	} {
		t.Run(name, func(t *testing.T) {
			in := strings.Repeat(line, 512<<10/len(line))
			s, err := records.SplitAll(strings.NewReader(in), 128<<10, 1<<10)
			if err != nil {
				t.Fatal(err)
			}
			if len(s.Pieces) == 0 {
				t.Error("got nothing")
			}
			if s.Budget < 0 {
				t.Errorf("%d bytes more than allowed were scanned again", -s.Budget)
			}
		})
	}
}

func FuzzSplit(f *testing.F) {
	for _, seed := range []string{
		"", "{\"a\":1}\n{\"b\":[1,2]}", `[{"a":1},{"b":bad},{"c":3}]`, `{"Records":[{"a":1},{"a":2}],"x":{"y":[1]}}`,
		"{\"a\":\n{\"b\":1}\n", "\xef\xbb\xbf[1,\"x\",null]", "}{][", `{"a":"x,"b":"y"},{"a":2}`, "{\"Users\":[{\"a\":1},{\"b\"\n{\"Users\":[{}]}",
		"2026 x\n{}", "[NaN,{\"a\":1}]",
	} {
		f.Add([]byte(seed), uint8(0))
		f.Add([]byte(seed), uint8(9))
	}
	f.Fuzz(func(t *testing.T, in []byte, limit uint8) {
		s, err := records.SplitAll(bytes.NewReader(in), int(limit), int(limit)/2+1)
		if err != nil {
			t.Fatal(err)
		}
		var faulty, whole int64
		for _, p := range s.Pieces {
			if p.Fault == "" && !json.Valid(p.Bytes) {
				t.Errorf("piece %q is no JSON value", p.Bytes)
			}
			if p.Fault == "" {
				whole += int64(len(p.Bytes))
			}
			faulty += p.Length - int64(len(p.Bytes))
			if len(p.Bytes) == 0 {
				t.Errorf("an empty piece: %q", p.Fault)
			}
		}
		if faulty != 0 {
			return // a piece was cut: its end is not to be had
		}
		// White space at the end of a broken piece is all that may be missing.
		if got, want := squeeze(s.Order), squeeze(in); !bytes.Equal(got, want) {
			t.Errorf("cut out %q of %q", got, want)
		}
		again, err := records.SplitAll(iotest.HalfReader(bytes.NewReader(in)), int(limit), int(limit)/2+1)
		if err != nil || len(again.Pieces) != len(s.Pieces) {
			t.Errorf("in other chunks: %d pieces, %v; want %d", len(again.Pieces), err, len(s.Pieces))
		}
	})
}

func squeeze(b []byte) []byte {
	return bytes.Map(func(r rune) rune {
		if r == ' ' || r == '\t' || r == '\r' || r == '\n' {
			return -1
		}
		return r
	}, bytes.ToValidUTF8(b, []byte("?")))
}

func BenchmarkSplit(b *testing.B) {
	line := `{"log_id":"90020261119235512345678","date":"2026-11-19T23:55:12.123Z","type":"s","details":{"prompts":[{"name":"login","elapsed":1234.5}],"stats":{"loginsCount":12}},"user_agent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"}`
	in := []byte(`{"Records":[` + strings.Repeat(line+",", 10_000) + line + `]}`)
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		if _, err := records.SplitAll(bytes.NewReader(in), 0, 0); err != nil {
			b.Fatal(err)
		}
	}
}

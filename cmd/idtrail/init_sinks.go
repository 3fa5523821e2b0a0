package main

import (
	"fmt"
	"strconv"
	"strings"
)

// noSIEM says that no flag named a receiver of events.
func (w *answers) noSIEM() bool { return w.datadog+w.splunk+w.otlp == "" }

// startText is where a sink that streams begins; what is older is in the lake.
const startText = "    # Where it begins: a span back, start (everything landed), now, or a time.\n    start: 18h\n"

// sinkTexts are the sinks of the answers that events are sent to.
func (w *answers) sinkTexts() string {
	var b strings.Builder
	if w.noSIEM() {
		return ""
	}
	b.WriteString("  # Events are sent at each run, at least once and always with the same event_id.\n" +
		"  # Filters and redaction are in idtrail.example.yaml, what each promises in\n  # docs/DELIVERY.md.\n")
	if w.datadog != "" {
		fmt.Fprintf(&b, "  - name: datadog\n    kind: datadog\n    site: %s\n    api_key: \"${env:DD_API_KEY}\"\n%s",
			strconv.Quote(w.datadog), startText)
	}
	if w.splunk != "" {
		fmt.Fprintf(&b, "  - name: splunk\n    kind: splunk_hec\n    url: %s\n    token: \"${env:SPLUNK_TOKEN}\"\n"+
			"    # on, if the token has indexer acknowledgement.\n    ack: off\n%s", strconv.Quote(w.splunk), startText)
	}
	if w.otlp != "" {
		fmt.Fprintf(&b, "  - name: otel\n    kind: otlp\n    url: %s\n"+
			"    # What it wants to see, by reference: headers: {Authorization: \"${env:OTLP_TOKEN}\"}\n%s",
			strconv.Quote(w.otlp), startText)
	}
	return b.String()
}

// sinkEnvironment are the variables those sinks name.
func (w *answers) sinkEnvironment() []string {
	var names []string
	if w.datadog != "" {
		names = append(names, "DD_API_KEY")
	}
	if w.splunk != "" {
		names = append(names, "SPLUNK_TOKEN")
	}
	return names
}

package extracttest

import (
	"bytes"
	"context"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// readings numbers the readings, so that the goroutines of each can be told.
var readings atomic.Int64

const labelKey = "extracttest_reading"

// watch runs f and returns the stacks of the goroutines it started, directly or
// not, that are still there a while after it ended. Goroutines inherit labels,
// so other tests and servers do not disturb it.
func watch(ctx context.Context, f func(ctx context.Context)) string {
	mark := strconv.FormatInt(readings.Add(1), 10)
	pprof.Do(ctx, pprof.Labels(labelKey, mark), f)
	deadline := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		stacks := marked(mark)
		if stacks == "" {
			return ""
		}
		select {
		case <-tick.C:
		case <-deadline:
			return stacks
		}
	}
}

func marked(mark string) string {
	var buf bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&buf, 1); err != nil {
		return err.Error()
	}
	label := strconv.Quote(labelKey) + ":" + strconv.Quote(mark)
	var left []string
	for block := range strings.SplitSeq(buf.String(), "\n\n") {
		if strings.Contains(block, label) && !idle(block) {
			left = append(left, block)
		}
	}
	return strings.Join(left, "\n\n")
}

// idle says whether the goroutine serves a connection that net/http keeps for
// its next call. One whose body was neither read to its end nor closed waits
// elsewhere: not in Peek.
func idle(block string) bool {
	if strings.Contains(block, "net/http.(*persistConn).readLoop") {
		return strings.Contains(block, "bufio.(*Reader).Peek")
	}
	return strings.Contains(block, "net/http.(*persistConn).writeLoop") ||
		strings.Contains(block, "clientConnReadLoop") || strings.Contains(block, "ClientConn).readLoop")
}

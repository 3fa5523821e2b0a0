package harness

import (
	"net"
	"os/exec"
	"path/filepath"
	"testing"
)

// StartPrism starts Prism, which holds each request against Datadog's own
// description of its API: one that is not as it says is answered with 400, one
// without a key with 401. It keeps nothing, and looks neither at the key nor at
// limits that no schema states.
//
// What comes to the proxy that is returned is passed on decompressed, as Prism
// does not do that.
func StartPrism(t testing.TB) *Proxy {
	t.Helper()
	home, api := tool(t, "IDTRAIL_PRISM"), tool(t, "IDTRAIL_DATADOG_API")
	// Another process may take the port before Prism does.
	var err error
	for range 3 {
		address := freePort(t)
		if err = tryPrism(t, home, api, address); err == nil {
			return NewProxy(t, "http://"+address, true)
		}
	}
	t.Fatal(err)
	return nil
}

func tryPrism(t testing.TB, home, api, address string) error {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	script := filepath.Join(home, "node_modules", ".bin", "prism")
	return start(t, address, exec.Command("node", script, "mock", "--errors", "--verboseLevel", "error",
		"--host", host, "--port", port, api))
}

package state_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/schema"
	"github.com/idtrail/idtrail/state"
)

// A test that needs other processes starts its own binary with these set.
const (
	envHelper = "IDTRAIL_STATE_HELPER" // race or hold
	envStore  = "IDTRAIL_STATE_STORE"
	envDir    = "IDTRAIL_STATE_DIR"
)

func TestMain(m *testing.M) {
	var err error
	switch os.Getenv(envHelper) {
	case "":
		os.Exit(m.Run())
	case "race":
		err = helpRace()
	case "hold":
		err = helpHold()
	}
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
}

// sharedIn opens states in a folder that several processes use. Its clock is
// ahead by the seconds that a file says.
func sharedIn(store, dir string) (state.Opener, error) {
	d, err := blob.OpenDir(store)
	if err != nil {
		return nil, err
	}
	now := func() time.Time {
		text, _ := os.ReadFile(filepath.Join(dir, "ahead"))
		seconds, _ := strconv.Atoi(strings.TrimSpace(string(text)))
		return time.Now().Add(time.Duration(seconds) * time.Second)
	}
	return state.Shared(state.SharedOptions{Store: d, Dir: dir, Owner: state.Owner{Host: "h", PID: os.Getpid()}, Now: now}), nil
}

// helpRace holds the source as often as it can, and makes a file meanwhile that
// nobody else may have made.
func helpRace() error {
	o, err := sharedIn(os.Getenv(envStore), os.Getenv(envDir))
	if err != nil {
		return err
	}
	mark := filepath.Join(os.Getenv(envStore), "..", "holder")
	held := 0
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); {
		d, err := o.Open(context.Background(), "acme")
		if errors.Is(err, state.ErrHeld) {
			continue
		}
		if err != nil {
			return err
		}
		held++
		f, err := os.OpenFile(mark, os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return fmt.Errorf("two hold it: %w", err)
		}
		if err := errors.Join(f.Close(), d.Fence(), os.Remove(mark), d.Close()); err != nil {
			return err
		}
	}
	fmt.Println("held", held)
	return nil
}

// helpHold holds the source, says so, and then does what each line of its input
// says.
func helpHold() error {
	o, err := sharedIn(os.Getenv(envStore), os.Getenv(envDir))
	if err != nil {
		return err
	}
	d, err := o.Open(context.Background(), "acme")
	if err != nil {
		return err
	}
	fmt.Println("held")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		switch in.Text() {
		case "fence":
			fmt.Println("fence:", d.Fence())
		case "move":
			err := d.Move(context.Background(), state.Delivery{Sink: "siem", Upto: schema.Position{Segment: 9}, At: time.Now()})
			fmt.Println("move:", err)
		case "close":
			fmt.Println("close:", d.Close())
			return nil
		}
	}
	return nil
}

func helper(t *testing.T, what, store, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), envHelper+"="+what, envStore+"="+store, envDir+"="+dir)
	cmd.Stderr = os.Stderr
	return cmd
}

func TestOneOfSixteenProcessesHolds(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	store := filepath.Join(t.TempDir(), "store")
	var wg sync.WaitGroup
	var mu sync.Mutex
	total := 0
	for range 16 {
		cmd := helper(t, "race", store, t.TempDir())
		wg.Go(func() {
			out, err := cmd.Output()
			var held int
			if _, scanErr := fmt.Sscanf(string(out), "held %d", &held); err != nil || scanErr != nil {
				t.Errorf("%v: %s", err, out)
			}
			mu.Lock()
			defer mu.Unlock()
			total += held
		})
	}
	wg.Wait()
	o, err := sharedIn(store, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if s := published(t, o); total == 0 || s.Holding.Generation != int64(total) {
		t.Errorf("held %d times, in %d generations", total, s.Holding.Generation)
	}
}

// TestAProcessThatWakesUpChangesNothing: it is stopped, its lease is taken over,
// it goes on.
func TestAProcessThatWakesUpChangesNothing(t *testing.T) {
	for name, ahead := range map[string]string{
		"by its clock":  "61", // its own clock says at once that it slept
		"by the store":  "0",  // its clock stood meanwhile: only the store can tell
		"set back also": "-7200",
	} {
		t.Run(name, func(t *testing.T) { testZombie(t, ahead) })
	}
}

func testZombie(t *testing.T, ahead string) {
	t.Helper()
	store, dir := filepath.Join(t.TempDir(), "store"), t.TempDir()
	cmd := helper(t, "hold", store, dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	wantLine(t, lines, "held", "")
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	// A minute passes: for the store, and for the one that slept.
	object := filepath.Join(store, "acme.json")
	old := time.Now().Add(-61 * time.Second)
	err = errors.Join(os.Chtimes(object, old, old), os.WriteFile(filepath.Join(dir, "ahead"), []byte(ahead), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	o, err := sharedIn(store, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	d, err := o.Open(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	commit(t, d, landed(0))
	closeState(t, d)
	before, err := os.ReadFile(object)
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if ahead == "61" {
		ask(t, in, "fence")
		wantLine(t, lines, "fence:", state.ErrLost.Error())
	}
	ask(t, in, "move")
	wantLine(t, lines, "move:", "nil")
	ask(t, in, "close")
	wantLine(t, lines, "close:", state.ErrLost.Error())
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	after, err := os.ReadFile(object)
	if err != nil || string(after) != string(before) {
		t.Errorf("it changed the state to %s, %v", after, err)
	}
	if s := published(t, o); s.Holding.Generation != 2 || len(s.Positions) != 0 {
		t.Errorf("got %+v", s)
	}
}

func ask(t *testing.T, to io.Writer, what string) {
	t.Helper()
	if _, err := fmt.Fprintln(to, what); err != nil {
		t.Fatal(err)
	}
}

func wantLine(t *testing.T, lines *bufio.Scanner, begin, within string) {
	t.Helper()
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), begin) || !strings.Contains(lines.Text(), within) {
		t.Fatalf("got %q, want %s … %s", lines.Text(), begin, within)
	}
}

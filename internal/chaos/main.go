// Chaos runs the built program against made-up vendors, stores and receivers
// that fail all the time, does to it what happens to programs (killed at any
// moment and at every step, told to stop, frozen, run twice at once, robbed of
// its disk, its database, its network), and checks after each round that nothing
// was lost, doubled or altered: in raw, in the lake, at the receivers, in what
// status and verify say.
//
// It knows what is true because it made it up: what the vendors gave is held
// against raw by ids read from raw's lines by code of its own; what raw holds,
// mapped, against the lake. Chance comes from the seed, which is printed; when
// processes die is up to the machine, so that a seed brings back the plan and not
// the microsecond.
//
// It is a command and no test, as it runs for as long as it is told. It needs the
// program built with the tag chaos: see make chaos.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

func main() { os.Exit(begin(os.Args[1:], os.Stdout, os.Stderr)) }

// options are how it was called.
type options struct {
	binary, s3, keep string
	span             time.Duration
	seed             uint64
	lanes            int
	verbose          bool
}

func begin(args []string, out, problems io.Writer) int {
	var o options
	f := flag.NewFlagSet("chaos", flag.ContinueOnError)
	f.SetOutput(problems)
	f.StringVar(&o.binary, "idtrail", "bin/idtrail-chaos", "the program, built with -tags chaos")
	f.StringVar(&o.s3, "s3", "", "versitygw, which serves S3; without it, only folders are tried")
	f.StringVar(&o.keep, "keep", filepath.Join(os.TempDir(), "idtrail-chaos"), "where the folders of a round that failed are kept")
	f.DurationVar(&o.span, "for", 10*time.Minute, "how long to begin new rounds")
	f.Uint64Var(&o.seed, "seed", 0, "of all chance; 0 draws one")
	f.IntVar(&o.lanes, "lanes", 3, "how many worlds are up at a time")
	f.BoolVar(&o.verbose, "v", false, "tell each thing that is done")
	if err := f.Parse(args); err != nil {
		return 2
	}
	if o.seed == 0 {
		o.seed = rand.Uint64() //nolint:gosec // it is a seed, not a secret
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	c := &chaos{options: o, out: out, tally: newTally()}
	fmt.Fprintf(out, "chaos: seed %d, for %s, %d worlds at a time\n", o.seed, o.span, o.lanes)
	err := c.run(ctx)
	c.tally.print(out)
	if err != nil {
		fmt.Fprintf(problems, "chaos: seed %d: %v\n", o.seed, err)
		return 1
	}
	return 0
}

// chaos is one run of the command.
type chaos struct {
	options
	tally *tally

	mu  sync.Mutex
	out io.Writer
}

// say tells people.
func (c *chaos) say(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprintf(c.out, "%s "+format+"\n", append([]any{time.Now().Format("15:04:05")}, args...)...)
}

// run has lanes of worlds until the time is up or one is broken.
func (c *chaos) run(ctx context.Context) (err error) {
	if c.binary, err = filepath.Abs(c.binary); err != nil {
		return err
	}
	if _, err := os.Stat(c.binary); err != nil {
		return fmt.Errorf("find the program: %w (make chaos builds it)", err)
	}
	until := time.Now().Add(c.span)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make([]error, c.lanes)
	var group sync.WaitGroup
	for lane := range c.lanes {
		group.Go(func() {
			if errs[lane] = c.lane(ctx, lane, until); errs[lane] != nil {
				cancel()
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// roundsOfWorld is how many rounds a world lives for.
const roundsOfWorld = 3

// lane has one world after the other.
func (c *chaos) lane(ctx context.Context, lane int, until time.Time) error {
	for n := 0; time.Now().Before(until) && ctx.Err() == nil; n++ {
		kinds := c.kinds()
		// Each lane begins at another kind, and comes to all.
		if err := c.world(ctx, kinds[(n+lane)%len(kinds)], fmt.Sprintf("%d-%d", lane, n), until); err != nil {
			return err
		}
	}
	return nil
}

// kinds of worlds there can be.
func (c *chaos) kinds() []kind {
	if c.s3 == "" {
		return []kind{local, small}
	}
	return []kind{shared, small, bucket, local}
}

// world makes a world and has its rounds.
func (c *chaos) world(ctx context.Context, k kind, name string, until time.Time) (err error) {
	w, err := c.newWorld(ctx, k, name)
	if err != nil {
		return fmt.Errorf("make world %s (%s): %w", name, k, err)
	}
	defer func() { err = errors.Join(err, w.close(err != nil && ctx.Err() == nil)) }()
	for n := 1; n <= roundsOfWorld && ctx.Err() == nil && (n == 1 || time.Now().Before(until)); n++ {
		if err := w.round(ctx, n); err != nil {
			if ctx.Err() != nil {
				return nil // another world broke, or somebody stopped us
			}
			return fmt.Errorf("world %s (%s), round %d: %w", name, k, n, err)
		}
	}
	return nil
}

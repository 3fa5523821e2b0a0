package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Result is how a run of a job ended.
type Result string

// The results. Held is a run whose sources other processes hold.
const (
	Done        Result = "done"
	Partly      Result = "partly"
	Failed      Result = "failed"
	Held        Result = "held"
	Interrupted Result = "interrupted"
)

// Results are all of them.
func Results() []Result { return []Result{Done, Partly, Failed, Held, Interrupted} }

// Job is what runs on a schedule.
type Job struct {
	Name     string
	Schedule Schedule
	// Run does it, once, and logs what fails. It ends soon after its context.
	Run func(ctx context.Context) Result
}

// Options of a service.
type Options struct {
	Jobs []Job
	// Metrics is what the service counts in.
	Metrics *Metrics
	Log     *slog.Logger
	Now     func() time.Time
	// Drain is how long jobs may take to end when the service is to stop; 18 s if
	// 0, which leaves time to exit within 20.
	Drain time.Duration
}

const defaultDrain = 18 * time.Second

// ErrAbandoned says that the service stopped while a job still ran.
var ErrAbandoned = errors.New("a job did not end in time")

// Service runs jobs. Make one with [New].
type Service struct {
	o    Options
	jobs []*job

	mu       sync.Mutex // guards what follows, and seen and took of the jobs
	started  time.Time
	stopping bool
}

// job is a Job and what became of it.
type job struct {
	Job
	next time.Time // it is due; known to the loop that starts it alone
	seen JobHealth
	took time.Duration // by the last good run
}

// New makes a service.
func New(o Options) *Service {
	if o.Drain == 0 {
		o.Drain = defaultDrain
	}
	s := &Service{o: o, started: o.Now().UTC()}
	for _, j := range o.Jobs {
		s.jobs = append(s.jobs, &job{Job: j, seen: JobHealth{
			Job: j.Name, Schedule: j.Schedule.String(), Zone: j.Schedule.Zone().String(),
		}})
		o.Metrics.know(j.Name)
	}
	return s
}

// Run runs the jobs when they are due until the context ends, and answers on the
// listener meanwhile, which it closes; nil for none. Then it waits for the jobs
// that run. ErrAbandoned.
func (s *Service) Run(ctx context.Context, listener net.Listener) error {
	group, ctx := errgroup.WithContext(ctx)
	server := s.server()
	if listener != nil {
		group.Go(func() error {
			if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("answer at %s: %w", listener.Addr(), err)
			}
			return nil
		})
	}
	group.Go(func() error {
		err := s.runJobs(ctx)
		// Only now: who watches is to see it stop in good order.
		return errors.Join(err, shutDown(ctx, server))
	})
	return group.Wait()
}

func (s *Service) server() *http.Server {
	return &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(s.o.Log.Handler(), slog.LevelDebug),
	}
}

// shutDown lets answers that are on their way be finished, for a second: the
// context has ended by then.
func shutDown(ctx context.Context, server *http.Server) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if server.Shutdown(ctx) == nil {
		return nil
	}
	return server.Close()
}

func (s *Service) runJobs(ctx context.Context) error {
	var running sync.WaitGroup
	s.startWhenDue(ctx, &running)
	s.mu.Lock()
	s.stopping = true
	s.mu.Unlock()
	s.o.Log.Info("service stops: nothing new starts")
	ended := make(chan struct{})
	go func() { running.Wait(); close(ended) }()
	timer := time.NewTimer(s.o.Drain)
	defer timer.Stop()
	select {
	case <-ended:
		return nil
	case <-timer.C:
		return ErrAbandoned
	}
}

// longestWait bounds how long the clock is not looked at. Timers stand still
// while a machine sleeps, and know nothing of a clock that is set: cron's own
// runner, which waits by one timer for whatever comes next, would begin the job
// of the night as much later as the machine slept.
// https://github.com/golang/go/issues/35012
const longestWait = time.Minute

// startWhenDue starts jobs until the context ends. What came due while the
// machine slept is started once, when it wakes.
func (s *Service) startWhenDue(ctx context.Context, running *sync.WaitGroup) {
	now := s.o.Now().UTC() // which leaves out the reading of the timers' clock
	for _, j := range s.jobs {
		j.next = j.Schedule.Next(now)
		s.o.Log.Info("job is scheduled", "job", j.Name, "schedule", j.Schedule.String(),
			"zone", j.Schedule.Zone().String(), "next", j.next.In(j.Schedule.Zone()).Format(time.RFC3339))
	}
	for s.waitFrom(ctx, now) {
		before := now
		now = s.o.Now().UTC()
		setBack := now.Before(before.Add(-longestWait))
		if setBack {
			s.o.Log.Warn("the clock was set back: jobs are scheduled anew", "from", before, "to", now)
			s.forgetFuture(now)
		}
		for _, j := range s.jobs {
			isDue := !j.next.IsZero() && !j.next.After(now)
			if isDue {
				running.Go(func() { s.due(ctx, j) })
			}
			if isDue || setBack {
				j.next = j.Schedule.Next(now)
			}
		}
	}
}

// forgetFuture has nothing that happened be later than now: who is late would
// else be late years from now.
func (s *Service) forgetFuture(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started.After(now) {
		s.started = now
	}
	for _, j := range s.jobs {
		if j.seen.LastGood.After(now) {
			j.seen.LastGood = now
		}
	}
}

// waitFrom waits until a job is due, or it is time to look at the clock; false
// if the context has ended.
func (s *Service) waitFrom(ctx context.Context, now time.Time) bool {
	wait := longestWait
	for _, j := range s.jobs {
		if !j.next.IsZero() {
			wait = min(wait, j.next.Sub(now))
		}
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// due runs a job, unless it still runs.
func (s *Service) due(ctx context.Context, j *job) {
	if !s.begin(ctx, j) {
		return
	}
	begun := s.o.Now()
	result := Failed // unless it comes back
	defer func() { s.end(j, result, begun) }()
	defer s.survive(j)
	result = j.Run(ctx)
}

// begin says whether the job may start.
func (s *Service) begin(ctx context.Context, j *job) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil {
		return false
	}
	if j.seen.Running {
		j.seen.Skipped++
		s.o.Metrics.skipped.WithLabelValues(j.Name).Inc()
		s.o.Log.Warn("job still runs: this time is skipped", "job", j.Name, "skipped", j.seen.Skipped)
		return false
	}
	j.seen.Running = true
	s.o.Metrics.running.WithLabelValues(j.Name).Set(1)
	return true
}

// survive is deferred around what a job does.
func (s *Service) survive(j *job) {
	if v := recover(); v != nil {
		s.o.Metrics.panics.WithLabelValues(j.Name).Inc()
		s.o.Log.Error("job panicked", "job", j.Name, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
	}
}

func (s *Service) end(j *job, result Result, begun time.Time) {
	now := s.o.Now()
	took := now.Sub(begun) // by the timers' clock, which nobody sets
	now = now.UTC()
	s.mu.Lock()
	defer s.mu.Unlock()
	j.seen.Running = false
	j.seen.Runs++
	j.seen.LastResult, j.seen.LastEnd = result, now
	if result == Done || result == Partly || result == Held {
		j.seen.LastGood, j.took = now, took
	}
	s.o.Metrics.ended(j.Name, result, now, took)
	s.o.Log.Info("job ends", "job", j.Name, "result", string(result), "took", took.Round(time.Millisecond).String())
}

package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/idtrail/idtrail/internal/notice"
	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/schema"
)

var errSink = errors.New("sink is down")

// receiver is a sink of events that keeps them in memory and goes about it as
// those over HTTP do: it posts requests of a few records, keeps after each, and
// packs the next one before it posts the one before, in another goroutine.
type receiver struct {
	name string
	size int // events of a request, at least
	// post, if set, is called for each request; its error ends the delivery. With
	// lost, the request was accepted and the answer lost.
	post func(n int) (lost bool, err error)
	// refuse says which events are rejected for good.
	refuse func(e *schema.Event) bool
	// acks makes it wait: what it accepts is kept only in the delivery after.
	acks bool

	one     sync.Mutex // held by a delivery
	mu      sync.Mutex
	calls   []load.Batch // without rows
	got     []string     // uids of records accepted, in order
	told    []string     // activity names of notices accepted, in order
	gaps    int
	posts   int
	marks   int
	reports []load.Health
}

func (s *receiver) sink() pipeline.Sink {
	if s.name == "" {
		s.name = "siem"
	}
	if s.size == 0 {
		s.size = 7
	}
	return pipeline.Sink{Sink: s}
}

func (s *receiver) Name() string { return s.name }

func (s *receiver) Report(_ context.Context, h load.Health) error {
	s.reports = append(s.reports, h)
	return nil
}

// request is packed: everything before upto is in it or in the ones before.
type request struct {
	rows []load.Row
	upto load.Position
}

func (s *receiver) Deliver(ctx context.Context, b load.Batch) (load.Result, error) {
	s.one.Lock() // of several sources, one at a time
	defer s.one.Unlock()
	s.calls = append(s.calls, load.Batch{Source: b.Source, From: b.From, To: b.To, Note: b.Note})
	d := &posting{s: s, b: b, kept: load.Result{Upto: b.From}}
	if s.acks && b.Note != "" {
		d.acknowledge()
	}
	requests, done := make(chan request), make(chan error, 1)
	go func() { done <- d.all(ctx, requests) }()
	err := d.pack(requests)
	close(requests)
	err = errors.Join(<-done, err)
	if s.acks && err == nil && d.sentUpto != d.kept.Upto {
		d.kept.Note, d.kept.Waiting = fmt.Sprintf("%d %d %d", d.sentUpto.Segment, d.sentUpto.Record, d.sent), true
	}
	return d.kept, err
}

type posting struct {
	s        *receiver
	b        load.Batch
	kept     load.Result
	skip     load.Position // sent by an earlier delivery
	sentUpto load.Position
	sent     int64
	failed   error
	mu       sync.Mutex
}

// acknowledge takes the note of the delivery before: all of it is stored.
func (d *posting) acknowledge() {
	var n int64
	if _, err := fmt.Sscanf(d.b.Note, "%d %d %d", &d.skip.Segment, &d.skip.Record, &n); err != nil {
		panic(err)
	}
	d.kept.Counts.Sent.Acknowledged = n
}

func (d *posting) pack(requests chan<- request) error {
	var open request
	for row, err := range d.b.Rows {
		if err != nil {
			if open.upto != (load.Position{}) { // a mark came last: what is open is whole
				requests <- open
			}
			return err
		}
		if d.stopped() != nil {
			return nil
		}
		if n := len(open.rows); n >= d.s.size && open.rows[n-1].At.Before(row.At) {
			open.upto = row.At
			requests <- open
			open = request{}
		}
		switch {
		case row.Event == nil:
			d.s.marks++
			open.upto = row.At
		case !row.At.Before(d.skip):
			open.rows, open.upto = append(open.rows, row), load.Position{}
		}
	}
	open.upto = d.b.To
	requests <- open
	return nil
}

func (d *posting) stopped() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.failed
}

func (d *posting) all(ctx context.Context, requests <-chan request) error {
	for r := range requests {
		if d.stopped() != nil {
			continue
		}
		if err := d.one(ctx, r); err != nil {
			d.mu.Lock()
			d.failed = err
			d.mu.Unlock()
		}
	}
	return d.stopped()
}

func (d *posting) one(ctx context.Context, r request) error {
	if len(r.rows) > 0 {
		if err := d.post(ctx, r.rows); err != nil {
			return err
		}
	}
	d.sentUpto = r.upto
	if d.s.acks && d.skip.Before(r.upto) && len(r.rows) > 0 {
		return nil
	}
	d.kept.Upto = r.upto
	if err := d.b.Keep(d.kept); err != nil {
		return err
	}
	d.kept = load.Result{Upto: r.upto}
	return nil
}

func (d *posting) post(ctx context.Context, rows []load.Row) error {
	s := d.s
	s.mu.Lock()
	defer s.mu.Unlock()
	s.posts++
	var lost bool
	err := ctx.Err()
	if s.post != nil && err == nil {
		lost, err = s.post(s.posts)
	}
	if err != nil && !lost {
		return err
	}
	for _, row := range rows {
		if s.refuse != nil && s.refuse(row.Event) {
			if err == nil {
				d.kept.Counts.Sent.Rejected++
				d.kept.Rejected = append(d.kept.Rejected, schema.Reject{Segment: row.At.Segment, Record: row.At.Record, Reason: "refused"})
			}
			continue
		}
		s.take(row.Event)
		if err == nil {
			d.kept.Counts.Sent.Accepted++
			d.sent++
		}
	}
	return err
}

func (s *receiver) take(e *schema.Event) {
	switch {
	case !notice.Is(e):
		s.got = append(s.got, e.Metadata.UID)
	case e.ActivityName == notice.ActivityGap:
		s.gaps++
	default:
		s.told = append(s.told, e.ActivityName)
	}
}

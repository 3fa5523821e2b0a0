package lake

import (
	"context"
	"iter"
	"sync"
)

// inOrder calls work for what seq yields, for up to n at a time, and yields the
// results in the order of seq. It runs ahead of its reader by no more than n. An
// error, of seq or of work, takes its result's place and ends nothing, but when ctx
// has ended, which is the last. All that was begun has ended when it ends.
func inOrder[T, R any](
	ctx context.Context, n int, seq iter.Seq2[T, error], work func(context.Context, T) (R, error),
) iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		outer := ctx
		ctx, cancel := context.WithCancel(ctx)
		var running sync.WaitGroup
		defer running.Wait()
		defer cancel()
		queue := make(chan chan result[R], n)
		running.Go(func() {
			defer close(queue)
			for t, err := range seq {
				done := make(chan result[R], 1)
				select {
				case queue <- done:
				case <-ctx.Done():
					return
				}
				if err != nil {
					done <- result[R]{err: err}
					continue
				}
				running.Go(func() {
					r, err := work(ctx, t)
					done <- result[R]{r, err}
				})
			}
		})
		for done := range queue {
			if r := <-done; !yield(r.value, r.err) {
				return
			}
		}
		if err := outer.Err(); err != nil {
			yield(*new(R), err)
		}
	}
}

// result is what work came to.
type result[R any] struct {
	value R
	err   error
}

package cognito_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/idtrail/idtrail/internal/fake"
)

// While a complete snapshot is good nothing is asked for; one that was cut off
// is gone on with all the same.
func TestEvery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(fake.CognitoOptions{Users: users(30)})
		p.opts.Every, p.opts.Shards = time.Hour, 16
		pages := p.mustRead(t, "")
		next, calls := pages[len(pages)-1].Next, p.Count("")
		time.Sleep(time.Hour - time.Second)
		if got, err := p.read(t, next); err != nil || len(got) != 0 || p.Count("") != calls {
			t.Errorf("got %d pages and %d calls, error %v, while the snapshot is good", len(got), p.Count("")-calls, err)
		}
		if got := p.mustRead(t, pages[0].Next); last(got).ID != pages[0].Snapshot.ID || !last(got).Complete {
			t.Errorf("cut off: got %+v, want %s complete", last(got), pages[0].Snapshot.ID)
		}
		time.Sleep(time.Second)
		if got := p.mustRead(t, next); last(got).ID == pages[0].Snapshot.ID {
			t.Error("an hour on: got no new snapshot")
		}
	})
}

package pipeline

import (
	"context"
	"strconv"

	"github.com/idtrail/idtrail/state"
)

// memoPruned is the first segment behind segment 0 that raw still has.
const memoPruned = "pruned_before"

// prunedBefore is 0 where nothing was pruned.
func prunedBefore(ctx context.Context, st *state.DB) (int64, error) {
	text, err := st.Memo(ctx, memoPruned)
	if err != nil || text == "" {
		return 0, err
	}
	return strconv.ParseInt(text, 10, 64)
}

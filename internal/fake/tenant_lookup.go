package fake

import "iter"

// TrailRecords are the CloudTrail events of the pool's account, each once: what
// [Tenant.WriteTrail] writes to files, for [CloudTrail.Add].
func (t *Tenant) TrailRecords() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i := range t.opts.Trail {
			if !yield(t.trailEvent(i).text) {
				return
			}
		}
	}
}

package cognito

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"sync"
)

// subKey stands for a user: the first 12 bytes of a sub that is a UUID, which is
// enough to tell users apart and to look one up; else of the sub's hash.
type subKey [12]byte

// hashed marks a membership whose key is no beginning of a sub.
const hashed = 1 << 31

// membership is one user in one group: 16 bytes.
type membership struct {
	key   subKey
	group uint32
}

func keyOf(sub string) (k subKey, isUUID bool) {
	if len(sub) == 36 && sub[8] == '-' && sub[13] == '-' && sub[18] == '-' && sub[23] == '-' {
		if b, err := hex.DecodeString(strings.ReplaceAll(sub, "-", "")); err == nil && len(b) == 16 {
			return subKey(b), strings.ToLower(sub) == sub
		}
	}
	sum := sha256.Sum256([]byte(sub))
	return subKey(sum[:]), false
}

// prefix is the beginning of the sub a key was made of.
func (k subKey) prefix() string {
	h := hex.EncodeToString(k[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// members are all memberships of a pool, in buckets by the first byte of the
// key: none of them ever doubles as one large list would.
type members struct {
	// names of the groups, sorted.
	names []string

	mu      sync.Mutex
	buckets [256][]membership
}

func newMembers(names []string) *members {
	names = slices.Clone(names)
	slices.Sort(names)
	return &members{names: slices.Compact(names)}
}

// add notes users of a group; the same twice counts once.
func (m *members) add(group int, subs []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, sub := range subs {
		k, isUUID := keyOf(sub)
		g := uint32(group) //nolint:gosec // a pool has 10,000 groups at most
		if !isUUID {
			g |= hashed
		}
		m.buckets[k[0]] = append(m.buckets[k[0]], membership{k, g})
	}
}

// seal sorts what was added; then it can be asked, by many at once.
func (m *members) seal() {
	for i, b := range m.buckets {
		slices.SortFunc(b, func(a, b membership) int {
			return cmp.Or(slices.Compare(a.key[:], b.key[:]), cmp.Compare(a.group, b.group))
		})
		m.buckets[i] = slices.Compact(b)
	}
}

func (m *members) count() (n int64) {
	for _, b := range m.buckets {
		n += int64(len(b))
	}
	return n
}

// of returns the memberships of a user.
func (m *members) of(k subKey) []membership {
	b := m.buckets[k[0]]
	from, _ := slices.BinarySearchFunc(b, k, func(e membership, k subKey) int { return slices.Compare(e.key[:], k[:]) })
	to := from
	for to < len(b) && b[to].key == k {
		to++
	}
	return b[from:to]
}

// groups names the groups of a user as a JSON list.
func (m *members) groups(k subKey) []byte {
	names := []string{}
	for _, e := range m.of(k) {
		names = append(names, m.names[e.group&^hashed])
	}
	text, _ := json.Marshal(names) // a list of texts
	return text
}

// inAny says whether a user is in one of the groups.
func (m *members) inAny(k subKey, groups map[uint32]bool) bool {
	return slices.ContainsFunc(m.of(k), func(e membership) bool { return groups[e.group&^hashed] })
}

// missing lists who is in a group, belongs to a shard and is not in seen.
func (m *members) missing(shard string, seen map[subKey]struct{}) []subKey {
	var out []subKey
	for _, b := range m.buckets {
		if len(b) == 0 || !strings.HasPrefix(hex.EncodeToString(b[0].key[:1]), shard) {
			continue
		}
		for _, e := range b {
			_, ok := seen[e.key]
			if !ok && e.group&hashed == 0 && (len(out) == 0 || out[len(out)-1] != e.key) {
				out = append(out, e.key)
			}
		}
	}
	return out
}

package policy

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/idtrail/idtrail/internal/config"
)

// place is one that idtrail keeps things in.
type place struct {
	name   string // as it is in the ids of statements: Raw
	key    string // in the config
	holds  string
	store  config.Store
	access access
	// removes are the folders that objects are removed from; none is all.
	removes []string
}

// Folders of the lake that a replay, a prune or an erasure removes objects from.
// Raw and manifests, which may lie in the lake, are not among them.
func lakeFolders() []string {
	return []string{
		"events", "events_json", "gaps", "gaps_json", "pools", "pools_json", "rejected", "rejected_json",
		"reports", "snapshots", "snapshots_json", "staged", "users", "users_json",
	}
}

// ProbeFolder is where check --write writes, in each place.
const ProbeFolder = "_check"

// places adds what is done where things are kept.
func (b *builder) places() {
	c, n := b.config, b.needs
	b.own()
	all := []place{
		{"Raw", "raw", "the segments: the evidence", c.Raw, n.raw, nil},
		{"Lake", "lake", "tables, flush records, drift, reports, owner.json", c.Lake, n.lake, lakeFolders()},
		{"Manifests", "manifests", "checkpoints, and the notes of replays, prunes and erasures", c.Manifests, n.manifests, nil},
		{"State", "state", "leases, and copies of the state", c.State, n.state, nil},
	}
	all = slices.DeleteFunc(all, func(p place) bool {
		ofLake := p.name == "Manifests" && p.store.URL == c.Lake.URL && p.store.Lock == (config.Lock{})
		return p.access == none || !p.store.S3() || ofLake
	})
	for _, p := range all {
		b.place(p)
	}
	for _, p := range all {
		b.probe(p)
	}
}

func (b *builder) place(p place) {
	s := p.store
	r := b.role(s.RoleARN, s.ExternalID, p.key)
	h := b.in(r, s.Region)
	bucket, prefix := b.within(p)
	sids := [2]string{p.name + "List", p.name + "ReadWrite"}
	actions := []string{"s3:GetObject", "s3:PutObject"}
	if p.access == read {
		sids, actions = [2]string{"Read" + p.name + "List", "Read" + p.name}, actions[:1]
	}
	list := Statement{
		Sid: sids[0], Why: "find what is there, and tell what is not from what may not be read",
		Actions: []string{"s3:ListBucket"}, Resources: []string{h.bucket(bucket)},
	}
	if prefix != "" {
		list.Condition = Condition{"StringLike": {"s3:prefix": {literal(prefix) + "*"}}}
	}
	r.allow(list)
	if p.access >= write {
		if len(s.Tags) > 0 {
			actions = append(actions, "s3:PutObjectTagging")
		}
		if s.Lock.Mode != "" {
			actions = append(actions, "s3:PutObjectRetention")
		}
		if p.name == "State" {
			actions = append(actions, "s3:DeleteObject")
		}
	}
	objects := func(folder string) string { return h.object(bucket, literal(prefix)+folder+"*") }
	r.allow(Statement{Sid: sids[1], Why: p.holds, Actions: actions, Resources: []string{objects("")}})
	b.removal(r, p, objects)
	b.storeKey(r, p, h)
}

// within is the bucket and prefix of a place. Manifests that lie in the lake, but
// are locked, have a folder of their own there.
func (b *builder) within(p place) (bucket, prefix string) {
	bucket, prefix = bucketOf(p.store.URL)
	if p.name == "Manifests" && p.store.URL == b.config.Lake.URL {
		prefix += "manifests/"
	}
	return bucket, prefix
}

// removal adds what is removed.
func (b *builder) removal(r *roleBuilder, p place, objects func(folder string) string) {
	if p.access != remove {
		return
	}
	s := Statement{
		Sid: p.name + "Remove", Why: "segments that a prune removes",
		Actions: []string{"s3:DeleteObject"}, Resources: []string{objects("")},
	}
	if p.removes != nil {
		s.Why, s.Resources = "objects that a replay, a prune or an erasure no longer makes", nil
		for _, folder := range p.removes {
			s.Resources = append(s.Resources, objects(folder+"/"))
		}
	}
	r.allow(s)
}

// probe adds what only check does: it removes what it wrote, and looks at locks.
func (b *builder) probe(p place) {
	if !b.needs.probe || p.access < write {
		return
	}
	s := p.store
	r := b.role(s.RoleARN, s.ExternalID, p.key)
	h := b.in(r, s.Region)
	bucket, prefix := b.within(p)
	if s.Lock.Mode != "" {
		r.allow(Statement{
			Sid: "LockOfBucket", Why: "check looks whether the bucket takes locks",
			Actions: []string{"s3:GetBucketObjectLockConfiguration"}, Resources: []string{h.bucket(bucket)},
		})
		return
	}
	r.allow(Statement{
		Sid: "RemoveProbe", Why: "check --write removes what it wrote; without this it writes nothing that would stay, and proves less",
		Actions: []string{"s3:DeleteObject"}, Resources: []string{h.object(bucket, literal(prefix)+ProbeFolder+"/*")},
	})
}

// storeKey adds the key that a place's objects are encrypted with. S3 uses it for
// whoever reads and writes them, and nobody else needs to.
func (b *builder) storeKey(r *roleBuilder, p place, h home) {
	key := p.store.KMSKey
	if key == "" {
		b.note("If a bucket encrypts with a KMS key by default, name the key in the config (kms_key): the rights on it are then here, too.")
		return
	}
	s := Statement{Sid: "Key", Why: "the keys that objects are encrypted with (kms_key)", Actions: []string{"kms:GenerateDataKey", "kms:Decrypt"}}
	if p.access == read {
		s.Sid, s.Actions = "ReadKey", []string{"kms:Decrypt"}
	}
	s.Resources, s.Condition = keyOf(key, h)
	h.region = cmp.Or(h.region, arnPart(key, 3))
	s.Condition = withVia(s.Condition, h.via("s3"))
	b.note("A key's own policy has to let the role in, too, or leave that to IAM, as it does by default: %s.", key)
	r.allow(s)
}

// keyOf is how a policy names a key: by its ARN, which an alias is not.
func keyOf(key string, h home) ([]string, Condition) {
	if arn := arnPart(key, 5); arn != "" {
		if !strings.HasPrefix(arn, "alias/") {
			return []string{key}, nil
		}
		h.partition, h.region, h.account, key = arnPart(key, 1), arnPart(key, 3), arnPart(key, 4), arn
	}
	if strings.HasPrefix(key, "alias/") {
		return []string{h.arn("kms", "key/*")}, Condition{"ForAnyValue:StringEquals": {"kms:ResourceAliases": {key}}}
	}
	return []string{h.arn("kms", "key/"+key)}, nil
}

// withVia adds that a key is used by a service only, for somebody.
func withVia(c Condition, services ...string) Condition {
	operator := "StringEquals"
	if slices.ContainsFunc(services, func(s string) bool { return strings.Contains(s, "*") }) {
		operator = "StringLike"
	}
	out := Condition{operator: {"kms:ViaService": services}}
	maps.Copy(out, c)
	return out
}

// bucketOf takes a place in S3 apart; the prefix has a slash behind it, or is
// empty.
func bucketOf(url string) (bucket, prefix string) {
	bucket, prefix, _ = strings.Cut(strings.TrimPrefix(url, "s3://"), "/")
	if prefix = strings.Trim(prefix, "/"); prefix != "" {
		prefix += "/"
	}
	return bucket, prefix
}

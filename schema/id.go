package schema

import (
	"crypto/sha256"
	"encoding/hex"
)

// EventID names an event wherever it is sent: the same event has the same id in
// every sink, however often it is mapped or sent, and no two have the same. It
// is what one counts by where a receiver may hold an event twice: 32 hex digits,
// the first half of the SHA-256 of product, tenant and the source's own id, a
// zero byte between them.
func EventID(e *Event) string {
	var room [256]byte
	key := append(room[:0], e.Metadata.Product.Name...)
	key = append(append(key, 0), e.Metadata.TenantUID...)
	key = append(append(key, 0), e.Metadata.UID...)
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:16])
}

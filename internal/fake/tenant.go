package fake

import (
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"time"
)

// TenantOptions say how big a company [Tenant] makes up. The zero value of each
// field is the default.
type TenantOptions struct {
	// Seed decides everything: the same options make the same bytes.
	Seed uint64
	// Users is the number of persons; default 200. All types of drift occur from
	// 100 on.
	Users int
	// Logs is the number of Auth0 log records; default 1000.
	Logs int
	// Trail is the number of different CloudTrail events; default 500.
	Trail int
	// Days is the span before End they are spread over; default 3.
	Days int
	// End is when everything ends; default 2026-06-01. Nothing is later.
	End time.Time
}

// Tenant is a company with an Auth0 tenant and a Cognito user pool that have
// drifted apart, their logs, and the trail of the pool's account. It keeps a
// byte for each person and makes everything else when it is asked for. It may
// be used concurrently.
type Tenant struct {
	opts  TenantOptions
	cases []personCase
}

// NewTenant makes a company.
func NewTenant(opts TenantOptions) *Tenant {
	opts.Users = orElse(opts.Users, 200)
	opts.Logs = orElse(opts.Logs, 1000)
	opts.Trail = orElse(opts.Trail, 500)
	opts.Days = orElse(opts.Days, 3)
	if opts.End.IsZero() {
		opts.End = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	}
	opts.End = opts.End.UTC().Truncate(time.Second)
	t := &Tenant{opts: opts}
	t.cases = t.deal()
	return t
}

func orElse(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

// The names the company's records bear.
const (
	TenantName   = "northwind"
	TenantHost   = "northwind.eu.auth0.com"
	DatabaseName = "Username-Password-Authentication"
	GoogleName   = "google-oauth2"
	SMSName      = "sms"
	PartnersName = "partners-saml"
	PoolID       = "eu-west-1_Nw1ndPool"
	AccountID    = "123456789012"
	Region       = "eu-west-1"
	// LinkAttribute of the pool holds the Auth0 user_id of some users.
	LinkAttribute = "custom:auth0_sub"
)

// InScope are the Auth0 connections whose users belong in the pool; those of
// [PartnersName] do not.
func (t *Tenant) InScope() []string { return []string{DatabaseName, GoogleName, SMSName} }

// Begin is the time of the earliest record.
func (t *Tenant) Begin() time.Time { return t.opts.End.AddDate(0, 0, -t.opts.Days) }

// End is when the last record has happened.
func (t *Tenant) End() time.Time { return t.opts.End }

// stream keeps the draws of one purpose apart from those of others.
type stream uint64

const (
	streamCases stream = iota + 1
	streamPerson
	streamLog
	streamTrail
	streamTrailFile
	streamSecret
)

// draw returns the chance for the i-th thing of a stream.
func (t *Tenant) draw(s stream, i int) *rand.Rand {
	return rand.New(rand.NewPCG(t.opts.Seed^uint64(s)<<56, uint64(i))) //nolint:gosec // repeatable on purpose; an index
}

// hash is hex text that belongs to words: ids that never change.
func (t *Tenant) hash(length int, words ...any) string {
	h := fnv.New128a()
	var out []byte
	for n := 0; len(out)*2 < length; n++ {
		h.Reset()
		_, _ = fmt.Fprint(h, t.opts.Seed, n, words)
		out = h.Sum(out)
	}
	return hex.EncodeToString(out)[:length]
}

func (t *Tenant) uuid(words ...any) string {
	h := t.hash(32, words...)
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-a" + h[17:20] + "-" + h[20:]
}

// moment is when the i-th of n things happens: in order, more by day than by
// night, and never at End.
func (t *Tenant) moment(i, n int, jitter float64) time.Time {
	u := (float64(i) + jitter) / float64(n)
	days := float64(t.opts.Days)
	// The sine moves things towards noon and leaves their order alone.
	wave := 0.7 / (2 * math.Pi * days) * math.Sin(2*math.Pi*days*u)
	span := t.opts.End.Sub(t.Begin())
	return t.Begin().Add(time.Duration((u - wave) * float64(span))).Truncate(time.Millisecond)
}

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

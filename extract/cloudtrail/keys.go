package cloudtrail

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
)

// PublicKeys give the keys CloudTrail signs its digests with.
type PublicKeys interface {
	// Keys returns the keys that may bear the fingerprint in a region at a time,
	// none if CloudTrail has no such key. An error means that it could not be
	// asked.
	Keys(ctx context.Context, q KeyQuery) ([]*rsa.PublicKey, error)
}

// KeyQuery names a key.
type KeyQuery struct {
	Region      string
	Fingerprint string
	At          time.Time
}

// KeyService asks ListPublicKeys, and remembers the answers. It may be used by
// one goroutine at a time.
type KeyService struct {
	config aws.Config
	known  map[KeyQuery]*rsa.PublicKey // without At
}

var _ PublicKeys = (*KeyService)(nil)

// NewKeyService returns the keys CloudTrail itself gives out.
func NewKeyService(cfg aws.Config) *KeyService {
	return &KeyService{config: cfg, known: map[KeyQuery]*rsa.PublicKey{}}
}

// Keys implements PublicKeys. What it does not know it asks for once, with an
// hour's play around the time.
func (s *KeyService) Keys(ctx context.Context, q KeyQuery) ([]*rsa.PublicKey, error) {
	id := KeyQuery{Region: q.Region, Fingerprint: strings.ToLower(q.Fingerprint)}
	if key := s.known[id]; key != nil {
		return []*rsa.PublicKey{key}, nil
	}
	if err := s.ask(ctx, q.Region, q.At); err != nil {
		return nil, fmt.Errorf("list public keys in %s: %w", q.Region, explain(err, "cloudtrail:ListPublicKeys"))
	}
	if key := s.known[id]; key != nil {
		return []*rsa.PublicKey{key}, nil
	}
	return nil, nil
}

// ask learns the keys that were valid around a time.
func (s *KeyService) ask(ctx context.Context, region string, at time.Time) error {
	client, err := newClient(s.config, region, nil)
	if err != nil {
		return err
	}
	in := &cloudtrail.ListPublicKeysInput{StartTime: aws.Time(at.Add(-time.Hour)), EndTime: aws.Time(at.Add(time.Hour))}
	for range keyPages {
		out, err := client.ListPublicKeys(ctx, in)
		if err != nil {
			return err
		}
		for _, k := range out.PublicKeyList {
			// One of another kind has signed nothing of ours.
			if key, err := x509.ParsePKCS1PublicKey(k.Value); err == nil {
				s.known[KeyQuery{Region: region, Fingerprint: strings.ToLower(aws.ToString(k.Fingerprint))}] = key
			}
		}
		if aws.ToString(out.NextToken) == "" {
			break
		}
		in.NextToken = out.NextToken
	}
	return nil
}

// keyPages bounds the pages of one answer; there is one.
const keyPages = 100

// GivenKeys are keys that were saved, for where CloudTrail cannot be asked. How
// CloudTrail makes fingerprints is not documented, so each of them may be the
// one a digest was signed with.
type GivenKeys []*rsa.PublicKey

var _ PublicKeys = GivenKeys(nil)

// ParseKeys reads keys: PEM blocks, one behind the other, or one key as DER; in
// PKCS#1, as ListPublicKeys has them, or PKIX.
func ParseKeys(text []byte) (GivenKeys, error) {
	block, rest := pem.Decode(text)
	if block == nil {
		key, err := parseKey(text)
		return GivenKeys{key}, err
	}
	var keys GivenKeys
	for ; block != nil; block, rest = pem.Decode(rest) {
		key, err := parseKey(block.Bytes)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

func parseKey(der []byte) (*rsa.PublicKey, error) {
	if key, err := x509.ParsePKCS1PublicKey(der); err == nil {
		return key, nil
	}
	other, err := x509.ParsePKIXPublicKey(der)
	if key, ok := other.(*rsa.PublicKey); err == nil && ok {
		return key, nil
	}
	return nil, errors.New("read public key: neither PEM nor DER of an RSA key")
}

// Keys implements PublicKeys.
func (g GivenKeys) Keys(context.Context, KeyQuery) ([]*rsa.PublicKey, error) { return g, nil }

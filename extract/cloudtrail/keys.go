package cloudtrail

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
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
	// PublicKey returns the key of a region by its fingerprint, one that was
	// valid at the time. ErrUnknownKey if CloudTrail has none such; any other
	// error means that it could not be asked.
	PublicKey(ctx context.Context, q KeyQuery) (*rsa.PublicKey, error)
}

// KeyQuery names a key.
type KeyQuery struct {
	Region      string
	Fingerprint string
	At          time.Time
}

// ErrUnknownKey says that there is no such key.
var ErrUnknownKey = errors.New("no such public key")

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

// PublicKey implements PublicKeys. What it does not know it asks for once, with
// an hour's play around the time.
func (s *KeyService) PublicKey(ctx context.Context, q KeyQuery) (*rsa.PublicKey, error) {
	id := KeyQuery{Region: q.Region, Fingerprint: strings.ToLower(q.Fingerprint)}
	if key := s.known[id]; key != nil {
		return key, nil
	}
	client, err := newClient(s.config, q.Region, nil)
	if err != nil {
		return nil, err
	}
	in := &cloudtrail.ListPublicKeysInput{
		StartTime: aws.Time(q.At.Add(-time.Hour)), EndTime: aws.Time(q.At.Add(time.Hour)),
	}
	for {
		out, err := client.ListPublicKeys(ctx, in)
		if err != nil {
			return nil, fmt.Errorf("list public keys in %s: %w", q.Region, err)
		}
		for _, k := range out.PublicKeyList {
			key, err := x509.ParsePKCS1PublicKey(k.Value)
			if err != nil {
				continue // a key of another kind has signed nothing of ours
			}
			s.known[KeyQuery{Region: q.Region, Fingerprint: strings.ToLower(aws.ToString(k.Fingerprint))}] = key
		}
		if aws.ToString(out.NextToken) == "" {
			break
		}
		in.NextToken = out.NextToken
	}
	if key := s.known[id]; key != nil {
		return key, nil
	}
	return nil, fmt.Errorf("%w: %s in %s", ErrUnknownKey, q.Fingerprint, q.Region)
}

// GivenKeys are keys that were saved, for where CloudTrail cannot be asked. A
// digest is signed by one of them or by none.
type GivenKeys struct {
	keys map[string]*rsa.PublicKey
}

var _ PublicKeys = (*GivenKeys)(nil)

// ParseKeys reads keys: PEM blocks, one behind the other, or one key as DER; in
// PKCS#1, as ListPublicKeys has them, or PKIX.
func ParseKeys(text []byte) (*GivenKeys, error) {
	g := &GivenKeys{keys: map[string]*rsa.PublicKey{}}
	block, rest := pem.Decode(text)
	if block == nil {
		return g, g.add(text)
	}
	for ; block != nil; block, rest = pem.Decode(rest) {
		if err := g.add(block.Bytes); err != nil {
			return nil, err
		}
	}
	return g, nil
}

func (g *GivenKeys) add(der []byte) error {
	key, err := x509.ParsePKCS1PublicKey(der)
	if err != nil {
		other, err := x509.ParsePKIXPublicKey(der)
		rsaKey, ok := other.(*rsa.PublicKey)
		if err != nil || !ok {
			return errors.New("read public key: neither PEM nor DER of an RSA key")
		}
		key = rsaKey
	}
	g.keys[Fingerprint(key)] = key
	return nil
}

// PublicKey implements PublicKeys.
func (g *GivenKeys) PublicKey(_ context.Context, q KeyQuery) (*rsa.PublicKey, error) {
	if key := g.keys[strings.ToLower(q.Fingerprint)]; key != nil {
		return key, nil
	}
	return nil, fmt.Errorf("%w: %s is not among those given", ErrUnknownKey, q.Fingerprint)
}

// Fingerprint is the name CloudTrail gives a key: the MD5 of its PKCS#1 form.
func Fingerprint(key *rsa.PublicKey) string {
	sum := fingerprintSum(x509.MarshalPKCS1PublicKey(key))
	return hex.EncodeToString(sum[:])
}

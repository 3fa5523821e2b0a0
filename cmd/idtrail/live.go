package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/extract/auth0"
	"github.com/idtrail/idtrail/extract/cloudtrail"
	"github.com/idtrail/idtrail/extract/cognito"
	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/config"
)

func newAuth0Users(_ context.Context, b *builder, s config.Source, _ extract.Ledger) (extract.Source, error) {
	o := s.Auth0Users
	tenant := b.config.Connections[o.Connection].Auth0
	transport, err := tenantTransport(tenant)
	if err != nil {
		return nil, err
	}
	return auth0.NewUsers(auth0.UsersOptions{
		Name:              s.Name,
		Domain:            tenant.Domain,
		ClientID:          tenant.ClientID,
		ClientSecret:      tenant.ClientSecret.Reveal(),
		PrivateKey:        tenant.PrivateKey.Reveal(),
		PrivateKeyAlg:     tenant.PrivateKeyAlg,
		Audience:          tenant.Audience,
		Rate:              o.Rate,
		Every:             o.Every,
		SkipRoles:         !o.Roles,
		SkipOrganizations: !o.Organizations,
		SkipSettings:      !o.Settings,
		Transport:         transport,
		Now:               b.now,
		Logger:            b.log.With("source", s.Name),
	})
}

// tenantTransport trusts the certificates of the connection's ca_file beside the
// system's, and uses the environment's proxies.
func tenantTransport(tenant *config.Auth0) (http.RoundTripper, error) {
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment}
	if shared, ok := http.DefaultTransport.(*http.Transport); ok {
		transport = shared.Clone()
	}
	transport.OnProxyConnectResponse = blob.ProxyAnswered
	ca, err := certificates(tenant.CAFile)
	if err != nil || ca == nil {
		return transport, err
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("read ca_file: %s holds no certificate in PEM form", tenant.CAFile)
	}
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	return transport, nil
}

func newCognitoUsers(ctx context.Context, b *builder, s config.Source, _ extract.Ledger) (extract.Source, error) {
	o := s.CognitoUsers
	cfg, err := b.aws(ctx, o.Connection)
	if err != nil {
		return nil, err
	}
	return cognito.New(cognito.Options{
		Name:            s.Name,
		UserPoolID:      o.UserPoolID,
		IdentityPoolIDs: o.IdentityPools,
		AWS:             cfg,
		Rate:            b.awsRate(o.Rate),
		SettingsRate:    b.awsRate(0),
		MFARate:         b.awsRate(0),
		Every:           o.Every,
		Shards:          o.Shards,
		SkipGroups:      !o.Groups,
		SkipSettings:    !o.Settings,
		MFA:             o.MFA.Groups,
		Now:             b.now,
		Logger:          b.log.With("source", s.Name),
	})
}

func newLookup(ctx context.Context, b *builder, s config.Source, _ extract.Ledger) (extract.Source, error) {
	o := s.CloudTrailLookup
	cfg, err := b.aws(ctx, o.Connection)
	if err != nil {
		return nil, err
	}
	return cloudtrail.NewLookup(ctx, cloudtrail.LookupOptions{
		Name:         s.Name,
		AWS:          cfg,
		Regions:      o.Regions,
		AccountID:    o.Account,
		EventSources: o.EventSources,
		Rate:         b.awsRate(o.Rate),
		Limits:       b.trailLimits,
		Window:       o.Window,
		Overlap:      o.Overlap,
		Now:          b.now,
		Logger:       b.log.With("source", s.Name),
	})
}

func newTrail(ctx context.Context, b *builder, s config.Source, ledger extract.Ledger) (extract.Source, error) {
	o := s.CloudTrailTrail
	keys, err := b.trailKeys(ctx, o)
	if err != nil {
		return nil, err
	}
	store, err := blob.OpenS3(ctx, b.awsOptions(o.Connection), blob.S3Options{Bucket: o.Bucket})
	if err != nil {
		return nil, err
	}
	return cloudtrail.NewTrail(cloudtrail.TrailOptions{
		Name:           s.Name,
		Store:          store,
		Bucket:         o.Bucket,
		Prefix:         o.Prefix,
		OriginalBucket: o.OriginalBucket,
		OrganizationID: o.Organization,
		Accounts:       o.Accounts,
		Regions:        o.Regions,
		EventSources:   o.EventSources,
		Relist:         o.Relist,
		Ledger:         ledger,
		SkipDigests:    !o.Digests,
		PublicKeys:     keys,
		Now:            b.now,
		Logger:         b.log.With("source", s.Name),
	})
}

// trailKeys are the keys digests are signed with: those of the file, else
// CloudTrail's answer.
func (b *builder) trailKeys(ctx context.Context, o *config.CloudTrailTrail) (cloudtrail.PublicKeys, error) {
	if !o.Digests {
		return nil, nil
	}
	if o.PublicKeys == "" {
		cfg, err := b.aws(ctx, o.Connection)
		if err != nil {
			return nil, err
		}
		return cloudtrail.NewKeyService(cfg), nil
	}
	text, err := os.ReadFile(o.PublicKeys)
	if err != nil {
		return nil, fmt.Errorf("read keys of digests: %w", err)
	}
	keys, err := cloudtrail.ParseKeys(text)
	if err != nil {
		return nil, fmt.Errorf("read keys of digests in %s: %w", o.PublicKeys, err)
	}
	return keys, nil
}

// awsOptions are those of a connection; "" is the SDK's own chain.
func (b *builder) awsOptions(connection string) blob.AWSOptions {
	c := b.config.Connections[connection].AWS
	if c == nil {
		return blob.AWSOptions{}
	}
	return blob.AWSOptions{Region: c.Region, RoleARN: c.RoleARN, ExternalID: c.ExternalID}
}

func (b *builder) aws(ctx context.Context, connection string) (aws.Config, error) {
	if b.ownAWS != nil {
		return b.ownAWS.Copy(), nil
	}
	return blob.LoadAWS(ctx, b.awsOptions(connection))
}

// ownRate, in calls a second, is no limit: nobody else asks the demo's AWS.
const ownRate = 10_000

// awsRate is what the config says, where AWS is Amazon's.
func (b *builder) awsRate(rate float64) float64 {
	if b.ownAWS != nil {
		return ownRate
	}
	return rate
}

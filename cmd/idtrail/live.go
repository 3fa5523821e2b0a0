package main

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/extract/auth0"
	"github.com/idtrail/idtrail/extract/cognito"
	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/config"
)

func newAuth0Users(_ context.Context, b *builder, s config.Source, _ extract.Ledger) (extract.Source, error) {
	o := s.Auth0Users
	tenant := b.config.Connections[o.Connection].Auth0
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
		Now:               b.now,
		Logger:            b.log.With("source", s.Name),
	})
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
		Rate:            o.Rate,
		Shards:          o.Shards,
		SkipGroups:      !o.Groups,
		SkipSettings:    !o.Settings,
		MFA:             o.MFA.Groups,
		Now:             b.now,
		Logger:          b.log.With("source", s.Name),
	})
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
	return blob.LoadAWS(ctx, b.awsOptions(connection))
}

package main

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/config"
	"github.com/idtrail/idtrail/internal/secret"
)

// vaults are where references of a config may lead, each entry read once for as
// long as they are there. Nothing is called where there is no such reference.
func vaults() map[string]config.Fetch {
	v := secret.New(secret.Options{Load: func(ctx context.Context) (aws.Config, error) {
		return blob.LoadAWS(ctx, blob.AWSOptions{})
	}})
	return map[string]config.Fetch{config.SchemeSecretsManager: v.SecretsManager, config.SchemeSSM: v.SSM}
}

package policy

import (
	"cmp"
	"slices"
	"strings"

	"github.com/idtrail/idtrail/internal/config"
)

// What the settings of a user pool are read by, on the pool.
func settingsActions() []string {
	return []string{
		"cognito-idp:GetUserPoolMfaConfig", "cognito-idp:ListUserPoolClients", "cognito-idp:DescribeUserPoolClient",
		"cognito-idp:ListUserPoolClientSecrets", "cognito-idp:ListIdentityProviders", "cognito-idp:DescribeIdentityProvider",
		"cognito-idp:ListResourceServers", "cognito-idp:GetUICustomization", "cognito-idp:DescribeManagedLoginBrandingByClient",
		"cognito-idp:ListTerms", "cognito-idp:DescribeTerms", "cognito-idp:DescribeRiskConfiguration",
		"cognito-idp:GetLogDeliveryConfiguration", "cognito-idp:ListTagsForResource", "cognito-idp:ListUserPoolReplicas",
		"cognito-idp:GetSigningCertificate",
	}
}

// sources adds what reading the vendors' data needs.
func (b *builder) sources() {
	if !b.needs.sources {
		return
	}
	for _, s := range b.config.Sources {
		switch {
		case s.CognitoUsers != nil:
			b.pool(s.CognitoUsers)
		case s.CloudTrailLookup != nil:
			b.history(s.CloudTrailLookup)
		case s.CloudTrailTrail != nil:
			b.trail(s.CloudTrailTrail)
		case s.Archive != nil && strings.HasPrefix(s.Archive.Path, "s3://"):
			b.archive(s.Archive)
		}
	}
}

// connected is the role of a connection to AWS.
func (b *builder) connected(name string) (*roleBuilder, string) {
	c := b.aws(name)
	used := ""
	if name != "" {
		used = "connection " + name
	}
	return b.role(c.RoleARN, c.ExternalID, used), c.Region
}

func (b *builder) pool(o *config.CognitoUsers) {
	r, _ := b.connected(o.Connection)
	region, _, _ := strings.Cut(o.UserPoolID, "_")
	h := b.in(r, region)
	pool := []string{h.arn("cognito-idp", "userpool/"+o.UserPoolID)}
	users := []string{"cognito-idp:DescribeUserPool", "cognito-idp:ListUsers"}
	if o.Groups {
		users = append(users, "cognito-idp:ListGroups", "cognito-idp:ListUsersInGroup")
	}
	r.allow(Statement{Sid: "CognitoUsers", Why: "users and groups of a pool", Actions: users, Resources: pool})
	if len(o.MFA.Groups) > 0 {
		r.allow(Statement{
			Sid: "CognitoMFA", Why: "second factors of members of the groups in mfa, a call each",
			Actions: []string{"cognito-idp:AdminGetUser"}, Resources: pool,
		})
	}
	if !o.Settings {
		return
	}
	r.allow(Statement{
		Sid: "CognitoSettings", Why: "settings of a pool; a section that may not be read says denied, and costs nothing else",
		Actions: settingsActions(), Resources: pool,
	})
	r.allow(Statement{
		Sid: "CognitoDomain", Why: "domains of a pool, which this right cannot be narrowed to",
		Actions: []string{"cognito-idp:DescribeUserPoolDomain"}, Resources: []string{"*"},
	})
	b.identityPools(r, o.IdentityPools)
}

func (b *builder) identityPools(r *roleBuilder, ids []string) {
	for _, id := range ids {
		region, _, _ := strings.Cut(id, ":")
		r.allow(Statement{
			Sid: "IdentityPools", Why: "settings of identity pools",
			Actions: []string{
				"cognito-identity:DescribeIdentityPool", "cognito-identity:GetIdentityPoolRoles",
				"cognito-identity:GetPrincipalTagAttributeMap",
			},
			Resources: []string{b.in(r, region).arn("cognito-identity", "identitypool/"+id)},
		})
	}
}

// history is LookupEvents, which no resource narrows, but a region does.
func (b *builder) history(o *config.CloudTrailLookup) {
	r, region := b.connected(o.Connection)
	s := Statement{
		Sid: "CloudTrail", Why: "the account's event history, which knows no resources",
		Actions: []string{"cloudtrail:LookupEvents"}, Resources: []string{"*"},
	}
	regions := o.Regions
	if len(regions) == 0 {
		regions = known(cmp.Or(region, b.opts.Region))
	}
	s.Condition = inRegions(regions)
	r.allow(s)
}

func (b *builder) trail(o *config.CloudTrailTrail) {
	r, region := b.connected(o.Connection)
	h := b.in(r, region)
	root := literal(o.Prefix)
	if root = strings.Trim(root, "/"); root != "" {
		root += "/"
	}
	root += "AWSLogs/"
	if o.Organization != "" {
		root += o.Organization + "/"
	}
	r.allow(Statement{
		Sid: "ListTrail", Why: "find a trail's files", Actions: []string{"s3:ListBucket"},
		Resources: []string{h.bucket(o.Bucket)}, Condition: Condition{"StringLike": {"s3:prefix": {root + "*"}}},
	})
	files := []string{h.object(o.Bucket, root+"*")}
	if len(o.Accounts) > 0 {
		files = b.accountFiles(h, o, root)
	}
	r.allow(Statement{Sid: "ReadTrail", Why: "a trail's files and digests", Actions: []string{"s3:GetObject"}, Resources: files})
	b.readKeys(r, h, "a trail's")
	if o.Digests && o.PublicKeys == "" {
		r.allow(Statement{
			Sid: "CloudTrailKeys", Why: "the keys that digests are signed with, of each region the trail has",
			Actions: []string{"cloudtrail:ListPublicKeys"}, Resources: []string{"*"}, Condition: inRegions(o.Regions),
		})
	}
}

// accountFiles are the files of the accounts named, in both layouts of a trail.
func (b *builder) accountFiles(h home, o *config.CloudTrailTrail, root string) []string {
	var files []string
	for _, account := range o.Accounts {
		files = append(files, h.object(o.Bucket, root+account+"/*"))
		if o.Organization == "" {
			files = append(files, h.object(o.Bucket, root+"o-*/"+account+"/*"))
		}
	}
	return files
}

func (b *builder) archive(o *config.Archive) {
	r, region := b.connected(o.Connection)
	h := b.in(r, region)
	bucket, key, _ := strings.Cut(strings.TrimPrefix(o.Path, "s3://"), "/")
	// Up to the folder of the first wildcard, as the source lists it.
	if i := strings.IndexAny(key, `*?[{\`); i >= 0 {
		key = key[:strings.LastIndexByte(key[:i], '/')+1]
	}
	list := Statement{Sid: "ListArchive", Why: "find an archive's files", Actions: []string{"s3:ListBucket"}, Resources: []string{h.bucket(bucket)}}
	if key != "" {
		list.Condition = Condition{"StringLike": {"s3:prefix": {literal(key) + "*"}}}
	}
	r.allow(list)
	r.allow(Statement{
		Sid: "ReadArchive", Why: "an archive's files", Actions: []string{"s3:GetObject"},
		Resources: []string{h.object(bucket, literal(key)+"*")},
	})
	b.readKeys(r, h, "an archive's")
}

// readKeys adds the keys that what a source reads in S3 is encrypted with, which
// no config names.
func (b *builder) readKeys(r *roleBuilder, h home, whose string) {
	if len(b.opts.Keys) == 0 {
		b.note("If %s files are encrypted with a KMS key, name it with --key ARN: reading them needs kms:Decrypt on it, and the key's policy has to let the role in.", whose)
		return
	}
	r.allow(Statement{
		Sid: "ReadKeys", Why: "the keys that files are encrypted with (--key)",
		Actions: []string{"kms:Decrypt"}, Resources: b.opts.Keys, Condition: withVia(nil, h.via("s3")),
	})
}

func known(region string) []string {
	if region == "" {
		return nil
	}
	return []string{region}
}

func inRegions(regions []string) Condition {
	if len(regions) == 0 {
		return nil
	}
	return Condition{"StringEquals": {"aws:RequestedRegion": slices.Clone(regions)}}
}

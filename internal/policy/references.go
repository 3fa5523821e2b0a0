package policy

import (
	"strings"

	"github.com/idtrail/idtrail/internal/config"
)

// references adds what reading the config and its secrets needs, which is never
// done by an assumed role.
func (b *builder) references() {
	r := b.own()
	if url := b.opts.ConfigURL; strings.HasPrefix(url, "s3://") {
		bucket, key, _ := strings.Cut(strings.TrimPrefix(url, "s3://"), "/")
		r.allow(Statement{
			Sid: "ReadConfig", Why: "the config itself", Actions: []string{"s3:GetObject"},
			Resources: []string{b.in(r, "").object(bucket, literal(key))},
		})
	}
	if !b.needs.secrets {
		return
	}
	vaults := map[string]bool{}
	for _, ref := range b.config.References {
		h := b.in(r, "")
		switch ref.Scheme {
		case config.SchemeSecretsManager:
			vaults["secretsmanager"] = true
			id, _, _ := strings.Cut(ref.Name, "#")
			r.allow(Statement{
				Sid: "Secrets", Why: "secrets that the config names",
				Actions: []string{"secretsmanager:GetSecretValue"}, Resources: []string{secretARN(id, h)},
			})
		case config.SchemeSSM:
			vaults["ssm"] = true
			r.allow(Statement{
				Sid: "Parameters", Why: "parameters that the config names",
				Actions: []string{"ssm:GetParameter"}, Resources: []string{parameterARN(ref.Name, h)},
			})
		}
	}
	b.secretKeys(r, vaults)
}

func (b *builder) secretKeys(r *roleBuilder, vaults map[string]bool) {
	if len(vaults) == 0 {
		return
	}
	if len(b.opts.Keys) == 0 {
		b.note("If a secret or parameter is encrypted with a KMS key of your own, name it with --key ARN: reading it needs kms:Decrypt on it.")
		return
	}
	h := b.in(r, "")
	var services []string
	for _, name := range []string{"secretsmanager", "ssm"} {
		if vaults[name] {
			services = append(services, h.via(name))
		}
	}
	r.allow(Statement{
		Sid: "SecretKeys", Why: "the keys that secrets are encrypted with (--key)",
		Actions: []string{"kms:Decrypt"}, Resources: b.opts.Keys, Condition: withVia(nil, services...),
	})
}

// secretARN names a secret. Secrets Manager puts six characters of its own behind a
// name.
func secretARN(id string, h home) string {
	if strings.HasPrefix(id, "arn:") {
		return id
	}
	return h.arn("secretsmanager", "secret:"+id+"-??????")
}

// parameterARN names a parameter, without the version or label behind it.
func parameterARN(id string, h home) string {
	if arn := arnPart(id, 5); arn != "" {
		name, _, _ := strings.Cut(arn, ":")
		return strings.TrimSuffix(id, arn) + name
	}
	name, _, _ := strings.Cut(id, ":")
	return h.arn("ssm", "parameter/"+strings.TrimPrefix(name, "/"))
}

// catalog adds what athena --install needs: docs/QUERIES.md.
func (b *builder) catalog() {
	if !b.needs.catalog {
		return
	}
	s := b.config.Lake
	r := b.role(s.RoleARN, s.ExternalID, "lake")
	h := b.in(r, s.Region)
	database := b.opts.Catalog.Database
	r.allow(Statement{
		Sid: "Catalog", Why: "tables and views in Glue",
		Actions: []string{"glue:GetDatabase", "glue:CreateDatabase", "glue:GetTable", "glue:CreateTable", "glue:UpdateTable"},
		Resources: []string{
			h.arn("glue", "catalog"), h.arn("glue", "database/"+database), h.arn("glue", "table/"+database+"/*"),
		},
	})
	r.allow(Statement{
		Sid: "Views", Why: "Athena makes views with the rights of who asks, and looks at database default, too",
		Actions: []string{"glue:GetDatabase", "glue:GetDatabases", "glue:GetTables", "glue:GetPartitions"},
		Resources: []string{
			h.arn("glue", "catalog"), h.arn("glue", "database/default"), h.arn("glue", "database/"+database),
			h.arn("glue", "table/"+database+"/*"),
		},
	})
	r.allow(Statement{
		Sid: "Athena", Why: "make views, and save the queries",
		Actions: []string{
			"athena:StartQueryExecution", "athena:GetQueryExecution", "athena:StopQueryExecution", "athena:ListNamedQueries",
			"athena:BatchGetNamedQuery", "athena:CreateNamedQuery", "athena:UpdateNamedQuery",
		},
		Resources: []string{h.arn("athena", "workgroup/"+b.opts.Catalog.Workgroup)},
	})
	b.results(r, h)
}

// results are where Athena writes what queries give.
func (b *builder) results(r *roleBuilder, h home) {
	if b.opts.Catalog.Output == "" {
		b.note("Athena writes results where the workgroup says: name that place with --output s3://…, for the rights on it.")
		return
	}
	bucket, prefix := bucketOf(b.opts.Catalog.Output)
	r.allow(Statement{
		Sid: "ResultsBucket", Why: "Athena looks where the bucket of results is", Actions: []string{"s3:GetBucketLocation"},
		Resources: []string{h.bucket(bucket)},
	})
	r.allow(Statement{
		Sid: "Results", Why: "results of queries", Actions: []string{"s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"},
		Resources: []string{h.object(bucket, literal(prefix)+"*")},
	})
}

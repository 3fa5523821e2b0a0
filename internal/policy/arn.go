package policy

import (
	"cmp"
	"regexp"
	"strings"
)

var (
	accountForm   = regexp.MustCompile(`^\d{12}$`)
	regionForm    = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-\d$`)
	principalForm = regexp.MustCompile(`^arn:aws[a-z-]*:iam::\d{12}:(root|(role|user)/[\w+=,.@/-]{1,576})$`)
	keyForm       = regexp.MustCompile(`^arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[A-Za-z0-9-]+$`)
)

// anywhere is where an account or a region is, as far as ARNs go.
type home struct {
	partition, region, account string
}

// partitionOf is the part of AWS a region belongs to.
func partitionOf(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	default:
		return "aws"
	}
}

// arnPart is a part of an ARN: 1 partition, 2 service, 3 region, 4 account; "" of
// what is none.
func arnPart(arn string, n int) string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) < 6 || parts[0] != "arn" {
		return ""
	}
	return parts[n]
}

// arn is one of a service that has regions. What is not known is a *.
func (h home) arn(service, resource string) string {
	return strings.Join([]string{
		"arn", h.partition, service, cmp.Or(h.region, "*"), cmp.Or(h.account, "*"), resource,
	}, ":")
}

// bucket is the ARN of a bucket, object that of objects in it.
func (h home) bucket(name string) string { return "arn:" + h.partition + ":s3:::" + name }

func (h home) object(bucket, pattern string) string { return h.bucket(bucket) + "/" + pattern }

// via is the name of a service by which a key may be used in a region.
func (h home) via(service string) string {
	domain := ".amazonaws.com"
	if h.partition == "aws-cn" {
		domain += ".cn"
	}
	return service + "." + cmp.Or(h.region, "*") + domain
}

// literal keeps what the name of an object has of wildcards from being some.
func literal(key string) string {
	return strings.NewReplacer("*", "${*}", "?", "${?}", "$", "${$}").Replace(key)
}

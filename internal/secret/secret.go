// Package secret fetches what the references of a config name in AWS: secrets of
// Secrets Manager, and parameters of Systems Manager's Parameter Store.
//
// It reads with the SDK's own chain of credentials, each entry once however often
// it is named, and keeps what it read for as long as its [Vault] is there: no
// longer than one run, or one start of a service. It does not list, write, rotate
// or cache anything anywhere else. No error of its holds anything of a value.
package secret

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/idtrail/idtrail/internal/blob"
)

// DefaultTimeout of fetching one entry, repetitions included.
const DefaultTimeout = 30 * time.Second

// ErrUnavailable says that the same config may do later: AWS could not be
// reached, or was busy.
var ErrUnavailable = errors.New("unavailable")

// form is what names and ARNs of both services are made of.
var form = regexp.MustCompile(`^[\w/+=.@!:-]{1,1000}$`)

// Options of [New].
type Options struct {
	// Load says how to reach AWS. It is called once, at the first reference.
	Load func(ctx context.Context) (aws.Config, error)
	// Timeout of fetching one entry; [DefaultTimeout] if zero.
	Timeout time.Duration
}

// Vault fetches entries. It may be used concurrently, and fetches one at a time.
type Vault struct {
	opts Options

	mu     sync.Mutex
	config *aws.Config
	// fetched holds what there is of each entry, and why not.
	fetched map[entry]result
	// silent holds the services that did not answer: each is waited for once.
	silent map[place]error
}

// place is a service in a region; "" is the region the SDK finds.
type place struct{ service, region string }

type entry struct {
	place
	id string
}

type result struct {
	text string
	err  error
}

const (
	serviceSecrets    = "secretsmanager"
	serviceParameters = "ssm"
)

// New makes a vault. It calls nothing yet.
func New(o Options) *Vault {
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	return &Vault{opts: o, fetched: map[entry]result{}, silent: map[place]error{}}
}

// SecretsManager returns the current value of a secret named by its name or its
// ARN: what stands under a key of the JSON in it for NAME#KEY, else all of it,
// its bytes where it is binary. The line break at its end is left out.
func (v *Vault) SecretsManager(ctx context.Context, name string) (string, error) {
	id, key, keyed := strings.Cut(name, "#")
	if !form.MatchString(id) {
		return "", errors.New("is no name or ARN of a secret; write ${secretsmanager:NAME#KEY}")
	}
	if keyed && key == "" {
		return "", errors.New("names no key after #; write one, or leave # out for the whole secret")
	}
	region, err := regionIn(id, "secretsmanager", "secret")
	if err != nil {
		return "", err
	}
	text, err := v.fetch(ctx, entry{place{serviceSecrets, region}, id}, secretValue)
	if err != nil {
		return "", err
	}
	if keyed {
		text, err = pick(text, key)
	} else if isObject(text) {
		err = errors.New("holds a JSON object; name the key of it that is meant: ${secretsmanager:NAME#KEY}")
	}
	if err != nil {
		return "", err
	}
	return trim(text), nil
}

// SSM returns the value of a parameter, decrypted, named by its name or its ARN,
// with :VERSION or :LABEL behind it for another than its newest.
func (v *Vault) SSM(ctx context.Context, name string) (string, error) {
	if !form.MatchString(name) {
		return "", errors.New("is no name or ARN of a parameter; write ${ssm:/NAME}")
	}
	region, err := regionIn(name, "ssm", "parameter")
	if err != nil {
		return "", err
	}
	text, err := v.fetch(ctx, entry{place{serviceParameters, region}, name}, parameterValue)
	return trim(text), err
}

// regionIn is the region an ARN names, "" for a name.
func regionIn(id, service, kind string) (string, error) {
	if !strings.HasPrefix(id, "arn:") {
		return "", nil
	}
	parts := strings.SplitN(id, ":", 6) // arn, partition, service, region, account, resource
	if len(parts) < 6 || parts[2] != service || parts[3] == "" || !strings.HasPrefix(parts[5], kind) {
		return "", fmt.Errorf("is not the ARN of a %s; write arn:aws:%s:REGION:ACCOUNT:%s…", kind, service, kind)
	}
	return parts[3], nil
}

// get asks for an entry.
type get func(ctx context.Context, cfg aws.Config, e entry) (string, error)

// fetch asks once for each entry. What failed for want of an answer, or because
// ctx has ended, is not kept.
func (v *Vault) fetch(ctx context.Context, e entry, get get) (string, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if r, ok := v.fetched[e]; ok {
		return r.text, r.err
	}
	if err := v.silent[e.place]; err != nil {
		return "", err
	}
	limited, cancel := context.WithTimeout(ctx, v.opts.Timeout)
	defer cancel()
	cfg, err := v.reach(limited, e.region)
	if err != nil {
		return "", err
	}
	text, err := get(limited, cfg, e)
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	err = explain(e, cfg.Region, err)
	if errors.Is(err, ErrUnavailable) {
		v.silent[e.place] = err
		return "", err
	}
	v.fetched[e] = result{text, err}
	return text, err
}

// reach is how to reach AWS in a region.
func (v *Vault) reach(ctx context.Context, region string) (aws.Config, error) {
	if v.config == nil {
		cfg, err := v.opts.Load(ctx)
		if err != nil {
			return aws.Config{}, err
		}
		v.config = &cfg
	}
	cfg := v.config.Copy()
	if region != "" {
		cfg.Region = region
	}
	if cfg.Region == "" {
		return aws.Config{}, errors.New("there is no AWS region; set AWS_REGION, or write the ARN in place of the name")
	}
	return cfg, nil
}

func secretValue(ctx context.Context, cfg aws.Config, e entry) (string, error) {
	client := secretsmanager.NewFromConfig(cfg)
	if err := blob.CheckEndpoint(aws.ToString(client.Options().BaseEndpoint)); err != nil {
		return "", err
	}
	out, err := client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &e.id})
	switch {
	case err != nil:
		return "", err
	case out.SecretString != nil:
		return *out.SecretString, nil
	default:
		return string(out.SecretBinary), nil
	}
}

func parameterValue(ctx context.Context, cfg aws.Config, e entry) (string, error) {
	client := ssm.NewFromConfig(cfg)
	if err := blob.CheckEndpoint(aws.ToString(client.Options().BaseEndpoint)); err != nil {
		return "", err
	}
	// GetParameters would take ten at once, but needs a right of its own.
	out, err := client.GetParameter(ctx, &ssm.GetParameterInput{Name: &e.id, WithDecryption: aws.Bool(true)})
	if err != nil || out.Parameter == nil {
		return "", err
	}
	return aws.ToString(out.Parameter.Value), nil
}

// pick returns what stands under a key of a JSON object. The names of other keys
// stay untold: secrets have been pasted there.
func pick(text, key string) (string, error) {
	var object map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &object) != nil || object == nil {
		return "", errors.New("holds no JSON object, so there are no keys in it; leave # and what follows out")
	}
	raw, ok := object[key]
	if !ok {
		return "", fmt.Errorf("holds %d keys, none of them of that name; names are compared to the letter", len(object))
	}
	var value string
	switch {
	case raw[0] == '"' && json.Unmarshal(raw, &value) == nil:
		return value, nil
	case strings.ContainsRune("{[n", rune(raw[0])):
		return "", errors.New("holds no text under that key; name one with a text, a number, true or false")
	default:
		return string(raw), nil
	}
}

func isObject(text string) bool {
	text = strings.TrimSpace(text)
	return strings.HasPrefix(text, "{") && json.Valid([]byte(text))
}

// trim leaves out the line break that files have at their end. Bytes that are no
// text stay as they are.
func trim(text string) string {
	if !utf8.ValidString(text) {
		return text
	}
	return strings.TrimRight(text, "\r\n")
}

package blob

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

const (
	appID       = "idtrail"
	maxAttempts = 8
	// stallTimeout is how long a connection may be silent in both directions.
	stallTimeout = time.Minute
	// roleLife is how long the credentials of a role are asked for: the most that
	// every role gives, one assumed by another role too. They are renewed roleSlack
	// before they run out.
	roleLife  = time.Hour
	roleSlack = 5 * time.Minute
	// fallbackRegion signs requests to endpoints that have no regions.
	fallbackRegion = "us-east-1"
)

// ErrPlainHTTP says that an endpoint would get data and signatures in clear
// over a network.
var ErrPlainHTTP = errors.New("plain http is allowed on loopback only; use https")

// AWSOptions say how to reach AWS. All may be empty: the SDK's own chain of
// environment, shared files and machine roles then holds.
type AWSOptions struct {
	Region string
	// RoleARN is a role to assume, with ExternalID if its trust policy wants
	// one.
	RoleARN, ExternalID string
	// Credentials take the place of the SDK's chain, and may be nil.
	Credentials aws.CredentialsProvider
	// Endpoint is the URL of another S3 than Amazon's. AWS_ENDPOINT_URL_S3
	// and AWS_ENDPOINT_URL have the same effect. It is addressed by path.
	Endpoint string
	// MaxAttempts per call. 0 is AWS_MAX_ATTEMPTS, else 8: with their pauses,
	// somewhat more than a minute.
	MaxAttempts int
	// StallTimeout is how long a connection may be silent. 0 is a minute.
	StallTimeout time.Duration
}

// LoadAWS loads the SDK's configuration with our retries and timeouts. Other
// AWS clients are made from it too.
func LoadAWS(ctx context.Context, o AWSOptions) (aws.Config, error) {
	env, err := config.NewEnvConfig()
	if err != nil {
		return aws.Config{}, fmt.Errorf("load AWS configuration: %w", err)
	}
	opts := []func(*config.LoadOptions) error{
		config.WithAppID(appID),
		config.WithHTTPClient(httpClient(o.StallTimeout)),
		config.WithRetryer(func() aws.Retryer { return retryer(cmp.Or(o.MaxAttempts, env.RetryMaxAttempts)) }),
	}
	if o.Region != "" {
		opts = append(opts, config.WithRegion(o.Region))
	}
	if o.Credentials != nil {
		opts = append(opts, config.WithCredentialsProvider(o.Credentials))
	}
	cfg, err := config.LoadDefaultConfig(ctx, opts...)
	if err != nil {
		return aws.Config{}, fmt.Errorf("load AWS configuration: %w", err)
	}
	if o.RoleARN == "" {
		return cfg, nil
	}
	return assumeRole(cfg, o)
}

// assumeRole replaces the credentials by those of the role.
func assumeRole(cfg aws.Config, o AWSOptions) (aws.Config, error) {
	client := sts.NewFromConfig(cfg)
	if err := CheckEndpoint(aws.ToString(client.Options().BaseEndpoint)); err != nil {
		return aws.Config{}, fmt.Errorf("assume role %s: %w", o.RoleARN, err)
	}
	provider := stscreds.NewAssumeRoleProvider(client, o.RoleARN, func(a *stscreds.AssumeRoleOptions) {
		a.RoleSessionName = appID
		a.Duration = roleLife
		if o.ExternalID != "" {
			a.ExternalID = &o.ExternalID
		}
	})
	cfg.Credentials = aws.NewCredentialsCache(provider, func(c *aws.CredentialsCacheOptions) { c.ExpiryWindow = roleSlack })
	return cfg, nil
}

// NewS3Client returns a client for NewS3. It sends nothing.
func NewS3Client(ctx context.Context, o AWSOptions) (*s3.Client, error) {
	cfg, err := LoadAWS(ctx, o)
	if err != nil {
		return nil, err
	}
	client := s3.NewFromConfig(cfg, func(so *s3.Options) {
		// It would say so of every read of a part of an object.
		so.DisableLogOutputChecksumValidationSkipped = true
		if o.Endpoint != "" {
			so.BaseEndpoint = &o.Endpoint
		}
		if so.BaseEndpoint == nil {
			return
		}
		so.UsePathStyle = true
		if so.Region == "" {
			so.Region = fallbackRegion
		}
	})
	if client.Options().Region == "" {
		return nil, errors.New("no AWS region: set it in the configuration, or AWS_REGION")
	}
	if err := CheckEndpoint(aws.ToString(client.Options().BaseEndpoint)); err != nil {
		return nil, err
	}
	return client, nil
}

// OpenS3 is NewS3 with a client of NewS3Client.
func OpenS3(ctx context.Context, a AWSOptions, o S3Options) (*S3, error) {
	client, err := NewS3Client(ctx, a)
	if err != nil {
		return nil, fmt.Errorf("open s3://%s: %w", o.Bucket, err)
	}
	return NewS3(client, o), nil
}

// ParseS3URL splits s3://bucket/prefix; the prefix may be empty or have
// slashes.
func ParseS3URL(text string) (bucket, prefix string, err error) {
	rest, ok := strings.CutPrefix(text, "s3://")
	if !ok {
		return "", "", fmt.Errorf("%q is not of the form s3://bucket/prefix", text)
	}
	bucket, prefix, _ = strings.Cut(rest, "/")
	prefix = strings.Trim(prefix, "/")
	if bucket == "" {
		return "", "", fmt.Errorf("%q names no bucket", text)
	}
	if strings.ContainsAny(bucket, " ?#%@") {
		return "", "", fmt.Errorf("%q: %q cannot be the name of a bucket", text, bucket)
	}
	if prefix == "" {
		return bucket, "", nil
	}
	if err := checkS3Key(prefix); err != nil {
		return "", "", fmt.Errorf("%q: %w", text, err)
	}
	return bucket, prefix, nil
}

// CheckEndpoint refuses an endpoint that is no URL, and ErrPlainHTTP. An empty
// one is Amazon's, and good.
func CheckEndpoint(endpoint string) error {
	if endpoint == "" {
		return nil
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("endpoint %q is not of the form https://host:port", redact(endpoint))
	}
	if u.Scheme == "http" && !isLoopback(u.Hostname()) {
		return fmt.Errorf("endpoint %s: %w", u.Redacted(), ErrPlainHTTP)
	}
	return nil
}

// redact leaves out what may be a password.
func redact(endpoint string) string {
	if _, host, ok := strings.Cut(endpoint, "@"); ok {
		return host
	}
	return endpoint
}

func isLoopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// retryer is the SDK's, without its budget of retries: a long run that is
// throttled often would use it up and fail, however patient it is.
func retryer(attempts int) aws.Retryer {
	if attempts <= 0 {
		attempts = maxAttempts
	}
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = attempts
		o.RateLimiter = ratelimit.None
	})
}

// httpClient is the SDK's, with connections that do not hang. A deadline for
// the whole of a call would have to know its size and the network's speed.
func httpClient(stall time.Duration) *awshttp.BuildableClient {
	if stall <= 0 {
		stall = stallTimeout
	}
	return awshttp.NewBuildableClient().
		// The SDK's own takes a slow upload for a silent server.
		WithReadTimeout(0).
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = min(d.Timeout, 10*time.Second) }).
		WithTransportOptions(func(t *http.Transport) {
			t.OnProxyConnectResponse = ProxyAnswered
			dial := t.DialContext
			t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := dial(ctx, network, address)
				if err != nil {
					return nil, err
				}
				return &stallConn{Conn: conn, timeout: stall}, nil
			}
		})
}

// ProxyAnswered says of a proxy's answer to CONNECT that it is the proxy's: what
// net/http makes of it, "Forbidden", reads like the answer of what is behind. For
// a transport's OnProxyConnectResponse.
func ProxyAnswered(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	text := fmt.Sprintf("the proxy of the environment (HTTPS_PROXY) answered %d", resp.StatusCode)
	if resp.StatusCode == http.StatusProxyAuthRequired {
		text += ": it wants a user and a password"
	}
	return errors.New(text)
}

// stallConn fails if for some time nothing comes and nothing goes.
type stallConn struct {
	net.Conn
	timeout time.Duration
}

func (c *stallConn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(c.deadline()); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

// Write also puts off the deadline of a Read that waits for the answer.
func (c *stallConn) Write(p []byte) (int, error) {
	if err := c.SetDeadline(c.deadline()); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

func (c *stallConn) deadline() time.Time {
	return time.Now().Add(c.timeout) //nolint:forbidigo // the kernel's clock, not the program's
}

package harness

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/idtrail/idtrail/internal/blob"
)

const (
	rootAccess = "root"
	rootSecret = "not-a-secret"
	region     = "us-east-1"
)

// Server is a running S3 server with no buckets.
type Server struct {
	// Endpoint is its URL.
	Endpoint string
	// Access and Secret are its root's, who may do everything.
	Access, Secret string
	// Root is the folder that holds the buckets; objects are plain files in
	// it.
	Root string
	// CAFile is the certificate to trust, of a server with TLS.
	CAFile string

	iam *iam.Client
}

// Options say what else a server has.
type Options struct {
	// TLS serves https. The test must not be parallel, as the certificate
	// goes into AWS_CA_BUNDLE.
	TLS bool
	// IAM holds users to their policies: see User.
	IAM bool
}

// S3 starts an S3 server that stops when the test ends.
//
// It is versitygw, which differs from AWS here: no key may also be the prefix
// of another; what is encrypted is not said; in a bucket with versions, a
// deleted object still stands in the way of a conditional write.
func S3(t testing.TB) *Server {
	t.Helper()
	return S3With(t, Options{})
}

// S3With is S3 with options.
func S3With(t testing.TB, o Options) *Server {
	t.Helper()
	binary := tool(t, "IDTRAIL_VERSITYGW")
	// Another process may take the port before the server does.
	var err error
	for range 3 {
		var s *Server
		if s, err = tryS3(t, binary, o); err == nil {
			return s
		}
	}
	t.Fatal(err)
	return nil
}

func tryS3(t testing.TB, binary string, o Options) (*Server, error) {
	t.Helper()
	dir := shortTempDir(t)
	address := freePort(t)
	s := &Server{
		Endpoint: "http://" + address,
		Access:   rootAccess,
		Secret:   rootSecret,
		Root:     filepath.Join(dir, "objects"),
	}
	args := []string{"-q", "--port", address, "--access", s.Access, "--secret", s.Secret}
	if o.TLS {
		s.Endpoint = "https://" + address
		s.CAFile = filepath.Join(dir, "cert.pem")
		writeCertificate(t, s.CAFile, filepath.Join(dir, "key.pem"))
		t.Setenv("AWS_CA_BUNDLE", s.CAFile)
		args = append(args, "--cert", s.CAFile, "--key", filepath.Join(dir, "key.pem"))
	}
	if o.IAM {
		socket := filepath.Join(dir, "iam.sock")
		if err := s.startIAM(t, binary, socket); err != nil {
			return nil, err
		}
		args = append(args, "--iam-standalone-endpoint", socket, "--iam-cache-disable")
	}
	versions := filepath.Join(dir, "versions")
	mkdir(t, s.Root, versions)
	args = append(args, "posix", "--versioning-dir", versions, s.Root)
	return s, start(t, address, exec.Command(binary, args...))
}

// startIAM starts the server of users and policies.
func (s *Server) startIAM(t testing.TB, binary, socket string) error {
	t.Helper()
	dir := filepath.Join(filepath.Dir(socket), "iam")
	mkdir(t, dir)
	address := freePort(t)
	s.iam = iam.New(iam.Options{
		BaseEndpoint: aws.String("http://" + address),
		Region:       region,
		Credentials:  s.Credentials(),
	})
	return start(t, address, exec.Command(binary, "-q", "--port", address, "--access", s.Access, "--secret", s.Secret,
		"iam", "--dir", dir, "--private-ports", socket, "--disable-oidc-thumbprint-autofetch"))
}

// Credentials are the root's.
func (s *Server) Credentials() aws.CredentialsProvider {
	return credentials.NewStaticCredentialsProvider(s.Access, s.Secret, "")
}

// Env is what a program needs in its environment to use the server as root.
func (s *Server) Env() []string {
	env := []string{
		"AWS_ENDPOINT_URL_S3=" + s.Endpoint,
		"AWS_ACCESS_KEY_ID=" + s.Access,
		"AWS_SECRET_ACCESS_KEY=" + s.Secret,
		"AWS_REGION=" + region,
		"AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE=" + os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull,
	}
	if s.CAFile != "" {
		env = append(env, "AWS_CA_BUNDLE="+s.CAFile)
	}
	return env
}

// Setenv puts Env into the environment of the test.
func (s *Server) Setenv(t testing.TB) {
	t.Helper()
	for _, pair := range s.Env() {
		name, value, _ := strings.Cut(pair, "=")
		t.Setenv(name, value)
	}
}

// Client is a client as idtrail makes it. No credentials are the root's.
func (s *Server) Client(t testing.TB, who aws.CredentialsProvider) *s3.Client {
	t.Helper()
	if who == nil {
		who = s.Credentials()
	}
	client, err := blob.NewS3Client(t.Context(), blob.AWSOptions{
		Region:      region,
		Endpoint:    s.Endpoint,
		Credentials: who,
		MaxAttempts: 3,
	})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// Bucket makes a bucket with a name of its own.
func (s *Server) Bucket(t testing.TB) string {
	t.Helper()
	entries, err := os.ReadDir(s.Root)
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("bucket-%d", len(entries)+1)
	if _, err := s.Client(t, nil).CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name}); err != nil {
		t.Fatalf("create bucket: %v", err)
	}
	return name
}

// LockedBucket makes a bucket whose objects can be locked.
func (s *Server) LockedBucket(t testing.TB) string {
	t.Helper()
	name := "locked"
	_, err := s.Client(t, nil).CreateBucket(t.Context(), &s3.CreateBucketInput{
		Bucket:                     &name,
		ObjectLockEnabledForBucket: aws.Bool(true),
	})
	if err != nil {
		t.Fatalf("create bucket: %v", err)
	}
	return name
}

// Store is a store as root. Without a bucket in the options it makes one.
func (s *Server) Store(t testing.TB, o blob.S3Options) *blob.S3 {
	t.Helper()
	if o.Bucket == "" {
		o.Bucket = s.Bucket(t)
	}
	return blob.NewS3(s.Client(t, nil), o)
}

// Path is the file of an object, or of a pattern of objects.
func (s *Server) Path(bucket, key string) string {
	return filepath.Join(s.Root, bucket, filepath.FromSlash(key))
}

// User makes a user who may do what the policy, an IAM document, allows and
// nothing else. The server must have been started with IAM.
func (s *Server) User(t testing.TB, name, policy string) aws.CredentialsProvider {
	t.Helper()
	if s.iam == nil {
		t.Fatal("the server was started without IAM")
	}
	key, err := s.addUser(t.Context(), name, policy)
	if err != nil {
		t.Fatalf("add user %s: %v", name, err)
	}
	return credentials.NewStaticCredentialsProvider(*key.AccessKey.AccessKeyId, *key.AccessKey.SecretAccessKey, "")
}

func (s *Server) addUser(ctx context.Context, name, policy string) (*iam.CreateAccessKeyOutput, error) {
	if _, err := s.iam.CreateUser(ctx, &iam.CreateUserInput{UserName: &name}); err != nil {
		return nil, err
	}
	_, err := s.iam.PutUserPolicy(ctx, &iam.PutUserPolicyInput{
		UserName:       &name,
		PolicyName:     aws.String("only"),
		PolicyDocument: &policy,
	})
	if err != nil {
		return nil, err
	}
	return s.iam.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: &name})
}

// shortTempDir is a folder whose name leaves room for a socket's, which may
// have 100 bytes.
func shortTempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "idt") //nolint:usetesting // TempDir's names are too long
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func mkdir(t testing.TB, dirs ...string) {
	t.Helper()
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
}

package secret_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/fake"
	"github.com/idtrail/idtrail/internal/secret"
)

// hidden is in every value, and may be in no error.
const hidden = "h1dden-8f31"

const (
	secretARN    = "arn:aws:secretsmanager:us-west-2:123456789012:secret:idtrail/far-AbCdEf"
	parameterARN = "arn:aws:ssm:eu-north-1:123456789012:parameter/far"
)

var (
	secrets = map[string]fake.VaultSecret{
		"plain":     {Text: hidden + "\r\n"},
		"idtrail@x": {Text: `{"id": "client", "secret": "` + hidden + `\n", "port": 8088, "tls": true, "a@b": "` + hidden + `", "none": null, "list": ["` + hidden + `"]}`},
		"binary":    {Binary: []byte("\xff" + hidden + "\n")},
		"pem":       {Binary: []byte(hidden + "\n")},
		"json":      {Binary: []byte(`{"key": "` + hidden + `"}`)},
		"null":      {Text: "null"},
		secretARN:   {Text: hidden},
	}
	parameters = map[string]string{"/idtrail/secret": hidden + "\n", "plain": hidden, "plain:3": "old" + hidden, parameterARN: hidden}
)

// open makes a vault of which all that is kept lies in a fake.
func open(t *testing.T, f *fake.Vault) *secret.Vault {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return secret.New(secret.Options{Load: load(server.URL, server.Client())})
}

func load(url string, client *http.Client) func(context.Context) (aws.Config, error) {
	return func(context.Context) (aws.Config, error) {
		return aws.Config{
			Region: "eu-west-1", BaseEndpoint: &url, HTTPClient: client, RetryMaxAttempts: 1,
			Credentials: credentials.NewStaticCredentialsProvider("AKIA", "key", ""),
		}, nil
	}
}

func TestValues(t *testing.T) {
	tests := []struct{ scheme, name, want string }{
		{"secretsmanager", "plain", hidden},
		{"secretsmanager", "idtrail@x#id", "client"},
		{"secretsmanager", "idtrail@x#secret", hidden},
		{"secretsmanager", "idtrail@x#port", "8088"},
		{"secretsmanager", "idtrail@x#tls", "true"},
		{"secretsmanager", "idtrail@x#a@b", hidden},
		{"secretsmanager", "binary", "\xff" + hidden + "\n"},
		{"secretsmanager", "pem", hidden},
		{"secretsmanager", "json#key", hidden},
		{"secretsmanager", secretARN, hidden},
		{"ssm", "/idtrail/secret", hidden},
		{"ssm", "plain", hidden},
		{"ssm", "plain:3", "old" + hidden},
		{"ssm", parameterARN, hidden},
	}
	f := fake.NewVault(fake.VaultOptions{Secrets: secrets, Parameters: parameters})
	v := open(t, f)
	for range 2 { // the second time nothing is called
		for _, tt := range tests {
			if got, err := fetch(t, v, tt.scheme, tt.name); got != tt.want || err != nil {
				t.Errorf("%s:%s: got %q, error %v, want %q", tt.scheme, tt.name, got, err, tt.want)
			}
		}
	}
	if got, want := f.Count(fake.CallGetSecretValue), 6; got != want {
		t.Errorf("got %d calls for secrets, want %d: one for each", got, want)
	}
	if got, want := f.Count(fake.CallGetParameter), 4; got != want {
		t.Errorf("got %d calls for parameters, want %d: one for each", got, want)
	}
	for op, want := range map[string][]string{
		fake.CallGetSecretValue: {"eu-west-1", "us-west-2"}, fake.CallGetParameter: {"eu-west-1", "eu-north-1"},
	} {
		if got := f.Regions(op); !slices.Equal(got, want) {
			t.Errorf("%s went to %q, want %q", op, got, want)
		}
	}
}

func fetch(t *testing.T, v *secret.Vault, scheme, name string) (string, error) {
	t.Helper()
	if scheme == "ssm" {
		return v.SSM(t.Context(), name)
	}
	return v.SecretsManager(t.Context(), name)
}

func TestRefused(t *testing.T) {
	tests := []struct{ scheme, name, want string }{
		{"secretsmanager", "", "is no name or ARN of a secret; write ${secretsmanager:NAME#KEY}"},
		{"secretsmanager", "#key", "is no name or ARN of a secret"},
		{"secretsmanager", "a b", "is no name or ARN of a secret"},
		{"secretsmanager", "plain#", "names no key after #"},
		{"secretsmanager", parameterARN, "is not the ARN of a secret; write arn:aws:secretsmanager:REGION"},
		{"secretsmanager", "arn:aws:secretsmanager::1:secret:x", "is not the ARN of a secret"},
		{"secretsmanager", "nothing", "there is none of that name in eu-west-1 (400 ResourceNotFoundException, request 0"},
		{"secretsmanager", "idtrail@x", "holds a JSON object; name the key of it that is meant"},
		{"secretsmanager", "idtrail@x#ID", "holds 7 keys, none of them of that name"},
		{"secretsmanager", "idtrail@x#none", "holds no text under that key"},
		{"secretsmanager", "idtrail@x#list", "holds no text under that key"},
		{"secretsmanager", "plain#key", "holds no JSON object, so there are no keys in it"},
		{"secretsmanager", "null#key", "holds no JSON object"},
		{"ssm", "", "is no name or ARN of a parameter; write ${ssm:/NAME}"},
		{"ssm", "/idtrail/secret#key", "is no name or ARN of a parameter"},
		{"ssm", secretARN, "is not the ARN of a parameter"},
		{"ssm", "/nothing", "there is none of that name in eu-west-1 (400 ParameterNotFound, request 0"},
	}
	v := open(t, fake.NewVault(fake.VaultOptions{Secrets: secrets, Parameters: parameters}))
	for _, tt := range tests {
		got, err := fetch(t, v, tt.scheme, tt.name)
		if got != "" || err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), hidden) {
			t.Errorf("%s:%s: got error %v, want %q", tt.scheme, tt.name, err, tt.want)
		}
	}
}

// What a person has to do about an answer, and whether it may pass by itself.
func TestAnswers(t *testing.T) {
	denied := "User: arn:aws:sts::123456789012:assumed-role/idtrail/run is not authorized to perform: "
	tests := []struct {
		scheme, code, message string
		status                int
		want                  string
		passes                bool
	}{
		{"secretsmanager", "AccessDeniedException", denied + "secretsmanager:GetSecretValue on resource: plain", 400, "access denied (400 AccessDeniedException, request 00000000-0000-4000-8000-000000000000); allow secretsmanager:GetSecretValue on arn:aws:secretsmanager:eu-west-1:*:secret:plain-??????", false},
		{"secretsmanager", "AccessDeniedException", "Access to KMS is not allowed", 400, "its key may not be used (400 AccessDeniedException, request 00000000-0000-4000-8000-000000000000); allow kms:Decrypt", false},
		{"secretsmanager", "DecryptionFailure", "", 400, "allow kms:Decrypt", false},
		{"secretsmanager", "InvalidRequestException", "", 400, "it may be marked for deletion: restore it", false},
		{"secretsmanager", "ResourceNotFoundException", "can't find the specified secret value for staging label: AWSCURRENT", 400, "the secret has no current value", false},
		{"secretsmanager", "ExpiredTokenException", "", 400, "the AWS credentials are not taken", false},
		{"secretsmanager", "Surprise", "", 400, "it is refused (400 Surprise", false},
		{"secretsmanager", "ThrottlingException", "Rate exceeded", 400, "unavailable: secretsmanager answers 400 ThrottlingException", true},
		{"secretsmanager", "InternalServiceError", "", 500, "unavailable: secretsmanager answers 500 InternalServiceError", true},
		{"ssm", "AccessDeniedException", denied + "ssm:GetParameter on resource: x", 400, "allow ssm:GetParameter on arn:aws:ssm:eu-west-1:*:parameter/plain", false},
		{"ssm", "AccessDeniedException", denied + "kms:Decrypt on resource: x", 400, "allow kms:Decrypt", false},
		{"ssm", "InvalidKeyId", "", 400, "allow kms:Decrypt", false},
		{"ssm", "ParameterVersionNotFound", "", 400, "the parameter has no such version", false},
		{"ssm", "ThrottlingException", "Rate exceeded", 400, "unavailable: ssm answers 400 ThrottlingException", true},
	}
	for _, tt := range tests {
		t.Run(tt.scheme+" "+tt.code, func(t *testing.T) {
			fault := fake.VaultFault(tt.status, tt.code, tt.message+hidden)
			f := fake.NewVault(fake.VaultOptions{Fault: func(fake.Call) *fake.Fault { return fault }})
			v := open(t, f)
			for range 2 {
				_, err := fetch(t, v, tt.scheme, "plain")
				if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), hidden) || strings.Count(err.Error(), "; ") != 1 {
					t.Errorf("got error %v, want %q and one hint", err, tt.want)
				}
				if got := errors.Is(err, secret.ErrUnavailable); got != tt.passes {
					t.Errorf("%v: is ErrUnavailable %v, want %v", err, got, tt.passes)
				}
			}
			if n := len(f.Calls()); n != 1 {
				t.Errorf("got %d calls, want 1", n)
			}
		})
	}
}

// A service that does not answer is waited for once, whatever is asked of it.
func TestNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := fake.NewVault(fake.VaultOptions{Fault: func(fake.Call) *fake.Fault { return &fake.Fault{Hang: true} }})
		v := secret.New(secret.Options{Load: load("http://127.0.0.1", &http.Client{Transport: fake.Transport(f)})})
		begin := time.Now()
		for i := range 3 {
			_, err := v.SSM(t.Context(), fmt.Sprintf("/p%d", i))
			if !errors.Is(err, secret.ErrUnavailable) || !strings.Contains(err.Error(), "ssm in eu-west-1 does not answer in time; check network") {
				t.Errorf("got error %v, want that there is no answer", err)
			}
		}
		if took := time.Since(begin); took != secret.DefaultTimeout {
			t.Errorf("waited %v, want %v", took, secret.DefaultTimeout)
		}
	})
}

func TestCancel(t *testing.T) {
	f := fake.NewVault(fake.VaultOptions{Parameters: parameters})
	v := open(t, f)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := v.SSM(ctx, "plain"); !errors.Is(err, context.Canceled) || errors.Is(err, secret.ErrUnavailable) {
		t.Errorf("got error %v, want only that it was cancelled", err)
	}
	if got, err := v.SSM(t.Context(), "plain"); got != hidden || err != nil {
		t.Errorf("afterwards: got %q, error %v", got, err)
	}
}

func TestClosed(t *testing.T) {
	server := httptest.NewServer(nil)
	server.Close()
	v := secret.New(secret.Options{Load: load(server.URL, server.Client())})
	_, err := v.SecretsManager(t.Context(), "plain")
	if !errors.Is(err, secret.ErrUnavailable) || !strings.Contains(err.Error(), "connection refused; check network") {
		t.Errorf("got error %v, want that nobody listens", err)
	}
}

func TestSetUp(t *testing.T) {
	tests := []struct {
		name string
		load func(context.Context) (aws.Config, error)
		want string
	}{
		{"no region", func(context.Context) (aws.Config, error) { return aws.Config{}, nil }, "there is no AWS region; set AWS_REGION"},
		{"no config", func(context.Context) (aws.Config, error) { return aws.Config{}, errors.New("no such profile") }, "no such profile"},
		{"in the clear", load("http://aws.example", nil), blob.ErrPlainHTTP.Error()},
		{"no credentials", func(context.Context) (aws.Config, error) {
			return aws.Config{Region: "eu-west-1", Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{}, errors.New("no role here")
			})}, nil
		}, "no usable AWS credentials"},
	}
	for _, tt := range tests {
		for _, scheme := range []string{"secretsmanager", "ssm"} {
			v := secret.New(secret.Options{Load: tt.load})
			if _, err := fetch(t, v, scheme, "plain"); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s, %s: got error %v, want %q", tt.name, scheme, err, tt.want)
			}
		}
	}
}

package fake

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// The names of the calls [Vault] answers, as a [Call]'s Path has them.
const (
	CallGetSecretValue = "GetSecretValue"
	CallGetParameter   = "GetParameter"
)

// VaultSecret is a secret of Secrets Manager: a text, or bytes where Binary is
// not nil.
type VaultSecret struct {
	Text   string
	Binary []byte
}

// VaultOptions say what [Vault] holds.
type VaultOptions struct {
	// Secrets by name or ARN, Parameters by name or ARN: what is asked for has to
	// be one of them to the letter.
	Secrets    map[string]VaultSecret
	Parameters map[string]string
	// Now is the server's clock, time.Now by default.
	Now func() time.Time
	// Fault, where set, is asked at every call what is to go wrong with it.
	Fault func(Call) *Fault
}

// Vault is Secrets Manager and the parameters of Systems Manager, as far as they
// are read (JSON 1.1): an http.Handler. It may be used concurrently.
//
// Signatures are not checked, but have to be there, and made for the service that
// is called. A parameter that is not asked for decrypted is answered sealed.
type Vault struct {
	journal

	opts VaultOptions
}

var _ http.Handler = (*Vault)(nil)

// NewVault makes one.
func NewVault(opts VaultOptions) *Vault {
	if opts.Now == nil {
		opts.Now = time.Now //nolint:forbidigo // the default of a server's own clock
	}
	return &Vault{opts: opts}
}

// ServeHTTP answers one call. The Query of the [Call] holds the region it was
// signed for.
func (v *Vault) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	service, op, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	region, signed := signedFor(r)
	q := r.URL.Query()
	q.Set("region", region)
	r.URL.RawQuery = q.Encode()
	call := v.enter(r, op, v.opts.Now())
	var fault *Fault
	if v.opts.Fault != nil {
		fault = v.opts.Fault(call)
	}
	var in vaultInput
	a := VaultFault(http.StatusBadRequest, "UnknownOperationException", "").answer()
	switch {
	case json.Unmarshal(body, &in) != nil:
		a = VaultFault(http.StatusBadRequest, "SerializationException", "").answer()
	case signed != map[string]string{"secretsmanager": "secretsmanager", "AmazonSSM": "ssm"}[service]:
		a = VaultFault(http.StatusBadRequest, "IncompleteSignatureException", "").answer()
	case service == "secretsmanager" && op == CallGetSecretValue:
		a = v.secret(in)
	case service == "AmazonSSM" && op == CallGetParameter:
		a = v.parameter(in)
	}
	v.answered(call, fault.send(w, r, a, call.At))
}

type vaultInput struct {
	SecretID       string `json:"SecretId"`
	Name           string
	WithDecryption bool
}

// signedFor reads region and service out of a signature.
func signedFor(r *http.Request) (region, service string) {
	_, scope, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	scope, _, _ = strings.Cut(scope, ",")
	parts := strings.Split(scope, "/") // key, date, region, service, "aws4_request"
	if len(parts) != 5 {
		return "", "none"
	}
	return parts[2], parts[3]
}

func (v *Vault) secret(in vaultInput) answer {
	s, ok := v.opts.Secrets[in.SecretID]
	if !ok {
		return VaultFault(http.StatusBadRequest, "ResourceNotFoundException", "Secrets Manager can't find the specified secret.").answer()
	}
	if s.Binary != nil {
		return vaultAnswer(map[string]any{"Name": in.SecretID, "SecretBinary": s.Binary, "VersionStages": []string{"AWSCURRENT"}})
	}
	return vaultAnswer(map[string]any{"Name": in.SecretID, "SecretString": s.Text, "VersionStages": []string{"AWSCURRENT"}})
}

func (v *Vault) parameter(in vaultInput) answer {
	value, ok := v.opts.Parameters[in.Name]
	if !ok {
		return VaultFault(http.StatusBadRequest, "ParameterNotFound", "").answer()
	}
	if !in.WithDecryption {
		value = "AQICAHsealed"
	}
	return vaultAnswer(map[string]any{"Parameter": map[string]any{"Name": in.Name, "Type": "SecureString", "Value": value, "Version": 1}})
}

// VaultFault is an error of the services as a fault of one call.
func VaultFault(status int, code, message string) *Fault {
	body, _ := json.Marshal(map[string]string{"__type": code, "message": message})
	h := cognitoHeader()
	h.Set("X-Amzn-Errortype", code)
	return &Fault{Status: status, Header: h, Body: string(body)}
}

func (f *Fault) answer() answer {
	return answer{status: f.Status, header: f.Header, body: []byte(f.Body)}
}

func vaultAnswer(v any) answer {
	body, _ := json.Marshal(v)
	return answer{status: http.StatusOK, header: cognitoHeader(), body: body}
}

// Regions are the regions the calls of an operation were signed for, each
// once.
func (v *Vault) Regions(operation string) []string {
	var regions []string
	for _, c := range v.Calls() {
		if region := c.Query.Get("region"); c.Path == operation && !slices.Contains(regions, region) {
			regions = append(regions, region)
		}
	}
	return regions
}

package fake

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// TrailCounts say what [Tenant.WriteTrail] wrote.
type TrailCounts struct {
	Files int
	// Records in the files; Events are different ones, the others Repeats.
	Records, Events, Repeats int
	// Identity counts the different events of cognito-idp, cognito-identity,
	// signin, sts and iam: what a source keeps unless told otherwise.
	Identity int
	// BySource counts all records by eventSource, repeats included.
	BySource map[string]int
}

// identitySources are the event sources that are about identity.
var identitySources = map[string]bool{
	"cognito-idp.amazonaws.com": true, "cognito-identity.amazonaws.com": true, "signin.amazonaws.com": true,
	"sts.amazonaws.com": true, "iam.amazonaws.com": true,
}

// fileSpan is how much time a trail file holds here. CloudTrail writes one
// every five minutes or so, far too many for a demo.
const fileSpan = 2 * time.Hour

// WriteTrail writes the CloudTrail events of the pool's account below dir, in
// the layout CloudTrail has in S3: AWSLogs/ACCOUNT/CloudTrail/REGION/Y/M/D/….
// Some events stand in two files, as the vendor's may.
func (t *Tenant) WriteTrail(dir string) (TrailCounts, error) {
	counts := TrailCounts{BySource: map[string]int{}}
	regions := map[string][]trailEvent{}
	var end time.Time
	flush := func() error {
		for region, events := range regions {
			if err := t.trailFile(dir, trailKey{region, end}, events); err != nil {
				return err
			}
			counts.Files++
			delete(regions, region)
		}
		return nil
	}
	for i := range t.opts.Trail {
		e := t.trailEvent(i)
		if end.IsZero() {
			end = e.at.Truncate(fileSpan).Add(fileSpan)
		}
		var repeated []trailEvent
		if !e.at.Before(end) {
			repeated = repeats(regions)
			if err := flush(); err != nil {
				return counts, err
			}
			end = e.at.Truncate(fileSpan).Add(fileSpan)
		}
		for _, r := range repeated {
			regions[r.region] = append(regions[r.region], r)
			counts.add(r, true)
		}
		regions[e.region] = append(regions[e.region], e)
		counts.add(e, false)
	}
	return counts, flush()
}

// repeats picks events to be written once more, in the next file.
func repeats(regions map[string][]trailEvent) []trailEvent {
	events := regions[Region]
	if len(events) == 0 {
		return nil
	}
	return events[:1+len(events)/100]
}

func (c *TrailCounts) add(e trailEvent, repeat bool) {
	c.Records++
	c.BySource[e.source]++
	if repeat {
		c.Repeats++
		return
	}
	c.Events++
	if identitySources[e.source] {
		c.Identity++
	}
}

// trailKey names a file.
type trailKey struct {
	region string
	end    time.Time
}

func (t *Tenant) trailFile(dir string, k trailKey, events []trailEvent) error {
	suffix := strings.ToUpper(t.hash(16, streamTrailFile, k.region, k.end.Unix()))
	name := filepath.Join(
		dir, "AWSLogs", AccountID, "CloudTrail", k.region, k.end.Format("2006"), k.end.Format("01"), k.end.Format("02"),
		fmt.Sprintf("%s_CloudTrail_%s_%s_%s.json.gz", AccountID, k.region, k.end.Format("20060102T1504Z"), suffix),
	)
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		return fmt.Errorf("make trail folder: %w", err)
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("create trail file: %w", err)
	}
	err = writeRecords(f, events)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("write trail file: %w", err)
	}
	return nil
}

func writeRecords(w io.Writer, events []trailEvent) error {
	z := gzip.NewWriter(w)
	out := bufio.NewWriter(z)
	_, _ = out.WriteString(`{"Records":[`)
	// CloudTrail does not sort: neither do we.
	for i := range events {
		if i > 0 {
			_ = out.WriteByte(',')
		}
		_, _ = out.Write(events[(i+len(events)/3)%len(events)].text)
	}
	_, _ = out.WriteString(`]}`)
	if err := out.Flush(); err != nil {
		return err
	}
	return z.Close()
}

// trailEvent is a record with what decides where it is written.
type trailEvent struct {
	at     time.Time
	region string
	source string
	text   []byte
}

// trailRecord has the fields of a CloudTrail record in their usual order.
type trailRecord struct {
	Version    string         `json:"eventVersion"`
	Identity   map[string]any `json:"userIdentity,omitempty"`
	Time       string         `json:"eventTime"`
	Source     string         `json:"eventSource"`
	Name       string         `json:"eventName"`
	Region     string         `json:"awsRegion"`
	IP         string         `json:"sourceIPAddress"`
	Agent      string         `json:"userAgent"`
	ErrorCode  *string        `json:"errorCode,omitempty"`
	Message    string         `json:"errorMessage,omitempty"`
	Request    any            `json:"requestParameters"`
	Response   any            `json:"responseElements"`
	Additional map[string]any `json:"additionalEventData,omitempty"`
	RequestID  string         `json:"requestID,omitempty"`
	ID         string         `json:"eventID"`
	ReadOnly   bool           `json:"readOnly"`
	Type       string         `json:"eventType"`
	Service    map[string]any `json:"serviceEventDetails,omitempty"`
	Management bool           `json:"managementEvent"`
	Account    string         `json:"recipientAccountId"`
	Category   string         `json:"eventCategory"`
}

// trailMaker makes one event.
type trailMaker struct {
	t    *Tenant
	r    *rand.Rand
	i    int
	user person
	sub  string
	rec  trailRecord
}

func (t *Tenant) trailEvent(i int) trailEvent {
	m := &trailMaker{t: t, r: t.draw(streamTrail, i), i: i}
	at := t.moment(i, t.opts.Trail, 0.5).Truncate(time.Second)
	m.user = m.someone()
	m.rec = trailRecord{
		Version: "1.11", Time: at.Format(time.RFC3339), Region: Region, IP: t.ip(m.user.index), Agent: "aws-sdk-js/3.600.0",
		ID: t.uuid(streamTrail, i), RequestID: t.uuid(streamTrail, i, "request"), Type: "AwsApiCall",
		Management: true, Account: AccountID, Category: "Management",
	}
	pick(m.r, trailKinds)(m)
	m.odd(at)
	text, err := json.Marshal(m.rec)
	if err != nil {
		panic(err) // of strings, numbers and maps of them
	}
	return trailEvent{at: at, region: m.rec.Region, source: m.rec.Source, text: text}
}

// someone is a person with an account in the pool.
func (m *trailMaker) someone() person {
	i := m.r.IntN(len(m.t.cases))
	for range 50 {
		if c := m.t.cases[i]; c != caseMissingRight && c != caseOutOfScope {
			break
		}
		i = (i + 1) % len(m.t.cases)
	}
	m.sub = m.t.sub(i, "")
	return m.t.person(i)
}

// odd makes some events what real trails hold and few readers expect.
func (m *trailMaker) odd(at time.Time) {
	switch m.i % 97 {
	case 13:
		m.rec.Identity = nil
	case 29:
		m.rec.Time = at.Format("20060102T150405Z")
	case 41:
		m.rec.IP = "AWS Internal"
	case 53:
		m.rec.Request = "a text, cut off by the vendor {\"unbal"
	case 67:
		m.rec.Name += "V9"
	case 83:
		m.rec.Additional = map[string]any{"padding": strings.Repeat("x", 28_000)}
	}
}

const hidden = "HIDDEN_DUE_TO_SECURITY_REASONS"

// trailKinds are drawn evenly; what is frequent stands in it often.
var trailKinds = []func(m *trailMaker){
	initiateAuth, initiateAuth, initiateAuth, authFailed, respondToChallenge, hostedLogin, hostedLogin, tokenPost, signUpPool,
	adminCreate, adminDisable, adminGroup, listUsers, identityCredentials,
	consoleLogin, consoleLoginFailed, iamPolicy, iamUser, assumeRole, assumeRole,
	noise("s3.amazonaws.com", "PutBucketPolicy"), noise("s3.amazonaws.com", "GetBucketAcl"), noise("s3.amazonaws.com", "ListBuckets"),
	noise("ec2.amazonaws.com", "DescribeInstances"), noise("ec2.amazonaws.com", "RunInstances"), noise("kms.amazonaws.com", "Decrypt"),
	noise("lambda.amazonaws.com", "UpdateFunctionCode20150331v2"), noise("logs.amazonaws.com", "CreateLogStream"),
}

func (m *trailMaker) call(source, name string) {
	m.rec.Source, m.rec.Name = source, name
}

// asRole says that a role of the account called.
func (m *trailMaker) asRole(role string) {
	arn := "arn:aws:sts::" + AccountID + ":assumed-role/" + role + "/session"
	m.rec.Identity = map[string]any{
		"type": "AssumedRole", "principalId": "AROA" + strings.ToUpper(m.t.hash(16, role)) + ":session", "arn": arn, "accountId": AccountID,
		"accessKeyId": "ASIA" + strings.ToUpper(m.t.hash(16, role, "key")),
		"sessionContext": map[string]any{
			"sessionIssuer": map[string]any{"type": "Role", "arn": "arn:aws:iam::" + AccountID + ":role/" + role, "userName": role, "accountId": AccountID},
			"attributes":    map[string]any{"creationDate": m.rec.Time, "mfaAuthenticated": "false"},
		},
	}
}

// asNobody says that a client called without credentials of AWS.
func (m *trailMaker) asNobody() {
	m.rec.Identity = map[string]any{"type": "Unknown", "principalId": "Anonymous"}
}

func initiateAuth(m *trailMaker) {
	m.call("cognito-idp.amazonaws.com", "InitiateAuth")
	m.asNobody()
	m.rec.Request = map[string]any{"authFlow": "USER_SRP_AUTH", "authParameters": hidden, "clientMetadata": hidden, "clientId": "4nwclient0example"}
	m.rec.Response = map[string]any{"challengeName": "PASSWORD_VERIFIER", "challengeParameters": hidden, "session": hidden}
	m.rec.Additional = map[string]any{"sub": m.sub}
	if m.i%3 == 0 {
		m.rec.Response = map[string]any{"challengeParameters": hidden, "authenticationResult": map[string]any{
			"accessToken": hidden, "refreshToken": hidden, "idToken": hidden, "expiresIn": 3600, "tokenType": "Bearer",
		}}
	}
}

func authFailed(m *trailMaker) {
	initiateAuth(m)
	m.rec.Response = nil
	m.rec.ErrorCode, m.rec.Message = new("NotAuthorizedException"), "Incorrect username or password."
	if m.i%2 == 0 {
		m.rec.ErrorCode, m.rec.Message, m.rec.Additional = new("UserNotFoundException"), "User does not exist.", nil
	}
}

func respondToChallenge(m *trailMaker) {
	initiateAuth(m)
	m.rec.Name = "RespondToAuthChallenge"
	m.rec.Request = map[string]any{"clientId": "4nwclient0example", "challengeName": "SOFTWARE_TOKEN_MFA", "challengeResponses": hidden, "session": hidden}
}

// hostedLogin is the hosted page: everything in additionalEventData.
func hostedLogin(m *trailMaker) {
	m.hosted("Login_GET")
	if m.i%2 == 0 {
		m.hosted("login_POST")
	}
}

func tokenPost(m *trailMaker) { m.hosted("Token_POST") }

func (m *trailMaker) hosted(name string) {
	m.call("cognito-idp.amazonaws.com", name)
	m.rec.Identity = map[string]any{"accountId": AccountID}
	m.rec.Type, m.rec.RequestID, m.rec.ErrorCode = "AwsServiceEvent", "", new("")
	m.rec.Service = map[string]any{"serviceAccountId": "111122223333"}
	m.rec.Additional = map[string]any{
		"responseParameters": map[string]any{"status": json.RawMessage("200.0")}, "userPoolDomain": "https://login.northwind.example",
		"userPoolId":        PoolID,
		"requestParameters": map[string]any{"client_id": []string{"4nwclient0example"}, "redirect_uri": []string{"https://portal.northwind.example/"}, "username": []string{hidden}, "password": []string{hidden}},
	}
}

func signUpPool(m *trailMaker) {
	m.call("cognito-idp.amazonaws.com", "SignUp")
	m.asNobody()
	m.rec.Request = map[string]any{"username": hidden, "clientId": "4nwclient0example", "password": hidden, "userAttributes": hidden}
	m.rec.Response = map[string]any{"userConfirmed": false, "userSub": m.sub}
}

func adminCreate(m *trailMaker) {
	m.call("cognito-idp.amazonaws.com", "AdminCreateUser")
	m.asRole("provisioner")
	// A password that a tool put where the vendor does not hide it.
	m.rec.Request = map[string]any{
		"userPoolId": PoolID, "username": hidden, "messageAction": "SUPPRESS", "temporaryPassword": m.t.secret(secretTemporary, m.i),
	}
	m.rec.Response = map[string]any{"user": map[string]any{
		"username": hidden, "enabled": true, "userStatus": "FORCE_CHANGE_PASSWORD",
		"attributes": []any{map[string]any{"name": "sub", "value": m.sub}},
	}}
	m.rec.Additional = map[string]any{"sub": m.sub}
}

func adminDisable(m *trailMaker) {
	m.call("cognito-idp.amazonaws.com", "AdminDisableUser")
	m.asRole("provisioner")
	m.rec.Request = map[string]any{"userPoolId": PoolID, "username": hidden}
	m.rec.Additional = map[string]any{"sub": m.sub}
}

func adminGroup(m *trailMaker) {
	m.call("cognito-idp.amazonaws.com", "AdminAddUserToGroup")
	m.asRole("provisioner")
	m.rec.Request = map[string]any{"userPoolId": PoolID, "username": hidden, "groupName": m.user.role}
	m.rec.Additional = map[string]any{"sub": m.sub}
}

func listUsers(m *trailMaker) {
	m.call("cognito-idp.amazonaws.com", "ListUsers")
	m.asRole("backup")
	m.rec.ReadOnly = true
	m.rec.Request = map[string]any{"userPoolId": PoolID, "limit": 60}
}

func identityCredentials(m *trailMaker) {
	m.call("cognito-identity.amazonaws.com", "GetCredentialsForIdentity")
	m.asNobody()
	m.rec.Management, m.rec.Category = false, "Data"
	m.rec.Request = map[string]any{"identityId": Region + ":" + m.t.uuid("identity", m.user.index)}
	m.rec.Response = map[string]any{"credentials": map[string]any{
		"accessKeyId": "ASIA" + strings.ToUpper(m.t.hash(16, "identity", m.i)), "sessionToken": m.t.secret(secretSession, m.i), "expiration": m.rec.Time,
	}}
}

func consoleLogin(m *trailMaker) {
	m.call("signin.amazonaws.com", "ConsoleLogin")
	m.rec.Region, m.rec.Type, m.rec.RequestID = "us-east-1", "AwsConsoleSignIn", ""
	name := plain(m.user.given)
	m.rec.Identity = map[string]any{
		"type": "IAMUser", "principalId": "AIDA" + strings.ToUpper(m.t.hash(16, name)), "arn": "arn:aws:iam::" + AccountID + ":user/" + name,
		"accountId": AccountID, "userName": name,
	}
	m.rec.Response = map[string]any{"ConsoleLogin": "Success"}
	m.rec.Additional = map[string]any{"LoginTo": "https://console.aws.amazon.com/", "MobileVersion": "No", "MFAUsed": "Yes"}
}

func consoleLoginFailed(m *trailMaker) {
	consoleLogin(m)
	m.rec.Response, m.rec.Message = map[string]any{"ConsoleLogin": "Failure"}, "Failed authentication"
	m.rec.Additional["MFAUsed"] = "No"
}

func iamPolicy(m *trailMaker) {
	m.call("iam.amazonaws.com", "AttachUserPolicy")
	m.asRole("admin")
	m.rec.Region = "us-east-1"
	m.rec.Request = map[string]any{"userName": plain(m.user.given), "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}
}

func iamUser(m *trailMaker) {
	m.call("iam.amazonaws.com", "CreateUser")
	m.asRole("admin")
	m.rec.Region = "us-east-1"
	m.rec.Request = map[string]any{"userName": plain(m.user.given)}
	m.rec.ErrorCode, m.rec.Message = new("EntityAlreadyExistsException"), "User already exists."
}

func assumeRole(m *trailMaker) {
	m.call("sts.amazonaws.com", "AssumeRole")
	m.rec.Identity = map[string]any{"type": "AWSService", "invokedBy": "ecs-tasks.amazonaws.com"}
	m.rec.ReadOnly, m.rec.IP, m.rec.Agent = true, "ecs-tasks.amazonaws.com", "ecs-tasks.amazonaws.com"
	m.rec.Request = map[string]any{"roleArn": "arn:aws:iam::" + AccountID + ":role/worker", "roleSessionName": m.t.hash(32, "worker", m.i)}
	m.rec.Response = map[string]any{"credentials": map[string]any{
		"accessKeyId": "ASIA" + strings.ToUpper(m.t.hash(16, "worker", m.i)), "sessionToken": m.t.secret(secretSession, m.i), "expiration": m.rec.Time,
	}}
}

func noise(source, name string) func(m *trailMaker) {
	return func(m *trailMaker) {
		m.call(source, name)
		m.asRole("app")
		m.rec.ReadOnly = !strings.HasPrefix(name, "Put") && !strings.HasPrefix(name, "Run") && !strings.HasPrefix(name, "Update")
		m.rec.Request = map[string]any{"name": "thing-" + fmt.Sprint(m.i%40)}
	}
}

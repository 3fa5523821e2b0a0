package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/idtrail/idtrail/internal/fake"
)

const (
	s3Access = "root"
	s3Secret = "not-a-secret"
)

// objectStore is versitygw, and the network that leads to it.
type objectStore struct {
	root   string
	cmd    *exec.Cmd
	line   *cable
	client *s3.Client
}

func startS3(ctx context.Context, binary, dir string, c *chance) (_ *objectStore, err error) {
	s := &objectStore{root: filepath.Join(dir, "objects")}
	if err := os.MkdirAll(s.root, 0o700); err != nil {
		return nil, err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		return nil, err
	}
	s.cmd = exec.Command(binary, "-q", "--region", fake.Region, "--port", address, "--access", s3Access, "--secret", s3Secret, "posix", s.root) //nolint:gosec,noctx // ends with close
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	if s.line, err = newCable(ctx, address, c); err != nil {
		return nil, err
	}
	s.client = s3.New(s3.Options{
		BaseEndpoint: aws.String("http://" + address), Region: fake.Region, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(s3Access, s3Secret, ""),
	})
	for range 100 {
		if _, err = s.client.ListBuckets(ctx, nil); err == nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	for _, name := range []string{"lake", "state", "trail"} {
		if err == nil {
			_, err = s.client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(name)})
		}
	}
	return s, err
}

func (s *objectStore) put(ctx context.Context, bucketName, key string, body []byte) error {
	_, err := s.client.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String(bucketName), Key: aws.String(key), Body: bytes.NewReader(body)})
	return err
}

func (s *objectStore) close() {
	s.line.close()
	_ = s.cmd.Process.Kill() // it keeps nothing in memory
	_ = s.cmd.Wait()
}

// cable is the network between the program and the store: it can be cut.
type cable struct {
	to       string
	listener net.Listener
	chance   *chance
	// rough: a connection in so many is cut somewhere; 0 for none.
	rough atomic.Int64
	// down: nothing gets through, and what was open is cut.
	down atomic.Bool

	mu    sync.Mutex
	conns map[net.Conn]bool
	group sync.WaitGroup
}

func newCable(ctx context.Context, to string, c *chance) (*cable, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l := &cable{to: to, listener: listener, chance: c, conns: map[net.Conn]bool{}}
	l.group.Go(l.accept)
	return l, nil
}

func (l *cable) url() string { return "http://" + l.listener.Addr().String() }

func (l *cable) accept() {
	for {
		conn, err := l.listener.Accept()
		if err != nil {
			return
		}
		l.group.Go(func() { l.carry(conn) })
	}
}

// carry carries one connection's bytes both ways, until either end has enough.
func (l *cable) carry(near net.Conn) {
	defer l.forget(near)
	l.keep(near)
	if l.down.Load() {
		return
	}
	far, err := net.Dial("tcp", l.to) //nolint:noctx // on this machine
	if err != nil {
		return
	}
	defer l.forget(far)
	l.keep(far)
	// What is cut short is a request or an answer, which may be a lost one of
	// something that was done.
	up, down := int64(1)<<62, int64(1)<<62
	if n := l.rough.Load(); n > 0 && l.chance.one(int(n)) {
		if l.chance.one(2) {
			up = int64(l.chance.n(60_000))
		} else {
			down = int64(l.chance.n(4_000))
		}
	}
	var group sync.WaitGroup
	pass := func(to, from net.Conn, most int64) {
		_, _ = io.CopyN(to, from, most) // either side may go at any time
		_ = near.Close()
		_ = far.Close()
	}
	group.Go(func() { pass(far, near, up) })
	group.Go(func() { pass(near, far, down) })
	group.Wait()
}

func (l *cable) keep(c net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[c] = true
}

func (l *cable) forget(c net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
	_ = c.Close()
}

// cut cuts all that is open; with down set, nothing new comes through.
func (l *cable) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		_ = c.Close()
	}
}

func (l *cable) close() {
	_ = l.listener.Close()
	l.cut()
	l.group.Wait()
}

// awsEnv is what the SDK reads.
func (s *objectStore) awsEnv() []string {
	return []string{fmt.Sprintf("AWS_ENDPOINT_URL_S3=%s", s.line.url())}
}

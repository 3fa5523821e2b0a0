package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/extract/archive"
	"github.com/idtrail/idtrail/extract/auth0"
	"github.com/idtrail/idtrail/extract/cloudtrail"
	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/internal/config"
	"github.com/idtrail/idtrail/internal/pipeline"
	"github.com/idtrail/idtrail/load"
	"github.com/idtrail/idtrail/load/lake"
	"github.com/idtrail/idtrail/reconcile"
	"github.com/idtrail/idtrail/state"
	"github.com/idtrail/idtrail/transform"
)

// builder makes what a config names.
type builder struct {
	config *config.Config
	log    *slog.Logger
	now    func() time.Time
	// trailLimits are shared by all sources that ask CloudTrail; nil lets each
	// have its own.
	trailLimits *cloudtrail.Limits
	// ownAWS takes the place of Amazon's, whose quotas it does not have; nil but
	// in the demo.
	ownAWS *aws.Config
	// turns and kept are for a service, which runs jobs side by side and for long;
	// nil else.
	turns *turns
	kept  *keptSources
}

// makeSource makes a source of one kind. The ledger is for sources of files;
// ctx is for making it, not for reading.
type makeSource func(ctx context.Context, b *builder, s config.Source, ledger extract.Ledger) (extract.Source, error)

// makeSink makes a sink of one kind; store is the lake's.
type makeSink func(b *builder, s config.Sink, store blob.Store) (load.Sink, error)

// sourceKinds and sinkKinds are the one table of everything idtrail reads from
// and writes to.
func sourceKinds() map[string]makeSource {
	return map[string]makeSource{
		config.KindAuth0Logs:        newAuth0Logs,
		config.KindAuth0Users:       newAuth0Users,
		config.KindCognitoUsers:     newCognitoUsers,
		config.KindCloudTrailLookup: newLookup,
		config.KindCloudTrailTrail:  newTrail,
		config.KindArchive:          newArchive,
	}
}

func sinkKinds() map[string]makeSink {
	return map[string]makeSink{
		config.KindParquet:   newParquet,
		config.KindJSON:      newJSON,
		config.KindDatadog:   newDatadog,
		config.KindSplunkHEC: newSplunkHEC,
		config.KindOTLP:      newOTLP,
	}
}

func (a *app) builder(c *config.Config) *builder {
	return &builder{config: c, log: a.log, now: a.Now, trailLimits: cloudtrail.NewLimits(), ownAWS: a.AWS}
}

// source makes one source.
func (b *builder) source(ctx context.Context, s config.Source, ledger extract.Ledger) (extract.Source, error) {
	newSource, ok := sourceKinds()[s.Kind]
	if !ok {
		return nil, fmt.Errorf("make source %s: nothing reads kind %s", s.Name, s.Kind)
	}
	source, err := newSource(ctx, b, s, ledger)
	if err != nil {
		return nil, fmt.Errorf("make source %s: %w", s.Name, err)
	}
	return source, nil
}

func newAuth0Logs(_ context.Context, b *builder, s config.Source, _ extract.Ledger) (extract.Source, error) {
	o := s.Auth0Logs
	tenant := b.config.Connections[o.Connection].Auth0
	transport, err := tenantTransport(tenant)
	if err != nil {
		return nil, err
	}
	return auth0.NewLogs(auth0.Options{
		Name:          s.Name,
		Domain:        tenant.Domain,
		ClientID:      tenant.ClientID,
		ClientSecret:  tenant.ClientSecret.Reveal(),
		PrivateKey:    tenant.PrivateKey.Reveal(),
		PrivateKeyAlg: tenant.PrivateKeyAlg,
		Audience:      tenant.Audience,
		Rate:          o.Rate,
		Overlap:       o.Overlap,
		Retention:     o.Retention,
		Transport:     transport,
		Now:           b.now,
		Logger:        b.log.With("source", s.Name),
	})
}

func newArchive(ctx context.Context, b *builder, s config.Source, ledger extract.Ledger) (extract.Source, error) {
	o := archive.Options{
		Name:         s.Name,
		Format:       s.Archive.Format,
		Path:         s.Archive.Path,
		EventSources: s.Archive.EventSources,
		Poll:         s.Archive.Poll,
		Snapshot:     s.Archive.Snapshot,
		Ledger:       ledger,
		Now:          b.now,
		Logger:       b.log.With("source", s.Name),
	}
	if strings.HasPrefix(o.Path, "s3://") {
		if err := b.archiveInS3(ctx, s.Archive, &o); err != nil {
			return nil, err
		}
	}
	return archive.New(o)
}

// archiveInS3 puts a bucket in the place of the path. The store is the whole
// bucket: where an archive lies is a prefix of keys, not a folder.
func (b *builder) archiveInS3(ctx context.Context, s *config.Archive, o *archive.Options) error {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(s.Path, "s3://"), "/")
	if i := strings.IndexAny(key, `*?[{\`); i >= 0 {
		i = strings.LastIndexByte(key[:i], '/') + 1
		key, o.Glob = key[:i], key[i:]
	}
	store, err := blob.OpenS3(ctx, b.awsOptions(s.Connection), blob.S3Options{Bucket: bucket})
	if err != nil {
		return err
	}
	o.Path, o.Store, o.Prefix = "", store, key
	return nil
}

// sinks makes all sinks, over the store of the lake.
func (b *builder) sinks(store blob.Store) ([]pipeline.Sink, error) {
	sinks := make([]pipeline.Sink, len(b.config.Sinks))
	for i, s := range b.config.Sinks {
		sink, err := b.sink(s, store)
		if err != nil {
			return nil, fmt.Errorf("make sink %s: %w", s.Name, err)
		}
		sinks[i] = sink
	}
	return sinks, nil
}

func (b *builder) sink(s config.Sink, store blob.Store) (pipeline.Sink, error) {
	newSink, ok := sinkKinds()[s.Kind]
	if !ok {
		return pipeline.Sink{}, fmt.Errorf("nothing writes kind %s", s.Kind)
	}
	sink, err := newSink(b, s, store)
	if err != nil || s.Stream == nil {
		return pipeline.Sink{Sink: sink}, err
	}
	return b.streaming(sink, s.Stream)
}

func newParquet(b *builder, s config.Sink, store blob.Store) (load.Sink, error) {
	return lake.NewParquet(b.lakeOptions(s, store)), nil
}

func newJSON(b *builder, s config.Sink, store blob.Store) (load.Sink, error) {
	return lake.NewJSON(b.lakeOptions(s, store)), nil
}

func (b *builder) lakeOptions(s config.Sink, store blob.Store) lake.Options {
	return lake.Options{
		Name:     s.Name,
		Store:    store,
		Every:    s.Every,
		MaxBytes: s.MaxBytes,
		TempDir:  b.config.Limits.TempDir,
		Writer:   "idtrail " + readVersions().Version,
		Mapping:  transform.Version,
		Now:      b.now,
		Logger:   b.log.With("sink", s.Name),
	}
}

// store opens a place of the config.
func (b *builder) store(ctx context.Context, s config.Store) (blob.Store, error) {
	store, err := b.plainStore(ctx, s)
	if err != nil {
		return nil, err
	}
	return stepped(store, path.Base(s.URL)), nil
}

func (b *builder) plainStore(ctx context.Context, s config.Store) (blob.Store, error) {
	if !s.S3() {
		return blob.OpenDir(s.URL)
	}
	bucket, prefix, err := blob.ParseS3URL(s.URL)
	if err != nil {
		return nil, err
	}
	access := blob.AWSOptions{Region: s.Region, RoleARN: s.RoleARN, ExternalID: s.ExternalID}
	return blob.OpenS3(ctx, access, blob.S3Options{
		Bucket: bucket, Prefix: prefix,
		KMSKey: s.KMSKey, Tags: s.Tags, StorageClass: s.StorageClass,
		LockMode: strings.ToUpper(s.Lock.Mode), LockDays: s.Lock.Days, Now: b.now,
	})
}

// states opens the states of sources: those of this machine, or those it shares.
func (b *builder) states(ctx context.Context) (state.Opener, error) {
	c := b.config
	if !c.State.S3() {
		return state.Local(c.State.URL), nil
	}
	store, err := b.store(ctx, c.State)
	if err != nil {
		return nil, fmt.Errorf("open state: %w", err)
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown" // it is for people only
	}
	return state.Shared(state.SharedOptions{
		Store: store,
		Dir:   c.StateCache,
		Owner: state.Owner{Host: host, PID: os.Getpid()},
		Now:   b.now,
		Log:   b.log,
	}), nil
}

// lake opens the lake, with its manifests wherever they lie.
func (b *builder) lake(ctx context.Context) (blob.Store, error) {
	c := b.config
	store, err := b.store(ctx, c.Lake)
	if err != nil {
		return nil, fmt.Errorf("open lake: %w", err)
	}
	if c.Manifests.URL == c.Lake.URL && c.Manifests.Lock == (config.Lock{}) {
		return store, nil
	}
	manifests, err := b.store(ctx, c.Manifests)
	if err != nil {
		return nil, fmt.Errorf("open manifests: %w", err)
	}
	return withManifests{Store: store, manifests: manifests}, nil
}

// existing opens the lake for verbs that only read it: they make none.
func (b *builder) existing(ctx context.Context, s config.Store) (blob.Store, error) {
	if !s.S3() {
		if _, err := os.Stat(s.URL); err != nil {
			return nil, withHint(fmt.Errorf("open lake: %w", err), "is it the right config? the first run makes the lake: idtrail run")
		}
	}
	store, err := b.store(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("open lake: %w", err)
	}
	return store, nil
}

// mapper is how the records of a source are mapped.
func (b *builder) mapper(s config.Source) *transform.Mapper {
	m := &transform.Mapper{}
	for _, c := range b.config.Connections {
		if c.Auth0 != nil {
			m.SelfClients = append(m.SelfClients, c.Auth0.ClientID)
		}
	}
	o := s.UserOptions()
	m.PhoneRegion, m.Attributes, m.LinkAttribute = o.PhoneRegion, o.Attributes, o.LinkAttribute
	return m
}

// pipelineSource is a source as the pipeline runs it.
func (b *builder) pipelineSource(ctx context.Context, s config.Source) pipeline.Source {
	p := pipeline.Source{
		Name: s.Name,
		Kind: s.Kind,
		Open: func(ledger extract.Ledger) (extract.Source, error) {
			return b.kept.source(s, func() (extract.Source, error) { return b.source(ctx, s, ledger) })
		},
		Mapper: b.mapper(s),
	}
	if since := s.Since(); !since.IsZero() {
		p.Since = since.At(b.now())
	}
	return p
}

// pipelineSources are all sources of the config, in its order.
func (b *builder) pipelineSources(ctx context.Context) []pipeline.Source {
	sources := make([]pipeline.Source, len(b.config.Sources))
	for i, s := range b.config.Sources {
		sources[i] = b.pipelineSource(ctx, s)
	}
	return sources
}

// pipeline makes everything but the sources.
func (b *builder) pipeline(ctx context.Context) (*pipeline.Pipeline, error) {
	return b.pipelineInto(ctx, b.sinks)
}

// reader makes a pipeline that delivers nothing, and so needs no secret.
func (b *builder) reader(ctx context.Context) (*pipeline.Pipeline, error) {
	return b.pipelineInto(ctx, func(blob.Store) ([]pipeline.Sink, error) { return b.shownSinks() })
}

func (b *builder) pipelineInto(ctx context.Context, makeSinks func(blob.Store) ([]pipeline.Sink, error)) (*pipeline.Pipeline, error) {
	c := b.config
	store, err := b.lake(ctx)
	if err != nil {
		return nil, err
	}
	store = blob.Fenced(store) // sinks write only while the source they write of is held
	raw, err := b.store(ctx, c.Raw)
	if err != nil {
		return nil, fmt.Errorf("open raw: %w", err)
	}
	if err := makeTempDir(c.Limits.TempDir, b.now()); err != nil {
		return nil, err
	}
	sinks, err := makeSinks(store)
	if err != nil {
		return nil, err
	}
	states, err := b.states(ctx)
	if err != nil {
		return nil, err
	}
	signer, keys, err := signingKeys(c)
	if err != nil {
		return nil, err
	}
	p := &pipeline.Pipeline{
		State:    states,
		StateDir: c.StateDir(),
		Raw:      raw,
		Lake:     store,
		Sinks:    sinks,
		Signer:   signer,
		Keys:     keys,
		Limits: pipeline.Limits{
			SegmentBytes:   c.Limits.SegmentBytes,
			SegmentRecords: int64(c.Limits.SegmentRecords),
			SegmentAge:     c.Limits.SegmentAge,
			SortBytes:      int(c.Limits.Memory),
			FlushBytes:     c.Limits.FlushBytes,
			Sources:        c.Limits.Sources,
			Deliver:        c.Limits.Delivery,
		},
		TempDir: c.Limits.TempDir,
		Log:     b.log,
		Now:     b.now,
	}
	watch(p)
	return p, nil
}

// reconcileOptions are the options of one reconciliation.
func (b *builder) reconcileOptions(r config.Reconcile) reconcile.Options {
	o := reconcile.Options{
		Scope:          reconcile.Scope{Left: reconcile.Filter(r.Scope.Left), Right: reconcile.Filter(r.Scope.Right)},
		Providers:      r.Providers,
		Auth0Providers: r.Auth0Providers,
		Compare:        r.Compare,
		TempDir:        b.config.Limits.TempDir,
	}
	for _, pair := range r.GroupMap {
		o.GroupMap = append(o.GroupMap, reconcile.GroupPair(pair))
	}
	for _, pair := range r.Attributes {
		o.Attributes = append(o.Attributes, reconcile.AttributePair(pair))
	}
	return o
}

// maxS3Config bounds a config read from S3.
const maxS3Config = 1 << 20

// readS3 reads a config file from S3.
func readS3(ctx context.Context, url string) (text []byte, err error) {
	folder, key, ok := cutLast(url)
	if !ok {
		return nil, usage("write s3://bucket/path/idtrail.yaml", "%s names no object", url)
	}
	bucket, prefix, err := blob.ParseS3URL(folder)
	if err != nil {
		return nil, err
	}
	store, err := blob.OpenS3(ctx, blob.AWSOptions{}, blob.S3Options{Bucket: bucket, Prefix: prefix})
	if err != nil {
		return nil, err
	}
	body, _, err := store.Get(ctx, key)
	if errors.Is(err, blob.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", config.ErrNotFound, err)
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }() // it was only read
	return io.ReadAll(io.LimitReader(body, maxS3Config))
}

// cutLast cuts s3://bucket/path/key before its last element.
func cutLast(url string) (folder, key string, ok bool) {
	i := strings.LastIndexByte(url, '/')
	if i <= len("s3://") || i == len(url)-1 {
		return "", "", false
	}
	return url[:i], url[i+1:], true
}

func itoa(n int) string { return strconv.Itoa(n) }

package cloudtrail

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/idtrail/idtrail/internal/blob"
)

// The folders of a trail below an account.
const (
	logFolder    = "CloudTrail/"
	digestFolder = "CloudTrail-Digest/"
)

const dayLayout = "2006/01/02"

// folder holds the files, or the digests, of an account in a region, in a
// folder for each day.
type folder struct {
	path            string // with a slash behind
	account, region string
	digests         bool
	first           string // its first key, "" if that is not known

	// from is where reading begins, next the next day that holds anything.
	from, next time.Time
	over       bool
}

// object is a file or a digest, by its key.
type object struct {
	blob.Info
	day   time.Time // the folder's
	stamp time.Time // the name's: when it was delivered; of a digest, its end
	chain string    // of a digest: the trail that wrote it
	home  string    // of a digest: the trail's home region
}

var (
	logName    = regexp.MustCompile(`^\d{12}_CloudTrail_[a-z0-9-]+_(\d{8}T\d{4}Z)_[^/]*\.json(\.gz)?$`)
	digestName = regexp.MustCompile(`^\d{12}_CloudTrail-Digest_[a-z0-9-]+_(.+)_([a-z0-9-]+)_(\d{8}T\d{6}Z)(_backfill)?\.json(\.gz)?$`)
)

// parse reads a key of the folder; false if it is neither file nor digest.
func (f *folder) parse(info blob.Info) (object, bool) {
	o := object{Info: info}
	rest, ok := strings.CutPrefix(info.Key, f.path)
	if !ok || len(rest) <= len(dayLayout)+1 || rest[len(dayLayout)] != '/' {
		return o, false
	}
	var err error
	if o.day, err = time.Parse(dayLayout, rest[:len(dayLayout)]); err != nil {
		return o, false
	}
	name, layout, stamp := rest[len(dayLayout)+1:], "20060102T1504Z", ""
	if f.digests {
		m := digestName.FindStringSubmatch(name)
		if m == nil {
			return o, false
		}
		o.chain, o.home, stamp, layout = m[1]+"_"+m[2]+m[4], m[2], m[3], "20060102T150405Z"
	} else if m := logName.FindStringSubmatch(name); m != nil {
		stamp = m[1]
	}
	o.stamp, err = time.Parse(layout, stamp)
	return o, err == nil
}

// after is the key behind which all of a day lie that are not older than from.
// Within a day, files sort by time, digests by the name of their trail.
func (f *folder) after(day, from time.Time) string {
	key := f.path + day.Format(dayLayout) + "/"
	if f.digests || !from.After(day) {
		return key
	}
	return key + f.account + "_CloudTrail_" + f.region + "_" + from.UTC().Format("20060102T1504Z")
}

// day lists what the folder holds of its next day, and finds the day after it
// that holds anything.
func (f *folder) day(ctx context.Context, store blob.Store) ([]object, error) {
	var found []object
	day := f.next
	f.over = true
	for info, err := range store.List(ctx, f.path, f.after(day, f.from)) {
		if err != nil {
			return nil, err
		}
		o, ok := f.parse(info)
		switch {
		case !ok:
			continue
		case o.day.After(day):
			f.next, f.over = o.day, false
			return found, nil
		case o.stamp.Before(f.from.Truncate(time.Minute)):
			continue
		}
		found = append(found, o)
	}
	return found, nil
}

// begin sets the folder to its first day that holds anything from a time on.
func (f *folder) begin(ctx context.Context, store blob.Store, from time.Time) error {
	f.from, f.over = from, true
	for info, err := range store.List(ctx, f.path, f.after(truncateDay(from), from)) {
		if err != nil {
			return err
		}
		if o, ok := f.parse(info); ok {
			f.next, f.over = o.day, false
			return nil
		}
	}
	return nil
}

func truncateDay(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// folders finds what is there, by as few listings as it takes: of each folder
// one key is looked at, and the rest is jumped over.
func (t *Trail) folders(ctx context.Context) ([]*folder, error) {
	var all []*folder
	accounts, err := t.accounts(ctx)
	if err != nil {
		return nil, err
	}
	for _, base := range accounts {
		found, err := t.regions(ctx, base)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// accounts returns the folders of the accounts, of both layouts.
func (t *Trail) accounts(ctx context.Context) ([]string, error) {
	if id := t.opts.OrganizationID; id != "" {
		return t.accountsIn(ctx, t.root+id+"/")
	}
	bases, err := t.accountsIn(ctx, t.root)
	if err != nil {
		return nil, err
	}
	for child, err := range t.children(ctx, t.root) {
		if err != nil {
			return nil, err
		}
		if !strings.HasPrefix(child.name, "o-") {
			continue
		}
		members, err := t.accountsIn(ctx, t.root+child.name+"/")
		if err != nil {
			return nil, err
		}
		bases = append(bases, members...)
	}
	return bases, nil
}

func (t *Trail) accountsIn(ctx context.Context, parent string) ([]string, error) {
	var bases []string
	for child, err := range t.children(ctx, parent) {
		if err != nil {
			return nil, err
		}
		wanted := len(t.opts.Accounts) == 0 || slices.Contains(t.opts.Accounts, child.name)
		if accountForm.MatchString(child.name) && wanted {
			bases = append(bases, parent+child.name+"/")
		}
	}
	return bases, nil
}

// regions returns an account's folders, by region, files before digests.
func (t *Trail) regions(ctx context.Context, base string) ([]*folder, error) {
	var found []*folder
	for _, kind := range []string{logFolder, digestFolder} {
		if kind == digestFolder && t.opts.SkipDigests {
			continue
		}
		for child, err := range t.children(ctx, base+kind) {
			if err != nil {
				return nil, err
			}
			if len(t.opts.Regions) > 0 && !slices.Contains(t.opts.Regions, child.name) {
				continue
			}
			found = append(found, &folder{
				path: base + kind + child.name + "/", account: lastName(base), region: child.name,
				digests: kind == digestFolder, first: child.first,
			})
		}
	}
	slices.SortStableFunc(found, func(a, b *folder) int { return strings.Compare(a.region, b.region) })
	return found, nil
}

func lastName(path string) string {
	path = strings.TrimSuffix(path, "/")
	return path[strings.LastIndexByte(path, '/')+1:]
}

// child is a folder in a folder, and the first key in it.
type child struct{ name, first string }

// children yields the folders in a folder. Keys sort by bytes, and "0" is the
// byte behind "/".
func (t *Trail) children(ctx context.Context, parent string) func(yield func(child, error) bool) {
	return func(yield func(child, error) bool) {
		for after, more := "", true; more; {
			more = false
			for info, err := range t.opts.Store.List(ctx, parent, after) {
				if err != nil {
					yield(child{}, fmt.Errorf("list %s/%s: %w", t.opts.Bucket, parent, err))
					return
				}
				name, _, isFolder := strings.Cut(strings.TrimPrefix(info.Key, parent), "/")
				after, more = info.Key, true
				if isFolder {
					after = parent + name + "0"
				}
				if isFolder && name != "" && !yield(child{name, info.Key}, nil) {
					return
				}
				break
			}
		}
	}
}

func infoOf(key string) blob.Info { return blob.Info{Key: key} }

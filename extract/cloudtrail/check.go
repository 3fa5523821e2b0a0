package cloudtrail

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/idtrail/idtrail/extract"
	"github.com/idtrail/idtrail/internal/denial"
)

// Check lists what is there, and reads a newest file and a newest digest.
func (t *Trail) Check(ctx context.Context) ([]extract.Finding, error) {
	where := t.opts.Bucket + "/" + t.root
	folders, err := t.folders(ctx)
	if err != nil {
		return nil, fmt.Errorf("check trail in %s: %w", where, err)
	}
	if len(folders) == 0 {
		return []extract.Finding{{What: "trail in " + where, Hint: "no account's folder is there: look at bucket, prefix and organization"}}, nil
	}
	found := []extract.Finding{t.overview(where, folders)}
	recent, err := t.recent(ctx, folders)
	if err != nil {
		return found, fmt.Errorf("check trail in %s: %w", where, err)
	}
	file := t.fileFinding(ctx, recent)
	found = append(found, file)
	if len(denial.All(file.Err)) > 0 { // the others will be refused, too
		return found, fmt.Errorf("check trail in %s: %w", where, file.Err)
	}
	if t.opts.SkipDigests {
		return found, nil
	}
	return append(found, t.digestFinding(ctx, folders)), nil
}

func (t *Trail) overview(where string, folders []*folder) extract.Finding {
	accounts, regions := map[string]bool{}, map[string]bool{}
	for _, f := range folders {
		accounts[f.account], regions[f.region] = true, true
	}
	return extract.Finding{
		What: "trail in " + where, OK: true,
		Hint: extract.Many(int64(len(accounts)), "account") + " in " + strings.Join(slices.Sorted(maps.Keys(regions)), ", "),
	}
}

// recent returns the files of the last day and how many bytes they have.
func (t *Trail) recent(ctx context.Context, folders []*folder) ([]object, error) {
	var files []object
	since := t.opts.Now().Add(-24 * time.Hour)
	for _, f := range folders {
		if f.digests {
			continue
		}
		for info, err := range t.opts.Store.List(ctx, f.path, f.after(truncateDay(since), since)) {
			if err != nil {
				return nil, err
			}
			if o, ok := f.parse(info); ok && !o.stamp.Before(since.Truncate(time.Minute)) {
				files = append(files, o)
			}
		}
	}
	return files, nil
}

func (t *Trail) fileFinding(ctx context.Context, files []object) extract.Finding {
	var size int64
	for _, o := range files {
		size += o.Size
	}
	f := extract.Finding{What: fmt.Sprintf("files of the last 24 hours: %s, %s", extract.Many(int64(len(files)), "file"), extract.Size(size)), OK: true}
	f.Volume = &extract.Volume{Objects: int64(len(files)), Bytes: size, Span: 24 * time.Hour}
	if len(files) == 0 {
		f.Hint = "none: the trail may be stopped, or the account quiet"
		return f
	}
	body, _, err := t.opts.Store.Get(ctx, files[len(files)-1].Key)
	if err == nil {
		err = body.Close()
	}
	if err != nil {
		f.OK, f.Hint, f.Err = false, "grant s3:GetObject, and kms:Decrypt where the trail encrypts: "+err.Error(), err
	}
	return f
}

// digestFinding checks a digest as a run would.
func (t *Trail) digestFinding(ctx context.Context, folders []*folder) extract.Finding {
	f := extract.Finding{What: "digests"}
	i := slices.IndexFunc(folders, func(f *folder) bool { return f.digests })
	if i < 0 {
		f.Hint = "none: enable log file validation on the trail, or nothing proves that no file was missed"
		return f
	}
	o, ok := folders[i].parse(infoOf(folders[i].first))
	if !ok {
		f.Hint = "their folder holds other files"
		return f
	}
	r := &trailRun{trail: t}
	j := &judgement{folder: folders[i], object: o, chain: &chain{}}
	_, err := r.load(ctx, j)
	if err == nil && j.fault == "" {
		j.fault, err = r.verify(ctx, j)
	}
	switch {
	case err != nil:
		f.Hint, f.Err = err.Error(), err
	case j.fault != "":
		f.Hint = o.Key + " " + j.fault
	case r.unsigned:
		f.OK, f.Hint = true, "this store keeps no signatures: only the chain and the files' hashes are checked"
	default:
		f.OK, f.Hint = true, "signature checked"
	}
	if errors.Is(err, context.Canceled) {
		f.Hint = "cancelled"
	}
	return f
}

// Package people tells which person an event is about, while it is on its way
// to a SIEM: the label person:<key> says what v_events says of it in the lake.
//
// It reads the table persons, which comparing two sources writes, and keeps an
// index of it in a local file, so that a table of any size costs no memory. The
// index is a copy: it is made anew when the table is another, or the file is
// damaged. Where there is no table yet there are no labels.
//
// It changes no table, and no event beyond its labels.
package people

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	_ "github.com/mattn/go-sqlite3" // the driver registers itself; database/sql knows no other way

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/schema"
)

// table is the object the index is made of.
const table = "persons/persons.parquet"

// label is before the key in a label.
const label = "person:"

// Index knows the persons of accounts. It is safe for concurrent use. A nil one
// knows nobody.
type Index struct {
	path string
	db   *sql.DB
	find *sql.Stmt

	mu    sync.Mutex
	cache cache
	err   error
}

// Open returns an index of the table persons in store as it is now, whose file
// is in the folder dir, which should be nobody else's; "" is the system's for
// temporary files. Making it anew takes seconds for a million accounts, and
// opening the one made before one call to the store: open one for each run.
//
// Events are delivered without it as well: who gets an error should say so, and
// go on with no index.
func Open(ctx context.Context, store blob.Store, dir string) (*Index, error) {
	path := filepath.Join(cmp.Or(dir, os.TempDir()), "persons-"+digest(store.URL())+".index")
	info, err := store.Head(ctx, table)
	if errors.Is(err, blob.ErrNotExist) {
		return nil, removeFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("look for the table of persons: %w", err)
	}
	if x, err := openFile(ctx, path, info.ETag); err == nil {
		return x, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := build(ctx, store, path, info.ETag); err != nil {
		return nil, fmt.Errorf("index the table of persons: %w", err)
	}
	x, err := openFile(ctx, path, info.ETag)
	if err != nil {
		return nil, fmt.Errorf("open the index of persons: %w", err)
	}
	return x, nil
}

func digest(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:4])
}

// removeFile takes away the index of a table that is gone.
func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the index of persons: %w", err)
	}
	return nil
}

// fileMode is that of a plain file with personal data.
const fileMode fs.FileMode = 0o600

// errOther says that an index is of another table, or of another form.
var errOther = errors.New("the index is of another table")

// openFile opens the index at path if it is of the table with that ETag.
func openFile(ctx context.Context, path, etag string) (*Index, error) {
	// A file that others may write to, or read, is not one that was made here.
	if info, err := os.Lstat(path); err != nil || info.Mode() != fileMode {
		return nil, errors.Join(err, errOther)
	}
	// It is never written to: immutable spares all locks. One that is made anew
	// takes its name, and leaves this file to those who have it open.
	db, err := sql.Open("sqlite3", fileURI(path, "mode=ro&immutable=1"))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	x := &Index{path: path, db: db}
	if err := x.prepare(ctx, etag); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return x, nil
}

func (x *Index) prepare(ctx context.Context, etag string) error {
	var have string
	var form, rows, counted int64
	err := x.db.QueryRowContext(ctx, `SELECT etag, form, rows FROM made`).Scan(&have, &form, &rows)
	if err != nil {
		return err
	}
	if have != etag || form != fileForm {
		return errOther
	}
	// It reads every page of the table: one that is damaged shows.
	if err := x.db.QueryRowContext(ctx, `SELECT count(*) FROM person`).Scan(&counted); err != nil {
		return err
	}
	if counted != rows {
		return errOther
	}
	x.find, err = x.db.PrepareContext(ctx, `SELECT person_key FROM person WHERE user_id = ?`)
	return err
}

// fileURI is SQLite's name of a file.
func fileURI(path, options string) string {
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: options}).String()
}

// Label adds the label of the person to whom the event happened, else of the
// one who acted, if one of them is known. The event's list of labels is not
// changed in place, and one that has the label keeps it.
func (x *Index) Label(e *schema.Event) {
	if x == nil || slices.ContainsFunc(e.Metadata.Labels, func(s string) bool { return strings.HasPrefix(s, label) }) {
		return
	}
	key := ""
	if e.User != nil {
		key = x.person(e.User.UID)
	}
	if key == "" && e.Actor != nil && e.Actor.User != nil {
		key = x.person(e.Actor.User.UID)
	}
	if key != "" {
		e.Metadata.Labels = append(slices.Clip(e.Metadata.Labels), label+key)
	}
}

// person returns the key of the person an account is of, "" if that is not known.
func (x *Index) person(userID string) string {
	if userID == "" {
		return ""
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if key, ok := x.cache.get(userID); ok || x.err != nil {
		return key
	}
	var key string
	// It is one page of a local file: there is nothing to cancel.
	err := x.find.QueryRowContext(context.Background(), userID).Scan(&key)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		// The next run makes another.
		x.err = errors.Join(fmt.Errorf("read the index of persons: %w", err), removeFile(x.path))
		return ""
	}
	x.cache.put(userID, key)
	return key
}

// Close closes the index, and returns the error that ended its use before, if
// one did: events were then not labelled any more.
func (x *Index) Close() error {
	if x == nil {
		return nil
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	err := errors.Join(x.err, x.find.Close(), x.db.Close())
	if x.err == nil {
		x.err = sql.ErrConnDone
	}
	return err
}

// cache keeps the accounts looked up last: those of a generation, and of the
// one before. It is a few hundred KiB.
type cache struct {
	now, before map[string]string
}

// generation is how many accounts one holds.
const generation = 4096

func (c *cache) get(id string) (string, bool) {
	if key, ok := c.now[id]; ok {
		return key, true
	}
	key, ok := c.before[id]
	if ok {
		c.put(id, key)
	}
	return key, ok
}

func (c *cache) put(id, key string) {
	if c.now == nil || len(c.now) >= generation {
		c.now, c.before = make(map[string]string, generation), c.now
	}
	c.now[strings.Clone(id)] = key
}

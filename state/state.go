package state

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/mattn/go-sqlite3" // its driver registers itself; database/sql knows no other way
)

// Format is the newest version of the state file this program reads; the
// number of migrations it knows.
const Format = 2

// What a caller tells apart.
var (
	// ErrHeld says that another process holds the source.
	ErrHeld = errors.New("held by another process")
	// ErrNewer says that a newer program wrote the state file.
	ErrNewer = errors.New("state file has a newer format")
	// ErrNetwork says that the folder lies on a network file system, where
	// SQLite's locks cannot be trusted.
	ErrNetwork = errors.New("state must lie on a local disk")
	// ErrNone says that there is no state file yet.
	ErrNone = errors.New("no state yet")
)

//go:embed migrations/*.sql
var migrations embed.FS

// DB is the state of one source, held exclusively while it is open for writing.
type DB struct {
	db     *sql.DB
	lock   *os.File
	source string
}

// Open opens, or makes, the state of a source in folder dir (made with mode
// 0700) and holds the source until Close. ErrHeld, ErrNewer, ErrNetwork.
func Open(ctx context.Context, dir, source string) (*DB, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make state folder: %w", err)
	}
	if err := refuseNetwork(dir); err != nil {
		return nil, err
	}
	lock, err := takeLock(filepath.Join(dir, source+".lock"))
	if err != nil {
		return nil, fmt.Errorf("open state of %s: %w", source, err)
	}
	d := &DB{lock: lock, source: source}
	if d.db, err = openFile(ctx, file(dir, source), "rwc"); err == nil {
		err = migrate(ctx, d.db)
	}
	if err != nil {
		return nil, errors.Join(opening(dir, source, err), d.Close())
	}
	return d, nil
}

// OpenReader opens the state of a source for reading, beside whoever holds it.
// A file of an older format is migrated first, unless it is held. ErrNone,
// ErrNewer, ErrHeld.
func OpenReader(ctx context.Context, dir, source string) (*DB, error) {
	path := file(dir, source)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open state of %s: %w", source, ErrNone)
	}
	db, err := openFile(ctx, path, "rw")
	if err != nil {
		return nil, opening(dir, source, err)
	}
	version, err := format(ctx, db)
	if err != nil {
		return nil, opening(dir, source, errors.Join(err, db.Close()))
	}
	if version == Format {
		return &DB{db: db, source: source}, nil
	}
	if err := db.Close(); err != nil {
		return nil, opening(dir, source, err)
	}
	return openOlder(ctx, dir, source)
}

// openOlder has the file migrated by a writer, and opens it then.
func openOlder(ctx context.Context, dir, source string) (*DB, error) {
	d, err := Open(ctx, dir, source)
	if err != nil {
		return nil, err
	}
	if err := d.Close(); err != nil {
		return nil, opening(dir, source, err)
	}
	return OpenReader(ctx, dir, source)
}

// opening says which file could not be opened, and what to do about it.
func opening(dir, source string, err error) error {
	err = fmt.Errorf("open state of %s, %s: %w", source, file(dir, source), err)
	var e sqlite3.Error
	switch {
	case !errors.As(err, &e):
		return err
	case e.Code == sqlite3.ErrNotADB, e.Code == sqlite3.ErrCorrupt:
		return fmt.Errorf("%w (move it away to have it made anew from the raw segments)", err)
	case e.Code == sqlite3.ErrFull, e.SystemErrno == syscall.ENOSPC, e.SystemErrno == syscall.EDQUOT:
		return fmt.Errorf("%w (free space on this file system)", err)
	default:
		return err
	}
}

// Close closes the file and lets go of the source.
func (d *DB) Close() error {
	var errs []error
	if d.db != nil {
		errs = append(errs, d.db.Close())
	}
	if d.lock != nil {
		errs = append(errs, d.lock.Close())
	}
	return errors.Join(errs...)
}

func file(dir, source string) string { return filepath.Join(dir, source+".db") }

// openFile makes the file with mode 0600 before SQLite sees it: it holds
// personal data, and SQLite gives its side files the mode of the main one.
func openFile(ctx context.Context, path, mode string) (*sql.DB, error) {
	if mode == "rwc" {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return nil, fmt.Errorf("make state file: %w", err)
		}
		if err := f.Close(); err != nil {
			return nil, fmt.Errorf("make state file: %w", err)
		}
	}
	dsn := "file:" + uriPath(path) + "?mode=" + mode +
		"&_journal_mode=WAL&_synchronous=FULL&_busy_timeout=10000&_txlock=immediate"
	db, err := sql.Open("sqlite3", dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func migrate(ctx context.Context, db *sql.DB) error {
	version, err := format(ctx, db)
	if err != nil {
		return err
	}
	for ; version < Format; version++ {
		if err := step(ctx, db, version+1); err != nil {
			return fmt.Errorf("migrate state to format %d: %w", version+1, err)
		}
	}
	return nil
}

func step(ctx context.Context, db *sql.DB, version int) error {
	names, err := fs.Glob(migrations, fmt.Sprintf("migrations/%04d_*.sql", version))
	if err != nil || len(names) != 1 {
		return fmt.Errorf("find migration %d: %w", version, errors.Join(err, fs.ErrNotExist))
	}
	script, err := migrations.ReadFile(names[0])
	if err != nil {
		return fmt.Errorf("read migration: %w", err)
	}
	return inTx(ctx, db, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, string(script)+fmt.Sprintf(";PRAGMA user_version = %d", version))
		return err
	})
}

// format of the file; ErrNewer.
func format(ctx context.Context, db *sql.DB) (int, error) {
	var version int
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return 0, fmt.Errorf("read state format: %w", err)
	}
	if version > Format {
		return 0, fmt.Errorf("%w: %d, this program reads up to %d", ErrNewer, version, Format)
	}
	return version, nil
}

func inTx(ctx context.Context, db *sql.DB, do func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	if err := do(tx); err != nil {
		if rollback := tx.Rollback(); !errors.Is(rollback, sql.ErrTxDone) { // a cancelled context rolls back by itself
			err = errors.Join(err, rollback)
		}
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// millis is how times are kept; the zero time is NULL.
func millis(t time.Time) sql.NullInt64 {
	return sql.NullInt64{Int64: t.UnixMilli(), Valid: !t.IsZero()}
}

func fromMillis(ms sql.NullInt64) time.Time {
	if !ms.Valid {
		return time.Time{}
	}
	return time.UnixMilli(ms.Int64).UTC()
}

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
const Format = 4

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
	// ErrLost says that the source is held no longer: another holder took it
	// over, or could have.
	ErrLost = errors.New("the hold on the source was lost")
)

//go:embed migrations/*.sql
var migrations embed.FS

// DB is the state of one source, held exclusively while it is open for writing.
type DB struct {
	db     *sql.DB
	lock   *os.File // nil for a reader
	lease  *lease   // nil unless the state is shared
	source string
}

// write changes the state in one transaction.
func (d *DB) write(ctx context.Context, do func(*sql.Tx) error) error {
	if err := inTx(ctx, d.db, do); err != nil {
		return err
	}
	d.lease.moved()
	return nil
}

// Fence says whether the source is still ours: it is to be asked before each
// write outside of the state. ErrLost. A local state cannot be lost.
func (d *DB) Fence() error { return d.lease.fence() }

// Context returns a context that ends, with what Fence says as its cause, once
// the source is no longer ours.
func (d *DB) Context(ctx context.Context) (context.Context, context.CancelFunc) {
	return d.lease.context(ctx)
}

// opening says which file could not be opened, and what to do about it.
func opening(dir, source string, err error) error {
	err = fmt.Errorf("open state of %s, %s: %w", source, file(dir, source), err)
	var e sqlite3.Error
	switch {
	case !errors.As(err, &e):
		return err
	case e.Code == sqlite3.ErrNotADB, e.Code == sqlite3.ErrCorrupt:
		return fmt.Errorf("%w (move it away to have it made anew from the raw segments, or `idtrail state rebuild`)", err)
	case e.Code == sqlite3.ErrFull, e.SystemErrno == syscall.ENOSPC, e.SystemErrno == syscall.EDQUOT:
		return fmt.Errorf("%w (free space on this file system)", err)
	case e.Code == sqlite3.ErrCantOpen, e.Code == sqlite3.ErrReadonly:
		return fmt.Errorf("%w (idtrail runs as user %d, who has to be able to read and write it)", err, os.Geteuid())
	default:
		return err
	}
}

// Close closes the file and lets go of the source. A shared state is published
// before, even where the context it was opened with has ended; ErrLost if it
// was lost.
func (d *DB) Close() error {
	errs := []error{d.lease.close(), d.db.Close()}
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

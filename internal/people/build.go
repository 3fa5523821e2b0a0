package people

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/idtrail/idtrail/internal/blob"
	"github.com/idtrail/idtrail/load/lake"
	"github.com/idtrail/idtrail/reconcile"
)

// fileForm is the version of the index's form.
const fileForm = 1

// The rank of a row is the one it has in v_events: of the rows of an account, in
// whatever source, the open one; then one that is linked, the one closed last,
// the one opened last.
const schemaSQL = `
CREATE TABLE made (etag TEXT NOT NULL, form INTEGER NOT NULL, rows INTEGER NOT NULL) STRICT;
CREATE TABLE person (
	user_id TEXT PRIMARY KEY, person_key TEXT NOT NULL,
	open INTEGER NOT NULL, linked INTEGER NOT NULL, valid_to INTEGER NOT NULL, valid_from INTEGER NOT NULL, source TEXT NOT NULL
) STRICT, WITHOUT ROWID;`

const insertSQL = `INSERT INTO person VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (user_id) DO UPDATE SET person_key = excluded.person_key, open = excluded.open, linked = excluded.linked,
	valid_to = excluded.valid_to, valid_from = excluded.valid_from, source = excluded.source
WHERE (excluded.open, excluded.linked, excluded.valid_to, excluded.valid_from, person.source)
	> (person.open, person.linked, person.valid_to, person.valid_from, excluded.source)`

// build makes the index at path. Until it is whole it has another name, so that
// none is ever used that was cut off; two that build at once each make a whole
// one.
func build(ctx context.Context, store blob.Store, path, etag string) (err error) {
	// CreateTemp makes it with mode 0600: it holds personal data.
	f, err := os.CreateTemp(filepath.Dir(path), tempPattern(path))
	if err != nil {
		return err
	}
	temp := f.Name()
	defer func() {
		if err != nil {
			_ = os.Remove(temp)
		}
	}()
	sweep(f, path)
	if err := f.Close(); err != nil {
		return err
	}
	if err := fill(ctx, store, temp, etag); err != nil {
		return err
	}
	return os.Rename(temp, path)
}

func tempPattern(path string) string { return filepath.Base(path) + ".*.tmp" }

// sweep removes what builds that were killed left behind, by the clock of the
// file system.
func sweep(fresh *os.File, path string) {
	now, err := fresh.Stat()
	if err != nil {
		return
	}
	old, err := filepath.Glob(filepath.Join(filepath.Dir(path), tempPattern(path)))
	if err != nil {
		return
	}
	for _, name := range old {
		if info, err := os.Stat(name); err == nil && now.ModTime().Sub(info.ModTime()) > 24*time.Hour {
			_ = os.Remove(name)
		}
	}
}

// fill writes the table's accounts to the file.
func fill(ctx context.Context, store blob.Store, path, etag string) (err error) {
	// Nothing has to survive a crash: what is not whole is not used.
	db, err := sql.Open("sqlite3", fileURI(path, "_journal_mode=OFF&_synchronous=OFF"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, schemaSQL); err != nil {
		return err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := insert(ctx, tx, store); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO made SELECT ?, ?, count(*) FROM person`, etag, fileForm); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

func insert(ctx context.Context, tx *sql.Tx, store blob.Store) error {
	// The context is looked at by the rows: with it, each call would cost a
	// goroutine.
	add, err := tx.PrepareContext(context.WithoutCancel(ctx), insertSQL)
	if err != nil {
		return err
	}
	defer func() { _ = add.Close() }()
	for p, err := range lake.ReadTable[reconcile.Person](ctx, store, table) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		if p.UserID == "" || p.PersonKey == "" {
			continue
		}
		var closed int64
		if p.ValidTo != nil {
			closed = p.ValidTo.UnixMilli()
		}
		_, err := add.ExecContext(context.WithoutCancel(ctx),
			p.UserID, p.PersonKey, p.ValidTo == nil, p.LinkRule != "", closed, p.ValidFrom.UnixMilli(), p.Source)
		if err != nil {
			return fmt.Errorf("write the index: %w", err)
		}
	}
	return nil
}

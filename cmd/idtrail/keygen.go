package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/idtrail/idtrail/internal/proof"
)

// keygenResult is what keygen --json prints.
type keygenResult struct {
	PublicKey string `json:"public_key"`
	// File holds the private key.
	File string `json:"file"`
}

func (a *app) keygenCommand() *cobra.Command {
	var name, file string
	cmd := &cobra.Command{
		Use:   "keygen",
		Short: "Make a key that signs what a run leaves as proof",
		Long: `Keygen makes an Ed25519 key pair: it writes the private key to a new file that
only you may read, and prints the public one. A file that is there is never
overwritten.

Runs sign their notes with the private key (signing_key in the config); whoever
verifies needs the public one only (verify_keys, or verify --key). Keep the
private key where those who can write to the bucket cannot read it, and a copy
of the public key outside of the bucket. To change keys, make another, sign
with it, and add its public key to verify_keys beside the old one.`,
		Example: `  idtrail keygen --name acme-audit
  idtrail keygen --name acme-audit -o /run/secrets/idtrail.key > idtrail.pub`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.keygen(name, file) },
	}
	cmd.Flags().StringVar(&name, "name", "idtrail", "whose key it is: a `word`, shown by verify")
	cmd.Flags().StringVarP(&file, "output", "o", "idtrail.key", "the new `file` of the private key, made with mode 0600")
	return cmd
}

func (a *app) keygen(name, file string) error {
	private, public, err := proof.GenerateKey(name)
	if err != nil {
		return &exitError{code: exitUsage, err: err, hint: "write --name with letters, digits and hyphens"}
	}
	if err := writeKey(file, private+"\n"); err != nil {
		return err
	}
	full, err := filepath.Abs(file)
	if err != nil {
		return fmt.Errorf("find the key's path: %w", err)
	}
	if a.json {
		return a.printJSON(keygenResult{PublicKey: public, File: full})
	}
	if _, err := fmt.Fprintf(a.term, keygenHelp, full, public); err != nil {
		return fmt.Errorf("write what to do: %w", err)
	}
	return a.printf("%s\n", public)
}

// keygenHelp goes to stderr: stdout has the key alone.
const keygenHelp = `The private key is in %[1]s. Put into the config:

signing_key: "${file:%[1]s}"
verify_keys: [%[2]s]

and keep the public key, printed below, outside of the bucket as well.

`

// writeKey writes a file that was not there, to the disk or not at all.
func writeKey(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return withHint(fmt.Errorf("write private key: %s is there already", path), "a key is never overwritten: what it signed needs its public key for good. Name another file with -o")
	}
	if err != nil {
		return fmt.Errorf("write private key: %w", err)
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write private key: %w", errors.Join(err, os.Remove(path)))
	}
	return nil
}

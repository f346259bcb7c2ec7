package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/cmd/internal/command"
	"github.com/gapbundle/gapbundle/sources/keys"
)

func keygenCommand() *cli.Command {
	return command.Leaf(&cli.Command{
		Name:  "keygen",
		Usage: "make the key pair that signs bundles, or with --site the site's OpenPGP key",
		Description: `Writes exporter.key (encrypted PEM, as cosign writes it) and exporter.pub, or with
--site the OpenPGP key site.key and its certificate site.asc, and prints the
fingerprint, to be compared inside by a second channel. Existing keys are never overwritten.
The passphrase comes from the environment, a descriptor, or the terminal.`,
		UsageText: `gapbundle keygen --out keys
gapbundle keygen --site --name Example-site --out keys`,
		Flags: []cli.Flag{
			command.Needed("out", "`DIR` for the files; created if missing, in a folder that exists"),
			command.Toggle("site", "make the site key, which signs metadata that is rebuilt for a selection"),
			&cli.StringFlag{Name: "name", Usage: "`NAME` in the site key", Value: "gapbundle site key"},
			passphraseFlag(), sitePassphraseFlag(), command.DryRunFlag(),
		},
	}, keygen)
}

type keygenResult struct {
	Private     string `json:"private"`
	Public      string `json:"public"`
	Fingerprint string `json:"fingerprint,omitempty"`
}

func keygen(c *cli.Context, o *command.Output) error {
	dir := c.String("out")
	pair := keys.Pair{PrivateName: "exporter.key", PublicName: "exporter.pub"}
	ask := passphraseOf(c, o, "passphrase-fd", keys.PassphraseEnv, true)
	if c.Bool("site") {
		pair = keys.Pair{PrivateName: "site.key", PublicName: "site.asc"}
		ask = passphraseOf(c, o, "site-passphrase-fd", keys.SitePassphraseEnv, true)
	}
	result := keygenResult{Private: filepath.Join(dir, pair.PrivateName), Public: filepath.Join(dir, pair.PublicName)}
	if c.Bool("dry-run") {
		o.Show(result, func(w io.Writer) { fmt.Fprintf(w, "would write %s and %s\n", result.Private, result.Public) })
		return nil
	}
	name := keys.KeyExporter
	if c.Bool("site") {
		name = keys.KeySite
	}
	if err := newKeyAt(dir, result); err != nil {
		return err
	}
	passphrase, err := ask("passphrase for the new " + pair.PrivateName)
	if errors.Is(err, bundle.ErrUsage) {
		return command.Usage(err.Error(), passphraseHint(name))
	}
	if err != nil {
		return err
	}
	if c.Bool("site") {
		pair.Private, pair.Public, result.Fingerprint, err = keys.GenerateSite(c.String("name"), passphrase, time.Now())
	} else {
		pair.Private, pair.Public, result.Fingerprint, err = generateExporter(passphrase)
	}
	if err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := keys.WritePair(dir, pair); err != nil {
		return err
	}
	o.Show(result, func(w io.Writer) {
		command.WriteTable(w, [][]string{{"private key", result.Private}, {"public key", result.Public}, {"fingerprint", result.Fingerprint}})
	})
	o.Note("keep %s and its passphrase apart and backed up; take %s inside and compare the fingerprint by a second channel", result.Private, result.Public)
	return nil
}

// newKeyAt refuses a place where no new key can be made, before a passphrase is asked for.
func newKeyAt(dir string, r keygenResult) error {
	if fi, err := os.Stat(dir); err == nil && !fi.IsDir() {
		return command.Usage(dir+": a file, want a folder", "name a folder with --out")
	}
	for _, path := range []string{r.Private, r.Public} {
		if _, err := os.Lstat(path); err == nil {
			return command.Usage(path+": already exists; existing keys are never overwritten", "name another folder with --out; a key that has signed bundles is still needed")
		}
	}
	return nil
}

func generateExporter(passphrase []byte) (private, public []byte, fingerprint string, err error) {
	private, public, id, err := keys.GenerateExporter(passphrase)
	return private, public, id.String(), err
}

package main

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/sources/keys"
)

// The README has the public half of the release key between these two lines, which a rendered
// page does not show. Everything between them is written by adoptKey.
const (
	placeBegin = "<!-- release key: written by task release:key -->\n"
	placeEnd   = "<!-- end of the release key -->\n"
)

// adoptCommand puts a public key into the README.
const adoptCommand = "task release:key -- FILE.asc"

// notRelease is a file of what is not a release: one that nobody signed, or a rehearsal.
const notRelease = "NOT-A-RELEASE.txt"

// rehearsalID is the user id of the key that signs a rehearsal.
const rehearsalID = "gapbundle rehearsal, not a release"

// place splits a README at the place of the release key.
func place(readme []byte) (before, key, after []byte, err error) {
	if bytes.Count(readme, []byte(placeBegin)) != 1 || bytes.Count(readme, []byte(placeEnd)) != 1 {
		return nil, nil, nil, fmt.Errorf("want the lines %q and %q, each once", strings.TrimSpace(placeBegin), strings.TrimSpace(placeEnd))
	}
	before, rest, _ := bytes.Cut(readme, []byte(placeBegin))
	key, after, found := bytes.Cut(rest, []byte(placeEnd))
	if !found {
		return nil, nil, nil, fmt.Errorf("the line %q is before %q", strings.TrimSpace(placeEnd), strings.TrimSpace(placeBegin))
	}
	return before, key, after, nil
}

// readmeKey returns the release key that a README has, nil if it has none.
func readmeKey(file string) (*openpgp.Entity, error) {
	readme, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	_, key, _, err := place(readme)
	if err != nil {
		return nil, fmt.Errorf("%s: place of the release key: %w", file, err)
	}
	if !bytes.Contains(key, []byte(pgpkeys.Armored)) {
		return nil, nil
	}
	return oneKey(file, key)
}

// oneKey parses a public key, the only one in content.
func oneKey(file string, content []byte) (*openpgp.Entity, error) {
	all, err := pgpkeys.Parse(content)
	if err != nil {
		return nil, fmt.Errorf("%s: release key: %w", file, err)
	}
	if len(all) != 1 {
		return nil, fmt.Errorf("%s: want one release key, found %s", file, pgpkeys.Fingerprints(all))
	}
	if all[0].PrivateKey != nil {
		return nil, fmt.Errorf("%s: want a public key, found the private one of %s", file, pgpkeys.Fingerprint(all[0]))
	}
	return all[0], nil
}

// sameKey requires that the public half of the key that signs is the one in the README, so that
// whoever has the README can check the release.
func sameKey(signer *openpgp.Entity, file, readme string) error {
	has, err := readmeKey(readme)
	if err != nil {
		return err
	}
	if has == nil {
		return fmt.Errorf("%s: key %s is not in %s, which has no release key: %s puts its public half there, or --rehearsal makes what is not a release",
			file, pgpkeys.Fingerprint(signer), readme, adoptCommand)
	}
	if pgpkeys.Fingerprint(has) != pgpkeys.Fingerprint(signer) {
		return fmt.Errorf("%s: key %s is not the one in %s, which is %s: sign with that one, or replace it in %s: %s",
			file, pgpkeys.Fingerprint(signer), readme, pgpkeys.Fingerprint(has), readme, adoptCommand)
	}
	return nil
}

// adoptKey writes the public key of a file into the README. It returns the fingerprints of the
// key that was there, "" if there was none, and of the one that is there now.
func adoptKey(file, readme string) (old, adopted string, err error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return "", "", err
	}
	key, err := oneKey(file, content)
	if err != nil {
		return "", "", err
	}
	has, err := readmeKey(readme)
	if err != nil {
		return "", "", err
	}
	if has != nil {
		old = pgpkeys.Fingerprint(has)
	}
	page, err := os.ReadFile(readme)
	if err != nil {
		return "", "", err
	}
	before, _, after, err := place(page)
	if err != nil {
		return "", "", err
	}
	block, err := pgpkeys.Armor(openpgp.EntityList{key})
	if err != nil {
		return "", "", err
	}
	adopted = pgpkeys.Fingerprint(key)
	text := fmt.Sprintf("The release key has the fingerprint `%s`:\n\n```text\n%s```\n", adopted, block)
	return old, adopted, os.WriteFile(readme, bytes.Join([][]byte{before, []byte(placeBegin), []byte(text), []byte(placeEnd), after}, nil), 0o644)
}

// rehearsalKey makes a key for one rehearsal, and writes it into a folder. Nobody keeps it.
func rehearsalKey(dir string, date time.Time) (file, passphrase string, signer *openpgp.Entity, err error) {
	passphrase = rand.Text()
	private, _, _, err := keys.GenerateSite(rehearsalID, []byte(passphrase), date)
	if err != nil {
		return "", "", nil, err
	}
	file = filepath.Join(dir, "rehearsal.key")
	if err := os.WriteFile(file, private, 0o600); err != nil {
		return "", "", nil, err
	}
	signer, err = keys.LoadSite(file, func(string) ([]byte, error) { return []byte(passphrase), nil })
	return file, passphrase, signer, err
}

// sign finds the key that signs the release, before anything is made.
func (r *release) sign(o options) (err error) {
	switch {
	case o.unsigned:
		return nil
	case o.rehearsal:
		r.key, r.passphrase, r.signer, err = rehearsalKey(r.work, r.date)
		return err
	}
	pass := keys.Passphrase{Env: keys.PassphraseEnv, LookupEnv: os.LookupEnv}
	if r.signer, err = keys.LoadSite(o.key, pass.Func()); err != nil {
		return err
	}
	r.key, r.passphrase = o.key, os.Getenv(keys.PassphraseEnv)
	return sameKey(r.signer, o.key, o.readme)
}

// confess writes into the folder that it has no release.
func (r *release) confess(o options) error {
	text := "These files are not a release: nobody signed them. They were made to compare bytes.\n"
	if o.rehearsal {
		text = "These files are not a release: they were made to rehearse one. The key that signed\n" +
			"them was made for this rehearsal, and nobody keeps it. Do not trust it.\n"
	} else if !o.unsigned {
		return nil
	}
	return os.WriteFile(filepath.Join(r.dir, notRelease), []byte(text), 0o644)
}

// oneMode requires exactly one way to sign.
func (o options) oneMode() error {
	modes := 0
	for _, given := range []bool{o.key != "", o.rehearsal, o.unsigned, o.adopt != ""} {
		if given {
			modes++
		}
	}
	if modes != 1 {
		return errors.New("want one of --key FILE, --rehearsal, --unsigned and --adopt-key FILE")
	}
	return nil
}

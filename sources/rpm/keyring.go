package rpm

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
)

// keyring says where the keys of a source are.
type keyring struct{ places []keyPlace }

// keyPlace is one file or address with keys.
type keyPlace struct {
	pos          strictyaml.Pos
	file, url    string
	fingerprints []string // none: all that are found
}

// keyring is the spec's gpgkey, otherwise what the .repo file says: files on
// this machine. An address there says nothing about who is to be trusted.
func (e *entry) keyring(fromFile []string) (*keyring, error) {
	k := &keyring{}
	var errs []error
	for _, g := range e.options.GPGKey {
		p := keyPlace{pos: g.Pos, url: g.URL, fingerprints: g.Fingerprint}
		if g.File != "" {
			p.file = within(e.dir, strings.TrimPrefix(g.File, "file://"))
		}
		switch {
		case g.File != "" && g.URL != "":
			errs = append(errs, g.Pos.Errorf("gpgkey: want file or url, not both"))
		case isURL(g.File):
			errs = append(errs, g.Pos.Errorf("gpgkey: a URL says nothing about who is to be trusted: {url: %s, fingerprint: ...}", g.File))
		case g.File == "" && g.URL == "":
			errs = append(errs, g.Pos.Errorf("gpgkey: want a file, or url and fingerprint"))
		case g.URL != "" && len(g.Fingerprint) == 0:
			errs = append(errs, g.Pos.Errorf("gpgkey: url: needs fingerprint"))
		case g.URL != "":
			if err := fetch.CheckURL(g.URL); err != nil {
				errs = append(errs, g.Pos.Errorf("gpgkey: %w", err))
			}
		}
		k.places = append(k.places, p)
	}
	if len(k.places) == 0 {
		for _, name := range fromFile {
			file, ok := strings.CutPrefix(name, "file://")
			if !ok {
				errs = append(errs, e.pos.Errorf("gpgkey: %s, says %s: a URL says nothing about who is to be trusted: set gpgkey here, to a file or {url: ..., fingerprint: ...}", name, e.options.RepoFile))
				continue
			}
			if p := (keyPlace{pos: e.pos, file: file}); !slices.ContainsFunc(k.places, func(o keyPlace) bool { return o.file == file }) {
				k.places = append(k.places, p)
			}
		}
	}
	if len(k.places) == 0 && len(errs) == 0 && !e.options.AllowUnsigned {
		errs = append(errs, e.pos.Errorf("source %s: gpgkey: say which keys may sign it", e.name))
	}
	return k, strictyaml.Join(errs...)
}

// load reads the keys. Errors match bundle.ErrUsage for a file that the spec
// names, fetch.ErrRefused if a key that was named by fingerprint is not there.
func (k *keyring) load(ctx context.Context, client *fetch.Client) (openpgp.EntityList, error) {
	var all openpgp.EntityList
	var errs []error
	for _, p := range k.places {
		keys, err := p.load(ctx, client)
		errs = append(errs, err)
		for _, key := range keys {
			i := slices.IndexFunc(all, func(o *openpgp.Entity) bool { return pgpkeys.Fingerprint(o) == pgpkeys.Fingerprint(key) })
			switch {
			case i < 0:
				all = append(all, key)
			case supersedes(key, all[i]):
				all[i] = key
			}
		}
	}
	slices.SortFunc(all, func(a, b *openpgp.Entity) int { return strings.Compare(pgpkeys.Fingerprint(a), pgpkeys.Fingerprint(b)) })
	return all, strictyaml.Join(errs...)
}

// supersedes says of two copies of a key that the first one counts: a revocation
// stays one, and the owner's last word on how long the key lasts is the right one.
func supersedes(key, other *openpgp.Entity) bool {
	if (len(key.Revocations) > 0) != (len(other.Revocations) > 0) {
		return len(key.Revocations) > 0
	}
	mine, _ := key.PrimarySelfSignature()
	its, _ := other.PrimarySelfSignature()
	return mine != nil && (its == nil || mine.CreationTime.After(its.CreationTime))
}

func (p *keyPlace) load(ctx context.Context, client *fetch.Client) (openpgp.EntityList, error) {
	where := p.file
	var b []byte
	var err error
	if p.url != "" {
		where = fetch.Redact(p.url)
		if b, _, err = client.ReadAll(ctx, p.url, pgpkeys.MaxKeyring); err != nil {
			return nil, p.pos.Wrap(fmt.Errorf("gpgkey: %w", err))
		}
	} else if b, err = readFile(p.file); err != nil {
		return nil, p.pos.Errorf("gpgkey: %w", err)
	}
	keys, err := pgpkeys.Parse(b)
	switch {
	case err != nil && p.url != "":
		return nil, p.pos.Wrap(fmt.Errorf("gpgkey %s: %w: %w", where, err, fetch.ErrUpstream))
	case err != nil:
		return nil, p.pos.Errorf("gpgkey %s: %w", where, err)
	case len(p.fingerprints) == 0:
		return keys, nil
	}
	some, missing := pgpkeys.Narrow(keys, p.fingerprints)
	if missing != "" {
		return nil, p.pos.Wrap(fmt.Errorf("gpgkey %s: want the key %s, it has %s: %w", where, missing, pgpkeys.Fingerprints(keys), fetch.ErrRefused))
	}
	return some, nil
}

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return bundle.ReadAllBounded(f, name, pgpkeys.MaxKeyring)
}

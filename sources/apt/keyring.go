package apt

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
)

const (
	maxKeyring = pgpkeys.MaxKeyring
	armored    = pgpkeys.Armored
)

// keyring says where the keys of a suite are. Two with one key() are the same.
type keyring struct {
	pos   strictyaml.Pos
	file  string // path
	url   string
	block string // armored keys, from Signed-By
	// fingerprints are those that count; none: all that are found.
	fingerprints []string
}

func (k *keyring) key() string {
	return strings.Join([]string{k.file, k.url, k.block, strings.Join(k.fingerprints, ",")}, "\x00")
}

// keyringFor is the spec's keyring, otherwise what the entry's Signed-By says.
func (e *entry) keyringFor(s stanza) (*keyring, error) {
	o := e.options.Keyring
	if o.File != "" || o.URL != "" {
		k := &keyring{pos: e.pos, url: o.URL, fingerprints: o.Fingerprint}
		if o.File != "" {
			k.file = within(e.dir, o.File)
		}
		if o.URL != "" {
			if err := fetch.CheckURL(o.URL); err != nil {
				return nil, o.Pos.Errorf("keyring: %w", err)
			}
		}
		return k, nil
	}
	switch by := strings.TrimSpace(s.signedBy); {
	case strings.HasPrefix(by, armored):
		return &keyring{pos: s.pos, block: unfold(by)}, nil
	case strings.HasPrefix(by, "/") && !strings.ContainsAny(by, " \n"):
		return &keyring{pos: s.pos, file: by}, nil
	case by != "":
		return nil, s.pos.Errorf("Signed-By: %.60q: want a path or the keys themselves; otherwise set keyring", by)
	}
	return nil, s.pos.Errorf("source %s: keyring: say which keys may sign it", e.name)
}

// unfold undoes what deb822 does to the lines of a key.
func unfold(value string) string {
	var b strings.Builder
	for line := range strings.Lines(value) {
		line = strings.TrimSpace(line)
		if line == "." {
			line = ""
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}

// load reads the keys. Errors match bundle.ErrUsage for a file that the spec
// names, fetch.ErrRefused if a key that was named by fingerprint is not there.
func (k *keyring) load(ctx context.Context, client *fetch.Client) (openpgp.EntityList, error) {
	where := k.file
	var b []byte
	var err error
	switch {
	case k.url != "":
		where = fetch.Redact(k.url)
		if b, _, err = client.ReadAll(ctx, k.url, maxKeyring); err != nil {
			return nil, k.pos.Wrap(fmt.Errorf("keyring: %w", err))
		}
	case k.file != "":
		if b, err = readFile(k.file, maxKeyring); err != nil {
			return nil, k.pos.Errorf("keyring: %w", err)
		}
	default:
		where, b = "Signed-By", []byte(k.block)
	}
	keys, err := parseKeys(b)
	if err != nil {
		if k.url != "" {
			return nil, k.pos.Wrap(fmt.Errorf("keyring %s: %w: %w", where, err, fetch.ErrUpstream))
		}
		return nil, k.pos.Errorf("keyring %s: %w", where, err)
	}
	return k.narrow(keys, where)
}

// narrow leaves the keys whose fingerprints count.
func (k *keyring) narrow(keys openpgp.EntityList, where string) (openpgp.EntityList, error) {
	if len(k.fingerprints) == 0 {
		return keys, nil
	}
	some, missing := pgpkeys.Narrow(keys, k.fingerprints)
	if missing != "" {
		return nil, k.pos.Wrap(fmt.Errorf("keyring %s: want the key %s, it has %s: %w", where, missing, fingerprints(keys), fetch.ErrRefused))
	}
	return some, nil
}

func readFile(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return bundle.ReadAllBounded(f, name, limit)
}

// parseKeys, fingerprint, fingerprints and armorKeys are what all kinds do with keys.
func parseKeys(b []byte) (openpgp.EntityList, error) { return pgpkeys.Parse(b) }

func fingerprint(e *openpgp.Entity) string { return pgpkeys.Fingerprint(e) }

func fingerprints(keys openpgp.EntityList) string { return pgpkeys.Fingerprints(keys) }

func armorKeys(keys openpgp.EntityList) ([]byte, error) { return pgpkeys.Armor(keys) }

package apt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
)

// maxKeyring bounds a keyring, which is parsed before anything is checked;
// Debian's has 60 KB.
const maxKeyring = 8 << 20 // bytes

const armored = "-----BEGIN PGP "

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
	var some openpgp.EntityList
	for _, want := range k.fingerprints {
		i := slices.IndexFunc(keys, func(e *openpgp.Entity) bool { return fingerprint(e) == want })
		if i < 0 {
			return nil, k.pos.Wrap(fmt.Errorf("keyring %s: want the key %s, it has %s: %w", where, want, fingerprints(keys), fetch.ErrRefused))
		}
		some = append(some, keys[i])
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

// parseKeys reads public keys, armored (one block or several) or not.
func parseKeys(b []byte) (openpgp.EntityList, error) {
	if !bytes.Contains(b, []byte(armored)) {
		keys, err := openpgp.ReadKeyRing(bytes.NewReader(b))
		if err == nil && len(keys) == 0 {
			err = errors.New("no key in it")
		}
		return keys, err
	}
	var all openpgp.EntityList
	for _, part := range bytes.SplitAfter(b, []byte("-----END PGP PUBLIC KEY BLOCK-----")) {
		if !bytes.Contains(part, []byte(armored)) {
			continue
		}
		keys, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(part))
		if err != nil {
			return nil, err
		}
		all = append(all, keys...)
	}
	if len(all) == 0 {
		return nil, errors.New("no key in it")
	}
	return all, nil
}

// fingerprint is the form in which evidence names a key: upper-case
// hexadecimal digits of the primary key's.
func fingerprint(e *openpgp.Entity) string { return fmt.Sprintf("%X", e.PrimaryKey.Fingerprint) }

func fingerprints(keys openpgp.EntityList) string {
	all := make([]string, len(keys))
	for i, e := range keys {
		all[i] = fingerprint(e)
	}
	return strings.Join(all, ", ")
}

// armorKeys are the public keys in one armored block, in order of their
// fingerprints: the same keys give the same bytes.
func armorKeys(keys openpgp.EntityList) ([]byte, error) {
	keys = slices.Clone(keys)
	slices.SortFunc(keys, func(a, b *openpgp.Entity) int { return strings.Compare(fingerprint(a), fingerprint(b)) })
	var b bytes.Buffer
	w, err := armor.Encode(&b, openpgp.PublicKeyType, nil)
	if err != nil {
		return nil, err
	}
	for _, e := range keys {
		if err := e.Serialize(w); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

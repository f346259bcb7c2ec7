package keyring

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
)

// ClockSkew is how far ahead a signer's clock may be: what apt allows by
// Acquire::Max-FutureTime.
const ClockSkew = 10 * time.Second

// Keys are public keys that may sign, or that signed.
type Keys openpgp.EntityList

// String lists the fingerprints, for people.
func (k Keys) String() string { return pgpkeys.Fingerprints(openpgp.EntityList(k)) }

// Vouched returns the evidence of what the first of k signed: bundle.VouchedOpenPGP with
// its fingerprint.
func (k Keys) Vouched() string { return bundle.VouchedOpenPGP + pgpkeys.Fingerprint(k[0]) }

// Union returns k followed by those of others that it lacks.
func (k Keys) Union(others Keys) Keys {
	for _, key := range others {
		if !slices.ContainsFunc(k, func(o *openpgp.Entity) bool { return pgpkeys.Fingerprint(o) == pgpkeys.Fingerprint(key) }) {
			k = append(k[:len(k):len(k)], key)
		}
	}
	return k
}

// clearSigned begins a clear-signed file (RFC 9580 section 7).
const clearSigned = "-----BEGIN PGP SIGNED MESSAGE-----"

// IsClearSigned reports whether content begins as a clear-signed file does.
func IsClearSigned(content []byte) bool {
	return bytes.HasPrefix(content, []byte(clearSigned+"\n")) || bytes.HasPrefix(content, []byte(clearSigned+"\r\n"))
}

// Plain returns the text of a clear-signed file whose signature does not matter
// here, and content itself if it is none: Check uses it, because bytes are compared
// with the signed root of the bundle.
func Plain(content []byte) []byte {
	if IsClearSigned(content) {
		if block, _ := clearsign.Decode(content); block != nil {
			return block.Plaintext
		}
	}
	return content
}

// ClearSigned returns the text of a clear-signed file and the keys of k that signed
// it, one or more. what names the file in errors: its URL without secrets. Errors
// match fetch.ErrRefused and name the keys that were wanted.
func (k Keys) ClearSigned(what string, content []byte, now time.Time) (text []byte, by Keys, err error) {
	if !bytes.Contains(content, []byte(clearSigned)) {
		return nil, nil, k.refuse(what, "not signed")
	}
	if !IsClearSigned(content) {
		return nil, nil, k.refuse(what, "text before the signed block")
	}
	block, rest := clearsign.Decode(content)
	if block == nil {
		return nil, nil, k.refuse(what, "the signed block is not whole")
	}
	if len(bytes.TrimSpace(rest)) > 0 {
		return nil, nil, k.refuse(what, "text after the signed block")
	}
	var signature bytes.Buffer
	if _, err := signature.ReadFrom(block.ArmoredSignature.Body); err != nil || signature.Len() > pgpkeys.MaxSignature {
		return nil, nil, k.refuse(what, "the signature is not whole")
	}
	if by, err = k.signers(what, block.Bytes, signature.Bytes(), now); err != nil {
		return nil, nil, err
	}
	return block.Plaintext, by, nil
}

// IsSignature reports whether content can be a detached signature: armored, or packets,
// whose first byte has its highest bit set (RFC 9580 section 4.2).
func IsSignature(content []byte) bool {
	return bytes.Contains(content, []byte("-----BEGIN PGP SIGNATURE")) || len(content) > 0 && content[0] >= 0x80 && !bytes.HasPrefix(content, []byte("\xef\xbb\xbf"))
}

// Detached returns the keys of k that signed content, one or more. signature is
// armored or not; what names it in errors. Errors match fetch.ErrRefused and name the
// keys that were wanted.
func (k Keys) Detached(what string, content, signature []byte, now time.Time) (by Keys, err error) {
	raw, err := pgpkeys.Dearmor(signature)
	if err != nil {
		return nil, k.refuse(what, fmt.Sprintf("signature not readable (%v)", err))
	}
	return k.signers(what, content, raw, now)
}

func (k Keys) signers(what string, content, signature []byte, now time.Time) (Keys, error) {
	by, err := pgpkeys.Signers(content, signature, openpgp.EntityList(k), now.Add(ClockSkew))
	if err != nil {
		return nil, k.refuse(what, err.Error())
	}
	return Keys(by), nil
}

// Unsigned returns the error of a file that has to have a signature and has none; asked
// are the URLs of signatures that are not there.
func (k Keys) Unsigned(what string, asked ...string) error {
	why := "no signature"
	if len(asked) > 0 {
		why += " (asked for " + strings.Join(asked, ", ") + ")"
	}
	return k.refuse(what, why)
}

func (k Keys) refuse(what, why string) error {
	return bundle.About(bundle.AboutSigner, fmt.Errorf("%s: %s, want a signature by %s: %w", what, why, k, fetch.ErrRefused))
}

// Roles of published keys.
const (
	RoleSite     = "site"
	RoleUpstream = "upstream"
)

// Path returns the file of a source's keys below keys/ of the mirror.
func Path(source string) string { return sources.FileName(source) + ".asc" }

// Publish returns the keys as a repository publishes them, all in one file: path is
// below keys/ of the mirror. It returns none of none.
func (k Keys) Publish(role, path string) ([]sources.Key, error) {
	if len(k) == 0 {
		return nil, nil
	}
	text, err := pgpkeys.Armor(openpgp.EntityList(k))
	if err != nil {
		return nil, err
	}
	var all []sources.Key
	for _, key := range k {
		all = append(all, sources.Key{Fingerprint: pgpkeys.Fingerprint(key), Role: role, Armored: text, Path: path})
	}
	slices.SortFunc(all, func(a, b sources.Key) int { return strings.Compare(a.Fingerprint, b.Fingerprint) })
	return all, nil
}

// WithoutArmor adds to published keys their form without armor. Helm, MAAS and debootstrap
// read keys by gpgv or as it does, and gpgv reads no armor.
func WithoutArmor(keys []sources.Key) (err error) {
	for i := range keys {
		if keys[i].Dearmored, err = pgpkeys.Dearmor(keys[i].Armored); err != nil {
			return err
		}
	}
	return nil
}

// SitePath returns the file of the site's key below keys/ of the mirror.
func SitePath(env *sources.Env) string { return env.Set + "-site.asc" }

// Site returns the signer of indexes that are made here, and the site's key as it is
// published. The signer is nil if the private key is not open: a plan does not open
// it and makes no signatures. There has to be a site key; call NeedSite first.
func Site(env *sources.Env) (*pgpkeys.Signer, []sources.Key, error) {
	keys, err := Keys{env.Site}.Publish(RoleSite, SitePath(env))
	if err != nil {
		return nil, nil, err
	}
	if key := env.Site.PrivateKey; key == nil || key.Encrypted {
		return nil, keys, nil
	}
	signer, err := pgpkeys.NewSigner(env.Site)
	return signer, keys, err
}

// NeedSites refuses every source that makes an index if there is no site key to sign it. It is
// asked before upstream is. source returns the place and the name of an entry of a spec, and
// whether it makes an index.
func NeedSites[E any](env *sources.Env, entries []E, source func(E) (pos strictyaml.Pos, name string, rebuilt bool)) error {
	var errs []error
	for _, e := range entries {
		if pos, name, rebuilt := source(e); rebuilt {
			errs = append(errs, needSite(env, pos, name))
		}
	}
	return strictyaml.Join(errs...)
}

func needSite(env *sources.Env, pos strictyaml.Pos, source string) error {
	if env.Site != nil {
		return nil
	}
	return pos.Errorf("source %s: rebuilt indexes need a site key: gapbundle keygen --site --out DIR, then signing: site: in the spec, or --site-key", source)
}

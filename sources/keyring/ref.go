package keyring

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/internal/pubkeys"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
)

// Entry is what the spec states about keys. It goes into a kind's options as it is,
// alone or as a list.
type Entry struct {
	Pos         strictyaml.Pos
	File        string   `yaml:"file,scalar" doc:"File with public keys, armored or not."`
	URL         string   `yaml:"url" doc:"Where the keys are fetched from; needs fingerprint."`
	Fingerprint []string `yaml:"fingerprint,single" doc:"Fingerprints of those keys that count: 40 or 64 hexadecimal digits."`
}

// IsZero reports whether the spec states nothing.
func (e *Entry) IsZero() bool { return e.File == "" && e.URL == "" && len(e.Fingerprint) == 0 }

// Ref checks the entry and returns where its keys are. option is its name in the
// spec, for errors; a relative file is below dir, the folder of the spec file.
// Errors match bundle.ErrUsage and have the entry's place.
func (e *Entry) Ref(option, dir string) (*Ref, error) {
	ref := &Ref{Pos: e.Pos, Option: option, URL: e.URL}
	for _, text := range e.Fingerprint {
		f, err := pgpkeys.ParseFingerprint(text)
		if err != nil {
			return nil, e.Pos.Errorf("%s: %w", option, err)
		}
		ref.Fingerprints = append(ref.Fingerprints, f)
	}
	file := strings.TrimPrefix(e.File, "file://")
	switch {
	case file != "" && e.URL != "":
		return nil, e.Pos.Errorf("%s: want file or url, not both", option)
	case strings.HasPrefix(file, "http://"), strings.HasPrefix(file, "https://"):
		return nil, e.Pos.Errorf("%s: a URL alone proves nothing, the fingerprint is needed too: {url: %s, fingerprint: ...}", option, file)
	case file == "" && e.URL == "":
		return nil, e.Pos.Errorf("%s: fingerprint: needs the file or url that has the key", option)
	case e.URL != "" && len(ref.Fingerprints) == 0:
		return nil, e.Pos.Errorf("%s: url: needs fingerprint", option)
	case e.URL != "":
		if err := fetch.CheckURL(e.URL); err != nil {
			return nil, e.Pos.Errorf("%s: %w", option, err)
		}
	default:
		ref.File = sources.Within(dir, file)
	}
	return ref, nil
}

// Ref is where keys are: a file, an address, or the text itself.
type Ref struct {
	// Pos and Option name it in errors.
	Pos    strictyaml.Pos
	Option string
	// File is a path on this machine.
	File string
	// URL needs Fingerprints.
	URL string
	// Block is armored keys.
	Block string
	// Fingerprints are those that count, as pgpkeys.ParseFingerprint returns them;
	// none: all keys that are found.
	Fingerprints []string
	// binary states, after Load, that what was found is not armored.
	binary bool
}

// Public returns the addresses at which upstream has the keys that a mirror publishes in the file
// at path below keys/: clients that ask there get them in the form that upstream has.
func Public(path string, refs ...*Ref) (all []sources.Public) {
	for _, ref := range refs {
		if ref == nil || ref.URL == "" {
			continue
		}
		place := path
		if ref.binary {
			place = sources.DearmoredPath(path)
		}
		p, err := bundle.ParsePublic(ref.URL, place)
		if err != nil {
			continue // one with a query, for one: nothing that a file could answer
		}
		if p.Key = p.Path != ""; p.Key && !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	return all
}

// ID returns the same text for two references to the same keys.
func (r *Ref) ID() string {
	return strings.Join([]string{r.File, r.URL, r.Block, strings.Join(r.Fingerprints, ",")}, "\x00")
}

// Load reads the keys of all references. If a key occurs twice, the copy
// counts that states most: a revocation, then the newest self-signature. Errors match
// bundle.ErrUsage for a file or text that the spec names, fetch.ErrUpstream for an
// address, and fetch.ErrRefused if a key that was named by its fingerprint is not
// there; all are reported. A weak key counts for nothing unless the spec allows it by its
// fingerprint; where no other is left, or the spec names it, that is fetch.ErrRefused too.
func Load(ctx context.Context, env *sources.Env, refs ...*Ref) (Keys, error) {
	var all Keys
	var errs []error
	for _, ref := range refs {
		keys, err := ref.load(ctx, env)
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

// supersedes reports which of two copies of a key counts: a revocation stays one,
// and otherwise the owner's last word on how long the key lasts is the right one.
func supersedes(key, other *openpgp.Entity) bool {
	if (len(key.Revocations) > 0) != (len(other.Revocations) > 0) {
		return len(key.Revocations) > 0
	}
	mine, _ := key.PrimarySelfSignature()
	its, _ := other.PrimarySelfSignature()
	return mine != nil && (its == nil || mine.CreationTime.After(its.CreationTime))
}

func (r *Ref) load(ctx context.Context, env *sources.Env) (openpgp.EntityList, error) {
	var content []byte
	var where string
	var err error
	switch {
	case r.URL != "":
		where = fetch.Redact(r.URL)
		if content, _, err = env.Fetch.ReadAll(ctx, r.URL, pgpkeys.MaxKeyring); err != nil {
			return nil, r.Pos.Wrap(fmt.Errorf("%s: %w", r.Option, err))
		}
	case r.File != "":
		where = r.File
		if content, err = bundle.ReadNamed(r.File, pgpkeys.MaxKeyring); err != nil {
			return nil, r.Pos.Errorf("%s: %w", r.Option, err)
		}
	default:
		where, content = "the spec's block", []byte(r.Block)
	}
	r.binary = !bytes.Contains(content, []byte(pgpkeys.Armored))
	keys, err := pgpkeys.Parse(content)
	switch {
	case err != nil && r.URL != "":
		return nil, r.Pos.Wrap(fmt.Errorf("%s %s: %w: %w", r.Option, where, err, fetch.ErrUpstream))
	case err != nil:
		return nil, r.Pos.Errorf("%s %s: %w", r.Option, where, err)
	case len(r.Fingerprints) == 0:
		return r.strong(env, where, keys)
	}
	some, missing := pgpkeys.Narrow(keys, r.Fingerprints)
	if missing != "" {
		return nil, r.Pos.Wrap(bundle.About(bundle.AboutSigner, fmt.Errorf("%s %s: want the key %s, it has %s: %w", r.Option, where, missing, pgpkeys.Fingerprints(keys), fetch.ErrRefused)))
	}
	return r.strong(env, where, some)
}

// strong leaves out weak keys that the spec does not allow.
func (r *Ref) strong(env *sources.Env, where string, keys openpgp.EntityList) (openpgp.EntityList, error) {
	strong, weak := pubkeys.Strong(keys, env.Weak.Allow)
	if len(weak) == 0 {
		return keys, nil
	}
	if len(strong) < len(keys) && (len(strong) == 0 || len(r.Fingerprints) > 0) {
		var first *pubkeys.WeakError
		errors.As(weak[0], &first)
		return nil, r.Pos.Wrap(fmt.Errorf("%s %s: key %s is weak: %s; %s: %w", r.Option, where, first.Fingerprint, first.Why, sources.WeakKeyAdvice(first.Fingerprint), fetch.ErrRefused))
	}
	for _, err := range weak {
		if env.Log != nil {
			env.Log.Warn("a weak key does not count", "source", r.Option+" "+where, "why", err)
		}
	}
	return strong, nil
}

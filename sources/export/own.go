package export

import (
	"crypto"
	"errors"
	"fmt"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/config"
	"github.com/gapbundle/gapbundle/sources/keys"
)

// ownKeys sign the bundle and recognize earlier ones. A plan has no keys and reads an earlier
// bundle unverified: an export verifies it before it relies on it.
type ownKeys []*bundle.Signer

// loadOwn opens the exporter's keys.
func loadOwn(o Options, spec *config.Spec) (ownKeys, error) {
	if len(o.Signers) > 0 {
		return o.Signers, nil
	}
	paths := o.Keys
	if len(paths) == 0 {
		paths = spec.Signing.Exporter
	}
	if len(paths) == 0 {
		return nil, bundle.About(bundle.AboutKey, fmt.Errorf("exporter key: none given: name one in the spec (signing: exporter:) or with --key: %w", bundle.ErrUsage))
	}
	var own ownKeys
	for _, p := range paths {
		signer, err := keys.LoadSigner(p, o.Passphrase)
		if err != nil {
			return nil, err
		}
		own = append(own, signer)
	}
	return own, nil
}

// values returns the keys as a writer of bundles takes them.
func (own ownKeys) values() []bundle.Signer {
	out := make([]bundle.Signer, len(own))
	for i, s := range own {
		out[i] = *s
	}
	return out
}

// ids returns the fingerprints of the keys.
func (own ownKeys) ids() []string {
	var ids []string
	for _, s := range own {
		ids = append(ids, s.KeyID().Hex())
	}
	return ids
}

// openBundle opens one bundle and, when keys are at hand (an export, not a
// plan), requires that one of them signed it.
func (own ownKeys) openBundle(path string) (*bundle.Reader, *bundle.Manifest, error) {
	readers, err := bundle.Discover([]string{path})
	if err != nil {
		return nil, nil, err
	}
	var errs []error
	for _, r := range readers[1:] {
		errs = append(errs, r.Close())
	}
	r := readers[0]
	if len(readers) > 1 {
		errs = append(errs, fmt.Errorf("%s: holds %s, name one of them: %w", path, bundle.Count(len(readers), "bundle"), bundle.ErrUsage))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, nil, errors.Join(err, r.Close())
	}
	m, err := own.manifest(r)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("%s: %w", path, err), r.Close())
	}
	return r, m, nil
}

func (own ownKeys) manifest(r *bundle.Reader) (*bundle.Manifest, error) {
	root, err := r.Root()
	if err != nil {
		return nil, err
	}
	if len(own) > 0 {
		if err := own.signed(r, bundle.DigestOf(root)); err != nil {
			return nil, err
		}
	}
	return bundle.ParseKept(root)
}

// signed requires that one of the keys signed a root.
func (own ownKeys) signed(r *bundle.Reader, root bundle.Digest) error {
	files, err := r.Signatures()
	if err != nil {
		return err
	}
	for _, f := range files {
		sig, err := bundle.ParseSignature(f.Data)
		if err != nil {
			continue // a bad signature does no harm next to a good one
		}
		for _, signer := range own {
			public, _, err := bundle.ParsePublicKey(signer.PublicPEM())
			if err != nil {
				return err
			}
			if signs(sig, public, root) {
				return nil
			}
		}
	}
	return fmt.Errorf("not signed by a key of this export: %w", bundle.ErrUntrusted)
}

func signs(sig *bundle.Signature, public crypto.PublicKey, root bundle.Digest) bool {
	st, err := sig.Verify(public)
	return err == nil && st.PredicateType == bundle.PredicateBundle && st.Subject == root
}

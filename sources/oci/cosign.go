package oci

import (
	"bytes"
	"context"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/sigstore/sigstore/pkg/signature"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/registry"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// Cosign writes this: before version 3 a manifest under the tag
// sha256-<hex>.sig, each layer of which is a payload ("simple signing") with
// its signature as an annotation; since then a Sigstore bundle that refers to
// the image.
const (
	typeSimpleSigning    = "application/vnd.dev.cosign.simplesigning.v1+json"
	annotationSignature  = "dev.cosignproject.cosign/signature"
	typeSigstoreBundle   = "application/vnd.dev.sigstore.bundle.v0.3+json"
	predicateSign        = "https://sigstore.dev/cosign/sign/v1"
	typeCosignSignature  = "cosign container image signature"
	maxSignature         = bundle.MaxSignatureSize
	maxSignaturesOfImage = 64 // that are looked at, against a registry that lists more and more
)

// cosignKey is a public key that may sign images.
type cosignKey struct {
	key crypto.PublicKey
	id  bundle.Digest
}

// maxKeyFile bounds a file with a public key; real ones have under a kilobyte.
const maxKeyFile = 64 << 10 // bytes

// loadKeys reads the keys that an entry names.
func (e *entry) loadKeys() ([]cosignKey, error) {
	var keys []cosignKey
	var errs []error
	for _, name := range e.options.Keys {
		pem, err := bundle.ReadNamed(sources.Within(e.dir, name), maxKeyFile)
		if err != nil {
			errs = append(errs, e.pos.Errorf("keys: %w", err))
			continue
		}
		key, id, err := bundle.ParsePublicKey(pem)
		if err != nil {
			errs = append(errs, e.pos.Errorf("keys: %s: %w", name, err))
			continue
		}
		keys = append(keys, cosignKey{key, id})
	}
	return keys, strictyaml.Join(errs...)
}

// verify requires a signature by one of the source's keys for everything that
// a source with signatures: verify asks for. The signature is over what the
// reference leads to: for an index the index, whatever is chosen of it.
func (g *gatherer) verify(ctx context.Context, roots []root) error {
	signatures := cosign{g.of.image, g.of.repo}
	var errs []error
	for _, r := range roots {
		e := r.want.entry
		if e.options.Signatures != signaturesVerify {
			continue
		}
		id, err := signatures.signedBy(ctx, r.digest, g.r.keys[e])
		if err != nil {
			errs = append(errs, r.want.at(err))
			continue
		}
		if t := g.found.tags[r.want.tag]; t != nil {
			t.signed = bundle.VouchedCosign + id.Hex()
		}
	}
	return strictyaml.Join(errs...)
}

// cosign reads the signatures of an image.
type cosign struct {
	image
	repo *registry.Repository
}

// signedBy finds a signature over d by one of keys. All that was found instead
// is reported.
func (c cosign) signedBy(ctx context.Context, d bundle.Digest, keys []cosignKey) (bundle.Digest, error) {
	var found []error
	for _, look := range []func(context.Context, bundle.Digest, []cosignKey) (bundle.Digest, []error, error){c.signedByTag, c.signedByReferrer} {
		id, others, err := look(ctx, d, keys)
		if err != nil || !id.IsZero() {
			return id, err
		}
		found = append(found, others...)
	}
	why := "no signature there"
	if len(found) > 0 {
		why = strings.ReplaceAll(errors.Join(found...).Error(), "\n", "; ")
	}
	ids := make([]string, len(keys))
	for i, k := range keys {
		ids[i] = k.id.Short()
	}
	return bundle.Digest{}, fmt.Errorf("%s: not signed by the key %s: %s: %w", d, strings.Join(ids, " or "), why, bundle.About(bundle.AboutSigner, fetch.ErrRefused))
}

// signedByTag looks at the signatures under the tag of d.
func (c cosign) signedByTag(ctx context.Context, d bundle.Digest, keys []cosignKey) (id bundle.Digest, found []error, err error) {
	m, err := c.repo.Manifest(ctx, attachedTag(d, suffixSignature))
	if isAbsent(err) {
		return id, nil, nil
	}
	if err != nil {
		return id, nil, err
	}
	parsed, err := parseManifest(m.Content, m.Descriptor.MediaType)
	if err != nil {
		return id, nil, upstream.Blame(m.URL, err)
	}
	for i, layer := range parsed.layers {
		if i == maxSignaturesOfImage {
			break
		}
		if layer.MediaType != typeSimpleSigning {
			continue
		}
		payload, err := c.fetchBlob(ctx, layer)
		if unreadable(err) { // another one may hold
			found = append(found, err)
			continue
		}
		if err != nil {
			return id, nil, err
		}
		if id, err = checkSimple(payload, layer.Annotations[annotationSignature], d, keys); err == nil {
			return id, nil, nil
		}
		found = append(found, err)
	}
	return bundle.Digest{}, found, nil
}

// checkSimple checks a payload of simple signing (containers/image,
// "containers-signature"): signed first, read then.
func checkSimple(payload []byte, signed string, d bundle.Digest, keys []cosignKey) (bundle.Digest, error) {
	raw, err := base64.StdEncoding.DecodeString(signed)
	if err != nil || len(raw) == 0 {
		return bundle.Digest{}, errors.New("a signature that is not base64")
	}
	for _, k := range keys {
		v, err := signature.LoadVerifier(k.key, crypto.SHA256)
		if err != nil {
			return bundle.Digest{}, err
		}
		if v.VerifySignature(bytes.NewReader(raw), bytes.NewReader(payload)) != nil {
			continue
		}
		var claim struct {
			Critical struct {
				Image struct {
					Digest string `json:"docker-manifest-digest"`
				} `json:"image"`
				Type string `json:"type"`
			} `json:"critical"`
		}
		if err := json.Unmarshal(payload, &claim); err != nil {
			return bundle.Digest{}, fmt.Errorf("a signed payload that is not readable: %w", err)
		}
		if claim.Critical.Type != typeCosignSignature || claim.Critical.Image.Digest != d.String() {
			return bundle.Digest{}, fmt.Errorf("signed is %.80q (%.60q)", claim.Critical.Image.Digest, claim.Critical.Type)
		}
		return k.id, nil
	}
	return bundle.Digest{}, errors.New("a signature by another key")
}

// signedByReferrer looks at the Sigstore bundles that refer to d.
func (c cosign) signedByReferrer(ctx context.Context, d bundle.Digest, keys []cosignKey) (id bundle.Digest, found []error, err error) {
	referrers, err := c.repo.Referrers(ctx, digest.NewDigestFromEncoded(digest.SHA256, d.Hex()), "")
	if err != nil {
		return id, nil, err
	}
	looked := 0
	for _, r := range referrers {
		if r.ArtifactType != typeSigstoreBundle {
			continue
		}
		if looked++; looked > maxSignaturesOfImage {
			break
		}
		if id, err = c.checkBundle(ctx, r, d, keys); err == nil {
			return id, nil, nil
		}
		if !errors.Is(err, errNotThis) && !unreadable(err) {
			return bundle.Digest{}, nil, err
		}
		found = append(found, err)
	}
	return bundle.Digest{}, found, nil
}

// unreadable reports whether what an attachment leads to is gone, or is not what it
// should be: somebody's bad signature, which does a good one no harm.
func unreadable(err error) bool { return isAbsent(err) || errors.Is(err, errBadBlob) }

// errNotThis: a signature that is none for what is asked about.
var errNotThis = errors.New("a bundle")

// checkBundle checks the bundle that a referrer holds.
func (c cosign) checkBundle(ctx context.Context, r v1.Descriptor, d bundle.Digest, keys []cosignKey) (bundle.Digest, error) {
	m, err := c.repo.Manifest(ctx, r.Digest.String())
	if err != nil {
		return bundle.Digest{}, err
	}
	parsed, err := parseManifest(m.Content, m.Descriptor.MediaType)
	if err != nil {
		return bundle.Digest{}, upstream.Blame(m.URL, err)
	}
	if len(parsed.layers) != 1 || parsed.layers[0].MediaType != typeSigstoreBundle {
		return bundle.Digest{}, fmt.Errorf("%w of another form", errNotThis)
	}
	text, err := c.fetchBlob(ctx, parsed.layers[0])
	if err != nil {
		return bundle.Digest{}, err
	}
	return checkSigstore(text, d, keys)
}

// checkSigstore checks a Sigstore bundle: signed first, read then.
func checkSigstore(text []byte, d bundle.Digest, keys []cosignKey) (bundle.Digest, error) {
	s, err := bundle.ParseSignature(text)
	if err != nil {
		return bundle.Digest{}, fmt.Errorf("%w: %w", errNotThis, err)
	}
	for _, k := range keys {
		payload, err := s.Payload(k.key)
		if errors.Is(err, bundle.ErrSignature) {
			continue
		}
		if err != nil {
			return bundle.Digest{}, fmt.Errorf("%w: %w", errNotThis, err)
		}
		// An in-toto statement (v1, "Statement"); cosign annotates its subject.
		var statement struct {
			PredicateType string `json:"predicateType"`
			Subject       []struct {
				Digest struct {
					SHA256 string `json:"sha256"`
				} `json:"digest"`
			} `json:"subject"`
		}
		if err := json.Unmarshal(payload, &statement); err != nil {
			return bundle.Digest{}, fmt.Errorf("%w: signed, and not readable: %w", errNotThis, err)
		}
		if statement.PredicateType != predicateSign || len(statement.Subject) != 1 || statement.Subject[0].Digest.SHA256 != d.Hex() {
			return bundle.Digest{}, fmt.Errorf("%w that signs %.300q (%.80s)", errNotThis, statement.Subject, statement.PredicateType)
		}
		return k.id, nil
	}
	return bundle.Digest{}, fmt.Errorf("%w by another key", errNotThis)
}

// errBadBlob: a blob that is not what its descriptor states, or too large.
var errBadBlob = errors.New("differs from its descriptor")

// fetchBlob reads a small blob, checked.
func (c cosign) fetchBlob(ctx context.Context, d v1.Descriptor) (_ []byte, err error) {
	if d.Size > maxSignature {
		return nil, fmt.Errorf("%s: blob %s: %s, at most %d: %w: %w", c.image, d.Digest, bundle.Count(d.Size, "byte"), maxSignature, errBadBlob, fetch.ErrUpstream)
	}
	body, err := c.repo.Blob(ctx, d.Digest, d.Size, 0, "")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	b, err := bundle.ReadAllBounded(body, d.Digest.String(), maxSignature)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w: %w", c.image, err, errBadBlob, fetch.ErrUpstream)
	}
	if have := digest.FromBytes(b); have != d.Digest {
		return nil, fmt.Errorf("%s: blob: want %s, got %s: %w: %w", c.image, d.Digest, have, errBadBlob, fetch.ErrUpstream)
	}
	return b, nil
}

package oci

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
)

// cosigner signs images as cosign does.
type cosigner struct {
	w      *world
	sv     signature.SignerVerifier
	bundle *bundle.Signer
	// broken: a signature that leads nowhere is before the right one.
	broken bool
}

// newCosigner makes a key, the public half of which is in file.
func newCosigner(w *world, file string) *cosigner {
	w.t.Helper()
	sv, key, err := signature.NewDefaultECDSASignerVerifier()
	if err != nil {
		w.t.Fatal(err)
	}
	public, err := sv.PublicKey()
	if err != nil {
		w.t.Fatal(err)
	}
	pem, err := cryptoutils.MarshalPublicKeyToPEM(public)
	if err != nil {
		w.t.Fatal(err)
	}
	w.write(file, pem)
	c := &cosigner{w: w, sv: sv}
	if c.bundle, err = bundle.SignerOf(key); err != nil {
		w.t.Fatal(err)
	}
	return c
}

// simple puts a signature by simple signing under the tag of d, over what.
func (c *cosigner) simple(name string, d v1.Descriptor, kind, what string) {
	c.w.t.Helper()
	payload := fmt.Appendf(nil, `{"critical":{"identity":{"docker-reference":"x"},"image":{"docker-manifest-digest":%q},"type":%q},"optional":null}`, what, kind)
	signed, err := c.sv.SignMessage(bytes.NewReader(payload))
	if err != nil {
		c.w.t.Fatal(err)
	}
	configuration := []byte("{}")
	c.w.PutBlob(name, configuration)
	c.w.PutBlob(name, payload)
	layer := describe(typeSimpleSigning, payload)
	layer.Annotations = map[string]string{annotationSignature: base64.StdEncoding.EncodeToString(signed)}
	m := v1.Manifest{MediaType: v1.MediaTypeImageManifest, Config: describe(v1.MediaTypeImageConfig, configuration), Layers: []v1.Descriptor{layer}}
	if c.broken {
		gone, large := describe(typeSimpleSigning, []byte("nowhere")), describe(typeSimpleSigning, []byte("large"))
		large.Size = maxSignature + 1
		m.Layers = []v1.Descriptor{gone, large, layer}
	}
	m.SchemaVersion = 2
	c.w.PutManifest(name, v1.MediaTypeImageManifest, c.w.json(m), "sha256-"+d.Digest.Encoded()+suffixSignature)
}

// refer puts a Sigstore bundle that refers to d.
func (c *cosigner) refer(name string, d v1.Descriptor, predicate, what string) {
	c.w.t.Helper()
	over, err := bundle.ParseDigest(what)
	if err != nil {
		c.w.t.Fatal(err)
	}
	text, err := c.bundle.Sign(predicate, "image", over, struct{}{})
	if err != nil {
		c.w.t.Fatal(err)
	}
	c.w.refer(name, d, typeSigstoreBundle, text)
}

// An image that has to be signed is, by the right key and over its digest, in
// both forms that cosign has; otherwise the export fails and names it.
func TestVerify(t *testing.T) {
	for name, test := range map[string]struct {
		sign func(right, wrong *cosigner, d v1.Descriptor)
		want string // "": accepted
	}{
		"by tag": {func(right, _ *cosigner, d v1.Descriptor) {
			right.simple("app", d, typeCosignSignature, d.Digest.String())
		}, ""},
		"by referrer": {func(right, _ *cosigner, d v1.Descriptor) { right.refer("app", d, predicateSign, d.Digest.String()) }, ""},
		"both, the first by another key": {func(right, wrong *cosigner, d v1.Descriptor) {
			wrong.simple("app", d, typeCosignSignature, d.Digest.String())
			right.refer("app", d, predicateSign, d.Digest.String())
		}, ""},
		"beside one whose payload is gone": {func(right, _ *cosigner, d v1.Descriptor) {
			right.broken = true
			right.simple("app", d, typeCosignSignature, d.Digest.String())
		}, ""},
		"unsigned": {func(_, _ *cosigner, _ v1.Descriptor) {}, "no signature there"},
		"by another key": {func(_, wrong *cosigner, d v1.Descriptor) {
			wrong.simple("app", d, typeCosignSignature, d.Digest.String())
			wrong.refer("app", d, predicateSign, d.Digest.String())
		}, "by another key"},
		"over another digest": {func(right, _ *cosigner, d v1.Descriptor) {
			right.simple("app", d, typeCosignSignature, bundle.DigestOf([]byte("x")).String())
		}, "signed is"},
		"bundle over another digest": {func(right, _ *cosigner, d v1.Descriptor) {
			right.refer("app", d, predicateSign, bundle.DigestOf([]byte("x")).String())
		}, "that signs"},
		"for another purpose": {func(right, _ *cosigner, d v1.Descriptor) {
			right.simple("app", d, "atomic container signature", d.Digest.String())
		}, "signed is"},
		"an attestation is none": {func(right, _ *cosigner, d v1.Descriptor) {
			right.refer("app", d, "https://slsa.dev/provenance/v1", d.Digest.String())
		}, "slsa.dev"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, t.TempDir())
			right, wrong := newCosigner(w, "cosign.pub"), newCosigner(w, "other.pub")
			d := w.index("app", []v1.Descriptor{w.image("app", "amd64", "a"), w.image("app", "arm64", "b")}, "v1")
			test.sign(right, wrong, d)
			spec := w.spec("images", "images: HOST/app:v1", "platforms: linux/amd64", "signatures: verify", "keys: cosign.pub")
			if test.want != "" {
				w.refused(spec, fetch.ErrRefused, w.Host()+"/app:v1", d.Digest.String(), right.bundle.KeyID().Short(), test.want)
				return
			}
			if right.broken { // that it cannot be carried whole is another matter
				if _, err := w.plan(w.env(nil), spec); err != nil {
					t.Error(err)
				}
				return
			}
			tr := w.must(nil, spec)
			if got := tr.found[w.folder()+"/app/manifests/v1"].Vouched; got != bundle.VouchedCosign+right.bundle.KeyID().Hex() {
				t.Errorf("vouched by %s", got)
			}
		})
	}
	w := newWorld(t, t.TempDir())
	w.write("bad.pub", []byte("x"))
	w.refused(w.spec("images", "images: HOST/app:v1", "signatures: verify", "keys: [bad.pub, none.pub]"), bundle.ErrUsage, "bad.pub", "none.pub")
}

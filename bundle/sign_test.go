package bundle_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
)

func newKey(t testing.TB, kind string) (*bundle.Signer, crypto.PublicKey) {
	t.Helper()
	var key crypto.PrivateKey
	var pub crypto.PublicKey
	switch kind {
	case "p256":
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		key, pub = k, k.Public()
	case "ed25519":
		p, k, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		key, pub = k, p
	}
	s, err := bundle.SignerOf(key)
	if err != nil {
		t.Fatal(err)
	}
	return s, pub
}

var subjectDigest = bundle.DigestOf([]byte("bundle.json's bytes"))

func sign(t testing.TB, s *bundle.Signer) []byte {
	t.Helper()
	b, err := s.Sign(bundle.PredicateBundle, bundle.RootName, subjectDigest, map[string]string{"set": "demo"})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSignatureVerifies(t *testing.T) {
	for _, kind := range []string{"p256", "ed25519"} {
		t.Run(kind, func(t *testing.T) {
			signer, pub := newKey(t, kind)
			sig, err := bundle.ParseSignature(sign(t, signer))
			if err != nil {
				t.Fatal(err)
			}
			if sig.Hint() != signer.KeyID() {
				t.Errorf("hint: want %s, got %s", signer.KeyID(), sig.Hint())
			}
			st, err := sig.Verify(pub)
			if err != nil {
				t.Fatal(err)
			}
			if st.PredicateType != bundle.PredicateBundle || st.SubjectName != bundle.RootName || st.Subject != subjectDigest {
				t.Errorf("statement: %+v", st)
			}
			if string(st.Predicate) != `{"set":"demo"}` {
				t.Errorf("predicate: %s", st.Predicate)
			}
			_, other := newKey(t, kind)
			if _, err := sig.Verify(other); !errors.Is(err, bundle.ErrSignature) || !errors.Is(err, bundle.ErrUntrusted) {
				t.Errorf("another key: want ErrSignature and ErrUntrusted, got %v", err)
			}
		})
	}
}

// open takes a signature file apart as an outsider would, with the standard
// library alone: payload type, payload and signature.
func open(t *testing.T, file []byte) (payloadType string, payload, sig []byte) {
	t.Helper()
	var f struct {
		DSSEEnvelope struct {
			Payload, PayloadType string
			Signatures           []struct{ Sig string }
		}
	}
	if err := json.Unmarshal(file, &f); err != nil {
		t.Fatal(err)
	}
	payload, err := base64.StdEncoding.DecodeString(f.DSSEEnvelope.Payload)
	if err != nil {
		t.Fatal(err)
	}
	sig, err = base64.StdEncoding.DecodeString(f.DSSEEnvelope.Signatures[0].Sig)
	if err != nil {
		t.Fatal(err)
	}
	return f.DSSEEnvelope.PayloadType, payload, sig
}

func encodeForSigning(payloadType string, payload []byte) []byte {
	return fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(payloadType), payloadType, len(payload), payload)
}

// TestSignatureByStandardLibrary shares no code with the signer: what is
// written is what the specifications of DSSE and in-toto say.
func TestSignatureByStandardLibrary(t *testing.T) {
	for _, kind := range []string{"p256", "ed25519"} {
		signer, pub := newKey(t, kind)
		payloadType, payload, sig := open(t, sign(t, signer))
		signed := encodeForSigning(payloadType, payload)
		sum := sha256.Sum256(signed)
		var ok bool
		switch pub := pub.(type) {
		case *ecdsa.PublicKey:
			ok = ecdsa.VerifyASN1(pub, sum[:], sig)
		case ed25519.PublicKey:
			ok = ed25519.Verify(pub, signed, sig)
		}
		if !ok {
			t.Errorf("%s: the standard library does not accept the signature", kind)
		}
		want := `{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"bundle.json","digest":{"sha256":"` +
			subjectDigest.Hex() + `"}}],"predicateType":"https://gapbundle.dev/predicate/bundle/v1","predicate":{"set":"demo"}}`
		if string(payload) != want {
			t.Errorf("statement:\nwant %s\ngot  %s", want, payload)
		}
	}
}

// edit changes the signature file as JSON.
func edit(t testing.TB, file []byte, f func(env map[string]any)) []byte {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(file, &v); err != nil {
		t.Fatal(err)
	}
	f(v)
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSignatureEnvelopeRefused(t *testing.T) {
	signer, _ := newKey(t, "p256")
	good := sign(t, signer)
	dsse := func(v map[string]any) map[string]any { return v["dsseEnvelope"].(map[string]any) }
	for name, bad := range map[string][]byte{
		"empty":              nil,
		"not JSON":           []byte("hello"),
		"behind it":          append(bytes.Clone(good), '{'),
		"too large":          append(bytes.Clone(good), bytes.Repeat([]byte{' '}, bundle.MaxSignatureSize)...),
		"other media type":   edit(t, good, func(v map[string]any) { v["mediaType"] = "application/json" }),
		"no envelope":        edit(t, good, func(v map[string]any) { delete(v, "dsseEnvelope") }),
		"message signature":  edit(t, good, func(v map[string]any) { v["messageSignature"] = 1; delete(v, "dsseEnvelope") }),
		"other payload type": edit(t, good, func(v map[string]any) { dsse(v)["payloadType"] = "text/plain" }),
		"no signature":       edit(t, good, func(v map[string]any) { dsse(v)["signatures"] = []any{} }),
		"two signatures": edit(t, good, func(v map[string]any) {
			s := dsse(v)["signatures"].([]any)
			dsse(v)["signatures"] = append(s, s[0])
		}),
		"payload not base64": edit(t, good, func(v map[string]any) { dsse(v)["payload"] = "%" }),
	} {
		if _, err := bundle.ParseSignature(bad); !errors.Is(err, bundle.ErrMalformed) {
			t.Errorf("%s: want ErrMalformed, got %v", name, err)
		}
	}
	// A hint is not signed; without one, or with a wrong one, nothing changes.
	for _, hint := range []string{"", "AAAA", "%%%"} {
		b := edit(t, good, func(v map[string]any) {
			v["verificationMaterial"] = map[string]any{"publicKey": map[string]any{"hint": hint}}
		})
		if s, err := bundle.ParseSignature(b); err != nil || !s.Hint().IsZero() {
			t.Errorf("hint %q: %v, %v", hint, s, err)
		}
	}
}

// signedPayload makes a file in which payload is truly signed.
func signedPayload(t testing.TB, key *ecdsa.PrivateKey, payload string) []byte {
	t.Helper()
	sum := sha256.Sum256(encodeForSigning("application/vnd.in-toto+json", []byte(payload)))
	sig, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Appendf(nil, `{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{},`+
		`"dsseEnvelope":{"payload":"%s","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"%s"}]}}`,
		base64.StdEncoding.EncodeToString([]byte(payload)), base64.StdEncoding.EncodeToString(sig))
}

func TestStatementRefused(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sum := strings.Repeat("ab", 32)
	subject := `{"name":"bundle.json","digest":{"sha256":"` + sum + `"}}`
	form := `{"_type":"https://in-toto.io/Statement/v1","subject":[` + subject + `],"predicateType":"x","predicate":{}}`
	verify := func(payload string) error {
		s, err := bundle.ParseSignature(signedPayload(t, key, payload))
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Verify(key.Public())
		return err
	}
	if err := verify(form); err != nil {
		t.Fatalf("the form itself: %v", err)
	}
	if err := verify(strings.Replace(form, "v1", "v0.1", 1)); err != nil {
		t.Errorf("version 0.1, as cosign writes it: %v", err)
	}
	if err := verify(strings.Replace(form, `"predicate":{}`, `"predicate":{"Subject":1,"a":[{"NAME":2}]}`, 1)); err != nil {
		t.Errorf("keys of a predicate are its maker's: %v", err)
	}
	for name, bad := range map[string]string{
		"no JSON":           "x",
		"nothing":           "",
		"behind it":         form + form,
		"closed too often":  form + "}",
		"other type":        strings.Replace(form, "v1", "v2", 1),
		"no subject":        strings.Replace(form, subject, "", 1),
		"two subjects":      strings.Replace(form, subject, subject+","+subject, 1),
		"unknown key":       strings.Replace(form, `"predicate":`, `"more":1,"predicate":`, 1),
		"key twice":         strings.Replace(form, `"predicateType":"x"`, `"predicateType":"y","predicateType":"x"`, 1),
		"key in two cases":  strings.Replace(form, `"predicateType":"x"`, `"predicateType":"y","predicatetype":"x"`, 1),
		"key folded":        strings.Replace(form, `"subject":`, `"\u017fubject":[],"subject":`, 1),
		"key folded alone":  strings.Replace(form, `"subject":`, `"\u017fubject":`, 1),
		"key in one case":   strings.Replace(form, `"subject":`, `"Subject":`, 1),
		"name in one case":  strings.Replace(form, `"name":`, `"NAME":`, 1),
		"sha folded":        strings.Replace(form, `"sha256":`, `"\u017fha256":`, 1),
		"predicate twice":   strings.Replace(form, `"predicate":{}`, `"predicate":{"a":{"x":1,"X":2}}`, 1),
		"digest twice":      strings.Replace(form, `"sha256":`, `"sha256":"`+strings.Repeat("cd", 32)+`","sha256":`, 1),
		"second digest":     strings.Replace(form, `"sha256":`, `"sha512":"00","sha256":`, 1),
		"digest too short":  strings.Replace(form, sum, sum[2:], 1),
		"digest upper-case": strings.Replace(form, sum, strings.ToUpper(sum), 1),
	} {
		if err := verify(bad); !errors.Is(err, bundle.ErrMalformed) {
			t.Errorf("%s: want ErrMalformed, got %v", name, err)
		}
	}
}

// TestSignatureFlipped: no bit of payload or signature may change unnoticed.
func TestSignatureFlipped(t *testing.T) {
	signer, pub := newKey(t, "ed25519")
	good := sign(t, signer)
	_, payload, sig := open(t, good)
	for name, part := range map[string][]byte{"payload": payload, "sig": sig} {
		was := base64.StdEncoding.EncodeToString(part)
		for i := range part {
			bad := bytes.Clone(part)
			bad[i] ^= 1
			file := bytes.Replace(good, []byte(was), []byte(base64.StdEncoding.EncodeToString(bad)), 1)
			s, err := bundle.ParseSignature(file)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Verify(pub); !errors.Is(err, bundle.ErrSignature) {
				t.Fatalf("%s, byte %d: want ErrSignature, got %v", name, i, err)
			}
		}
	}
}

func TestKeysOfOtherKindsRefused(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	small, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []crypto.Signer{p384, small} {
		if _, err := bundle.SignerOf(key); !errors.Is(err, bundle.ErrUsage) {
			t.Errorf("%T: want ErrUsage, got %v", key, err)
		}
		der, err := x509.MarshalPKIXPublicKey(key.Public())
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := bundle.ParsePublicKey(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})); !errors.Is(err, bundle.ErrUsage) {
			t.Errorf("%T: want ErrUsage, got %v", key, err)
		}
	}
	if _, err := bundle.ParseSigner([]byte("no key")); !errors.Is(err, bundle.ErrUsage) {
		t.Errorf("want ErrUsage, got %v", err)
	}
}

func TestGenerateKey(t *testing.T) {
	private, public, err := bundle.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	signer, err := bundle.ParseSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	pub, id, err := bundle.ParsePublicKey(public)
	if err != nil || id != signer.KeyID() {
		t.Fatalf("%s, %s, %v", id, signer.KeyID(), err)
	}
	s, err := bundle.ParseSignature(sign(t, signer))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Verify(pub); err != nil {
		t.Error(err)
	}
	if !bytes.Equal(signer.PublicPEM(), public) {
		t.Error("PublicPEM differs from what was generated")
	}
}

func TestSignatureNames(t *testing.T) {
	name := bundle.SignatureName(subjectDigest)
	if want := "bundle." + subjectDigest.Hex()[:16] + ".sigstore.json"; name != want {
		t.Errorf("want %s, got %s", want, name)
	}
	for name, want := range map[string]bool{
		name: true, "bundle.json": false, "bundle..sigstore.json": false, "bundle.sigstore.json": false, "x" + name: false, name + "x": false,
	} {
		if got := bundle.IsSignatureName(name); got != want {
			t.Errorf("%s: want %t, got %t", name, want, got)
		}
	}
}

func FuzzSignature(f *testing.F) {
	signer, pub := newKey(f, "p256")
	f.Add(sign(f, signer))
	f.Add([]byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","dsseEnvelope":{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"AA=="}]}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := bundle.ParseSignature(b)
		if err != nil {
			if !errors.Is(err, bundle.ErrMalformed) {
				t.Fatalf("want ErrMalformed, got %v", err)
			}
			return
		}
		st, err := s.Verify(pub)
		switch {
		case err == nil && st.Subject != subjectDigest:
			t.Fatal("a signature for something that was never signed")
		case err != nil && !errors.Is(err, bundle.ErrUntrusted) && !errors.Is(err, bundle.ErrMalformed):
			t.Fatal(err)
		}
	})
}

func jsonOf(t testing.TB, b []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

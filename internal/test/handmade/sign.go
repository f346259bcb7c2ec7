package handmade

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
)

// PredicateType is that of an exporter's or approver's signature.
const PredicateType = "https://gapbundle.dev/predicate/bundle/v1"

const payloadType = "application/vnd.in-toto+json"

// Key signs bundles.
type Key struct{ crypto.Signer }

// NewKey makes an ECDSA P-256 key.
func NewKey(t Test) Key {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return Key{k}
}

// NewEd25519 makes an Ed25519 key.
func NewEd25519(t Test) Key {
	t.Helper()
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return Key{k}
}

func (k Key) der() []byte {
	der, err := x509.MarshalPKIXPublicKey(k.Public())
	if err != nil {
		panic(err) // of a key that was made here
	}
	return der
}

// PEM returns the public key.
func (k Key) PEM() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: k.der()}))
}

// ID returns the identity of the key: the SHA-256 of its SubjectPublicKeyInfo, in hex digits.
func (k Key) ID() string {
	sum := sha256.Sum256(k.der())
	return hex.EncodeToString(sum[:])
}

// SignatureName returns a name for the key's signature file; it means nothing.
func (k Key) SignatureName() string { return "bundle." + k.ID()[:16] + ".sigstore.json" }

// Envelope is a signature file before it is written. The zero values are what the
// format asks for.
type Envelope struct {
	// Statement changes the in-toto statement; StatementText replaces its text.
	Statement     func(Object)
	StatementText func(text []byte) []byte
	// PayloadType replaces the payload type, in the file and in what is signed.
	PayloadType string
	// File changes the file after it was signed.
	File func(Object)
}

// Sign returns the signature file for a root.
func (e Envelope) Sign(t Test, k Key, root []byte) []byte {
	t.Helper()
	sum := sha256.Sum256(root)
	statement := Object{
		"_type":         "https://in-toto.io/Statement/v1",
		"subject":       Array{Object{"name": "bundle.json", "digest": Object{"sha256": hex.EncodeToString(sum[:])}}},
		"predicateType": PredicateType,
		"predicate":     Object{},
	}
	if e.Statement != nil {
		e.Statement(statement)
	}
	payload := Canonical(statement)
	if e.StatementText != nil {
		payload = e.StatementText(payload)
	}
	kind := payloadType
	if e.PayloadType != "" {
		kind = e.PayloadType
	}
	id, err := hex.DecodeString(k.ID())
	if err != nil {
		t.Fatal(err)
	}
	file := Object{
		"mediaType":            "application/vnd.dev.sigstore.bundle.v0.3+json",
		"verificationMaterial": Object{"publicKey": Object{"hint": base64.StdEncoding.EncodeToString(id)}},
		"dsseEnvelope": Object{
			"payload": base64.StdEncoding.EncodeToString(payload), "payloadType": kind,
			"signatures": Array{Object{"sig": base64.StdEncoding.EncodeToString(k.sign(t, kind, payload))}},
		},
	}
	if e.File != nil {
		e.File(file)
	}
	out := Canonical(file)
	if !json.Valid(out) && e.File == nil {
		t.Fatalf("no JSON: %s", out)
	}
	return out
}

// sign signs the pre-authentication encoding of DSSE v1.
func (k Key) sign(t Test, kind string, payload []byte) []byte {
	t.Helper()
	message := fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(kind), kind, len(payload), payload)
	hash := crypto.Hash(0) // Ed25519 signs the message itself
	if _, ok := k.Public().(*ecdsa.PublicKey); ok {
		sum := sha256.Sum256(message)
		message, hash = sum[:], crypto.SHA256
	}
	sig, err := k.Sign(rand.Reader, message, hash)
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

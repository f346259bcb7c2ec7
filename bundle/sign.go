package bundle

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
)

// The predicate types of our statements. A signature made for one purpose is
// never good for another: the type is inside what is signed and is compared
// exactly before anything else of a statement is used.
const (
	PredicateBundle  = "https://gapbundle.dev/predicate/bundle/v1"
	PredicateReceipt = "https://gapbundle.dev/predicate/receipt/v1"
	PredicateRepair  = "https://gapbundle.dev/predicate/repair/v1"
	PredicateTrust   = "https://gapbundle.dev/predicate/trust/v1"
)

const (
	sigstoreMediaType = "application/vnd.dev.sigstore.bundle.v0.3+json"
	// inTotoPayload is the only payload type that cosign verifies in an envelope.
	inTotoPayload = "application/vnd.in-toto+json"
	// inTotoStatement is what we write. The version before it has the same
	// four fields, and is what "cosign attest-blob" writes: so an approver can
	// sign a bundle with cosign alone.
	inTotoStatement = "https://in-toto.io/Statement/v1"
	inTotoBefore    = "https://in-toto.io/Statement/v0.1"
)

// sigstoreBundle is the part of a Sigstore bundle (protobuf-specs,
// sigstore_bundle.proto, version 0.3) that a signature by a plain key needs.
// Transparency-log entries and timestamps of other tools are not looked at:
// inside the gap there is nothing to check them against.
type sigstoreBundle struct {
	MediaType string               `json:"mediaType"`
	Material  verificationMaterial `json:"verificationMaterial"`
	Envelope  *envelope            `json:"dsseEnvelope"`
}

type verificationMaterial struct {
	PublicKey publicKeyHint `json:"publicKey"`
}

type publicKeyHint struct {
	Hint string `json:"hint"`
}

// envelope is DSSE (secure-systems-lab/dsse, envelope.md); the JSON form of
// byte slices is the base64 that both specifications ask for.
type envelope struct {
	Payload     []byte              `json:"payload"`
	PayloadType string              `json:"payloadType"`
	Signatures  []envelopeSignature `json:"signatures"`
}

type envelopeSignature struct {
	Sig []byte `json:"sig"`
}

// statement is an in-toto statement (in-toto/attestation, spec/v1).
type statementJSON struct {
	Type          string          `json:"_type"`
	Subject       []subject       `json:"subject"`
	PredicateType string          `json:"predicateType"`
	Predicate     json.RawMessage `json:"predicate"`
}

type subject struct {
	Name   string        `json:"name"`
	Digest subjectDigest `json:"digest"`
}

type subjectDigest struct {
	SHA256 string `json:"sha256"`
}

// Signer makes signature files with one private key: ECDSA P-256 with SHA-256,
// or pure Ed25519. It may be used by several goroutines.
type Signer struct {
	signer    signature.Signer
	id        Digest
	publicPEM []byte
}

// NewSigner takes any signer of sigstore's, of a key in a file or elsewhere.
// Other algorithms than the two are ErrUsage.
func NewSigner(s signature.Signer) (*Signer, error) {
	pub, err := s.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("signing key: %w: %w", ErrUsage, err)
	}
	id, err := KeyID(pub)
	if err != nil {
		return nil, err
	}
	publicPEM, err := cryptoutils.MarshalPublicKeyToPEM(pub)
	if err != nil {
		return nil, fmt.Errorf("signing key: %w: %w", ErrUsage, err)
	}
	return &Signer{signer: s, id: id, publicPEM: publicPEM}, nil
}

// ParseSigner opens an unencrypted private key in PEM (PKCS #8), as
// GenerateKey writes it. Errors match ErrUsage.
func ParseSigner(privatePEM []byte) (*Signer, error) {
	key, err := cryptoutils.UnmarshalPEMToPrivateKey(privatePEM, cryptoutils.SkipPassword)
	if err != nil {
		return nil, fmt.Errorf("private key: %w: %w", ErrUsage, err)
	}
	return SignerOf(key)
}

// SignerOf returns a signer for a private key in memory. Errors match ErrUsage.
func SignerOf(key crypto.PrivateKey) (*Signer, error) {
	s, err := signature.LoadSigner(key, crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("private key: %w: %w", ErrUsage, err)
	}
	return NewSigner(s)
}

// GenerateKey makes an ECDSA P-256 key pair that is not encrypted: the receipt
// key of a mirror, which has to sign while nobody is there to type. The keys
// of people are made by sources/keys.
func GenerateKey() (privatePEM, publicPEM []byte, err error) {
	privatePEM, publicPEM, err = cryptoutils.GeneratePEMEncodedECDSAKeyPair(elliptic.P256(), cryptoutils.SkipPassword)
	if err != nil {
		return nil, nil, fmt.Errorf("key pair: %w", err)
	}
	return privatePEM, publicPEM, nil
}

// KeyID returns the identity of the key that signs: the SHA-256 of its public key
// as SubjectPublicKeyInfo DER. It is what people compare over the telephone.
func (s *Signer) KeyID() Digest { return s.id }

// PublicPEM returns the public key, as people hand it over.
func (s *Signer) PublicPEM() []byte { return bytes.Clone(s.publicPEM) }

// Sign states that the file subject has digest d, with a predicate (nil: an
// empty one), and returns the signature file.
func (s *Signer) Sign(predicateType, subjectName string, d Digest, predicate any) ([]byte, error) {
	if predicate == nil {
		predicate = struct{}{}
	}
	p, err := MarshalCanonical(predicate)
	if err != nil {
		return nil, fmt.Errorf("predicate: %w", err)
	}
	payload, err := json.Marshal(statementJSON{
		Type:          inTotoStatement,
		Subject:       []subject{{Name: subjectName, Digest: subjectDigest{SHA256: d.Hex()}}},
		PredicateType: predicateType,
		Predicate:     p,
	})
	if err != nil {
		return nil, fmt.Errorf("statement: %w: %w", ErrMalformed, err)
	}
	sig, err := s.signer.SignMessage(bytes.NewReader(pae(inTotoPayload, payload)))
	if err != nil {
		return nil, fmt.Errorf("key %s: sign: %w", s.id.Short(), err)
	}
	return json.Marshal(sigstoreBundle{
		MediaType: sigstoreMediaType,
		Material:  verificationMaterial{PublicKey: publicKeyHint{Hint: base64.StdEncoding.EncodeToString(s.id[:])}},
		Envelope:  &envelope{Payload: payload, PayloadType: inTotoPayload, Signatures: []envelopeSignature{{Sig: sig}}},
	})
}

// SignatureName returns the name of the signature file of the key id. It only keeps
// the files of several signers apart; no reader concludes anything from it.
func SignatureName(id Digest) string { return signaturePrefix + id.Hex()[:16] + signatureSuffix }

// IsSignatureName reports whether a file of a bundle is read as a signature. Such a name
// is printed, so it has plain characters alone.
func IsSignatureName(name string) bool {
	return CheckText(name) == nil && len(name) > len(signaturePrefix)+len(signatureSuffix) &&
		strings.HasPrefix(name, signaturePrefix) && strings.HasSuffix(name, signatureSuffix)
}

const (
	signaturePrefix = "bundle."
	signatureSuffix = ".sigstore.json"
)

// pae returns the pre-authentication encoding of DSSE v1, the bytes that are signed.
func pae(payloadType string, payload []byte) []byte {
	return fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(payloadType), payloadType, len(payload), payload)
}

// Signature is a signature file whose envelope was read. Its statement is out of
// reach until Verify found it signed.
type Signature struct {
	hint    Digest
	payload []byte
	sig     []byte
}

// ParseSignature reads the envelope of a signature file of at most
// MaxSignatureSize bytes. Nothing that it contains is to be believed yet.
// Errors match ErrMalformed.
func ParseSignature(b []byte) (*Signature, error) {
	if len(b) > MaxSignatureSize {
		return nil, fmt.Errorf("signature: %s, at most %d: %w", Count(len(b), "byte"), MaxSignatureSize, ErrMalformed)
	}
	var f sigstoreBundle
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, fmt.Errorf("signature: %w: %w", ErrMalformed, err)
	}
	switch {
	case f.MediaType != sigstoreMediaType:
		return nil, fmt.Errorf("signature: media type %.80q, want %s: %w", f.MediaType, sigstoreMediaType, ErrMalformed)
	case f.Envelope == nil:
		return nil, fmt.Errorf("signature: no dsseEnvelope: %w", ErrMalformed)
	case f.Envelope.PayloadType != inTotoPayload:
		return nil, fmt.Errorf("signature: payload type %.80q, want %s: %w", f.Envelope.PayloadType, inTotoPayload, ErrMalformed)
	case len(f.Envelope.Signatures) != 1:
		return nil, fmt.Errorf("signature: %s in one envelope, want 1: %w", Count(len(f.Envelope.Signatures), "signature"), ErrMalformed)
	}
	s := &Signature{payload: f.Envelope.Payload, sig: f.Envelope.Signatures[0].Sig}
	if h, err := base64.StdEncoding.DecodeString(f.Material.PublicKey.Hint); err == nil && len(h) == len(s.hint) {
		copy(s.hint[:], h)
	}
	return s, nil
}

// Hint returns the key id that the file claims, zero if it claims none. It is not
// signed: good for telling a person which key to ask for, and nothing else.
func (s *Signature) Hint() Digest { return s.hint }

// Statement is what a key signed.
type Statement struct {
	PredicateType string
	SubjectName   string
	Subject       Digest
	Predicate     json.RawMessage
}

// ErrSignature: a signature that this key did not make. It comes with
// ErrUntrusted; a file that is not a signature at all is ErrMalformed.
var ErrSignature = errors.New("bad signature")

// Verify checks the signature by pub over the payload, and only then parses
// exactly those bytes, strictly: an in-toto statement, one subject, no unknown
// or repeated keys. A signature that is not by pub matches ErrSignature and
// ErrUntrusted, a signed statement of another form ErrMalformed.
func (s *Signature) Verify(pub crypto.PublicKey) (*Statement, error) {
	payload, err := s.Payload(pub)
	if err != nil {
		return nil, err
	}
	return parseStatement(payload)
}

// Payload checks the signature by pub and returns the bytes that it is over: an
// in-toto statement, for whoever reads the statements of others. Errors as
// those of Verify.
func (s *Signature) Payload(pub crypto.PublicKey) ([]byte, error) {
	id, err := KeyID(pub)
	if err != nil {
		return nil, err
	}
	v, err := signature.LoadVerifier(pub, crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("public key %s: %w: %w", id.Short(), ErrUsage, err)
	}
	if err := v.VerifySignature(bytes.NewReader(s.sig), bytes.NewReader(pae(inTotoPayload, s.payload))); err != nil {
		return nil, fmt.Errorf("%w by key %s: %w", ErrSignature, id.Short(), ErrUntrusted)
	}
	return s.payload, nil
}

func parseStatement(payload []byte) (*Statement, error) {
	if err := checkKeys(json.NewDecoder(bytes.NewReader(payload)), statementKeys()); err != nil {
		return nil, fmt.Errorf("statement: %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(payload))
	dec.DisallowUnknownFields()
	var st statementJSON
	if err := dec.Decode(&st); err != nil {
		return nil, fmt.Errorf("statement: %w: %w", ErrMalformed, err)
	}
	if st.Type != inTotoStatement && st.Type != inTotoBefore {
		return nil, fmt.Errorf("statement: type %.80q, want %s: %w", st.Type, inTotoStatement, ErrMalformed)
	}
	if len(st.Subject) != 1 {
		return nil, fmt.Errorf("statement: %s, want 1: %w", Count(len(st.Subject), "subject"), ErrMalformed)
	}
	d, err := ParseHex(st.Subject[0].Digest.SHA256)
	if err != nil {
		return nil, fmt.Errorf("statement: subject: %w", err)
	}
	return &Statement{PredicateType: st.PredicateType, SubjectName: st.Subject[0].Name, Subject: d, Predicate: st.Predicate}, nil
}

// statementKeys returns the names of all fields that are read of a statement.
func statementKeys() []string {
	return []string{"_type", "subject", "predicateType", "predicate", "name", "digest", "sha256"}
}

// fold returns what is equal for all keys that encoding/json takes for the same one:
// it folds by Unicode's simple rules, in which the long s is an s and the Kelvin sign
// a k. strings.ToLower is another rule.
func fold(key string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
			least = min(least, next)
		}
		return least
	}, key)
}

// checkKeys walks one JSON value to the end of the input. It refuses a key that
// repeats another one of the same object, or that encoding/json would take for one of
// known although it is written otherwise; below "predicate" only the former.
func checkKeys(dec *json.Decoder, known []string) error {
	exact := make(map[string]string, len(known))
	for _, key := range known {
		exact[fold(key)] = key
	}
	type level struct {
		object bool
		value  bool // in an object: the next token is a value
		free   bool // below a predicate, whose keys are its maker's
		last   string
		seen   map[string]bool
	}
	var stack []level
	for {
		tok, err := dec.Token()
		if err == io.EOF && len(stack) == 0 {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		top := len(stack) - 1
		if key, ok := tok.(string); ok && top >= 0 && stack[top].object && !stack[top].value {
			folded := fold(key)
			if stack[top].seen[folded] {
				return fmt.Errorf("key %.80q twice: %w", key, ErrMalformed)
			}
			if want, ok := exact[folded]; ok && key != want && !stack[top].free {
				return fmt.Errorf("key %.80q, want %s: %w", key, want, ErrMalformed)
			}
			stack[top].last = key
			stack[top].seen[folded], stack[top].value = true, true
			continue
		}
		switch tok {
		case json.Delim('{'), json.Delim('['):
			free := top >= 0 && (stack[top].free || stack[top].last == "predicate")
			stack = append(stack, level{object: tok == json.Delim('{'), seen: map[string]bool{}, free: free})
			continue
		case json.Delim('}'), json.Delim(']'):
			stack = stack[:top]
		}
		if top = len(stack) - 1; top >= 0 {
			stack[top].value = false
		} else if dec.More() {
			return fmt.Errorf("more than one value: %w", ErrMalformed)
		}
	}
}

// KeyID returns the SHA-256 of pub as SubjectPublicKeyInfo DER. Keys that are
// neither ECDSA P-256 nor Ed25519 are ErrUsage.
func KeyID(pub crypto.PublicKey) (Digest, error) {
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return Digest{}, fmt.Errorf("public key: ECDSA on another curve than P-256: %w", ErrUsage)
		}
	case ed25519.PublicKey:
		if IsSmallOrder(k) {
			return Digest{}, fmt.Errorf("public key: Ed25519 point of small order, by which anybody can sign: %w", ErrUsage)
		}
	default:
		return Digest{}, fmt.Errorf("public key: %T: want ECDSA P-256 or Ed25519: %w", pub, ErrUsage)
	}
	der, err := cryptoutils.MarshalPublicKeyToDER(pub)
	if err != nil {
		return Digest{}, fmt.Errorf("public key: %w: %w", ErrUsage, err)
	}
	return DigestOf(der), nil
}

// ParsePublicKey reads a public key in PEM and returns its KeyID. Errors match ErrUsage.
func ParsePublicKey(publicPEM []byte) (crypto.PublicKey, Digest, error) {
	pub, err := cryptoutils.UnmarshalPEMToPublicKey(publicPEM)
	if err != nil {
		return nil, Digest{}, fmt.Errorf("public key: %w: %w", ErrUsage, err)
	}
	id, err := KeyID(pub)
	return pub, id, err
}

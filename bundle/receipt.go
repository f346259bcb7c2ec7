package bundle

import (
	"crypto"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

const receiptName = "receipt.json"

// Receipt is what a mirror reports to the connected side about one import: the
// only thing that ever travels back. Field order is that of the JSON.
type Receipt struct {
	// Bytes and Files are what the mirror publishes of the set; Volumes is
	// how many volumes were placed.
	Bytes int64 `json:"bytes"`
	// Checks are what was checked, with counts, sorted by name.
	Checks []CheckCount `json:"checks"`
	// Destination is the name that the bundle was made for; may be empty.
	Destination string `json:"destination,omitempty"`
	// Features and Formats are what the importer reads: the exporter uses
	// nothing else for this destination.
	Features []string `json:"features"`
	Files    int64    `json:"files"`
	Formats  []int    `json:"formats"`
	// Imported is the time of the import by the importer's clock, which the
	// connected side must not rely on.
	Imported time.Time `json:"imported"`
	// Overrides are the rules that the operator set aside, sorted.
	Overrides []string `json:"overrides,omitempty"`
	// Root is the digest of bundle.json.
	Root     Digest   `json:"root"`
	Sequence int64    `json:"sequence"`
	Set      string   `json:"set"`
	Signers  []Digest `json:"signers"`
	State    Digest   `json:"state"`
	Stream   string   `json:"stream"`
	Tool     string   `json:"tool"`
	Volumes  int64    `json:"volumes"`
	// Journal is the digest of the last line of the mirror's journal before the import, so
	// that nobody can cut off earlier lines unnoticed. It is in the signed statement and not
	// in the JSON, because older exporters refuse unknown fields. Zero: not stated.
	Journal Digest `json:"-"`
}

// receiptPredicate is what the signed statement states besides.
type receiptPredicate struct {
	Journal Digest `json:"journal,omitzero"`
}

type receiptFile struct {
	// Key is the public receipt key in PEM, for the first receipt of a
	// destination, when the connected side does not hold it yet.
	Key       string          `json:"key"`
	Receipt   json.RawMessage `json:"receipt"`
	Signature json.RawMessage `json:"signature"`
}

// SignedReceipt is a receipt file that was read. Claims is what it states, which
// nobody vouches for before Verify; the connected side has to know set and
// destination to find the key to verify with.
type SignedReceipt struct {
	Claims    Receipt
	canonical []byte
	key       []byte
	signature *Signature
}

// SignReceipt returns the receipt file: JSON with indentation, so that people
// can read what leaves the network, of at most MaxReceiptSize bytes. The signature
// is over the digest of the canonical form of the receipt alone.
func SignReceipt(r *Receipt, s *Signer) ([]byte, error) {
	if err := checkReceipt(r); err != nil {
		return nil, err
	}
	canonical, err := MarshalCanonical(r)
	if err != nil {
		return nil, fmt.Errorf("receipt: %w", err)
	}
	sig, err := s.Sign(PredicateReceipt, receiptName, DigestOf(canonical), receiptPredicate{r.Journal})
	if err != nil {
		return nil, fmt.Errorf("receipt: %w", err)
	}
	out, err := json.MarshalIndent(receiptFile{Key: string(s.publicPEM), Receipt: canonical, Signature: sig}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("receipt: %w: %w", ErrMalformed, err)
	}
	if len(out)+1 > MaxReceiptSize {
		return nil, fmt.Errorf("receipt: %s, at most %d: %w", Count(len(out)+1, "byte"), MaxReceiptSize, ErrMalformed)
	}
	return append(out, '\n'), nil
}

// ParseReceipt reads a receipt file strictly and verifies nothing. Errors
// match ErrMalformed.
func ParseReceipt(b []byte) (*SignedReceipt, error) {
	if len(b) > MaxReceiptSize {
		return nil, fmt.Errorf("receipt: %s, at most %d: %w", Count(len(b), "byte"), MaxReceiptSize, ErrMalformed)
	}
	var f receiptFile
	if err := readStrictly(b, &f); err != nil {
		return nil, fmt.Errorf("receipt: %w", err)
	}
	s := SignedReceipt{key: []byte(f.Key)}
	if err := readStrictly(f.Receipt, &s.Claims); err != nil {
		return nil, fmt.Errorf("receipt: %w", err)
	}
	var err error
	if s.canonical, err = MarshalCanonical(&s.Claims); err != nil {
		return nil, fmt.Errorf("receipt: %w", err)
	}
	if err := checkReceipt(&s.Claims); err != nil {
		return nil, err
	}
	if s.signature, err = ParseSignature(f.Signature); err != nil {
		return nil, fmt.Errorf("receipt: %w", err)
	}
	return &s, nil
}

// Key returns the public key that the receipt brings along, with its KeyID: to be
// shown and compared by a second channel at the first receipt of a
// destination, never to be used unseen. Errors match ErrUsage.
func (s *SignedReceipt) Key() (crypto.PublicKey, Digest, error) { return ParsePublicKey(s.key) }

// Verify checks that pub signed exactly this receipt. Errors match
// ErrUntrusted or ErrMalformed.
func (s *SignedReceipt) Verify(pub crypto.PublicKey) (*Receipt, error) {
	st, err := s.signature.Verify(pub)
	if err != nil {
		return nil, fmt.Errorf("receipt: %w", err)
	}
	if st.PredicateType != PredicateReceipt || st.SubjectName != receiptName {
		return nil, fmt.Errorf("receipt: signed as %.80q of %.80q, want %s of %s: %w",
			st.PredicateType, st.SubjectName, PredicateReceipt, receiptName, ErrUntrusted)
	}
	if d := DigestOf(s.canonical); st.Subject != d {
		return nil, fmt.Errorf("receipt: signed for %s, this is %s: %w", st.Subject, d, ErrUntrusted)
	}
	r := s.Claims
	var more receiptPredicate
	if json.Unmarshal(st.Predicate, &more) == nil { // another program's may have anything
		r.Journal = more.Journal
	}
	return &r, nil
}

func checkReceipt(r *Receipt) error {
	switch {
	case CheckLabel(r.Set) != nil:
		return fmt.Errorf("receipt: set %.80q: %w", r.Set, ErrMalformed)
	case !isStreamID(r.Stream):
		return fmt.Errorf("receipt: stream %.80q: want 32 hex digits: %w", r.Stream, ErrMalformed)
	case r.Sequence < 1 || r.Sequence > MaxInteger:
		return fmt.Errorf("receipt: sequence %d: %w", r.Sequence, ErrMalformed)
	case r.Root.IsZero() || r.State.IsZero():
		return fmt.Errorf("receipt: no digest of root or state: %w", ErrMalformed)
	case r.Imported.IsZero() || r.Imported.Format("Z07:00") != "Z":
		return fmt.Errorf("receipt: time %s: want UTC: %w", r.Imported.Format(time.RFC3339), ErrMalformed)
	case len(r.Formats) == 0:
		return fmt.Errorf("receipt: no formats: %w", ErrMalformed)
	}
	return nil
}

func isStreamID(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil && len(s) == 32 && isLower(s)
}

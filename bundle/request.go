package bundle

import (
	"bytes"
	"crypto"
	"encoding/json"
	"fmt"
	"time"
)

const (
	requestName = "repair.json"
	// MaxRequest is how many blobs and lists one request names. A mirror that misses more
	// is better served by a full bundle.
	MaxRequest = 100_000
	// MaxRequestSize bounds a request file: some 80 bytes for each digest.
	MaxRequestSize = 16 << 20 // bytes
)

// RepairRequest is what a mirror asks the connected side for, because it is damaged there.
// Like a receipt it states what state the mirror holds, and is signed by the same key. Field
// order is that of the JSON.
type RepairRequest struct {
	// Accepted is the number of the newest bundle that the mirror accepted.
	Accepted int64 `json:"accepted"`
	// Blobs and Lists are what is damaged or gone.
	Blobs   []Digest  `json:"blobs,omitempty"`
	Created time.Time `json:"created"`
	// Full means that more is missing than a request can name.
	Full  bool     `json:"full,omitempty"`
	Lists []Digest `json:"lists,omitempty"`
	// Sequence and State are those of the newest receipt: what a delta can build on, apart
	// from what is requested.
	Sequence int64  `json:"sequence"`
	Set      string `json:"set"`
	State    Digest `json:"state"`
	Stream   string `json:"stream"`
	Tool     string `json:"tool"`
}

type requestFile struct {
	Key       string          `json:"key"`
	Request   json.RawMessage `json:"request"`
	Signature json.RawMessage `json:"signature"`
}

// SignedRequest is a request file that was read. Claims is what it states, which nobody
// vouches for before Verify.
type SignedRequest struct {
	Claims    RepairRequest
	canonical []byte
	key       []byte
	signature *Signature
}

// SignRequest returns the request file, of at most MaxRequestSize bytes.
func SignRequest(r *RepairRequest, s *Signer) ([]byte, error) {
	if err := checkRequest(r); err != nil {
		return nil, err
	}
	canonical, err := MarshalCanonical(r)
	if err != nil {
		return nil, fmt.Errorf("repair request: %w", err)
	}
	sig, err := s.Sign(PredicateRepair, requestName, DigestOf(canonical), nil)
	if err != nil {
		return nil, fmt.Errorf("repair request: %w", err)
	}
	out, err := json.MarshalIndent(requestFile{Key: string(s.publicPEM), Request: canonical, Signature: sig}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("repair request: %w: %w", ErrMalformed, err)
	}
	return append(out, '\n'), nil
}

// ParseRequest reads a request file strictly and verifies nothing. Errors match
// ErrMalformed.
func ParseRequest(b []byte) (*SignedRequest, error) {
	if len(b) > MaxRequestSize {
		return nil, fmt.Errorf("repair request: %s, at most %d: %w", Count(len(b), "byte"), MaxRequestSize, ErrMalformed)
	}
	var f requestFile
	if err := readStrictly(b, &f); err != nil {
		return nil, fmt.Errorf("repair request: %w", err)
	}
	s := SignedRequest{key: []byte(f.Key)}
	if err := readStrictly(f.Request, &s.Claims); err != nil {
		return nil, fmt.Errorf("repair request: %w", err)
	}
	var err error
	if s.canonical, err = MarshalCanonical(&s.Claims); err != nil {
		return nil, fmt.Errorf("repair request: %w", err)
	}
	if err := checkRequest(&s.Claims); err != nil {
		return nil, err
	}
	if s.signature, err = ParseSignature(f.Signature); err != nil {
		return nil, fmt.Errorf("repair request: %w", err)
	}
	return &s, nil
}

// readStrictly decodes one JSON value without unknown or repeated keys.
func readStrictly(b []byte, v any) error {
	if err := checkKeys(json.NewDecoder(bytes.NewReader(b)), nil); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return nil
}

// Key returns the public key that the request brings along, with its KeyID, as of a receipt:
// never to be used unseen. Errors match ErrUsage.
func (s *SignedRequest) Key() (crypto.PublicKey, Digest, error) { return ParsePublicKey(s.key) }

// Verify checks that pub signed exactly this request. Errors match ErrUntrusted or
// ErrMalformed.
func (s *SignedRequest) Verify(pub crypto.PublicKey) (*RepairRequest, error) {
	st, err := s.signature.Verify(pub)
	if err != nil {
		return nil, fmt.Errorf("repair request: %w", err)
	}
	if st.PredicateType != PredicateRepair || st.SubjectName != requestName {
		return nil, fmt.Errorf("repair request: signed as %.80q of %.80q, want %s of %s: %w",
			st.PredicateType, st.SubjectName, PredicateRepair, requestName, ErrUntrusted)
	}
	if d := DigestOf(s.canonical); st.Subject != d {
		return nil, fmt.Errorf("repair request: signed for %s, this is %s: %w", st.Subject, d, ErrUntrusted)
	}
	return &s.Claims, nil
}

func checkRequest(r *RepairRequest) error {
	switch {
	case CheckLabel(r.Set) != nil:
		return fmt.Errorf("repair request: set %.80q: %w", r.Set, ErrMalformed)
	case !isStreamID(r.Stream):
		return fmt.Errorf("repair request: stream %.80q: want 32 hex digits: %w", r.Stream, ErrMalformed)
	case r.Sequence < 1 || r.Sequence > MaxInteger || r.Accepted < 0 || r.Accepted > MaxInteger:
		return fmt.Errorf("repair request: sequence %d, accepted %d: %w", r.Sequence, r.Accepted, ErrMalformed)
	case r.State.IsZero():
		return fmt.Errorf("repair request: no digest of a state: %w", ErrMalformed)
	case len(r.Blobs)+len(r.Lists) == 0 || len(r.Blobs)+len(r.Lists) > MaxRequest:
		return fmt.Errorf("repair request: %s and %s, want 1 to %d: %w", Count(len(r.Blobs), "blob"), Count(len(r.Lists), "list"), MaxRequest, ErrMalformed)
	case r.Created.IsZero() || r.Created.Format("Z07:00") != "Z":
		return fmt.Errorf("repair request: time %s: want UTC: %w", r.Created.Format(time.RFC3339), ErrMalformed)
	}
	return nil
}

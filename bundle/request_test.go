package bundle_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
)

func someRequest() *bundle.RepairRequest {
	return &bundle.RepairRequest{
		Accepted: 7, Blobs: []bundle.Digest{bundle.DigestOf([]byte("blob"))}, Lists: []bundle.Digest{bundle.DigestOf([]byte("list"))},
		Created: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC), Sequence: 7, Set: "site", State: bundle.DigestOf([]byte("state")),
		Stream: "0123456789abcdef0123456789abcdef", Tool: "gapbundle test",
	}
}

// FuzzRequest: a request that verifies is one that was signed.
func FuzzRequest(f *testing.F) {
	signer, pub := newKey(f, "p256")
	good, err := bundle.SignRequest(someRequest(), signer)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	want, err := bundle.MarshalCanonical(someRequest())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := bundle.ParseRequest(b)
		if err != nil {
			if !errors.Is(err, bundle.ErrMalformed) {
				t.Fatalf("want ErrMalformed, got %v", err)
			}
			return
		}
		_, _, _ = s.Key()
		q, err := s.Verify(pub)
		if err != nil {
			return
		}
		if got, err := bundle.MarshalCanonical(q); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("verified a request that was never signed: %s", got)
		}
	})
}

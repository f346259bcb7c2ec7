package bundle_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
)

func someReceipt() *bundle.Receipt {
	return &bundle.Receipt{
		Bytes:       1 << 40,
		Checks:      []bundle.CheckCount{{Count: 12, Name: "blobs"}},
		Destination: "plant",
		Features:    []string{},
		Files:       12,
		Formats:     []int{1},
		Imported:    time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC),
		Overrides:   []string{"allow-rollback"},
		Root:        bundle.DigestOf([]byte("root")),
		Sequence:    7,
		Set:         "slurm-site",
		Signers:     []bundle.Digest{bundle.DigestOf([]byte("key"))},
		State:       bundle.DigestOf([]byte("state")),
		Stream:      strings.Repeat("0a", 16),
		Tool:        "gapbundle test",
		Volumes:     3,
	}
}

func TestReceiptRoundTrip(t *testing.T) {
	signer, pub := newKey(t, "p256")
	b, err := bundle.SignReceipt(someReceipt(), signer)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(b, []byte("\n    \"sequence\": 7,\n")) {
		t.Errorf("a person cannot read it:\n%s", b)
	}
	s, err := bundle.ParseReceipt(b)
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Verify(pub)
	if err != nil {
		t.Fatal(err)
	}
	if r.Sequence != 7 || r.Set != "slurm-site" || !r.Imported.Equal(someReceipt().Imported) || r.Root != someReceipt().Root {
		t.Errorf("got %+v", r)
	}
	if _, id, err := s.Key(); err != nil || id != signer.KeyID() {
		t.Errorf("its key: want %s, got %s, %v", signer.KeyID(), id, err)
	}
	if again, err := bundle.ParseReceipt(bytes.ReplaceAll(bytes.TrimSpace(b), []byte("\n"), []byte("\r\n"))); err != nil {
		t.Errorf("line ends of another system: %v", err)
	} else if _, err := again.Verify(pub); err != nil {
		t.Errorf("line ends of another system: %v", err)
	}
}

func TestReceiptRefused(t *testing.T) {
	signer, pub := newKey(t, "p256")
	good, err := bundle.SignReceipt(someReceipt(), signer)
	if err != nil {
		t.Fatal(err)
	}
	replace := func(old, new string) []byte {
		t.Helper()
		if strings.Count(string(good), old) != 1 {
			t.Fatalf("%q: not once in\n%s", old, good)
		}
		return []byte(strings.Replace(string(good), old, new, 1))
	}
	for name, c := range map[string]struct {
		file []byte
		want error
	}{
		"nothing":         {nil, bundle.ErrMalformed},
		"too large":       {append(bytes.Clone(good), bytes.Repeat([]byte(" "), bundle.MaxReceiptSize)...), bundle.ErrMalformed},
		"unknown key":     {replace(`"tool":`, `"toll": 1, "tool":`), bundle.ErrMalformed},
		"key twice":       {replace(`"volumes": 3`, `"volumes": 4, "volumes": 3`), bundle.ErrMalformed},
		"behind it":       {append(bytes.Clone(good), '{', '}'), bundle.ErrMalformed},
		"a bad set":       {replace(`"slurm-site"`, `"../x"`), bundle.ErrMalformed},
		"a bad stream":    {replace(strings.Repeat("0a", 16), "0a"), bundle.ErrMalformed},
		"sequence 0":      {replace(`"sequence": 7`, `"sequence": 0`), bundle.ErrMalformed},
		"local time":      {replace("09:00:00Z", "09:00:00+01:00"), bundle.ErrMalformed},
		"no formats":      {replace("\"formats\": [\n      1\n    ]", `"formats": []`), bundle.ErrMalformed},
		"other sequence":  {replace(`"sequence": 7`, `"sequence": 8`), bundle.ErrUntrusted},
		"other state":     {replace(bundle.DigestOf([]byte("state")).Hex(), bundle.DigestOf([]byte("x")).Hex()), bundle.ErrUntrusted},
		"override hidden": {replace("\"overrides\": [\n      \"allow-rollback\"\n    ],", ""), bundle.ErrUntrusted},
	} {
		s, err := bundle.ParseReceipt(c.file)
		if err == nil {
			_, err = s.Verify(pub)
		}
		if !errors.Is(err, c.want) {
			t.Errorf("%s: want %v, got %v", name, c.want, err)
		}
	}
	s, err := bundle.ParseReceipt(good)
	if err != nil {
		t.Fatal(err)
	}
	_, other := newKey(t, "p256")
	if _, err := s.Verify(other); !errors.Is(err, bundle.ErrUntrusted) {
		t.Errorf("another key: want ErrUntrusted, got %v", err)
	}
}

// TestReceiptIsNoBundleSignature: a mirror's key cannot be made to say that a
// bundle is good, nor an exporter's that one arrived.
func TestReceiptIsNoBundleSignature(t *testing.T) {
	signer, pub := newKey(t, "p256")
	good, err := bundle.SignReceipt(someReceipt(), signer)
	if err != nil {
		t.Fatal(err)
	}
	canonical, err := bundle.MarshalCanonical(someReceipt())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ predicate, subject string }{
		{bundle.PredicateBundle, "receipt.json"}, {bundle.PredicateReceipt, bundle.RootName},
	} {
		sig, err := signer.Sign(c.predicate, c.subject, bundle.DigestOf(canonical), nil)
		if err != nil {
			t.Fatal(err)
		}
		file := edit(t, good, func(v map[string]any) { v["signature"] = jsonOf(t, sig) })
		s, err := bundle.ParseReceipt(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Verify(pub); !errors.Is(err, bundle.ErrUntrusted) {
			t.Errorf("%s of %s: want ErrUntrusted, got %v", c.predicate, c.subject, err)
		}
	}
}

func TestReceiptTooLarge(t *testing.T) {
	signer, _ := newKey(t, "p256")
	r := someReceipt()
	r.Tool = strings.Repeat("x", bundle.MaxReceiptSize)
	if _, err := bundle.SignReceipt(r, signer); !errors.Is(err, bundle.ErrMalformed) {
		t.Errorf("want ErrMalformed, got %v", err)
	}
}

func FuzzReceipt(f *testing.F) {
	signer, pub := newKey(f, "p256")
	good, err := bundle.SignReceipt(someReceipt(), signer)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	want, err := bundle.MarshalCanonical(someReceipt())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := bundle.ParseReceipt(b)
		if err != nil {
			if !errors.Is(err, bundle.ErrMalformed) {
				t.Fatalf("want ErrMalformed, got %v", err)
			}
			return
		}
		r, err := s.Verify(pub)
		if err != nil {
			return
		}
		if got, err := bundle.MarshalCanonical(r); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("verified a receipt that was never signed: %s", got)
		}
	})
}

package verify_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/verify"
)

// verdict returns what Open says of a bundle: nil, or an error.
func verdict(t testing.TB, dir string, o verify.Options) error {
	t.Helper()
	if o.Now.IsZero() {
		o.Now = now
	}
	b, report, err := verify.Open(t.Context(), discover(t, dir), o)
	if (err == nil) != (b != nil) {
		t.Fatalf("a Bundle and an error, or neither: %v, %v", b, err)
	}
	if err != nil && (report == nil || len(report.Findings) == 0) {
		t.Fatalf("the report does not say what is wrong: %+v", report)
	}
	return err
}

// refused checks class and text; want "" is acceptance.
func refused(t *testing.T, name string, err error, class error, want ...string) {
	t.Helper()
	if class == nil {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		return
	}
	classes := 0
	for _, c := range []error{bundle.ErrUsage, bundle.ErrMalformed, bundle.ErrCorrupt, bundle.ErrUnsupported, bundle.ErrUntrusted, bundle.ErrIncomplete, bundle.ErrBusy} {
		if errors.Is(err, c) {
			classes++
		}
	}
	if !errors.Is(err, class) || classes != 1 {
		t.Errorf("%s: want %v and no other class, got %v", name, class, err)
		return
	}
	for _, s := range want {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("%s: want %q in: %v", name, s, err)
		}
	}
}

func TestTrust(t *testing.T) {
	a, b, c := newSigner(t), newSigner(t), newSigner(t)
	demo := func(s ...*bundle.Signer) *verify.Policy { return policyOf(t, verify.RoleExporter, "demo", s...) }
	two := func(p *verify.Policy) *verify.Policy {
		if err := p.SetRequire(verify.RoleExporter, 2); err != nil {
			t.Fatal(err)
		}
		return p
	}
	approved := func(p *verify.Policy, by *bundle.Signer, set string) *verify.Policy {
		if err := p.Add(verify.Key{Role: verify.RoleApprover, Set: set, PEM: string(by.PublicPEM())}); err != nil {
			t.Fatal(err)
		}
		if err := p.SetRequire(verify.RoleApprover, 1); err != nil {
			t.Fatal(err)
		}
		return p
	}
	type signers = []*bundle.Signer
	for name, x := range map[string]struct {
		signers []*bundle.Signer
		policy  *verify.Policy
		class   error
		text    []string
	}{
		"one of one":                  {signers{a}, demo(a), nil, nil},
		"one of two":                  {signers{b}, demo(a, b), nil, nil},
		"unsigned":                    {nil, demo(a), bundle.ErrUntrusted, []string{"no signature"}},
		"no policy":                   {signers{a}, nil, bundle.ErrUntrusted, []string{"0 known", a.KeyID().String()}},
		"unknown key":                 {signers{b}, demo(a), bundle.ErrUntrusted, []string{"1 known", b.KeyID().String()}},
		"key of another set":          {signers{a}, policyOf(t, verify.RoleExporter, "other", a), bundle.ErrUntrusted, []string{"for other sets only", a.KeyID().String(), "set demo"}},
		"key of any set":              {signers{a}, policyOf(t, verify.RoleExporter, verify.AnySet, a), nil, nil},
		"two of two":                  {signers{a, b}, two(demo(a, b)), nil, nil},
		"one where two are asked for": {signers{a}, two(demo(a, b)), bundle.ErrUntrusted, []string{"signed by 1 key of role exporter", "asks for 2"}},
		"an unknown one is no second": {signers{a, c}, two(demo(a, b)), bundle.ErrUntrusted, []string{"signed by 1 key", "by no key of the policy"}},
		"exporter and approver":       {signers{a, b}, approved(demo(a), b, "demo"), nil, nil},
		"no approver":                 {signers{a}, approved(demo(a), b, "demo"), bundle.ErrUntrusted, []string{"0 keys of role approver"}},
		"an approver for another set": {signers{a, b}, approved(demo(a), b, "other"), bundle.ErrUntrusted, []string{"0 keys of role approver", "other sets"}},
		"two exporters, no approver":  {signers{a, c}, approved(demo(a, c), b, "demo"), bundle.ErrUntrusted, []string{"0 keys of role approver"}},
		"approver alone":              {signers{b}, approved(demo(a), b, "demo"), bundle.ErrUntrusted, []string{"0 keys of role exporter"}},
		"unknown ones besides":        {signers{b, a, c}, demo(a), nil, nil},
	} {
		f := forgery{repos: some(), signers: x.signers}
		err := verdict(t, f.make(t, t.TempDir()), verify.Options{Policy: x.policy, Receiver: &mirror{}})
		refused(t, name, err, x.class, x.text...)
	}
}

// TestUnknownKeyIsNamed: the operator has to be told which key to ask for.
func TestUnknownKeyIsNamed(t *testing.T) {
	a := newSigner(t)
	f := forgery{repos: some(), signers: []*bundle.Signer{a}}
	err := verdict(t, f.make(t, t.TempDir()), verify.Options{Receiver: &mirror{}})
	var unknown *verify.UnknownKeyError
	if !errors.As(err, &unknown) || unknown.Set != "demo" || len(unknown.Claimed) != 1 || unknown.Claimed[0] != a.KeyID() {
		t.Errorf("got %+v, %v", unknown, err)
	}
}

// TestOtherSignatureFiles: P15, what others put next to a good signature does
// no harm, and a signature of anything else does no good.
func TestOtherSignatureFiles(t *testing.T) {
	a, b := newSigner(t), newSigner(t)
	sign := func(s *bundle.Signer, predicate, subject string, d bundle.Digest) []byte {
		out, err := s.Sign(predicate, subject, d, nil)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	f := forgery{repos: some()}
	dir := f.make(t, t.TempDir())
	root, err := os.ReadFile(filepath.Join(dir, bundle.RootName))
	if err != nil {
		t.Fatal(err)
	}
	d := bundle.DigestOf(root)
	good := sign(a, bundle.PredicateBundle, bundle.RootName, d)
	put := func(name string, b []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	one, two := policyOf(t, verify.RoleExporter, "demo", a), policyOf(t, verify.RoleExporter, "demo", a, b)
	if err := two.SetRequire(verify.RoleExporter, 2); err != nil {
		t.Fatal(err)
	}
	const name = "bundle.0000000000000000.sigstore.json"
	for what, bad := range map[string][]byte{
		"of a receipt":    sign(a, bundle.PredicateReceipt, bundle.RootName, d),
		"of another file": sign(a, bundle.PredicateBundle, "bundle2.json", d),
		"of another root": sign(a, bundle.PredicateBundle, bundle.RootName, digest("x")),
		"noise":           []byte("noise"),
		"empty":           nil,
		"too large":       append([]byte(strings.Repeat(" ", bundle.MaxSignatureSize)), good...),
	} {
		put(name, bad)
		refused(t, what, verdict(t, dir, verify.Options{Policy: one, Receiver: &mirror{}}), bundle.ErrUntrusted)
		put(bundle.SignatureName(a.KeyID()), good)
		refused(t, what+", beside a good one", verdict(t, dir, verify.Options{Policy: one, Receiver: &mirror{}}), nil)
		if err := os.Remove(filepath.Join(dir, bundle.SignatureName(a.KeyID()))); err != nil {
			t.Fatal(err)
		}
	}
	// The same key twice, under two names, is one key.
	put(name, good)
	put(bundle.SignatureName(a.KeyID()), sign(a, bundle.PredicateBundle, bundle.RootName, d))
	refused(t, "one key twice", verdict(t, dir, verify.Options{Policy: two, Receiver: &mirror{}}), bundle.ErrUntrusted, "signed by 1 key")
	// A name proves nothing: a's signature under b's name is still a's.
	put(bundle.SignatureName(b.KeyID()), good)
	refused(t, "another's name", verdict(t, dir, verify.Options{Policy: two, Receiver: &mirror{}}), bundle.ErrUntrusted, "signed by 1 key")
	put(bundle.SignatureName(b.KeyID()), sign(b, bundle.PredicateBundle, bundle.RootName, d))
	refused(t, "two keys", verdict(t, dir, verify.Options{Policy: two, Receiver: &mirror{}}), nil)
}

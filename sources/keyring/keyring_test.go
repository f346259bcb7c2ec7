package keyring

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/internal/test/plantest"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/sources"
)

func TestEntry(t *testing.T) {
	print := strings.Repeat("AB", 20)
	for name, test := range map[string]struct {
		entry Entry
		says  string // "": it is good
	}{
		"a file":             {Entry{File: "k.asc"}, ""},
		"a file of a host":   {Entry{File: "file:///etc/k.asc"}, ""},
		"a URL":              {Entry{URL: "https://a.example/k", Fingerprint: []string{strings.ToLower(print[:20]) + " " + print[20:]}}, ""},
		"both":               {Entry{File: "k", URL: "https://a.example/k"}, "not both"},
		"a URL as a file":    {Entry{File: "https://a.example/k"}, "a URL alone proves nothing"},
		"a URL alone":        {Entry{URL: "https://a.example/k"}, "needs fingerprint"},
		"no URL":             {Entry{URL: "ftp://a.example/k", Fingerprint: []string{print}}, "ftp"},
		"a fingerprint":      {Entry{Fingerprint: []string{print}}, "needs the file or url"},
		"no fingerprint":     {Entry{File: "k", Fingerprint: []string{"AB12"}}, "AB12"},
		"nothing, and asked": {Entry{}, "file or url"},
	} {
		test.entry.Pos = strictyaml.Pos{File: "spec.yaml", Line: 7, Column: 3}
		ref, err := test.entry.Ref("gpgkey", "/spec")
		if test.says == "" {
			if err != nil || ref.File != "" && !filepath.IsAbs(ref.File) || len(ref.Fingerprints) > 0 && ref.Fingerprints[0] != print {
				t.Errorf("%s: %+v, %v", name, ref, err)
			}
			continue
		}
		if !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), "spec.yaml:7:3: gpgkey: ") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if !(&Entry{}).IsZero() || (&Entry{File: "k"}).IsZero() {
		t.Error("IsZero")
	}
}

// A key that is fetched counts by its fingerprint alone; of two copies of a key the one
// that says most.
func TestLoad(t *testing.T) {
	dir, server := t.TempDir(), upstreamtest.New(t)
	env := plantest.NewEnv(t, dir, nil)
	env.Fetch.Name(server.URL(""))
	a, b := plantest.NewSigner(t, "a", 0), plantest.NewSigner(t, "b", 0)
	server.Put("/k", plantest.Armor(t, a, b))
	server.Put("/none", []byte("no key"))
	file := filepath.Join(dir, "k.asc")
	plantest.WriteKeys(t, file, a)
	print := pgpkeys.Fingerprint(b)
	byURL := &Ref{Option: "gpgkey", URL: server.URL("/k"), Fingerprints: []string{print}}
	keys, err := Load(t.Context(), env, byURL, &Ref{File: file}, &Ref{Block: string(plantest.Armor(t, a))})
	if err != nil || len(keys) != 2 {
		t.Fatalf("got %s, %v", keys, err)
	}
	if some, err := Load(t.Context(), env, byURL); err != nil || len(some) != 1 || some.String() != print {
		t.Errorf("by fingerprint: got %s, %v", some, err)
	}
	for name, test := range map[string]struct {
		ref   *Ref
		class error
		says  []string
	}{
		"a key that is not there": {&Ref{URL: server.URL("/k"), Fingerprints: []string{strings.Repeat("AB", 20)}}, fetch.ErrRefused, []string{strings.Repeat("AB", 20), server.URL("/k"), print}},
		"no key at a URL":         {&Ref{URL: server.URL("/none"), Fingerprints: []string{print}}, fetch.ErrUpstream, []string{"/none"}},
		"no such URL":             {&Ref{URL: server.URL("/gone"), Fingerprints: []string{print}}, fetch.ErrUpstream, []string{"404"}},
		"no such file":            {&Ref{File: filepath.Join(dir, "none")}, bundle.ErrUsage, []string{"none"}},
	} {
		_, err := Load(t.Context(), env, test.ref)
		if !errors.Is(err, test.class) {
			t.Errorf("%s: got %v", name, err)
			continue
		}
		for _, want := range test.says {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v does not name %s", name, err, want)
			}
		}
	}
	older, err := pgpkeys.Parse(plantest.Armor(t, a))
	if err != nil {
		t.Fatal(err)
	}
	if err := a.RevokeKey(0, "gone", nil); err != nil {
		t.Fatal(err)
	}
	revoked, plain := filepath.Join(dir, "revoked.asc"), filepath.Join(dir, "plain.asc")
	plantest.WriteKeys(t, revoked, a)
	plantest.WriteKeys(t, plain, older[0])
	for _, refs := range [][]*Ref{{{File: revoked}, {File: plain}}, {{File: plain}, {File: revoked}}} {
		if keys, err := Load(t.Context(), env, refs...); err != nil || len(keys) != 1 || len(keys[0].Revocations) == 0 {
			t.Errorf("the copy that is revoked does not count: %v", err)
		}
	}
}

func TestSignatures(t *testing.T) {
	now := plantest.Now()
	signer, eve := plantest.NewSigner(t, "a", 0), plantest.NewSigner(t, "eve", 0)
	short := plantest.NewSigner(t, "short", 40*24*time.Hour)
	keys := Keys{signer, short}
	text := []byte("Suite: stable\n- dash\n")
	whole := plantest.ClearSign(t, text, signer)
	if got, by, err := keys.ClearSigned("u", whole, now); err != nil || !bytes.Equal(got, text) || by.Vouched() != "openpgp:"+pgpkeys.Fingerprint(signer) {
		t.Errorf("got %q by %s, %v", got, by, err)
	}
	if got, by, err := keys.ClearSigned("u", plantest.ClearSign(t, text, eve, signer), now); err != nil || !bytes.Equal(got, text) || len(by) != 1 {
		t.Errorf("one of two: got %q by %s, %v", got, by, err)
	}
	for name, content := range map[string][]byte{
		"not signed":    text,
		"text before":   append([]byte("x\n"), whole...),
		"text after":    append(bytes.Clone(whole), "x\n"...),
		"two of them":   append(bytes.Clone(whole), whole...),
		"by another":    plantest.ClearSign(t, text, eve),
		"by one lapsed": plantest.ClearSign(t, text, short),
		"changed":       bytes.Replace(whole, []byte("stable"), []byte("evil"), 1),
		"cut off":       whole[:len(whole)-60],
	} {
		if _, _, err := keys.ClearSigned("http://u/InRelease", content, now); !errors.Is(err, fetch.ErrRefused) || !strings.Contains(err.Error(), "http://u/InRelease") || !strings.Contains(err.Error(), pgpkeys.Fingerprint(signer)) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if by, err := keys.Detached("u", text, plantest.Detach(t, text, signer), now); err != nil || by.String() != pgpkeys.Fingerprint(signer) {
		t.Errorf("got %s, %v", by, err)
	}
	for name, signature := range map[string][]byte{"by another": plantest.Detach(t, text, eve), "of another": plantest.Detach(t, []byte("x"), signer), "none": []byte("x"), "empty": nil} {
		if _, err := keys.Detached("u", text, signature, now); !errors.Is(err, fetch.ErrRefused) || !strings.Contains(err.Error(), pgpkeys.Fingerprint(signer)) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if early := plantest.Now().AddDate(0, -11, 0).Add(-ClockSkew); true {
		if _, err := keys.Detached("u", text, plantest.Detach(t, text, signer), early); err != nil {
			t.Errorf("a signer's clock %s ahead: %v", ClockSkew, err)
		}
		if _, err := keys.Detached("u", text, plantest.Detach(t, text, signer), early.Add(-time.Second)); err == nil {
			t.Error("a signature of the future holds")
		}
	}
	if got := Plain(whole); !bytes.Equal(got, text) || !bytes.Equal(Plain(text), text) {
		t.Errorf("plain text %q", got)
	}
}

func TestPublish(t *testing.T) {
	a, b := plantest.NewSigner(t, "a", 0), plantest.NewSigner(t, "b", 0)
	one, err := Keys{a, b}.Publish(RoleUpstream, Path("x/rpm"))
	if err != nil || len(one) != 2 || one[0].Fingerprint >= one[1].Fingerprint || one[0].Path != "x-rpm.asc" || one[0].Role != "upstream" {
		t.Fatalf("got %+v, %v", one, err)
	}
	two, err := (Keys{b}).Union(Keys{a, b}).Publish(RoleUpstream, Path("x/rpm"))
	if err != nil || len(two) != 2 || !bytes.Equal(one[0].Armored, two[0].Armored) {
		t.Errorf("in another order: other bytes, or %v", err)
	}
	if none, err := (Keys{}).Publish(RoleSite, "x"); none != nil || err != nil {
		t.Errorf("none: %v, %v", none, err)
	}
	env := plantest.NewEnv(t, t.TempDir(), nil)
	if err := needSite(env, strictyaml.Pos{}, "os"); !errors.Is(err, bundle.ErrUsage) {
		t.Errorf("no site key: %v", err)
	}
	env.Site = a
	signer, keys, err := Site(env)
	if err != nil || signer == nil || len(keys) != 1 || keys[0].Role != "site" || keys[0].Path != "demo-site.asc" || needSite(env, strictyaml.Pos{}, "os") != nil {
		t.Errorf("got %v, %+v, %v", signer, keys, err)
	}
	public, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(keys[0].Armored))
	if err != nil {
		t.Fatal(err)
	}
	env.Site = public[0]
	if signer, keys, err := Site(env); err != nil || signer != nil || len(keys) != 1 {
		t.Errorf("a key that is not open: got %v, %d keys, %v", signer, len(keys), err)
	}
}

// FuzzClearSigned: what is accepted is what was signed, however it is mangled.
func FuzzClearSigned(f *testing.F) {
	signer := plantest.NewSigner(f, "a", 0)
	text := []byte("Suite: stable\nDate: Sat, 31 Oct 2026 12:00:00 UTC\n")
	whole := plantest.ClearSign(f, text, signer)
	f.Add(whole)
	f.Add(append([]byte("x\n"), whole...))
	f.Add(append(bytes.Clone(whole), whole...))
	f.Add(bytes.Replace(whole, []byte("stable"), []byte("- evil"), 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, by, err := Keys{signer}.ClearSigned("u", b, plantest.Now())
		switch {
		case err != nil && !errors.Is(err, fetch.ErrRefused):
			t.Errorf("%v: of no class", err)
		case err == nil && (!bytes.Equal(bytes.ReplaceAll(got, []byte("\r"), nil), text) || len(by) != 1):
			t.Errorf("accepted with other content:\n%s", b)
		}
	})
}

// FuzzLoad: a keyring is keys or an error.
func FuzzLoad(f *testing.F) {
	f.Add(plantest.Armor(f, plantest.NewSigner(f, "a", 0)))
	f.Add([]byte("-----BEGIN PGP PUBLIC KEY BLOCK-----\n"))
	f.Add([]byte{0x99, 1, 2, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		name := filepath.Join(t.TempDir(), "k")
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		keys, err := Load(t.Context(), plantest.NewEnv(t, t.TempDir(), nil), &Ref{File: name})
		if (err == nil) != (len(keys) > 0) || err != nil && !errors.Is(err, bundle.ErrUsage) {
			t.Errorf("%d keys, %v", len(keys), err)
		}
	})
}

// A weak key counts only if the spec allows it: alone or named it is refused with the line
// that would, among others it is left out.
func TestWeakKeys(t *testing.T) {
	dir := t.TempDir()
	weak, err := openpgp.NewEntity("old", "", "", &packet.Config{Algorithm: packet.PubKeyAlgoRSA, RSABits: 1024, Time: func() time.Time { return plantest.Now().AddDate(-1, 0, 0) }})
	if err != nil {
		t.Fatal(err)
	}
	good := plantest.NewSigner(t, "a", 0)
	alone, both := filepath.Join(dir, "weak.asc"), filepath.Join(dir, "both.asc")
	plantest.WriteKeys(t, alone, weak)
	plantest.WriteKeys(t, both, weak, good)
	print := pgpkeys.Fingerprint(weak)
	env := plantest.NewEnv(t, dir, nil)
	for _, ref := range []*Ref{{File: alone}, {File: both, Fingerprints: []string{print}}, {File: both, Fingerprints: []string{pgpkeys.Fingerprint(good), print}}} {
		_, err := Load(t.Context(), env, ref)
		if !errors.Is(err, fetch.ErrRefused) || !strings.Contains(err.Error(), "RSA with 1024 bits, want 2048 or more") || !strings.Contains(err.Error(), "allow-weak-key: "+print) {
			t.Errorf("%+v: %v", ref, err)
		}
	}
	text := []byte("text")
	keys, err := Load(t.Context(), env, &Ref{File: both})
	if err != nil || len(keys) != 1 {
		t.Fatalf("one weak key of two: %s, %v", keys, err)
	}
	if _, err := keys.Detached("it", text, plantest.Detach(t, text, weak), plantest.Now()); !errors.Is(err, fetch.ErrRefused) {
		t.Errorf("a signature by the weak key: %v", err)
	}
	env.Weak = sources.NewWeakKeys([]string{print})
	if keys, err = Load(t.Context(), env, &Ref{File: alone}); err != nil || len(keys) != 1 {
		t.Fatalf("allowed: %s, %v", keys, err)
	}
	if by, err := keys.Detached("it", text, plantest.Detach(t, text, weak), plantest.Now()); err != nil || by.String() != print {
		t.Errorf("a signature by the weak key that is allowed: %s, %v", by, err)
	}
	if used := env.Weak.Used(); len(used) != 1 || used[0] != print {
		t.Errorf("used: %v", used)
	}
}

package verify_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/verify"
)

var added = time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)

func publicPEM(t testing.TB) string {
	t.Helper()
	_, pub, err := bundle.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return string(pub)
}

var fingerprint = strings.Repeat("0123456789ABCDEF0123", 2)

func TestPolicyRoundTrip(t *testing.T) {
	var p verify.Policy
	for _, k := range []verify.Key{
		{Role: verify.RoleExporter, Set: "gpu", PEM: publicPEM(t), Added: added},
		{Role: verify.RoleApprover, Set: verify.AnySet, PEM: publicPEM(t), Added: added.Add(time.Millisecond)},
	} {
		for range 2 { // the second time changes nothing
			if err := p.Add(k); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := p.AddOpenPGP(verify.OpenPGPKey{Role: verify.RoleSite, Set: "gpu", Fingerprint: fingerprint, Added: added}); err != nil {
		t.Fatal(err)
	}
	if err := p.SetRequire(verify.RoleApprover, 1); err != nil {
		t.Fatal(err)
	}
	b, err := p.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	q, err := verify.ParsePolicy(b)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := q.Marshal(); err != nil || !bytes.Equal(again, b) {
		t.Errorf("want %s\ngot  %s, %v", b, again, err)
	}
	if len(q.Keys) != 2 || len(q.OpenPGP) != 1 || q.Required(verify.RoleApprover) != 1 || q.Required(verify.RoleExporter) != 1 {
		t.Errorf("got %+v", q)
	}
	zero, err := verify.ParsePolicy([]byte("{}"))
	if err != nil || zero.Required(verify.RoleExporter) != 1 || zero.Required(verify.RoleApprover) != 0 {
		t.Errorf("the empty policy: %+v, %v", zero, err)
	}
}

func TestPolicyRefuses(t *testing.T) {
	pem, other := publicPEM(t), publicPEM(t)
	_, id, err := bundle.ParsePublicKey([]byte(other))
	if err != nil {
		t.Fatal(err)
	}
	p := verify.Policy{}
	if err := p.Add(verify.Key{Role: verify.RoleExporter, Set: "gpu", PEM: pem}); err != nil {
		t.Fatal(err)
	}
	if err := p.AddOpenPGP(verify.OpenPGPKey{Role: verify.RoleSite, Set: "gpu", Fingerprint: fingerprint}); err != nil {
		t.Fatal(err)
	}
	before, err := p.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"two roles":            p.Add(verify.Key{Role: verify.RoleApprover, Set: "other", PEM: pem}),
		"no set":               p.Add(verify.Key{Role: verify.RoleExporter, PEM: other}),
		"a bad set":            p.Add(verify.Key{Role: verify.RoleExporter, Set: "A", PEM: other}),
		"no signing role":      p.Add(verify.Key{Role: verify.RoleSite, Set: "gpu", PEM: other}),
		"no role":              p.Add(verify.Key{Set: "gpu", PEM: other}),
		"no key":               p.Add(verify.Key{Role: verify.RoleExporter, Set: "gpu", PEM: "x"}),
		"another's identity":   p.Add(verify.Key{Role: verify.RoleExporter, Set: "gpu", PEM: pem, ID: id}),
		"OpenPGP, two roles":   p.AddOpenPGP(verify.OpenPGPKey{Role: verify.RoleUpstream, Set: "x", Fingerprint: fingerprint}),
		"OpenPGP, a role":      p.AddOpenPGP(verify.OpenPGPKey{Role: verify.RoleExporter, Set: "x", Fingerprint: fingerprint}),
		"OpenPGP, no set":      p.AddOpenPGP(verify.OpenPGPKey{Role: verify.RoleSite, Fingerprint: fingerprint}),
		"OpenPGP, short":       p.AddOpenPGP(verify.OpenPGPKey{Role: verify.RoleSite, Set: "x", Fingerprint: fingerprint[:16]}),
		"OpenPGP, lower case":  p.AddOpenPGP(verify.OpenPGPKey{Role: verify.RoleSite, Set: "x", Fingerprint: strings.ToLower(fingerprint)}),
		"no exporter":          p.SetRequire(verify.RoleExporter, 0),
		"negative":             p.SetRequire(verify.RoleApprover, -1),
		"more than are read":   p.SetRequire(verify.RoleApprover, bundle.MaxSignatures+1),
		"require no such role": p.SetRequire(verify.RoleSite, 1),
	} {
		if !errors.Is(err, bundle.ErrUsage) {
			t.Errorf("%s: want ErrUsage, got %v", name, err)
		}
	}
	if after, err := p.Marshal(); err != nil || !bytes.Equal(before, after) {
		t.Errorf("refusals changed the policy: %s, %v", after, err)
	}
	for name, bad := range map[string]string{
		"not canonical": strings.Replace(string(before), ":", ": ", 1),
		"unknown key":   strings.Replace(string(before), `{"keys"`, `{"cheese":1,"keys"`, 1),
		"other role":    strings.Replace(string(before), `"role":"exporter"`, `"role":"site"`, 1),
		"nothing":       "",
		"too large":     strings.Repeat(" ", verify.MaxPolicySize+1),
	} {
		if _, err := verify.ParsePolicy([]byte(bad)); !errors.Is(err, bundle.ErrMalformed) && !errors.Is(err, bundle.ErrUsage) {
			t.Errorf("%s: want ErrMalformed or ErrUsage, got %v", name, err)
		}
	}
}

func TestPolicyRemove(t *testing.T) {
	pem := publicPEM(t)
	_, id, err := bundle.ParsePublicKey([]byte(pem))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{id.String(), id.Hex(), id.Short()} {
		var p verify.Policy
		for _, set := range []string{"a", "b"} {
			if err := p.Add(verify.Key{Role: verify.RoleExporter, Set: set, PEM: pem}); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.AddOpenPGP(verify.OpenPGPKey{Role: verify.RoleSite, Set: "a", Fingerprint: fingerprint}); err != nil {
			t.Fatal(err)
		}
		for _, bad := range []string{"", id.Hex()[:11], strings.Repeat("0", 12)} {
			if _, err := p.Remove(bad); !errors.Is(err, bundle.ErrUsage) {
				t.Errorf("%q: want ErrUsage, got %v", bad, err)
			}
		}
		if got, err := p.Remove(name); err != nil || got != id.Hex() || len(p.Keys) != 0 || len(p.OpenPGP) != 1 {
			t.Errorf("%s: %s, %v, left %+v", name, got, err, p)
		}
		if got, err := p.Remove(fingerprint); err != nil || got != fingerprint || len(p.OpenPGP) != 0 {
			t.Errorf("OpenPGP: %s, %v, left %+v", got, err, p)
		}
	}
}

// TestFloor is the whole arithmetic of P17.
func TestFloor(t *testing.T) {
	day := func(n int) time.Time { return added.Add(time.Duration(n) * 24 * time.Hour) }
	for _, c := range []struct{ floor, created, want int }{
		{0, -5, 0}, {0, 0, 0}, {0, 1, 1}, {0, 90, 90}, {0, 91, 90}, {0, 36_500, 90}, {100, 50, 100},
	} {
		if got := verify.NextFloor(day(c.floor), day(c.created)); !got.Equal(day(c.want)) {
			t.Errorf("floor day %d, created day %d: want day %d, got %s", c.floor, c.created, c.want, got)
		}
	}
}

func FuzzPolicy(f *testing.F) {
	f.Add([]byte("{}"))
	var p verify.Policy
	if err := p.Add(verify.Key{Role: verify.RoleExporter, Set: "gpu", PEM: publicPEM(f), Added: added}); err != nil {
		f.Fatal(err)
	}
	if err := p.AddOpenPGP(verify.OpenPGPKey{Role: verify.RoleSite, Set: "gpu", Fingerprint: fingerprint, Added: added}); err != nil {
		f.Fatal(err)
	}
	if err := p.SetRequire(verify.RoleApprover, 2); err != nil {
		f.Fatal(err)
	}
	b, err := p.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := verify.ParsePolicy(b)
		if err != nil {
			if !errors.Is(err, bundle.ErrMalformed) && !errors.Is(err, bundle.ErrUsage) {
				t.Fatalf("want ErrMalformed or ErrUsage, got %v", err)
			}
			return
		}
		roles := map[bundle.Digest]verify.Role{}
		for _, k := range p.Keys {
			if r, ok := roles[k.ID]; ok && r != k.Role {
				t.Fatalf("key %s has two roles", k.ID)
			}
			roles[k.ID] = k.Role
		}
		if p.Required(verify.RoleExporter) < 1 {
			t.Fatal("a policy that asks for no exporter")
		}
		if _, err := p.Marshal(); err != nil {
			t.Fatal(err)
		}
	})
}

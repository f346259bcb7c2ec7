package galaxy

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/sources/galaxy/galaxytest"
)

// TestSignatures: how many have to hold, and which count.
func TestSignatures(t *testing.T) {
	alice, bob, eve := newSigner(t, "alice"), newSigner(t, "bob"), newSigner(t, "eve")
	for name, c := range map[string]struct {
		signers []*openpgp.Entity
		named   []*openpgp.Entity // whose signatures the requirements file names
		need    string
		refused string
		vouched string
	}{
		"one":                             {signers: []*openpgp.Entity{alice}, vouched: bundle.VouchedIndex},
		"one of two keys, and a stranger": {signers: []*openpgp.Entity{eve, bob}, vouched: bundle.VouchedIndex},
		"none":                            {refused: "0 valid signatures"},
		"a stranger's":                    {signers: []*openpgp.Entity{eve}, refused: pgpkeys.Fingerprint(eve)},
		"two":                             {signers: []*openpgp.Entity{alice, bob}, need: "2", vouched: bundle.VouchedIndex},
		"one where two are wanted":        {signers: []*openpgp.Entity{alice, eve}, need: "2", refused: "1 valid signature of"},
		"all":                             {signers: []*openpgp.Entity{alice, bob}, need: "all", vouched: bundle.VouchedIndex},
		"all, and a stranger":             {signers: []*openpgp.Entity{alice, eve}, need: "all", refused: "1 valid signature of"},
		"all of none":                     {need: "all", refused: "0 valid signatures"},
		"none is wanted":                  {need: "0", vouched: bundle.VouchedNone},
		"named by the requirement":        {named: []*openpgp.Entity{bob}, vouched: bundle.VouchedIndex},
		"one of the server, one named":    {signers: []*openpgp.Entity{alice}, named: []*openpgp.Entity{bob}, need: "2", vouched: bundle.VouchedIndex},
		"a stranger's, named":             {named: []*openpgp.Entity{eve}, refused: pgpkeys.Fingerprint(eve)},
	} {
		t.Run(name, func(t *testing.T) {
			g, b := galaxytest.New(t), newBench(t)
			b.relock(false)
			write(t, b.dir, "keys.asc", string(armored(t, alice))+string(armored(t, bob)))
			g.Add(signed(t, base("1.0.0"), c.signers...))
			file := "collections:\n- name: acme.base\n"
			if len(c.named) > 0 {
				g.Put("/sig.asc", []byte(signed(t, base("1.0.0"), c.named...).Signatures[0]))
				file += "  signatures: [" + g.URL("/sig.asc") + "]\n"
			}
			write(t, b.dir, "requirements.yml", file)
			o := given{"server": g.Root(), "requirements": "requirements.yml", "keyring": "keys.asc"}
			if c.need != "" {
				o["required-valid-signature-count"] = c.need
			}
			p := b.want(o, "artifacts/acme-base-1.0.0")
			for a, err := range p.Repositories[0].Artifacts() {
				if err != nil {
					t.Fatal(err)
				}
				if a.File.Path != "artifacts/acme-base-1.0.0.tar.gz" {
					continue
				}
				content, err := a.Open(t.Context(), 0, "")
				if err != nil {
					t.Fatal(err)
				}
				_, err = io.Copy(io.Discard, content.Body)
				switch _ = content.Body.Close(); {
				case c.refused == "" && (err != nil || a.Evidence.Vouched != c.vouched):
					t.Errorf("%v, vouched for as %s", err, a.Evidence.Vouched)
				case c.refused != "" && (!errors.Is(err, fetch.ErrRefused) || !strings.Contains(err.Error(), c.refused)):
					t.Errorf("got %v, want one that names %s", err, c.refused)
				}
			}
			if inside := content(t, p, "v3/collections/acme/base/versions/1.0.0/index.html"); strings.Count(inside, "BEGIN PGP SIGNATURE") != len(c.signers)+len(c.named) {
				t.Errorf("signatures carried: %s", inside)
			}
		})
	}
}

package galaxy

import (
	"bytes"
	"fmt"
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
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/galaxy/galaxytest"
	"github.com/gapbundle/gapbundle/sources/sourcetest"
)

// made2026 dates keys and signatures before the times that the suite exports at. There is no salt in
// them: gpg repeats it in its status, which ansible-galaxy reads as UTF-8.
func made2026() *packet.Config {
	return &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA, NonDeterministicSignaturesViaNotation: packet.BoolPointer(false), Time: func() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }}
}

func newSigner(t testing.TB, name string) *openpgp.Entity {
	t.Helper()
	e, err := openpgp.NewEntity(name, "", name+"@example.org", made2026())
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func armored(t testing.TB, signer *openpgp.Entity) []byte {
	t.Helper()
	b, err := pgpkeys.Armor(openpgp.EntityList{signer})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// signed returns a collection with a signature by each signer.
func signed(t testing.TB, c *galaxytest.Collection, signers ...*openpgp.Entity) *galaxytest.Collection {
	t.Helper()
	for _, s := range signers {
		var b bytes.Buffer
		if err := openpgp.ArmoredDetachSign(&b, s, strings.NewReader(c.Manifest()), made2026()); err != nil {
			t.Fatal(err)
		}
		c.Signatures = append(c.Signatures, b.String())
	}
	return c
}

func write(t testing.TB, dir, name, content string) {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func tool(v string, needs ...string) *galaxytest.Collection {
	c := &galaxytest.Collection{Namespace: "acme", Name: "tools", Version: v, Files: map[string]string{"plugins/modules/big.py": strings.Repeat("# "+v+"\n", 20_000)}}
	if len(needs) > 0 {
		c.Dependencies = map[string]string{"acme.base": needs[0]}
	}
	return c
}

func base(v string) *galaxytest.Collection {
	return &galaxytest.Collection{Namespace: "acme", Name: "base", Version: v}
}

// rig is a Galaxy with signed collections and two roles, one of which needs the other.
type rig struct {
	*galaxytest.Server
	alice, eve *openpgp.Entity
	dir        string
	tools      *galaxytest.Collection
}

func newRig(t *testing.T, dir string) *rig {
	r := &rig{Server: galaxytest.New(t), alice: newSigner(t, "alice"), eve: newSigner(t, "eve"), dir: dir}
	write(t, dir, "keys.asc", string(armored(t, r.alice)))
	write(t, dir, "requirements.yml", "collections:\n- {name: acme.tools, version: '>=1,<3'}\nroles:\n- acme.ntp\n")
	r.tools = signed(t, tool("1.1.0", ">=1.0.0"), r.alice)
	r.Add(signed(t, tool("1.0.0"), r.alice), r.tools, signed(t, base("1.0.0"), r.alice), signed(t, base("1.5.0"), r.alice), signed(t, tool("3.0.0"), r.alice))
	r.AddRoles(&galaxytest.Role{Owner: "acme", Name: "ntp", Tag: "v1.0.0", Meta: "galaxy_info: {}\ndependencies: [{role: acme.bash, version: v2}]\n"},
		&galaxytest.Role{Owner: "acme", Name: "bash", Tag: "v1"}, &galaxytest.Role{Owner: "acme", Name: "bash", Tag: "v2"})
	return r
}

func (r *rig) spec() string {
	return "- name: galaxy\n  kind: galaxy\n  server: " + r.Root() + "\n  requirements: requirements.yml\n  keyring: keys.asc\n"
}

func TestSuite(t *testing.T) {
	sourcetest.Run(t, sourcetest.Suite{
		Kinds: sources.Kinds{Kind()}, Counted: "collections+roles",
		New: func(t *testing.T, dir string) *sourcetest.Upstream {
			r := newRig(t, dir)
			page := func(c *galaxytest.Collection) string {
				return r.URL(fmt.Sprintf("/api/v3/collections/%s/%s/versions/%s/", c.Namespace, c.Name, c.Version))
			}
			artifact := r.URL(galaxytest.ArtifactPath(r.tools))
			replace := func(c *galaxytest.Collection) func() {
				return func() { r.Withdraw(r.tools); r.Add(c) }
			}
			return &sourcetest.Upstream{
				Server: r.Server.Server, Sources: r.spec(),
				Payload: map[string][]byte{galaxytest.ArtifactPath(r.tools): r.tools.Archive(t), galaxytest.ArtifactPath(base("1.5.0")): base("1.5.0").Archive(t)},
				Next: [2]func() string{
					func() string {
						r.Add(signed(t, tool("2.0.0", ">=1.0.0"), r.alice))
						r.AddRoles(&galaxytest.Role{Owner: "acme", Name: "ntp", Tag: "v1.1.0", Meta: "dependencies: [{role: acme.bash, version: v2}]\n"})
						return r.spec()
					},
					func() string {
						write(t, dir, "requirements.yml", "collections: [acme.base]\nroles: [acme.ntp]\n")
						return r.spec()
					},
				},
				Unsigned: func() string { return strings.Replace(r.spec(), "  keyring: keys.asc\n", "", 1) },
				Nothing: []sourcetest.Nothing{
					{Sources: r.spec() + "  collections: \"nosuch.*\"\n", Names: []string{"nosuch.*"}},
					{Sources: r.spec() + "  collections: \"acme.tools:>=9\"\n", Names: []string{">=9", "3.0.0, 1.1.0, 1.0.0"}},
					{Sources: r.spec() + "  roles: \"acme.ntp,v9\"\n", Names: []string{"acme.ntp", "v9"}},
				},
				Forgeries: []sourcetest.Forgery{
					{Name: "signed by somebody else", Do: replace(signed(t, tool("1.1.0", ">=1.0.0"), r.eve)), Class: fetch.ErrRefused, Names: []string{artifact, pgpkeys.Fingerprint(r.alice)}},
					{Name: "not signed", Do: replace(tool("1.1.0", ">=1.0.0")), Class: fetch.ErrRefused, Names: []string{artifact, "0 valid signatures"}},
					{Name: "another collection in the archive", Do: func() {
						other := tool("1.1.0", ">=1.0.0")
						other.Content = signed(t, tool("1.0.0"), r.alice).Archive(t)
						replace(signed(t, other, r.alice))()
					}, Class: fetch.ErrRefused, Names: []string{artifact, "acme.tools 1.0.0", "acme.tools 1.1.0"}},
					{Name: "no archive", Do: func() {
						other := tool("1.1.0", ">=1.0.0")
						other.Content = []byte("<html>not found</html>")
						replace(other)()
					}, Class: fetch.ErrUpstream, Names: []string{artifact}},
					{Name: "archive gone", Do: func() { r.Remove(galaxytest.ArtifactPath(r.tools)) }, Class: fetch.ErrUpstream, Names: []string{artifact}},
					{Name: "page is not JSON", Do: func() { r.Put("/api/v3/collections/acme/tools/versions/1.1.0/", []byte("<html>")) }, Class: fetch.ErrUpstream, Names: []string{page(r.tools)}},
					{Name: "no such version", Do: func() { write(t, dir, "requirements.yml", "collections: [{name: acme.tools, version: '>=9'}]") }, Class: bundle.ErrUsage,
						Names: []string{"acme.tools", ">=9", "3.0.0, 1.1.0, 1.0.0"}},
				},
			}
		},
	})
}

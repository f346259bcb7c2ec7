package git

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/test/gittest"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/sourcetest"
)

// pgpKey makes a key, writes its public half to name, and returns what signs.
func pgpKey(t *testing.T, name string) func(text string) string {
	t.Helper()
	made := &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA, Time: func() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }}
	e, err := openpgp.NewEntity("release", "", "release@example.org", made)
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	w, err := armor.Encode(&file, openpgp.PublicKeyType, nil)
	if err := errors.Join(err, e.Serialize(w), w.Close(), os.WriteFile(name, file.Bytes(), 0o644)); err != nil {
		t.Fatal(err)
	}
	return func(text string) string {
		var b bytes.Buffer
		if err := openpgp.ArmoredDetachSign(&b, e, strings.NewReader(text), made); err != nil {
			t.Fatal(err)
		}
		return b.String() + "\n"
	}
}

func TestSuite(t *testing.T) {
	sourcetest.Run(t, sourcetest.Suite{
		ReadByCheck: func(path string) bool { return strings.Contains(path, "/objects/pack/") }, // git makes packs
		Kinds:       sources.Kinds{Kind()}, Counted: "refs", FirstAlone: true,
		New: func(t *testing.T, dir string) *sourcetest.Upstream {
			host := gittest.NewHost(t, true)
			objects := host.LFS()
			sign := pgpKey(t, filepath.Join(dir, "release.asc"))
			up, sub, old := gittest.New(t), gittest.New(t), gittest.New(t)
			pin := sub.Commit("sub", map[string]string{"s": "s\n"})
			host.Publish("o/sub", sub)
			old.Commit("old", map[string]string{"o": "o\n"})
			host.Publish("o/old", old)
			pointer, path := objects.Put(strings.Repeat("large ", 500))
			up.Submodule("sub", "../sub.git", pin)
			up.Commit("one", map[string]string{"large": pointer, "a": "a\n"})
			up.SignTag("v1", sign)
			host.Publish("o/up", up)
			spec := func(more string) string {
				return fmt.Sprintf("- name: code\n  kind: git\n  url: %q\n  lfs: tips\n  signed: {keys: [release.asc], refs: [\"refs/tags/*\"]}\n", host.URL("o/up")) + more
			}
			second := fmt.Sprintf("- name: old\n  kind: git\n  url: %q\n", host.URL("o/old"))
			return &sourcetest.Upstream{
				Server: host.Server, Sources: spec(second), Payload: map[string][]byte{path: []byte(strings.Repeat("large ", 500))},
				Next: [2]func() string{
					func() string {
						more, _ := objects.Put(strings.Repeat("more ", 700))
						up.Commit("two", map[string]string{"more": more, "a": "b\n"})
						up.SignTag("v2", sign)
						host.Publish("o/up", up)
						return spec(second)
					},
					func() string { return spec("") },
				},
				Unsigned: func() string {
					return fmt.Sprintf("- name: code\n  kind: git\n  url: %q\n  lfs: tips\n", host.URL("o/up")) + second
				},
				Nothing: []sourcetest.Nothing{
					{Sources: second + "  refs: \"refs/tags/nosuch*\"\n", Names: []string{"refs/tags/nosuch*", "refs/heads/main"}},
					{Sources: second + "  refs: [\"refs/heads/*\", \"refs/tags/nosuch*\"]\n", Names: []string{"refs/tags/nosuch*", "refs/heads/main"}},
					{Sources: second + "  exclude: \"refs/heads/nosuch*\"\n", Names: []string{"exclude", "refs/heads/nosuch*"}},
					{Sources: second + "  exclude: \"refs/*\"\n", Names: []string{"refs/*"}},
					{Sources: strings.Replace(spec(""), "refs/tags/*", "refs/tags/nosuch*", 1), Names: []string{"signed", "refs/tags/nosuch*"}},
				},
				Forgeries: []sourcetest.Forgery{
					{Name: "a tag that nobody signed", Do: func() {
						up.Git("tag", "-f", "-a", "-m", "v1", "v1")
						host.Publish("o/up", up)
					}, Class: fetch.ErrRefused, Names: []string{host.URL("o/up"), "refs/tags/v1", "no signature"}},
					{Name: "a tag that somebody else signed", Do: func() {
						up.SignTag("v1", pgpKey(t, filepath.Join(t.TempDir(), "other.asc")))
						host.Publish("o/up", up)
					}, Class: fetch.ErrRefused, Names: []string{host.URL("o/up"), "refs/tags/v1", "signature"}},
					{Name: "a tree that overwrites .git", Do: func() {
						inner := up.Git("mktree", "--missing")
						tree := up.Object("tree", append([]byte("40000 .git\x00"), raw(inner)...))
						up.Git("update-ref", "refs/heads/main", up.Git("commit-tree", "-m", "bad", tree))
						host.Publish("o/up", up)
					}, Class: fetch.ErrUpstream, Names: []string{host.URL("o/up"), "hasDotgit"}},
					{Name: "an object of LFS is missing", Do: func() { objects.Forget(path) },
						Class: fetch.ErrUpstream, Names: []string{host.URL("o/up"), "commit ", "large", "Object does not exist"}},
					{Name: "the submodule's commit is missing", Do: func() {
						up.Submodule("sub", "../sub.git", strings.Repeat("12", 20))
						up.Commit("bad", nil)
						host.Publish("o/up", up)
					}, Class: fetch.ErrUpstream, Names: []string{host.URL("o/sub"), strings.Repeat("12", 20), "the submodule sub"}},
				},
			}
		},
	})
}

// raw returns an object's name in bytes, as trees have it.
func raw(name string) []byte {
	b := make([]byte, 20)
	if n, err := fmt.Sscanf(name, "%x", &b); n != 1 || err != nil {
		panic(err)
	}
	return b
}

package rpm

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/gapbundle/gapbundle/internal/pgpkeys"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/sources/keyring"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmtest"
)

// now is the judging time of the tests.
var now = rpmtest.Now

func writeKeys(t testing.TB, name string, keys ...*openpgp.Entity) {
	t.Helper()
	text, err := pgpkeys.Armor(keys)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

// archive is an upstream of one repository.
type archive struct {
	rpmtest.Repository
	t      testing.TB
	server *upstreamtest.Server
	dir    string // of the spec
	at     string // "/epel/9"
	key    *openpgp.Entity
	files  map[string][]byte
}

// keyOnce is made once: an RSA key takes its time.
var archiveKey = struct{ key, eve *openpgp.Entity }{}

func signers(t testing.TB) (key, eve *openpgp.Entity) {
	t.Helper()
	if archiveKey.key == nil {
		archiveKey.key, archiveKey.eve = rpmtest.NewKey(t, "archive", 0), rpmtest.NewKey(t, "eve", 0)
	}
	return archiveKey.key, archiveKey.eve
}

func newArchive(t testing.TB, dir string) *archive {
	key, _ := signers(t)
	a := &archive{t: t, server: upstreamtest.New(t), dir: dir, at: "/epel/9", key: key}
	a.Signer = key
	a.Packages = []*rpmtest.Package{
		a.pkg("hello", "2.10", "x86_64", "libhello.so"),
		a.pkg("libhello", "2.10", "x86_64"),
		a.pkg("data", "1", "noarch"),
		a.pkg("other", "1", "x86_64"),
	}
	a.Packages[1].Provides = []string{"libhello.so"}
	a.Packages[0].Files = []string{"/usr/bin/hello", "/usr/share/hello/x"}
	writeKeys(t, filepath.Join(dir, "archive.asc"), key)
	return a
}

func (a *archive) pkg(name, version, arch string, requires ...string) *rpmtest.Package {
	return &rpmtest.Package{Name: name, Version: version, Release: "1.el9", Arch: arch, Requires: requires, Signer: a.key}
}

// publish puts the repository on the server.
func (a *archive) publish() {
	a.t.Helper()
	files := a.Build(a.t)
	for name := range a.files {
		if _, ok := files[name]; !ok {
			a.server.Remove(a.at + "/" + name)
		}
	}
	for name, content := range files {
		a.server.Put(a.at+"/"+name, content)
	}
	a.files = maps.Clone(files)
}

// find returns the path of a file whose name has a part.
func (a *archive) find(part string) string {
	for name := range a.files {
		if strings.Contains(name, part) {
			return name
		}
	}
	a.t.Fatalf("no file like %s", part)
	return ""
}

// spec returns a source over the repository, with further lines.
func (a *archive) spec(more ...string) string {
	text := "- name: epel\n  kind: rpm\n  baseurl: " + a.server.URL(a.at) + "\n  gpgkey: archive.asc\n"
	for _, line := range more {
		text += "  " + line + "\n"
	}
	return text
}

// keys returns those of the archive.
func (a *archive) keys() keyring.Keys { return keyring.Keys{a.key} }

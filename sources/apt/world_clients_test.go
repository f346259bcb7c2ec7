//go:build clients

package apt

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/gapbundle/gapbundle/internal/test/plantest"
	"github.com/gapbundle/gapbundle/sources/apt/deb"
	"github.com/gapbundle/gapbundle/sources/sourcetest"
)

// world is an upstream of real packages, an exporter and a mirror.
type world struct {
	*sourcetest.World
	t      *testing.T
	www    string // upstream's web root
	url    string
	dir    string // of spec, keys and media
	mirror string
	signer *openpgp.Entity
	udebs  []byte // index of what is for the installer, in the suites that are made; empty: none
}

func newWorld(t *testing.T) *world {
	t.Helper()
	s := sourcetest.NewWorld(t, Kind())
	w := &world{World: s, t: t, www: s.WWW, url: s.URL, dir: s.Dir, mirror: s.Mirror}
	made := time.Now().Add(-time.Hour)
	var err error
	w.signer, err = openpgp.NewEntity("upstream", "", "upstream@a.example", &packet.Config{
		Algorithm: packet.PubKeyAlgoEdDSA, Time: func() time.Time { return made },
	})
	w.Check(err)
	plantest.WriteKeys(t, filepath.Join(w.dir, "upstream.asc"), w.signer)
	return w
}

// run runs a tool in dir and returns its output.
func (w *world) run(dir, name string, args ...string) []byte {
	w.t.Helper()
	return w.Run(dir, nil, name, args...)
}

// deb builds a real package into a folder of the upstream, below repo.
func (w *world) deb(repo, folder, name, version, arch string, fields ...string) {
	w.t.Helper()
	dir := filepath.Join(w.t.TempDir(), name)
	control := fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: %s\nMaintainer: Nobody <nobody@a.example>\nSection: misc\nPriority: optional\n%sDescription: what %s is\n At length, %s is there for a test.\n",
		name, version, arch, strings.Join(append(fields, ""), "\n"), name, name)
	w.Write(filepath.Join(dir, "DEBIAN/control"), []byte(control))
	w.Write(filepath.Join(dir, "usr/share/"+name+"/content"), []byte(name+" "+version+"\n"))
	out := filepath.Join(w.www, repo, folder)
	w.Check(os.MkdirAll(out, 0o755))
	w.run("", "dpkg-deb", "--root-owner-group", "--build", dir, filepath.Join(out, fmt.Sprintf("%s_%s_%s.deb", name, strings.TrimPrefix(version, "1:"), arch)))
}

// source builds a real source package.
func (w *world) source(repo, folder, name, version string) {
	w.t.Helper()
	work := w.t.TempDir()
	dir := filepath.Join(work, name+"-"+version)
	w.Write(filepath.Join(dir, "debian/control"), []byte(fmt.Sprintf("Source: %s\nMaintainer: Nobody <nobody@a.example>\nStandards-Version: 4.6.0\n\nPackage: %s\nArchitecture: any\nDescription: what %s is\n", name, name, name)))
	w.Write(filepath.Join(dir, "debian/changelog"), []byte(fmt.Sprintf("%s (%s) stable; urgency=low\n\n  * Made.\n\n -- Nobody <nobody@a.example>  Mon, 02 Nov 2026 00:00:00 +0000\n", name, version)))
	w.Write(filepath.Join(dir, "debian/source/format"), []byte("3.0 (native)\n"))
	w.Write(filepath.Join(dir, "debian/rules"), []byte("#!/usr/bin/make -f\n%:\n\ttrue\n"))
	w.Write(filepath.Join(dir, "hello.c"), []byte("int main(void) { return 0; }\n"))
	w.run(work, "dpkg-source", "--build", dir)
	found, err := filepath.Glob(filepath.Join(work, name+"_*"))
	w.Check(err)
	for _, f := range found {
		b, err := os.ReadFile(f)
		w.Check(err)
		w.Write(filepath.Join(w.www, repo, folder, filepath.Base(f)), b)
	}
}

// suite makes the indexes of a suite by apt-ftparchive, and signs them.
func (w *world) suite(repo, suite string, components, archs []string) {
	w.t.Helper()
	root := filepath.Join(w.www, repo)
	dists := filepath.Join(root, "dists", suite)
	w.Check(os.RemoveAll(dists))
	for _, component := range components {
		pool := "pool/" + component
		for _, arch := range archs {
			packages := w.run(root, "apt-ftparchive", "-o", "APT::FTPArchive::LongDescription=false", "--arch", arch, "packages", pool)
			w.index(filepath.Join(dists, component, "binary-"+arch, "Packages"), packages, "gz", "xz")
			if len(w.udebs) > 0 {
				w.installer(filepath.Join(dists, component), component, arch)
			}
			w.index(filepath.Join(dists, component, "Contents-"+arch), w.run(root, "apt-ftparchive", "--arch", arch, "contents", pool), "gz")
			w.index(filepath.Join(dists, component, "i18n/Translation-en"), w.translation(packages), "xz")
		}
		w.index(filepath.Join(dists, component, "source/Sources"), w.run(root, "apt-ftparchive", "sources", pool), "xz")
	}
	w.sign(dists, "-o", "APT::FTPArchive::Release::Suite="+suite, "-o", "APT::FTPArchive::Release::Codename="+suite, "-o", "APT::FTPArchive::Release::Acquire-By-Hash=yes",
		"-o", "APT::FTPArchive::Release::Components="+strings.Join(components, " "), "-o", "APT::FTPArchive::Release::Architectures="+strings.Join(archs, " "))
}

// installer makes what archives have for the installer, and the small Release of the packages.
func (w *world) installer(dir, component, arch string) {
	w.t.Helper()
	w.index(filepath.Join(dir, "debian-installer/binary-"+arch, "Packages"), w.udebs, "gz")
	w.Write(filepath.Join(dir, "binary-"+arch, "Release"), []byte("Component: "+component+"\nArchitecture: "+arch+"\n"))
}

// flat makes the indexes of a flat repository.
func (w *world) flat(repo string) {
	w.t.Helper()
	root := filepath.Join(w.www, repo)
	for _, name := range []string{"Release", "InRelease"} {
		if err := os.Remove(filepath.Join(root, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			w.t.Fatal(err)
		}
	}
	w.index(filepath.Join(root, "Packages"), w.run(root, "apt-ftparchive", "packages", "."), "gz")
	w.sign(root, "-o", "APT::FTPArchive::Release::Label=flat")
}

// sign makes the Release of a folder, and InRelease. The plain indexes, which
// it lists, are not served, as archives have it.
func (w *world) sign(dir string, options ...string) {
	w.t.Helper()
	release := w.run(dir, "apt-ftparchive", append(options, "release", ".")...)
	var b bytes.Buffer
	enc, err := clearsign.Encode(&b, w.signer.PrivateKey, &packet.Config{Time: func() time.Time { return time.Now().Add(-time.Minute) }})
	w.Check(err)
	if len(w.udebs) > 0 {
		var detached bytes.Buffer
		w.Check(openpgp.DetachSign(&detached, w.signer, bytes.NewReader(release), &packet.Config{Time: func() time.Time { return time.Now().Add(-time.Minute) }}))
		w.Write(filepath.Join(dir, "Release"), release)
		w.Write(filepath.Join(dir, "Release.gpg"), detached.Bytes())
	}
	_, err = enc.Write(release)
	w.Check(err)
	w.Check(enc.Close())
	w.Write(filepath.Join(dir, "InRelease"), append(b.Bytes(), '\n'))
	w.Check(filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if base := filepath.Base(name); err != nil || d.IsDir() || base != "Packages" && base != "Sources" && !strings.HasSuffix(base, "-en") {
			return err
		}
		return os.Remove(name)
	}))
}

// index writes an index plain and compressed.
func (w *world) index(name string, content []byte, compressions ...string) {
	w.t.Helper()
	w.Write(name, content)
	for _, c := range compressions {
		if c == "xz" {
			w.run("", "xz", "--keep", "--force", name)
			continue
		}
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, err := z.Write(content)
		w.Check(errors.Join(err, z.Close()))
		w.Write(name+".gz", b.Bytes())
	}
}

// translation returns the Translation of what a Packages file holds.
func (w *world) translation(packages []byte) []byte {
	w.t.Helper()
	var b bytes.Buffer
	for p, err := range deb.Packages(bytes.NewReader(packages), deb.Limits{}) {
		w.Check(err)
		fmt.Fprintf(&b, "Package: %s\nDescription-md5: %s\nDescription-en: what %s is\n At length, %s is there for a test.\n\n", p.Name, p.Field("Description-md5"), p.Name, p.Name)
	}
	return b.Bytes()
}

// publish exports the sources of a set and imports them.
func (w *world) publish(set, text string) {
	w.t.Helper()
	w.Publish(set, text)
}

// export exports the sources of a set; there has to be something new. What is
// in two sets is chosen for each by itself, as for two clients.
func (w *world) export(set, text string) (dirs []string) {
	w.t.Helper()
	return w.Export(set, text)
}

// receive imports bundles in one go, and checks what is there then.
func (w *world) receive(dirs []string) {
	w.t.Helper()
	w.Receive(dirs)
}

// apt is a real apt with its own empty state, date and validity checks on.
type apt struct {
	w      *world
	root   string
	config string
}

// newApt sets a client up by nothing but what the mirror publishes at base. names are sources, or
// client files below that of the kind.
func (w *world) newApt(base string, arch string, names ...string) *apt {
	w.t.Helper()
	a := &apt{w: w, root: w.t.TempDir()}
	for _, folder := range []string{"etc/apt/apt.conf.d", "etc/apt/preferences.d", "etc/apt/trusted.gpg.d", "var/lib/apt/lists/partial", "var/cache/apt/archives/partial"} {
		w.Check(os.MkdirAll(filepath.Join(a.root, folder), 0o755))
	}
	w.Write(filepath.Join(a.root, "var/lib/dpkg/status"), nil)
	for _, name := range names {
		if !strings.Contains(name, "/") {
			name += ".sources"
		}
		text := strings.ReplaceAll(string(w.get(base+"/_gapbundle/clients/apt/"+name)), "@BASE@", base)
		fetched := regexp.MustCompile(`(?m)^#   curl -f -o (\S+) (\S+)$`).FindStringSubmatch(text)
		if fetched == nil {
			w.t.Fatalf("no line that gets the keys:\n%s", text)
		}
		local := filepath.Join(a.root, filepath.Base(fetched[1]))
		w.Write(local, w.get(fetched[2]))
		w.Write(filepath.Join(a.root, "etc/apt/sources.list.d", filepath.Base(name)), []byte(strings.ReplaceAll(text, fetched[1], local)))
	}
	a.config = filepath.Join(a.root, "apt.conf")
	w.Write(a.config, fmt.Appendf(nil, `Dir %q; Dir::State::status "%s/var/lib/dpkg/status"; Dir::Etc::Parts "%s/etc/apt/apt.conf.d";
APT::Architecture %q; APT::Architectures { %q; }; APT::Sandbox::User "root"; Acquire::Languages "en"; Debug::NoLocking "1";
Acquire::Check-Date "1"; Acquire::Check-Valid-Until "1"; Acquire::http::Proxy "DIRECT"; Acquire::Retries "0";
`, a.root, a.root, a.root, arch, arch))
	return a
}

func (w *world) get(url string) []byte {
	w.t.Helper()
	return w.Get(url)
}

func (a *apt) try(program string, args ...string) (string, error) {
	cmd := exec.CommandContext(a.w.t.Context(), program, args...)
	cmd.Dir = a.root
	cmd.Env = append(os.Environ(), "APT_CONFIG="+a.config, "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (a *apt) must(program string, args ...string) string {
	a.w.t.Helper()
	out, err := a.try(program, args...)
	if err != nil {
		a.w.t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return out
}

// update has to go without any complaint.
func (a *apt) update(options ...string) {
	a.w.t.Helper()
	out := a.must("apt-get", append(options, "update")...)
	if regexp.MustCompile(`(?m)^(W|E|Err|Ign)`).MatchString(out) {
		a.w.t.Fatalf("apt-get update complains:\n%s", out)
	}
}

// downloaded returns the packages in the client's cache.
func (a *apt) downloaded() string {
	a.w.t.Helper()
	found, err := filepath.Glob(filepath.Join(a.root, "var/cache/apt/archives/*.deb"))
	a.w.Check(err)
	for i := range found {
		found[i] = filepath.Base(found[i])
	}
	return strings.Join(found, " ")
}

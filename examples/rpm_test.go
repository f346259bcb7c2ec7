package examples

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/sources/rpm/rpmtest"
)

func TestRPM(t *testing.T) {
	r := newRPMs(t, newArchives(t))
	trip(t, example{spec: "rpm.yaml", hosts: r, adopt: r.adopt, clients: []string{"dnf"}})
}

// rpms stands for every rpm repository: those of the system have one list of
// packages, those of vendors another one, which builds on it. All are signed by the
// stand-in's key. Other addresses are files.
type rpms struct {
	*archives
	system, vendors map[string][]byte
}

func newRPMs(t *testing.T, a *archives) *rpms {
	t.Helper()
	r := &rpms{archives: a}
	build := func(all ...*rpmtest.Package) map[string][]byte {
		repo := rpmtest.Repository{Packages: all, Signer: a.signer, Signed: a.date}
		for _, one := range all {
			one.Version, one.Release, one.Arch, one.Signer, one.Signed = "1.0", "1.el9", "x86_64", a.signer, a.date
		}
		return repo.Build(t)
	}
	const libc = "libc.so.6()(64bit)"
	r.system = build(&rpmtest.Package{Name: "glibc", Provides: []string{libc}}, &rpmtest.Package{Name: "munge-libs", Requires: []string{libc}},
		&rpmtest.Package{Name: "chrony", Requires: []string{libc}}, &rpmtest.Package{Name: "nfs-utils"}, &rpmtest.Package{Name: "podman"},
		&rpmtest.Package{Name: "munge-devel", Requires: []string{"munge-libs"}}, &rpmtest.Package{Name: "hwloc-devel"})
	r.vendors = build(&rpmtest.Package{Name: "slurm", Requires: []string{"munge", libc}}, &rpmtest.Package{Name: "munge", Requires: []string{"munge-libs"}},
		&rpmtest.Package{Name: "docker-ce", Requires: []string{libc}}, &rpmtest.Package{Name: "cuda-toolkit-13-0", Requires: []string{libc}}, &rpmtest.Package{Name: "nvidia-container-toolkit"})
	return r
}

var keyOfRPM = regexp.MustCompile(`fingerprint: [0-9A-F]{40}`)

// adopt makes the spec trust the stand-in's key.
func (r *rpms) adopt(j *journey) {
	r.t.Helper()
	dir := j.dir
	name := filepath.Join(dir, "rpm.yaml")
	text, err := os.ReadFile(name)
	if err == nil {
		err = os.MkdirAll(filepath.Join(dir, "keys"), 0o755)
	}
	for _, file := range keyFile.FindAllString(string(text), -1) {
		if strings.HasSuffix(file, ".asc") && err == nil {
			err = os.WriteFile(filepath.Join(dir, file), r.key(), 0o644)
		}
	}
	if err == nil {
		err = os.WriteFile(name, keyOfRPM.ReplaceAll(text, fmt.Appendf(nil, "fingerprint: %X", r.signer.PrimaryKey.Fingerprint)), 0o644)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rpms) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	base := path.Base(req.URL.Path)
	var body []byte
	switch base {
	case "metalink":
		body = r.metalink("http://" + req.Host)
	case "gpg", "D42D0685.pub", "RPM-GPG-KEY-EPEL-9", "RPM-GPG-KEY-Rocky-9":
		body = r.key()
	default:
		_, name, ok := strings.Cut(req.URL.Path, "/repodata/")
		if ok {
			name = "repodata/" + name
		} else {
			name = "Packages/" + base
		}
		files := r.vendors
		if strings.Contains(req.URL.Path, "/pub/rocky/") {
			files = r.system
		}
		if body = files[name]; body == nil && !ok {
			body = content(req.URL.Path)
		}
	}
	if body == nil {
		http.NotFound(w, req)
		return
	}
	http.ServeContent(w, req, "", time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC), bytes.NewReader(body))
}

// metalink is that of EPEL: the mirror is another address of the stand-in.
func (r *rpms) metalink(server string) []byte {
	return fmt.Appendf(nil, `<metalink version="3.0" xmlns="http://www.metalinker.org/"><files><file name="repomd.xml"><verification><hash type="sha256">%s</hash></verification><resources><url protocol="http" preference="100">%s/epel/9/Everything/x86_64/repodata/repomd.xml</url></resources></file></files></metalink>`,
		digest(r.vendors["repodata/repomd.xml"]), server)
}

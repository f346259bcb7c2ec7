// Package standin plays the upstreams of the examples of the kind rpm: repositories of the
// system and of vendors, all signed by its key.
package standin

import (
	"bytes"
	"fmt"
	"net/http"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/internal/test/journey"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmtest"
)

// Examples returns the examples of the kind.
func Examples() []journey.Example {
	return []journey.Example{{Spec: "rpm.yaml", Start: func(t *testing.T) journey.Upstream {
		r := newRPMs(t)
		return journey.Upstream{Hosts: r, Adopt: r.adopt, Clients: []string{"dnf"}}
	}}}
}

// rpms stands for every rpm repository: those of the system have one list of
// packages, those of vendors another one, which builds on it. All are signed by the
// stand-in's key. Other addresses are files.
type rpms struct {
	*journey.Signer
	system, vendors map[string][]byte
}

func newRPMs(t *testing.T) *rpms {
	t.Helper()
	r := &rpms{Signer: journey.NewSigner(t)}
	build := func(all ...*rpmtest.Package) map[string][]byte {
		repo := rpmtest.Repository{Packages: all, Signer: r.Entity, Signed: r.Date}
		for _, one := range all {
			one.Version, one.Release, one.Arch, one.Signer, one.Signed = "1.0", "1.el9", "x86_64", r.Entity, r.Date
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

// adopt makes the spec trust the stand-in's key.
func (r *rpms) adopt(j *journey.Journey) { r.Trust(j, j.Spec) }

func (r *rpms) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	base := path.Base(req.URL.Path)
	var body []byte
	switch base {
	case "metalink":
		body = r.metalink("http://" + req.Host)
	case "gpg", "D42D0685.pub", "RPM-GPG-KEY-EPEL-9", "RPM-GPG-KEY-Rocky-9":
		body = r.Key()
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
			body = journey.Content(req.URL.Path)
		}
	}
	if body == nil {
		http.NotFound(w, req)
		return
	}
	http.ServeContent(w, req, "", time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC), bytes.NewReader(body))
}

// metalink returns one like EPEL's: the mirror is another address of the stand-in.
func (r *rpms) metalink(server string) []byte {
	return fmt.Appendf(nil, `<metalink version="3.0" xmlns="http://www.metalinker.org/"><files><file name="repomd.xml"><verification><hash type="sha256">%s</hash></verification><resources><url protocol="http" preference="100">%s/epel/9/Everything/x86_64/repodata/repomd.xml</url></resources></file></files></metalink>`,
		journey.Digest(r.vendors["repodata/repomd.xml"]), server)
}

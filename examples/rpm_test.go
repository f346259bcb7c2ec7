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

// rpms stands for every rpm repository: whatever the address, it has the same
// few packages, signed by the stand-in's key. Other addresses are files.
type rpms struct {
	*archives
	files map[string][]byte
}

func newRPMs(t *testing.T, a *archives) *rpms {
	t.Helper()
	r := &rpms{archives: a}
	var repo rpmtest.Repository
	for _, p := range []struct{ name, needs string }{
		{"slurm", "munge"}, {"munge", ""}, {"docker-ce", "slurm"}, {"cuda-toolkit-13-0", "munge"}, {"nvidia-container-toolkit", ""},
	} {
		one := &rpmtest.Package{Name: p.name, Version: "1.0", Release: "1.el9", Arch: "x86_64", Signer: a.signer, Signed: a.date}
		if p.needs != "" {
			one.Requires = []string{p.needs}
		}
		repo.Packages = append(repo.Packages, one)
	}
	repo.Signer, repo.Signed = a.signer, a.date
	r.files = repo.Build(t)
	return r
}

var keyOfRPM = regexp.MustCompile(`fingerprint: [0-9A-F]{40}`)

// adopt makes the specs in dir trust the stand-in's key.
func (r *rpms) adopt(dir string) {
	r.t.Helper()
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
	case "gpg", "D42D0685.pub", "RPM-GPG-KEY-EPEL-9":
		body = r.key()
	default:
		_, name, ok := strings.Cut(req.URL.Path, "/repodata/")
		if ok {
			name = "repodata/" + name
		} else {
			name = "Packages/" + base
		}
		if body = r.files[name]; body == nil && !ok {
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
		digest(r.files["repodata/repomd.xml"]), server)
}

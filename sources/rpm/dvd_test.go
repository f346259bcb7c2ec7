package rpm

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/test/plantest"
)

// TestFolderIsLocal: metadata of a folder of the exporting machine is vouched for by that, and
// there is no public address that it stands for.
func TestFolderIsLocal(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.Signer = nil
	files := a.Build(t)
	for name, content := range files {
		file := filepath.Join(a.dir, "dvd", name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, content, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	text := strings.Replace(a.spec(), a.server.URL(a.at), "file://"+filepath.Join(a.dir, "dvd"), 1)
	r, err := plantest.Plan(t, Kind(), plantest.NewEnv(t, a.dir, nil), text)
	if err != nil {
		t.Fatal(err)
	}
	if f := plantest.Artifacts(t, r, "epel")[nameRepomd]; f.Evidence.Vouched != bundle.VouchedLocal || !strings.HasPrefix(f.Evidence.Origin, "file:///") {
		t.Errorf("repomd.xml: %+v", f.Evidence)
	}
	if len(r.Repositories[0].Public) != 0 {
		t.Errorf("public %+v", r.Repositories[0].Public)
	}
}

// TestUpstreamNamesNoFolder: lists of mirrors and locations of packages lead to servers alone.
func TestUpstreamNamesNoFolder(t *testing.T) {
	a := newArchive(t, t.TempDir())
	a.publish()
	a.server.Put("/mirrors", []byte("file:///etc\nfile:/etc\n"))
	a.server.Put("/metalink", []byte(`<metalink version="3.0" xmlns="http://www.metalinker.org/"><files><file name="repomd.xml"><verification><hash type="sha256">`+
		strings.Repeat("0", 64)+`</hash></verification><resources><url protocol="file">file:///etc/repodata/repomd.xml</url></resources></file></files></metalink>`))
	for option, at := range map[string]string{"mirrorlist": "/mirrors", "metalink": "/metalink"} {
		text := strings.Replace(a.spec(), "baseurl: "+a.server.URL(a.at), option+": "+a.server.URL(at), 1)
		_, err := plantest.Plan(t, Kind(), plantest.NewEnv(t, a.dir, nil), text)
		if !errors.Is(err, fetch.ErrUpstream) || strings.Contains(err.Error(), "root:") || !strings.Contains(err.Error(), at) {
			t.Errorf("%s: %v", option, err)
		}
	}
	for _, where := range [][2]string{{"file:///etc/passwd", ""}, {"passwd", "file:///etc/"}} {
		if at, err := locate(where[0], where[1]); err == nil {
			t.Errorf("%v: %+v", where, at)
		}
	}
}

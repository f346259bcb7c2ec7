package local

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
)

// FuzzArchive: whatever an archive holds, its fault has the class of upstream's, and an image
// that is listed has a manifest with its digest.
func FuzzArchive(f *testing.F) {
	pack := func(members ...[2]string) []byte {
		var out bytes.Buffer
		to := tar.NewWriter(&out)
		for _, m := range members {
			if err := to.WriteHeader(&tar.Header{Name: m[0], Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(m[1]))}); err != nil {
				f.Fatal(err)
			}
			if _, err := io.WriteString(to, m[1]); err != nil {
				f.Fatal(err)
			}
		}
		if err := to.Close(); err != nil {
			f.Fatal(err)
		}
		return out.Bytes()
	}
	layer := "a layer"
	config := `{"rootfs":{"diff_ids":["` + bundle.DigestOf([]byte(layer)).String() + `"]}}`
	f.Add(pack([2]string{"c.json", config}, [2]string{"./l.tar", layer}, [2]string{"manifest.json", `[{"Config":"c.json","RepoTags":["a:1","b:2"],"Layers":["l.tar"]}]`}))
	f.Add(pack([2]string{"oci-layout", `{"imageLayoutVersion":"1.0.0"}`}, [2]string{"index.json", `{"manifests":[{"digest":"` + bundle.DigestOf(nil).String() + `","size":0}]}`}, [2]string{"blobs/sha256/" + bundle.DigestOf(nil).Hex(), ""}))
	f.Add(pack([2]string{"repositories", "{}"}))
	f.Add([]byte("\x1f\x8b no archive"))
	dir := f.TempDir()
	scratch, err := os.OpenRoot(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = scratch.Close() }) // a folder of the test
	f.Fuzz(func(t *testing.T, content []byte) {
		file := filepath.Join(dir, "x.tar")
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Archive(file, "archive x.tar", scratch, "unpacked")
		if err != nil {
			if !errors.Is(err, fetch.ErrUpstream) {
				t.Errorf("%v: of no class", err)
			}
			return
		}
		for _, i := range s.Images() {
			d, err := bundle.ParseDigest(string(i.Descriptor.Digest))
			if err != nil {
				t.Fatal(err)
			}
			m, err := s.Manifest(d)
			if err == nil && bundle.DigestOf(m) != d || err != nil && !errors.Is(err, fetch.ErrUpstream) {
				t.Errorf("%s: %d bytes, %v", d, len(m), err)
			}
		}
	})
}

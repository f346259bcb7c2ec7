package media

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
)

var updateGolden = flag.Bool("update-golden", false, "write bundle/testdata/golden again")

const goldenDir = "../testdata/golden"

// goldenItems returns a few files, one of them in two volumes, that compress well.
func goldenItems() (planned, tail []testItem) {
	text := func(name string, size int) []byte {
		return bytes.Repeat([]byte("golden "+name+"\n"), size/(8+len(name))+1)[:size]
	}
	for i, size := range []int{0, 1, 600, 200_000, 1_500_000, 70_000} {
		key := fmt.Sprintf("planned/%d.txt", i)
		planned = append(planned, testItem{key: key, data: text(key, size), known: i%2 == 0})
	}
	return planned, []testItem{{key: "tail.txt", data: text("tail", 300)}}
}

// A bundle that was written once and is kept: what reads format 1 today has to
// read it for ever. Run with -update-golden only to make another one next to it.
func TestGolden(t *testing.T) {
	if *updateGolden {
		writeGolden(t)
	}
	planned, tail := goldenItems()
	j := &job{t: t, planned: planned, tail: tail}
	j.want(readBundle(t, goldenDir))
	readers, err := bundle.Discover([]string{goldenDir})
	if err != nil || len(readers) != 1 {
		t.Fatalf("%d bundles, %v", len(readers), err)
	}
	r := readers[0]
	defer r.Close()
	root, err := r.Root()
	if err != nil {
		t.Fatal(err)
	}
	m, err := bundle.ParseManifest(root)
	if err != nil || m.Set != "lab" || m.Sequence != 7 || len(m.Repositories) != 1 || m.Repositories[0].Count != 7 {
		t.Fatalf("%+v, %v", m, err)
	}
	pem, err := os.ReadFile(filepath.Join(goldenDir, "exporter.pub"))
	if err != nil {
		t.Fatal(err)
	}
	pub, id, err := bundle.ParsePublicKey(pem)
	if err != nil {
		t.Fatal(err)
	}
	files, err := r.Signatures()
	if err != nil || len(files) != 1 || files[0].Name != bundle.SignatureName(id) {
		t.Fatalf("%d signatures, %v", len(files), err)
	}
	sig, err := bundle.ParseSignature(files[0].Data)
	if err != nil {
		t.Fatal(err)
	}
	st, err := sig.Verify(pub)
	if err != nil || st.PredicateType != bundle.PredicateBundle || st.SubjectName != bundle.RootName || st.Subject != bundle.DigestOf(root) {
		t.Errorf("%+v, %v", st, err)
	}
	sums, err := r.Sums()
	if err != nil {
		t.Fatal(err)
	}
	defer sums.Close()
	n := 0
	for s, err := range bundle.ReadSums(sums) {
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(goldenDir, r.Name(), s.Name))
		if err != nil || bundle.DigestOf(b) != s.Digest {
			t.Errorf("%s: %v", s.Name, err)
		}
		n++
	}
	if n != 4 { // catalogue, two volumes, README.txt
		t.Errorf("%d sums", n)
	}
}

func writeGolden(t *testing.T) {
	j := newJob(t, bundle.MinVolumeSize)
	j.planned, j.tail = goldenItems()
	j.planned, j.tail = nil, append(j.planned, j.tail...)
	priv, pub, err := bundle.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	if j.signer, err = bundle.ParseSigner(priv); err != nil {
		t.Fatal(err)
	}
	w := j.writer()
	if _, err := j.write(w); err != nil {
		t.Fatal(err)
	}
	dir := j.finish(w).Dirs[0]
	to := filepath.Join(goldenDir, filepath.Base(dir))
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	copyTree(t, to, dir)
	if err := os.WriteFile(filepath.Join(goldenDir, "exporter.pub"), pub, 0o644); err != nil {
		t.Fatal(err)
	}
}

// README.txt is for a person with nothing but the stick: it names the bundle,
// the commands, and no line is wider than a terminal.
func TestReadme(t *testing.T) {
	text := readme("lab-000007")
	for _, want := range []string{"lab-000007", "gapbundle import", "sha256sum --check --ignore-missing SHA256SUMS", "cosign verify-blob-attestation", "openssl dgst", bundle.PredicateBundle} {
		if !strings.Contains(text, want) {
			t.Errorf("does not name %q", want)
		}
	}
	for line := range strings.Lines(text) {
		if len(line) > 90 || strings.Contains(line, "@") {
			t.Errorf("line %q", line)
		}
	}
}

package promises

import (
	"archive/tar"
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/therootcompany/xz"
)

// frozenSource has the source of the earlier program: the files that it is built from, go.mod, go.sum, and
// its commit. The compatible task freezes another one when the tag of a release that freezes a format is set;
// that needs git and xz:
//
//	task compatible:freeze -- v0.1.0
const frozenSource = "testdata/frozen.tar.xz"

// commitFile is the file of frozenSource that names its commit.
const commitFile = "COMMIT"

// freezeFlag names the commit or the tag that frozenSource is made from again.
var freezeFlag = flag.String("freeze", "", "make the source of the program of before again, from this commit or tag")

// TestFrozenSource: the archive is a function of the source in it. Packed once more it has the same
// bytes, and no tests are in it.
func TestFrozenSource(t *testing.T) {
	if *freezeFlag != "" {
		newCheckout(t, *freezeFlag).freeze()
	}
	c := newCheckout(t, "")
	if !bytes.Equal(c.pack(), tarOf(t, frozenSource)) {
		t.Errorf("%s: packed once more it is different", frozenSource)
	}
	all := c.contents(".")
	for name := range all {
		if strings.HasSuffix(name, "_test.go") || strings.Contains(name, "testdata") {
			t.Errorf("%s: is for tests", name)
		}
	}
	if len(all) < 500 {
		t.Errorf("%d files, want at least 500", len(all))
	}
}

// checkout is a folder with the source of an earlier program.
type checkout struct {
	*site
	commit string
}

// newCheckout writes a commit of this repository into a folder, or the content of frozenSource if it is "".
func newCheckout(t *testing.T, commit string) checkout {
	t.Helper()
	c := checkout{&site{t: t, dir: t.TempDir(), env: []string{"CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off"}}, ""}
	if commit == "" {
		c.unpack(tarOf(t, frozenSource))
		c.commit = c.read(commitFile)
		return c
	}
	here, err := os.Getwd()
	c.check(err)
	c.env = append(c.env, "REPOSITORY="+here, "REVISION="+commit)
	c.shell(`git -C "$(git -C "$REPOSITORY" rev-parse --show-toplevel)" archive --output="$PWD/tree.tar" "$REVISION" && tar -xf tree.tar && rm tree.tar`)
	c.commit = strings.TrimSpace(c.shell(`git -C "$REPOSITORY" rev-parse --verify "$REVISION^{commit}"`))
	return c
}

// tarOf returns the tar archive in a file that xz has packed.
func tarOf(t *testing.T, name string) []byte {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }() // read only
	r, err := xz.NewReader(file, xz.DefaultDictMax)
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// unpack writes the files of an archive.
func (c checkout) unpack(archive []byte) {
	c.t.Helper()
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		c.check(err)
		content, err := io.ReadAll(r)
		c.check(err)
		c.write(h.Name, string(content))
	}
}

// pack makes an archive of the files that the program is built from. The same files give the same bytes.
func (c checkout) pack() []byte {
	c.t.Helper()
	const format = `{{with .Module}}{{if .Main}}{{range $.GoFiles}}{{$.Dir}}/{{.}}
{{end}}{{range $.IgnoredGoFiles}}{{$.Dir}}/{{.}}
{{end}}{{range $.EmbedFiles}}{{$.Dir}}/{{.}}
{{end}}{{end}}{{end}}`
	listed := c.exec("go", "list", "-deps", "-f", format, "./cmd/gapbundle")
	if listed.code != 0 {
		c.t.Fatal(listed.stderr)
	}
	names := []string{"go.mod", "go.sum"}
	for file := range strings.FieldsSeq(listed.stdout) {
		name, err := filepath.Rel(c.dir, file)
		c.check(err)
		if !strings.HasSuffix(name, "_test.go") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	add := func(name, content string) {
		c.check(w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content)), ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}))
		_, err := io.WriteString(w, content)
		c.check(err)
	}
	add(commitFile, c.commit)
	for _, name := range slices.Compact(names) {
		add(name, c.read(name))
	}
	c.check(w.Close())
	return archive.Bytes()
}

// freeze makes frozenSource from what is checked out.
func (c checkout) freeze() {
	c.t.Helper()
	c.check(os.WriteFile(c.path("frozen.tar"), c.pack(), 0o644))
	c.shell("xz -9e --threads=1 frozen.tar")
	c.check(os.WriteFile(frozenSource, []byte(c.read("frozen.tar.xz")), 0o644))
}

// build builds the program. -trimpath: the cache has what was built in another folder before.
func (c checkout) build() string {
	c.t.Helper()
	built := c.exec("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", "gapbundle", "./cmd/gapbundle")
	if built.code != 0 {
		c.t.Fatalf("the program of %s: %s", c.commit, built.stderr)
	}
	return c.path("gapbundle")
}

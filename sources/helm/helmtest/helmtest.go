// Package helmtest makes charts, chart repositories, and the program that
// renders charts, for tests.
package helmtest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
)

// build builds the program once for a test process, without the race detector: a
// program with it reserves more address space than a child may have.
var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "gapbundle-child-")
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, "gapbundle")
	out, err := exec.Command("go", "build", "-race=false", "-o", program, "github.com/gapbundle/gapbundle/cmd/gapbundle").CombinedOutput()
	if err != nil {
		return "", &buildError{err, string(out)}
	}
	return program, nil
})

type buildError struct {
	error
	output string
}

func (e *buildError) Error() string { return e.error.Error() + ": " + e.output }

// Main runs the tests of a package that uses Program; call it from TestMain.
func Main(m *testing.M) {
	code := m.Run()
	if built {
		if program, err := build(); err == nil {
			_ = os.RemoveAll(filepath.Dir(program))
		}
	}
	os.Exit(code)
}

// built means that there is something to remove.
var built bool

// Program returns the path of the program whose child renders charts.
func Program(tb testing.TB) string {
	tb.Helper()
	built = true
	program, err := build()
	if err != nil {
		tb.Fatal(err)
	}
	return program
}

// modified is when all files of test charts were made.
var modified = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Package packs a chart as "helm package" does: all files below a folder with
// the chart's name. The same files have the same bytes.
func Package(tb testing.TB, name string, files map[string]string) []byte {
	tb.Helper()
	var headers []tar.Header
	contents := map[string]string{}
	for _, file := range slices.Sorted(maps.Keys(files)) {
		full := name + "/" + file
		contents[full] = files[file]
		headers = append(headers, tar.Header{Name: full, Mode: 0o644, Typeflag: tar.TypeReg, Size: int64(len(files[file])), ModTime: modified})
	}
	return Tar(tb, headers, contents)
}

// Tar packs entries as they are, for packages that no tool would make.
func Tar(tb testing.TB, headers []tar.Header, contents map[string]string) []byte {
	tb.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, h := range headers {
		if err := w.WriteHeader(&h); err != nil {
			tb.Fatal(err)
		}
		if _, err := w.Write([]byte(contents[h.Name])); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	if err := z.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// Files reads the files of a chart from an archive of text files.
func Files(tb testing.TB, archive string) map[string]string {
	tb.Helper()
	a, err := txtar.ParseFile(archive)
	if err != nil {
		tb.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range a.Files {
		files[f.Name] = string(f.Data)
	}
	return files
}

// Simple returns a small chart with one image, written by its name and version.
func Simple(tb testing.TB, name, version, image string) []byte {
	tb.Helper()
	return Package(tb, name, map[string]string{
		"Chart.yaml":  "apiVersion: v2\nname: " + name + "\nversion: " + version + "\nappVersion: \"1.0\"\ndescription: a chart for tests\n",
		"values.yaml": "image: " + image + "\nreplicas: 1\n",
		"templates/deployment.yaml": strings.Join([]string{
			"apiVersion: apps/v1", "kind: Deployment", "metadata:", "  name: {{ .Release.Name }}-" + name, "spec:", "  replicas: {{ .Values.replicas }}",
			"  template:", "    spec:", "      containers:", "        - name: main", "          image: {{ .Values.image | quote }}", "",
		}, "\n"),
	})
}

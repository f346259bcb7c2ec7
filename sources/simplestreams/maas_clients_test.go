//go:build clients

package simplestreams

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/internal/test/prepared"
)

// A selection for MAAS, behind nginx and gapbundle serve: gpgv accepts every
// signed file by the key that is published for it, sstream-query finds exactly
// what was planned, sstream-mirror copies all of it with its checksums, and curl
// gets a part of a large file.
func TestMAASMirror(t *testing.T) {
	w := newWorld(t)
	const large = "noble/amd64/20261120/squashfs"
	file := w.large(large, 300<<20)
	w.ship(wanted)
	images := w.query(w.server.URL("/m"), filepath.Join(w.dir, w.keyring), "arch=amd64", "release~(jammy|noble)")
	w.serve(func(t *testing.T, at string) {
		mirror := at + "/simplestreams/images"
		keyring := filepath.Join(t.TempDir(), "site.gpg")
		if err := os.WriteFile(keyring, w.curl(at+"/keys/demo-site.gpg"), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{"index", imagesID, bootloadersID} {
			w.run(w.curl(mirror+"/streams/v1/"+id+".sjson"), nil, "gpgv", "--keyring="+keyring, "-")
		}
		want := w.published(mirror)
		if got := w.query(mirror, keyring); !slices.Equal(got, want) {
			t.Errorf("sstream-query\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		chosen := slices.DeleteFunc(slices.Clone(want), func(line string) bool { return strings.Contains(line, " bootloaders/") })
		if !slices.Equal(chosen, images) {
			t.Errorf("sstream-query of upstream with the same filters\n%s\nwant\n%s", strings.Join(images, "\n"), strings.Join(chosen, "\n"))
		}
		w.setUp(t, at, want, chosen)
		w.copyAll(t, mirror, keyring, want, large, file)
		part := w.curl("--range", "200000000-200000999", mirror+"/"+large)
		if _, err := file.Seek(200000000, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		wantPart := make([]byte, 1000)
		if _, err := io.ReadFull(file, wantPart); err != nil || !bytes.Equal(part, wantPart) {
			t.Errorf("range: %d bytes, %v", len(part), err)
		}
	})
}

// maasProgram notes what it is given. It prints what MAAS's own program prints where that matters.
const maasProgram = `#!/bin/sh
echo "$@" >>"$0.log"
[ "$2 $3" != "boot-sources create" ] || printf '{\n    "url": "x",\n    "id": 7\n}'
`

// setUp runs the commands that the mirror publishes for MAAS, and reads the mirror as they set MAAS
// up: by the address and the key of the boot source, and by each selection.
func (w *world) setUp(t *testing.T, at string, all, chosen []string) {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "maas")
	if err := os.WriteFile(program, []byte(maasProgram), 0o755); err != nil {
		t.Fatal(err)
	}
	script := strings.NewReplacer("@BASE@", at, "/usr/share/keyrings", dir).Replace(string(w.curl(at + "/_gapbundle/clients/simplestreams/maas/images.sh")))
	w.run([]byte(script), []string{"PATH=" + dir + ":" + os.Getenv("PATH")}, "sh", "-eu")
	log, err := os.ReadFile(program + ".log")
	if err != nil {
		t.Fatal(err)
	}
	calls := strings.Split(strings.TrimSpace(string(log)), "\n")
	given := func(call, name string) (values []string) {
		for word := range strings.FieldsSeq(call) {
			if value, ok := strings.CutPrefix(word, name+"="); ok {
				values = append(values, value)
			}
		}
		return values
	}
	if len(calls) < 3 || !strings.HasPrefix(calls[0], "admin boot-sources create ") || calls[len(calls)-1] != "admin boot-resources import" {
		t.Fatalf("maas was called with\n%s", log)
	}
	url, keyring := strings.TrimSuffix(strings.Join(given(calls[0], "url"), " "), "/"), strings.Join(given(calls[0], "keyring_filename"), " ")
	if got := w.query(url, keyring); !slices.Equal(got, all) {
		t.Errorf("%s: sstream-query\n%s\nwant\n%s", calls[0], strings.Join(got, "\n"), strings.Join(all, "\n"))
	}
	var selected []string
	for _, call := range calls[1 : len(calls)-1] {
		rest, ok := strings.CutPrefix(call, "admin boot-source-selections create 7 ")
		if !ok || !strings.HasSuffix(rest, " subarches=* labels=*") {
			t.Errorf("maas was called with %s", call)
		}
		selected = append(selected, w.query(url, keyring, "os="+given(call, "os")[0], "release="+given(call, "release")[0], "arch~("+strings.Join(given(call, "arches"), "|")+")")...)
	}
	if slices.Sort(selected); !slices.Equal(selected, chosen) {
		t.Errorf("what the selections select\n%s\nwant\n%s", strings.Join(selected, "\n"), strings.Join(chosen, "\n"))
	}
}

// copyAll copies a mirror by sstream-mirror, which checks every sum, and looks at what
// it copied.
func (w *world) copyAll(t *testing.T, mirror, keyring string, lines []string, large string, file *repeated) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "copy")
	w.run(nil, nil, prepared.Python(t, "simplestreams", "sstream-mirror"), "--keyring", keyring, mirror, out)
	for _, line := range lines {
		path := strings.Fields(line)[3]
		info, err := os.Stat(filepath.Join(out, filepath.FromSlash(path)))
		if err != nil {
			t.Error(err)
			continue
		}
		if path == large {
			if info.Size() != file.size {
				t.Errorf("%s: %d bytes, want %d", path, info.Size(), file.size)
			}
			continue
		}
		if b, err := os.ReadFile(filepath.Join(out, filepath.FromSlash(path))); err != nil || !bytes.Equal(b, w.content[path]) {
			t.Errorf("%s: other bytes than upstream's: %v", path, err)
		}
	}
}

// Upstream's own streams, byte for byte: its own key is published for them.
func TestVerbatimMirror(t *testing.T) {
	w := newWorld(t)
	w.ship()
	want := w.query(w.server.URL("/m"), filepath.Join(w.dir, w.keyring))
	w.serve(func(t *testing.T, at string) {
		mirror := at + "/simplestreams/images"
		keyring := filepath.Join(t.TempDir(), "images.gpg")
		if err := os.WriteFile(keyring, w.curl(at+"/keys/images.gpg"), 0o644); err != nil {
			t.Fatal(err)
		}
		w.run(w.curl(mirror+"/streams/v1/index.sjson"), nil, "gpgv", "--keyring="+keyring, "-")
		if got := w.query(mirror, keyring); !slices.Equal(got, want) || len(got) < 8*3*4 {
			t.Errorf("sstream-query: %d items, want upstream's %d", len(got), len(want))
		}
		if got := w.published(mirror); !slices.Equal(got, want) {
			t.Errorf("the unsigned form has %d items, want %d", len(got), len(want))
		}
		w.copyAll(t, mirror, keyring, want, "", nil)
	})
}

// A selection of MAAS's three kinds of products files: images, root tarballs and
// bootloaders, each signed.
func TestThreeKindsOfProducts(t *testing.T) {
	w := newWorld(t)
	w.centos()
	w.ship(`filters: "arch=amd64"`)
	w.serve(func(t *testing.T, at string) {
		mirror := at + "/simplestreams/images"
		keyring := filepath.Join(t.TempDir(), "site.gpg")
		if err := os.WriteFile(keyring, w.curl(at+"/keys/demo-site.gpg"), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{"index", imagesID, centosID, bootloadersID} {
			w.run(w.curl(mirror+"/streams/v1/"+id+".sjson"), nil, "gpgv", "--keyring="+keyring, "-")
		}
		want := w.published(mirror)
		if got := w.query(mirror, keyring); !slices.Equal(got, want) || !strings.Contains(strings.Join(got, "\n"), "centos/8/amd64/2/root-tgz") {
			t.Errorf("sstream-query\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		w.copyAll(t, mirror, keyring, want, "", nil)
	})
}

// Filters choose what those of sstream-query choose.
func TestFiltersAsSstream(t *testing.T) {
	w := newWorld(t)
	w.publish()
	for _, filters := range [][]string{
		{"arch=amd64"}, {"arch!=amd64"}, {"release~jam"}, {"release!~^jammy$", "arch = arm64"}, {"subarch~(ga|hwe)-24"}, {"product_name~:24.04:", "version_name=20261110"},
		{"krel=noble"}, {"version~^2[24]"}, {"content_id=" + imagesID}, {"item_name!=none", "size~^[0-9]+$"},
	} {
		var options []string
		for _, f := range filters {
			options = append(options, fmt.Sprintf("%q", f))
		}
		env := newEnv(t, w.dir)
		env.Now = time.Now()
		r, err := plan(t, env, w.spec("filters: ["+strings.Join(options, ", ")+"]", "bootloaders: none"))
		if err != nil {
			t.Fatal(err)
		}
		tr := collectAll(t, r)
		var got []string
		for name, p := range tr.products(t, imagesID)["products"].(object) {
			for version, v := range p.(object)["versions"].(object) {
				for item := range v.(object)["items"].(object) {
					got = append(got, name+" "+version+" "+item)
				}
			}
		}
		slices.Sort(got)
		var want []string
		for _, line := range w.query(w.server.URL("/m"), filepath.Join(w.dir, w.keyring), filters...) {
			if f := strings.Fields(line); len(f) > 3 && !strings.HasPrefix(f[3], "bootloaders/") {
				want = append(want, strings.Join(f[:3], " "))
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v\n%s\nsstream-query\n%s", filters, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

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
	"github.com/gapbundle/gapbundle/internal/test/webtest"
)

// TestRealClients: gpgv, sstream-query, sstream-mirror, curl, MAAS's commands and lxc read one mirror over
// https, which nginx and gapbundle serve in turn.
func TestRealClients(t *testing.T) {
	w := newWorld(t)
	images, whole, three, boxes := w.upstream(t), w.upstream(t), w.upstream(t), w.upstream(t)
	const large = "noble/amd64/20261120/squashfs"
	file := images.large(large, 300<<20)
	three.centos()
	containers(t, boxes)
	w.Publish("demo", images.source("images", wanted)+whole.source("whole")+three.source("three", `filters: "arch=amd64"`)+
		boxes.source("boxes", `filters: "arch=amd64"`)+boxes.source("allboxes"))
	keyring := filepath.Join(w.Dir, w.keyring)
	chosen := client{w, t, images.server.URL("/m")}.query(keyring, "arch=amd64", "release~(jammy|noble)")
	all := client{w, t, whole.server.URL("/m")}.query(keyring)
	t.Run("filters", func(t *testing.T) { filtersAsSstream(t, w, whole) })
	w.EachTLS(t, w.servers, func(t *testing.T, s *webtest.Server) {
		t.Run("maas", func(t *testing.T) { w.inside(t, s, "images").maas(s, images, chosen, large, file) })
		t.Run("verbatim", func(t *testing.T) { w.inside(t, s, "whole").verbatim(s, whole, all) })
		t.Run("three kinds of products", func(t *testing.T) { w.inside(t, s, "three").threeKinds(s, three) })
		t.Run("lxc rebuilt", func(t *testing.T) { lxc(t, w, s, boxes, "boxes", false) })
		t.Run("lxc verbatim", func(t *testing.T) { lxc(t, w, s, boxes, "allboxes", true) })
	})
}

// maas: of a selection for MAAS, gpgv accepts every signed file by the key that is published for it,
// sstream-query finds exactly what was planned, sstream-mirror copies all of it with its checksums,
// and curl gets a part of a large file.
func (c client) maas(s *webtest.Server, up *mirror, images []string, large string, file *repeated) {
	keyring := c.key(s, "demo-site.gpg")
	c.signed(keyring, "index", imagesID, bootloadersID)
	want := c.published()
	if got := c.query(keyring); !slices.Equal(got, want) {
		c.t.Errorf("sstream-query\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	chosen := slices.DeleteFunc(slices.Clone(want), func(line string) bool { return strings.Contains(line, " bootloaders/") })
	if !slices.Equal(chosen, images) {
		c.t.Errorf("sstream-query of upstream with the same filters\n%s\nwant\n%s", strings.Join(images, "\n"), strings.Join(chosen, "\n"))
	}
	c.setUp(want, chosen)
	c.copyAll(keyring, up, want, large, file)
	part := c.curl("--range", "200000000-200000999", c.at+"/"+large)
	if _, err := file.Seek(200000000, io.SeekStart); err != nil {
		c.t.Fatal(err)
	}
	wantPart := make([]byte, 1000)
	if _, err := io.ReadFull(file, wantPart); err != nil || !bytes.Equal(part, wantPart) {
		c.t.Errorf("range: %d bytes, %v", len(part), err)
	}
}

// maasProgram notes what it is given. It prints what MAAS's own program prints where that matters.
const maasProgram = `#!/bin/sh
echo "$@" >>"$0.log"
[ "$2 $3" != "boot-sources create" ] || printf '{\n    "url": "x",\n    "id": 7\n}'
`

// setUp runs the commands that the mirror publishes for MAAS, and reads the mirror as they set MAAS
// up: by the address and the key of the boot source, and by each selection.
func (c client) setUp(all, chosen []string) {
	t := c.t
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "maas")
	if err := os.WriteFile(program, []byte(maasProgram), 0o755); err != nil {
		t.Fatal(err)
	}
	script := strings.ReplaceAll(string(c.Client(Name, "maas/images.sh")), "/usr/share/keyrings", dir)
	c.run(t, []byte(script), []string{"PATH=" + dir + ":" + os.Getenv("PATH")}, "sh", "-eu")
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
	source := client{c.world, t, url}
	if got := source.query(keyring); !slices.Equal(got, all) {
		t.Errorf("%s: sstream-query\n%s\nwant\n%s", calls[0], strings.Join(got, "\n"), strings.Join(all, "\n"))
	}
	var selected []string
	for _, call := range calls[1 : len(calls)-1] {
		rest, ok := strings.CutPrefix(call, "admin boot-source-selections create 7 ")
		if !ok || !strings.HasSuffix(rest, " subarches=* labels=*") {
			t.Errorf("maas was called with %s", call)
		}
		selected = append(selected, source.query(keyring, "os="+given(call, "os")[0], "release="+given(call, "release")[0], "arch~("+strings.Join(given(call, "arches"), "|")+")")...)
	}
	if slices.Sort(selected); !slices.Equal(selected, chosen) {
		t.Errorf("what the selections select\n%s\nwant\n%s", strings.Join(selected, "\n"), strings.Join(chosen, "\n"))
	}
}

// copyAll copies a source by sstream-mirror, which checks every sum, and looks at what
// it copied.
func (c client) copyAll(keyring string, up *mirror, lines []string, large string, file *repeated) {
	c.t.Helper()
	out := filepath.Join(c.t.TempDir(), "copy")
	c.run(c.t, nil, nil, prepared.Python(c.t, "simplestreams", "sstream-mirror"), "--keyring", keyring, c.at, out)
	for _, line := range lines {
		path := strings.Fields(line)[3]
		info, err := os.Stat(filepath.Join(out, filepath.FromSlash(path)))
		if err != nil {
			c.t.Error(err)
			continue
		}
		if path == large {
			if info.Size() != file.size {
				c.t.Errorf("%s: %d bytes, want %d", path, info.Size(), file.size)
			}
			continue
		}
		if b, err := os.ReadFile(filepath.Join(out, filepath.FromSlash(path))); err != nil || !bytes.Equal(b, up.content[path]) {
			c.t.Errorf("%s: other bytes than upstream's: %v", path, err)
		}
	}
}

// verbatim: upstream's own streams, byte for byte. Its own key is published for them.
func (c client) verbatim(s *webtest.Server, up *mirror, want []string) {
	keyring := c.key(s, "whole.gpg")
	c.signed(keyring, "index")
	if got := c.query(keyring); !slices.Equal(got, want) || len(got) < 8*3*4 {
		c.t.Errorf("sstream-query: %d items, want upstream's %d", len(got), len(want))
	}
	if got := c.published(); !slices.Equal(got, want) {
		c.t.Errorf("the unsigned form has %d items, want %d", len(got), len(want))
	}
	c.copyAll(keyring, up, want, "", nil)
}

// threeKinds: a selection of MAAS's three kinds of products files: images, root tarballs and
// bootloaders, each signed.
func (c client) threeKinds(s *webtest.Server, up *mirror) {
	keyring := c.key(s, "demo-site.gpg")
	c.signed(keyring, "index", imagesID, centosID, bootloadersID)
	want := c.published()
	if got := c.query(keyring); !slices.Equal(got, want) || !strings.Contains(strings.Join(got, "\n"), "centos/8/amd64/2/root-tgz") {
		c.t.Errorf("sstream-query\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	c.copyAll(keyring, up, want, "", nil)
}

// filtersAsSstream: filters choose what those of sstream-query choose.
func filtersAsSstream(t *testing.T, w *world, up *mirror) {
	upstream := client{w, t, up.server.URL("/m")}
	for _, filters := range [][]string{
		{"arch=amd64"}, {"arch!=amd64"}, {"release~jam"}, {"release!~^jammy$", "arch = arm64"}, {"subarch~(ga|hwe)-24"}, {"product_name~:24.04:", "version_name=20261110"},
		{"krel=noble"}, {"version~^2[24]"}, {"content_id=" + imagesID}, {"item_name!=none", "size~^[0-9]+$"},
	} {
		var options []string
		for _, f := range filters {
			options = append(options, fmt.Sprintf("%q", f))
		}
		env := newEnv(t, w.Dir)
		env.Now = time.Now()
		r, err := plan(t, env, up.spec("filters: ["+strings.Join(options, ", ")+"]", "bootloaders: none"))
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
		for _, line := range upstream.query(filepath.Join(w.Dir, w.keyring), filters...) {
			if f := strings.Fields(line); len(f) > 3 && !strings.HasPrefix(f[3], "bootloaders/") {
				want = append(want, strings.Join(f[:3], " "))
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v\n%s\nsstream-query\n%s", filters, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

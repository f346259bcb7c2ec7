package pypi

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/sources/pypi/pages"
	"github.com/gapbundle/gapbundle/sources/pypi/piptest"
	"github.com/gapbundle/gapbundle/sources/pypi/simple"
)

const (
	for312 = "targets: [{python: \"3.12\", platform: manylinux_2_28_x86_64}]\n"
	two    = "targets: [{python: \"3.12\", platform: manylinux_2_28_x86_64}, {python: 3.9, platform: [manylinux2014_aarch64, musllinux_1_2_x86_64]}]\n"
)

func TestFilesOfTargets(t *testing.T) {
	w := newWorld(t).add(
		piptest.Wheel{Name: "app", Version: "1.0", Requires: []string{"native", `back; python_version < "3.10"`, `arm; platform_machine == "aarch64"`}},
		piptest.Wheel{Name: "native", Version: "1.0", Tag: "cp312-cp312-manylinux2014_x86_64"}, piptest.Wheel{Name: "native", Version: "1.0", Tag: "cp39-abi3-manylinux2014_aarch64"},
		piptest.Wheel{Name: "native", Version: "1.0", Tag: "cp39-cp39-musllinux_1_1_x86_64"}, piptest.Wheel{Name: "native", Version: "1.0", Tag: "cp312-cp312-win_amd64"},
		piptest.Wheel{Name: "native", Version: "2.0", RequiresPython: ">=3.13"}, piptest.Wheel{Name: "back", Version: "1.0"}, piptest.Wheel{Name: "arm", Version: "1.0"},
	)
	p := newSite(t).must("kind: pypi\nindex: " + w.URL() + "\npackages: app\n" + two)
	want := "app-1.0-py3-none-any.whl arm-1.0-py3-none-any.whl back-1.0-py3-none-any.whl native-1.0-cp312-cp312-manylinux2014_x86_64.whl native-1.0-cp39-abi3-manylinux2014_aarch64.whl native-1.0-cp39-cp39-musllinux_1_1_x86_64.whl"
	if got := p.names(); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	lock := p.read("locks/cp39-manylinux2014_aarch64.txt")
	for _, name := range []string{"app==1.0", "arm==1.0", "back==1.0", "native==1.0", "--hash=sha256:" + w.Projects["app"][0].Digest()} {
		if !strings.Contains(lock, name) {
			t.Errorf("%s lacks %s", lock, name)
		}
	}
	if lock := p.read("locks/cp312-manylinux_2_28_x86_64.txt"); strings.Contains(lock, "back") || strings.Contains(lock, "arm") {
		t.Error(lock)
	}
	page := p.read("simple/native/index.html")
	if strings.Contains(page, "2.0") || strings.Contains(page, "win_amd64") || strings.Count(page, "data-core-metadata") != 3 {
		t.Error(page)
	}
	if root := p.read("simple/index.html"); !strings.Contains(root, `<a href="native/">native</a>`) {
		t.Error(root)
	}
}

// The same spec gives the same bytes, whatever else the index has.
func TestPagesAreOfTheSelection(t *testing.T) {
	w := newWorld(t).add(piptest.Wheel{Name: "app", Version: "1.0"})
	s := newSite(t)
	spec := "kind: pypi\nindex: " + w.URL() + "\npackages: app<2\n" + for312
	before := s.must(spec)
	w.add(piptest.Wheel{Name: "app", Version: "2.0"}, piptest.Wheel{Name: "app", Version: "1.0", Tag: "cp312-cp312-win32"})
	after := s.must(spec)
	for at, a := range before.files {
		if after.files[at].File.Digest != a.File.Digest && at != pages.RecordPath {
			t.Errorf("%s changed", at)
		}
	}
	if len(before.files) != len(after.files) {
		t.Errorf("%d files, before %d", len(after.files), len(before.files))
	}
}

func TestRefusals(t *testing.T) {
	w := newWorld(t).add(
		piptest.Wheel{Name: "app", Version: "1.0", Requires: []string{"lib>=2"}}, piptest.Wheel{Name: "lib", Version: "1.0"},
		piptest.Wheel{Name: "needs", Version: "1.0", RequiresPython: ">=3.13"}, piptest.Wheel{Name: "patch", Version: "1.0", RequiresPython: "!=3.12.1"},
		piptest.Wheel{Name: "free", Version: "1.0"},
	)
	other := newWorld(t).add(piptest.Wheel{Name: "app", Version: "9.0"}, piptest.Wheel{Name: "mine", Version: "1.0"})
	bare := piptest.Wheel{Name: "bare", Version: "1.0"}.Build(t)
	bare.NoHash = true
	w.Projects["bare"] = []*piptest.File{bare}
	w.Projects["source"] = []*piptest.File{piptest.Sdist(t, "source", "1.0", map[string]string{"PKG-INFO": "Metadata-Version: 2.1\nName: source\nVersion: 1.0\n"})}
	for _, f := range []*piptest.File{piptest.Wheel{Name: "newer", Version: "1.0"}.Build(t), piptest.Sdist(t, "newer", "1.0", map[string]string{"PKG-INFO": "Metadata-Version: 2.2\nName: newer\nVersion: 1.0\n"})} {
		f.RequiresPython = ">=3.13"
		w.Projects["newer"] = append(w.Projects["newer"], f)
	}
	w.Put()
	s := newSite(t)
	hash := strings.Repeat("0", 64)
	s.write("hashed.txt", "lib==1.0 --hash=sha256:"+w.Projects["lib"][0].Digest()+"\nfree\n")
	s.write("wrong.txt", "lib==1.0 --hash=sha256:"+hash+"\n")
	s.write("empty.txt", "# to be filled\n")
	s.write("index.txt", "--index-url https://host.example\n")
	s.write("pylock.toml", "lock-version = \"1.0\"\n[[packages]]\nname = \"lib\"\nversion = \"1.0\"\nwheels = [{url = \""+w.Server.URL("/files/lib-1.0-cp39-cp39-win32.whl")+"\", hashes = {sha256 = \""+hash+"\"}}]\n")
	base := "kind: pypi\nindex: " + w.URL() + "\n"
	for _, c := range []struct {
		spec  string
		class error
		names []string
	}{
		{base + for312 + "packages: app", bundle.ErrUsage, []string{"lib (", "no version meets >=2", "app 1.0 wants lib>=2", "packages wants app"}},
		{base + for312 + "packages: needs", bundle.ErrUsage, []string{"needs 1.0", "needs Python >=3.13"}},
		{base + for312 + "sdists: never\npackages: newer", bundle.ErrUsage, []string{"newer 1.0", "needs Python >=3.13"}},
		{base + for312 + "packages: nobody", bundle.ErrUsage, []string{"nobody: no index has it"}},
		{base + for312 + "packages: patch", bundle.ErrUsage, []string{"patch 1.0", "python_full_version", "set the version in full"}},
		{base + for312 + "packages: source", bundle.ErrUsage, []string{"source 1.0", "only a source archive", "constraints"}},
		{base + for312 + "sdists: never\npackages: source", bundle.ErrUsage, []string{"only a source archive"}},
		{base + for312 + "packages: bare", fetch.ErrRefused, []string{"bare-1.0", "names no sha256", "insecure-hashes"}},
		{base + "extra-indexes: [\"" + other.URL() + "\"]\n" + for312 + "packages: app", bundle.ErrUsage, []string{"app: two indexes have it", w.URL(), other.URL(), "names"}},
		{base + for312 + "requirements: hashed.txt", bundle.ErrUsage, []string{"free", "has no --hash"}},
		{base + for312 + "requirements: wrong.txt", bundle.ErrUsage, []string{"lib 1.0", "not among the hashes of wrong.txt:1"}},
		{base + for312 + "requirements: index.txt", bundle.ErrUsage, []string{"index.txt:1", "the spec says where"}},
		{base + for312 + "requirements: empty.txt", bundle.ErrUsage, []string{"source python", "nothing is left to carry"}},
		{base + for312 + "packages: \"free; sys_platform == 'win32'\"", bundle.ErrUsage, []string{"nothing is left to carry"}},
		{base + for312 + "requirements: gone.txt", bundle.ErrUsage, []string{"gone.txt"}},
		{base + for312 + "locks: pylock.toml", bundle.ErrUsage, []string{"lib 1.0", "no file of the lock is for cp312"}},
		{base + for312 + "packages: \"lib @ " + w.Server.URL("/files/lib-1.0-py3-none-any.whl") + "\"", bundle.ErrUsage, []string{"want a digest"}},
	} {
		_, err := s.plan(c.spec)
		if !errors.Is(err, c.class) {
			t.Errorf("%s: %v, want %v", c.spec, err, c.class)
			continue
		}
		for _, name := range c.names {
			if !strings.Contains(err.Error(), name) {
				t.Errorf("%s: %v: does not name %s", c.spec, err, name)
			}
		}
	}
}

func TestSpecRefused(t *testing.T) {
	for text, want := range map[string]string{
		"packages: a":                                                                                "index",
		"index: https://a.example/simple":                                                            "want requirements, locks or packages",
		"index: https://a.example\npackages: a":                                                      "targets: name the interpreters",
		"index: ftp://a.example\nlocks: uv.lock":                                                     "ftp",
		"index: https://a.example/?x\nlocks: uv.lock":                                                "no query",
		"index: https://a.example\nlocks: uv.lock\nsdists: x":                                        "want never, when-needed or always",
		"index: https://a.example\nlocks: uv.lock\nresolution: x":                                    "each-target or one",
		"index: https://a.example\nlocks: uv.lock\nnames: {a: https://b.example}":                    "is no index of this source",
		"index: https://a.example\nlocks: uv.lock\ninsecure-hashes: https://b.example":               "is no index of this source",
		"index: https://a.example\nlocks: uv.lock\nextra-indexes: https://a.example/":                "occurs twice",
		"index: https://a.example\nlocks: uv.lock\nconstraints: c.txt":                               "there are none",
		"index: https://a.example\nlocks: uv.lock\nnewest: 2":                                        "there are none",
		"index: https://a.example\npackages: a\ntargets: [{python: 3, platform: win32}]":             "want a version like 3.12",
		"index: https://a.example\npackages: a\ntargets: [{python: 3.12, platform: linux}]":          "want manylinux_2_28_x86_64",
		"index: https://a.example\npackages: a\ntargets: [{python: 3.12, platform: [win32, win32]}]": "named twice",
		"index: https://a.example\npackages: a\npre-releases: a/b\n" + for312:                        "a/b",
	} {
		s := newSite(t)
		_, err := Kind().New(s.spec("kind: pypi\n" + text))
		if err == nil {
			_, err = s.plan("kind: pypi\n" + text)
		}
		if !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "spec.yaml:") {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestOneIndexForAName(t *testing.T) {
	a := newWorld(t).add(piptest.Wheel{Name: "nvidia-x", Version: "1.0"}, piptest.Wheel{Name: "app", Version: "1.0", Requires: []string{"nvidia-x"}})
	b := newWorld(t).add(piptest.Wheel{Name: "nvidia-x", Version: "2.0"}, piptest.Wheel{Name: "extra", Version: "1.0"})
	s := newSite(t)
	spec := fmt.Sprintf("kind: pypi\nindex: %s\nextra-indexes: [\"%s\"]\npackages: [app, extra]\n", a.URL(), b.URL()) + for312
	p := s.must(spec + "names: {Nvidia_*: \"" + b.URL() + "\", nvidia-z: \"" + a.URL() + "\"}\n")
	if got := p.names(); got != "app-1.0-py3-none-any.whl extra-1.0-py3-none-any.whl nvidia_x-2.0-py3-none-any.whl" {
		t.Error(got)
	}
	for at, file := range p.files {
		if strings.HasSuffix(at, "/nvidia_x-2.0-py3-none-any.whl") && !strings.Contains(file.Evidence.Origin, b.Server.Host()) {
			t.Error(file.Evidence)
		}
	}
	if a.Server.Requests("/simple/nvidia-x/") != 0 {
		t.Error("the other index was asked")
	}
	// PEP 708: where both pages name each other there is no confusion.
	tracks := func(w, other *world) {
		page := strings.Replace(string(piptest.JSON("nvidia-x", w.Projects["nvidia-x"])), `"meta":{`, `"alternate-locations":["`+other.Server.URL("/simple/nvidia-x/")+`"],"meta":{`, 1)
		w.Server.PutFile("/simple/nvidia-x/", upstreamtest.File{Content: []byte(page), Type: piptest.JSONType})
	}
	tracks(a, b)
	if _, err := s.plan(spec); !errors.Is(err, bundle.ErrUsage) {
		t.Error("one side alone:", err)
	}
	tracks(b, a)
	if got := s.must(spec).names(); !strings.Contains(got, "nvidia_x-2.0") {
		t.Error(got)
	}
}

func TestVouched(t *testing.T) {
	w := newWorld(t).add(piptest.Wheel{Name: "lib", Version: "1.0"}, piptest.Wheel{Name: "app", Version: "1.0"})
	bare := piptest.Wheel{Name: "bare", Version: "1.0"}.Build(t)
	bare.NoHash, bare.NoMetadata = true, true
	w.Projects["bare"] = []*piptest.File{bare}
	w.Put()
	s := newSite(t)
	s.write("r.txt", "lib==1.0 --hash=sha256:"+w.Projects["lib"][0].Digest()+"\n")
	lib := s.must("kind: pypi\nindex: " + w.URL() + "\nrequirements: r.txt\n" + two)
	others := s.must("kind: pypi\nindex: " + w.URL() + "\ninsecure-hashes: " + w.URL() + "\npackages: [app, bare]\n" + for312)
	if len(lib.atHosts) != 1 || len(others.atHosts) != 0 {
		t.Errorf("at the addresses of their hosts: %q of what is pinned, %q of what is not", lib.atHosts, others.atHosts)
	}
	for name, want := range map[string]string{"lib-1.0": bundle.VouchedPinned, "app-1.0": bundle.VouchedNone, "bare-1.0": bundle.VouchedNone} {
		found := false
		for _, p := range []*planned{lib, others} {
			for at, a := range p.files {
				if strings.Contains(at, "/"+name) && !strings.HasSuffix(at, pages.MetadataEnd) {
					found = true
					if a.Evidence.Vouched != want || a.File.Digest.IsZero() {
						t.Errorf("%s: %s %s, want %s", at, a.Evidence.Vouched, a.File.Digest, want)
					}
				}
			}
		}
		if !found {
			t.Errorf("%s is not there", name)
		}
	}
}

func TestMetadataByRange(t *testing.T) {
	w := newWorld(t)
	big := piptest.Wheel{Name: "big", Version: "1.0", Requires: []string{"lib"}, Module: "# " + noise(4<<20) + "\n"}.Build(t)
	big.NoMetadata = true
	w.Projects["big"] = []*piptest.File{big}
	w.HTML = true // such a page has no sizes
	w.add(piptest.Wheel{Name: "lib", Version: "1.0"})
	s := newSite(t)
	spec := "kind: pypi\nindex: " + w.URL() + "\npackages: big\n" + for312
	p := s.must(spec)
	page := p.read("simple/big/index.v1_json")
	if !strings.Contains(page, fmt.Sprintf("\"size\":%d", len(big.Content))) && !strings.Contains(page, fmt.Sprintf("\"size\": %d", len(big.Content))) {
		t.Errorf("no size in\n%s", page)
	}
	if n := w.Server.Bytes("/files/" + big.Name); n > 600<<10 {
		t.Errorf("%d bytes read of %d", n, len(big.Content))
	}
	at := "files/" + big.Digest()[:2] + "/" + big.Digest() + "/" + big.Name
	if got := p.read(at + pages.MetadataEnd); got != string(big.Metadata) {
		t.Errorf("%.200s", got)
	}
	// A server without ranges: the whole wheel, once.
	w.Server.FailAlways("/files/"+big.Name, upstreamtest.NoRange)
	p = s.must(spec)
	before := w.Server.Requests("/files/" + big.Name)
	if got := p.read(at); got != string(big.Content) || w.Server.Requests("/files/"+big.Name) != before {
		t.Error("what Plan read whole was asked for again")
	}
}

// noise does not compress.
func noise(n int) string {
	b := make([]byte, n)
	x := uint32(7)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"[x>>26]
	}
	return string(b)
}

// METADATA that an index offers and that is not the wheel's is refused when the
// wheel is read.
func TestMetadataOfAnother(t *testing.T) {
	w := newWorld(t).add(piptest.Wheel{Name: "app", Version: "1.0"})
	f := w.Projects["app"][0]
	f.Metadata = []byte("Metadata-Version: 2.1\nName: app\nVersion: 1.0\n\nanother\n")
	w.Put()
	p := newSite(t).must("kind: pypi\nindex: " + w.URL() + "\npackages: app\n" + for312)
	c, err := p.files["files/"+f.Digest()[:2]+"/"+f.Digest()+"/"+f.Name].Open(t.Context(), 0, "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Body.Close()
	buf := make([]byte, 1<<20)
	for err == nil {
		_, err = c.Body.Read(buf)
	}
	if !errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), "METADATA") {
		t.Error(err)
	}
}

func TestSdists(t *testing.T) {
	w := newWorld(t).add(piptest.Wheel{Name: "backend", Version: "1.0", Requires: []string{"helper"}}, piptest.Wheel{Name: "helper", Version: "1.0"}, piptest.Wheel{Name: "lib", Version: "1.0"})
	info := "Metadata-Version: 2.2\nName: source\nVersion: 1.0\nRequires-Dist: lib\n"
	w.Projects["source"] = []*piptest.File{piptest.Sdist(t, "source", "1.0", map[string]string{"PKG-INFO": info, "pyproject.toml": "[build-system]\nrequires = ['backend']\n"})}
	both := piptest.Sdist(t, "lib", "1.0", map[string]string{"PKG-INFO": "Name: lib\n", "pyproject.toml": "[build-system]\nrequires = []\n"})
	w.Projects["lib"] = append(w.Projects["lib"], both)
	w.Put()
	s := newSite(t)
	spec := "kind: pypi\nindex: " + w.URL() + "\npackages: source\n" + for312
	p := s.must(spec)
	if got := p.names(); got != "backend-1.0-py3-none-any.whl helper-1.0-py3-none-any.whl lib-1.0-py3-none-any.whl source-1.0.tar.gz" {
		t.Error(got)
	}
	if build := p.read("locks/cp312-manylinux_2_28_x86_64.build-source-1.0.txt"); !strings.Contains(build, "helper==1.0") || strings.Contains(build, "lib") {
		t.Error(build)
	}
	if got := s.must(spec + "sdists: always\n").names(); !strings.Contains(got, "lib-1.0.tar.gz") {
		t.Error(got)
	}
}

func TestLocksAreTakenAsTheyAre(t *testing.T) {
	w := newWorld(t).add(piptest.Wheel{Name: "lib", Version: "1.0"}, piptest.Wheel{Name: "lib", Version: "2.0"}, piptest.Wheel{Name: "lib", Version: "1.0", Tag: "cp39-cp39-win32"})
	one, win := w.Projects["lib"][0], w.Projects["lib"][2]
	s := newSite(t)
	s.write("pylock.toml", fmt.Sprintf("lock-version = \"1.0\"\n[[packages]]\nname = \"lib\"\nversion = \"1.0\"\nwheels = [{name = %q, url = %q, hashes = {sha256 = %q}}, {name = %q, url = %q, hashes = {sha256 = %q}}]\n",
		one.Name, w.Server.URL("/files/"+one.Name), one.Digest(), win.Name, w.Server.URL("/files/"+win.Name), win.Digest()))
	s.write("poetry.lock", fmt.Sprintf("[[package]]\nname = \"lib\"\nversion = \"1.0\"\nfiles = [{file = %q, hash = \"sha256:%s\"}]\n[metadata]\nlock-version = \"2.1\"\n", one.Name, one.Digest()))
	base := "kind: pypi\nindex: " + w.URL() + "\nlocks: [pylock.toml, poetry.lock]\n"
	p := s.must(base + for312)
	if got := p.names(); got != one.Name {
		t.Error(got)
	}
	host := strings.ReplaceAll(strings.TrimPrefix(w.Server.URL(""), "http://"), ":", "_")
	if got := strings.Join(p.atHosts, " "); got != host+"/files/"+one.Name {
		t.Errorf("at the address that the lock has: %q", got)
	}
	s.exported(p)
	if got := s.must(base + for312).atHosts; len(got) != 1 {
		t.Errorf("of what has not changed: %q", got)
	}
	for _, lock := range []string{"locks/cp312-manylinux_2_28_x86_64.txt", "locks/cp312-manylinux_2_28_x86_64.lock2.txt"} {
		if got := p.read(lock); !strings.Contains(got, "lib==1.0") {
			t.Error(got)
		}
	}
	if got := s.must(base).names(); got != one.Name+" "+win.Name && got != win.Name+" "+one.Name {
		t.Error("without targets all files of a lock:", got)
	}
	s.write("poetry.lock", fmt.Sprintf("[[package]]\nname = \"lib\"\nversion = \"1.0\"\nfiles = [{file = %q, hash = \"sha256:%s\"}]\n[metadata]\nlock-version = \"2.1\"\n", one.Name, strings.Repeat("0", 64)))
	if _, err := s.plan(base + for312); !errors.Is(err, fetch.ErrRefused) || !strings.Contains(err.Error(), one.Digest()) {
		t.Error(err)
	}
}

func TestResolutionOneAndNewest(t *testing.T) {
	w := newWorld(t).add(
		piptest.Wheel{Name: "lib", Version: "1.0"}, piptest.Wheel{Name: "lib", Version: "2.0", RequiresPython: ">=3.10", Requires: []string{"dep"}},
		piptest.Wheel{Name: "lib", Version: "1.5a1"}, piptest.Wheel{Name: "dep", Version: "1.0"},
	)
	s := newSite(t)
	spec := "kind: pypi\nindex: " + w.URL() + "\npackages: lib\n" + two
	each := s.must(spec)
	if got := each.names(); got != "dep-1.0-py3-none-any.whl lib-1.0-py3-none-any.whl lib-2.0-py3-none-any.whl" {
		t.Error(got)
	}
	if notes := strings.Join(each.repo.Notes, "\n"); !strings.Contains(notes, "lib: differs: 1.0 for cp39-manylinux2014_aarch64") {
		t.Error(notes)
	}
	if got := s.must(spec + "resolution: one\n").names(); got != "lib-1.0-py3-none-any.whl" {
		t.Error(got)
	}
	if got := s.must("kind: pypi\nindex: " + w.URL() + "\npackages: lib\nnewest: 2\n" + for312).names(); got != "dep-1.0-py3-none-any.whl lib-1.0-py3-none-any.whl lib-2.0-py3-none-any.whl" {
		t.Error(got)
	}
}

func TestDirectAndVars(t *testing.T) {
	w := newWorld(t).add(piptest.Wheel{Name: "lib", Version: "1.0"}, piptest.Wheel{Name: "app", Version: "1.0", Requires: []string{"lib"}})
	lib := w.Projects["lib"][0]
	s := newSite(t)
	s.write("r.txt", "${APP}\n-r more.txt\n")
	s.write("more.txt", "lib @ "+w.Server.URL("/files/"+lib.Name)+"#sha256="+lib.Digest()+"\n")
	p := s.must("kind: pypi\nindex: " + w.URL() + "\nrequirements: r.txt\nvars: {APP: app}\n" + for312)
	if got := p.names(); got != "app-1.0-py3-none-any.whl lib-1.0-py3-none-any.whl" || w.Server.Requests("/simple/lib/") > 1 {
		t.Error(got)
	}
}

// Metadata that clients pass over is passed over, and said.
func TestPassedOver(t *testing.T) {
	w := newWorld(t).add(
		piptest.Wheel{Name: "lib", Version: "1.0"}, piptest.Wheel{Name: "lib", Version: "2.0", Metadata: "Name: other\nVersion: 2.0\n"},
		piptest.Wheel{Name: "lib", Version: "3.0", Metadata: "Name: lib\nVersion: 3.0\nRequires-Dist: >=not valid\n"},
	)
	p := newSite(t).must("kind: pypi\nindex: " + w.URL() + "\npackages: lib\n" + for312)
	if got := p.names(); got != "lib-1.0-py3-none-any.whl" {
		t.Error(got)
	}
	notes := strings.Join(p.repo.Notes, "\n")
	for _, want := range []string{"lib-2.0-py3-none-any.whl: skipped", "lib-3.0-py3-none-any.whl: skipped", "nothing but the connection", "python_full_version 3.12"} {
		if !strings.Contains(notes, want) {
			t.Errorf("%s lacks %s", notes, want)
		}
	}
}

// A page that never ends is given up, and does not fill the memory.
func TestLargePage(t *testing.T) {
	w := newWorld(t).add(piptest.Wheel{Name: "lib", Version: "1.0"})
	w.Server.PutFile("/simple/lib/", upstreamtest.File{Content: []byte(strings.Repeat("<p>", simple.MaxPage/3+1)), Type: "text/html"})
	_, err := newSite(t).plan("kind: pypi\nindex: " + w.URL() + "\npackages: lib\n" + for312)
	if !errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), "/simple/lib/") {
		t.Error(err)
	}
}

func TestHostileFiles(t *testing.T) {
	for name, content := range map[string][]byte{"no zip": []byte("hello, this is no zip at all"), "empty": {}} {
		w := newWorld(t)
		w.Projects["lib"] = []*piptest.File{{Name: "lib-1.0-py3-none-any.whl", Content: content}}
		w.Put()
		_, err := newSite(t).plan("kind: pypi\nindex: " + w.URL() + "\npackages: lib\n" + for312)
		if !errors.Is(err, fetch.ErrUpstream) || !strings.Contains(err.Error(), "lib-1.0-py3-none-any.whl") {
			t.Errorf("%s: %v", name, err)
		}
	}
	w := newWorld(t).add(piptest.Wheel{Name: "lib", Version: "1.0"})
	good := w.Projects["lib"][0]
	page := `<a href="javascript:alert(1)">x</a><a href="file:///etc/passwd">x</a><a href="/files/..%2f..%2fetc-1.0.zip">x</a><a href="/files/lib-2.0%00.zip">x</a><a href="/files/` + strings.Repeat("a", 300) + `-1.0.zip">x</a>` + piptest.HTML("lib", w.Projects["lib"])
	w.Server.PutFile("/simple/lib/", upstreamtest.File{Content: []byte(page), Type: "text/html"})
	if got := newSite(t).must("kind: pypi\nindex: " + w.URL() + "\npackages: lib\n" + for312).names(); got != good.Name {
		t.Error(got)
	}
}

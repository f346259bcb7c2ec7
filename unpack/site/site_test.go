package site

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
)

const index = "application/vnd.oci.image.index.v1+json"

var (
	errLists = errors.New("lists")
	testTime = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
)

// repo makes a repository of files "path", "path=media type".
func repo(name, mount string, files ...string) Repository {
	var list []bundle.File
	var evidence []bundle.Evidence
	for _, f := range files {
		p, mediaType, _ := strings.Cut(f, "=")
		list = append(list, bundle.File{Path: p, Digest: bundle.DigestOf([]byte(p)), Size: int64(len(p)), MediaType: mediaType})
	}
	slices.SortFunc(list, func(a, b bundle.File) int { return bundle.ComparePaths(a.Path, b.Path) })
	for _, f := range list {
		evidence = append(evidence, bundle.Evidence{Path: f.Path, Origin: "https://up.example/" + f.Path, Vouched: bundle.VouchedPinned})
	}
	digest := bundle.DigestOf(fmt.Append(nil, list))
	return Repository{
		Repository: bundle.Repository{
			Name: name, Kind: "files", Mount: mount, Count: int64(len(list)), Unpinned: 2,
			Files:    bundle.Descriptor(bundle.MediaTypeFileList, digest, 1),
			Evidence: bundle.Descriptor(bundle.MediaTypeEvidence, digest, 1),
		},
		Files:    func() iter.Seq2[bundle.File, error] { return seq(list, nil) },
		Evidence: func() iter.Seq2[bundle.Evidence, error] { return seq(evidence, nil) },
	}
}

func seq[T any](list []T, err error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, v := range list {
			if !yield(v, nil) {
				return
			}
		}
		if err != nil {
			var zero T
			yield(zero, err)
		}
	}
}

// input holds one set of repositories; the content of a file is its path, or
// for client files a line with the word.
func input(repos ...Repository) Input {
	return Input{
		Dir: "/srv/mirror", Base: "http://m.lan", Generation: 7, Time: testTime, Tool: "gapbundle 1",
		Sets: []Set{{
			Name: "demo", Stream: strings.Repeat("a", 32), Sequence: 7, Root: bundle.DigestOf([]byte("root")),
			Created: testTime.Add(-time.Hour), Imported: testTime, Overrides: []string{"allow-rollback"},
			Signers: []Signer{{Role: "exporter", ID: bundle.DigestOf([]byte("key"))}}, Repositories: repos,
		}},
		Open: func(bundle.Digest) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader("deb @BASE@/apt ./ # @BASE\n")), nil
		},
	}
}

func write(t *testing.T, in Input) (dir string, report *Report) {
	t.Helper()
	dir = t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if report, err = Write(root, in); err != nil {
		t.Fatal(err)
	}
	return dir, report
}

func writeError(t *testing.T, in Input) error {
	t.Helper()
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	_, err = Write(root, in)
	return err
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// tree returns every file and link below dir with its content.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		if e.Type()&fs.ModeSymlink != 0 {
			target, err := os.Readlink(p)
			files[name] = "-> " + target
			return err
		}
		files[name] = read(t, dir, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestWriteIsDeterministicAndClosed(t *testing.T) {
	in := input(
		repo("gpu/oci", "v2", "docker.io/lib/a/manifests/1="+index, "docker.io/lib/a/blobs/x"),
		repo("tools", "files/example.org", "a.txt", "b/c.json=application/json", "d.bin=application/x-d"),
		repo("clients", ClientsDir, "apt/demo.sources"),
	)
	one, _ := write(t, in)
	two, _ := write(t, in)
	files := tree(t, one)
	if !maps.Equal(files, tree(t, two)) {
		t.Error("the same input gave other bytes")
	}
	var names []string
	for _, n := range slices.Sorted(maps.Keys(files)) {
		if !strings.HasPrefix(n, inventoryDir+"/") {
			names = append(names, n)
		}
	}
	role := "_gapbundle/settings/ansible/roles/gapbundle_mirror/"
	ext, digest := extension(index), bundle.DigestOf([]byte("docker.io/lib/a/manifests/1")).String()
	want := []string{
		"_gapbundle/clients/apt/demo.sources",
		"_gapbundle/digests/v2/lib/a/manifests", "_gapbundle/digests/v2/docker.io/lib/a/manifests/1/digest", "_gapbundle/digests/v2/docker.io/lib/a/manifests/1/" + digest,
		"_gapbundle/hosts.json", "_gapbundle/inventory.json", "_gapbundle/inventory.txt", "_gapbundle/registry/referrers.json", "_gapbundle/registry/v2.json",
		"_gapbundle/servers/Caddyfile", "_gapbundle/servers/apache.conf", "_gapbundle/servers/hosts-Caddyfile", "_gapbundle/servers/hosts-apache.conf", "_gapbundle/servers/hosts-nginx.conf", "_gapbundle/servers/nginx.conf", "_gapbundle/servers/types.json",
		role + "files/Debian/etc/apt/sources.list.d/demo.sources", role + "defaults/main.yml", role + "vars/main.yml", role + "tasks/main.yml", role + "templates/pip.conf.j2", role + "README.md",
		"_gapbundle/settings/ansible/mirror.yml", "_gapbundle/settings/deepops/group_vars.yml", "_gapbundle/settings/deepops/extra-vars.yml", "_gapbundle/settings/deepops/environment.sh",
		"_gapbundle/settings/kubespray/mirror.yml", "_gapbundle/settings/gpu-operator/cert-config.yaml", "_gapbundle/settings/gpu-operator/repo-config.yaml",
		"_gapbundle/typed/files/example.org/d.bin." + extension("application/x-d"),
		"_gapbundle/typed/v2/lib/a/manifests", "_gapbundle/typed/v2/lib/a/tags/list." + extension(jsonType),
		"_gapbundle/typed/v2/docker.io/lib/a/manifests/1." + ext, "_gapbundle/typed/v2/docker.io/lib/a/tags/list." + extension(jsonType),
		"index.html", "v2/lib/a/blobs", "v2/lib/a/manifests", "v2/lib/a/tags/list", "v2/docker.io/lib/a/tags/list",
	}
	slices.Sort(want)
	if !slices.Equal(names, want) {
		t.Errorf("files:\n%s\nwant:\n%s", strings.Join(names, "\n"), strings.Join(want, "\n"))
	}
	for name, target := range map[string]string{
		"_gapbundle/typed/v2/docker.io/lib/a/manifests/1." + ext: "-> ../../../../../../../v2/docker.io/lib/a/manifests/1",
		"v2/lib/a/manifests":                                       "-> ../../../v2/docker.io/lib/a/manifests",
		"_gapbundle/digests/v2/lib/a/manifests":                    "-> ../../../../../_gapbundle/digests/v2/docker.io/lib/a/manifests",
		"_gapbundle/digests/v2/docker.io/lib/a/manifests/1/digest": "-> " + digest,
	} {
		if files[name] != target {
			t.Errorf("%s %s, want %s", name, files[name], target)
		}
	}
}

func TestWriteSetsTimesAndModesWhateverTheUmask(t *testing.T) {
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	dir, _ := write(t, input(repo("tools", "files", "a.txt"), repo("clients", ClientsDir, "apt/x")))
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || p == dir {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o644)
		if e.IsDir() {
			want = 0o755
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, want %v", p, info.Mode(), want)
		}
		if !e.IsDir() && !info.ModTime().Equal(testTime) {
			t.Errorf("%s: time %v, want %v", p, info.ModTime(), testTime)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestInventory(t *testing.T) {
	lapse := testTime.Add(24 * time.Hour)
	r := repo("tools", "files/up.example", "a.txt", "d.bin=application/x-d", "sub/<&>")
	r.UpstreamExpires = &lapse
	r.Annotations = map[string]string{bundle.AllowedKey: "packages without a signature"}
	dir, _ := write(t, input(r))
	var inv inventory
	if err := json.Unmarshal([]byte(read(t, dir, inventoryJSON)), &inv); err != nil {
		t.Fatal(err)
	}
	got := inv.Sets[0].Repositories[0]
	if got.Count != 3 || got.Unpinned != 2 || got.Typed != 1 || got.Allowed != "packages without a signature" || got.Mount != "/files/up.example" || !got.UpstreamExpires.Equal(lapse) {
		t.Errorf("repository %+v", got)
	}
	if s := inv.Sets[0]; s.Signers[0].Role != "exporter" || s.Root != bundle.DigestOf([]byte("root")) || s.Overrides[0] != "allow-rollback" {
		t.Errorf("set %+v", s)
	}
	want := `{"path":"/files/up.example/a.txt","size":5,"sha256":"` + bundle.DigestOf([]byte("a.txt")).Hex() + `","vouched":"pinned","origin":"https://up.example/a.txt"}`
	lines := strings.Split(read(t, dir, got.Inventory), "\n")
	if len(lines) != 4 || lines[0] != want || !strings.Contains(lines[2], `"/files/up.example/sub/<&>"`) {
		t.Errorf("lines %q, want first %s", lines, want)
	}
	for _, word := range []string{"demo", "exporter", "allow-rollback", "tools: allows packages without a signature", "/files/up.example/", "2026-03-05T05:06:07Z"} {
		if !strings.Contains(read(t, dir, inventoryText), word) {
			t.Errorf("inventory.txt lacks %q", word)
		}
	}
	if page := read(t, dir, "index.html"); !strings.Contains(page, "/files/up.example/") || strings.Contains(page, "src=") {
		t.Errorf("portal:\n%s", page)
	}
}

// An unchanged repository without media types is not read again, and its
// list of files is a link; one that has some is read for its types alone.
func TestUnchangedRepositoriesAreLinked(t *testing.T) {
	before := input(repo("plain", "apt/a", "a", "b"), repo("typed", "files", "c=application/x-d"))
	old, _ := write(t, before)
	previous, err := os.OpenRoot(old)
	if err != nil {
		t.Fatal(err)
	}
	defer previous.Close()

	again := input(repo("plain", "apt/a", "a", "b"), repo("typed", "files", "c=application/x-d"), repo("new", "apt/b", "d"))
	fresh, _ := write(t, again)
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	again.Sets[0].Repositories[0].Files = func() iter.Seq2[bundle.File, error] { return seq[bundle.File](nil, errLists) }
	again.Previous = previous
	linked := 0
	again.Link = func(p string) error {
		err := os.Link(filepath.Join(old, p), filepath.Join(dir, p))
		if err == nil {
			linked++
		}
		return err
	}
	if _, err := Write(root, again); err != nil {
		t.Fatal(err)
	}
	if linked != 4 {
		t.Errorf("%d files linked, want the lists of two repositories and what settings know of them", linked)
	}
	if !maps.Equal(tree(t, dir), tree(t, fresh)) {
		t.Error("saving work changed bytes")
	}
	again.Link = func(string) error { return errLists }
	if err := writeError(t, again); !errors.Is(err, errLists) {
		t.Errorf("a list that cannot be linked was not read: %v", err)
	}
}

// TestImages: tags of an image are united; an image of docker.io has its name without
// it, no other has, and no name that looks like one of another registry.
func TestImages(t *testing.T) {
	dir, report := write(t, input(
		repo("one", "v2", "docker.io/lib/x/manifests/2="+index, "docker.io/lib/x/manifests/10="+index, "docker.io/lib/x/manifests/sha256:aa="+index,
			"docker.io/lib/x/blobs/sha256:bb", "a.example/only/manifests/sha256:cc="+index, "lib/plain/manifests/1="+index, "docker.io/a.example/lib/manifests/9="+index),
		repo("two", "v2", "docker.io/lib/x/manifests/2="+index, "docker.io/lib/x/manifests/3="+index, "b.example/lib/x/manifests/1="+index, "localhost_5000/y/manifests/1="+index,
			"docker.io/lib/plain/manifests/1="+index, "b.example/lib/x/referrers/sha256:dd="+index, "docker.io/lib/blobonly/blobs/sha256:aa", "docker.io/single/manifests/1="+index),
	))
	for name, tags := range map[string]string{
		"docker.io/lib/x": `"10","2","3"`, "lib/x": `"10","2","3"`, "b.example/lib/x": `"1"`, "a.example/only": ``, "lib/plain": `"1"`, "docker.io/lib/plain": `"1"`,
	} {
		want := fmt.Sprintf("{\"name\":%q,\"tags\":[%s]}\n", name, tags)
		if got := read(t, dir, "v2/"+name+"/tags/list"); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	want := []Ambiguous{{"lib/plain", []string{"docker.io/lib/plain", "lib/plain"}}}
	if fmt.Sprint(report.Ambiguous) != fmt.Sprint(want) {
		t.Errorf("ambiguous %v, want %v", report.Ambiguous, want)
	}
	for _, absent := range []string{"v2/only", "v2/y", "v2/a.example/lib", "v2/single", "v2/docker.io/lib/blobonly/tags", "v2/lib/plain/blobs"} {
		if _, err := os.Lstat(filepath.Join(dir, absent)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v, want none", absent, err)
		}
	}
	if target, err := os.Readlink(filepath.Join(dir, "v2/lib/blobonly/blobs")); err != nil || target != "../../../v2/docker.io/lib/blobonly/blobs" {
		t.Errorf("alias of blobs: %q, %v", target, err)
	}
	if !strings.Contains(read(t, dir, "index.html"), "lib/plain") || !strings.Contains(read(t, dir, inventoryText), "ambiguous between") {
		t.Error("ambiguous names are not said")
	}
}

// TestDroppedAliases: names without a registry that the generation before had for other
// registries are not made again, and each is named with what takes its place.
func TestDroppedAliases(t *testing.T) {
	in := input(repo("one", "v2", "a.example/lib/x/manifests/1="+index, "a.example/lib/y/manifests/1="+index, "docker.io/lib/z/manifests/1="+index, "b.example/lib/z/manifests/1="+index))
	before := t.TempDir()
	for link, target := range map[string]string{ // as the program made them
		"v2/lib/x/manifests": "../../../v2/a.example/lib/x/manifests", "v2/lib/y/manifests": "../../../v2/other.example/lib/y/manifests",
		"v2/lib/z/manifests": "../../../v2/b.example/lib/z/manifests",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(before, link)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, filepath.Join(before, link)); err != nil {
			t.Fatal(err)
		}
	}
	previous, err := os.OpenRoot(before)
	if err != nil {
		t.Fatal(err)
	}
	defer previous.Close()
	in.Previous = previous
	dir, report := write(t, in)
	if want := []Dropped{{"lib/x", "a.example/lib/x"}}; fmt.Sprint(report.Dropped) != fmt.Sprint(want) {
		t.Errorf("dropped %v, want %v", report.Dropped, want)
	}
	if _, err := os.Lstat(filepath.Join(dir, "v2/lib/x")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v, want none", err)
	}
	if got := read(t, dir, "v2/lib/z/tags/list"); !strings.Contains(got, `"name":"lib/z"`) {
		t.Errorf("docker.io's: %s", got)
	}
}

// A name that is taken by the folders of another image is not made, and no
// part of it.
func TestAliasIsTaken(t *testing.T) {
	in := input(repo("one", "v2", "docker.io/lib/x/manifests/1="+index, "docker.io/lib/x/blobs/b", "lib/x/manifests/manifests/1="+index))
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := root.MkdirAll("v2/lib/x/manifests/manifests", 0o755); err != nil { // as the publisher does
		t.Fatal(err)
	}
	report, err := Write(root, in)
	if err != nil {
		t.Fatal(err)
	}
	if want := []Ambiguous{{"lib/x", []string{"docker.io/lib/x", "lib/x"}}}; fmt.Sprint(report.Ambiguous) != fmt.Sprint(want) {
		t.Errorf("ambiguous %v, want %v", report.Ambiguous, want)
	}
	if _, err := root.Lstat("v2/lib/x/blobs"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half an alias: %v", err)
	}
}

// TestTypesOfTwoSets: each set has its own share of media types.
func TestTypesOfTwoSets(t *testing.T) {
	in := input()
	in.Sets = nil
	for _, set := range []string{"one", "two"} {
		var files []string
		for i := range maxTypes {
			files = append(files, fmt.Sprintf("%s/f%03d=application/x-%s-%d", set, i, set, i))
		}
		in.Sets = append(in.Sets, Set{Name: set, Repositories: []Repository{repo(set, "files", files...)}})
	}
	dir, _ := write(t, in)
	types, err := ReadTypes(strings.NewReader(read(t, dir, TypesPath)))
	if err != nil || len(types) < 2*maxTypes {
		t.Errorf("%d types, %v", len(types), err)
	}
}

func TestWriteRefuses(t *testing.T) {
	many := []string{}
	for i := range maxTypes + 1 {
		many = append(many, fmt.Sprintf("f%03d=application/x-%d", i, i))
	}
	with := func(change func(*Input)) Input {
		in := input(repo("tools", "files", "a"))
		change(&in)
		return in
	}
	for name, c := range map[string]struct {
		in   Input
		want error
	}{
		"index.html":          {input(repo("x", "", "index.html")), bundle.ErrMalformed},
		"own folder":          {input(repo("x", "_gapbundle", "servers/nginx.conf")), bundle.ErrMalformed},
		"tags/list":           {input(repo("x", "v2", "a/tags/list")), bundle.ErrMalformed},
		"media type":          {input(repo("x", "files", "a=text/plain; x=\"$uri\"")), bundle.ErrMalformed},
		"media type newline":  {input(repo("x", "files", "a=text/plain\ninclude")), bundle.ErrMalformed},
		"media type brace":    {input(repo("x", "files", "a=text/{path}")), bundle.ErrMalformed},
		"too many types":      {input(repo("x", "files", many...)), bundle.ErrUnsupported},
		"long typed name":     {input(repo("x", "files", strings.Repeat("n", 250)+"=text/x")), bundle.ErrUnsupported},
		"relative mirror":     {with(func(in *Input) { in.Dir = "srv/mirror" }), bundle.ErrUsage},
		"mirror with quote":   {with(func(in *Input) { in.Dir = `/srv/"m` }), bundle.ErrUsage},
		"mirror with dollar":  {with(func(in *Input) { in.Dir = `/srv/$m` }), bundle.ErrUsage},
		"mirror with newline": {with(func(in *Input) { in.Dir = "/srv/m\nx" }), bundle.ErrUsage},
		"base":                {with(func(in *Input) { in.Base = "ftp://x" }), bundle.ErrUsage},
		"list": {with(func(in *Input) {
			in.Sets[0].Repositories[0].Files = func() iter.Seq2[bundle.File, error] { return seq[bundle.File](nil, errLists) }
		}), errLists},
		"evidence": {with(func(in *Input) {
			in.Sets[0].Repositories[0].Evidence = func() iter.Seq2[bundle.Evidence, error] { return seq[bundle.Evidence](nil, errLists) }
		}), errLists},
	} {
		if err := writeError(t, c.in); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestClientsOfTwoSets(t *testing.T) {
	in := input(repo("clients", ClientsDir, "apt/demo.sources"))
	in.Sets = append(in.Sets, in.Sets[0])
	in.Sets[1].Name = "other"
	dir, _ := write(t, in)
	if got := read(t, dir, ClientsDir+"/apt/demo.sources"); got != "deb http://m.lan/apt ./ # @BASE\n" {
		t.Errorf("client file %q", got)
	}
	if page := read(t, dir, "index.html"); strings.Count(page, "demo.sources") != 2 { // link and text
		t.Errorf("portal names the client file other than once:\n%s", page)
	}
	in.Base = ""
	in.Sets = append(in.Sets, Set{Name: "odd", Repositories: []Repository{repo("odd", "files/a#b?c%<d>", "x")}})
	dir, _ = write(t, in)
	if page := read(t, dir, "index.html"); !strings.Contains(page, `href="./files/a%23b%3fc%25%3cd%3e/"`) && !strings.Contains(page, `href="./files/a%23b%3Fc%25%3Cd%3E/"`) {
		t.Errorf("link to an odd name:\n%s", page)
	}
	if got := read(t, dir, ClientsDir+"/apt/demo.sources"); got != "deb @BASE@/apt ./ # @BASE\n" {
		t.Errorf("client file without base %q", got)
	}
}

func TestReadTypes(t *testing.T) {
	dir, _ := write(t, input(repo("x", "files", "a=application/x-d")))
	types, err := ReadTypes(strings.NewReader(read(t, dir, TypesPath)))
	if err != nil || !slices.Contains(types, Type{extension("application/x-d"), "application/x-d"}) || !slices.Contains(types, Type{extension(index), index}) {
		t.Errorf("types %v, %v", types, err)
	}
	for _, bad := range []string{"", "{}", `[{"extension":"txt","mediaType":"text/x"}]`, `[{"extension":"t","mediaType":"text"}]`, "[" + strings.Repeat(" ", maxTypesSize) + "]"} {
		if _, err := ReadTypes(strings.NewReader(bad)); !errors.Is(err, bundle.ErrMalformed) {
			t.Errorf("%.40q: %v, want ErrMalformed", bad, err)
		}
	}
}

func TestDefaultType(t *testing.T) {
	for p, want := range map[string]string{
		"a/b.TXT": "text/plain; charset=utf-8", "a.tar.gz": "application/gzip", "InRelease": OctetStream, "x.deb": "application/vnd.debian.binary-package",
		".txt": OctetStream, "a.d/b": OctetStream, "x.unknown": OctetStream, "index.html": "text/html; charset=utf-8",
	} {
		if got := DefaultType(p); got != want {
			t.Errorf("%s: %s, want %s", p, got, want)
		}
	}
}

func TestSizeText(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 999_949: "999.9 kB", 999_950: "1.0 MB", 1_500_000_000: "1.5 GB", bundle.MaxInteger: "9.0 PB"} {
		if got := sizeText(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

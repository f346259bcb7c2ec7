package gitfile

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // git's own format
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
)

func id(n byte) ID {
	var id ID
	id[0], id[IDSize-1] = n, n
	return id
}

// packed returns a real pack and its index, made by the git program.
func packed(t testing.TB) (pack, index []byte) {
	t.Helper()
	dir := t.TempDir()
	git := func(stdin string, args ...string) string {
		cmd := exec.Command("git", args...)
		cmd.Dir, cmd.Stdin = dir, strings.NewReader(stdin)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("git %v: %v", args, err)
		}
		return strings.TrimSpace(string(out))
	}
	git("", "init", "-q", "--bare", ".")
	var names []string
	for i := range 90 {
		names = append(names, git(fmt.Sprint("content ", i), "hash-object", "-w", "--stdin"))
	}
	name := git(strings.Join(names, "\n"), "pack-objects", "-q", "p")
	pack, err1 := os.ReadFile(filepath.Join(dir, "p-"+name+".pack"))
	index, err2 := os.ReadFile(filepath.Join(dir, "p-"+name+".idx"))
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return pack, index
}

func TestIndexAndPack(t *testing.T) {
	pack, index := packed(t)
	var names []ID
	got, err := ReadIndex(bytes.NewReader(index), func(id ID) error { names = append(names, id); return nil })
	if err != nil {
		t.Fatal(err)
	}
	trailer, count, err := ReadPack(bytes.NewReader(pack))
	if err != nil || trailer != got.Pack || count != got.Count || int(count) != len(names) {
		t.Fatalf("pack %s of %d, %v; index of %s with %d, %d names", trailer, count, err, got.Pack, got.Count, len(names))
	}
	if !slices.IsSortedFunc(names, func(a, b ID) int { return bytes.Compare(a[:], b[:]) }) {
		t.Error("names are not in order")
	}
	for at := range index {
		if at > 1100 && at%37 != 0 {
			continue
		}
		bad := bytes.Clone(index)
		bad[at] ^= 0x40
		if _, err := ReadIndex(bytes.NewReader(bad), nil); !errors.Is(err, bundle.ErrCorrupt) {
			t.Fatalf("byte %d of the index changed: %v, want ErrCorrupt", at, err)
		}
	}
	for name, bad := range map[string][]byte{
		"cut": pack[:len(pack)-1], "longer": append(bytes.Clone(pack), 0), "empty": nil, "header": pack[:12],
		"other": append([]byte("PACK\x00\x00\x00\x03"), pack[8:]...),
	} {
		if _, _, err := ReadPack(bytes.NewReader(bad)); !errors.Is(err, bundle.ErrCorrupt) {
			t.Errorf("pack, %s: %v, want ErrCorrupt", name, err)
		}
	}
	for n := range index {
		if n%53 == 0 {
			if _, err := ReadIndex(bytes.NewReader(index[:n]), nil); !errors.Is(err, bundle.ErrCorrupt) {
				t.Fatalf("index cut to %d bytes: %v", n, err)
			}
		}
	}
	if _, err := ReadIndex(bytes.NewReader(append(bytes.Clone(index), 0)), nil); !errors.Is(err, bundle.ErrCorrupt) {
		t.Errorf("a longer index: %v", err)
	}
}

// madeIndex returns an index of these names with a right checksum.
func madeIndex(names ...ID) []byte {
	b := []byte("\xfftOc\x00\x00\x00\x02")
	for i := range fanout {
		n := 0
		for _, name := range names {
			if int(name[0]) <= i {
				n++
			}
		}
		b = binary.BigEndian.AppendUint32(b, uint32(n))
	}
	for _, name := range names {
		b = append(b, name[:]...)
	}
	b = append(b, make([]byte, 8*len(names)+IDSize)...)
	sum := sha1.Sum(b) //nolint:gosec // as above
	return append(b, sum[:]...)
}

func TestIndexOrder(t *testing.T) {
	if x, err := ReadIndex(bytes.NewReader(madeIndex(id(1), id(2))), nil); err != nil || x.Count != 2 {
		t.Fatal(x, err)
	}
	for _, names := range [][]ID{{id(1), id(1)}, {id(2), id(1)}} {
		if _, err := ReadIndex(bytes.NewReader(madeIndex(names...)), nil); !errors.Is(err, bundle.ErrCorrupt) {
			t.Errorf("%v: %v, want ErrCorrupt", names, err)
		}
	}
}

func TestRefs(t *testing.T) {
	refs := []Ref{{Name: "refs/heads/a", ID: id(1)}, {Name: "refs/heads/a/ü", ID: id(2)}, {Name: "refs/tags/v1", ID: id(3), Peeled: id(4)}}
	var packed, info bytes.Buffer
	if err := errors.Join(WritePackedRefs(&packed, refs), WriteInfoRefs(&info, refs)); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadPackedRefs(&packed); err != nil || !slices.Equal(got, refs) {
		t.Errorf("packed-refs: %v, %v", got, err)
	}
	if got, err := ReadInfoRefs(bytes.NewReader(info.Bytes())); err != nil || !slices.Equal(got, refs) {
		t.Errorf("info/refs: %v, %v", got, err)
	}
	text := "ref: refs/heads/a\tHEAD\n" + id(1).String() + "\tHEAD\nref: refs/heads/a\trefs/heads/x\n" + info.String()
	want := &Advertised{Refs: refs, Symref: "refs/heads/a", Head: id(1)}
	if got, err := ReadAdvertised(strings.NewReader(text)); err != nil || !got.Equal(want) {
		t.Errorf("advertised: %v, %v, want %v", got, err, want)
	}
	one := id(1).String()
	for name, bad := range map[string]string{
		"order":   one + "\trefs/b\n" + one + "\trefs/a\n",
		"twice":   one + "\trefs/b\n" + one + "\trefs/b\n",
		"name":    one + "\trefs/../b\n",
		"peeled":  one + "\trefs/b^{}\n",
		"sha256":  strings.Repeat("ab", 32) + "\trefs/b\n",
		"long":    one + "\trefs/" + strings.Repeat("x", 4096) + "\n",
		"no tab":  one + " refs/b\n",
		"another": one + "\trefs/b\n" + one + "\trefs/c^{}\n",
	} {
		if _, err := ReadInfoRefs(strings.NewReader(bad)); !errors.Is(err, bundle.ErrMalformed) {
			t.Errorf("%s: %v, want ErrMalformed", name, err)
		}
	}
	var many strings.Builder
	for i := range MaxRefs + 1 {
		fmt.Fprintf(&many, "%s\trefs/%07d\n", one, i)
	}
	if _, err := ReadInfoRefs(strings.NewReader(many.String())); err == nil || !strings.Contains(err.Error(), "more than 200000 refs") {
		t.Errorf("many refs: %v", err)
	}
}

// What git-check-ref-format allows and refuses.
func TestCheckRefName(t *testing.T) {
	for name, ok := range map[string]bool{
		"refs/heads/main": true, "refs/tags/v1.0": true, "refs/heads/a@b": true, "refs/heads/ü": true,
		"HEAD": false, "refs/heads/.a": false, "refs/heads/a.lock": false, "refs/heads/a..b": false, "refs/heads/a b": false,
		"refs/heads//a": false, "refs/heads/a.": false, "refs/heads/a@{1}": false, `refs/heads/a\b`: false, "refs/heads/a\n": false,
		"refs/heads/": false, "refs/heads/-a": true,
	} {
		err := CheckRefName(name)
		if (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
		if strings.HasPrefix(name, "refs/") {
			if git := exec.Command("git", "check-ref-format", name).Run(); (git == nil) != ok {
				t.Errorf("%q: git says %v", name, git)
			}
		}
	}
}

const oid = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393"

func TestPointer(t *testing.T) {
	const version = "version https://git-lfs.github.com/spec/v1\n"
	good := version + "oid sha256:" + oid + "\nsize 12345\n"
	p, ok := ParsePointer([]byte(good))
	if !ok || p.OID.Hex() != oid || p.Size != 12345 || p.ObjectPath() != "lfs/objects/4d/7a/"+oid {
		t.Errorf("%+v, %v, %s", p, ok, p.ObjectPath())
	}
	for name, text := range map[string]string{
		"extension": version + "ext-0-x sha256:" + oid + "\noid sha256:" + oid + "\nsize 12345\n",
		"old":       "version https://hawser.github.com/spec/v1\noid sha256:" + oid + "\nsize 1\n",
		"crlf":      strings.ReplaceAll(good[len(version):], "\n", "\r\n"),
	} {
		if name == "crlf" {
			text = version + text
		}
		if _, ok := ParsePointer([]byte(text)); !ok {
			t.Errorf("%s: not a pointer", name)
		}
	}
	for name, text := range map[string]string{
		"empty": "", "no size": version + "oid sha256:" + oid + "\n", "md5": version + "oid md5:00\nsize 1\n",
		"negative": version + "oid sha256:" + oid + "\nsize -1\n", "word": version + "oid sha256:" + oid + "\nsize 1\nx y\n",
		"long": good + strings.Repeat("ext-1-x y\n", 100),
	} {
		if p, ok := ParsePointer([]byte(text)); ok {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

func TestModules(t *testing.T) {
	text := "\xef\xbb\xbf# x\n[submodule \"kube spray\"]\n\tpath = a/b ; c\n\turl = ../x.git\n\tbranch\n[other]\nurl = no\n" +
		"[SubModule \"q\\\"\"] path = \"p #1\" \n\turl = https://a.example/\\\n  b\r\n"
	got, err := ParseModules([]byte(text))
	want := []Submodule{{"kube spray", "a/b", "../x.git"}, {`q"`, "p #1", "https://a.example/  b"}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v", got, err)
	}
	file := filepath.Join(t.TempDir(), "m")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("git", "config", "-f", file, "--get", "submodule.q\".url").Output()
	if err != nil || strings.TrimSuffix(string(out), "\n") != want[1].URL {
		t.Errorf("git reads %q, %v", out, err)
	}
	for name, bad := range map[string]string{
		"dash url":  "[submodule \"a\"]\npath=a\nurl=-u./x\n",
		"dash path": "[submodule \"a\"]\npath=-a\nurl=x\n",
		"dots":      "[submodule \"..\"]\npath=a\nurl=x\n",
		"dots in":   "[submodule \"a/../b\"]\npath=a\nurl=x\n",
		"leaves":    "[submodule \"a\"]\npath=../a\nurl=x\n",
		"absolute":  "[submodule \"a\"]\npath=/a\nurl=x\n",
		".git":      "[submodule \"a\"]\npath=a/.GIT/hooks\nurl=x\n",
		"null":      "[submodule \"a\"]\npath=a\x00\n",
		"unended":   "[submodule \"a\npath=a\n",
		"bracket":   "[submodule \"a\"\npath=a\n",
		"quote":     "[submodule \"a\"]\npath=\"a\n",
		"escape":    "[submodule \"a\"]\npath=\\x\n",
		"long":      "[submodule \"a\"]\nurl=" + strings.Repeat("x", 5000),
	} {
		if got, err := ParseModules([]byte(bad)); !errors.Is(err, bundle.ErrMalformed) {
			t.Errorf("%s: %q, %v, want ErrMalformed", name, got, err)
		}
	}
}

func sample() *Record {
	digest := bundle.DigestOf([]byte("x"))
	return &Record{
		Git: "2.39.5", Mark: "abc",
		Packs:      []Pack{{Name: id(1), Count: 3, Names: digest, Tips: []Tip{{id(2), id(3)}}}, {Name: id(4), Count: 1, Names: digest}},
		Submodules: []Pin{{Commit: id(3), Pin: id(9), Path: "a \"b\"\n", URL: "../x"}},
		Objects:    []Stored{{Pointer: Pointer{OID: digest, Size: 1}, Path: "big file"}},
	}
}

func TestRecord(t *testing.T) {
	r := sample()
	r.Sort()
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	got, err := ReadRecord(bytes.NewReader(b.Bytes()))
	if err != nil || !reflect.DeepEqual(got, r) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, r)
	}
	for name, bad := range map[string]string{
		"empty": "", "header": "gapbundle-git 2\n", "word": recordHeader + "\nx\n", "tip": recordHeader + "\ntip 1 a b\n",
		"pack": recordHeader + "\npack 2 " + id(1).String() + " 1 " + oid + "\n", "long": recordHeader + "\n" + strings.Repeat("x", maxRecordLine+1),
	} {
		if _, err := ReadRecord(strings.NewReader(bad)); !errors.Is(err, bundle.ErrMalformed) {
			t.Errorf("%s: %v, want ErrMalformed", name, err)
		}
	}
}

func FuzzReadIndex(f *testing.F) {
	_, index := packed(f)
	f.Add(index)
	f.Add(madeIndex(id(1), id(2)))
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = ReadIndex(bytes.NewReader(b), nil) })
}

func FuzzReadPackedRefs(f *testing.F) {
	f.Add([]byte(packedHeader + id(1).String() + " refs/tags/v1\n^" + id(2).String() + "\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		refs, err := ReadPackedRefs(bytes.NewReader(b))
		if err != nil {
			return
		}
		var out bytes.Buffer
		if err := WritePackedRefs(&out, refs); err != nil {
			t.Fatal(err)
		}
		if again, err := ReadPackedRefs(&out); err != nil || !slices.Equal(again, refs) {
			t.Fatalf("%v, %v, want %v", again, err, refs)
		}
	})
}

func FuzzReadAdvertised(f *testing.F) {
	f.Add([]byte("ref: refs/heads/a\tHEAD\n" + id(1).String() + "\tHEAD\n" + id(1).String() + "\trefs/heads/a\n"))
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = ReadAdvertised(bytes.NewReader(b)) })
}

func FuzzParsePointer(f *testing.F) {
	f.Add([]byte("version https://git-lfs.github.com/spec/v1\noid sha256:" + oid + "\nsize 1\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, ok := ParsePointer(b); ok && (p.Size < 0 || bundle.CheckPath(p.ObjectPath()) != nil) {
			t.Errorf("%+v", p)
		}
	})
}

func FuzzParseModules(f *testing.F) {
	f.Add([]byte("[submodule \"a\"]\n\tpath = a\n\turl = \"../x\" # y\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := ParseModules(b)
		if err != nil {
			return
		}
		for _, m := range all {
			if strings.HasPrefix(m.Path, "/") || slices.Contains(strings.Split(m.Path, "/"), "..") || strings.HasPrefix(m.URL, "-") {
				t.Errorf("%+v", m)
			}
		}
	})
}

func FuzzReadRecord(f *testing.F) {
	var b bytes.Buffer
	if err := sample().Write(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ReadRecord(bytes.NewReader(b))
		if err != nil {
			return
		}
		var out bytes.Buffer
		if err := r.Write(&out); err != nil {
			t.Fatal(err)
		}
		if again, err := ReadRecord(&out); err != nil || !reflect.DeepEqual(again, r) {
			t.Fatalf("%+v, %v, want %+v", again, err, r)
		}
	})
}

package lockfile

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
)

func readAll(t *testing.T, files map[string]string) (*Requirements, error) {
	t.Helper()
	r := &Reader{Vars: map[string]string{"NAME": "from-vars"}, Read: func(name string) ([]byte, error) {
		content, ok := files[name]
		if !ok {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
		return []byte(content), nil
	}}
	all := &Requirements{}
	return all, r.Requirements("requirements.txt", all)
}

func lines(all []Requirement) string {
	var parts []string
	for i := range all {
		parts = append(parts, all[i].From+" "+all[i].Requirement.String())
	}
	return strings.Join(parts, "\n")
}

func TestRequirements(t *testing.T) {
	all, err := readAll(t, map[string]string{
		"requirements.txt": "\ufeff# -*- coding: utf-8 -*-\n# a comment\na>=1 # why\n\nb[x]; \\\n  python_version < '4'\n${NAME}==1\n" +
			"-r more/other.txt\n--constraint=limits.txt\nc @ https://host.example/c#egg=c\n--pre\n--only-binary=a,B --no-binary :none:\r\nd\\\n\ne#f\n",
		"more/other.txt": "f\n-r third.txt", "more/third.txt": "g", "limits.txt": "a<3\n-r more/third.txt\n",
	})
	if err != nil && !strings.Contains(err.Error(), "e#f") {
		t.Fatal(err)
	}
	if err == nil {
		t.Error("e#f is no requirement")
	}
	want := "requirements.txt:3 a>=1\nrequirements.txt:5 b[x]; python_version < '4'\nrequirements.txt:7 from-vars==1\nmore/other.txt:1 f\nmore/third.txt:1 g\nrequirements.txt:10 c @ https://host.example/c#egg=c\nrequirements.txt:13 d"
	if got := lines(all.Wanted); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if got := lines(all.Constraints); got != "limits.txt:1 a<3\nmore/third.txt:1 g" {
		t.Error(got)
	}
	if !all.Pre || all.Hashed || len(all.OnlyBinary) != 2 || all.OnlyBinary[1] != "b" || all.NoBinary != nil {
		t.Errorf("%+v", all)
	}
}

func TestHashes(t *testing.T) {
	all, err := readAll(t, map[string]string{"requirements.txt": "a==1 \\\n    --hash=sha256:" + digest + " \\\n    --hash sha512:aa\n"})
	if err != nil || !all.Hashed || len(all.Wanted) != 1 || len(all.Wanted[0].Hashes) != 1 || all.Wanted[0].Hashes[0] != digest {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestRequirementsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"--index-url https://host.example": "the spec says where", "-i https://host.example": "the spec says where", "--extra-index-url=https://x.example": "the spec says where",
		"-f ./wheels": "the spec says where", "--trusted-host x": "the spec says where", "-e .": "built in place", "--editable=git+https://host.example/r": "built in place",
		"./a": "a path", "../a.whl": "a path", "dir/a": "a path", "git+https://host.example/r#egg=a": "repository of git", "a @ git+ssh://host.example/r": "repository of git",
		"a @ file:///tmp/a.whl": "a path", "https://host.example/a.whl": "without a name", "a @ ftp://host.example/a": "https or http",
		"a --hash=md5:aa": "no sha256", "a --hash=sha256:zz": "64 hexadecimal", "a --hash=x": "64 hexadecimal", "a --unknown": "not known", "--unknown": "not known",
		"-r": "lacks its value", "--pre=1": "has no value", "${HOME}": "not in vars", "a --global-option='x y'": "no option of a requirement", "a --hash='x": "closing quote",
		"-r requirements.txt": "includes itself", "-c https://host.example/c.txt": "want a file", "-r gone.txt": "gone.txt", "a b": "requirement \"a b\"",
		"# coding: utf-16\na": "want UTF-8", "a\x00": "NUL", "--config-settings x": "not known", "--prefer-binary": "is not done here",
	} {
		_, err := readAll(t, map[string]string{"requirements.txt": text})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
		if want != "gone.txt" && !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v is no ErrInvalid", text, err)
		}
	}
}

func FuzzRequirements(f *testing.F) {
	for _, text := range []string{"a>=1 # x\n-r other\nb \\\n --hash=sha256:" + digest, "${NAME}", "--only-binary :all:", "-c 'x y'"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		all, err := readAll(t, map[string]string{"requirements.txt": text, "other": "x"})
		if err != nil {
			return
		}
		for _, q := range append(all.Wanted, all.Constraints...) {
			if q.Name == "" || q.URL != "" && !strings.HasPrefix(q.URL, "http") {
				t.Fatalf("%q: %+v", text, q)
			}
		}
	})
}

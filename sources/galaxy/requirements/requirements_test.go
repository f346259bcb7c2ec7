package requirements

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/galaxy/version"
)

func within(t *testing.T, text string) version.Range {
	t.Helper()
	r, err := version.ParseRange(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const everything = `---
# as DeepOps and others write it
collections:
  - ansible.posix
  - name: community.general
    version: ">=9,<11"
  - {name: community.docker, version: 5.0.6, source: https://galaxy.example/}
  - name: acme.signed
    version: 2.0
    signatures:
      - https://h/sig.asc
      - file:///sig.asc
  - name: https://github.com/acme/one.git
    type: git
    version: devel
  - git+https://git.example/two.git#/folder,v1
  - name: git@github.com:acme/three.git
  - https://h/acme-four-1.0.0.tar.gz
  - {source: https://h/five, type: url}
  - ./acme-six-1.0.0.tar.gz
  - {name: sources/seven, type: dir}
roles:
  - geerlingguy.ntp
  - nvidia.nvidia_driver,v2.3.1
  - src: nvidia.enroot
    version: v0.5.0
    name: enroot
  - {role: andrewrothstein.bash}
  - name: nvidia.nvidia_docker
    version: 1.2
    other_vars: here
  - src: https://github.com/acme/role-one
    version: main
  - src: git+https://git.example/role-two.git
  - {src: https://git.example/role-three, scm: git, version: abc123, name: three}
  - https://h/role-four.tar.gz
  - src: https://github.com/acme/role-five/archive/v1.tar.gz
  - roles/six.tar.gz
  - include: more.yml
`

func TestParse(t *testing.T) {
	f, err := Parse([]byte(everything))
	if err != nil {
		t.Fatal(err)
	}
	all := within(t, "")
	want := &File{
		Collections: []Collection{
			{Type: Galaxy, Name: "ansible.posix", Range: all},
			{Type: Galaxy, Name: "community.general", Range: within(t, ">=9,<11")},
			{Type: Galaxy, Name: "community.docker", Range: within(t, "5.0.6"), Server: "https://galaxy.example/"},
			{Type: Galaxy, Name: "acme.signed", Range: within(t, "2.0"), Signatures: []string{"https://h/sig.asc", "file:///sig.asc"}},
			{Type: Git, Origin: "https://github.com/acme/one.git", Ref: "devel"},
			{Type: Git, Origin: "https://git.example/two.git", Ref: "v1"},
			{Type: Git, Origin: "git@github.com:acme/three.git"},
			{Type: URL, Origin: "https://h/acme-four-1.0.0.tar.gz"},
			{Type: URL, Origin: "https://h/five"},
			{Type: Local, Origin: "./acme-six-1.0.0.tar.gz"},
			{Type: Local, Origin: "sources/seven"},
		},
		Roles: []Role{
			{Type: Galaxy, Name: "geerlingguy.ntp"},
			{Type: Galaxy, Name: "nvidia.nvidia_driver", Version: "v2.3.1"},
			{Type: Galaxy, Name: "nvidia.enroot", Version: "v0.5.0"},
			{Type: Galaxy, Name: "andrewrothstein.bash"},
			{Type: Galaxy, Name: "nvidia.nvidia_docker", Version: "1.2"},
			{Type: Git, Origin: "https://github.com/acme/role-one", Version: "main"},
			{Type: Git, Origin: "https://git.example/role-two.git"},
			{Type: Git, Origin: "https://git.example/role-three", Version: "abc123"},
			{Type: URL, Origin: "https://h/role-four.tar.gz"},
			{Type: URL, Origin: "https://github.com/acme/role-five/archive/v1.tar.gz"},
			{Type: Local, Origin: "roles/six.tar.gz"},
			{Include: "more.yml"},
		},
	}
	for i := range want.Collections {
		if i >= len(f.Collections) || !reflect.DeepEqual(f.Collections[i], want.Collections[i]) {
			t.Errorf("collection %d: want %+v, got %+v", i, want.Collections[i], f.Collections[min(i, len(f.Collections)-1)])
		}
	}
	for i := range want.Roles {
		if i >= len(f.Roles) || f.Roles[i] != want.Roles[i] {
			t.Errorf("role %d: want %+v, got %+v", i, want.Roles[i], f.Roles[min(i, len(f.Roles)-1)])
		}
	}
}

func TestParseOldForm(t *testing.T) {
	f, err := Parse([]byte("- src: acme.ntp\n  version: '1.10'\n"))
	if err != nil || len(f.Roles) != 1 || f.Roles[0] != (Role{Type: Galaxy, Name: "acme.ntp", Version: "1.10"}) {
		t.Errorf("%+v, %v", f, err)
	}
}

func TestParseRefuses(t *testing.T) {
	for text, names := range map[string]string{
		"":                           "neither",
		"collections: [a.b]\nx: 1":   `"x"`,
		"collections: a.b":           "not a list",
		"collections:\n- a.b\n- [x]": "line 3",
		"collections:\n- {name: a.b, version: 1.10}":                        "quotes",
		"roles:\n- {name: a.b, version: 010}":                               "quotes",
		"roles:\n- {name: a.b, version: yes}\n- {name: a.b, version: true}": "quotes",
		"collections:\n- {name: a.b, version: [1]}":                         "version",
		"collections:\n- {name: a.b, type: svn}":                            "svn",
		"collections:\n- {name: a.b, version: ~>1}":                         "~>1",
		"collections:\n- {type: git}":                                       "neither",
		"collections:\n- {type: galaxy, name: x}":                           "x",
		"roles:\n- {src: x.y, scm: hg}":                                     "hg",
		"roles:\n- a.b,1,2,3":                                               "a.b,1,2,3",
		"roles:\n- ../a.b/..c":                                              "",
		"roles:\n- {src: a.b, version: '../x'}":                             "../x",
		"roles:\n- {}":                                                      "neither",
		"roles:\n- {role: 'a.b,v1'}":                                        "a.b,v1",
		"a: &x [1]\nb: *x":                                                  "anchors",
		"a: 1\na: 2":                                                        "",
		"--- \nroles: []\n---\nroles: []":                                   "more than one",
		"roles: " + strings.Repeat("[", 100) + strings.Repeat("]", 100):     "nested",
		strings.Repeat("#", MaxFile+1):                                      "bytes",
		"roles: [" + strings.Repeat("a,", maxMarks) + "]":                   "keys and values",
		"roles:\n" + strings.Repeat("- a.b\n", maxItems+1):                  "requirements",
	} {
		f, err := Parse([]byte(text))
		if text == "roles:\n- ../a.b/..c" {
			if err != nil || f.Roles[0].Type != Local {
				t.Errorf("%v, %v", f, err)
			}
			continue
		}
		if !errors.Is(err, bundle.ErrMalformed) || !strings.Contains(err.Error(), names) {
			t.Errorf("%.60q: %+v, %v", text, f, err)
		}
	}
	if _, err := Included([]byte("- include: x")); !errors.Is(err, bundle.ErrMalformed) {
		t.Error(err)
	}
}

func TestDependencies(t *testing.T) {
	all, err := Dependencies([]byte("galaxy_info: {}\ndependencies:\n  - role: acme.bash\n    when: x\n  - {src: 'https://github.com/a/b', version: v1}\n  - local_role\n"),
		[]byte("- acme.unarchive,v2\n"))
	if err != nil || len(all) != 3 || all[0].Name != "acme.bash" || all[1].Type != Git || all[2] != (Role{Type: Galaxy, Name: "acme.unarchive", Version: "v2"}) {
		t.Errorf("%+v, %v", all, err)
	}
	if all, err := Dependencies([]byte("dependencies: []"), nil); err != nil || len(all) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestCommandLine(t *testing.T) {
	c, err := ParseCollection("community.general:>=9,<11")
	if err != nil || c.Name != "community.general" || c.Range.String() != ">=9,<11" {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err := ParseCollection("https://x/y"); err == nil {
		t.Errorf("%+v", c)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(everything))
	f.Add([]byte("- src: a.b\n  version: '1'\n"))
	f.Add([]byte("dependencies:\n  - {role: a.b}\n"))
	f.Add([]byte("a: |\n  x\n? y\n: z"))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := Parse(b)
		if err != nil && !errors.Is(err, bundle.ErrMalformed) {
			t.Error(err)
		}
		roles, err := Dependencies(b, b)
		if err != nil && !errors.Is(err, bundle.ErrMalformed) {
			t.Error(err)
		}
		if file != nil {
			roles = append(roles, file.Roles...)
		}
		for _, r := range roles {
			if r.Type == Galaxy && strings.Contains(r.Name, "/") || r.Include == "" && r.Type == "" {
				t.Errorf("%+v", r)
			}
		}
	})
}

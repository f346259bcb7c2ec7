package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gapbundle.yaml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// The spec file of the documentation, nearly word for word.
const full = `version: 1
name: slurm-site                 # the set
signing: {exporter: keys/exporter.key, site: keys/site.key}
hosts:
  repo.lan:8443: {ca: ca.pem, client-cert: c.pem, client-key: /etc/c.key, bearer-env: REPO_TOKEN, parallel: 4, rate: 20MB/s, redirect-to: [cdn.lan, "*.mirrors.example"], cookies: cookies.txt}
  images.lan: {auth: docker-config}
defaults: {files: {keyring: keys/upstream.asc}}
sources:
  - name: slurm
    kind: files
    urls:
      - url: https://download.example/slurm-26.05.1.tar.bz2
        sha256: "0000"
      - https://code.example/pyxis/archive/v0.11.1.tar.gz
    list: urls.txt
  - name: handbooks
    kind: files
    dir: ./handbooks
`

func TestLoad(t *testing.T) {
	path := write(t, full)
	s, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(path)
	if s.Set != "slurm-site" || s.Dir != dir || s.Path != path || s.Digest != bundle.DigestOf([]byte(full)) {
		t.Errorf("got %+v", s)
	}
	signing := Signing{Exporter: []string{filepath.Join(dir, "keys/exporter.key")}, Site: filepath.Join(dir, "keys/site.key")}
	if !reflect.DeepEqual(s.Signing, signing) {
		t.Errorf("signing: got %+v, want %+v", s.Signing, signing)
	}
	hosts := map[string]fetch.HostOptions{
		"repo.lan:8443": {
			CA: filepath.Join(dir, "ca.pem"), ClientCert: filepath.Join(dir, "c.pem"), ClientKey: "/etc/c.key",
			BearerEnv: "REPO_TOKEN", Parallel: 4, Rate: 20_000_000, RedirectTo: []string{"cdn.lan", "*.mirrors.example"}, Cookies: filepath.Join(dir, "cookies.txt"),
		},
		"images.lan": {Auth: "docker-config"},
	}
	if !reflect.DeepEqual(s.Hosts, hosts) {
		t.Errorf("hosts: got %+v, want %+v", s.Hosts, hosts)
	}
	if len(s.Sources) != 2 || s.Sources[1].Name != "handbooks" || s.Sources[1].Kind != "files" || s.Sources[1].Dir != dir {
		t.Fatalf("sources: got %+v", s.Sources)
	}
	if want := path + ":16:5"; s.Sources[1].At != want {
		t.Errorf("at: got %s, want %s", s.Sources[1].At, want)
	}
	var own struct {
		Dir     string `yaml:"dir"`
		Keyring string `yaml:"keyring"`
	}
	if err := s.Sources[1].Decode(&own); err != nil || own.Dir != "./handbooks" || own.Keyring != "keys/upstream.asc" {
		t.Errorf("decode: %+v, %v", own, err)
	}
	if err := s.Sources[0].Decode(&own); err == nil || !strings.Contains(err.Error(), ":11:5: unknown key \"urls\"") {
		t.Errorf("decode with unknown keys: %v", err)
	}
}

func TestLoadErrors(t *testing.T) {
	const head = "version: 1\nname: a\n"
	const tail = "sources: [{name: s, kind: k}]\n"
	for _, test := range []struct {
		name, text string
		want       []string
	}{
		{"nothing", "{}", []string{`:1:1: key "version" is missing`, `key "name" is missing`, `key "sources" is missing`}},
		{"version", "version: 2\nname: a\n" + tail, []string{":1:1: version 2: this program reads version 1"}},
		{"version 0", "version: 0\nname: a\n" + tail, []string{":1:1: version 0"}},
		{"name of the set", "version: 1\nname: A_b\n" + tail, []string{`:1:1: name: name "A_b"`}},
		{"unknown key", head + "sining: {}\n" + tail, []string{`:3:1: unknown key "sining"; did you mean "signing"?`}},
		{"no sources", head + "sources: []\n", []string{"the list is empty"}},
		{"source without kind", head + "sources:\n  - name: s\n", []string{`:4:5: key "kind" is missing`}},
		{"name of a source", head + "sources:\n  - {name: s_1, kind: k}\n", []string{`:4:6: name: name "s_1"`}},
		{"two of a name", head + "sources:\n  - {name: s, kind: k}\n  - {name: s, kind: l}\n", []string{`:5:6: name "s": the source in line 4 has it already`}},
		{"defaults of no source", head + "defaults: {files: {a: b}, kk: {}}\n" + tail, []string{`:3:20: defaults: no source is of kind "files"`, `no source is of kind "kk"; did you mean "k"?`}},
		{"host", head + "hosts: {https://a.example: {}}\n" + tail, []string{":3:", "want host or host:port"}},
		{"auth", head + "hosts: {a.example: {auth: netcr}}\n" + tail, []string{`:3:21: hosts: a.example: auth: unknown "netcr"; did you mean "netrc"?`}},
		{"key without certificate", head + "hosts: {a.example: {client-key: k}}\n" + tail, []string{"client-cert and client-key: want both or none"}},
		{"credential for a variable", head + "hosts: {a.example: {basic-env: \"me:secret\"}}\n" + tail, []string{"want the name of an environment variable, not a credential"}},
		{"two credentials", head + "hosts: {a.example: {basic-env: A, bearer-env: B}}\n" + tail, []string{"want one of them"}},
		{"auth without variable", head + "hosts: {a.example: {auth: basic-env}}\n" + tail, []string{"names the variable and is missing"}},
		{"parallel", head + "hosts: {a.example: {parallel: 65}}\n" + tail, []string{"parallel: 65: want 1 to 64"}},
		{"rate", head + "hosts: {a.example: {rate: 20MB}}\n" + tail, []string{`:3:27: rate: rate "20MB": want bytes a second`}},
		{"proxy with password", head + "hosts: {a.example: {proxy: \"http://me:secret@p.lan\"}}\n" + tail, []string{"a credential in the spec"}},
		{"redirect pattern", head + "hosts: {a.example: {redirect-to: [\"*.lan\", \"a.*.example\", \"*.b.example:8443\"]}}\n" + tail, []string{"redirect-to: want host or host:port"}},
		{"redirect", head + "hosts: {a.example: {redirect-to: \"*\"}}\n" + tail, []string{"redirect-to: want host or host:port"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := write(t, test.text)
			_, err := Load(path)
			for _, want := range test.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Fatalf("got  %v\nwant %s", err, want)
				}
			}
			if !errors.Is(err, bundle.ErrUsage) {
				t.Errorf("%v: does not match bundle.ErrUsage", err)
			}
			for _, line := range strings.Split(err.Error(), "\n") {
				if !strings.HasPrefix(line, path+":") {
					t.Errorf("%q: no place", line)
				}
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("%v: holds a secret", err)
			}
		})
	}
}

// TestLoadHuge: a file that cannot be a spec is refused by its size, and not read whole.
func TestLoadHuge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "huge.yaml")
	if err := os.WriteFile(path, []byte("version: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 1<<30); err != nil { // no block of it is on the disk
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := Load(path)
	runtime.ReadMemStats(&after)
	if !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), "larger than a spec may be") {
		t.Errorf("got %v", err)
	}
	if read := after.TotalAlloc - before.TotalAlloc; read > 128<<20 {
		t.Errorf("%d bytes of memory", read)
	}
}

func TestLoadWithoutFile(t *testing.T) {
	if _, err := Load(filepath.Join(t.TempDir(), "no.yaml")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
}

func TestParseSize(t *testing.T) {
	for _, test := range []struct {
		text string
		want int64 // -1: refused
	}{
		{"0", 0}, {"1048576", 1 << 20}, {"17B", 17}, {"1kB", 1000}, {"1KB", 1000}, {"700MB", 700e6}, {"4GiB", 4 << 30}, {"4 GiB", 4 << 30},
		{"2TB", 2e12}, {"1.5MB", 1_500_000}, {"0.5KiB", 512}, {"8388607TiB", 8388607 << 40}, {"9223372036854775807", 1<<63 - 1},
		{"", -1}, {"B", -1}, {"MB", -1}, {"-1", -1}, {"+1", -1}, {"1M", 1 << 20}, {"1G", 1 << 30}, {"2k", 2048}, {"1.5K", 1536}, {"1mb", -1}, {"1e3", -1}, {"0x10", -1}, {"1.MB", -1}, {".5MB", -1},
		{"0.1G", 107374182}, {"0.5TB", 500e9}, {"1.5 GiB", 3 << 29}, {"1.0001MB", 1000100}, {"0.333333333333TiB", 366503875924}, {"0.0GB", 0}, {"8388607.999999999999TiB", 1<<63 - 2},
		{"0.5B", -1}, {"1.5", -1}, {"0.0001k", -1}, {"0.1234567890123G", -1}, {"1.5.5G", -1}, {"1,5G", -1}, {"8388608TiB", -1}, {"9223372036854775808", -1}, {"1  MB", -1}, {" 1MB", -1}, {"1MB ", -1}, {"1MB/s", -1}, {"1_000", -1},
	} {
		got, err := ParseSize(test.text)
		if err != nil {
			got = -1
			if !errors.Is(err, bundle.ErrUsage) {
				t.Errorf("%q: %v does not match bundle.ErrUsage", test.text, err)
			}
		}
		if got != test.want {
			t.Errorf("%q: got %d, want %d", test.text, got, test.want)
		}
	}
}

func TestParseRate(t *testing.T) {
	for text, want := range map[string]int64{"20MB/s": 20e6, "1MiB/s": 1 << 20, "5/s": 5, "0.5MB/s": 500e3, "1.5M/s": 3 << 19, "0.0001k/s": -1, "20MB": -1, "0/s": -1, "/s": -1, "1MB/h": -1} {
		got, err := ParseRate(text)
		if err != nil {
			got = -1
		}
		if got != want {
			t.Errorf("%q: got %d, %v, want %d", text, got, err, want)
		}
	}
}

// FuzzSpec: any bytes are a spec or a refusal with a place; nothing panics.
func FuzzSpec(f *testing.F) {
	f.Add([]byte(full))
	f.Add([]byte("version: 1\nname: a\nsources: [{name: s, kind: files, urls: [x]}]\n"))
	f.Add([]byte("hosts: {a: {rate: 1MB/s}}\ndefaults: {files: }\nsources:\n- name: \n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parse("spec", "/", b)
		if err != nil {
			if !errors.Is(err, bundle.ErrUsage) {
				t.Fatalf("%v: does not match bundle.ErrUsage", err)
			}
			return
		}
		for _, source := range s.Sources {
			var own struct {
				URLs []string `yaml:"urls,single"`
			}
			_ = source.Decode(&own)
		}
	})
}

// TestPublic: a source may answer where several stand for one address; other values are errors.
func TestPublic(t *testing.T) {
	load := func(value string) (*Spec, error) {
		path := filepath.Join(t.TempDir(), "site.yaml")
		text := "version: 1\nname: site\nsources:\n- {name: a, kind: files, urls: [\"https://a.example/x\"]" + value + "}\n"
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return Load(path)
	}
	for value, want := range map[string]bool{"": false, ", public: true": true, ", public: false": false} {
		if s, err := load(value); err != nil || s.Sources[0].Public != want {
			t.Errorf("%q: %v, want %v", value, err, want)
		}
	}
	if _, err := load(", public: perhaps"); !errors.Is(err, bundle.ErrUsage) {
		t.Errorf("got %v", err)
	}
}

package checksums

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
)

var (
	sumA = strings.Repeat("a1", 32)
	sumB = strings.Repeat("b2", 32)
	sumC = strings.Repeat("c3", 64)
)

// release returns the files in the forms of releases 2.22 to 2.32, with invented digests.
func release() string {
	return `---
kube_version: "{{ something }}"
other: [1, {a: b}]
kubelet_checksums:
  arm64:
    1.34.1: sha256:` + sumB + `
  amd64:
    1.34.1: sha256:` + sumA + `
    v1.33.0: ` + sumB + `
    1.10: ` + sumB + `
    1.1: ` + sumA + `
    1.9.0: 0
kubectl_checksums: {amd64: {1.34.1: "sha256:` + sumB + `"}}
gvisor_runsc_binary_checksums:
  amd64:
    20260101.0: sha512:` + sumC + `
krew_archive_checksums:
  darwin:
    amd64: {v0.4.3: ` + sumB + `}
  linux:
    amd64:
      v0.4.3: ` + sumA + `
calico_crds_archive_checksums:
  v3.25.1: ` + sumB + `
gateway_api_standard_crds_checksums:
  no_arch:
    1.2.0: sha256:` + sumA + `
youki_checksums:
  amd64:
    0.1.0: ` + sumA + `
containerd_archive_checksums: {amd64: {2.1.0: ` + sumA + `}}
containerd_static_archive_checksums: {amd64: {2.1.0: ` + sumB + `}}
newthing_checksums: {amd64: {1.0.0: ` + sumA + `}}
`
}

func TestFind(t *testing.T) {
	tables, err := Read("checksums.yml", []byte(release()))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(tables.Unknown, " "); got != "newthing_checksums" {
		t.Errorf("unknown tables: %q", got)
	}
	for url, want := range map[string]string{
		"https://dl.k8s.io/release/v1.34.1/bin/linux/amd64/kubelet":                                                    "sha256:" + sumA,
		"https://dl.k8s.io/release/v1.34.1/bin/linux/arm64/kubelet":                                                    "sha256:" + sumB,
		"https://dl.k8s.io/release/v1.33.0/bin/linux/amd64/kubelet":                                                    "sha256:" + sumB,
		"https://dl.k8s.io/release/v1.10/bin/linux/amd64/kubelet":                                                      "sha256:" + sumB,
		"https://dl.k8s.io/release/v1.1/bin/linux/amd64/kubelet":                                                       "sha256:" + sumA,
		"https://dl.k8s.io/release/v1.34.1/bin/linux/amd64/kubectl":                                                    "sha256:" + sumB,
		"https://storage.googleapis.com/gvisor/releases/release/20260101.0/x86_64/runsc":                               "sha512:" + sumC,
		"https://github.com/kubernetes-sigs/krew/releases/download/v0.4.3/krew-linux_amd64.tar.gz":                     "sha256:" + sumA,
		"https://github.com/projectcalico/calico/archive/v3.25.1.tar.gz":                                               "sha256:" + sumB,
		"https://github.com/kubernetes-sigs/gateway-api/releases/download/v1.2.0/standard-install.yaml":                "sha256:" + sumA,
		"https://github.com/containers/youki/releases/download/v0.1.0/youki_v0_1_0_linux.tar.gz":                       "sha256:" + sumA,
		"https://github.com/containerd/containerd/releases/download/v2.1.0/containerd-2.1.0-linux-amd64.tar.gz":        "sha256:" + sumA,
		"https://github.com/containerd/containerd/releases/download/v2.1.0/containerd-static-2.1.0-linux-amd64.tar.gz": "sha256:" + sumB,
		"https://dl.k8s.io/release/v1.9.0/bin/linux/amd64/kubelet":                                                     "! no kubelet_checksums 1.9.0 amd64",
		"https://dl.k8s.io/release/v1.34.10/bin/linux/amd64/kubelet":                                                   "! no kubelet_checksums 1.34.10 amd64",
		"https://dl.k8s.io/release/v1.34.1/bin/linux/s390x/kubelet":                                                    "! no kubelet_checksums 1.34.1 s390x",
		"https://example.org/unheard-of.tar.gz":                                                                        "! no table",
		"https://github.com/kubernetes-sigs/gateway-api/releases/download/v1.2.0/experimental-install.yaml":            "! no gateway_api_experimental_crds_checksums 1.2.0",
		"https://github.com/containers/youki/releases/download/v9.9.9/youki_v0_1_0_linux.tar.gz":                       "! no youki_checksums 9.9.9",
	} {
		_, sum, err := tables.Find(url)
		text, refused := strings.CutPrefix(want, "! ")
		switch {
		case refused && (err == nil || !strings.Contains(err.Error(), text)):
			t.Errorf("%s: got %v, %v; want an error with %q", url, sum, err, text)
		case !refused && (err != nil || sum.Algorithm+":"+sum.Hex != want):
			t.Errorf("%s: got %v, %v; want %s", url, sum, err, want)
		}
	}
}

// TestEveryTable: each table is found by a URL that its pattern is for, and by no other one.
func TestEveryTable(t *testing.T) {
	list, err := os.ReadFile("testdata/urls.txt")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(list)) {
		table, url, _ := strings.Cut(strings.TrimSpace(line), " ")
		var text strings.Builder
		for _, p := range patterns() { // every table has every version, so that only the pattern decides
			text.WriteString(p.table + ":\n")
			for _, arch := range []string{"amd64", "no_arch"} {
				text.WriteString("  " + arch + ":\n    1.2.3: " + sumA + "\n")
			}
		}
		tables, err := Read("x", []byte(dedupe(text.String())))
		if err != nil {
			t.Fatal(err)
		}
		key, _, err := tables.Find(url)
		if err != nil || key.Table != table {
			t.Errorf("%s: got %v, %v; want %s", url, key, err, table)
		}
		seen[table] = true
	}
	for _, p := range patterns() {
		if !seen[p.table] {
			t.Errorf("%s: testdata/urls.txt has no URL for it", p.table)
		}
	}
}

// dedupe drops the second youki table: two patterns lead to it.
func dedupe(s string) string {
	i := strings.LastIndex(s, "youki_checksums:")
	end := i + strings.Index(s[i:], "kata")
	return s[:i] + s[end:]
}

func TestRefused(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"nothing":        {"a: b\n", "no table of checksums"},
		"another digest": {"x_checksums: {amd64: {1.0: md5:00}}\n", "want sha256 or sha512"},
		"wrong length":   {"x_checksums: {amd64: {1.0: sha256:abcd}}\n", "want 64 hexadecimal digits"},
		"sha512 short":   {"x_checksums: {amd64: {1.0: sha512:" + sumA + "}}\n", "want 128 hexadecimal digits"},
		"placeholder":    {"x_checksums: {amd64: {1.0: " + strings.Repeat("0", 64) + "}}\n", "placeholder"},
		"a list":         {"x_checksums: [a]\n", "want a digest or a mapping"},
		"a list below":   {"x_checksums: {amd64: [a]}\n", "x_checksums"},
		"an alias":       {"a: &a {amd64: {1.0: " + sumA + "}}\nx_checksums: *a\n", "want a digest or a mapping"},
		"a list as key":  {"x_checksums: {? [amd64] : {1.0: " + sumA + "}}\n", "want a word or a version as a key"},
		"a bomb":         {"a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nx_checksums: {amd64: *c}\n", "want a digest or a mapping"},
		"too deep":       {"x_checksums: {a: {b: {c: {d: e}}}}\n", "x_checksums"},
		"two archs":      {"x_checksums: {amd64: {arm64: {1.0: " + sumA + "}}}\n", "want one architecture"},
		"two digests":    {"x_checksums: {amd64: {v1.0: " + sumA + ", 1.0: " + sumB + "}}\n", "two digests"},
		"duplicate key":  {"x_checksums: {amd64: {1.0: " + sumA + "}}\nx_checksums: {amd64: {1.0: " + sumB + "}}\n", "two digests"},
		"no mapping":     {"- a\n", "want a mapping"},
		"two documents":  {"a: b\n---\nc: d\n", "a second document"},
		"large":          {strings.Repeat("#", MaxSize+1), "at most"},
		"deep":           {"a: " + strings.Repeat("[", 100_000) + "\n", "exceeded max depth"},
		"no version":     {"x_checksums: " + sumA + "\n", "without a version"},
	} {
		_, err := Read("checksums.yml", []byte(test.text))
		if !errors.Is(err, bundle.ErrUsage) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v; want bundle.ErrUsage with %q", name, err, test.want)
		}
	}
}

// TestBounded: a file with too many digests ends, and says so.
func TestBounded(t *testing.T) {
	var b strings.Builder
	b.WriteString("x_checksums:\n  amd64:\n")
	for i := range maxEntries + 50 {
		b.WriteString("    1." + strings.Repeat("1", i%5) + "." + itoa(i) + ": 0\n")
	}
	if b.Len() > MaxSize {
		t.Fatalf("%d bytes", b.Len())
	}
	if _, err := Read("checksums.yml", []byte(b.String())); !errors.Is(err, bundle.ErrUsage) {
		t.Fatal(err)
	}
}

func itoa(i int) string {
	if i < 10 {
		return string(rune('0' + i))
	}
	return itoa(i/10) + string(rune('0'+i%10))
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(release()))
	f.Add([]byte("x_checksums: {amd64: {1.0: 0}}"))
	f.Add([]byte("x_checksums: &a\n  <<: *a\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		tables, err := Read("x", content)
		if err != nil {
			if !errors.Is(err, bundle.ErrUsage) {
				t.Fatal(err)
			}
			return
		}
		for k, sum := range tables.sums {
			if again, err := ParseSum(sum.Algorithm + ":" + sum.Hex); err != nil || again != sum || k.Version == "" {
				t.Fatalf("%v: %v, %v", k, sum, err)
			}
		}
	})
}

func FuzzFind(f *testing.F) {
	tables, err := Read("x", []byte(release()))
	if err != nil {
		f.Fatal(err)
	}
	f.Add("https://dl.k8s.io/release/v1.34.1/bin/linux/amd64/kubelet")
	f.Fuzz(func(t *testing.T, url string) {
		key, sum, err := tables.Find(url)
		if err == nil && tables.sums[key] != sum {
			t.Fatalf("%s: %v", url, key)
		}
	})
}

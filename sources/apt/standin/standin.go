// Package standin plays the upstreams of the examples of the kind apt: package archives that
// are signed by its key.
package standin

import (
	"bytes"
	"fmt"
	"net/http"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/internal/test/journey"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
)

// Examples returns the examples of the kind.
func Examples() []journey.Example {
	start := func(t *testing.T) journey.Upstream {
		a := &archives{journey.NewSigner(t)}
		return journey.Upstream{Hosts: a, Adopt: a.adopt}
	}
	return []journey.Example{{Spec: "apt.yaml", Start: start}, {Spec: "apt-lists.yaml", Start: start}, {Spec: "first.yaml", Start: start}}
}

// archives stands for every package repository: whatever the address, it has
// the same few packages, in indexes that are signed by its key.
type archives struct{ *journey.Signer }

var (
	localKey    = regexp.MustCompile(`/usr/share/keyrings/\S+`)
	components  = []string{"main", "universe", "stable", "common", "dgx"}
	indexedArch = regexp.MustCompile(`/binary-([a-z0-9]+)/Packages`)
)

// adopt makes the specs trust the stand-in's key.
func (a *archives) adopt(j *journey.Journey) {
	for _, name := range []string{"apt.yaml", "apt-lists.yaml", "first.yaml", "apt/ubuntu.sources"} {
		a.Trust(j, name)
	}
	j.Rewrite("apt/ubuntu.sources", func(text string) string {
		return localKey.ReplaceAllString(text, filepath.Join(j.Dir, "keys/ubuntu-archive-keyring.gpg"))
	})
}

func (a *archives) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body []byte
	switch base := path.Base(r.URL.Path); {
	case base == "InRelease":
		body = a.release(path.Dir(r.URL.Path))
	case base == "gpg", strings.HasSuffix(base, ".pub"):
		body = a.Key()
	case base == "Packages.gz", base == "Sources.gz":
		body = upstreamtest.Gzip(a.index(r.URL.Path))
	case strings.HasSuffix(base, ".deb"), strings.HasSuffix(base, ".dsc"):
		body = journey.Content(r.URL.Path[strings.Index(r.URL.Path, "pool/"):])
	default:
		http.NotFound(w, r)
		return
	}
	http.ServeContent(w, r, "", a.Date, bytes.NewReader(body))
}

// index returns the plain text of an index: one for all flat repositories, and one
// for each component and architecture.
func (a *archives) index(url string) []byte {
	var b strings.Builder
	file := func(name string) string {
		sum := journey.Content(name)
		return fmt.Sprintf("Filename: %s\nSize: %d\nSHA256: %s\n", name, len(sum), journey.Digest(sum))
	}
	if strings.Contains(url, "Sources") {
		for _, name := range []string{"slurm-wlm", "libhello1"} {
			dsc := journey.Content("pool/" + name + "_1.0-1.dsc")
			fmt.Fprintf(&b, "Package: %s\nVersion: 1.0-1\nDirectory: pool\nFiles:\n %032x %d %s_1.0-1.dsc\nChecksums-Sha256:\n %s %d %s_1.0-1.dsc\n\n",
				name, 0, len(dsc), name, journey.Digest(dsc), len(dsc), name)
		}
		return []byte(b.String())
	}
	arch := "amd64"
	if m := indexedArch.FindStringSubmatch(url); m != nil {
		arch = m[1]
	}
	for _, p := range []struct{ name, depends string }{{"slurm-wlm", "libhello1"}, {"libhello1", ""}, {"cuda-toolkit-13-0", "slurm-wlm"}, {"snapd", ""}} {
		fmt.Fprintf(&b, "Package: %s\nVersion: 1.0-1\nArchitecture: %s\n", p.name, arch)
		if p.depends != "" {
			fmt.Fprintf(&b, "Depends: %s (>= 1.0)\n", p.depends)
		}
		b.WriteString(file("pool/"+p.name+"_1.0-1_"+arch+".deb") + "\n")
	}
	return []byte(b.String())
}

func (a *archives) release(folder string) []byte {
	names := []string{"Packages"}
	var b bytes.Buffer
	fmt.Fprintf(&b, "Date: %s\n", a.Date.UTC().Format("Mon, 02 Jan 2006 15:04:05 UTC"))
	if _, suite, ok := strings.Cut(folder, "/dists/"); ok {
		fmt.Fprintf(&b, "Suite: %s\nComponents: %s\nArchitectures: amd64 arm64\n", suite, strings.Join(components, " "))
		names = nil
		for _, c := range components {
			names = append(names, c+"/binary-amd64/Packages", c+"/binary-arm64/Packages", c+"/source/Sources")
		}
	}
	b.WriteString("SHA256:\n")
	for _, name := range names {
		text := a.index("/" + name)
		for suffix, form := range map[string][]byte{"": text, ".gz": upstreamtest.Gzip(text)} {
			fmt.Fprintf(&b, " %s %d %s\n", journey.Digest(form), len(form), name+suffix)
		}
	}
	return a.ClearSign(b.Bytes())
}

package examples

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

func TestApt(t *testing.T) {
	a := newArchives(t)
	trip(t, example{spec: "apt.yaml", hosts: a, adopt: a.adopt})
}

func TestAptLists(t *testing.T) {
	a := newArchives(t)
	trip(t, example{spec: "apt-lists.yaml", hosts: a, adopt: a.adopt})
}

// archives stands for every package repository: whatever the address, it has
// the same few packages, in indexes that are signed by its key.
type archives struct {
	t      *testing.T
	signer *openpgp.Entity
	date   time.Time
}

func newArchives(t *testing.T) *archives {
	t.Helper()
	e, err := openpgp.NewEntity("stand-in", "", "stand-in@example.org", nil)
	if err != nil {
		t.Fatal(err)
	}
	return &archives{t: t, signer: e, date: e.PrimaryKey.CreationTime}
}

// key is the public key, armored.
func (a *archives) key() []byte {
	a.t.Helper()
	var b bytes.Buffer
	w, err := armor.Encode(&b, openpgp.PublicKeyType, nil)
	if err == nil {
		err = a.signer.Serialize(w)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		a.t.Fatal(err)
	}
	return b.Bytes()
}

var (
	keyFile     = regexp.MustCompile(`keys/[a-z-]+\.(gpg|asc)`)
	keyOfSpec   = regexp.MustCompile(`fingerprint: [0-9A-F]{40}`)
	localKey    = regexp.MustCompile(`/usr/share/keyrings/\S+`)
	components  = []string{"main", "universe", "stable", "common", "dgx"}
	indexedArch = regexp.MustCompile(`/binary-([a-z0-9]+)/Packages`)
)

// adopt makes the specs trust the stand-in's key.
func (a *archives) adopt(j *journey) {
	a.t.Helper()
	dir := j.dir
	specs, err := filepath.Glob(filepath.Join(dir, "apt*.yaml"))
	if err != nil {
		a.t.Fatal(err)
	}
	for _, name := range append(specs, filepath.Join(dir, "apt/ubuntu.sources")) {
		text, err := os.ReadFile(name)
		if err != nil {
			a.t.Fatal(err)
		}
		for _, file := range keyFile.FindAllString(string(text), -1) {
			if err := os.MkdirAll(filepath.Join(dir, "keys"), 0o755); err != nil {
				a.t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, file), a.key(), 0o644); err != nil {
				a.t.Fatal(err)
			}
		}
		text = keyOfSpec.ReplaceAll(text, fmt.Appendf(nil, "fingerprint: %X", a.signer.PrimaryKey.Fingerprint))
		text = localKey.ReplaceAll(text, []byte(filepath.Join(dir, "keys/ubuntu-archive-keyring.gpg")))
		if err := os.WriteFile(name, text, 0o644); err != nil {
			a.t.Fatal(err)
		}
	}
}

func (a *archives) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body []byte
	switch base := path.Base(r.URL.Path); {
	case base == "InRelease":
		body = a.release(path.Dir(r.URL.Path))
	case base == "gpg", strings.HasSuffix(base, ".pub"):
		body = a.key()
	case base == "Packages.gz", base == "Sources.gz":
		body = packed(a.index(r.URL.Path))
	case strings.HasSuffix(base, ".deb"), strings.HasSuffix(base, ".dsc"):
		body = content(r.URL.Path[strings.Index(r.URL.Path, "pool/"):])
	default:
		http.NotFound(w, r)
		return
	}
	http.ServeContent(w, r, "", a.date, bytes.NewReader(body))
}

// index is the plain text of an index: one for all flat repositories, and one
// for each component and architecture.
func (a *archives) index(url string) []byte {
	var b strings.Builder
	file := func(name string) string {
		sum := content(name)
		return fmt.Sprintf("Filename: %s\nSize: %d\nSHA256: %s\n", name, len(sum), digest(sum))
	}
	if strings.Contains(url, "Sources") {
		for _, name := range []string{"slurm-wlm", "libhello1"} {
			dsc := content("pool/" + name + "_1.0-1.dsc")
			fmt.Fprintf(&b, "Package: %s\nVersion: 1.0-1\nDirectory: pool\nFiles:\n %032x %d %s_1.0-1.dsc\nChecksums-Sha256:\n %s %d %s_1.0-1.dsc\n\n",
				name, 0, len(dsc), name, digest(dsc), len(dsc), name)
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
	a.t.Helper()
	names := []string{"Packages"}
	var b bytes.Buffer
	fmt.Fprintf(&b, "Date: %s\n", a.date.UTC().Format("Mon, 02 Jan 2006 15:04:05 UTC"))
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
		for suffix, form := range map[string][]byte{"": text, ".gz": packed(text)} {
			fmt.Fprintf(&b, " %s %d %s\n", digest(form), len(form), name+suffix)
		}
	}
	var out bytes.Buffer
	w, err := clearsign.Encode(&out, a.signer.PrivateKey, &packet.Config{Time: func() time.Time { return a.date }})
	if err == nil {
		_, err = w.Write(b.Bytes())
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		a.t.Error(err)
	}
	return append(out.Bytes(), '\n')
}

func packed(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(b) // to memory
	_ = w.Close()
	return out.Bytes()
}

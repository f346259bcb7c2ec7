package apt

import (
	"bytes"
	"crypto/md5" //nolint:gosec // archives have a table of it
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/plantest"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
	"github.com/gapbundle/gapbundle/sources/apt/deb"
)

// now is the judging time of the tests: that of sourcetest.
var now = plantest.Now()

// archive is an upstream of one suite whose packages are not packages, but
// have indexes as real ones do.
type archive struct {
	t      testing.TB
	server *upstreamtest.Server
	dir    string // of the spec
	at     string // "/debian"
	suite  string
	flat   bool
	signer *openpgp.Entity
	// packages are the stanzas of each component and architecture, "main
	// amd64"; Filename, Size and SHA256 are added where they are missing.
	packages map[string][]string
	content  map[string]string // of pool files by path, instead of the usual
	extra    map[string]string // further indexes, with their plain content
	fields   string            // of Release
	hidden   []string          // indexes that are listed and not there
	byHash   bool
	change   func(release string) string
}

func newArchive(t testing.TB, dir string) *archive {
	a := &archive{
		t: t, server: upstreamtest.New(t), dir: dir, at: "/debian", suite: "stable",
		signer: plantest.NewSigner(t, "archive", 0), byHash: true,
		packages: map[string][]string{
			"main amd64":    {pkg("hello", "2.10-3", "amd64", "Depends: libhello (>= 2), data"), pkg("libhello", "2.10-3", "amd64", ""), pkg("data", "1", "all", ""), pkg("other", "1", "amd64", "")},
			"contrib amd64": {pkg("extra", "1.0~rc1+b1", "amd64", "Depends: hello")},
		},
		extra: map[string]string{
			"main/i18n/Translation-en": "Package: hello\nDescription-md5: 00000000000000000000000000000000\nDescription-en: says hello\n\n",
			"main/i18n/Translation-de": "Package: hello\nDescription-md5: 00000000000000000000000000000000\nDescription-de: sagt hallo\n\n",
			"main/Contents-amd64":      "usr/bin/hello main/hello\n",
		},
		content: map[string]string{},
		fields:  "Origin: Test\nSuite: stable\nCodename: trixie\nDate: Sat, 31 Oct 2026 12:00:00 UTC\n",
	}
	plantest.WriteKeys(t, filepath.Join(dir, "archive.asc"), a.signer)
	return a
}

func pkg(name, version, arch, more string) string {
	if more != "" {
		more += "\n"
	}
	return fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: %s\n%sDescription: what %s is\nDescription-md5: 00000000000000000000000000000000\n", name, version, arch, more, name)
}

// body returns the content of a package of that path.
func (a *archive) body(path string) []byte {
	if c, ok := a.content[path]; ok {
		return []byte(c)
	}
	return bytes.Repeat([]byte(path+"\n"), 40)
}

// publish puts the archive on the server, signed.
func (a *archive) publish() {
	a.t.Helper()
	a.server.Put(a.base()+"InRelease", plantest.ClearSign(a.t, a.indexes(), a.signer))
}

func (a *archive) base() string {
	if a.flat {
		return a.at + "/"
	}
	return a.at + "/dists/" + a.suite + "/"
}

// indexes puts packages and indexes, and gives the Release.
func (a *archive) indexes() []byte {
	a.t.Helper()
	all := maps.Clone(a.extra)
	for key, stanzas := range a.packages {
		component, arch, _ := strings.Cut(key, " ")
		name := component + "/binary-" + arch + "/Packages"
		if a.flat {
			name = "Packages"
		}
		var text strings.Builder
		for _, stanza := range stanzas {
			text.WriteString(a.stanza(component, stanza) + "\n")
		}
		all[name] = text.String()
	}
	var table []deb.ReleaseFile
	for _, name := range slices.Sorted(maps.Keys(all)) {
		for suffix, content := range map[string][]byte{"": []byte(all[name]), ".gz": upstreamtest.Gzip([]byte(all[name]))} {
			table = append(table, a.index(name+suffix, content, suffix != ""))
		}
	}
	return a.release(table)
}

// index puts an index, and a compressed one by hash as well: the plain one is
// listed and not there, as in real archives.
func (a *archive) index(name string, content []byte, there bool) deb.ReleaseFile {
	md, long := md5.Sum(content), sha512.Sum512(content) //nolint:gosec // the same
	f := deb.ReleaseFile{
		Path: name, Size: int64(len(content)), MD5: hex.EncodeToString(md[:]),
		SHA256: bundle.DigestOf(content).Hex(), SHA512: hex.EncodeToString(long[:]),
	}
	if there && !slices.Contains(a.hidden, name) {
		a.server.Put(a.base()+name, content)
		if a.byHash {
			a.server.Put(a.base()+f.ByHash()[1], content)
		}
	}
	return f
}

func (a *archive) release(table []deb.ReleaseFile) []byte {
	var b strings.Builder
	b.WriteString(a.fields)
	if a.byHash {
		b.WriteString("Acquire-By-Hash: yes\n")
	}
	if !a.flat {
		components, archs := map[string]bool{}, map[string]bool{}
		for key := range a.packages {
			component, arch, _ := strings.Cut(key, " ")
			components[component], archs[arch] = true, true
		}
		fmt.Fprintf(&b, "Components: %s\nArchitectures: %s\n",
			strings.Join(slices.Sorted(maps.Keys(components)), " "), strings.Join(slices.Sorted(maps.Keys(archs)), " "))
	}
	slices.SortFunc(table, func(x, y deb.ReleaseFile) int { return strings.Compare(x.Path, y.Path) })
	for _, hash := range []struct {
		name string
		of   func(deb.ReleaseFile) string
	}{
		{"MD5Sum", func(f deb.ReleaseFile) string { return f.MD5 }},
		{"SHA256", func(f deb.ReleaseFile) string { return f.SHA256 }},
		{"SHA512", func(f deb.ReleaseFile) string { return f.SHA512 }},
	} {
		b.WriteString(hash.name + ":\n")
		for _, f := range table {
			fmt.Fprintf(&b, " %s %d %s\n", hash.of(f), f.Size, f.Path)
		}
	}
	if a.change != nil {
		return []byte(a.change(b.String()))
	}
	return []byte(b.String())
}

// stanza puts the file of a package and completes its stanza.
func (a *archive) stanza(component, text string) string {
	if strings.Contains(text, "\nFilename:") {
		return text
	}
	p := deb.Paragraph(text)
	path := a.pool(component, p.Field("Package"), p.Field("Version"), p.Field("Architecture"))
	body := a.body(path)
	a.server.Put(a.at+"/"+path, body)
	return fmt.Sprintf("%sFilename: %s\nSize: %d\nSHA256: %s\n", text, path, len(body), bundle.DigestOf(body).Hex())
}

func (a *archive) pool(component, name, version, arch string) string {
	return fmt.Sprintf("pool/%s/%s/%s_%s_%s.deb", component, name, name, version, arch)
}

// spec returns a source over the archive, with further lines.
func (a *archive) spec(more ...string) string {
	text := "- name: os\n  kind: apt\n  url: " + a.server.URL(a.at) + "\n  keyring: archive.asc\n"
	if !strings.Contains(strings.Join(more, "\n"), "suites:") {
		text += "  suites: [stable]\n"
	}
	if !strings.Contains(strings.Join(more, "\n"), "architectures:") {
		text += "  architectures: [amd64]\n"
	}
	for _, line := range more {
		text += "  " + line + "\n"
	}
	return text
}

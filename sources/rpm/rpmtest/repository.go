package rpmtest

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"

	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
)

// Repository makes repodata of packages.
type Repository struct {
	Packages []*Package
	// Signer signs repomd.xml; nil: nobody. Signed is when; zero: eleven months
	// before Now.
	Signer *openpgp.Entity
	Signed time.Time
	// Extra are further metadata by type, unpacked.
	Extra map[string]string
	// Sum is the type of all checksums: absent, sha256.
	Sum string
	// Pack packs a metadata file; nil: gzip, with suffix ".gz".
	Pack   func(t testing.TB, b []byte) []byte
	Suffix string
	// Change edits repomd.xml before it is signed, Edit metadata before it is packed.
	Change func(repomd string) string
	Edit   func(kind, content string) string
	// Hidden are types that are listed and not there.
	Hidden []string
	// Revision distinguishes states.
	Revision string
}

func (r *Repository) sum(b []byte) (kind, digits string) {
	switch r.Sum {
	case "sha512":
		s := sha512.Sum512(b)
		return r.Sum, hex.EncodeToString(s[:])
	default:
		s := sha256.Sum256(b)
		return "sha256", hex.EncodeToString(s[:])
	}
}

// Build returns all files of the repository by path, packages at their locations.
func (r *Repository) Build(t testing.TB) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	var primary, filelists, other strings.Builder
	for _, p := range r.Packages {
		body := p.Build(t)
		location := p.Location
		if location == "" {
			location = "Packages/" + p.FileName()
		}
		if p.Base == "" {
			files[location] = body
		}
		kind, sum := r.sum(body)
		primary.WriteString(p.primary(kind, sum, location, len(body)))
		filelists.WriteString(p.entry(sum, p.files()))
		other.WriteString(p.entry(sum, `<changelog author="a" date="1700000000">- made</changelog>`))
	}
	n := len(r.Packages)
	metadata := map[string]string{
		"primary":   fmt.Sprintf(xml.Header+`<metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="%d">`+"\n%s</metadata>\n", n, primary.String()),
		"filelists": fmt.Sprintf(xml.Header+`<filelists xmlns="http://linux.duke.edu/metadata/filelists" packages="%d">`+"\n%s</filelists>\n", n, filelists.String()),
		"other":     fmt.Sprintf(xml.Header+`<otherdata xmlns="http://linux.duke.edu/metadata/other" packages="%d">`+"\n%s</otherdata>\n", n, other.String()),
	}
	for kind, content := range r.Extra {
		metadata[kind] = content
	}
	r.repomd(t, metadata, files)
	return files
}

func (r *Repository) repomd(t testing.TB, metadata map[string]string, files map[string][]byte) {
	var list strings.Builder
	var kinds []string
	for kind := range metadata {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	for _, kind := range kinds {
		content := metadata[kind]
		if r.Edit != nil {
			content = r.Edit(kind, content)
		}
		packed, suffix := []byte(nil), r.Suffix
		if r.Pack != nil {
			packed = r.Pack(t, []byte(content))
		} else {
			packed, suffix = upstreamtest.Gzip([]byte(content)), ".gz"
		}
		ext := ".xml"
		if kind == "modules" {
			ext = ".yaml"
		}
		sumKind, sum := r.sum(packed)
		_, open := r.sum([]byte(content))
		name := "repodata/" + sum + "-" + kind + ext + suffix
		if !slices.Contains(r.Hidden, kind) {
			files[name] = packed
		}
		fmt.Fprintf(&list, "  <data type=%q>\n    <checksum type=%q>%s</checksum>\n    <open-checksum type=%q>%s</open-checksum>\n    <location href=%q/>\n    <timestamp>1790000000</timestamp>\n    <size>%d</size>\n    <open-size>%d</open-size>\n  </data>\n",
			kind, sumKind, sum, sumKind, open, name, len(packed), len(content))
	}
	revision := r.Revision
	if revision == "" {
		revision = "1790000000"
	}
	repomd := xml.Header + `<repomd xmlns="http://linux.duke.edu/metadata/repo" xmlns:rpm="http://linux.duke.edu/metadata/rpm">` + "\n  <revision>" + revision + "</revision>\n" + list.String() + "</repomd>\n"
	if r.Change != nil {
		repomd = r.Change(repomd)
	}
	files["repodata/repomd.xml"] = []byte(repomd)
	if r.Signer != nil {
		files["repodata/repomd.xml.asc"] = r.sign(t, []byte(repomd))
	}
}

func (r *Repository) sign(t testing.TB, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := armor.Encode(&b, openpgp.SignatureType, nil)
	if err == nil {
		_, err = w.Write(Sign(t, r.Signer, content, crypto.SHA256, r.Signed))
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func (p *Package) epoch() string {
	if p.Epoch == "" {
		return "0"
	}
	return p.Epoch
}

func (p *Package) primary(kind, sum, location string, size int) string {
	var b strings.Builder
	base := ""
	if p.Base != "" {
		base = fmt.Sprintf(" xml:base=%q", p.Base)
	}
	fmt.Fprintf(&b, `<package type="rpm"><name>%s</name><arch>%s</arch><version epoch="%s" ver="%s" rel="%s"/><checksum type="%s" pkgid="YES">%s</checksum>`,
		p.Name, p.Arch, p.epoch(), p.Version, p.Release, kind, sum)
	fmt.Fprintf(&b, `<summary>what %s is</summary><description>It is %s &amp; more.</description><packager></packager><url></url><time file="1790000000" build="1780000000"/><size package="%d" installed="100" archive="200"/><location%s href="%s"/>`,
		p.Name, p.Name, size, base, location)
	source := p.SourceRPM
	if source == "" && p.Arch != "src" {
		source = p.Name + "-" + p.Version + "-" + p.Release + ".src.rpm"
	}
	fmt.Fprintf(&b, "<format><rpm:license>MIT</rpm:license><rpm:vendor>a</rpm:vendor><rpm:group>b</rpm:group><rpm:buildhost>h</rpm:buildhost><rpm:sourcerpm>%s</rpm:sourcerpm><rpm:header-range start=\"100\" end=\"200\"/>", source)
	fmt.Fprintf(&b, `<rpm:provides><rpm:entry name="%s" flags="EQ" epoch="%s" ver="%s" rel="%s"/>`, p.Name, p.epoch(), p.Version, p.Release)
	for _, r := range p.Provides {
		b.WriteString(entry(r))
	}
	b.WriteString("</rpm:provides>")
	for _, list := range []struct {
		name string
		all  []string
	}{{"requires", p.Requires}, {"conflicts", p.Conflicts}, {"obsoletes", p.Obsoletes}, {"recommends", p.Recommends}} {
		if len(list.all) == 0 {
			continue
		}
		fmt.Fprintf(&b, "<rpm:%s>", list.name)
		for _, r := range list.all {
			b.WriteString(entry(r))
		}
		fmt.Fprintf(&b, "</rpm:%s>", list.name)
	}
	for _, f := range p.Files {
		if strings.HasPrefix(f, "/etc/") || strings.Contains(f, "bin/") {
			fmt.Fprintf(&b, "<file>%s</file>", f)
		}
	}
	b.WriteString("</format></package>\n")
	return b.String()
}

// entry returns a relation in primary.
func entry(relation string) string {
	name, rest, versioned := strings.Cut(relation, " ")
	if !versioned {
		return fmt.Sprintf(`<rpm:entry name="%s"/>`, name)
	}
	op, evr, _ := strings.Cut(rest, " ")
	version, release, released := strings.Cut(evr, "-")
	if released {
		release = ` rel="` + release + `"`
	}
	flags := map[string]string{"=": "EQ", "<": "LT", "<=": "LE", ">": "GT", ">=": "GE"}[op]
	return fmt.Sprintf(`<rpm:entry name="%s" flags="%s" epoch="0" ver="%s"%s/>`, name, flags, version, release)
}

func (p *Package) files() string {
	var b strings.Builder
	for _, f := range p.Files {
		fmt.Fprintf(&b, "<file>%s</file>", f)
	}
	return b.String()
}

func (p *Package) entry(sum, inner string) string {
	return fmt.Sprintf(`<package pkgid="%s" name="%s" arch="%s"><version epoch="%s" ver="%s" rel="%s"/>%s</package>`+"\n",
		sum, p.Name, p.Arch, p.epoch(), p.Version, p.Release, inner)
}

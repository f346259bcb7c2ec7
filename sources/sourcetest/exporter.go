package sourcetest

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/export"
	"github.com/gapbundle/gapbundle/verify"
)

// Exporter is the exporting side alone: it exports a set again and again, with one ledger, at a
// time that a test sets.
type Exporter struct {
	T   testing.TB
	Dir string // of the spec
	// Key is the public key of the exporter, as a mirror trusts it for every set.
	Key verify.Key
	// Options are those of the next export. Targets is a new folder each time.
	Options export.Options
	// Step is how much later each export is than the one before.
	Step time.Duration
}

// NewExporter writes keys of an exporter and of a site into dir.
func NewExporter(t testing.TB, dir string, kind sources.Kind, now time.Time) *Exporter {
	t.Helper()
	key := newKey(t)
	secret := func(string) ([]byte, error) { return []byte(passphrase), nil }
	x := &Exporter{T: t, Dir: dir, Key: verify.Key{Role: verify.RoleExporter, Set: verify.AnySet, ID: key.id, PEM: string(key.public), Added: now}, Options: export.Options{
		SpecPath: filepath.Join(dir, "gapbundle.yaml"), Kinds: sources.Kinds{kind}, Tool: "test", Now: now,
		Env: func(string) string { return "" }, Home: dir, NoReadback: true, Signers: key.signers(), Passphrase: secret, SitePassphrase: secret,
	}}
	x.Write("exporter.key", key.private)
	x.NewSite()
	return x
}

// NewSite makes another key of the site.
func (x *Exporter) NewSite() {
	x.T.Helper()
	x.Write("site.key", newSiteKey(x.T, passphrase, x.Options.Now.AddDate(0, -1, 0)).private)
}

// Write writes a file next to the spec.
func (x *Exporter) Write(name string, content []byte) {
	x.T.Helper()
	if err := os.WriteFile(filepath.Join(x.Dir, name), content, 0o600); err != nil {
		x.T.Fatal(err)
	}
}

// Try exports sources, as YAML, with options that change makes of x.Options.
func (x *Exporter) Try(text string, change ...func(*export.Options)) (*export.Result, error) {
	x.T.Helper()
	x.Write("gapbundle.yaml", []byte("version: 1\nname: demo\nsigning: {exporter: exporter.key, site: site.key}\nsources:\n"+text))
	x.Options.Now = x.Options.Now.Add(x.Step)
	o := x.Options
	o.Targets = []string{x.T.TempDir()}
	for _, f := range change {
		f(&o)
	}
	return export.Run(x.T.Context(), o)
}

// Run does what Try does, for an export that has to succeed.
func (x *Exporter) Run(text string) *export.Result {
	x.T.Helper()
	res, err := x.Try(text)
	if err != nil {
		x.T.Fatal(err)
	}
	return res
}

package main

import (
	"context"
	"fmt"
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/cmd/internal/command"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/export"
	"github.com/gapbundle/gapbundle/sources/keys"
)

// hintRow says what a person is told about errors of a class that some packages wrap.
type hintRow struct {
	packages string // separated by blanks
	sentinel string
	// via is the way to the person: a thing that bundle.About says in that very place, or
	// the name of a function of the map ways, which sends the error through the code that
	// is on its way; "": nothing is between.
	via  string
	want string // in the hint
}

const (
	lacking   = "sources/apt sources/complete sources/files sources/galaxy sources/git sources/helm sources/kubespray sources/pypi/pages sources/rpm sources/simplestreams/readers sources/simplestreams/streams"
	differing = "sources/complete sources/git sources/git/gitrepo sources/helm sources/oci"
	copyAgain = "copy the named file again from the side that made it"
	notOurs   = "copy the named file again from where it came"
	theirs    = "upstream contradicts itself"
	optionsOf = "docs/sources/fake.md describes every option of the kind fake"
	selection = "add the repository that has it as a source"
	repairs   = "gapbundle repair /srv/mirror PATH..."
)

// hintTable has a row for each class and package that wraps it.
func hintTable() []hintRow {
	return []hintRow{
		// What was read from a medium, by both sides.
		{"bundle bundle/media internal/push verify", "ErrMalformed", "", notOurs},
		{"bundle bundle/media bundle/tidy verify unpack", "ErrCorrupt", "", copyAgain},
		{"bundle", "ErrUnsupported", "", "use the gapbundle that made this, or a newer one"},
		{"bundle bundle/reach internal/access unpack/state verify", "ErrUntrusted", "", "gapbundle trust list --mirror DIR"},
		{"cmd/internal/command", "ErrUntrusted", "", "gapbundle trust list --mirror DIR"},
		{"bundle/reach", "ErrMalformed", "", notOurs},
		{"bundle bundle/tidy verify unpack", "ErrIncomplete", "", "bring what is named and repeat the command"},
		{"bundle/media", "ErrIncomplete", "", "bring what is named and repeat the command"},
		{"bundle/media", "ErrIncomplete", "AboutTargets", "plug a medium with volumes of this bundle in again"},
		{"bundle/media", "ErrCorrupt", "AboutTargets", "the medium does not keep what is written to it"},
		// What somebody asked for.
		{"bundle bundle/media cmd/internal/command internal/pgpkeys internal/pubkeys internal/push sources sources/collect sources/config sources/export sources/ledger unpack unpack/site unpack/state unpack/tree verify",
			"ErrUsage", "", "correct what is named; gapbundle COMMAND --help"},
		{"sources/config internal/strictyaml", "ErrUsage", "spec file", "docs/spec.md describes every key of a spec"},
		{"internal/strictyaml sources/apt/closure sources/apt/reindex sources/closure sources/files sources/galaxy sources/galaxy/resolve sources/helm/index sources/kubespray/checksums sources/oci sources/pypi sources/rebuild sources/rpm sources/rpm/closure",
			"ErrUsage", "new", optionsOf},
		{"sources/apt/closure sources/apt/reindex sources/closure sources/files sources/galaxy sources/galaxy/resolve sources/helm/index sources/kubespray/checksums sources/oci sources/pypi sources/rebuild sources/rpm sources/rpm/closure",
			"ErrUsage", "plan", optionsOf},
		{"bundle/media", "ErrUsage", "AboutTargets", "gapbundle export SPEC --adopt FILE goes on from that bundle"},
		{"internal/pubkeys", "ErrUsage", "AboutPublicKey", "name the public half: exporter.pub"},
		{"internal/serve", "ErrUsage", "AboutCertificate", "--tls-key the private key of it"},
		{"sources/export", "ErrUsage", "AboutBase", "--full builds on nothing"},
		{"unpack", "ErrUsage", "AboutGeneration", "gapbundle history /srv/mirror prints the generations"},
		{"unpack", "ErrUsage", "AboutSet", "gapbundle status /srv/mirror prints the sets"},
		{"unpack/site", "ErrUsage", "AboutBaseURL", "as in http://mirror.lan:8080"},
		{"verify", "ErrUsage", "AboutTrust", "gapbundle trust list --mirror /srv/mirror prints the keys"},
		{"sources/export", "ErrUsage", "AboutKey", "name a private key that gapbundle keygen --out DIR has made"},
		{"sources/keys", "ErrUsage", "key", "name a private key that gapbundle keygen --out DIR has made"},
		{"internal/fetch internal/registry sources sources/upstream", "ErrConfig", "", "under hosts in the spec"},
		// What upstream wrote, and what is wanted of it.
		{"sources sources/apt sources/apt/closure sources/apt/deb sources/apt/reindex sources/files sources/galaxy sources/galaxy/api sources/galaxy/record sources/galaxy/requirements sources/galaxy/tarball sources/galaxy/version sources/git/gitfile sources/helm sources/helm/index sources/helm/pack sources/oci sources/pypi/pages sources/rpm/closure sources/rpm/modulemd sources/rpm/rpmmd sources/simplestreams/streams",
			"ErrMalformed", "plan", theirs},
		{"sources/apt/deb sources/helm/pack sources/galaxy/tarball sources/git/gitfile sources/rpm/rpmmd", "ErrMalformed", "open", theirs},
		{"sources/collect sources/git/gitfile sources/upstream", "ErrCorrupt", "open", theirs},
		{"internal/decompress internal/push internal/registry sources sources/apt sources/collect sources/export sources/galaxy sources/galaxy/api sources/git sources/git/lfs sources/git/relay sources/helm sources/keyring sources/oci sources/pypi sources/pypi/index sources/rebuild sources/replay sources/rpm sources/simplestreams sources/stock sources/upstream internal/fetch",
			"ErrUpstream", "plan", theirs},
		{"sources/oci/local", "ErrUpstream", "AboutInput", "make it again, or copy it again"},
		{"internal/fetch sources sources/apt sources/files sources/galaxy sources/galaxy/api sources/helm sources/pypi sources/rpm sources/upstream", "ErrRefused", "plan", "docs/trust.md"},
		{"sources/files sources/galaxy sources/git/gitsig sources/keyring sources/oci sources/rpm sources/simplestreams", "ErrRefused", "AboutSigner", "get its fingerprint by another way than this upstream"},
		{"sources/collect", "ErrRefused", "AboutPin", "correct the digest where it is pinned"},
		{"sources/apt sources/apt/closure sources/closure sources/rpm sources/simplestreams/readers sources/simplestreams/streams", "ErrIncomplete", "plan", selection},
		// What kinds check, here before the trip and inside.
		{lacking + " sources/export", "ErrIncomplete", "check", "no bundle was finished"},
		{differing + " sources/export", "ErrCorrupt", "check", "no bundle was finished"},
		{lacking, "ErrIncomplete", "inside", repairs},
		{differing, "ErrCorrupt", "inside", repairs},
		{"internal/push", "ErrCorrupt", "", copyAgain},
		{"internal/push", "ErrIncomplete", "", "bring what is named and repeat the command"},
		// What an exporter remembers, and what came back to it.
		{"sources/ledger", "ErrMalformed", "AboutState", "gapbundle export SPEC --adopt FILE"},
		{"sources/ledger", "ErrUsage", "AboutState", "gapbundle export SPEC --adopt FILE"},
		{"sources/ledger", "ErrUnsupported", "AboutState", "use the gapbundle that made this, or a newer one"},
		{"sources/ledger sources/export", "ErrUntrusted", "AboutReceipt", "compare key and destination: gapbundle receipts list"},
		{"sources/ledger unpack/state", "ErrBusy", "", "wait for it with --retry-lock 10m"},
		{"sources/export", "ErrCorrupt", "AboutBase", "--full builds on nothing"},
		{"sources/export", "ErrIncomplete", "AboutBase", "--full builds on nothing"},
		{"sources/export", "ErrMalformed", "AboutBase", "--full builds on nothing"},
		// The mirror.
		{"cmd/internal/command unpack unpack/site unpack/store unpack/tree", "ErrCorrupt", "AboutMirror", repairs},
		{"unpack/tree", "ErrIncomplete", "AboutMirror", repairs},
		{"cmd/internal/command unpack/state unpack/tree", "ErrIncomplete", "AboutEmptyMirror", "gapbundle import PATH --to /srv/mirror"},
		{"unpack/state", "ErrCorrupt", "AboutMirrorState", "gapbundle state rebuild /srv/mirror"},
		{"unpack", "ErrUntrusted", "AboutMirrorState", "gapbundle state rebuild /srv/mirror"},
		{"unpack/site unpack/state unpack/tree", "ErrMalformed", "", notOurs},
		{"unpack unpack/site", "ErrUnsupported", "", "use the gapbundle that made this, or a newer one"},
	}
}

// sentinelOf returns the value of a class by its name.
func sentinelOf(t *testing.T, name string) error {
	t.Helper()
	for _, err := range []struct {
		name string
		err  error
	}{
		{"ErrUsage", bundle.ErrUsage}, {"ErrMalformed", bundle.ErrMalformed}, {"ErrCorrupt", bundle.ErrCorrupt},
		{"ErrUnsupported", bundle.ErrUnsupported}, {"ErrUntrusted", bundle.ErrUntrusted}, {"ErrIncomplete", bundle.ErrIncomplete},
		{"ErrBusy", bundle.ErrBusy}, {"ErrUpstream", fetch.ErrUpstream}, {"ErrRefused", fetch.ErrRefused}, {"ErrConfig", fetch.ErrConfig},
	} {
		if err.name == name {
			return err.err
		}
	}
	t.Fatalf("no sentinel %s", name)
	return nil
}

// things returns the things by the name of their constant.
func things() map[string]bundle.Thing {
	return map[string]bundle.Thing{
		"AboutSpec": bundle.AboutSpec, "AboutKey": bundle.AboutKey, "AboutPassphrase": bundle.AboutPassphrase, "AboutInput": bundle.AboutInput,
		"AboutSigner": bundle.AboutSigner, "AboutPin": bundle.AboutPin, "AboutSelection": bundle.AboutSelection, "AboutCollected": bundle.AboutCollected,
		"AboutTargets": bundle.AboutTargets, "AboutBase": bundle.AboutBase, "AboutState": bundle.AboutState, "AboutReceipt": bundle.AboutReceipt,
		"AboutMirror": bundle.AboutMirror, "AboutMirrorState": bundle.AboutMirrorState, "AboutEmptyMirror": bundle.AboutEmptyMirror,
		"AboutPublicKey": bundle.AboutPublicKey, "AboutTrust": bundle.AboutTrust, "AboutGeneration": bundle.AboutGeneration,
		"AboutSet": bundle.AboutSet, "AboutBaseURL": bundle.AboutBaseURL, "AboutCertificate": bundle.AboutCertificate,
	}
}

// exporting is an export by a fake kind, which fails at one place.
type exporting struct {
	t        *testing.T
	dir, key string
}

func newExporting(t *testing.T) *exporting {
	t.Helper()
	e := &exporting{t: t, dir: t.TempDir()}
	private, _, _, err := keys.GenerateExporter(nil)
	if err != nil {
		t.Fatal(err)
	}
	e.key = filepath.Join(e.dir, "exporter.key")
	spec := "version: 1\nname: tools\nsources:\n  - {name: a, kind: fake}\n"
	for name, content := range map[string]string{"exporter.key": string(private), "exporter.pub": "no key", "s.yaml": spec, "bad.yaml": "version: 1\n  name: tools\n"} {
		if err := os.WriteFile(filepath.Join(e.dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

// fake is a kind and its only source.
type fake struct{ onNew, onPlan, onOpen, onCheck error }

func (f fake) kind() sources.Kind {
	return sources.Kind{
		Name: "fake", Doc: "fails", Options: func() any { return &struct{}{} },
		New:   func([]sources.Spec) (sources.Source, error) { return f, f.onNew },
		Check: func(context.Context, sources.Tree) ([]bundle.CheckCount, error) { return nil, f.onCheck },
	}
}

func (f fake) Plan(context.Context, *sources.Env) (*sources.Plan, error) {
	content := []byte("content")
	a := sources.Artifact{
		File:     bundle.File{Path: "a", Size: int64(len(content)), Digest: bundle.DigestOf(content)},
		Evidence: bundle.Evidence{Path: "a", Origin: "https://up.example/a", Vouched: bundle.VouchedIndex},
		Open: func(ctx context.Context, at int64, validator string) (*bundle.Content, error) {
			if f.onOpen != nil {
				return nil, f.onOpen
			}
			return sources.InMemory(content, "")(ctx, at, validator)
		},
	}
	return &sources.Plan{Repositories: []sources.Repository{{Name: "a", Mount: "fake", Artifacts: sources.List([]sources.Artifact{a})}}}, f.onPlan
}

func (e *exporting) run(f fake, spec, key string) error {
	e.t.Helper()
	target := filepath.Join(e.t.TempDir(), "usb")
	_, err := export.Run(e.t.Context(), export.Options{
		SpecPath: filepath.Join(e.dir, spec), Targets: []string{target}, Keys: []string{key}, StateDir: e.t.TempDir(),
		Kinds: sources.Kinds{f.kind()}, Passphrase: func(string) ([]byte, error) { return []byte{}, nil }, Tool: "test", Now: judgingTime(),
	})
	if err == nil {
		e.t.Error("the export did not fail")
	}
	return err
}

// ways send an error through the code between where it comes up and the person.
func (e *exporting) ways() map[string]func(error) error {
	return map[string]func(error) error{
		"":          func(err error) error { return err },
		"new":       func(err error) error { return e.run(fake{onNew: err}, "s.yaml", e.key) },
		"plan":      func(err error) error { return e.run(fake{onPlan: err}, "s.yaml", e.key) },
		"open":      func(err error) error { return e.run(fake{onOpen: err}, "s.yaml", e.key) },
		"check":     func(err error) error { return e.run(fake{onCheck: err}, "s.yaml", e.key) },
		"spec file": func(error) error { return e.run(fake{}, "bad.yaml", e.key) },
		"key":       func(error) error { return e.run(fake{}, "s.yaml", filepath.Join(e.dir, "exporter.pub")) },
		"inside":    func(err error) error { return bundle.About(bundle.AboutMirror, err) }, // as eachKind does
	}
}

// TestHintOfEveryPlace: every class, every package that wraps it, the hint that it
// gives. A package that begins to wrap another class needs a row.
func TestHintOfEveryPlace(t *testing.T) {
	e := newExporting(t)
	ways := e.ways()
	covered := map[string]bool{} // package, sentinel and thing
	tried := map[string]string{} // hints by sentinel and way
	for _, row := range hintTable() {
		thing, about := things()[row.via]
		way, known := ways[row.via]
		if !about && !known {
			t.Fatalf("no way %q", row.via)
		}
		at := row.sentinel + " " + row.via
		if _, done := tried[at]; !done {
			err := fmt.Errorf("a thing: %w", sentinelOf(t, row.sentinel))
			if about {
				err = bundle.About(thing, err)
			} else {
				err = way(err)
			}
			tried[at] = strings.Join(command.HintsFor(t.Context(), err, "/srv/mirror", exportHint), "\n")
		}
		if !strings.Contains(strings.ReplaceAll(tried[at], "DIR", "/srv/mirror"), strings.ReplaceAll(row.want, "DIR", "/srv/mirror")) {
			t.Errorf("%s by way of %q: hint %q, want %q", row.sentinel, row.via, tried[at], row.want)
		}
		for name := range strings.FieldsSeq(row.packages) {
			key := name + " " + row.sentinel
			covered[key] = true
			if about {
				covered[key+" "+row.via] = true
			}
		}
	}
	wrapped := map[string]bool{}
	for _, use := range sentinelUses(t) {
		key := use.Package + " " + use.Sentinel
		wrapped[key] = true
		if use.About != "" {
			key += " " + use.About
		}
		if !covered[key] {
			t.Errorf("%s: the table has no row for it", key)
		}
	}
	for key := range covered {
		if words := strings.Fields(key); !wrapped[words[0]+" "+words[1]] {
			t.Errorf("%s: the table has a row, and nothing there wraps it", key)
		}
	}
}

// TestEveryThingIsMarked: a thing that no code says has hints for nobody.
func TestEveryThingIsMarked(t *testing.T) {
	said := map[string]bool{}
	for _, files := range sourceFiles(t) {
		for _, f := range files {
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.CallExpr:
					if s, ok := n.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "About" && len(n.Args) == 2 {
						if thing, ok := n.Args[0].(*ast.SelectorExpr); ok {
							said[thing.Sel.Name] = true
						}
					}
				case *ast.KeyValueExpr:
					thing, ok := n.Value.(*ast.SelectorExpr)
					if key, named := n.Key.(*ast.Ident); ok && named && key.Name == "Thing" && strings.HasPrefix(thing.Sel.Name, "About") {
						said[thing.Sel.Name] = true
					}
				}
				return true
			})
		}
	}
	for name := range things() {
		if !said[name] {
			t.Errorf("%s: nothing is about it", name)
		}
	}
	if len(said) != len(things()) {
		t.Errorf("%d things are said, %d known to this test", len(said), len(things()))
	}
}

// TestHintsAreCommands: what a hint tells a person to run is a command that the
// program accepts, with every flag.
func TestHintsAreCommands(t *testing.T) {
	var hints []string
	for _, c := range command.Classes() {
		hints = append(hints, c.Hint)
	}
	for _, row := range hintTable() {
		if thing, about := things()[row.via]; about {
			err := bundle.About(thing, fmt.Errorf("x: %w", sentinelOf(t, row.sentinel)))
			hints = append(hints, command.HintsFor(t.Context(), err, "/srv/mirror", exportHint)...)
		}
	}
	for _, e := range typedErrors() {
		hints = append(hints, command.HintsFor(t.Context(), e.err, "/srv/mirror", exportHint)...)
	}
	count := 0
	for _, hint := range hints {
		for _, line := range hintCommands(hint) {
			count++
			if err := accepted(line); err != nil {
				t.Errorf("hint %q: %v", hint, err)
			}
		}
	}
	if count < 20 {
		t.Errorf("%d commands in hints, want 20 or more", count)
	}
}

// hintCommands returns the commands in a hint: from the program's name to the end of the
// clause.
func hintCommands(hint string) (all []string) {
	clause := regexp.MustCompile(`(the |another |\.)?gapbundle ([a-z].*?)(?:; |, | \(|: | or | and | puts | names | prints | restores |$)`)
	for _, found := range clause.FindAllStringSubmatch(hint, -1) {
		if found[1] == "" {
			all = append(all, found[2])
		}
	}
	return all
}

// acceptedWords returns the words at the beginning of a line that the program takes, as many
// as it takes: prose may follow. nil: none.
func acceptedWords(line string) []string {
	words := strings.Fields(strings.NewReplacer("'", "", "PATH...", "PATH", "PATTERN...", "PATTERN").Replace(line))
	for n := len(words); n > 0; n-- {
		if _, err := command.Parse(program(), words[:n], noEnv); err == nil {
			return words[:n]
		}
	}
	return nil
}

// accepted reports why the program does not take the beginning of a line with all its flags.
func accepted(line string) error {
	taken := acceptedWords(line)
	if taken == nil {
		_, err := command.Parse(program(), strings.Fields(line), noEnv)
		return fmt.Errorf("gapbundle %s: %w", line, err)
	}
	for _, word := range strings.Fields(line)[len(taken):] {
		if strings.HasPrefix(word, "-") {
			return fmt.Errorf("gapbundle %s: %s is not taken", line, word)
		}
	}
	return nil
}

//go:build clients

package closure_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/xml"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/sources/rpm/closure"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmmd"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmtest"
)

// dnfScript lets dnf resolve, with nothing installed: for each world a list of
// repositories and the requests, for each request the packages that dnf would
// install, or null if it refuses. One process for all: starting dnf is slow.
const dnfScript = `
import json, logging, sys
import dnf, dnf.exceptions
logging.disable(logging.CRITICAL)

def resolve(base, request):
    base.reset(goal=True)
    base.conf.install_weak_deps = request["weak"]
    try:
        for name in request["names"]:
            base.install(name)
        base.resolve()
    except dnf.exceptions.Error:
        return None
    return sorted(str(p) for p in base.transaction.install_set)

answers = []
for world in json.load(sys.stdin):
    base = dnf.Base()
    base.conf.installroot = world["root"]
    base.conf.cachedir = world["root"] + "/cache"
    base.conf.logdir = base.conf.persistdir = world["root"]
    base.conf.substitutions.update(arch="x86_64", basearch="x86_64", releasever="9")
    base.conf.best = False
    for i, repo in enumerate(world["repositories"]):
        r = base.repos.add_new_repo("r%d" % i, base.conf, baseurl=["file://" + repo["path"]])
        r.priority = repo["priority"]
    base.fill_sack(load_system_repo=False)
    answers.append([resolve(base, r) for r in world["requests"]])
    base.close()
json.dump(answers, sys.stdout)
`

// dnfRequest is one thing that a client asks for.
type dnfRequest struct {
	Names []string `json:"names"`
	Weak  bool     `json:"weak"`
}

type dnfRepository struct {
	Path     string `json:"path"`
	Priority int    `json:"priority"`
}

type dnfWorld struct {
	Root         string          `json:"root"`
	Repositories []dnfRepository `json:"repositories"`
	Requests     []dnfRequest    `json:"requests"`
}

// dnf returns what dnf chooses for all requests of all worlds.
func dnf(t *testing.T, worlds []dnfWorld) [][][]string {
	t.Helper()
	return rpmtest.DNF[[][][]string](t, dnfScript, worlds)
}

// repositories writes indexes as repositories without packages.
func repositories(t *testing.T, indexes []closure.Index, requests []dnfRequest) dnfWorld {
	t.Helper()
	dir := t.TempDir()
	w := dnfWorld{Root: filepath.Join(dir, "root"), Requests: requests}
	for i, x := range indexes {
		path := filepath.Join(dir, fmt.Sprint(i))
		if err := os.MkdirAll(filepath.Join(path, "repodata"), 0o755); err != nil {
			t.Fatal(err)
		}
		repomd := `<repomd xmlns="http://linux.duke.edu/metadata/repo"><revision>1</revision>`
		for name, text := range metadata(&x) {
			var packed bytes.Buffer
			z := gzip.NewWriter(&packed)
			_, _ = z.Write([]byte(text))
			_ = z.Close()
			repomd += fmt.Sprintf(`<data type="%s"><checksum type="sha256">%x</checksum><open-checksum type="sha256">%x</open-checksum>`+
				`<location href="repodata/%s.xml.gz"/><timestamp>1</timestamp><size>%d</size><open-size>%d</open-size></data>`,
				name, sha256.Sum256(packed.Bytes()), sha256.Sum256([]byte(text)), name, packed.Len(), len(text))
			if err := os.WriteFile(filepath.Join(path, "repodata", name+".xml.gz"), packed.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(path, "repodata/repomd.xml"), []byte(repomd+"</repomd>"), 0o644); err != nil {
			t.Fatal(err)
		}
		w.Repositories = append(w.Repositories, dnfRepository{path, x.Priority})
	}
	return w
}

// metadata returns primary, filelists and other of an index.
func metadata(x *closure.Index) map[string]string {
	const common, rpm = "http://linux.duke.edu/metadata/common", "http://linux.duke.edu/metadata/rpm"
	n := len(x.Packages)
	var primary, filelists, other bytes.Buffer
	fmt.Fprintf(&primary, `<metadata xmlns="%s" xmlns:rpm="%s" packages="%d">`, common, rpm, n)
	fmt.Fprintf(&filelists, `<filelists xmlns="http://linux.duke.edu/metadata/filelists" packages="%d">`, n)
	fmt.Fprintf(&other, `<otherdata xmlns="http://linux.duke.edu/metadata/other" packages="%d">`, n)
	for at, p := range x.Packages {
		version := fmt.Sprintf(`<version epoch="%d" ver="%s" rel="%s"/>`, p.EVR.Epoch, p.EVR.Version, p.EVR.Release)
		sum := sha256.Sum256([]byte(p.NEVRA()))
		fmt.Fprintf(&primary, `<package type="rpm"><name>%s</name><arch>%s</arch>%s<checksum type="sha256" pkgid="YES">%x</checksum>`+
			`<summary/><description/><packager/><url/><time file="1" build="1"/><size package="1" installed="1" archive="1"/><location href="%[1]s-%[5]s.rpm"/><format>`,
			p.Name, p.Arch, version, sum, p.EVR.String()+"."+p.Arch)
		for _, list := range []struct {
			name string
			all  []*rpmmd.Relation
		}{
			{"provides", p.Provides},
			{"requires", p.Requires},
			{"conflicts", p.Conflicts},
			{"obsoletes", p.Obsoletes},
			{"suggests", p.Suggests},
			{"enhances", p.Enhances},
			{"recommends", p.Recommends},
			{"supplements", p.Supplements},
		} {
			primary.WriteString(relations(list.name, list.all))
		}
		files := ""
		for _, path := range p.Files {
			files += "<file>" + path + "</file>"
		}
		primary.WriteString(files + "</format></package>")
		for path, all := range x.Files {
			if slices.Contains(all, at) {
				files += "<file>" + path + "</file>"
			}
		}
		head := fmt.Sprintf(`<package pkgid="%x" name="%s" arch="%s">%s`, sum, p.Name, p.Arch, version)
		filelists.WriteString(head + files + "</package>")
		other.WriteString(head + "</package>")
	}
	return map[string]string{"primary": primary.String() + "</metadata>", "filelists": filelists.String() + "</filelists>", "other": other.String() + "</otherdata>"}
}

// relations returns one list of a package in primary.
func relations(name string, all []*rpmmd.Relation) string {
	if len(all) == 0 {
		return ""
	}
	flags := map[rpmmd.Op]string{rpmmd.EQ: "EQ", rpmmd.LT: "LT", rpmmd.LE: "LE", rpmmd.GT: "GT", rpmmd.GE: "GE"}
	var b bytes.Buffer
	fmt.Fprintf(&b, "<rpm:%s>", name)
	for _, r := range all {
		b.WriteString(`<rpm:entry name="`)
		_ = xml.EscapeText(&b, []byte(r.Name))
		b.WriteByte('"')
		if r.Op != rpmmd.Any {
			fmt.Fprintf(&b, ` flags="%s" epoch="%d" ver="%s"`, flags[r.Op], r.EVR.Epoch, r.EVR.Version)
			if r.EVR.Release != "" {
				fmt.Fprintf(&b, ` rel="%s"`, r.EVR.Release)
			}
		}
		b.WriteString("/>")
	}
	fmt.Fprintf(&b, "</rpm:%s>", name)
	return b.String()
}

// worlds of the test, and what each is asked for.
const (
	worldSeeds    = 24
	worldNames    = 200
	worldRequests = 150
)

// What is known to differ, in requests of 3,600: doc.go says why. Less is
// progress, more is a fault.
const (
	maxMissing = 52 // of 2,378 that dnf satisfies
	maxDiffers = 70
)

// randomWorld returns a world in two repositories, of different priority in every
// third, and requests: single names, pairs, with weak dependencies or without.
func randomWorld(seed uint64) ([]closure.Index, []dnfRequest) {
	random := rand.New(rand.NewPCG(seed, 14))
	w := &world{random: random, names: worldNames}
	var text [2]strings.Builder
	for _, line := range w.lines() {
		text[w.of(4)/3].WriteString(line + "\n")
	}
	indexes := []closure.Index{parse(text[0].String()), parse(text[1].String())}
	indexes[0].Source, indexes[1].Source = "s", "t"
	indexes[0].Priority, indexes[1].Priority = 99, 99
	if seed%3 == 2 {
		indexes[1].Priority = 50
	}
	var requests []dnfRequest
	for i := range worldRequests {
		names := []string{fmt.Sprintf("p%03d", w.of(w.names))}
		if i%3 == 2 {
			names = append(names, fmt.Sprintf("p%03d", w.of(w.names)))
		}
		requests = append(requests, dnfRequest{names, i%2 == 1})
	}
	return indexes, requests
}

// closureOf returns the requests that a mirror for r would have.
func closureOf(r dnfRequest) []closure.Request {
	a := ask(r.Names...)
	a.Recommends = r.Weak
	return []closure.Request{a, {Source: "t", Recommends: r.Weak, Architectures: a.Architectures}}
}

// restrict returns the indexes with what is in keep alone.
func restrict(indexes []closure.Index, keep map[*rpmmd.Package]bool) []closure.Index {
	partial := slices.Clone(indexes)
	for i, x := range indexes {
		partial[i].Packages, partial[i].Files = nil, map[string][]int{}
		for at, p := range x.Packages {
			if !keep[p] {
				continue
			}
			for path, all := range x.Files {
				if slices.Contains(all, at) {
					partial[i].Files[path] = append(partial[i].Files[path], len(partial[i].Packages))
				}
			}
			partial[i].Packages = append(partial[i].Packages, p)
		}
	}
	return partial
}

func without(all, less []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return slices.Contains(less, s) })
}

// tally counts how often the closure and dnf agree.
type tally struct {
	requests, refused, same, missing, differs int
	// unneeded counts pairs that dnf refuses and the closure carries: each of
	// the two can be installed.
	unneeded int
	// broken counts what dnf installs from the whole and cannot from the partial.
	broken          int
	chosen, carried int
}

// TestDnfChoosesTheSame: what the closure cannot satisfy, and nothing else that
// is one name, real dnf refuses; over a partial mirror for all requests dnf can
// install whatever it can over the whole; and with few exceptions, what it
// chooses over the whole is in the closure, and it chooses the same over both.
func TestDnfChoosesTheSame(t *testing.T) {
	var full, partial []dnfWorld
	var all [][]closure.Index
	for seed := range uint64(worldSeeds) {
		indexes, requests := randomWorld(seed)
		all = append(all, indexes)
		full = append(full, repositories(t, indexes, requests))
	}
	chosen := dnf(t, full)
	var n tally
	for seed, w := range full {
		var names []string
		for i, r := range w.Requests {
			if n.compare(t, fmt.Sprintf("world %d %d: %v", seed, i, r), all[seed], r, chosen[seed][i]) {
				names = append(names, r.Names...)
			}
		}
		s := mustSelect(t, all[seed], closureOf(dnfRequest{names, true})...)
		keep := map[*rpmmd.Package]bool{}
		for _, c := range s.Choices {
			keep[c.Package] = true
		}
		partial = append(partial, repositories(t, restrict(all[seed], keep), w.Requests))
	}
	for seed, answers := range dnf(t, partial) {
		for i, got := range answers {
			if want := chosen[seed][i]; !slices.Equal(got, want) || (got == nil) != (want == nil) {
				n.differs++
				if got == nil {
					n.broken++
				}
				t.Logf("world %d %d: %v: over the partial mirror dnf takes %s besides and not %s (%t, %t)",
					seed, i, full[seed].Requests[i], without(got, want), without(want, got), got == nil, want == nil)
			}
		}
	}
	t.Logf("%+v", n)
	if n.missing > maxMissing || n.differs > maxDiffers || n.broken > 0 {
		t.Errorf("%d closures lack something, at most %d; %d choices differ, at most %d; %d cannot be installed any more", n.missing, maxMissing, n.differs, maxDiffers, n.broken)
	}
}

// compare holds the closure of one request against dnf's choice; false: there
// is none.
func (n *tally) compare(t *testing.T, what string, indexes []closure.Index, r dnfRequest, chosen []string) bool {
	t.Helper()
	n.requests++
	s, err := closure.Select(indexes, closureOf(r))
	switch {
	case err != nil && chosen != nil:
		t.Errorf("%s: dnf takes %s, and the closure has an error: %v", what, chosen, err)
		return false
	case err != nil:
		n.refused++
		return false
	}
	if chosen == nil {
		if n.unneeded++; len(r.Names) == 1 {
			t.Errorf("%s: dnf refuses, and the closure is %s", what, nevras(s))
		}
		return true
	}
	n.chosen += len(chosen)
	n.carried += len(s.Choices)
	if less := without(chosen, nevras(s)); len(less) > 0 {
		n.missing++
		t.Logf("%s: the closure lacks %s of %s", what, less, chosen)
	}
	if len(chosen) == len(s.Choices) {
		n.same++
	}
	return true
}

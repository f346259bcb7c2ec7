//go:build clients

package rpm

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/gapbundle/gapbundle/sources/rpm/rpmtest"
)

// installedScript lets dnf act where packages are installed: those that it chose
// over the first state of a repository are written into the rpm database of a root,
// then it is asked, over the whole second state and over a partial mirror of it,
// what it would install and remove. null: it refuses.
const installedScript = `
import json, logging, os, subprocess, sys
import dnf, dnf.exceptions, rpm
logging.disable(logging.CRITICAL)
FLAGS = {"=": rpm.RPMSENSE_EQUAL, "<": rpm.RPMSENSE_LESS, ">": rpm.RPMSENSE_GREATER}

def open_base(root, path, installed):
    os.makedirs(root + "/state", exist_ok=True)
    base = dnf.Base()
    base.conf.installroot = root
    base.conf.cachedir = root + "/cache" + path.replace("/", "-")
    base.conf.logdir = base.conf.persistdir = root + "/state"
    base.conf.substitutions.update(arch="x86_64", basearch="x86_64", releasever="9")
    base.repos.add_new_repo("r", base.conf, baseurl=["file://" + path])
    base.fill_sack(load_system_repo=installed)
    return base

def ask(base, op):
    base.reset(goal=True)
    base.conf.install_weak_deps = op["weak"]
    base.conf.best = op["best"]
    try:
        if op["upgrade"] and not op["names"]:
            base.upgrade_all()
        for name in op["names"]:
            base.upgrade(name) if op["upgrade"] else base.install(name)
        base.resolve()
    except dnf.exceptions.Error:
        return None
    t = base.transaction
    return sorted("+" + str(p) for p in t.install_set) + sorted("-" + str(p) for p in t.remove_set)

def add(h, kind, relations):
    names, versions, flags = [], [], []
    for r in relations:
        parts = str(r).split(" ")
        names.append(parts[0])
        versions.append(parts[2] if len(parts) > 1 else "")
        flags.append(sum(FLAGS[c] for c in parts[1]) if len(parts) > 1 else 0)
    if names:
        h[kind + "name"], h[kind + "version"], h[kind + "flags"] = names, versions, flags

def install(root, packages):
    subprocess.run(["rpmdb", "--root", root, "--initdb"], check=True)
    blob = b""
    for p in packages:
        h = rpm.hdr()
        h["name"], h["version"], h["release"], h["arch"], h["os"], h["summary"] = p.name, p.version, p.release, p.arch, "linux", "x"
        h["size"] = h["installtime"] = 1
        for kind, relations in (("provide", p.provides), ("require", p.requires), ("conflict", p.conflicts), ("obsolete", p.obsoletes), ("recommend", p.recommends)):
            add(h, kind, relations)
        blob += b"\x8e\xad\xe8\x01\0\0\0\0" + h.unload()
    if blob:
        subprocess.run(["rpmdb", "--root", root, "--importdb"], input=blob, check=True)

answers = []
for world in json.load(sys.stdin):
    if not world["partial"]:
        base = open_base(world["root"], world["first"], False)
        op = {"weak": world["weak"], "best": False, "upgrade": False, "names": world["wanted"]}
        packages = [] if ask(base, op) is None else list(base.transaction.install_set)
        install(world["root"], packages)
        answers.append({"installed": sorted(set(p.name for p in packages))})
        base.close()
        continue
    answer = {"answers": []}
    for path in (world["whole"], world["partial"]):
        base = open_base(world["root"], path, True)
        answer["answers"].append([ask(base, o) for o in world["ops"]])
        base.close()
    answers.append(answer)
json.dump(answers, sys.stdout)
`

type installedOp struct {
	Weak    bool     `json:"weak"`
	Best    bool     `json:"best"`
	Upgrade bool     `json:"upgrade"`
	Names   []string `json:"names"`
}

type installedWorld struct {
	Root    string        `json:"root"`
	First   string        `json:"first"`
	Whole   string        `json:"whole"`
	Partial string        `json:"partial"`
	Weak    bool          `json:"weak"`
	Wanted  []string      `json:"wanted"`
	Ops     []installedOp `json:"ops"`

	upstream *archive
}

const installedWorlds = 40

type installedAnswer struct {
	Installed []string
	Answers   [2][][]string
}

// moving is a repository that moves on.
type moving struct {
	*rand.Rand
	names, release int
	// calm: nothing conflicts, and whatever is needed is there, as in the
	// repositories of a distribution.
	calm     bool
	packages []*rpmtest.Package
}

func (m *moving) in(n int) bool { return m.IntN(n) == 0 }

func (m *moving) name() string { return fmt.Sprintf("p%02d", m.IntN(m.names)) }

// floor returns the least version that a package of a version may need of another:
// in calm worlds what everything has.
func (m *moving) floor(version int) int {
	if m.calm {
		return 1
	}
	return 1 + m.IntN(version)
}

// build makes a package of a version.
func (m *moving) build(name string, version int) *rpmtest.Package {
	p := &rpmtest.Package{Name: name, Version: fmt.Sprint(version), Release: "1", Arch: "x86_64"}
	for m.in(2) {
		switch other := m.name(); {
		case other == name:
		case m.in(4):
			p.Requires = append(p.Requires, fmt.Sprintf("%s >= %d", other, m.floor(version)))
		case m.in(3):
			p.Requires = append(p.Requires, fmt.Sprint("cap", m.IntN(8)))
		default:
			p.Requires = append(p.Requires, other)
		}
	}
	for m.in(4) || m.calm && m.release == 1 && len(p.Provides) == 0 {
		p.Provides = append(p.Provides, fmt.Sprint("cap", m.IntN(8)))
	}
	if m.in(4) {
		p.Recommends = append(p.Recommends, m.name())
	}
	if !m.calm && m.in(25) {
		p.Conflicts = append(p.Conflicts, fmt.Sprintf("%s < %d", m.name(), version))
	}
	return p
}

// move brings the next state: new versions next to the old ones, here and there without
// them, and new packages in the place of others.
func (m *moving) move() {
	m.release++
	for i := range m.names {
		name := fmt.Sprintf("p%02d", i)
		if m.release > 1 && !m.in(3) {
			continue
		}
		p := m.build(name, m.release)
		if m.release > 1 && m.in(15) {
			p.Name = fmt.Sprintf("%s-new%d", name, m.release)
			p.Obsoletes, p.Provides = []string{fmt.Sprintf("%s < %d", name, m.release)}, append(p.Provides, fmt.Sprintf("%s = %d-1", name, m.release))
		}
		if !m.calm && m.in(6) {
			m.packages = slices.DeleteFunc(m.packages, func(old *rpmtest.Package) bool { return old.Name == name })
		}
		m.packages = append(m.packages, p)
	}
}

// newInstalledWorld returns a repository in two states.
func newInstalledWorld(t *testing.T, seed uint64, calm bool) *installedWorld {
	t.Helper()
	m := &moving{Rand: rand.New(rand.NewPCG(seed, 77)), names: 50, calm: calm}
	w := &installedWorld{Root: t.TempDir(), Weak: m.in(2), upstream: newArchive(t, t.TempDir())}
	for len(w.Wanted) < 5 {
		if name := m.name(); !slices.Contains(w.Wanted, name) {
			w.Wanted = append(w.Wanted, name)
		}
	}
	w.upstream.Signer = nil
	for _, state := range []*string{&w.First, &w.Whole} {
		m.move()
		m.move()
		w.upstream.Packages = m.packages
		w.upstream.publish()
		*state = repodata(t, w.upstream.files)
	}
	for _, best := range []bool{true, false} {
		w.Ops = append(w.Ops, installedOp{w.Weak, best, true, []string{}}, installedOp{w.Weak, best, false, w.Wanted}, installedOp{w.Weak, best, true, w.Wanted})
		for _, name := range w.Wanted {
			w.Ops = append(w.Ops, installedOp{w.Weak, best, false, []string{name}}, installedOp{w.Weak, best, true, []string{name}})
		}
	}
	return w
}

// repodata writes the metadata among files into a folder.
func repodata(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if !strings.HasPrefix(name, "repodata/") {
			continue
		}
		file := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, content, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// carry makes the partial mirror of the second state for a spec that names what is installed and
// still there. false: it cannot be had.
func (w *installedWorld) carry(t *testing.T, site *openpgp.Entity, installed []string) bool {
	t.Helper()
	has := map[string]bool{}
	for _, p := range w.upstream.Packages {
		has[p.Name] = true
		for _, r := range p.Provides {
			name, _, _ := strings.Cut(r, " ")
			has[name] = true
		}
	}
	names := slices.DeleteFunc(slices.Concat(w.Wanted, installed), func(name string) bool { return !has[name] })
	env := newEnv(t, w.upstream.dir, nil)
	env.Site = site
	resolved, err := plan(t, env, w.upstream.spec("allow-unsigned: true", "architectures: [x86_64]", "packages: ["+strings.Join(names, ", ")+"]", fmt.Sprint("recommends: ", w.Weak)))
	if err != nil {
		t.Logf("wanted %v: %v", w.Wanted, err)
		return false
	}
	files := map[string][]byte{}
	for name, x := range artifacts(t, resolved, "epel") {
		if strings.HasPrefix(name, "repodata/") {
			if files[name], err = readArtifact(t, x); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.Partial = repodata(t, files)
	return true
}

func installed(t *testing.T, worlds []*installedWorld) []installedAnswer {
	t.Helper()
	return rpmtest.DNF[[]installedAnswer](t, installedScript, worlds)
}

// TestDNFWhereInstalled: where packages are installed that the repository has
// newer ones of, dnf does the same over a partial mirror as over the whole one,
// if the spec names what is installed. What it satisfies over the whole one it
// always satisfies over the partial one; not the other way round: with best=1
// it refuses where there is a newer package that cannot be installed. The bounds
// are what is known to differ: less is progress, more is a fault.
func TestDNFWhereInstalled(t *testing.T) {
	for _, test := range []struct {
		name        string
		calm        bool
		most, least int // that may differ, and requests that have to be satisfied
	}{{"calm", true, 4, 1000}, {"wild", false, 12, 600}} {
		t.Run(test.name, func(t *testing.T) {
			satisfied, differ := whereInstalled(t, test.calm)
			if differ > test.most || satisfied < test.least {
				t.Errorf("of %d requests %d differ, at most %d", satisfied, differ, test.most)
			}
		})
	}
}

func whereInstalled(t *testing.T, calm bool) (satisfied, differ int) {
	t.Helper()
	var all, worlds []*installedWorld
	for seed := range uint64(installedWorlds) {
		all = append(all, newInstalledWorld(t, seed, calm))
	}
	site := siteKey(t)
	refused, asked, changes := 0, 0, 0
	for i, a := range installed(t, all) {
		switch {
		case len(a.Installed) == 0:
		case all[i].carry(t, site, a.Installed):
			worlds = append(worlds, all[i])
		default:
			refused++
		}
	}
	for i, a := range installed(t, worlds) {
		for j, op := range worlds[i].Ops {
			whole, part := a.Answers[0][j], a.Answers[1][j]
			asked++
			if whole == nil {
				continue
			}
			satisfied++
			changes += len(whole)
			if !slices.Equal(whole, part) || part == nil {
				differ++
				if part == nil {
					t.Errorf("world %d: %+v: dnf refuses over the partial one", i, op)
				}
				t.Logf("world %d, wanted %v: %+v: over the whole one %v, over the partial one %t %v", i, worlds[i].Wanted, op, without(whole, part), part != nil, without(part, whole))
			}
		}
	}
	t.Logf("%d worlds, %d refused; %d requests, dnf satisfied %d with %d changes, %d differ", len(worlds), refused, asked, satisfied, changes, differ)
	return satisfied, differ
}

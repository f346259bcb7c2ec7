//go:build clients

package modulemd

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/sources/rpm/rpmtest"
)

// dnfScript lets dnf decide what of modules is active and which packages are
// seen, for each world with some streams enabled. failed: what is enabled
// cannot be active.
const dnfScript = `
import json, logging, sys
import dnf, libdnf
logging.disable(logging.CRITICAL)

answers = []
for world in json.load(sys.stdin):
    base = dnf.Base()
    base.conf.installroot = world["root"]
    base.conf.cachedir = world["root"] + "/cache"
    base.conf.logdir = base.conf.persistdir = world["root"]
    base.conf.substitutions.update(arch="x86_64", basearch="x86_64", releasever="9")
    base.conf.module_platform_id = "platform:el9"
    for i, path in enumerate(world["repositories"]):
        base.repos.add_new_repo("r%d" % i, base.conf, baseurl=["file://" + path], module_hotfixes=(i == 2))
    base.fill_sack(load_system_repo=False)
    modules = base._moduleContainer
    for name, stream in world["enabled"]:
        modules.enable(name, stream)
    problems = base.sack.filter_modules(modules, ["r2"], base.conf.installroot, base.conf.module_platform_id, update_only=True, debugsolver=False)
    answers.append({
        "failed": bool(problems) and problems[1] not in (libdnf.module.ModulePackageContainer.ModuleErrorType_ERROR_IN_DEFAULTS, libdnf.module.ModulePackageContainer.ModuleErrorType_ERROR_IN_LATEST),
        "active": sorted(m.getFullIdentifier() for m in modules.getModulePackages() if modules.isModuleActive(m)),
        "seen": sorted(p.reponame + " " + str(p) for p in base.sack.query().available()),
    })
    base.close()
json.dump(answers, sys.stdout)
`

type dnfWorld struct {
	Root         string      `json:"root"`
	Repositories []string    `json:"repositories"`
	Enabled      [][2]string `json:"enabled"`

	indexes  []*Index
	packages [][]*rpmtest.Package
}

type dnfAnswer struct {
	Failed       bool
	Active, Seen []string
}

func dnf(t *testing.T, worlds []*dnfWorld) []dnfAnswer {
	t.Helper()
	return rpmtest.DNF[[]dnfAnswer](t, dnfScript, worlds)
}

// chance makes worlds.
type chance struct{ *rand.Rand }

func (c chance) in(n int) bool { return c.IntN(n) == 0 }

func (c chance) stream() string { return fmt.Sprint("s", c.IntN(3)) }
func (c chance) module() string { return fmt.Sprint("m", c.IntN(7)) }
func (c chance) name() string   { return fmt.Sprint("p", c.IntN(20)) }

// needs returns the requirements of a stream.
func (c chance) needs(self string) string {
	var all []string
	switch c.IntN(8) {
	case 0:
		all = append(all, "platform: [el8]")
	case 1:
		all = append(all, "platform: [el8, el9]")
	case 2:
		all = append(all, "platform: [-el8]")
	default:
		all = append(all, "platform: [el9]")
	}
	used := map[string]bool{self: true}
	for range c.IntN(3) {
		module := c.module()
		if used[module] {
			continue
		}
		used[module] = true
		switch c.IntN(5) {
		case 0:
			all = append(all, module+": []")
		case 1:
			all = append(all, module+": [-"+c.stream()+"]")
		case 2:
			all = append(all, module+": ["+c.stream()+", "+c.stream()+"]")
		default:
			all = append(all, module+": ["+c.stream()+"]")
		}
	}
	return "{" + strings.Join(all, ", ") + "}"
}

// modules makes a file of them, and the packages that it lists.
func (c chance) modules(repo int) (string, []*rpmtest.Package) {
	var b strings.Builder
	var packages []*rpmtest.Package
	seen := map[string]bool{}
	for i := range 3 + c.IntN(12) {
		module, stream, version := c.module(), c.stream(), 1+c.IntN(2)
		context := fmt.Sprintf("c%d%d", repo, i)
		var artifacts []string
		for range 1 + c.IntN(3) {
			p := &rpmtest.Package{Name: c.name(), Version: fmt.Sprint(i), Release: fmt.Sprint("m", repo), Arch: []string{"x86_64", "noarch", "src", "i686"}[c.IntN(4)]}
			if p.Arch == "src" && c.in(2) {
				p.Arch = "x86_64"
			}
			epoch := "0:"
			if c.in(60) {
				epoch = ""
			}
			artifacts = append(artifacts, fmt.Sprintf("%s-%s%s-%s.%s", p.Name, epoch, p.Version, p.Release, p.Arch))
			if !seen[p.FileName()] {
				seen[p.FileName()] = true
				packages = append(packages, p)
			}
		}
		more := ""
		if c.in(3) {
			more += "  static_context: true\n"
		}
		if c.in(5) {
			more += "  demodularized: {rpms: [" + c.name() + "]}\n"
		}
		fmt.Fprintf(&b, "---\ndocument: modulemd\nversion: 2\ndata:\n  name: %s\n  stream: %s\n  version: %d\n  context: %s\n  arch: x86_64\n  summary: x\n  description: y\n  license: {module: [MIT]}\n%s  dependencies:\n  - requires: %s\n  artifacts: {rpms: [%s]}\n...\n",
			module, stream, version, context, more, c.needs(module), strings.Join(slices.Compact(slices.Sorted(slices.Values(artifacts))), ", "))
	}
	for i := range 7 {
		if c.in(2) {
			fmt.Fprintf(&b, "---\ndocument: modulemd-defaults\nversion: 1\ndata:\n  module: m%d\n  modified: %d\n  stream: %s\n  profiles: {s0: [%s]}\n...\n", i, 1+c.IntN(2), c.stream(), []string{"a", "a", "a", "a", "a", "a", "a", "b"}[c.IntN(8)])
		}
	}
	return b.String(), packages
}

// newWorld has two repositories with modules, packages of other kinds in both, and one
// with module_hotfixes.
func newWorld(t *testing.T, seed uint64) *dnfWorld {
	t.Helper()
	c := chance{rand.New(rand.NewPCG(seed, 5))}
	w := &dnfWorld{Root: t.TempDir(), Enabled: [][2]string{}}
	for repo := range 3 {
		r := &rpmtest.Repository{Extra: map[string]string{}}
		if repo < 2 {
			text, packages := c.modules(repo)
			r.Extra["modules"], r.Packages = text, packages
			w.indexes = append(w.indexes, index(t, text))
		}
		for i := range 12 {
			p := &rpmtest.Package{Name: c.name(), Version: fmt.Sprint(100 + i), Release: "1", Arch: []string{"x86_64", "noarch", "src", "i686"}[c.IntN(4)]}
			for c.in(2) {
				p.Provides = append(p.Provides, c.name())
			}
			r.Packages = append(r.Packages, p)
		}
		dir := filepath.Join(w.Root, fmt.Sprint("repo", repo))
		for name, content := range r.Build(t) {
			if strings.HasSuffix(name, ".rpm") {
				continue
			}
			file := filepath.Join(dir, name)
			if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, content, 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		w.Repositories, w.packages = append(w.Repositories, dir), append(w.packages, r.Packages)
	}
	enabled := map[string]bool{}
	for range c.IntN(3) {
		s := w.indexes[c.IntN(2)].Streams
		if len(s) == 0 {
			continue
		}
		one := s[c.IntN(len(s))]
		if !enabled[one.Module] {
			enabled[one.Module] = true
			w.Enabled = append(w.Enabled, [2]string{one.Module, one.Name})
		}
	}
	return w
}

// maxDiffers is how many of the worlds are known to differ: where so much is in
// conflict that what libsolv comes to depends on how it searches. Less is
// progress, more is a fault.
const (
	dnfWorlds  = 300
	maxDiffers = 4
)

// TestDNFSeesTheSame: what of modules is active, and which packages are seen, is
// what libdnf says, in worlds of modules that depend on each other, and refuse
// each other, in any way.
func TestDNFSeesTheSame(t *testing.T) {
	var worlds []*dnfWorld
	for seed := range uint64(dnfWorlds) {
		worlds = append(worlds, newWorld(t, seed))
	}
	failed, differ := 0, 0
	for seed, answer := range dnf(t, worlds) {
		w := worlds[seed]
		var asked []Ask
		for _, e := range w.Enabled {
			asked = append(asked, Ask{Module: e[0], Stream: e[1]})
		}
		v, err := NewView(w.indexes, asked, "9")
		switch {
		case (err != nil) != answer.Failed:
			differ++
			t.Logf("world %d: %v, dnf failed: %t", seed, err, answer.Failed)
			continue
		case err != nil:
			failed++
			continue
		}
		if got := actives(v); !slices.Equal(got, slices.Compact(answer.Active)) {
			differ++
			t.Logf("world %d: enabled %v: active %v, dnf has %v", seed, w.Enabled, besides(got, answer.Active), besides(answer.Active, got))
			continue
		}
		if seen := w.seen(v); !slices.Equal(seen, answer.Seen) {
			t.Errorf("world %d: enabled %v: seen %v, dnf sees %v", seed, w.Enabled, besides(seen, answer.Seen), besides(answer.Seen, seen))
		}
	}
	t.Logf("%d worlds, in %d what is enabled cannot be active, %d differ", len(worlds), failed, differ)
	if differ > maxDiffers {
		t.Errorf("%d worlds differ, at most %d", differ, maxDiffers)
	}
}

// actives returns the names of what is active, as libdnf has them.
func actives(v *View) []string {
	all := map[string]bool{}
	for _, one := range v.variants {
		for _, b := range one.builds {
			for _, d := range b.docs {
				if v.isActive(one) {
					all[fmt.Sprintf("%s:%s:%d:%s:%s", d.Module, d.Name, d.Version, d.Context, d.Arch)] = true
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// seen returns the packages that are.
func (w *dnfWorld) seen(v *View) []string {
	var all []string
	for repo, packages := range w.packages {
		for _, p := range packages {
			evr := p.Version + "-" + p.Release + "." + p.Arch
			if v.Sees(p.Name+"-0:"+evr, p.Arch, slices.Values(append([]string{p.Name}, p.Provides...)), repo == 2) {
				all = append(all, fmt.Sprintf("r%d %s-%s", repo, p.Name, evr))
			}
		}
	}
	slices.Sort(all)
	return all
}

func besides(all, less []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return slices.Contains(less, s) })
}

//go:build clients

package closure_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/sources/rpm/closure"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmmd"
)

// No archive of rpm packages is at hand where this is tested. Debian's is, on
// every Debian machine: 63,000 packages whose relations are those of real
// software, written here as rpm's.

var debianRelation = regexp.MustCompile(`^([a-z0-9+.-]+)(?::[a-z0-9]+)?(?: *\(([<>=]+) *([^)]+)\))?`)

// debianVersion returns a version of Debian as rpm would have it; release is for
// those that have none.
func debianVersion(t *testing.T, v, release string) rpmmd.EVR {
	t.Helper()
	epoch := "0"
	if e, rest, ok := strings.Cut(v, ":"); ok {
		epoch, v = e, rest
	}
	if i := strings.LastIndexByte(v, '-'); i > 0 {
		v, release = v[:i], v[i+1:]
	}
	evr, err := rpmmd.NewEVR(epoch, strings.ReplaceAll(v, "-", "."), release)
	if err != nil {
		t.Fatal(err)
	}
	return evr
}

// debianRelations reads a field; alternatives become a rich dependency.
func debianRelations(t *testing.T, field string) []*rpmmd.Relation {
	t.Helper()
	ops := map[string]rpmmd.Op{"<<": rpmmd.LT, "<=": rpmmd.LE, "<": rpmmd.LE, "=": rpmmd.EQ, ">=": rpmmd.GE, ">": rpmmd.GE, ">>": rpmmd.GT}
	var all []*rpmmd.Relation
	for part := range strings.SplitSeq(field, ",") {
		var words []string
		var one *rpmmd.Relation
		for alternative := range strings.SplitSeq(part, "|") {
			m := debianRelation.FindStringSubmatch(strings.TrimSpace(alternative))
			if m == nil {
				continue
			}
			one = &rpmmd.Relation{Name: m[1]}
			if m[2] != "" {
				// without a release rpm compares the versions alone; Debian's are
				// older than with any
				release := "0"
				if one.Op = ops[m[2]]; one.Op == rpmmd.EQ || one.Op == rpmmd.GE {
					release = ""
				}
				one.EVR = debianVersion(t, strings.TrimSpace(m[3]), release)
			}
			words = append(words, one.String())
		}
		switch {
		case len(words) == 1:
			all = append(all, one)
		case len(words) > 1:
			all = append(all, &rpmmd.Relation{Name: "(" + strings.Join(words, " or ") + ")"})
		}
	}
	return all
}

// debian reads the machine's own package lists.
func debian(t *testing.T) closure.Index {
	t.Helper()
	x := closure.Index{Source: "s", Files: map[string][]int{}}
	arch := map[string]string{"amd64": "x86_64", "all": "noarch"}
	for _, suite := range []string{"bookworm", "bookworm-security"} {
		files, _ := filepath.Glob("/var/lib/apt/lists/*_dists_" + suite + "_main_binary-amd64_Packages*")
		if len(files) != 1 {
			t.Fatalf("%d package lists of %s in /var/lib/apt/lists, want 1: run apt-get update", len(files), suite)
		}
		text, err := exec.Command("/usr/lib/apt/apt-helper", "cat-file", files[0]).Output()
		if err != nil {
			t.Fatal(err)
		}
		for stanza := range strings.SplitSeq(strings.TrimSpace(string(text)), "\n\n") {
			f := map[string]string{}
			for line := range strings.Lines(stanza) {
				if name, value, ok := strings.Cut(line, ": "); ok && line[0] != ' ' {
					f[name] = strings.TrimSpace(value)
				}
			}
			p := &rpmmd.Package{Name: f["Package"], EVR: debianVersion(t, f["Version"], "1"), Arch: arch[f["Architecture"]]}
			p.Provides = []*rpmmd.Relation{{Name: p.Name, Op: rpmmd.EQ, EVR: p.EVR}}
			for _, r := range debianRelations(t, f["Provides"]) {
				if r.Op == rpmmd.Any { // would meet whatever asks for a version
					r.Op, r.EVR = rpmmd.EQ, p.EVR
				}
				r.EVR.Release = cmp.Or(r.EVR.Release, "1")
				p.Provides = append(p.Provides, r)
			}
			p.Requires = debianRelations(t, f["Depends"]+","+f["Pre-Depends"])
			p.Conflicts = debianRelations(t, f["Conflicts"]+","+f["Breaks"])
			p.Recommends = debianRelations(t, f["Recommends"])
			x.Packages = append(x.Packages, p)
		}
	}
	return x
}

// TestDnfOverRealRelations: with the relations of real software, dnf chooses
// the same over the partial mirror as over the whole one, without exception.
func TestDnfOverRealRelations(t *testing.T) {
	indexes := []closure.Index{debian(t), {Source: "t", Files: map[string][]int{}}}
	names := []string{"slurm-wlm", "nginx", "default-mta", "kubernetes-client", "postgresql", "openjdk-17-jdk", "docker.io", "mariadb-server", "apache2",
		"podman", "munge", "python3-numpy", "linux-image-amd64", "php", "r-base", "exim4", "postfix", "samba", "openmpi-bin", "grub-pc"}
	random := rand.New(rand.NewPCG(1, 2))
	for range 320 {
		all := indexes[0].Packages
		names = append(names, all[random.IntN(len(all))].Name)
	}
	var requests []dnfRequest
	for i, n := range names {
		r := dnfRequest{[]string{n}, i%2 == 1}
		if i%3 == 0 {
			r.Names = append(r.Names, names[(i*7+3)%len(names)])
		}
		requests = append(requests, r)
	}
	chosen := dnf(t, []dnfWorld{repositories(t, indexes, requests)})[0]
	var wanted []string
	satisfied := 0
	union := map[string]bool{}
	for i, r := range requests {
		if chosen[i] != nil {
			satisfied++
			wanted = append(wanted, r.Names...)
			for _, p := range chosen[i] {
				union[p] = true
			}
		}
	}
	s := mustSelect(t, indexes, closureOf(dnfRequest{wanted, true})...)
	keep := map[*rpmmd.Package]bool{}
	for _, c := range s.Choices {
		keep[c.Package] = true
	}
	for i, got := range dnf(t, []dnfWorld{repositories(t, restrict(indexes, keep), requests)})[0] {
		if want := chosen[i]; want != nil && !slices.Equal(got, want) {
			t.Errorf("%v: over the partial mirror dnf takes %s besides and not %s", requests[i], without(got, want), without(want, got))
		}
	}
	t.Logf("%d packages, %d of %d requests satisfied, %d packages carried, %d of them in one of dnf's choices", len(indexes[0].Packages), satisfied, len(requests), len(keep), len(union))
	if satisfied < 50 {
		t.Error("too few for this to say anything: " + fmt.Sprint(satisfied))
	}
}

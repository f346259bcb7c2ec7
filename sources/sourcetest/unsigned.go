package sourcetest

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/decompress"
)

// unsigned: an index that is made of input which nobody vouches for is never counted as
// vouched for. In the first state that is looked for in what made files name. In the
// upstream's unsigned form, in which nothing vouches for what the kind reads, no file at all
// may be counted as made of vouched content, or as named by a vouched index.
func unsigned(t *testing.T, s Suite) {
	for _, claim := range overstated(t, s) {
		t.Error(claim)
	}
}

// overstated returns the files that count as more than what they are made of, and why.
func overstated(t *testing.T, s Suite) (claims []string) {
	t.Helper()
	r := newRig(t, s)
	in := newInside(r)
	dirs := r.must()
	in.receive(dirs)
	makes := false
	for _, repo := range r.evidenced(dirs) {
		makes = makes || len(repo.made) > 0
		claims = append(claims, repo.claims(t, in)...)
	}
	switch {
	case r.up.Unsigned == nil && makes && s.Signed == "":
		t.Fatal("the kind makes files: the upstream has to have an Unsigned form, or the suite has to say in Signed why there is none")
	case r.up.Unsigned == nil:
		return claims
	case s.Signed != "":
		t.Error("there is an Unsigned form, and Signed says that there can be none")
	}
	r = newRig(t, s) // the first export pinned what it saw
	r.spec(r.up.Unsigned())
	made := 0
	for _, repo := range r.evidenced(r.must()) {
		made += len(repo.made)
		for _, e := range repo.all {
			if e.Vouched == bundle.VouchedMade || e.Vouched == bundle.VouchedIndex {
				claims = append(claims, "source "+repo.name+": "+e.Path+": nothing vouches for what the kind read, and it counts as "+e.Vouched)
			}
		}
	}
	if makes && made == 0 {
		t.Error("the unsigned form has no file that is made here")
	}
	return claims
}

// evidenced is a repository of the kind with its evidence.
type evidenced struct {
	name, mount string
	all         []bundle.Evidence
	made        []bundle.Evidence // here: they come from nowhere
	unpinned    []bundle.Evidence // that came from somewhere
}

// evidenced returns the repositories of the kinds under test in a bundle.
func (r *rig) evidenced(dirs []string) []evidenced {
	r.t.Helper()
	b := r.open(dirs)
	var repos []evidenced
	for i, repo := range b.Manifest().Repositories {
		if !slices.Contains(kindNames(r.s.Kinds), repo.Kind) {
			continue // client files and keys
		}
		one := evidenced{name: repo.Name, mount: repo.Mount}
		for e, err := range b.Evidence(i) {
			if err != nil {
				r.t.Fatal(err)
			}
			one.all = append(one.all, e)
			switch {
			case e.Origin == "" && e.Vouched != bundle.VouchedLocal:
				one.made = append(one.made, e)
			case e.Origin != "" && e.Unpinned():
				one.unpinned = append(one.unpinned, e)
			}
		}
		repos = append(repos, one)
	}
	return repos
}

// leastName is how long the last part of a path has to be to be looked for: a shorter one
// may be in a text by chance.
const leastName = 6 // bytes

// claims returns the made files that count as vouched for and name, by its digest or by the last
// part of its path, a file that nobody vouches for.
func (e evidenced) claims(t *testing.T, in *inside) []string {
	t.Helper()
	var all []string
	for _, m := range e.made {
		if m.Unpinned() {
			continue
		}
		content := unpacked(t, filepath.Join(in.dir, "current", filepath.FromSlash(path.Join(e.mount, m.Path))))
		for _, u := range e.unpinned {
			d := in.listed()[path.Join(e.mount, u.Path)]
			name := path.Base(u.Path)
			if bytes.Contains(content, []byte(d.Hex())) || len(name) >= leastName && bytes.Contains(content, []byte(name)) {
				all = append(all, "source "+e.name+": "+m.Path+" counts as "+cmp.Or(m.Vouched, "nothing")+" and names "+u.Path+", which counts as "+u.Vouched)
				break
			}
		}
	}
	return all
}

// maxMade is how much of a made file is looked at.
const maxMade = 64 << 20 // bytes

// unpacked returns what a file holds, without its compression if it has one that indexes have.
func unpacked(t *testing.T, name string) []byte {
	t.Helper()
	packed, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	in, err := decompress.Reader(packed, name, name, maxMade)
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(in)
	if err := errors.Join(err, in.Close()); err != nil {
		t.Fatal(err)
	}
	return content
}

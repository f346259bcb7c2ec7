package git

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/gittest"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/git/gitfile"
)

// When packs become one: by their number, or by what the later ones have of the
// first, unless the spec decides.
func TestRepackDue(t *testing.T) {
	const m = 1 << 20
	for _, test := range []struct {
		repack string
		packs  []int64 // sizes
		want   bool
	}{
		{repackAuto, []int64{30 * m}, false},
		{repackAuto, []int64{30 * m, minRepack - 1}, false},
		{repackAuto, []int64{30 * m, minRepack}, true},
		{repackAuto, []int64{30*m + 1, minRepack}, false},
		{repackAuto, []int64{60 * m, 10 * m, 10 * m}, true},
		{repackAuto, []int64{100, 99}, false}, // a third, of next to nothing
		{repackAuto, make([]int64, maxPacks-1), false},
		{repackAuto, make([]int64, maxPacks), true},
		{repackNever, make([]int64, maxPacks+1), false},
		{repackNever, []int64{m, 100 * m}, false},
		{repackNow, []int64{m}, false},
		{repackNow, []int64{m, 1}, true},
	} {
		p := &past{record: &gitfile.Record{}, files: map[string]sources.Recorded{}}
		for i, size := range test.packs {
			id := gitfile.ID{byte(i + 1)}
			p.record.Packs = append(p.record.Packs, gitfile.Pack{Name: id})
			p.files[packName(id, ".pack")] = sources.Recorded{File: bundle.File{Size: size}}
		}
		if got := p.repackDue(test.repack); got != test.want {
			t.Errorf("repack: %s, %d packs of %v bytes: %v, want %v", test.repack, len(test.packs), test.packs, got, test.want)
		}
	}
}

// packsOf counts the packs that a source publishes.
func (s *site) packsOf(source string) (n int) {
	for _, r := range s.files[source] {
		if strings.HasSuffix(r.File.Path, ".pack") {
			n++
		}
	}
	return n
}

// Twenty packs become one at the next export, which a full export makes again.
func TestRepackByNumber(t *testing.T) {
	up, host, s := gittest.New(t), gittest.NewHost(t, true), newSite(t)
	spec := fmt.Sprintf("- {name: x, url: %q}\n", host.URL("a"))
	never := strings.Replace(spec, "}", ", repack: never}", 1)
	for i := range maxPacks {
		up.Commit("more", map[string]string{"a": fmt.Sprintln("content", i)})
		host.Publish("a", up)
		s.must(never)
	}
	s.must(never)
	if n := s.packsOf("x"); n != maxPacks || s.carry != 0 {
		t.Fatalf("%d packs, want %d, and %d bytes carried", n, maxPacks, s.carry)
	}
	all := s.must(spec)
	if n := s.packsOf("x"); n != 1 || !s.noted("its 20 packs become one of ") {
		t.Errorf("%d packs, want 1; notes %q", n, s.notes)
	}
	s.same(s.serve()+"/git/"+hostDir(host.Server.Host())+"/a.git", host.URL("a"))
	if got := s.another().must(spec); !maps.Equal(got, all) {
		t.Errorf("a full export\n%v\nafter the repack\n%v", got, all)
	}
}

// Later packs of a third of the first become one with it.
func TestRepackByShare(t *testing.T) {
	up, host, s := gittest.New(t), gittest.NewHost(t, true), newSite(t)
	spec := fmt.Sprintf("- {name: x, url: %q}\n", host.URL("a"))
	add := func(name string, size int) {
		content := make([]byte, size)
		_, _ = rand.NewChaCha8([32]byte([]byte(strings.Repeat(name, 32)))).Read(content) // never fails
		up.Commit(name, map[string]string{name: string(content)})
		host.Publish("a", up)
		s.must(spec)
	}
	add("a", 1<<10)
	add("b", minRepack+1<<10)
	if n := s.packsOf("x"); n != 2 {
		t.Fatalf("%d packs, want 2: nothing is due before the second is there", n)
	}
	add("c", 1)
	if n := s.packsOf("x"); n != 1 || !s.noted("its 2 packs become one of 10.0 MiB") || s.carry < minRepack {
		t.Errorf("%d packs, want 1; %d bytes carried; notes %q", n, s.carry, s.notes)
	}
}

//go:build clients

package deb_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/sources/apt/deb"
)

// TestVersionsAgreeWithDpkg compares pairs made of pieces in which the rules
// differ, most of them alike up to one piece.
func TestVersionsAgreeWithDpkg(t *testing.T) {
	pieces := []string{"0", "1", "00", "9", "10", "01", "a", "Z", "~", "~~", "+", ".", "-", "rc", "ubuntu", "deb12u1", ".0", "~a", "b1", ":"}
	random := rand.New(rand.NewPCG(7, 11))
	word := func() string {
		s := "1"
		if random.IntN(4) == 0 {
			s = []string{"0:1", "1:1", "2:0"}[random.IntN(3)]
		}
		for range random.IntN(6) {
			s += pieces[random.IntN(len(pieces)-1)]
		}
		return s + "0"
	}
	for range 1200 {
		a := word()
		b := word()
		if random.IntN(2) == 0 {
			b = a + pieces[random.IntN(len(pieces)-1)] + "0"
		}
		c := deb.CompareVersions(a, b)
		op := "eq"
		if c < 0 {
			op = "lt"
		} else if c > 0 {
			op = "gt"
		}
		if out, err := exec.Command("dpkg", "--compare-versions", a, op, b).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s %s %s: dpkg disagrees: %v: %s", a, op, b, err, out)
		}
	}
}

// TestMachinesLists reads the machine's own package lists, each stanza whole,
// and within the time and memory that the design has for them.
func TestMachinesLists(t *testing.T) {
	files, _ := filepath.Glob("/var/lib/apt/lists/*_Packages*")
	if len(files) == 0 {
		t.Fatal("no package lists in /var/lib/apt/lists: run apt-get update")
	}
	var packages []*deb.Package
	var spent time.Duration
	var before, after runtime.MemStats
	var size int
	runtime.ReadMemStats(&before)
	for _, file := range files {
		text, err := exec.Command("/usr/lib/apt/apt-helper", "cat-file", file).Output()
		if err != nil {
			t.Fatal(err)
		}
		size += len(text)
		start := time.Now()
		from := len(packages)
		for p, err := range deb.Packages(bytes.NewReader(text), deb.Limits{}) {
			if err != nil {
				t.Fatal(file, err)
			}
			packages = append(packages, p)
		}
		spent += time.Since(start)
		for _, p := range packages[from:] {
			text = cutStanza(t, text, string(p.Paragraph))
		}
		if len(bytes.TrimSpace(text)) > 0 {
			t.Errorf("%s: %d bytes not read", file, len(text))
		}
	}
	relations := 0
	for _, p := range packages {
		for _, field := range []string{"Depends", "Pre-Depends", "Recommends", "Conflicts", "Breaks", "Provides"} {
			clauses, err := deb.ParseRelations(p.Field(field))
			if err != nil {
				t.Error(p.ID(), err)
			}
			relations += len(clauses)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	t.Logf("%d packages of %d bytes in %v, %d relations; held: %d MB", len(packages), size, spent, relations, int64(after.HeapAlloc-before.HeapAlloc)>>20)
	if held := int64(after.HeapAlloc) - int64(before.HeapAlloc); held > 2*int64(size) {
		t.Errorf("%d bytes held for %d of text", held, size)
	}
	runtime.KeepAlive(packages)
}

// cutStanza takes the stanza off, which text has to begin with.
func cutStanza(t *testing.T, text []byte, stanza string) []byte {
	t.Helper()
	rest, ok := bytes.CutPrefix(text, []byte(stanza))
	if !ok {
		t.Fatal(errors.New("stanza is not as it stands in the list"), stanza)
	}
	return bytes.TrimLeft(rest, "\n")
}

//go:build clients

package rpmmd_test

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/sources/rpm/rpmmd"
)

// TestVersionsLikeRpm compares with rpm itself: each pair of the versions that
// are ordered by hand, and pairs made of what matters to the rules.
func TestVersionsLikeRpm(t *testing.T) {
	var pairs [][2]string
	for _, row := range ordered {
		for _, other := range ordered {
			for _, a := range row {
				for _, b := range other {
					pairs = append(pairs, [2]string{a, b})
				}
			}
		}
	}
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	parts := []string{"0", "1", "00", "01", "2", "10", "a", "b", "B", "rc", ".", "..", "_", "+", "~", "~~", "^", "^~"}
	text := func() string {
		var b strings.Builder
		for range random.IntN(7) {
			b.WriteString(parts[random.IntN(len(parts))])
		}
		return b.String()
	}
	for range 20000 {
		pairs = append(pairs, [2]string{text(), text()})
	}
	wrong := 0
	for len(pairs) > 0 {
		n := min(len(pairs), 1000)
		for i, want := range vercmp(t, pairs[:n]) {
			if got := rpmmd.CompareVersions(pairs[i][0], pairs[i][1]); got != want {
				if wrong++; wrong <= 20 {
					t.Errorf("%q against %q: %d, rpm says %d (seed %d)", pairs[i][0], pairs[i][1], got, want, seed)
				}
			}
		}
		pairs = pairs[n:]
	}
}

// vercmp asks rpm, once for many. rpm.vercmp takes whole EVRs, so that each
// version gets an epoch and a release, and something it begins with, because
// rpm knows no empty one.
func vercmp(t *testing.T, pairs [][2]string) []int {
	t.Helper()
	var b strings.Builder
	b.WriteString("%{lua:for _, p in ipairs({")
	for _, p := range pairs {
		fmt.Fprintf(&b, "{%q,%q},", "0:1."+p[0]+"-1", "0:1."+p[1]+"-1")
	}
	b.WriteString(`}) do print(rpm.vercmp(p[1], p[2]) .. "\n") end}`)
	out, err := exec.Command("rpm", "--eval", b.String()).CombinedOutput()
	if err != nil {
		t.Fatalf("rpm: %v: %.500s", err, out)
	}
	var all []int
	for word := range strings.FieldsSeq(string(out)) {
		n := 0
		if _, err := fmt.Sscan(word, &n); err != nil {
			t.Fatalf("rpm says %.500q", out)
		}
		all = append(all, n)
	}
	if len(all) != len(pairs) {
		t.Fatalf("rpm answers %d times, want %d: %.500s", len(all), len(pairs), out)
	}
	return all
}

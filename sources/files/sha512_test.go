package files

import (
	hash512 "crypto/sha512"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/upstreamtest"
)

func hex512(s string) string {
	sum := hash512.Sum512([]byte(s))
	return hex.EncodeToString(sum[:])
}

// TestPinSHA512: a checksum by SHA-512 pins content as one by SHA-256 does: what differs
// is refused while it is read, and what the base was checked by is not asked for again.
func TestPinSHA512(t *testing.T) {
	s, up := newSite(t), upstreamtest.New(t)
	up.Put("/x", []byte("x"))
	text := func(sum string) string {
		return "- {name: s, urls: [{url: " + up.URL("/x") + ", sha512: " + sum + "}]}\n"
	}
	right := text(strings.ToUpper(hex512("x")))

	a := s.mustPlan(right)["s"][0]
	if a.Evidence.Vouched != bundle.VouchedPinned || !a.File.Digest.IsZero() || a.File.Size != 1 {
		t.Errorf("first time: %+v %+v", a.File, a.Evidence)
	}
	if err := s.collect(s.mustPlan(right)); err != nil {
		t.Fatal(err)
	}
	before := up.AllRequests()
	a = s.mustPlan(right)["s"][0]
	if n := up.AllRequests() - before; n != 0 || a.File.Digest != sumX || a.Known != nil {
		t.Errorf("unchanged: %d requests, %+v", n, a.File)
	}

	// Another checksum, for content that the base has: it is read, and refused.
	a = s.mustPlan(text(hex512("y")))["s"][0]
	if !a.File.Digest.IsZero() {
		t.Errorf("another checksum: digest %s of the base", a.File.Digest)
	}
	_, _, err := read(t, a)
	if !errors.Is(err, bundle.ErrCorrupt) || !strings.Contains(err.Error(), hex512("y")) || !strings.Contains(err.Error(), hex512("x")) {
		t.Errorf("another checksum: %v", err)
	}
	// Both digests: the other one is checked also where the content is known.
	both := "- {name: s, urls: [{url: " + up.URL("/x") + ", sha256: " + sumX.Hex() + ", sha512: " + hex512("y") + "}]}\n"
	if a = s.mustPlan(both)["s"][0]; a.Known == nil || !errors.Is(a.Known(t.Context()), bundle.ErrCorrupt) {
		t.Errorf("both digests: the content that is known was not looked at")
	}
	for _, bad := range []string{hex512("x")[1:], "sha256:" + sumX.Hex(), strings.Repeat("0", 128)} {
		if _, err := s.plan(text("\"" + bad + "\"")); !errors.Is(err, bundle.ErrUsage) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

package promises

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
)

// P16 and P18: nothing on a medium decides whom to trust: not a key
// next to the bundle, not a policy, not a mirror's state, not the key that made
// the signature.
func TestNothingOnAMediumIsTrusted(t *testing.T) {
	s := newSite(t, map[string]string{"a": "a"})
	s.mirror("mirror")
	s.copy("mirror/state", "stranger-state")
	s.shell("rm -r keys")
	s.ok("keygen", "--out", "keys")
	s.mirror("theirs")
	s.export("usb")
	s.shell("cp keys/exporter.pub usb/ && cp keys/exporter.pub usb/site-000001/ && cp -r theirs/state usb/ && cp theirs/state/trust.json usb/site-000001/ && cp -r theirs/state usb/site-000001/state")
	policy := s.read("mirror/state/trust.json")
	s.fails(4, []string{"site-000001", "signed by no key of the policy"}, "verify", "usb", "--mirror", "mirror")
	s.fails(4, []string{"site-000001", "signed by no key of the policy"}, "import", "usb", "--to", "mirror", "--accept-keys", "--allow-rollback", "--accept-expired")
	if s.served("mirror") != nil || s.read("mirror/state/trust.json") != policy {
		t.Error("the mirror has changed")
	}
}

// P24: every import is in the journal, the refused ones too, the journal is a
// chain, and what was imported has a receipt that its key has signed.
func TestEveryImportIsOnRecord(t *testing.T) {
	s := carried(t)
	s.copy("good", "bad")
	s.flip("bad/site-000002/volume-00002.tar.zst", 100)
	s.copy("good", "headless")
	s.shell("rm headless/site-000002/bundle.json")
	s.copy("good", "unsigned")
	s.shell("rm unsigned/site-000002/bundle.*.sigstore.json && mkdir nothing")
	lines := func() int { return strings.Count(s.read("mirror/state/journal.jsonl"), "\n") }
	for _, c := range []struct {
		medium, outcome string
		code            int
	}{
		{"unsigned", "refused", 4}, {"headless", "refused", 5}, {"bad", "refused", 3},
		{"good", "imported", 0},
	} {
		before := lines()
		s.fails(c.code, nil, "import", c.medium, "--to", "mirror")
		all := strings.Split(strings.TrimSpace(s.read("mirror/state/journal.jsonl")), "\n")
		if lines() == before || !strings.Contains(all[len(all)-1], `"outcome":"`+c.outcome+`"`) {
			t.Errorf("import of %s: %d lines more, the last is %s", c.medium, lines()-before, all[len(all)-1])
		}
	}
	// Where there was no bundle, or one that is known, nothing was touched.
	before := s.tree("mirror/state")
	s.fails(5, []string{"nothing"}, "import", "nothing", "--to", "mirror")
	s.fails(6, []string{"no/such/place"}, "import", "no/such/place", "--to", "mirror")
	s.ok("import", "good", "--to", "mirror")
	if diff := difference(s.tree("mirror/state"), before); len(diff) > 0 {
		t.Errorf("nothing new changed %q", diff)
	}
	s.chained("mirror/state/journal.jsonl")

	receipt, err := bundle.ParseReceipt([]byte(s.read("mirror/state/receipts/site-000002.receipt.json")))
	s.check(err)
	r := receipt.Claims
	if want := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(s.read("good/site-000002/bundle.json")))); r.Root.String() != want || r.Sequence != 2 {
		t.Errorf("the receipt is of %s, number %d; want %s, 2", r.Root, r.Sequence, want)
	}
	if len(r.Checks) == 0 || r.Tool == "" || len(r.Formats) == 0 || len(s.read("mirror/state/receipts/site-000002.receipt.json")) > bundle.MaxReceiptSize {
		t.Errorf("the receipt says %+v", r)
	}
	// A receipt in which one digit was changed acknowledges nothing.
	forged := bytes.Replace([]byte(s.read("mirror/state/receipts/site-000002.receipt.json")), []byte(`"sequence": 2`), []byte(`"sequence": 1`), 1)
	s.check(os.WriteFile(s.path("forged.json"), forged, 0o644))
	s.fails(4, []string{"forged.json"}, "receipts", "add", "forged.json", "--destination", "ship", "--yes")
	s.ok("receipts", "add", s.receipt("mirror"), "--destination", "ship", "--yes")
}

// chained requires that each line of a journal names the digest of the one before.
func (s *site) chained(journal string) {
	s.t.Helper()
	var before []byte
	for line := range bytes.SplitAfterSeq([]byte(s.read(journal)), []byte("\n")) {
		if len(line) == 0 {
			continue
		}
		var l struct {
			Previous string `json:"previous"`
		}
		s.check(json.Unmarshal(line, &l))
		if before != nil && l.Previous != bundle.DigestOf(bytes.TrimSuffix(before, []byte("\n"))).String() && l.Previous != bundle.DigestOf(before).String() {
			s.t.Errorf("%s: a line names %q, the one before is %s", journal, l.Previous, bundle.DigestOf(before))
		}
		before = line
	}
}

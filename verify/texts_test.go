package verify_test

import (
	"errors"
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/verify"
)

// TestTextsOfEvidence: a text that draws on a terminal is no evidence, whoever signed it.
func TestTextsOfEvidence(t *testing.T) {
	good := bundle.Evidence{Path: "a", Origin: "https://a.example/x", Vouched: bundle.VouchedIndex, Reason: "wanted: \u00e4"}
	if err := verify.CheckEvidenceLine(&good); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"\x1b[2J", "\u009b2J", "a\nb", "\u202eexe", "\u2066", "\u2028"} {
		for name, e := range map[string]bundle.Evidence{
			"origin":     {Path: "a", Origin: bad, Vouched: bundle.VouchedIndex},
			"reason":     {Path: "a", Reason: bad, Vouched: bundle.VouchedIndex},
			"annotation": {Path: "a", Vouched: bundle.VouchedIndex, Annotations: map[string]string{"k": bad}},
			"key":        {Path: "a", Vouched: bundle.VouchedIndex, Annotations: map[string]string{bad: "v"}},
		} {
			if err := verify.CheckEvidenceLine(&e); !errors.Is(err, bundle.ErrMalformed) {
				t.Errorf("%s %q: %v", name, bad, err)
			}
		}
	}
}

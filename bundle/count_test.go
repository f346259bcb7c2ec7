package bundle_test

import (
	"testing"

	"github.com/gapbundle/gapbundle/bundle"
)

func TestCount(t *testing.T) {
	for want, got := range map[string]string{
		"1 volume": bundle.Count(1, "volume"), "2 volumes": bundle.Count(int64(2), "volume"), "0 entries": bundle.Count(0, "entry"),
		"3 keys": bundle.Count(3, "key"), "4 days": bundle.Count(4, "day"), "5 repositories": bundle.Count(5, "repository"),
		"1 medium": bundle.Count(1, "medium"), "6 more media": bundle.Count(6, "more medium"), "1 damaged blob": bundle.Count(1, "damaged blob"),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

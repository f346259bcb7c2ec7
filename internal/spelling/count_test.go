package spelling

import (
	"testing"
)

func TestCount(t *testing.T) {
	for want, got := range map[string]string{
		"1 volume": Count(1, "volume"), "2 volumes": Count(int64(2), "volume"), "0 entries": Count(0, "entry"),
		"3 keys": Count(3, "key"), "4 days": Count(4, "day"), "5 repositories": Count(5, "repository"),
		"1 medium": Count(1, "medium"), "6 more media": Count(6, "more medium"), "1 damaged blob": Count(1, "damaged blob"),
		"2 public addresses": Count(2, "public address"), "3 indexes": Count(3, "index"), "4 patches": Count(uint32(4), "patch"),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

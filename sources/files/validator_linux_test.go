package files

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A ledger of before has validators of this form. With another one every file would be read again.
func TestValidatorForm(t *testing.T) {
	name := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(name, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, at := range []time.Time{time.Unix(0, 0), time.Unix(1, 5), time.Unix(-7, 3), time.Unix(2_000_000_000, 999_999_999), time.Unix(1_764_000_000, 120_000_000)} {
		if err := os.Chtimes(name, at, at); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		s := info.Sys().(*syscall.Stat_t)
		want := fmt.Sprintf("%d.%09d %d.%09d %d %d", s.Mtim.Sec, s.Mtim.Nsec, s.Ctim.Sec, s.Ctim.Nsec, s.Size, s.Ino)
		if got := validatorOf(info); got != want {
			t.Errorf("%s: %s, want %s", at, got, want)
		}
	}
}

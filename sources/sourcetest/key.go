package sourcetest

import (
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/internal/keys"
)

const passphrase = "for a test"

// keyPair is made once for a suite: its encryption is slow on purpose.
type keyPair struct{ private, public []byte }

func newKey(t *testing.T) keyPair {
	t.Helper()
	private, public, _, err := keys.GenerateExporter([]byte(passphrase))
	if err != nil {
		t.Fatal(err)
	}
	return keyPair{private, public}
}

// newSiteKey is older than the first export.
func newSiteKey(t *testing.T) keyPair {
	t.Helper()
	private, public, _, err := keys.GenerateSite("site", []byte(passphrase), time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	return keyPair{private, public}
}

package sourcetest

import (
	"testing"

	"github.com/gapbundle/gapbundle/internal/keys"
)

const passphrase = "for a test"

// exporterKey is the key pair of one suite: its encryption is slow on purpose.
type exporterKey struct{ private, public []byte }

func newKey(t *testing.T) exporterKey {
	t.Helper()
	private, public, _, err := keys.GenerateExporter([]byte(passphrase))
	if err != nil {
		t.Fatal(err)
	}
	return exporterKey{private, public}
}

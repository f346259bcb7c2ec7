package sourcetest

import "github.com/gapbundle/gapbundle/internal/keys"

const passphrase = "for a test"

func generateKey() (private, public []byte, err error) {
	private, public, _, err = keys.GenerateExporter([]byte(passphrase))
	return private, public, err
}

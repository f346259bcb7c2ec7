package files

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
)

// keyWindow is how far into a file a private key is looked for. A file that
// is one begins with it, or with the certificates that go with it.
const keyWindow = 16 << 10 // bytes

// screened is content without a PEM private key at its beginning. name is
// the name in the error: a mirror hands everything it holds to everybody, and a
// key among a folder's files is there by accident.
func screened(c *bundle.Content, name string) (*bundle.Content, error) {
	var head bytes.Buffer
	_, err := io.CopyN(&head, c.Body, keyWindow)
	if err != nil && err != io.EOF {
		return nil, errors.Join(err, c.Body.Close())
	}
	if isPrivateKey(head.Bytes()) {
		err := fmt.Errorf("%s: a PEM private key; allow-private-keys has to name it: %w", name, fetch.ErrRefused)
		return nil, errors.Join(err, c.Body.Close())
	}
	if err == io.EOF {
		return &bundle.Content{Body: body{&head, c.Body}, At: c.At, Validator: c.Validator}, nil
	}
	return &bundle.Content{Body: body{io.MultiReader(&head, c.Body), c.Body}, At: c.At, Validator: c.Validator}, nil
}

type body struct {
	io.Reader
	io.Closer
}

// isPrivateKey finds the encapsulation line of RFC 7468 section 2 (and of
// OpenPGP's armor, RFC 9580 section 6.2) at the beginning of a line.
func isPrivateKey(b []byte) bool {
	for line := range bytes.Lines(b) {
		label, ok := bytes.CutPrefix(line, []byte("-----BEGIN "))
		if !ok {
			continue
		}
		label = bytes.TrimRight(label, " \t\r\n")
		if bytes.HasSuffix(label, []byte("PRIVATE KEY-----")) || bytes.HasSuffix(label, []byte("PRIVATE KEY BLOCK-----")) {
			return true
		}
	}
	return false
}

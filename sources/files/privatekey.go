package files

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
)

// keyWindow is how far into a file a private key is looked for. A file that
// is one begins with it, or with the certificates that go with it.
const keyWindow = 16 << 10 // bytes

// screened returns content of the expected size (-1: not known) whose beginning refuses has
// nothing against. name is the name in the error.
func screened(c *bundle.Content, name string, size int64, refuses func(head []byte) string) (*bundle.Content, error) {
	window := int64(keyWindow)
	if size >= 0 {
		window = min(window, size+1) // one more, to see the end
	}
	head := make([]byte, window)
	n, err := io.ReadFull(c.Body, head)
	ended := err == io.EOF || err == io.ErrUnexpectedEOF
	if err != nil && !ended {
		return nil, errors.Join(err, c.Body.Close())
	}
	if why := refuses(head[:n]); why != "" {
		err := fmt.Errorf("%s: %s: %w", name, why, fetch.ErrRefused)
		return nil, errors.Join(err, c.Body.Close())
	}
	whole, begin := *c, bytes.NewReader(head[:n])
	if whole.Body = (body{io.MultiReader(begin, c.Body), c.Body}); ended {
		whole.Body = body{begin, c.Body}
	}
	return &whole, nil
}

// refusesKey refuses a PEM private key: a mirror hands everything it holds to everybody,
// and a key among a folder's files is there by accident.
func refusesKey(head []byte) string {
	if isPrivateKey(head) {
		return "a PEM private key; allow-private-keys has to name it"
	}
	return ""
}

// refuses returns why content is refused: it is a private key, or it is a page although the
// name is that of an archive. Sites answer 200 with a page to sign in, or one that reads
// "not found".
func (r *remote) refuses(head []byte) string {
	if !r.allowKey {
		if why := refusesKey(head); why != "" {
			return why
		}
	}
	if name := r.url().Path; !r.html && isBinaryName(name) && isPage(head) {
		return "want " + path.Ext(name) + ", got an HTML page: a page to sign in, or one that says the file is not there; html: true carries it"
	}
	return ""
}

// binaryNames end names of files that are never HTML.
var binaryNames = []string{
	".7z", ".asc", ".bin", ".bz2", ".crt", ".cab", ".deb", ".dmg", ".exe", ".gpg", ".gz", ".img", ".iso", ".jar", ".key", ".lz4", ".msi", ".ova", ".pem", ".qcow2",
	".rpm", ".run", ".sha256", ".sha512", ".sig", ".sign", ".so", ".squashfs", ".tar", ".tbz2", ".tgz", ".txz", ".vhd", ".vmdk", ".war", ".whl", ".xz", ".zip", ".zst",
}

func isBinaryName(name string) bool {
	return slices.Contains(binaryNames, strings.ToLower(path.Ext(name)))
}

// isPage reports whether content begins as a browser takes a page to begin (WHATWG MIME
// Sniffing, section 7.1), whatever its type states.
func isPage(head []byte) bool {
	return strings.HasPrefix(http.DetectContentType(head), "text/html")
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

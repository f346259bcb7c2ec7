package files

import (
	"bytes"
	"cmp"
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
// name is not that of one. Sites answer 200 with a page to sign in, or one that reads "not
// found", whatever was asked for. A name without a suffix, such as kubectl, is not that of
// a page either; only the names of text may begin with a few tags, as Markdown does.
// known means that the content has an expected digest, which then decides what it may be.
func (r *remote) refuses(head []byte, known bool) string {
	if !r.allowKey {
		if why := refusesKey(head); why != "" {
			return why
		}
	}
	suffix := strings.ToLower(path.Ext(r.path))
	if r.html || slices.Contains(pageNames, suffix) {
		return ""
	}
	switch {
	case slices.Contains(binaryNames, suffix) && isPage(head), !known && isDocument(head):
		return wantFile(suffix) + ", got an HTML page: a page to sign in, or one that says the file is not there; html: true carries it"
	case known || !slices.Contains(packedNames, suffix):
	case isText(head):
		return wantFile(suffix) + ", got text (XML or JSON): a message that the file is not there; html: true carries it"
	case len(head) == 0:
		return wantFile(suffix) + ", got no content; html: true carries it"
	}
	return ""
}

func wantFile(suffix string) string { return "want " + cmp.Or(suffix, "a file") }

// pageNames end names of pages: what a site answers under them may be HTML.
var pageNames = []string{".asp", ".aspx", ".cgi", ".htm", ".html", ".jsp", ".php", ".shtml", ".xht", ".xhtml"}

// packedNames end names of files that begin with a magic number, so never with a bracket.
var packedNames = []string{
	".7z", ".apk", ".bz2", ".cab", ".deb", ".gz", ".jar", ".lz4", ".rpm", ".tbz2", ".tgz", ".txz", ".war", ".whl", ".xz", ".zip", ".zst",
}

// binaryNames end names of files that are never HTML.
var binaryNames = slices.Concat(packedNames, []string{
	".asc", ".bin", ".crt", ".dmg", ".exe", ".gguf", ".gpg", ".img", ".iso", ".key", ".msi", ".ova", ".pdf", ".pem", ".qcow2", ".run", ".safetensors",
	".sha256", ".sha512", ".sig", ".sign", ".so", ".squashfs", ".tar", ".vhd", ".vmdk",
})

// isDocument reports whether content is a whole HTML document: after a byte order mark, white
// space, a declaration of XML and comments, it begins with the tag of one.
func isDocument(head []byte) bool {
	rest := bytes.TrimPrefix(narrowed(head), []byte("\xef\xbb\xbf"))
	for {
		rest = bytes.TrimLeft(rest, " \t\r\n\f")
		end := ""
		switch {
		case bytes.HasPrefix(rest, []byte("<?xml")):
			end = "?>"
		case bytes.HasPrefix(rest, []byte("<!--")):
			end = "-->"
		default:
			for _, tag := range []string{"<!doctype html", "<html", "<head>"} {
				if len(rest) >= len(tag) && strings.EqualFold(string(rest[:len(tag)]), tag) {
					return true
				}
			}
			return false
		}
		_, after, found := bytes.Cut(rest, []byte(end))
		if !found {
			return false
		}
		rest = after
	}
}

// narrowed returns the beginning of text in UTF-16 as far as it is ASCII, and everything else as it is.
func narrowed(head []byte) []byte {
	at := 1 // of the half that is zero
	switch {
	case bytes.HasPrefix(head, []byte("\xff\xfe")):
	case bytes.HasPrefix(head, []byte("\xfe\xff")):
		at = 0
	default:
		return head
	}
	var out []byte
	for i := 2; i+1 < len(head) && head[i+at] == 0; i += 2 {
		out = append(out, head[i+1-at])
	}
	return out
}

// isText reports whether content begins as XML and JSON do.
func isText(head []byte) bool {
	rest := bytes.TrimLeft(narrowed(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf"))), " \t\r\n")
	return len(rest) > 0 && (rest[0] == '<' || rest[0] == '{' || rest[0] == '[')
}

// isPage reports whether content begins as a browser takes a page to begin (WHATWG MIME
// Sniffing, section 7.1), whatever its type states.
func isPage(head []byte) bool {
	return strings.HasPrefix(http.DetectContentType(bytes.TrimPrefix(narrowed(head), []byte("\xef\xbb\xbf"))), "text/html")
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

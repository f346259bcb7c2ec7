package site

import (
	"bytes"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// baseWord is the one word that is replaced in client files.
const baseWord = "@BASE@"

// CheckBase says what is wrong with s as the address of a mirror: http or
// https, a host, no user, query or fragment, no '/' at the end, and only
// characters that no client's configuration has to quote. Errors match
// bundle.ErrUsage.
func CheckBase(s string) error {
	u, err := url.Parse(s)
	if err != nil {
		return fmt.Errorf("base URL %.200q: %w", s, bundle.ErrUsage)
	}
	wrong := ""
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		wrong = "want http:// or https://"
	case u.Hostname() == "":
		wrong = "no host"
	case u.User != nil || strings.ContainsAny(s, "?#"):
		wrong = "user, query and fragment have no place in it"
	case strings.HasSuffix(s, "/"):
		wrong = "ends with '/'"
	case strings.ContainsFunc(s, func(r rune) bool { return !isAlphanumeric(r) && !strings.ContainsRune("-._~:/[]", r) }):
		wrong = "want letters, digits and - . _ ~ : / [ ] only"
	}
	if wrong != "" {
		return fmt.Errorf("base URL %.200q: %s: %w", s, wrong, bundle.ErrUsage)
	}
	return nil
}

func isAlphanumeric(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

// Substitute copies src to dst with every @BASE@ replaced by base, and
// nothing else changed: what replaced a word is not looked at again. With an
// empty base it is a plain copy. Memory does not grow with the size.
func Substitute(dst io.Writer, src io.Reader, base string) error {
	if base == "" {
		_, err := io.Copy(dst, src)
		return err
	}
	buf := make([]byte, 32<<10)
	held := 0 // bytes at the start of buf that may be the start of the word
	for {
		n, rerr := src.Read(buf[held:])
		b := buf[:held+n]
		for i := bytes.Index(b, []byte(baseWord)); i >= 0; i = bytes.Index(b, []byte(baseWord)) {
			if _, err := dst.Write(b[:i]); err != nil {
				return err
			}
			if _, err := io.WriteString(dst, base); err != nil {
				return err
			}
			b = b[i+len(baseWord):]
		}
		keep := 0
		if rerr == nil {
			keep = wordStart(b)
		}
		if _, err := dst.Write(b[:len(b)-keep]); err != nil {
			return err
		}
		held = copy(buf, b[len(b)-keep:])
		if rerr == io.EOF {
			return nil
		}
		if rerr != nil {
			return rerr
		}
	}
}

// wordStart is how many bytes at the end of b are a beginning of the word.
func wordStart(b []byte) int {
	for n := min(len(b), len(baseWord)-1); n > 0; n-- {
		if string(b[len(b)-n:]) == baseWord[:n] {
			return n
		}
	}
	return 0
}

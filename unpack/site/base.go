package site

import (
	"bytes"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// The words that are replaced in client files, and nothing else.
const (
	baseWord     = "@BASE@"     // the address
	hostWord     = "@HOST@"     // its host, and port if it has one, for clients that want no scheme
	insecureWord = "@INSECURE@" // true for http, false for https, for clients that are told apart from the host
)

// Words returns the words that stand for the address of the mirror, the whole
// address first.
func Words() []string { return []string{baseWord, hostWord, insecureWord} }

// wordsOf returns each word and what stands for it at base.
func wordsOf(base string) [][2]string {
	scheme, rest, _ := strings.Cut(base, "://")
	host, _, _ := strings.Cut(rest, "/")
	return [][2]string{{baseWord, base}, {hostWord, host}, {insecureWord, strconv.FormatBool(scheme != "https")}}
}

// firstWord returns the word that b holds first, and where; at is -1 if none. Each
// begins with '@', so that a file of nothing but words takes no longer.
func firstWord(b []byte, words [][2]string) (at int, word [2]string) {
	for {
		i := bytes.IndexByte(b[at:], '@')
		if i < 0 {
			return -1, word
		}
		at += i
		for _, w := range words {
			if bytes.HasPrefix(b[at:], []byte(w[0])) {
				return at, w
			}
		}
		at++
	}
}

// CheckBase reports what is wrong with s as the address of a mirror: http or
// https, a host, no user, query or fragment, no '/' at the end, and only
// characters that no client's configuration has to quote. Errors match
// bundle.ErrUsage.
func CheckBase(s string) error {
	u, err := url.Parse(s)
	if err != nil {
		return bundle.About(bundle.AboutBaseURL, fmt.Errorf("base URL %.200q: not a URL: %w", s, bundle.ErrUsage))
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
		return bundle.About(bundle.AboutBaseURL, fmt.Errorf("base URL %.200q: %s: %w", s, wrong, bundle.ErrUsage))
	}
	return nil
}

func isAlphanumeric(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

// Substitute copies src to dst with every word replaced by what base states,
// and nothing else changed: what replaced a word is not looked at again. With
// an empty base it is a plain copy. Memory does not grow with the size.
func Substitute(dst io.Writer, src io.Reader, base string) error {
	if base == "" {
		_, err := io.Copy(dst, src)
		return err
	}
	words := wordsOf(base)
	buf := make([]byte, 32<<10)
	held := 0 // bytes at the start of buf that may be the start of a word
	for {
		n, rerr := src.Read(buf[held:])
		b := buf[:held+n]
		for i, w := firstWord(b, words); i >= 0; i, w = firstWord(b, words) {
			if _, err := dst.Write(b[:i]); err != nil {
				return err
			}
			if _, err := io.WriteString(dst, w[1]); err != nil {
				return err
			}
			b = b[i+len(w[0]):]
		}
		keep := 0
		if rerr == nil {
			keep = wordStart(b, words)
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

// wordStart returns how many bytes at the end of b are a beginning of a word.
func wordStart(b []byte, words [][2]string) (longest int) {
	for _, w := range words {
		for n := min(len(b), len(w[0])-1); n > longest; n-- {
			if string(b[len(b)-n:]) == w[0][:n] {
				longest = n
			}
		}
	}
	return longest
}

package command

import (
	"bytes"
	"io"
	"unicode/utf8"

	"github.com/gapbundle/gapbundle/bundle"
)

// Everything that is printed passes one rule, whoever wrote it: an upstream, a medium whose
// signature nobody has checked yet, an error of another program. Characters that draw on
// a terminal or turn a line around are printed as \u and their number, which is also how
// JSON writes them. Line feeds and tabs are ours.

// plainText returns b with everything that bundle.IsPlain refuses written out.
func plainText(b []byte) []byte { return bundle.Plain(b, "\n\t") }

// plainWriter writes plainText. A character that is cut by the end of a call is kept for
// the next one.
type plainWriter struct {
	w    io.Writer
	kept []byte // less than utf8.UTFMax bytes
}

func (p *plainWriter) Write(b []byte) (int, error) {
	text := append(p.kept, b...)
	end := len(text)
	for i := max(0, end-utf8.UTFMax+1); i < end; i++ {
		if utf8.RuneStart(text[i]) && !utf8.FullRune(text[i:]) {
			end = i
			break
		}
	}
	p.kept = append([]byte(nil), text[end:]...)
	if _, err := p.w.Write(plainText(text[:end])); err != nil {
		return 0, err
	}
	return len(b), nil
}

// sumLine returns a line of sha256sum, which writes a name with a line feed, a carriage
// return or a backslash in it escaped, and a backslash before the line (coreutils,
// "md5sum invocation").
func sumLine(digest, name string) string {
	var escaped bytes.Buffer
	for i := range len(name) {
		switch name[i] {
		case '\n':
			escaped.WriteString(`\n`)
		case '\r':
			escaped.WriteString(`\r`)
		case '\\':
			escaped.WriteString(`\\`)
		default:
			escaped.WriteByte(name[i])
		}
	}
	if escaped.Len() == len(name) {
		return digest + "  " + name + "\n"
	}
	return `\` + digest + "  " + escaped.String() + "\n"
}

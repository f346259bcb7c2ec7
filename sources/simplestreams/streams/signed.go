package streams

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/pgpkeys"
)

// Lines of a clear-signed message (RFC 9580 section 7).
const (
	beginSigned    = "-----BEGIN PGP SIGNED MESSAGE-----"
	beginSignature = "-----BEGIN PGP SIGNATURE-----"
	endSignature   = "-----END PGP SIGNATURE-----"
)

const (
	// maxHeaders bounds the lines before the text; there is one for each digest.
	maxHeaders = 8
	// maxBlanks bounds blanks in a row: whether they end a line, and so are no
	// part of what is signed, is known only after them.
	maxBlanks = 64 << 10 // bytes
	lineSize  = 64 << 10 // bytes of a line that are read at once
)

// Unsign reads a message and writes to w exactly the text that is signed: no
// dash-escapes, no blanks at the ends of lines, no newline after the last. The
// signature is returned and not checked: until it was, nothing of the text may
// be believed. Text before or after the message, a second one, and any header
// but Hash are refused. Errors match bundle.ErrMalformed, except those of the
// reader and the writer.
func Unsign(w io.Writer, in io.Reader) (signature []byte, err error) {
	u := &unsigning{in: bufio.NewReaderSize(in, lineSize), out: bufio.NewWriter(w)}
	if err := u.header(); err != nil {
		return nil, err
	}
	if err := u.text(); err != nil {
		return nil, err
	}
	if err := u.out.Flush(); err != nil {
		return nil, err
	}
	return u.signature()
}

type unsigning struct {
	in     *bufio.Reader
	out    *bufio.Writer
	blanks []byte // at the end of the line so far
}

func notSigned(format string, args ...any) error {
	return fmt.Errorf("clear-signed text: %w: %w", fmt.Errorf(format, args...), bundle.ErrMalformed)
}

// part reads up to the end of a line, at most lineSize bytes; whole means that
// the line ends with it.
func (u *unsigning) part() (line []byte, whole bool, err error) {
	line, err = u.in.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return line, false, nil
	case errors.Is(err, io.EOF):
		return nil, false, notSigned("it ends too early")
	case err != nil:
		return nil, false, err
	}
	return line[:len(line)-1], true, nil
}

// short reads a whole line that cannot be long.
func (u *unsigning) short() ([]byte, error) {
	line, whole, err := u.part()
	if err == nil && !whole {
		err = notSigned("a line of more than %d bytes before the text", lineSize)
	}
	return bytes.TrimSuffix(line, []byte{'\r'}), err
}

func (u *unsigning) header() error {
	line, err := u.short()
	if err != nil {
		return err
	}
	if string(line) != beginSigned {
		return notSigned("want %s as the first line, got %.80q", beginSigned, line)
	}
	for range maxHeaders {
		switch line, err := u.short(); {
		case err != nil:
			return err
		case len(line) == 0:
			return nil
		case !bytes.HasPrefix(line, []byte("Hash: ")):
			return notSigned("header %.80q: want Hash alone", line)
		}
	}
	return notSigned("more than %d headers", maxHeaders)
}

// text writes lines up to the signature.
func (u *unsigning) text() error {
	for first := true; ; first = false {
		line, whole, err := u.part()
		if err != nil {
			return err
		}
		if bytes.HasPrefix(line, []byte{'-'}) {
			if string(bytes.TrimRight(line, " \t\r")) == beginSignature && whole {
				return nil
			}
			var escaped bool
			if line, escaped = bytes.CutPrefix(line, []byte("- ")); !escaped {
				return notSigned("a line of the text begins with a dash that is not escaped: %.80q", line)
			}
		}
		if !first {
			if err := u.out.WriteByte('\n'); err != nil {
				return err
			}
		}
		for {
			if err := u.write(line); err != nil {
				return err
			}
			if whole {
				break
			}
			if line, whole, err = u.part(); err != nil {
				return err
			}
		}
		u.blanks = u.blanks[:0]
	}
}

// write writes a part of a line, and keeps the blanks at its end back.
func (u *unsigning) write(part []byte) error {
	rest := bytes.TrimRight(part, " \t\r")
	if len(rest) > 0 {
		_, err := u.out.Write(u.blanks)
		if err == nil {
			_, err = u.out.Write(rest)
		}
		if err != nil {
			return err
		}
		u.blanks = u.blanks[:0]
	}
	u.blanks = append(u.blanks, part[len(rest):]...)
	if len(u.blanks) > maxBlanks {
		return notSigned("more than %d blanks in a row", maxBlanks)
	}
	return nil
}

// signature reads the armored signature, whose first line was read.
func (u *unsigning) signature() ([]byte, error) {
	rest, err := io.ReadAll(io.LimitReader(u.in, pgpkeys.MaxSignature+1))
	if err != nil {
		return nil, err
	}
	armored, after, ok := bytes.Cut(rest, []byte(endSignature))
	switch {
	case len(rest) > pgpkeys.MaxSignature:
		return nil, notSigned("a signature of more than %d bytes", pgpkeys.MaxSignature)
	case !ok:
		return nil, notSigned("the signature has no end")
	case len(bytes.TrimSpace(after)) > 0:
		return nil, notSigned("text after the signature: %.80q", bytes.TrimSpace(after))
	}
	whole := beginSignature + "\n" + string(armored) + endSignature + "\n"
	signature, err := pgpkeys.Dearmor([]byte(whole))
	if err != nil {
		return nil, notSigned("the signature: %w", err)
	}
	return signature, nil
}

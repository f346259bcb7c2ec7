package bundle

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
)

// Sum is a line of SHA256SUMS.
type Sum struct {
	Digest Digest
	Name   string
}

// AppendSum appends the line for s as coreutils' sha256sum writes it.
func AppendSum(dst []byte, s Sum) []byte {
	return append(append(append(append(dst, s.Digest.Hex()...), "  "...), s.Name...), '\n')
}

// ReadSums reads a bundle's SHA256SUMS: 64 hex digits, two blanks, a name
// without '/', sorted by name. It is not a reader for what others write.
// Errors match ErrMalformed, or are r's own.
func ReadSums(r io.Reader) iter.Seq2[Sum, error] {
	return func(yield func(Sum, error) bool) {
		const before = 64 + 2 // hex digits and blanks
		br := bufio.NewReaderSize(r, 4096)
		last := ""
		for n := 1; ; n++ {
			line, err := br.ReadSlice('\n')
			switch {
			case err == io.EOF && len(line) == 0:
				return
			case err == io.EOF || errors.Is(err, bufio.ErrBufferFull):
				yield(Sum{}, fmt.Errorf("%s, line %d: cut off or too long: %w", SumsName, n, ErrMalformed))
				return
			case err != nil:
				yield(Sum{}, fmt.Errorf("%s: %w", SumsName, err))
				return
			}
			s, ok := Sum{}, len(line) > before+1 && string(line[before-2:before]) == "  "
			if ok {
				s.Name = string(line[before : len(line)-1])
				s.Digest, err = ParseHex(string(line[:before-2]))
				ok = err == nil && s.Name > last && CheckPath(s.Name) == nil && !strings.Contains(s.Name, "/")
			}
			if !ok {
				yield(Sum{}, fmt.Errorf("%s, line %d: %.200q: want digest, two blanks, name, in order: %w", SumsName, n, line, ErrMalformed))
				return
			}
			last = s.Name
			if !yield(s, nil) {
				return
			}
		}
	}
}

package modulemd

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// Filter writes what is about packages that are carried: their streams, of
// each the carried packages, the streams that are needed for them, and what
// defaults, obsoletes and translations there are of these. Documents are
// upstream's byte for byte but for the lines of packages that are left out. n is how
// many streams there are.
func (x *Index) Filter(w io.Writer, carried func(nevra string) bool, needed map[*Stream]bool) (n int, err error) {
	kept := map[string]map[string]bool{} // streams by module
	var out [][]byte
	for _, d := range x.docs {
		if d.of == nil {
			continue
		}
		gone, ok := d.of.without(carried, needed)
		if !ok {
			continue
		}
		if kept[d.module] == nil {
			kept[d.module] = map[string]bool{}
		}
		kept[d.module][d.of.Name] = true
		out = append(out, without(d.raw, gone))
		n++
	}
	for _, d := range x.docs {
		if streams := kept[d.module]; d.of == nil && len(streams) > 0 && (d.stream == "" || streams[d.stream]) {
			out = append(out, d.raw)
		}
	}
	for _, raw := range out {
		if _, err := w.Write(whole(raw)); err != nil {
			return n, err
		}
	}
	return n, nil
}

// Kept returns the streams that Filter writes, in the order in which it does.
func (x *Index) Kept(carried func(nevra string) bool, needed map[*Stream]bool) []*Stream {
	var all []*Stream
	for _, s := range x.Streams {
		if _, ok := s.without(carried, needed); ok {
			all = append(all, s)
		}
	}
	return all
}

// without returns the packages of a stream that are left out; ok: the stream is kept.
func (s *Stream) without(carried func(nevra string) bool, needed map[*Stream]bool) (gone map[string]bool, ok bool) {
	gone = map[string]bool{}
	for _, a := range s.Artifacts {
		if !carried(a) {
			gone[a] = true
		}
	}
	switch {
	case len(gone) < len(s.Artifacts):
		return gone, true
	case needed[s]: // as it is: a list without elements would be none
		return nil, true
	}
	return nil, false
}

// String returns name, stream, version, context and architecture, as dnf writes them.
func (s *Stream) String() string {
	return fmt.Sprintf("%s:%s:%d:%s:%s", s.Module, s.Name, s.Version, s.Context, s.Arch)
}

// without leaves out the lines of a list that name what is gone. Lists in
// brackets stay as they are: dnf passes over packages that it does not find.
func without(raw []byte, gone map[string]bool) []byte {
	if len(gone) == 0 {
		return raw
	}
	var out []byte
	for line := range bytes.Lines(raw) {
		item, ok := strings.CutPrefix(strings.TrimSpace(string(line)), "- ")
		if ok && gone[strings.Trim(strings.TrimSpace(item), `"'`)] {
			continue
		}
		out = append(out, line...)
	}
	return out
}

// whole returns a document with the lines that begin and end it.
func whole(raw []byte) []byte {
	var out []byte
	if !bytes.HasPrefix(raw, []byte("---")) {
		out = append(out, "---\n"...)
	}
	out = append(out, bytes.TrimRight(raw, "\n")...)
	if !bytes.HasSuffix(out, []byte("\n...")) {
		out = append(out, "\n..."...)
	}
	return append(out, '\n')
}

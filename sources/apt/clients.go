package apt

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
)

const timeForm = time.RFC3339

// clients writes a deb822 .sources file for each source, and one for each
// architecture where it has several: a client asks for every architecture that
// its entry names, whether its packages are of use to it or not.
func clients(_ context.Context, repos []bundle.Repository, _ sources.Tree) ([]sources.ClientFile, error) {
	var all []sources.ClientFile
	for _, r := range repos {
		suites, err := layouts(r)
		if err != nil {
			return nil, err
		}
		name := strings.ReplaceAll(r.Name, "/", "-")
		all = append(all, sources.ClientFile{Path: name + ".sources", Content: sourcesFile(r, name, suites, "")})
		var archs []string
		for _, s := range suites {
			archs = union(archs, s.Architectures)
		}
		if len(archs) < 2 {
			continue
		}
		slices.Sort(archs)
		for _, arch := range archs {
			all = append(all, sources.ClientFile{Path: name + "-" + arch + ".sources", Content: sourcesFile(r, name, suites, arch)})
		}
	}
	return all, nil
}

// sourcesFile is a .sources file (sources.list(5)); arch "" is for all.
func sourcesFile(r bundle.Repository, name string, suites []layout, arch string) []byte {
	var b bytes.Buffer
	keys := r.Annotations[keysKey]
	local := "/usr/share/keyrings/gapbundle-" + keys
	fmt.Fprintf(&b, "# %s, %s. As /etc/apt/sources.list.d/%s.sources, with its keys:\n", r.Name, r.Mode, name)
	fmt.Fprintf(&b, "#   curl -f -o %s %s/keys/%s\n", local, sources.BaseMark, keys)
	if until := firstUntil(suites); until != "" {
		fmt.Fprintf(&b, "# Upstream's signature says that it is valid until %s. For clients that use it\n", until)
		b.WriteString("# longer without an import, add to each entry:  Check-Valid-Until: no\n")
	}
	var written []string
	for _, s := range suites {
		if arch != "" && !slices.Contains(s.Architectures, arch) {
			continue
		}
		text := s.stanza(r.Mount, local, arch)
		if !slices.Contains(written, text) { // one with $(ARCH) stands for several
			written = append(written, text)
			b.WriteString("\n" + text)
		}
	}
	return b.Bytes()
}

func (l *layout) stanza(mount, key, arch string) string {
	var b strings.Builder
	field := func(name string, values ...string) {
		if len(values) > 0 {
			fmt.Fprintf(&b, "%s: %s\n", name, strings.Join(values, " "))
		}
	}
	var types []string
	if l.Binary {
		types = append(types, "deb")
	}
	if l.Source {
		types = append(types, "deb-src")
	}
	field("Types", types...)
	field("URIs", sources.BaseMark+"/"+mount+"/"+l.URI)
	field("Suites", l.Suite)
	field("Components", l.Components...)
	switch {
	case strings.Contains(l.URI, archMark): // the address has it
	case arch != "":
		field("Architectures", arch)
	default:
		field("Architectures", l.Architectures...)
	}
	field("Languages", l.Languages...)
	field("Signed-By", key)
	return b.String()
}

func firstUntil(suites []layout) string {
	first := ""
	for _, s := range suites {
		if s.Until != "" && (first == "" || s.Until < first) {
			first = s.Until
		}
	}
	return first
}

package apt

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
)

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
	until, unlimited := firstUntil(suites), slices.ContainsFunc(suites, func(s layout) bool { return s.Unlimited })
	switch {
	case until != "" && unlimited:
		fmt.Fprintf(&b, "# Upstream's signature says that it is valid until %s. The entries below do not ask for it.\n", until)
	case until != "":
		fmt.Fprintf(&b, "# Upstream's signature says that it is valid until %s. For clients that use it\n", until)
		b.WriteString("# longer without an import, add to each entry:  Check-Valid-Until: no\n")
	}
	for _, names := range alike(suites, arch) {
		b.WriteString("\n" + names[0].stanza(r.Mount, local, arch, names))
	}
	return b.Bytes()
}

// alike groups the suites of an architecture ("": all) that differ in their
// name alone. One with $(ARCH) in its address is several.
func alike(suites []layout, arch string) [][]layout {
	var all [][]layout
	for _, s := range suites {
		if arch != "" && !slices.Contains(s.Architectures, arch) {
			continue
		}
		i := slices.IndexFunc(all, func(o []layout) bool { return s.rest() == o[0].rest() })
		switch {
		case i < 0:
			all = append(all, []layout{s})
		case !slices.ContainsFunc(all[i], func(o layout) bool { return o.Suite == s.Suite }):
			all[i] = append(all[i], s)
		}
	}
	return all
}

// rest is everything in a client's entry but the suite.
func (l *layout) rest() string {
	archs := l.Architectures
	if strings.Contains(l.URI, archMark) {
		archs = nil
	}
	return fmt.Sprint(l.URI, l.Components, archs, l.Languages, l.Binary, l.Source, l.Unlimited)
}

func (l *layout) stanza(mount, key, arch string, suites []layout) string {
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
	var names []string
	for _, s := range suites {
		names = append(names, s.Suite)
	}
	field("Suites", names...)
	field("Components", l.Components...)
	switch {
	case strings.Contains(l.URI, archMark): // the address has it
	case arch != "":
		field("Architectures", arch)
	default:
		field("Architectures", l.Architectures...)
	}
	field("Languages", l.Languages...)
	if l.Unlimited {
		field("Check-Valid-Until", "no")
	}
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

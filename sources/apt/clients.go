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

// clients writes a client file for each source, and one for each architecture where it has
// several: a client asks for every architecture that its entry names, whether its packages
// are of use to it or not.
func clients(_ context.Context, repos []bundle.Repository, _ sources.Tree) ([]sources.ClientFile, error) {
	var all []sources.ClientFile
	for _, r := range repos {
		suites, err := layouts(r)
		if err != nil {
			return nil, err
		}
		name := sources.FileName(r.Name)
		all = append(all, clientFile(r, name, suites, ""))
		var archs []string
		for _, s := range suites {
			archs = union(archs, s.Architectures)
		}
		if len(archs) < 2 {
			continue
		}
		slices.Sort(archs)
		for _, arch := range archs {
			all = append(all, clientFile(r, name+"-"+arch, suites, arch))
		}
	}
	return all, nil
}

// clientFile returns a client file that is called name, or has the name that the spec states in a
// folder that is called so. arch "" is for all.
func clientFile(r bundle.Repository, name string, suites []layout, arch string) sources.ClientFile {
	file, at := name+".sources", name+".sources"
	if as := suites[0].As; as != "" {
		file, at = as, sources.ClientName(name, as)
	}
	return sources.ClientFile{Path: at, Content: entries(r, file, suites, arch)}
}

// entries returns the content of a client file (sources.list(5)), in the form that its ending
// states; arch "" is for all.
func entries(r bundle.Repository, file string, suites []layout, arch string) []byte {
	var b bytes.Buffer
	keys := r.Annotations[keysKey]
	local := "/usr/share/keyrings/gapbundle-" + keys
	lines := strings.HasSuffix(file, ".list")
	fmt.Fprintf(&b, "# %s, %s. As /etc/apt/sources.list.d/%s, with its keys:\n", r.Name, r.Mode, file)
	fmt.Fprintf(&b, "#   curl -f -o %s %s/keys/%s\n", local, sources.BaseMark, keys)
	until, unlimited := firstUntil(suites), slices.ContainsFunc(suites, func(s layout) bool { return s.Unlimited })
	switch {
	case until != "" && unlimited:
		fmt.Fprintf(&b, "# Upstream's signature says that it is valid until %s. The entries below do not ask for it.\n", until)
	case until != "":
		option := "Check-Valid-Until: no"
		if lines {
			option = "check-valid-until=no"
		}
		fmt.Fprintf(&b, "# Upstream's signature says that it is valid until %s. For clients that use it\n", until)
		fmt.Fprintf(&b, "# longer without an import, add to each entry:  %s\n", option)
	}
	for _, names := range alike(suites, arch) {
		if lines {
			b.WriteString(names[0].lines(r.Mount, local, arch, names))
		} else {
			b.WriteString("\n" + names[0].stanza(r.Mount, local, arch, names))
		}
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

// rest returns everything in a client's entry but the suite.
func (l *layout) rest() string {
	archs := l.Architectures
	if strings.Contains(l.URI, archMark) {
		archs = nil
	}
	return fmt.Sprint(l.URI, l.Components, archs, l.Languages, l.Binary, l.Source, l.Unlimited)
}

// types returns the types of a client's entry.
func (l *layout) types() (types []string) {
	if l.Binary {
		types = append(types, "deb")
	}
	if l.Source {
		types = append(types, "deb-src")
	}
	return types
}

// uri returns the address of a client's entry.
func (l *layout) uri(mount string) string { return sources.BaseMark + "/" + mount + "/" + l.URI }

// architectures returns the architectures that a client's entry for arch names ("": for all of them).
func (l *layout) architectures(arch string) []string {
	switch {
	case strings.Contains(l.URI, archMark): // the address has it
		return nil
	case arch != "":
		return []string{arch}
	}
	return l.Architectures
}

// lines returns one-line entries, one for each suite and type.
func (l *layout) lines(mount, key, arch string, suites []layout) string {
	var options []string
	option := func(name string, values ...string) {
		if len(values) > 0 {
			options = append(options, name+"="+strings.Join(values, ","))
		}
	}
	option("arch", l.architectures(arch)...)
	option("lang", l.Languages...)
	if l.Unlimited {
		option("check-valid-until", "no")
	}
	option("signed-by", key)
	var b strings.Builder
	for _, s := range suites {
		for _, typ := range l.types() {
			words := append([]string{typ, "[" + strings.Join(options, " ") + "]", l.uri(mount), s.Suite}, l.Components...)
			b.WriteString(strings.Join(words, " ") + "\n")
		}
	}
	return b.String()
}

func (l *layout) stanza(mount, key, arch string, suites []layout) string {
	var b strings.Builder
	field := func(name string, values ...string) {
		if len(values) > 0 {
			fmt.Fprintf(&b, "%s: %s\n", name, strings.Join(values, " "))
		}
	}
	field("Types", l.types()...)
	field("URIs", l.uri(mount))
	var names []string
	for _, s := range suites {
		names = append(names, s.Suite)
	}
	field("Suites", names...)
	field("Components", l.Components...)
	field("Architectures", l.architectures(arch)...)
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

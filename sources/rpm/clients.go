package rpm

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/rebuild"
)

// clientFolder is where the files for dnf are among those of this kind.
const clientFolder = "dnf/"

// clients writes a .repo file for each source.
func clients(_ context.Context, repos []bundle.Repository, _ sources.Tree) ([]sources.ClientFile, error) {
	var all []sources.ClientFile
	for _, r := range repos {
		folders, err := layouts(r)
		if err != nil {
			return nil, err
		}
		name := sources.FileName(r.Name)
		file, at := name+".repo", name+".repo"
		if as := folders[0].As; as != "" {
			file, at = as, sources.ClientName(name, as)
		}
		all = append(all, sources.ClientFile{Path: clientFolder + at, Content: repoFile(r, file, folders)})
	}
	return all, nil
}

// repoFile returns a .repo file (dnf.conf(5)).
func repoFile(r bundle.Repository, file string, folders []layout) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# %s, %s. As /etc/yum.repos.d/%s; dnf gets the keys by itself.\n", r.Name, r.Mode, file)
	unsigned := strings.Contains(r.Annotations[bundle.AllowedKey], allowedUnsigned)
	if unsigned {
		b.WriteString("# Not all packages have a signature (allow-unsigned), so gpgcheck is off.\n")
	}
	if site, packages := keysOf(r, !unsigned); len(packages) > 0 && len(site) > 0 {
		fmt.Fprintf(&b, "# Of the keys, /keys/%s signs repomd.xml (repo_gpgcheck), and /keys/%s the packages (gpgcheck).\n", site[0], strings.Join(packages, ", /keys/"))
	}
	for _, l := range folders {
		for i, id := range sectionIDs(r.Name, l.ID, l.IDs, len(folders) > 1) {
			b.WriteString("\n")
			if i > 0 {
				b.WriteString("# The same repository under another name, for --enablerepo.\n")
			}
			writeSection(&b, r, &l, id, i == 0, !unsigned)
		}
	}
	return b.Bytes()
}

// writeSection writes one repository. dnf would read one that is enabled under two names
// twice.
func writeSection(b *bytes.Buffer, r bundle.Repository, l *layout, id string, enabled, checked bool) {
	title := oneLine(l.Title)
	if title == "" {
		title = id
	}
	fmt.Fprintf(b, "[%s]\nname=%s\nbaseurl=%s/%s/%s\nenabled=%d\n", id, title, sources.BaseMark, r.Mount, l.Dir, digit(enabled))
	fmt.Fprintf(b, "gpgcheck=%d\nrepo_gpgcheck=%d\n", digit(checked), digit(l.Signed))
	var keys []string
	site, packages := keysOf(r, checked)
	for _, k := range slices.Concat(site, packages) {
		keys = append(keys, sources.BaseMark+"/keys/"+k)
	}
	if len(keys) > 0 {
		fmt.Fprintf(b, "gpgkey=%s\n", strings.Join(keys, "\n       "))
	}
	if l.Hotfixes {
		b.WriteString("module_hotfixes=1\n")
	}
	if l.Cost != "" {
		fmt.Fprintf(b, "cost=%s\n", l.Cost)
	}
	if l.Priority != "" {
		fmt.Fprintf(b, "priority=%s\n", l.Priority)
	}
}

// keysOf returns the names of the key files that dnf needs: of a rebuilt source the site's,
// which signs repomd.xml, and upstream's as far as packages are checked by them. In a
// verbatim one both signatures are upstream's. dnf has one list, gpgkey, for both.
func keysOf(r bundle.Repository, checked bool) (site, packages []string) {
	names := strings.Fields(r.Annotations[keysKey])
	if rebuild.Mode(r.Mode) != rebuild.Rebuilt || len(names) == 0 {
		return nil, names
	}
	if !checked {
		return names[:1], nil
	}
	return names[:1], names[1:]
}

// oneLine returns a title that cannot end its line, nor hold a variable of dnf's or
// the word that the importing side replaces.
func oneLine(s string) string {
	s = strings.ReplaceAll(strings.ReplaceAll(s, sources.BaseMark, ""), "$", "")
	return strings.Join(strings.Fields(s), " ")
}

func digit(on bool) int {
	if on {
		return 1
	}
	return 0
}

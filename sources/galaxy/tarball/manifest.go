package tarball

import (
	"fmt"
	"maps"
	"path"
	"slices"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/galaxy/record"
)

// collection compares the archive with what it states about itself.
func (a *archive) collection() (*Collection, error) {
	for name, content := range map[string][]byte{manifestName: a.manifest, listName: a.list} {
		if content == nil {
			return nil, fmt.Errorf("archive: no %s: not a collection: %w", name, bundle.ErrMalformed)
		}
	}
	c, list, err := parseManifest(a.manifest)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", manifestName, err)
	}
	if found := a.members[listName].digest; found != list {
		return nil, fmt.Errorf("%s: %s says %s, the archive has %s: %w", listName, manifestName, list, found, bundle.ErrMalformed)
	}
	files, err := parseList(a.list)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", listName, err)
	}
	c.Manifest = a.manifest
	c.Files, err = a.compare(files)
	return c, err
}

// parseManifest reads MANIFEST.json: the collection and the digest of FILES.json.
func parseManifest(b []byte) (*Collection, bundle.Digest, error) {
	o, err := record.Parse(b)
	if err != nil {
		return nil, bundle.Digest{}, err
	}
	info, err := record.Need[record.Object](o, "collection_info")
	if err != nil {
		return nil, bundle.Digest{}, err
	}
	c := &Collection{}
	for key, into := range map[string]*string{"namespace": &c.Namespace, "name": &c.Name, "version": &c.Version} {
		if *into, err = record.Need[string](info, key); err != nil {
			return nil, bundle.Digest{}, fmt.Errorf("collection_info: %w", err)
		}
	}
	if c.Dependencies, _, err = record.Value[map[string]string](info, "dependencies"); err != nil {
		return nil, bundle.Digest{}, fmt.Errorf("collection_info: %w", err)
	}
	list, err := record.Need[record.Object](o, "file_manifest_file")
	if err != nil {
		return nil, bundle.Digest{}, err
	}
	if name := list.Text("name"); name != listName {
		return nil, bundle.Digest{}, fmt.Errorf("file_manifest_file: %q, want %s: %w", name, listName, bundle.ErrMalformed)
	}
	d, err := checksum(list)
	return c, d, err
}

// checksum reads the digest of an entry.
func checksum(o record.Object) (bundle.Digest, error) {
	if kind := o.Text("chksum_type"); kind != "sha256" {
		return bundle.Digest{}, fmt.Errorf("chksum_type %.40q, want sha256: %w", kind, bundle.ErrMalformed)
	}
	return bundle.ParseHex(o.Text("chksum_sha256"))
}

// parseList reads FILES.json: what the archive has to have, by name.
func parseList(b []byte) (map[string]member, error) {
	o, err := record.Parse(b)
	if err != nil {
		return nil, err
	}
	entries, err := record.Need[[]record.Object](o, "files")
	if err != nil {
		return nil, err
	}
	if len(entries) > maxEntries {
		return nil, fmt.Errorf("%s, at most %d: %w", bundle.Count(len(entries), "file"), maxEntries, bundle.ErrMalformed)
	}
	files := make(map[string]member, len(entries))
	for _, e := range entries {
		name := e.Text("name")
		if name == "." && e.Text("ftype") == "dir" {
			continue
		}
		if err := bundle.CheckPath(name); err != nil {
			return nil, err
		}
		if _, twice := files[name]; twice {
			return nil, fmt.Errorf("%s: listed twice: %w", name, bundle.ErrMalformed)
		}
		var m member
		switch e.Text("ftype") {
		case "dir":
			m.folder = true
		case "file":
			if m.digest, err = checksum(e); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		default:
			return nil, fmt.Errorf("%s: ftype %.40q: %w", name, e.Text("ftype"), bundle.ErrMalformed)
		}
		files[name] = m
	}
	return files, nil
}

// compare holds the archive against the list, both ways, and counts the files.
func (a *archive) compare(list map[string]member) (int, error) {
	count := 0
	for _, name := range slices.Sorted(maps.Keys(a.members)) {
		m, err := a.follow(name)
		if err != nil {
			return 0, err
		}
		if !m.folder {
			count++
		}
		want, listed := list[name]
		switch {
		case name == manifestName || name == listName:
			if listed || m.folder || a.members[name].link != "" {
				return 0, fmt.Errorf("%s: has to be a file that %s does not list: %w", name, listName, bundle.ErrMalformed)
			}
		case !listed && !m.folder:
			return 0, fmt.Errorf("%s: in the archive and not in %s: %w", name, listName, bundle.ErrMalformed)
		case listed && want.folder != m.folder:
			return 0, fmt.Errorf("%s: file or folder, %s and the archive differ: %w", name, listName, bundle.ErrMalformed)
		case listed && want.digest != m.digest:
			return 0, fmt.Errorf("%s: %s says %s, the archive has %s: %w", name, listName, want.digest, m.digest, bundle.ErrMalformed)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(list)) {
		if _, ok := a.members[name]; !ok {
			return 0, fmt.Errorf("%s: in %s and not in the archive: %w", name, listName, bundle.ErrMalformed)
		}
	}
	return count, nil
}

// follow returns the member that name has: through a link the one it leads to, which may not be a link.
// No folder above either of them may be anything but a folder.
func (a *archive) follow(name string) (member, error) {
	if err := a.above(name); err != nil {
		return member{}, err
	}
	m := a.members[name]
	if m.link == "" {
		return m, nil
	}
	if err := a.above(m.link); err != nil {
		return member{}, err
	}
	to, ok := a.members[m.link]
	if m.link == "." {
		to, ok = member{folder: true}, true
	}
	if !ok || to.link != "" {
		return member{}, fmt.Errorf("%s: a link to %s, which is no file and no folder of the archive: %w", name, m.link, bundle.ErrMalformed)
	}
	return to, nil
}

func (a *archive) above(name string) error {
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if m, ok := a.members[dir]; ok && !m.folder {
			return fmt.Errorf("%s: is in %s, which is no folder: %w", name, dir, bundle.ErrMalformed)
		}
	}
	return nil
}

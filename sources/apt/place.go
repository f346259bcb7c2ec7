package apt

import (
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
)

// checkPlacement checks at, base and as by themselves.
func (e *entry) checkPlacement() error {
	o := &e.options
	var errs []error
	if o.At != "" {
		// Whatever the architecture is called, it is one word.
		errs = append(errs, sources.CheckFolder(o.Pos, "at", strings.ReplaceAll(o.At, archMark, "arch")))
	}
	if o.Base != "" {
		errs = append(errs, sources.CheckBase(o.Pos, "base", o.Base))
		e.mount = Name + "/" + o.Base
	}
	if o.As != "" {
		errs = append(errs, sources.CheckClientName(o.Pos, "as", o.As, ".list", ".sources"))
	}
	return strictyaml.Join(errs...)
}

// place assigns to each address of a source its folder in the mirror. Suites of one address
// share its root.
func (e *entry) place(all []*suite) error {
	known := map[string]*root{}
	var roots []*root
	for _, s := range all {
		if r := known[s.root.url]; r != nil {
			s.root = r
			continue
		}
		known[s.root.url] = s.root
		roots = append(roots, s.root)
	}
	if e.options.At != "" {
		if err := e.placeAt(roots); err != nil {
			return err
		}
	} else {
		for _, r := range roots {
			if err := r.setPattern(r.folder(len(roots) > 1)); err != nil {
				return e.pos.Errorf("%s: %w", fetch.Redact(r.url), err)
			}
		}
	}
	return checkRoots(all)
}

// folder returns the folder of an address in the mirror if the spec does not set it. An address
// with $(ARCH) keeps its path, so that a client finds it that appends the rest of the path to a
// base address. One of several addresses has the folder that apt-mirror uses: host and path.
// The result is "" or ends with a slash.
func (r *root) folder(several bool) string {
	host, folder, _ := strings.Cut(r.raw[strings.Index(r.raw, "//")+2:], "/")
	if host == "" { // a folder of the exporting machine
		host = "localhost"
	}
	switch {
	case strings.Contains(folder, archMark):
		return path.Clean(folder) + "/"
	case r.arch != "": // a host for each
		return archMark + "/"
	case several:
		return strings.ReplaceAll(strings.ToLower(host), ":", "_") + "/" + folder
	}
	return ""
}

// setPattern sets the folder of an address, which is escaped as a part of a URL, as a
// client's entry has it.
func (r *root) setPattern(folder string) error {
	r.pattern = folder
	plain, err := url.PathUnescape(strings.ReplaceAll(folder, archMark, r.arch))
	r.prefix = plain
	return err
}

// placeAt puts the only address of a source, or those of its architectures, into the
// folder that the spec states. Parts that are the same for all architectures belong to the mount,
// so that several sources can share a base.
func (e *entry) placeAt(roots []*root) error {
	o := &e.options
	for _, r := range roots {
		if r.raw != roots[0].raw {
			return o.Pos.Errorf("at: is for one address, and there are %s and %s: make two sources of them", fetch.Redact(roots[0].raw), fetch.Redact(r.raw))
		}
	}
	at, byArch := strings.Trim(o.At, "/"), roots[0].arch != ""
	switch has := strings.Contains(at, archMark); {
	case has && !byArch:
		return o.Pos.Errorf("at: %s: the address has no %s", o.At, archMark)
	case byArch && !has:
		return o.Pos.Errorf("at: %s: want %s in it, because the address has it", o.At, archMark)
	}
	parts := strings.Split(at, "/")
	fixed := slices.IndexFunc(parts, func(part string) bool { return strings.Contains(part, archMark) })
	if fixed < 0 {
		fixed = len(parts)
	}
	e.mount = path.Join(e.mount, path.Join(parts[:fixed]...))
	rest := ""
	if fixed < len(parts) {
		rest = path.Join(parts[fixed:]...) + "/"
	}
	for _, r := range roots {
		if err := r.setPattern(rest); err != nil {
			return o.Pos.Errorf("at: %w", err)
		}
	}
	return nil
}

// checkRoots refuses two addresses that would share a folder of the mirror.
func checkRoots(all []*suite) error {
	owners := map[string]*root{}
	for _, s := range all {
		if owner := owners[s.root.prefix]; owner != nil && owner != s.root {
			return s.pos.Errorf("%s and %s: would be in one folder: make two sources of them", fetch.Redact(owner.url), fetch.Redact(s.root.url))
		}
		owners[s.root.prefix] = s.root
		if s.root.prefix == "" {
			continue
		}
		if err := bundle.CheckPath(strings.TrimSuffix(s.root.prefix, "/")); err != nil {
			return s.pos.Errorf("%s: %w", fetch.Redact(s.root.url), err)
		}
	}
	return nil
}

package tarball

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/klauspost/compress/gzip"

	"github.com/gapbundle/gapbundle/bundle"
)

// maxMeta bounds a file of a role's meta folder, and maxMetas how many are kept in memory until it is
// known which of them is the role's.
const (
	maxMeta  = 256 << 10 // bytes
	maxMetas = 256
)

// Role is what the archive of a role states about it.
type Role struct {
	// Main is meta/main.yml, and More meta/requirements.yml; nil: there is none.
	Main, More []byte
}

// ReadRole reads the archive of a role to its end: a gzipped tar archive, such as a server of git
// repositories makes of a tag. The role is the folder with meta/main.yml that is nearest to the top,
// as ansible-galaxy looks for it. Names and links have to stay within the archive. Errors of its
// content match bundle.ErrMalformed; those of r are returned as they are.
func ReadRole(r io.Reader) (*Role, error) {
	in := &source{r: r}
	role, err := readRole(in)
	if in.err != nil {
		return nil, in.err
	}
	return role, err
}

func readRole(in io.Reader) (*Role, error) {
	unpacked, err := gzip.NewReader(in)
	if err != nil {
		return nil, fmt.Errorf("not a gzipped archive: %w", bundle.ErrMalformed)
	}
	a := &archive{members: map[string]member{}, left: maxUnpacked}
	found := map[string][]byte{} // files of meta folders by their path
	err = a.each(unpacked, func(h *tar.Header, content io.Reader) error {
		name := path.Clean(h.Name)
		if h.Typeflag == tar.TypeXGlobalHeader || name == "." {
			return nil
		}
		if err := bundle.CheckPath(name); err != nil {
			return fmt.Errorf("archive: %w", err)
		}
		switch h.Typeflag {
		case tar.TypeSymlink:
			_, err := linked(name, path.Dir(name), h.Linkname)
			return err
		case tar.TypeLink:
			_, err := linked(name, ".", h.Linkname)
			return err
		case tar.TypeReg:
			return keepMeta(found, name, content)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return roleOf(found)
}

// keepMeta keeps the files that list a role's dependencies.
func keepMeta(found map[string][]byte, name string, content io.Reader) error {
	folder, file := path.Split(name)
	switch file {
	case "main.yml", "main.yaml", "requirements.yml", "requirements.yaml":
	default:
		return nil
	}
	if path.Base(folder) != "meta" {
		return nil
	}
	b, err := io.ReadAll(io.LimitReader(content, maxMeta+1))
	if err != nil {
		return malformed(err)
	}
	if len(b) > maxMeta || len(found) == maxMetas {
		return fmt.Errorf("archive: %s: more than %d bytes, or too many like it: %w", name, maxMeta, bundle.ErrMalformed)
	}
	found[name] = b
	return nil
}

// roleOf takes the meta folder that is nearest to the top.
func roleOf(found map[string][]byte) (*Role, error) {
	top := ""
	for name := range found {
		if folder, file := path.Split(name); strings.HasPrefix(file, "main.") && (top == "" || len(folder) < len(top) || len(folder) == len(top) && folder < top) {
			top = folder
		}
	}
	if top == "" {
		return nil, fmt.Errorf("archive: no meta/main.yml: not a role: %w", bundle.ErrMalformed)
	}
	first := func(names ...string) []byte {
		for _, n := range names {
			if b, ok := found[top+n]; ok {
				return bytes.Clone(b)
			}
		}
		return nil
	}
	return &Role{Main: first("main.yml", "main.yaml"), More: first("requirements.yml", "requirements.yaml")}, nil
}

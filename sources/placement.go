package sources

import (
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
)

// Characters of names that a person chooses for paths of the mirror and of client files.
const (
	wordCharacters   = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
	folderCharacters = wordCharacters + "/+~"
)

// maxChosenName bounds the name of a client file, in bytes.
const maxChosenName = 128

// CheckFolder reports what is wrong with a folder of a mount that the option named key has:
// a relative path of plain characters that needs no escaping in a URL. A component does not
// begin with a dot, which web servers hide, or with "_", which is for folders made here.
func CheckFolder(pos strictyaml.Pos, key, folder string) error {
	trimmed := strings.TrimSuffix(folder, "/")
	if err := bundle.CheckPath(trimmed); err != nil {
		return pos.Errorf("%s: want a folder like stable/deb, got %.80q: %w", key, folder, err)
	}
	if strings.Trim(trimmed, folderCharacters) != "" {
		return pos.Errorf("%s: want a folder of letters, digits and . _ - + ~, got %.80q", key, folder)
	}
	for part := range strings.SplitSeq(trimmed, "/") {
		if part[0] == '.' || part[0] == '_' {
			return pos.Errorf("%s: %.80q: a folder must not begin with %c", key, folder, part[0])
		}
	}
	return nil
}

// CheckBase reports what is wrong with a name that replaces a source's own in the
// paths of the mirror.
func CheckBase(pos strictyaml.Pos, key, name string) error {
	if err := bundle.CheckLabel(name); err != nil {
		return pos.Errorf("%s: %w", key, err)
	}
	return nil
}

// CheckClientName reports what is wrong with the name of a client file that the option named
// key has. It has one of the endings. Its characters are those that apt reads a file for
// (sources.list(5)): it skips others.
func CheckClientName(pos strictyaml.Pos, key, name string, endings ...string) error {
	for _, ending := range endings {
		stem, ok := strings.CutSuffix(name, ending)
		if ok && stem != "" && stem[0] != '.' && strings.Trim(stem, wordCharacters) == "" && len(name) <= maxChosenName {
			return nil
		}
	}
	return pos.Errorf("%s: want a file name of letters, digits and . _ - that ends with %s, got %.80q", key, strings.Join(endings, " or "), name)
}

// ClientName returns the path of a client file that the spec has another name for than the
// source's own. It is in a folder that is named after the source, because sources of one set
// may have the same: each client takes one of them.
func ClientName(own, as string) string { return own + "/" + as }

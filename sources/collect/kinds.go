package collect

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/spelling"
	"github.com/gapbundle/gapbundle/sources"
)

// otherNames are names that people have for what a kind carries.
var otherNames = map[string]string{
	"debian": "apt", "ubuntu": "apt", "dpkg": "apt", "deb": "apt",
	"yum": "rpm", "dnf": "rpm", "zypper": "rpm", "rhel": "rpm", "fedora": "rpm",
	"docker": "oci", "container": "oci", "containers": "oci", "image": "oci", "images": "oci", "registry": "oci", "podman": "oci",
	"chart": "helm", "charts": "helm", "python": "pypi", "pip": "pypi", "uv": "pypi", "wheel": "pypi", "wheels": "pypi",
	"ansible": "galaxy", "collection": "galaxy", "collections": "galaxy", "role": "galaxy", "roles": "galaxy",
	"http": "files", "https": "files", "url": "files", "urls": "files", "file": "files", "dir": "files", "folder": "files",
	"maas": "simplestreams", "lxd": "simplestreams", "incus": "simplestreams", "github": "git", "gitlab": "git",
}

// notCarried are systems of packages that no kind carries, with the program that installs
// from them. Some differ from a kind in one letter only.
var notCarried = []string{
	"alpine", "apk", "arch", "bower", "brew", "bun", "cargo", "chocolatey", "cocoapods", "composer", "conan", "conda", "cpan", "cran", "crates",
	"flatpak", "gem", "go", "golang", "gradle", "guix", "hackage", "hex", "homebrew", "huggingface", "ivy", "luarocks", "mamba", "maven", "nix", "npm", "nuget",
	"opam", "pacman", "pnpm", "pub", "puppet", "rubygems", "snap", "spack", "swift", "terraform", "vagrant", "winget", "yarn",
}

// unknownKind returns the error about a kind that there is not. It lists all kinds: whoever
// writes the name of one that does not exist has to see what there is.
func unknownKind(kinds sources.Kinds, s sources.Spec) error {
	names := slices.Sorted(slices.Values(kinds.Names()))
	word := strings.ToLower(s.Kind)
	other, meant := otherNames[word]
	problem, near := fmt.Sprintf("unknown kind %.100q", s.Kind), ""
	switch {
	case meant && slices.Contains(names, other):
		near = fmt.Sprintf("; did you mean %q?", other)
	case slices.Contains(notCarried, word):
		problem = fmt.Sprintf("kind %q: gapbundle carries no packages of %s", s.Kind, word)
	default:
		near, _ = spelling.Near(word, names)
	}
	return fmt.Errorf("%s: %s%s; there are %s: %w", where(s), problem, near, strings.Join(names, ", "), bundle.ErrUsage)
}

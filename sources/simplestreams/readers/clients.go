package readers

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/rebuild"
	"github.com/gapbundle/gapbundle/sources/simplestreams/streams"
)

// Annotations. IndexKey and KeysKey are the repository's, the others those of
// upstream's index, in whose list they are when nothing of it is read again.
const (
	IndexKey   = "index"
	KeysKey    = "keys"
	readersKey = "readers"
	releaseKey = "release-"
)

const (
	// releasesOfPart is how many releases are in one annotation, maxParts how many
	// annotations there are.
	releasesOfPart = 15
	maxParts       = 40
)

// Annotations have for Check and Clients what they cannot find out from a list.
func Annotations(v *streams.View) (map[string]string, error) {
	all := map[string]string{readersKey: v.Readers()}
	if all[readersKey] != streams.ReadersMAAS {
		return all, nil
	}
	parts := slices.Collect(slices.Chunk(v.Releases(), releasesOfPart))
	return all, sources.Annotate(all, releaseKey, parts[:min(len(parts), maxParts)])
}

// releases reads the annotations of what MAAS can install.
func releases(annotations map[string]string) ([]streams.Release, error) {
	var all []streams.Release
	keys := slices.Sorted(maps.Keys(annotations))
	keys = slices.DeleteFunc(keys, func(key string) bool { return len(key) <= len(releaseKey) || key[:len(releaseKey)] != releaseKey })
	if len(keys) == 0 {
		return nil, nil
	}
	parts, err := sources.Annotated[[]streams.Release](bundle.Repository{Annotations: annotations}, releaseKey)
	for _, part := range parts {
		all = append(all, part...)
	}
	return all, err
}

// Clients writes the commands that point MAAS, lxc and incus at each source
// that is for them.
func Clients(_ context.Context, repos []bundle.Repository, t sources.Tree) ([]sources.ClientFile, error) {
	var all []sources.ClientFile
	for _, r := range repos {
		name := sources.FileName(r.Name)
		own, err := ownIndex(r, t)
		if err != nil {
			return nil, err
		}
		switch own.Annotations[readersKey] {
		case streams.ReadersMAAS:
			chosen, err := releases(own.Annotations)
			if err != nil {
				return nil, fmt.Errorf("source %s: %w", r.Name, err)
			}
			all = append(all, sources.ClientFile{Path: "maas/" + name + ".sh", Content: forMAAS(r, chosen)})
		case streams.ReadersContainers:
			for _, program := range []string{"incus", "lxc"} {
				all = append(all, sources.ClientFile{Path: program + "/" + name + ".sh", Content: forContainers(r, program, name)})
			}
		}
	}
	return all, nil
}

// ownIndex returns the line of upstream's index, by which the type of the source is known.
func ownIndex(r bundle.Repository, t sources.Tree) (own bundle.File, err error) {
	path := r.Annotations[IndexKey]
	if r.Mode == string(rebuild.Rebuilt) {
		path = rebuild.UpstreamFolder + path
	}
	for f, err := range t.Files(r.Name) {
		if err != nil {
			return own, err
		}
		if f.Path == path {
			return f, nil
		}
	}
	return own, fmt.Errorf("source %s: %s is not in its list: %w", r.Name, path, bundle.ErrIncomplete)
}

// address returns the URL of a source for MAAS, which looks for streams/v1/index.sjson
// below it, and takes the URL of another index as it is.
func address(r bundle.Repository) string {
	at := sources.BaseMark + "/" + r.Mount + "/"
	if index := r.Annotations[IndexKey]; index != "streams/v1/index.sjson" {
		return at + index
	}
	return at
}

func forMAAS(r bundle.Repository, chosen []streams.Release) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `# %s, %s, for MAAS: on a region controller, with PROFILE of "maas login PROFILE ...".
: "${PROFILE:=admin}"
`, r.Name, r.Mode)
	key := r.Annotations[KeysKey]
	trust := ""
	if key != "" {
		file := "/usr/share/keyrings/gapbundle-" + strings.TrimSuffix(key, ".asc") + ".gpg"
		fmt.Fprintf(&b, "# MAAS from a snap sees no such file: there, in place of keyring_filename,\n"+
			"#   keyring_data@=/root/%[3]s (the same file, copied to root's home)\n"+
			"curl -f -o %[1]s %[2]s/keys/%[3]s\n", file, sources.BaseMark, strings.TrimSuffix(key, ".asc")+".gpg")
		trust = " keyring_filename=" + file
	} else {
		b.WriteString("# Nobody signed this source, and MAAS asks for a signature. It has to be told that there is none.\n")
	}
	fmt.Fprintf(&b, `ID=$(maas "$PROFILE" boot-sources create url=%s%s | sed -n 's/^ *"id": \([0-9]*\).*/\1/p' | head -n 1)
: "${ID:?MAAS made no boot source: see its message}"
`, address(r), trust)
	for _, c := range chosen {
		arches := ""
		for _, arch := range c.Arches {
			arches += " arches=" + quote(arch)
		}
		fmt.Fprintf(&b, `maas "$PROFILE" boot-source-selections create "$ID" os=%s release=%s%s subarches='*' labels='*'
`, quote(c.OS), quote(c.Release), arches)
	}
	b.WriteString(`# The sources that were there before, the default one among them, are on the Internet. See which, and delete them:
#   maas "$PROFILE" boot-sources read
#   maas "$PROFILE" boot-source delete 1
maas "$PROFILE" boot-resources import
`)
	return []byte(b.String())
}

// quote quotes s for a shell; real names need nothing.
func quote(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// forContainers names the remote apart from those that both programs have:
// images, ubuntu.
func forContainers(r bundle.Repository, program, name string) []byte {
	return fmt.Appendf(nil, `# %[1]s, %[2]s. %[3]s takes https alone; a private authority of the mirror has to be among the system's
# (/usr/local/share/ca-certificates, update-ca-certificates), on the host of the daemon too. LXD 5 speaks nothing
# older than TLS 1.3, which nginx before 1.27 has to be told: ssl_protocols TLSv1.2 TLSv1.3;
%[3]s remote add %[4]s %[5]s/%[6]s --protocol simplestreams
%[3]s image list %[4]s:
`, r.Name, r.Mode, program, "mirror-"+name, sources.BaseMark, r.Mount)
}

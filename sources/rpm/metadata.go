package rpm

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/rpm/rpmmd"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// Types of metadata files.
const (
	typePrimary    = "primary"
	typePrimaryZck = "primary_zck"
	typeFilelists  = "filelists"
	typeOther      = "other"
	typeUpdates    = "updateinfo"
	typeGroup      = "group"
	typeGroupGz    = "group_gz"
	typeModules    = "modules"
	typeDeltas     = "prestodelta"
	typeDeltasOld  = "deltainfo"
)

// isNeeded reports whether dnf refuses a repository that lists a type and lacks it
// (TestDNFDoesWithout asks it). It does without the others. It takes the packed form of
// groups if there is one.
func isNeeded(kind string, index *rpmmd.Repomd) bool {
	if kind == typeGroup {
		return index.Find(typeGroupGz) == nil
	}
	return slices.Contains([]string{typePrimary, typeFilelists, typeUpdates, typeGroupGz, typeModules, typeDeltas, typeDeltasOld}, kind)
}

// isCarried reports whether a type is in the mirror. Metadata of a rebuilt source is made
// here, so that upstream's is carried only as far as it was read.
func isCarried(kind string, rebuilt bool) bool { return !rebuilt || isRead(kind, true, true) }

// isRead reports whether a type is read before anything is chosen. chooses: packages are
// chosen in a source of the set.
func isRead(kind string, rebuilt, chooses bool) bool {
	switch kind {
	case typePrimary:
		return true
	case typeDeltas, typeDeltasOld:
		return !rebuilt
	case typeModules:
		return chooses || !rebuilt
	case typeUpdates: // names what its advisories fix, of whatever is carried
		return true
	case typeFilelists, typeOther, typeGroup, typeGroupGz:
		return rebuilt
	}
	return false
}

// metadata is a file that repomd.xml lists and upstream has.
type metadata struct {
	*rpmmd.Data
	path   string        // below the repository
	local  string        // name in scratch, if it was read
	digest bundle.Digest // of the file in scratch
}

// want returns what repomd.xml states about a file.
func (h *head) want(d *rpmmd.Data) upstream.Want {
	return upstream.Want{Sum: sum(d.Checksum), Size: d.Size, Index: h.where(nameRepomd)}
}

// readFile finds a file of repomd.xml, and reads it into scratch as local; "" only asks
// whether upstream has it. nil: it is not there, and dnf does without.
func (h *head) readFile(ctx context.Context, env *sources.Env, d *rpmmd.Data, local string) (*metadata, error) {
	at, err := locateMetadata(d.Location, d.BaseURL)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", h.where(nameRepomd), err)
	case at.isForeign() || climbs(at.path) > 0:
		return nil, fmt.Errorf("%s: %s is at %s, outside of the repository: %w", h.where(nameRepomd), d.Type, fetch.Redact(d.BaseURL+d.Location), fetch.ErrUpstream)
	}
	m := &metadata{Data: d, path: at.path, local: local}
	if local != "" {
		m.digest, _, err = h.place.Download(ctx, env, local, h.want(d), m.path)
	} else if _, err = h.place.Stat(ctx, env, m.path); err == nil {
		err = sum(d.Checksum).Check(h.where(m.path))
	}
	switch {
	case upstream.IsAbsent(err) && isNeeded(d.Type, h.index): // dnf refuses the repository without it
		return nil, upstream.Gone(h.where(m.path), h.where(nameRepomd), err)
	case upstream.IsAbsent(err):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return m, nil
}

// open opens a metadata file in scratch, unpacked.
func (h *head) open(env *sources.Env, m *metadata) (io.ReadCloser, error) {
	return upstream.Unpacked(env, m.local, m.path, h.where(m.path), openLimit(m.Data))
}

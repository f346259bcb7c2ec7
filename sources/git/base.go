package git

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/git/gitfile"
)

// Names of published files, relative to their git repository.
const (
	nameHead     = "HEAD"
	nameConfig   = "config"
	namePacked   = "packed-refs"
	nameInfoRefs = "info/refs"
	namePacks    = "objects/info/packs"
	nameRecord   = "objects/info/gapbundle"
	packFolder   = "objects/pack/"
	lfsFolder    = "lfs/objects/"
)

// maxDocument bounds a document of a git repository in the mirror, in bytes.
const maxDocument = 64 << 20

// Reasons of files, in their evidence.
const (
	reasonPack   = "objects"
	reasonRefs   = "refs"
	reasonRecord = "record"
	reasonLFS    = "git-lfs"
)

// past is what the last export published of one git repository.
type past struct {
	files   map[string]sources.Recorded // by name in the git repository
	record  *gitfile.Record
	refs    []gitfile.Ref
	commits [][]gitfile.ID        // of each pack
	lists   map[gitfile.ID][]byte // the files that commits were read from, by packs
	ids     map[gitfile.ID]bool   // that refs named
	dates   map[datedRef]time.Time
	// have reports whether the base of this delta has all packs: then none is
	// carried, and none has to be made again.
	have bool
}

// pasts returns all git repositories that the last export published, by their folders.
func pasts(env *sources.Env, entries []*entry) (map[string]*past, error) {
	all := map[string]*past{}
	if env.Base == nil {
		return all, nil
	}
	of := func(dir string) *past {
		if all[dir] == nil {
			all[dir] = &past{files: map[string]sources.Recorded{}, dates: map[datedRef]time.Time{}}
		}
		return all[dir]
	}
	for _, e := range entries {
		for r, err := range env.Base.Files(e.name) {
			if err != nil {
				return nil, err
			}
			dir, name, ok := cutDir(r.File.Path)
			if !ok {
				continue
			}
			of(dir).files[name] = r
		}
		if err := recallDates(env, e.name, of); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// cutDir cuts a path of the mirror after the folder of its git repository.
func cutDir(path string) (dir, name string, ok bool) {
	before, name, ok := strings.Cut(path, suffix+"/")
	return before + suffix, name, ok
}

// load reads the documents of the last export. ok is false if one is not there
// any more, or is not the one that was recorded.
func (p *past) load(env *sources.Env) (ok bool, err error) {
	record, err := p.document(env, nameRecord)
	if err != nil || record == nil {
		return false, err
	}
	packed, err := p.document(env, namePacked)
	if err != nil || packed == nil {
		return false, err
	}
	if p.record, err = gitfile.ReadRecord(bytes.NewReader(record)); err != nil {
		return false, nil //nolint:nilerr // another version of this program wrote it: as if it were lost
	}
	if p.refs, err = gitfile.ReadPackedRefs(bytes.NewReader(packed)); err != nil {
		return false, nil //nolint:nilerr // as above
	}
	p.ids, p.lists, p.have = map[gitfile.ID]bool{}, map[gitfile.ID][]byte{}, env.Have != nil
	for _, r := range p.refs {
		p.ids[r.ID] = true
	}
	for _, pack := range p.record.Packs {
		list, err := p.document(env, packName(pack.Name, endCommits))
		if err != nil || list == nil {
			return false, err
		}
		ids, err := readCommits(list)
		if err != nil {
			return false, nil //nolint:nilerr // as above
		}
		p.commits, p.lists[pack.Name] = append(p.commits, ids), list
		for _, end := range packEnds() {
			r, known := p.files[packName(pack.Name, end)]
			if !known {
				return false, nil
			}
			if p.have {
				_, p.have = env.Have(r.File.Digest)
			}
		}
	}
	return len(p.record.Packs) > 0, nil
}

// Ends of the names of a pack's files.
const (
	endPack    = ".pack"
	endIndex   = ".idx"
	endCommits = ".commits"
)

func packEnds() []string { return []string{endPack, endIndex, endCommits} }

func packName(id gitfile.ID, end string) string { return packFolder + "pack-" + id.String() + end }

// document returns the content of a file that the last export published and kept;
// nil: it is not kept any more.
func (p *past) document(env *sources.Env, name string) ([]byte, error) {
	r, ok := p.files[name]
	if !ok {
		return nil, nil
	}
	content, err := env.Content(r.File.Digest)
	if errors.Is(err, fs.ErrNotExist) || err == nil && bundle.DigestOf(content) != r.File.Digest {
		return nil, nil
	}
	return content, err
}

// maxKept is the most that the ledger keeps of one document, in bytes.
const maxKept = 4 << 20

// Bounds of the automatic repack.
const (
	maxPacks  = 20
	minRepack = 10 << 20 // bytes in later packs below which their share does not matter
)

// repackDue reports whether the packs become one, by the option repack.
func (p *past) repackDue(repack string) bool {
	packs := p.record.Packs
	if len(packs) < 2 {
		return false
	}
	switch repack {
	case repackNow:
		return true
	case repackNever:
		return false
	}
	first, later := int64(0), int64(0)
	for i, pack := range packs {
		size := p.files[packName(pack.Name, endPack)].File.Size
		if i == 0 {
			first = size
		} else {
			later += size
		}
	}
	return len(packs) >= maxPacks || later >= minRepack && later*3 >= first
}

func readCommits(list []byte) ([]gitfile.ID, error) {
	var ids []gitfile.ID
	scanner := bufio.NewScanner(bytes.NewReader(list))
	for scanner.Scan() {
		id, err := gitfile.ParseID(scanner.Text())
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", len(ids)+1, err)
		}
		ids = append(ids, id)
	}
	return ids, scanner.Err()
}

// maxBoundary bounds the commits that a server is asked not to send below, over
// all packs; the newest are. A commit that branched off below them is sent
// with its history once more.
const maxBoundary = 40_000

// boundary returns what packs have: the commits that their tips lead to, and the
// newest of all others.
func boundary(packs []gitfile.Pack, commits [][]gitfile.ID) []gitfile.ID {
	var all []gitfile.ID
	seen := map[gitfile.ID]bool{{}: true}
	add := func(id gitfile.ID) {
		if !seen[id] {
			seen[id] = true
			all = append(all, id)
		}
	}
	for _, p := range packs {
		for _, t := range p.Tips {
			add(t.Commit)
		}
	}
	limit := len(all) + maxBoundary
	for i := len(packs) - 1; i >= 0; i-- {
		for _, id := range commits[i] {
			if len(all) < limit {
				add(id)
			}
		}
	}
	return all
}

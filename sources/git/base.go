package git

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"

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

// maxDocument bounds a document that the last export kept, in bytes.
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
	source  string
	files   map[string]sources.Recorded // by name in the git repository
	record  *gitfile.Record
	refs    []gitfile.Ref
	head    string              // content of HEAD
	commits [][]gitfile.ID      // of each pack
	ids     map[gitfile.ID]bool // that refs named
	// have reports whether the base of this delta has all packs: then none is
	// carried, and none has to be made again.
	have bool
}

// pasts are all git repositories that the last export published, by their folders.
func pasts(env *sources.Env, entries []*entry) (map[string]*past, error) {
	all := map[string]*past{}
	if env.Base == nil {
		return all, nil
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
			p := all[dir]
			if p == nil {
				p = &past{source: e.name, files: map[string]sources.Recorded{}}
				all[dir] = p
			}
			p.files[name] = r
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
func (p *past) load(env *sources.Env, dir string) (ok bool, err error) {
	var record, packed, head []byte
	for _, d := range []struct {
		name string
		to   *[]byte
	}{{nameRecord, &record}, {namePacked, &packed}, {nameHead, &head}} {
		if *d.to, err = p.document(env, dir, d.name); err != nil || *d.to == nil {
			return false, err
		}
	}
	p.head = string(head)
	if p.record, err = gitfile.ReadRecord(bytes.NewReader(record)); err != nil {
		return false, nil //nolint:nilerr // another version of this program wrote it: as if it were lost
	}
	if p.refs, err = gitfile.ReadPackedRefs(bytes.NewReader(packed)); err != nil {
		return false, nil //nolint:nilerr // as above
	}
	p.ids, p.have = map[gitfile.ID]bool{}, env.Have != nil
	for _, r := range p.refs {
		p.ids[r.ID] = true
	}
	for _, pack := range p.record.Packs {
		list, err := p.document(env, dir, packName(pack.Name, ".commits"))
		if err != nil || list == nil {
			return false, err
		}
		ids, err := readCommits(list)
		if err != nil {
			return false, nil //nolint:nilerr // as above
		}
		p.commits = append(p.commits, ids)
		for _, end := range packEnds() {
			r, known := p.files[packName(pack.Name, end)]
			if !known {
				return false, nil
			}
			p.have = p.have && has(env, r.File.Digest)
		}
	}
	return len(p.record.Packs) > 0, nil
}

func has(env *sources.Env, d bundle.Digest) bool {
	_, ok := env.Have(d)
	return ok
}

// packEnds are the ends of the names of a pack's files.
func packEnds() []string { return []string{".pack", ".idx", ".commits"} }

func packName(id gitfile.ID, end string) string { return packFolder + "pack-" + id.String() + end }

// document is the content of a file that the last export published and kept;
// nil: it was not kept, or is damaged.
func (p *past) document(env *sources.Env, dir, name string) ([]byte, error) {
	r, ok := p.files[name]
	if !ok {
		return nil, nil
	}
	in, err := openKept(env, p.source, dir+"/"+name)
	if err != nil || in == nil {
		return nil, err
	}
	defer func() { _ = in.Close() }() // read-only
	content, err := io.ReadAll(io.LimitReader(in, maxDocument+1))
	if err != nil || bundle.DigestOf(content) != r.File.Digest {
		return nil, err
	}
	return content, nil
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

// maxBoundary bounds the commits that a server is told not to send below, over
// all packs; the newest are. A commit that branched off below them is sent
// with its history once more.
const maxBoundary = 40_000

// boundary is what packs have: the commits that their tips lead to, and the
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

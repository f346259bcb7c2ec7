package unpack

import (
	"context"
	"fmt"
	"syscall"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/unpack/state"
	"github.com/gapbundle/gapbundle/unpack/store"
	"github.com/gapbundle/gapbundle/unpack/tree"
)

// Need is what an import takes of the mirror's file system, and what is free there.
type Need struct {
	// Bytes are in whole blocks. Inodes are files and folders; names of one file are one.
	Bytes  int64 `json:"bytes"`
	Inodes int64 `json:"inodes"`
	// FreeBytes and FreeInodes are -1 if the file system does not report them.
	FreeBytes  int64 `json:"freeBytes"`
	FreeInodes int64 `json:"freeInodes"`
}

func (n *Need) fits() bool {
	return (n.FreeBytes < 0 || n.Bytes <= n.FreeBytes) && (n.FreeInodes < 0 || n.Inodes <= n.FreeInodes)
}

// SpaceError: the mirror's file system has less room than the import needs. Nothing was
// written. It matches syscall.ENOSPC.
type SpaceError struct {
	Dir string
	Need
}

func (e *SpaceError) Error() string {
	s := fmt.Sprintf("mirror %s: the import needs %s, %d free", e.Dir, bundle.Count(e.Bytes, "byte"), e.FreeBytes)
	if e.FreeInodes >= 0 {
		s += fmt.Sprintf("; it needs %s (files and folders), %d free", bundle.Count(e.Inodes, "inode"), e.FreeInodes)
	}
	return s
}

// Unwrap returns what the operating system would have said in the middle of it.
func (e *SpaceError) Unwrap() error { return syscall.ENOSPC }

// block is the unit in which files take room, as on most file systems.
const block = 4096 // bytes

func blocks(size int64) int64 { return (size + block - 1) / block * block }

// spaceFor finds out what the newest candidates need. exact asks the store about each
// blob; otherwise everything that is carried counts as new.
func spaceFor(ctx context.Context, of *state.State, blobs *store.Store, current *tree.Generation, choices []*choice, exact bool) (n Need, err error) {
	for _, c := range choices {
		if len(c.candidates) == 0 {
			continue
		}
		a := c.candidates[0]
		p, err := of.ReadPending(a.Name())
		if err != nil || p.Root != a.Root() {
			p = &state.Waiting{} // nothing of it is here yet
		}
		for i := range a.Volumes() {
			if p.Placed[i+1] {
				continue
			}
			for b, err := range a.Blobs(i) {
				if err != nil {
					return n, err
				}
				if exact {
					if has, err := blobs.Has(b.Digest, b.Size); err != nil {
						return n, err
					} else if has {
						continue
					}
				}
				n.Bytes, n.Inodes = n.Bytes+blocks(b.Length), n.Inodes+1
			}
			if err := ctx.Err(); err != nil {
				return n, err
			}
		}
		n.add(a, current.Set(c.set))
	}
	return n, nil
}

// add counts the lists that are kept and the folders of what is published.
func (n *Need) add(a *arrival, now *tree.GenerationSet) {
	same := map[string]bool{}
	if now != nil {
		for _, r := range now.Repositories {
			same[r.Mount+"\x00"+string(r.Files.Digest)] = true
		}
	}
	counted := map[string]bool{}
	for _, r := range a.Manifest().Repositories {
		if same[r.Mount+"\x00"+string(r.Files.Digest)] && !bundle.IsSharedMount(r.Mount) {
			continue
		}
		n.Bytes, n.Inodes = n.Bytes+blocks(r.Files.Size)+blocks(r.Evidence.Size), n.Inodes+2
		if !counted[r.Mount] {
			counted[r.Mount] = true
			folders := a.Folders(r.Mount) + 1
			n.Bytes, n.Inodes = n.Bytes+folders*block, n.Inodes+folders
		}
	}
}

// measure compares what the candidates need with what is free.
func measure(ctx context.Context, o Options, dir string, of *state.State, blobs *store.Store, current *tree.Generation, choices []*choice) (*Need, error) {
	free := o.Free
	if free == nil {
		free = freeOn
	}
	bytes, inodes, err := free(dir)
	if err != nil {
		return nil, err
	}
	var n Need
	for _, exact := range []bool{false, true} {
		if n, err = spaceFor(ctx, of, blobs, current, choices, exact); err != nil {
			return nil, err
		}
		if n.FreeBytes, n.FreeInodes = bytes, inodes; n.fits() {
			return &n, nil
		}
	}
	return &n, &SpaceError{Dir: dir, Need: n}
}

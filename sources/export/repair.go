package export

import (
	"errors"
	"os"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources/collect"
)

// asked is what a mirror asks for in a repair request.
type asked struct {
	request *bundle.RepairRequest
	blobs   map[bundle.Digest]bool // true: carried
	lists   map[bundle.Digest]bool
}

func newAsked(r *bundle.RepairRequest) *asked {
	a := &asked{request: r, blobs: map[bundle.Digest]bool{}, lists: map[bundle.Digest]bool{}}
	for _, d := range r.Blobs {
		a.blobs[d] = false
	}
	for _, d := range r.Lists {
		a.lists[d] = true
	}
	return a
}

// wants reports whether a blob is carried although the base has it. A nil asked wants
// nothing.
func (a *asked) wants(d bundle.Digest) bool {
	if a == nil {
		return false
	}
	_, ok := a.blobs[d]
	return ok
}

func (a *asked) wantsList(d bundle.Digest) bool { return a != nil && a.lists[d] }

// answer counts what is requested, and what of it is carried: what no list names any more is
// not. carried are the digests of the lists in the bundle.
func (a *asked) answer(scratch *os.Root, collected []collect.Collected, carried map[bundle.Digest]bool) (all, answered int, err error) {
	if a == nil {
		return 0, 0, nil
	}
	for _, c := range collected {
		if err := eachCollected(scratch, c, func(f bundle.File) {
			if _, ok := a.blobs[f.Digest]; ok {
				a.blobs[f.Digest] = true
			}
		}); err != nil {
			return 0, 0, err
		}
	}
	for _, carried := range a.blobs {
		if carried {
			answered++
		}
	}
	for d := range a.lists {
		if carried[d] {
			answered++
		}
	}
	return len(a.blobs) + len(a.lists), answered, nil
}

func eachCollected(scratch *os.Root, c collect.Collected, each func(bundle.File)) (err error) {
	list, err := scratch.Open(c.FilesName)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, list.Close()) }()
	for f, err := range bundle.ReadList[bundle.File](list, "source "+c.Repository.Name) {
		if err != nil {
			return err
		}
		each(f)
	}
	return nil
}

// carriedLists returns the digests of the lists that a bundle carries.
func carriedLists(repos []bundle.Repository) map[bundle.Digest]bool {
	all := map[bundle.Digest]bool{}
	for _, r := range repos {
		for _, kind := range r.Carried {
			switch {
			case kind == bundle.CarriedEvidence:
				all[digestOf(r.Evidence.Digest.String())] = true
			case kind == bundle.CarriedFiles:
				all[digestOf(r.Files.Digest.String())] = true
			case r.Contents != nil:
				all[digestOf(r.Contents.Digest.String())] = true
			}
		}
	}
	return all
}
